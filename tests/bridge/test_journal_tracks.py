"""What is asked of the journal by a vehicle's own time: its track, its trips, how much there is."""

import asyncio
from datetime import datetime, timedelta

import pytest

from bridge.journal import Held, Journal
from tests.bridge.test_journal import NOON, commit, entry, moment, settle


@pytest.fixture
async def book(tmp_path):
    opened = Journal.open(tmp_path)
    opened.start(asyncio.get_running_loop())
    yield opened
    await asyncio.to_thread(opened.close)


def trip(start: float, end: float, body: bytes = b"") -> tuple[datetime, datetime, bytes]:
    return moment(start), moment(end), body or b"%d-%d" % (start, end)


async def track(book: Journal, since: float, until: float, limit: int = 10) -> list[bytes]:
    """Read a track page by page, as a caller does."""
    bodies: list[bytes] = []
    after = None
    while page := book.track("car", moment(since), moment(until), after, limit):
        assert len(page) <= limit
        bodies += [body for _, _, _, body in page]
        after = page[-1][1], page[-1][0]
    return bodies


async def test_a_track_is_in_the_order_of_its_own_time(book):
    await commit(book, entry(5), entry(6, "van"), entry(7), entry(7))
    await commit(book, entry(8, at=moment(1)), entry(9, at=moment(7)), entry(10, at=moment(-3)))
    for limit in (1, 2, 3, 10):
        assert await track(book, -3, 10, limit) == [b"10", b"8", b"5", b"7", b"7", b"9"]
    assert await track(book, -2.999, 6.999) == [b"8", b"5"]
    assert await track(book, 7, 7, 1) == [b"7", b"7", b"9"]
    assert await track(book, 7.001, 99) == []
    first = book.track("car", moment(-9), moment(9), None, 1)
    ms = int(NOON.timestamp() * 1000)
    assert first == [(7, ms - 3000, moment(10), b"10")]
    assert book.track("bus", moment(-9), moment(9), None, 1) == []


async def test_what_is_kept_of_a_vehicle(book):
    assert book.vehicles() == []
    await commit(book, entry(1), entry(2), entry(3, "van"), entry(12, at=moment(-5)))
    assert book.vehicles() == ["car", "van"]
    assert book.counts("car") == Held(3, 4 + 3 * 60, moment(-5), moment(2))
    assert book.counts("bus") == Held(0, 0, None, None)
    book.purge("car", ())
    await settle(book)
    assert book.vehicles() == ["van"]
    assert book.counts("car") == Held(0, 0, None, None)


async def test_trips_are_read_by_the_time_they_took(book):
    await commit(
        book, entry(1, trips=(trip(10, 20), trip(30, 40))), entry(2, trips=(trip(50, 60),))
    )
    await commit(book, entry(3, "van", trips=(trip(10, 60, b"van"),)))

    def read(since, until, limit=9):
        return book.trips("car", moment(since), moment(until), limit)

    assert read(0, 99) == [b"10-20", b"30-40", b"50-60"]
    assert read(0, 99, 2) == [b"10-20", b"30-40"]
    assert read(20, 30) == [b"10-20", b"30-40"]
    assert read(35, 36) == [b"30-40"]
    assert read(21, 29) == read(61, 99) == read(0, 9) == []


async def test_recounted_trips_take_the_place_of_those_that_started_then(book):
    await commit(book, *(entry(n, trips=(trip(n * 10, n * 10 + 5),)) for n in range(5)))
    await commit(book, entry(9, "van", trips=(trip(20, 25, b"van"),)))
    anew = entry(9, recounted=(moment(10), moment(30)), trips=(trip(8, 19), trip(21, 33)))
    await commit(book, anew)
    everything = NOON - timedelta(days=1), NOON + timedelta(days=1)
    assert book.trips("car", *everything, 9) == [b"0-5", b"8-19", b"21-33", b"40-45"]
    assert book.trips("van", *everything, 9) == [b"van"]
    await commit(book, entry(10, recounted=(moment(0), moment(99))))
    assert book.trips("car", *everything, 9) == []
    book.purge("van", ())
    await settle(book)
    assert book.trips("van", *everything, 9) == []
