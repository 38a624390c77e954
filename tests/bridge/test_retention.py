"""What is let go, what stays, and that nobody waits for it."""

import asyncio
import random
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.database import Batch, Database, Entry, Told
from bridge.journal import Journal, Keep, Retained
from bridge.retention import STEP_PAGES, STEP_ROWS
from bridge.schema import ROW_BYTES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = NOON - timedelta(days=9999), NOON + timedelta(days=9999)


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def entry(number: int, vehicle: str = "car", size: int = 40, **more) -> Entry:
    return Entry(vehicle, moment(number), bytes(size), **more)


def kept(book: Database, vehicle: str = "car") -> list[int]:
    return [seq for seq, _, _, _ in book.entries_of(vehicle, 0, 1_000_000)]


def track(book: Database) -> list[Told]:
    return book.track("car", *EVER, None, 99_999)


def let_go(book: Database, keep: Keep, vehicle: str = "car") -> Retained:
    """Take all steps; none of them may be a large one, and the sums stay right."""
    retained, before = Retained(), 0
    for retained in book.retain(vehicle, keep):
        assert retained.deleted - before <= STEP_ROWS
        before = retained.deleted
    rows = book.entries_of(vehicle, 0, 1_000_000)
    size = sum(len(body) + ROW_BYTES for _, _, _, body in rows)
    assert book.counts(vehicle)[:2] == (len(rows), size)
    return retained


@pytest.fixture
def book(tmp_path):
    opened = Database.open(tmp_path / "journal.db")
    yield opened
    opened.close()


# --- by days --------------------------------------------------------------------------------------


def test_what_was_received_before_goes_and_nothing_else(book):
    trip = (moment(1), moment(2), b"trip")
    book.write(Batch(entries=[entry(n, trips=(trip,)) for n in range(1, 1301)]))
    book.write(Batch(entries=[entry(n, "van") for n in range(9)], frames=[]))
    done = let_go(book, Keep(before=moment(1201)))
    assert kept(book) == list(range(1201, 1301))
    assert done == Retained(deleted=1200, freed_bytes=1200 * 100)
    assert len(kept(book, "van")) == 9
    assert book.trips("car", *EVER, 9) == [b"trip"]
    assert (book.first_seq, book.last_seq) == (1201, 1309)
    assert let_go(book, Keep(before=moment(1201))) == Retained()


def test_days_spare_what_a_sink_has_not_acknowledged(book):
    book.write(Batch(entries=[entry(n) for n in range(10)], cursors={"mqtt": 9, "relay": 4}))
    let_go(book, Keep(before=moment(99)))
    assert kept(book) == [5, 6, 7, 8, 9, 10]
    book.write(Batch(cursors={"relay": 8}))
    let_go(book, Keep(before=moment(99)))
    assert kept(book) == [9, 10]


def test_what_is_in_no_checkpoint_of_its_vehicle_stays(book):
    book.write(Batch(entries=[entry(n) for n in range(10)], checkpoints={"car": (6, b"")}))
    let_go(book, Keep(before=moment(99)))
    assert kept(book) == [7, 8, 9, 10]
    let_go(book, Keep(max_bytes=0))
    assert kept(book) == [7, 8, 9, 10]


def test_a_clock_that_was_set_back_hides_nothing_old(book):
    times = [*range(1000, 1100), *range(700), *range(1100, 1200)]
    book.write(Batch(entries=[entry(n) for n in times]))
    let_go(book, Keep(before=moment(1000)))
    assert kept(book) == [*range(1, 101), *range(801, 901)]


# --- by size --------------------------------------------------------------------------------------


def test_the_oldest_go_until_the_rest_fits_and_sinks_hear_what_they_missed(book):
    book.write(Batch(entries=[entry(n % 7) for n in range(1500)]))
    book.write(Batch(entries=[entry(1, "van")], cursors={"mqtt": 1400, "relay": 600, "page": 0}))
    done = let_go(book, Keep(max_bytes=30_050))
    assert kept(book) == list(range(1201, 1501))
    assert done.deleted == 1200
    assert done.freed_bytes == 120_000
    assert done.overtaken == {"relay": 600, "page": 1200}
    assert kept(book, "van") == [1501]
    assert book.first_seq == 1201
    assert let_go(book, Keep(max_bytes=30_050)) == Retained()
    done = let_go(book, Keep(max_bytes=29_999))
    assert (done.deleted, done.overtaken) == (1, {"relay": 1, "page": 1})
    let_go(book, Keep(max_bytes=0))
    assert kept(book) == []
    assert book.first_seq == 1501


# --- thinned --------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=60),
    before=st.integers(0, 400),
    apart=st.integers(1, 60),
    cursor=st.none() | st.integers(0, 60),
)
def test_of_plain_entries_one_in_so_many_seconds_stays(rows, before, apart, cursor):
    with tempfile.TemporaryDirectory() as folder:
        book = Database.open(Path(folder) / "journal.db")
        entries = [entry(9999, at=moment(at), plain=plain) for at, plain in rows]
        cursors = {} if cursor is None else {"mqtt": cursor}
        book.write(Batch(entries=entries, cursors=cursors))
        keep = Keep(thin_before=moment(before), thin_s=apart)
        done = let_go(book, keep)
        left = set(kept(book))
        again = let_go(book, keep)
        book.close()
    gone = [seq for seq in range(1, len(rows) + 1) if seq not in left]
    assert done.deleted == done.thinned == len(gone)
    assert again.deleted == 0
    assert done.overtaken == {}
    for seq in gone:
        at, plain = rows[seq - 1]
        assert plain
        assert at < before
        assert cursor is None or seq <= cursor
    old = sorted((rows[seq - 1][0], seq) for seq in left if rows[seq - 1][1])
    old = [(at, seq) for at, seq in old if at < before]
    for (at, _), (later, seq) in pairwise(old):
        assert later - at >= apart or (cursor is not None and seq > cursor)
    for seq in gone:  # one that stays speaks for it
        assert any(0 <= rows[seq - 1][0] - at < apart for at, _ in old)


def test_thinning_looks_at_all_pages(book):
    rows = [entry(n, plain=n % 10 != 0, at=moment(n)) for n in range(2000)]
    random.Random(7).shuffle(rows)  # noqa: S311 - the same each time
    book.write(Batch(entries=rows))
    done = let_go(book, Keep(thin_before=moment(1500), thin_s=100))
    left = [at for _, at, _, _ in track(book)]
    base = int(NOON.timestamp())
    seconds = [at // 1000 - base for at in left]
    plain = [n for n in seconds if n % 10]
    assert [n for n in seconds if n % 10 == 0] == list(range(0, 2000, 10))
    assert [n for n in plain if n < 1500] == [*range(1, 1500, 100)]
    assert [n for n in plain if n >= 1500] == [n for n in range(1500, 2000) if n % 10]
    assert done.thinned == 1350 - 15


def test_thinning_goes_on_where_it_was_and_from_what_a_sink_had_not(book):
    keep = Keep(thin_before=moment(60), thin_s=10)
    rows = [entry(n, plain=True, at=moment(n)) for n in range(100)]
    book.write(Batch(entries=rows, cursors={"mqtt": 35}))
    assert let_go(book, keep).thinned == 31
    book.write(Batch(cursors={"mqtt": 100}))
    assert let_go(book, keep).thinned == 54 - 31
    assert book._thinned == {"car": (10_000, int(moment(50).timestamp()) * 1000)}
    assert let_go(book, Keep(thin_before=moment(100), thin_s=10)).thinned == 36
    assert let_go(book, Keep(thin_before=moment(100), thin_s=50)).thinned == 8
    left = [(at - int(NOON.timestamp()) * 1000) // 1000 for _, at, _, _ in track(book)]
    assert left == [0, 50]


# --- while the bridge works -----------------------------------------------------------------------


class Work:
    """A journal in use, with some entries in it."""

    def __init__(self, folder: Path, rows: int, size: int = 40) -> None:
        filled = Database.open(folder / "journal.db")
        for first in range(0, rows, 1000):
            last = min(rows, first + 1000)
            filled.write(Batch(entries=[entry(n, size=size) for n in range(first, last)]))
        filled.close()
        self.book = Journal.open(folder)
        self.loop = asyncio.get_running_loop()

    def retain(self, keep: Keep) -> asyncio.Future[Retained]:
        done: asyncio.Future[Retained] = self.loop.create_future()
        self.book.retain("car", keep, done.set_result)
        return done

    async def append(self, **more) -> int:
        told = self.loop.create_future()
        assert self.book.append(entry(1, **more), (), told.set_result)
        return await asyncio.wait_for(told, 10)


async def test_the_file_shrinks_while_it_is_written_to(tmp_path):
    work = Work(tmp_path, 8000, size=200)
    path = tmp_path / "journal.db"
    large = path.stat().st_size
    work.book.start(work.loop)
    done = work.retain(Keep(max_bytes=200_000))
    seqs = []
    while not done.done():
        seqs.append(await work.append(vehicle="van"))
    retained = done.result()
    assert retained.fault is None
    assert seqs == list(range(8001, 8001 + len(seqs)))
    assert len(seqs) > 3
    assert work.book.first_seq == retained.deleted + 1
    assert retained.freed_bytes == retained.deleted * 260
    assert path.stat().st_size < large / 4
    rows = work.book.read(0, 99_999)
    assert [row[0] for row in rows] == list(range(work.book.first_seq, 8001 + len(seqs)))
    await asyncio.to_thread(work.book.close)


async def test_a_report_waits_for_one_step_at_most(tmp_path):
    work = Work(tmp_path, 5 * STEP_ROWS)
    database, log, told = work.book._database, [], threading.Event()
    retain, write = database.retain, database.write

    def steps(vehicle, keep):
        for retained in retain(vehicle, keep):
            log.append("step")
            if log.count("step") == 2:  # a report comes in the middle of the second one
                work.loop.call_soon_threadsafe(report)
                assert told.wait(10)
            yield retained

    def report():
        assert work.book.append(entry(1), (), lambda _: None)
        told.set()

    def written(batch):
        log.append("report" if batch.entries else "write")
        return write(batch)

    database.retain, database.write = steps, written
    done = work.retain(Keep(max_bytes=0))
    work.book.start(work.loop)
    await asyncio.wait_for(done, 10)
    assert log[:4] == ["write", "step", "step", "report"]
    assert log.count("step") >= 5
    await asyncio.to_thread(work.book.close)


async def test_a_bridge_that_never_rests_gets_rid_of_it_all_the_same(tmp_path):
    work = Work(tmp_path, 3 * STEP_ROWS)
    database, write, waits = work.book._database, work.book._database.write, threading.Event()
    done = work.retain(Keep(max_bytes=0))
    told = []

    def report():
        assert work.book.append(entry(1), (), told.append)
        waits.set()

    def written(batch):
        if (
            not done.done() and len(told) < 99
        ):  # when one group is written, the next one waits already
            waits.clear()
            work.loop.call_soon_threadsafe(report)
            assert waits.wait(10)
        return write(batch)

    database.write = written
    work.book.start(work.loop)
    assert (await asyncio.wait_for(done, 10)).deleted == 3 * STEP_ROWS
    assert 3 <= len(told) < 99
    await asyncio.to_thread(work.book.close)


async def test_it_comes_after_what_was_queued_before(tmp_path):
    work = Work(tmp_path, 10)
    work.book.append(entry(1), (), lambda _: None)
    work.book.checkpoint("car", 11, b"")
    work.book.save_cursor("mqtt", 11)
    done = work.retain(Keep(before=moment(999)))
    work.book.start(work.loop)
    assert (await asyncio.wait_for(done, 10)).deleted == 11
    assert (work.book.first_seq, work.book.last_seq) == (12, 11)
    await asyncio.to_thread(work.book.close)


async def test_what_the_disk_refuses_is_broken_off_and_said(tmp_path):
    work = Work(tmp_path, 10)
    work.book.start(work.loop)
    execute = work.book._database._writer.execute
    execute("CREATE TRIGGER no BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'not now'); END")
    retained = await asyncio.wait_for(work.retain(Keep(max_bytes=0)), 10)
    assert "not now" in retained.fault
    assert retained.deleted == 0
    assert work.book.failed is None
    execute("DROP TRIGGER no")
    assert await work.append() == 11
    retained = await asyncio.wait_for(work.retain(Keep(max_bytes=0)), 10)
    assert (retained.fault, retained.deleted) == (None, 11)
    await asyncio.to_thread(work.book.close)


async def test_closing_does_not_wait_for_it_and_the_next_time_goes_on(tmp_path):
    work = Work(tmp_path, 3 * STEP_ROWS)
    database, retain, closing = work.book._database, work.book._database.retain, threading.Event()

    def steps(vehicle, keep):
        for retained in retain(vehicle, keep):
            closing.set()
            with work.book._wakeup:
                assert work.book._wakeup.wait_for(lambda: work.book._closing, 10)
            yield retained

    database.retain = steps
    work.book.retain("car", Keep(max_bytes=0), lambda _: pytest.fail("it was not done"))
    work.book.start(work.loop)
    assert await asyncio.to_thread(closing.wait, 10)
    await asyncio.to_thread(work.book.close)
    again = Database.open(tmp_path / "journal.db")
    assert kept(again) == list(range(STEP_ROWS + 1, 3 * STEP_ROWS + 1))
    let_go(again, Keep(max_bytes=0))
    assert kept(again) == []
    again.close()


def test_space_comes_back_in_small_steps(book, tmp_path):
    book.write(Batch(entries=[entry(n, size=2000) for n in range(1000)]))
    book.write(Batch(purged=("car", ())))

    def free() -> int:
        return book._writer.execute("PRAGMA freelist_count").fetchone()[0]

    counts = [free(), *(free() for _ in book.retain("car", Keep()))]
    assert len(counts) > 4
    assert all(0 < before - after <= STEP_PAGES for before, after in pairwise(counts))
    assert counts[-1] == 0
    assert (tmp_path / "journal.db").stat().st_size < 200_000
