"""What is told is on disk; what is on disk is contiguous, in order, and outlives a kill."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from bridge.errors import StorageError
from bridge.journal import RESERVED_FOR_ALARMS, Entry, FrameRecord, Journal
from bridge.schema import MIGRATIONS

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
TRACKER = "864000000000017"


def moment(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def entry(number: int, vehicle: str = "car", **more) -> Entry:
    return Entry(vehicle, moment(number), b"%d" % number, **more)


def frame(data: bytes, tracker: str = TRACKER, **changes) -> FrameRecord:
    values = {
        "tracker_id": tracker,
        "received_at": NOON,
        "direction": "in",
        "protocol": "gps103",
        "transport": "tcp",
        "data": data,
    }
    return FrameRecord(**(values | changes))


async def commit(book: Journal, *entries: Entry, frames=()) -> list[int]:
    """Append and wait until the last of them is told."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    seqs: list[int] = []

    def done(seq: int) -> None:
        seqs.append(seq)
        if len(seqs) == len(entries):
            told.set_result(None)

    for one in entries:
        assert book.append(one, frames, done)
    await asyncio.wait_for(told, 10)
    return seqs


async def settle(book: Journal) -> None:
    """Wait until everything queued before is committed."""
    told = asyncio.get_running_loop().create_future()
    book.purge("nobody", (), lambda: told.set_result(None))
    await asyncio.wait_for(told, 10)


@pytest.fixture
async def book(tmp_path):
    opened = Journal.open(tmp_path)
    opened.start(asyncio.get_running_loop())
    yield opened
    await asyncio.to_thread(opened.close)


def restarted(book: Journal, folder: Path) -> Journal:
    book.close()
    return Journal.open(folder)


async def test_a_new_journal_is_empty_private_and_in_wal_mode(book, tmp_path):
    assert (book.first_seq, book.last_seq, book.failed) == (1, 0, None)
    assert book.read(0, 10) == []
    assert len(book.epoch) == 16
    path = tmp_path / "journal.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    peek = sqlite3.connect(path)
    assert peek.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert peek.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert peek.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    peek.close()
    assert book._database._writer.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_done_comes_in_order_on_the_loop_and_the_rows_read_back(book):
    threads = set()
    original = book._tell
    book._tell = lambda *arguments: (threads.add(threading.get_ident()), original(*arguments))
    assert await commit(book, *map(entry, range(1, 301))) == list(range(1, 301))
    assert threads == {threading.get_ident()}
    assert book.last_seq == 300
    rows = book.read(0, 1000)
    assert rows == [(n, "car", NOON + timedelta(seconds=n), b"%d" % n) for n in range(1, 301)]
    assert book.read(298, 10) == rows[298:]
    assert book.read(10, 5) == rows[10:15]


async def test_times_are_whole_milliseconds_of_utc(book):
    zone = timezone(timedelta(hours=5, minutes=45))
    odd = datetime(2026, 3, 1, 17, 45, 0, 123_999, tzinfo=zone)
    await commit(book, Entry("car", odd, b"x"))
    wanted = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert [row[2] for row in book.read(0, 1)] == [wanted]


async def test_a_group_costs_the_loop_one_call(tmp_path, monkeypatch):
    book = Journal.open(tmp_path)
    loop = asyncio.get_running_loop()
    calls = []
    original = loop.call_soon_threadsafe

    def counted(callback, *arguments, **context):
        calls.append(callback)
        return original(callback, *arguments, **context)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    told = []
    finished = asyncio.Event()
    for number in range(500):
        book.append(entry(number), (), told.append)
    book.append(entry(500), (), lambda _: finished.set())
    book.start(loop)
    await asyncio.wait_for(finished.wait(), 10)
    assert told == list(range(1, 501))
    assert calls == [book._committed]
    await asyncio.to_thread(book.close)


async def test_one_failing_callback_leaves_the_others_their_answer(tmp_path):
    book = Journal.open(tmp_path)
    loop = asyncio.get_running_loop()
    complaints = []
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    told = []
    finished = asyncio.Event()
    book.append(entry(1), (), told.append)
    book.append(entry(2), (), lambda seq: 1 // (seq - 2))
    book.append(entry(3), (), told.append)
    book.append(entry(4), (), lambda _: finished.set())
    book.start(loop)
    await asyncio.wait_for(finished.wait(), 10)
    assert told == [1, 3]
    assert [type(one) for one in complaints] == [ZeroDivisionError]
    await asyncio.to_thread(book.close)


async def test_what_was_there_before_the_start_is_read_from_disk(book, tmp_path):
    await commit(book, entry(1), entry(2))
    again = restarted(book, tmp_path)
    assert (again.epoch, again.first_seq, again.last_seq) == (book.epoch, 1, 2)
    assert [row[0] for row in again.read(0, 10)] == [1, 2]
    again.close()


async def test_seq_continues_though_the_newest_rows_are_gone(book, tmp_path):
    await commit(book, *map(entry, range(5)))
    book.close()
    with sqlite3.connect(tmp_path / "journal.db") as hand:
        hand.execute("DELETE FROM entry WHERE seq > 2")
    hand.close()
    again = Journal.open(tmp_path)
    assert (again.first_seq, again.last_seq) == (1, 5)
    again.start(asyncio.get_running_loop())
    assert await commit(again, entry(9)) == [6]
    await asyncio.to_thread(again.close)


async def test_cursors_and_checkpoints_keep_the_last_word(book, tmp_path):
    assert book.cursor("mqtt") == 0
    for seq in range(1, 50):
        book.save_cursor("mqtt", seq)
        book.checkpoint("car", seq, b"state %d" % seq)
    book.save_cursor("relay", 3)
    assert book.cursor("mqtt") == 49
    await settle(book)
    assert book.checkpoints() == {"car": (49, b"state 49")}
    again = restarted(book, tmp_path)
    assert (again.cursor("mqtt"), again.cursor("relay"), again.cursor("page")) == (49, 3, 0)
    assert again.checkpoints() == {"car": (49, b"state 49")}
    again.close()


async def test_entries_of_one_vehicle(book):
    await commit(book, *(entry(n, "car" if n % 2 else "van") for n in range(1, 9)))
    assert [row[0] for row in book.entries_of("car", 0, 10)] == [1, 3, 5, 7]
    assert [row[0] for row in book.entries_of("car", 1, 2)] == [3, 5]
    assert book.entries_of("bus", 0, 10) == []


async def test_frames_come_back_as_they_were_and_ride_with_their_entry(book, tmp_path):
    said = [
        frame(b"##,imei:...", note="malformed time"),
        frame(b"LOAD", direction="out", transport="udp", protocol=""),
    ]
    await commit(book, entry(1), frames=said)
    assert book.append_frames([frame(b"\x00\xff")])
    await settle(book)
    assert book.frames_of(TRACKER) == [*said, frame(b"\x00\xff")]
    again = restarted(book, tmp_path)
    assert again.frames_of(TRACKER) == [*said, frame(b"\x00\xff")]
    again.close()


async def test_loose_frames_are_let_go_when_too_many_wait(tmp_path):
    book = Journal.open(tmp_path, capacity=10)
    assert all(book.append_frames([frame(b"x")]) for _ in range(20))
    assert not book.append_frames([frame(b"y")])
    book.close()


async def test_a_purge_takes_what_was_before_it_and_nothing_else(book):
    other = "864000000000025"
    await commit(book, entry(1), frames=[frame(b"a")])
    await commit(book, entry(2, "van"), frames=[frame(b"b", tracker=other)])
    book.checkpoint("car", 1, b"")
    book.checkpoint("van", 2, b"")
    book.append(entry(3), (), lambda _: None)
    book.purge("car", [TRACKER])
    book.append(entry(4), [frame(b"c")], lambda _: None)
    await settle(book)
    assert [(row[0], row[1]) for row in book.read(0, 10)] == [(2, "van"), (4, "car")]
    assert [one.data for one in book.frames_of(TRACKER)] == [b"c"]
    assert [one.data for one in book.frames_of(other)] == [b"b"]
    assert set(book.checkpoints()) == {"van"}
    assert (book.first_seq, book.last_seq) == (2, 4)


async def test_when_all_is_purged_the_next_entry_is_the_first(book, tmp_path):
    await commit(book, entry(1), entry(2))
    book.purge("car", [TRACKER])
    await settle(book)
    assert (book.first_seq, book.last_seq) == (3, 2)
    again = restarted(book, tmp_path)
    assert (again.first_seq, again.last_seq) == (3, 2)
    again.close()


async def test_while_the_disk_refuses_the_queue_waits_in_order(tmp_path):
    book = Journal.open(tmp_path, capacity=3, retry_s=0.01)
    faults = []
    failed, mended = asyncio.Event(), asyncio.Event()

    def on_fault(fault):
        faults.append(fault)
        (mended if fault is None else failed).set()

    book.on_fault = on_fault
    limit = book._database._writer.execute
    pages = limit("PRAGMA page_count").fetchone()[0]
    limit(f"PRAGMA max_page_count = {pages}")
    book.start(asyncio.get_running_loop())
    told = []
    big = Entry("car", NOON, bytes(50_000))
    assert book.append(big, [frame(b"first")], told.append)
    await asyncio.wait_for(failed.wait(), 10)
    assert "disk is full" in book.failed
    assert str(tmp_path / "journal.db") in book.failed
    assert book.append(entry(2), [frame(b"second")], told.append)
    assert book.append(entry(3), (), told.append)
    assert not book.has_room
    assert not book.append(entry(4), (), told.append)
    assert told == []
    assert book.read(0, 10) == []
    assert book.last_seq == 0

    limit("PRAGMA max_page_count = 100000")
    await asyncio.wait_for(mended.wait(), 10)
    await settle(book)
    assert told == [1, 2, 3]
    assert [row[3] for row in book.read(0, 10)] == [big.body, b"2", b"3"]
    assert [one.data for one in book.frames_of(TRACKER)] == [b"first", b"second"]
    assert book.failed is None
    assert [fault is None for fault in faults] == [False, True]
    assert await commit(book, entry(4)) == [4]
    await asyncio.to_thread(book.close)


def test_alarms_are_the_last_to_be_refused(tmp_path):
    book = Journal.open(tmp_path, capacity=3)
    told = []
    alarm = entry(9, precious=True)
    assert book.append(alarm, (), told.append)
    assert all(book.append(entry(n), (), told.append) for n in range(2))
    assert not book.has_room
    assert not book.append(entry(3), (), told.append)
    assert all(book.append(alarm, (), told.append) for _ in range(RESERVED_FOR_ALARMS))
    assert not book.append(alarm, (), told.append)
    book.close()
    assert told == list(range(1, 4 + RESERVED_FOR_ALARMS))


async def test_closing_a_journal_that_cannot_write_says_what_is_lost(tmp_path):
    book = Journal.open(tmp_path)
    book._database._writer.execute("PRAGMA max_page_count = 1")
    book.start(asyncio.get_running_loop())
    book.append(Entry("car", NOON, bytes(100_000)), (), lambda _: None)
    book.append(entry(2), (), lambda _: None)
    with pytest.raises(StorageError, match="disk is full; 2 reports could not be kept"):
        await asyncio.to_thread(book.close)
    book.close()


def test_close_writes_what_is_queued_even_without_a_thread(tmp_path):
    book = Journal.open(tmp_path)
    told = []
    for number in range(3):
        book.append(entry(number), (), told.append)
    book.close()
    book.close()
    assert told == [1, 2, 3]
    assert not (tmp_path / "journal.db-wal").exists()
    again = Journal.open(tmp_path)
    assert again.last_seq == 3
    again.close()


def test_without_a_loop_a_failing_callback_is_the_callers(tmp_path):
    book = Journal.open(tmp_path)
    book.append(entry(1), (), lambda seq: seq // 0)
    with pytest.raises(ZeroDivisionError):
        book.close()
    again = Journal.open(tmp_path)
    assert [row[0] for row in again.read(0, 9)] == [1]
    again.close()


async def test_a_writer_that_dies_of_a_mistake_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    book = Journal.open(tmp_path)
    fault = asyncio.get_running_loop().create_future()
    book.on_fault = fault.set_result
    book.start(asyncio.get_running_loop())
    book.append(Entry("car", None, b""), (), lambda _: None)
    assert await asyncio.wait_for(fault, 10) == "the journal's writer has stopped"
    with pytest.raises(StorageError, match="1 reports could not be kept"):
        book.close()


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from bridge.journal import Entry, Journal

async def main():
    book = Journal.open(Path(sys.argv[1]))
    book.start(asyncio.get_running_loop())
    number = 0

    def told(number):
        return lambda seq: print(seq, number, flush=True)

    while True:
        while book.append(Entry("car", datetime.now(UTC), b"%d" % number), (), told(number)):
            number += 1
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_what_was_told_survives_a_kill(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    lines = [writer.stdout.readline() for _ in range(2_000)]
    os.kill(writer.pid, signal.SIGKILL)
    rest, _ = writer.communicate()
    lines += rest.splitlines(keepends=True)
    told = [tuple(map(int, line.split())) for line in lines if line.endswith(b"\n")]
    assert len(told) >= 2_000

    book = Journal.open(tmp_path)
    kept = [(seq, int(body)) for seq, _, _, body in book.read(0, 1_000_000)]
    book.close()
    assert [seq for seq, _ in kept] == list(range(1, len(kept) + 1))
    assert kept[: len(told)] == told
