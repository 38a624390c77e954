"""A sink's cursor: nothing skipped, in order, the cursor behind what is acknowledged."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

from bridge import record as rows
from bridge.journal import Entry, Journal
from bridge.model import NO_STATUS, Report
from bridge.record import Record
from bridge.sinks.base import IN_MEMORY, PAGE, Cursor
from bridge.vehicle import Judgement

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)


def _record(number: int) -> Record:
    report = Report(
        device_id="1",
        protocol="gps103",
        received_at=NOW,
        keyword=str(number),
        status=NO_STATUS,
        extra={},
    )
    return Record(report, "tcp", Judgement(NOW, None))


class Book:
    """A journal with rows in it, as the intake writes them."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal.open(folder, capacity=10 * IN_MEMORY)
        self.journal.start(asyncio.get_running_loop())
        self.cursors: list[Cursor] = []

    async def write(self, count: int) -> None:
        written = asyncio.Event()
        last = self.journal.last_seq + count

        def done(seq: int, record: Record) -> None:
            for cursor in self.cursors:
                cursor.committed(seq, "golf", record)
            if seq == last:
                written.set()

        for number in range(count):
            record = _record(number)
            entry = Entry("golf", NOW, rows.encode(record))
            assert self.journal.append(entry, (), lambda seq, record=record: done(seq, record))
        await written.wait()


async def _all(cursor: Cursor) -> list[int]:
    seqs: list[int] = []
    while page := await cursor.page():
        assert len(page) <= PAGE
        seqs += [seq for seq, _, _ in page]
    return seqs


async def test_rows_come_in_order_from_memory_and_from_disk(tmp_path: Path) -> None:
    book = Book(tmp_path)
    await book.write(3)
    live = Cursor(book.journal, "mqtt")
    book.cursors.append(live)
    await book.write(5)
    assert await _all(live) == list(range(1, 9))
    await book.write(IN_MEMORY + 50)
    assert await _all(live) == list(range(9, 9 + IN_MEMORY + 50))
    assert await live.page() == []
    assert live.lag == 8 + IN_MEMORY + 50
    book.journal.close()


async def test_the_cursor_stands_before_the_first_unacknowledged_row(tmp_path: Path) -> None:
    book = Book(tmp_path)
    await book.write(40)
    cursor = Cursor(book.journal, "mqtt")
    rows_out = await _all(cursor)
    waiting = []
    for seq in rows_out:
        messages = seq % 3
        cursor.opened(seq, messages)
        waiting += [seq] * messages
    random.Random(1).shuffle(waiting)  # noqa: S311 - the same each time
    open_rows = set(waiting)
    while waiting:
        seq = waiting.pop()
        cursor.acknowledged(seq)
        if seq not in waiting:
            open_rows.discard(seq)
        assert cursor.seq == min(open_rows, default=41) - 1
    cursor.save()
    book.journal.close()
    again = Journal.open(tmp_path)
    assert Cursor(again, "mqtt").seq == 40
    again.close()


async def test_a_new_connection_gets_again_what_was_not_acknowledged(tmp_path: Path) -> None:
    book = Book(tmp_path)
    cursor = Cursor(book.journal, "mqtt")
    book.cursors.append(cursor)
    await book.write(10)
    for seq in await _all(cursor):
        cursor.opened(seq, 1)
    for seq in (1, 2, 3, 5, 7):
        cursor.acknowledged(seq)
    cursor.restart()
    assert await _all(cursor) == [4, 5, 6, 7, 8, 9, 10]
    cursor.acknowledged(99)  # of the old connection: means nothing
    assert cursor.seq == 3
    book.journal.close()


async def test_rows_purged_in_between_are_no_hole(tmp_path: Path) -> None:
    book = Book(tmp_path)
    await book.write(3)
    purged = asyncio.Event()
    book.journal.purge("golf", (), purged.set)
    await purged.wait()
    cursor = Cursor(book.journal, "mqtt")
    assert await _all(cursor) == []
    assert cursor.lag == 0
    book.journal.close()
