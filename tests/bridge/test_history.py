"""The past as it is asked for: each point once, in the order of its own time, in bounded pages."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from bridge import history
from bridge.assess import Verdict
from bridge.config import Config
from bridge.database import Batch, Database
from bridge.errors import RequestError, StorageError
from bridge.history import Page, Point, Span
from bridge.intake import Intake
from bridge.journal import FILE_NAME, Entry, Journal
from bridge.registry import Registry
from bridge.requests import Requests
from tests.bridge.past import EVENING, MORNING, STEP_M, at, diary, drive, fill, place
from tests.bridge.sayings import report
from tests.conftest import eventually

DAY = Span(MORNING, EVENING)


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await fill(tmp_path / "data")
    return tmp_path / "data"


def pages(
    journal: Journal, limit: int, *, everything: bool = False, span: Span = DAY
) -> list[list[Point]]:
    """Read page by page, as a program does that asks for the next."""
    found: list[list[Point]] = []
    after: str | None = ""
    while after is not None:
        page = history.points(journal, "golf", span, after, limit, everything=everything)
        assert len(page.points) <= limit
        found.append(page.points)
        after = page.next
    return found


async def test_points_are_those_that_are_believed_in_the_order_of_their_own_time(
    data: Path,
) -> None:
    with history.opened(data) as journal:
        page = history.points(journal, "golf", DAY)
    assert page.next is None
    times = [point.time for point in page.points]
    assert times == sorted(times)
    driven = [one.fix.time for start in (0, 60, 120, 180) for one in drive(start) if one.fix]
    assert times == sorted([*driven, at(10), at(20)])
    late = [point for point in page.points if at(120) <= point.time <= at(124)]
    assert {point.verdict for point in late} == {Verdict.HISTORICAL}
    assert late[0].seq > page.points[-1].seq
    assert late[0].latitude == place(16 * STEP_M)["latitude"]
    assert late[0].speed_kmh == 60.0
    parked = next(point for point in page.points if point.time == at(20))
    assert parked.verdict is Verdict.PARKED
    (sos,) = (point for point in page.points if point.alarm)
    assert (sos.alarm, sos.rang) == ("sos", ("sos",))


async def test_pages_concatenated_are_the_whole(data: Path) -> None:
    with history.opened(data) as journal:
        for everything in (False, True):
            whole = list(history.every_point(journal, "golf", DAY, everything=everything))
            for limit in (1, 2, 7, len(whole), 1000):
                parts = pages(journal, limit, everything=everything)
                assert [point for part in parts for point in part] == whole
                assert all(parts)  # none is empty, not even the last


async def test_a_day_that_is_uploaded_after_it_was_heard_is_no_second_track(data: Path) -> None:
    """A memory card holds what came over the network, too, and is read as often as one likes."""
    with history.opened(data) as journal:
        before = list(history.every_point(journal, "golf", DAY))
        heard = len(list(history.every_point(journal, "golf", DAY, everything=True)))
    again = [
        one
        for start, place in ((0, 0), (60, 8))
        for one in drive(start, place * STEP_M, received=250)
    ]
    async with diary(data) as book:
        await book.say(*again, *again)
    with history.opened(data) as journal:
        assert list(history.every_point(journal, "golf", DAY)) == before
        for limit in (1, 7):
            assert [point for part in pages(journal, limit) for point in part] == before
        everything = list(history.every_point(journal, "golf", DAY, everything=True))
    assert len(everything) == heard + 2 * len(again)


async def test_a_page_never_looks_at_more_than_it_may(data: Path) -> None:
    async with diary(data) as book:
        await book.say(*(report(at(300 + step / 60)) for step in range(60)))
    with history.opened(data) as journal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "MOST_ROWS", 10)
        patch.setattr(history, "_ROWS", 5)
        span = Span(at(290), EVENING)
        parts = pages(journal, 1000, span=span)
        assert parts == [[]] * 7  # nothing but reports without a place; `next` went on
        heard = pages(journal, 1000, everything=True, span=span)
        assert [len(part) for part in heard] == [10] * 6 + [0]


async def test_everything_is_every_report_with_what_was_thought_of_it(data: Path) -> None:
    with history.opened(data) as journal:
        heard = history.points(journal, "golf", DAY, everything=True).points
    verdicts = {point.time: point.verdict for point in heard}
    assert verdicts[at(21)] is Verdict.NO_FIX
    assert verdicts[at(22)] is None
    assert verdicts[at(66)] is Verdict.JUMP
    said = next(point for point in heard if point.time == at(22))
    assert said.status is not None
    assert said.status.battery_percent == 80
    assert said.latitude is None
    assert {point.late for point in heard if at(120) <= point.time <= at(124)} == {True}
    assert {point.keyword for point in heard} == {"tracker", "help me"}


async def test_trips_late_ones_too_and_the_stops_between_them(data: Path) -> None:
    with history.opened(data) as journal:
        travels = history.trips_of(journal, "golf", DAY)
        began = [trip.started_at for trip in travels.trips]
        assert began == [at(0), at(60), at(120), at(180)]
        assert [stop.since for stop in travels.stops] == [trip.ended_at for trip in travels.trips][
            :-1
        ]
        assert [stop.until for stop in travels.stops] == began[1:]
        first = travels.stops[0]
        assert first.duration_s == 56 * 60
        assert first.latitude == pytest.approx(place(7 * STEP_M)["latitude"])
        for limit in (1, 2, 3, 4, 200):
            trips, stops, after = [], [], ""
            while True:
                page = history.trips_of(journal, "golf", DAY, after, limit)
                assert len(page.trips) <= limit
                trips += page.trips
                stops += page.stops
                if page.next is None:
                    break
                after = page.next
            assert (trips, stops) == (travels.trips, travels.stops)
        inside = history.trips_of(journal, "golf", Span(at(61), at(121))).trips
        assert [trip.started_at for trip in inside] == [at(60), at(120)]
        assert history.trips_of(journal, "golf", Span(at(70), at(110))).trips == []


async def test_a_damaged_row_is_left_out(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with diary(data) as book:
        written = asyncio.Event()
        entry = Entry("golf", at(5), b"\xff", at=at(5))
        assert book.journal.append(entry, (), lambda _: written.set())
        await written.wait()
    with history.opened(data) as journal:
        assert len(list(history.every_point(journal, "golf", DAY))) == 38
    assert "is left out" in caplog.text


# --- the file -------------------------------------------------------------------------------------


async def test_it_is_read_while_a_bridge_writes_it_and_nothing_is_changed(data: Path) -> None:
    async with diary(data) as book:
        with history.opened(data) as journal:
            before = len(history.points(journal, "golf", DAY).points)
            await book.say(*drive(300, 40 * STEP_M))
            assert len(history.points(journal, "golf", DAY).points) == before + 9
        # Whoever has read must not have moved what the writer has written.
        await book.say(*drive(320, 48 * STEP_M))
        assert book.journal.failed is None
    bytes_before = (data / FILE_NAME).read_bytes()
    with history.opened(data) as journal:
        assert len(history.points(journal, "golf", DAY).points) == before + 18
        with pytest.raises(StorageError, match="cannot use"):
            journal._database.write(Batch(entries=[Entry("golf", MORNING, b"")]))
    assert (data / FILE_NAME).read_bytes() == bytes_before


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="nothing has been kept there yet"),
        history.opened(tmp_path),
    ):
        pass
    (tmp_path / FILE_NAME).write_bytes(b"Dear diary, " * 100)
    with pytest.raises(StorageError, match="damaged"):
        Database.look(tmp_path / FILE_NAME)
    (tmp_path / FILE_NAME).write_bytes(b"")
    with pytest.raises(StorageError, match="no journal of this program"):
        Database.look(tmp_path / FILE_NAME)


def test_an_older_schema_wants_the_bridge_to_be_started(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "journal_v1.sql").read_text())
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(StorageError, match=r"older version.*start the bridge once"):
        Database.look(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="newer version"):
        Database.look(path)


async def test_who_is_known_to_a_data_folder(data: Path, tmp_path: Path) -> None:
    assert {key: one.name for key, one in history.known_vehicles(data).items()} == {
        "golf": "My Golf",
        "van": "My Van",
    }
    (data / "registry.json").replace(data / "registry.json.1")
    assert set(history.known_vehicles(data)) == {"golf", "van"}
    (data / "registry.json.1").write_text("{")
    assert history.known_vehicles(data) == {}
    assert history.known_vehicles(tmp_path / "gone") == {}


# --- times ----------------------------------------------------------------------------------------

NOW = datetime(2026, 5, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def berlin() -> Any:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-05-01T10:00:00Z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00+02:00", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),  # winter there, though now is May
        ("today", datetime(2026, 5, 1, 22, tzinfo=UTC)),
        ("yesterday", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(days=7)),
    ],
)
def test_times_as_people_type_them(typed: str, meant: datetime) -> None:
    assert history.local_moment(typed, "--from", NOW) == meant


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("noon", "is no time: 'noon'; write today"),
        ("2026-05-01T10:00:00", "no time zone"),
        ("2026-13-01", "no time that there is"),
        ("2026-02-30T10:00:00Z", "no time that there is"),
        ("0001-01-01T00:00:00+14:00", "no time that there is"),
        ("9999-12-31T23:59:59-14:00", "no time that there is"),
        ("999999w", "no time that there is"),
        ("", "is no time"),
        ("x" * 5000, "is no time: 'x{40}'"),
    ],
)
def test_times_that_are_none(typed: str, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        history.local_moment(typed, "--from", NOW)


# --- requests -------------------------------------------------------------------------------------


@pytest.fixture
async def ask(data: Path) -> Any:
    journal = Journal.open(data)
    journal.start(asyncio.get_running_loop())
    intake = Intake(Config(), Registry.open(data, "tk103b"), journal, lambda: at(190))
    intake.restore()
    requests = Requests(intake, cast(Any, None))

    async def asked(verb: str, **body: object) -> Any:
        response = await requests.answer(verb, json.dumps(body).encode())
        return json.loads(msgspec.json.encode(response))

    asked.requests = requests  # type: ignore[attr-defined] # for a look at what is remembered
    yield asked
    await asyncio.to_thread(journal.close)


async def test_a_track_is_asked_for_page_by_page(ask: Any, data: Path) -> None:
    wanted = {"key": "golf", "from": "2026-05-01T08:00:00Z", "to": "2026-05-01T20:00:00Z"}
    whole = (await ask("get_track", **wanted))["data"]
    assert "next" not in whole
    found, after = [], ""
    while after is not None:
        page = (await ask("get_track", **wanted, limit=5, after=after))["data"]
        found += page["points"]
        after = page.get("next")
    assert found == whole["points"]
    with history.opened(data) as journal:
        assert msgspec.convert(whole, Page) == history.points(journal, "golf", DAY)
    first = whole["points"][0]
    assert first == {
        "time": "2026-05-01T08:00:00Z",
        "seq": 1,
        "latitude": 52.52,
        "longitude": 13.41,
        "speed_kmh": 60.0,
        "satellites": 8,
        "verdict": "ok",
    }
    everything = (await ask("get_track", **wanted, all=True))["data"]["points"]
    assert len(everything) == len(found) + 3
    assert everything[0]["status"] == {"ignition": True}


async def test_without_a_range_it_is_the_last_day(ask: Any) -> None:
    found = (await ask("get_track", key="golf"))["data"]["points"]
    assert found[0]["time"] == "2026-05-01T08:00:00Z"
    assert len((await ask("get_trips", key="golf"))["data"]["trips"]) == 4
    earlier = (await ask("get_track", key="golf", to="2026-05-01T07:59:59Z"))["data"]
    assert earlier == {"points": []}


async def test_trips_are_answered_as_they_are_published(ask: Any) -> None:
    data = (await ask("get_trips", key="golf", limit=3))["data"]
    first = data["trips"][0]
    assert first["started_at"] == "2026-05-01T08:00:00Z"
    assert first["distance_km"] == pytest.approx(7 * STEP_M / 1000, abs=0.01)
    assert first["start"] == {"latitude": 52.52, "longitude": 13.41}
    assert data["stops"][0]["duration_s"] == 3360
    rest = (await ask("get_trips", key="golf", after=data["next"]))["data"]
    assert len(rest["trips"]) == 1
    assert len(rest["stops"]) == 1
    assert "next" not in rest


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "key is missing"),
        ({"key": "gulf"}, "there is no vehicle 'gulf'"),
        ({"key": "golf", "from": "yesterday"}, "from is no time: 'yesterday'"),
        ({"key": "golf", "from": "2026-05-01T10:00:00"}, "from says no time zone"),
        ({"key": "golf", "to": "0001-01-01T00:00:00Z"}, "to is no time that there is"),
        (
            {"key": "golf", "from": "2026-05-02T00:00:00Z", "to": "2026-05-01T00:00:00Z"},
            "from is after to: 2026-05-02T00:00:00Z is later than 2026-05-01T00:00:00Z",
        ),
        ({"key": "golf", "from": 5}, "from must be text"),
        ({"key": "golf", "limit": 0}, "limit must be a whole number from 1"),
        ({"key": "golf", "limit": 1001}, "limit must be a whole number from 1"),
        ({"key": "golf", "after": "17"}, "after is not what a page before"),
        ({"key": "golf", "after": "9" * 70}, "after is not what a page before"),
    ],
)
@pytest.mark.parametrize("verb", ["get_track", "get_trips"])
async def test_what_is_asked_wrongly_is_told(
    ask: Any, verb: str, body: dict[str, Any], complaint: str
) -> None:
    response = await ask(verb, **body)
    assert response["status"] == "error"
    assert complaint in response["error"]


async def test_a_cursor_from_nowhere_is_an_error_or_the_end_but_no_mishap(ask: Any) -> None:
    for verb in ("get_track", "get_trips"):
        for after in ("999999999999999.999999999999999999", "-999999999999999.0"):
            response = await ask(verb, key="golf", after=after)
            assert response["status"] in ("ok", "error")


async def test_what_was_read_is_not_kept_in_memory(ask: Any) -> None:
    response = await ask("get_track", key="golf", transaction="t1")
    assert response["transaction"] == "t1"
    assert not ask.requests._answered


async def test_the_loop_goes_on_while_the_disk_is_slow(ask: Any) -> None:
    journal = ask.requests._intake.journal
    reached, released = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    track = journal.track

    def slow(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(reached.set)
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10)
        return track(*arguments)

    journal.track = slow
    asking = asyncio.create_task(ask("get_track", key="golf"))
    await reached.wait()
    assert not asking.done()
    released.set()
    assert (await asking)["status"] == "ok"
    await eventually(asking.done)
