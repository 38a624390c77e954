"""A sink's cursor where rows were purged before it: they are passed over, nothing else is."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from bridge.database import SKIPPED
from bridge.journal import Row
from bridge.sinks.base import Cursor
from tests.bridge.test_cursor import Book


async def _purge(book: Book) -> None:
    purged = asyncio.Event()
    book.journal.purge("golf", (), purged.set)
    await purged.wait()


async def test_a_row_that_comes_while_purged_ones_are_looked_for_is_handed_out(
    tmp_path: Path,
) -> None:
    book = Book(tmp_path)
    await book.write(3)
    await _purge(book)
    cursor = Cursor(book.journal, "mqtt")
    book.cursors.append(cursor)
    read, looked, go_on = book.journal.read, threading.Event(), threading.Event()

    def slowly(after_seq: int, limit: int) -> list[Row]:
        rows = read(after_seq, limit)
        looked.set()
        assert go_on.wait(10)
        return rows

    book.journal.read = slowly  # type: ignore[method-assign] # a disk that takes its time
    page = asyncio.create_task(cursor.page())
    await asyncio.to_thread(looked.wait)
    await book.write(1)
    go_on.set()
    assert await page == []
    assert [seq for seq, _, _ in await cursor.page()] == [4]
    book.journal.close()


async def test_the_cursor_passes_over_purged_rows_behind_what_is_still_in_flight(
    tmp_path: Path,
) -> None:
    book = Book(tmp_path)
    await book.write(2)
    cursor = Cursor(book.journal, "mqtt")
    for seq, _, _ in await cursor.page():
        cursor.opened(seq, 1)
    await book.write(3)
    await _purge(book)
    assert await cursor.page() == []
    assert (cursor.seq, cursor.lag) == (0, 5)
    cursor.acknowledged(2)
    assert (cursor.seq, cursor.lag) == (0, 5)
    cursor.acknowledged(1)
    assert (cursor.seq, cursor.lag) == (5, 0)
    book.journal.close()


async def test_seqs_that_were_never_given_are_no_lag(tmp_path: Path) -> None:
    book = Book(tmp_path)
    await book.write(2)
    book.journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as crashed, crashed:
        crashed.execute("UPDATE meta SET value = 0 WHERE name = 'clean'")
    book = Book(tmp_path)
    await book.write(3)
    cursor = Cursor(book.journal, "mqtt")
    assert (cursor.seq, cursor.lag) == (0, 5)
    for _ in range(2):
        for seq, _, _ in await cursor.page():
            cursor.opened(seq, 0)
    assert (cursor.seq, cursor.lag) == (SKIPPED + 5, 0)
    cursor.save()
    book.journal.close()
