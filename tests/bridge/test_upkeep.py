"""What time alone brings about, on a real journal: trips end, late points count, history goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge import trips, upkeep
from bridge.config import Config, History
from bridge.fleet import Fleet, Live
from bridge.journal import Journal
from bridge.model import Alarm, Status
from bridge.record import Record, decode_trip
from bridge.registry import Vehicle
from bridge.upkeep import SETTLED, Upkeep
from bridge.vehicle import Recounted, Silence
from tests.bridge.port import Disk, World
from tests.bridge.sayings import HERE, LIVE_AGE, METRE, NOW, fix, report
from tests.conftest import eventually

GOLF = Vehicle(key="golf", name="Golf", trackers=("864000000001234",), accepted_at=NOW)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class House:
    """A fleet with one vehicle, its upkeep, and a clock in our hand."""

    def __init__(self, folder: Path, **history: int) -> None:
        self.now = NOW
        self.journal = Journal.open(folder)
        self.journal.start(asyncio.get_running_loop())
        rules = Config(history=History(**history)).rules
        self.fleet = Fleet(self.journal, LIVE_AGE, rules)
        self.world = World()
        self.fleet.watchers.append(self.world)
        self.live: Live = self.fleet.take_in(GOLF)
        self.upkeep = Upkeep(self.fleet, lambda: self.now)

    async def hears(self, at: datetime, north_m: float, east_m: float = 0, **more: Any) -> None:
        place = fix(
            at,
            latitude=HERE["latitude"] + north_m * METRE,
            longitude=HERE["longitude"] + east_m * METRE * 1.64,
            speed_kmh=50.0,
        )
        wanted = self.journal.last_seq + 1
        one = report(self.now, fix=place, device_time=at, **more)
        assert self.fleet.append(self.live, one, now=self.now)
        await self.settled(wanted)

    async def settled(self, seq: int) -> None:
        await eventually(lambda: self.live.seq >= seq)

    async def drives(self, *minutes: int) -> None:
        for minute in minutes:
            self.now = NOW + minute * MINUTE
            await self.hears(self.now, minute * 800.0, status=Status(ignition=True))

    @property
    def rows(self) -> list[object]:
        return [row for _, _, row in self.world.reports]

    def stored(self) -> list[trips.Trip]:
        found = self.journal.trips("golf", NOW - 100 * HOUR, NOW + 100 * HOUR, 100)
        return [decode_trip(body) for body in found]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path)
    yield opened
    await asyncio.to_thread(opened.journal.close)


async def test_silence_ends_a_trip_once(house: House) -> None:
    await house.drives(0, 1, 2, 3)
    await house.upkeep.look(house.live)
    assert all(isinstance(row, Record) for row in house.rows)
    house.now += 2 * HOUR
    await house.upkeep.look(house.live)
    await house.settled(5)
    await house.upkeep.look(house.live)
    [*_, act] = house.rows
    assert isinstance(act, Silence)
    assert act.trip is not None
    assert act.trip.ended_at == NOW + 3 * MINUTE
    assert house.stored() == [act.trip]
    assert len(house.rows) == 5


async def test_late_points_are_counted_once_they_have_all_come(house: House) -> None:
    await house.drives(0, 1, 8, 9)
    metres = house.live.state.journey.odometer_m
    house.now += 30 * MINUTE
    for minute in (2, 3, 4, 5, 6, 7):
        aside = 400 if minute % 2 else 0  # the way was longer than it looked
        await house.hears(NOW + minute * MINUTE, minute * 800.0, aside)
    assert house.live.state.uncounted == (NOW + 2 * MINUTE, NOW + 7 * MINUTE)
    await house.upkeep.look(house.live)
    assert not any(isinstance(row, Recounted) for row in house.rows)
    house.now += SETTLED
    await house.upkeep.look(house.live)
    await house.settled(11)
    [*_, act] = house.rows
    assert isinstance(act, Recounted)
    assert act.metres == pytest.approx(6 * (894 - 800), rel=0.1)
    state = house.live.state
    assert state.journey.odometer_m == pytest.approx(metres + act.metres)
    running = trips.running(state.journey)
    assert running is not None
    assert running.distance_m == pytest.approx(state.journey.odometer_m)
    assert state.uncounted is None


async def test_what_was_not_counted_is_counted_after_a_restart(
    house: House, tmp_path: Path
) -> None:
    await house.drives(0, 1, 8, 9)
    house.now += 3 * HOUR
    await house.upkeep.look(house.live)
    await house.settled(5)
    await house.hears(NOW + 5 * MINUTE, 5 * 800.0)
    await asyncio.to_thread(house.journal.close)
    again = House(tmp_path)
    again.now = house.now + SETTLED
    await again.upkeep.look(again.live)
    await again.settled(7)
    assert again.live.state.uncounted is None
    [trip] = again.stored()
    assert trip.points == 5
    await asyncio.to_thread(again.journal.close)


async def test_the_state_after_acts_is_what_a_restart_brings_back(house: House) -> None:
    await house.drives(0, 1, 8, 9)
    house.now += 3 * HOUR
    await house.upkeep.look(house.live)
    await house.hears(NOW + 5 * MINUTE, 5 * 800.0)
    house.now += SETTLED
    await house.upkeep.look(house.live)
    await house.settled(7)
    again = Fleet(house.journal, LIVE_AGE, house.fleet.rules)
    again.restore([GOLF])
    assert again.vehicles["golf"].state == house.live.state


async def test_history_goes_by_days_and_trips_stay(tmp_path: Path) -> None:
    house = House(tmp_path, days=30)
    await house.drives(0, 1, 2, 3)
    house.now += 2 * HOUR
    await house.upkeep.look(house.live)
    await house.settled(5)
    house.journal.save_cursor("mqtt", 5)
    house.now += timedelta(days=31)
    await house.upkeep.retain()
    await eventually(lambda: house.journal.first_seq == 6)
    assert len(house.stored()) == 1
    assert house.journal.overtaken("mqtt") == 0
    await asyncio.to_thread(house.journal.close)


DAY = timedelta(days=1)


async def test_trips_whose_points_are_gone_survive_late_points(tmp_path: Path) -> None:
    house = House(tmp_path, days=30)
    for day in range(3):
        for minute in range(4):
            house.now = NOW + day * DAY + minute * MINUTE
            await house.hears(house.now, minute * 800.0, status=Status(ignition=True))
        house.now += 2 * HOUR
        seq = house.journal.last_seq
        await house.upkeep.look(house.live)
        await house.settled(seq + 1)
    house.journal.save_cursor("mqtt", house.journal.last_seq)
    house.now = NOW + 40 * DAY
    await house.hears(house.now, 0.0)
    await house.upkeep.retain()
    await eventually(lambda: house.journal.first_seq > 12)
    odometer_m = house.live.state.journey.odometer_m
    for minute in (1, 2):
        await house.hears(NOW + minute * MINUTE + timedelta(seconds=30), minute * 800.0 + 400)
    house.now += timedelta(seconds=20)
    seq = house.journal.last_seq
    await house.upkeep.look(house.live)
    await house.settled(seq + 1)
    found = house.journal.trips("golf", NOW - DAY, NOW + 100 * DAY, 100)
    assert len(found) == 3
    assert house.live.state.journey.odometer_m == odometer_m
    assert house.live.state.uncounted is None
    await asyncio.to_thread(house.journal.close)


async def test_points_of_long_ago_are_history_and_no_more(house: House) -> None:
    await house.drives(0, 1)
    await house.hears(NOW - 20 * 365 * DAY, 0.0)
    assert house.live.state.uncounted is None


async def test_late_points_are_counted_while_others_keep_coming(house: House) -> None:
    await house.drives(0, 1, 8, 9)
    house.now += 30 * MINUTE
    await house.hears(NOW + 5 * MINUTE, 5 * 800.0)
    for second in (4, 8, 12):
        house.now += timedelta(seconds=4)
        await house.hears(house.now, 7200.0 + second)
    await house.upkeep.look(house.live)
    await eventually(lambda: house.live.state.uncounted is None)


async def test_too_many_rows_are_said_once(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "MOST_ROWS", 5)
    await house.drives(*range(10))
    house.now += 30 * MINUTE
    await house.hears(NOW + 150 * timedelta(seconds=1), 2000.0)
    for _ in range(3):
        house.now += timedelta(seconds=20)
        await house.upkeep.look(house.live)
        await house.settled(house.journal.last_seq)
    assert caplog.text.count("late points are not counted") == 1
    await eventually(lambda: house.live.state.uncounted is None)


async def test_a_vehicle_that_comes_back_while_its_reports_are_on_their_way(house: House) -> None:
    disk = Disk(house.journal._database)
    await house.drives(0, 1)
    disk.turns.clear()
    house.now = NOW + 2 * MINUTE
    last = report(house.now, fix=fix(house.now), alarm=Alarm.SOS, status=Status(ignition=False))
    assert house.fleet.append(house.live, last, now=house.now)
    house.fleet.let_go(GOLF, purge=False)
    back = house.fleet.take_in(GOLF)
    disk.turns.set()
    await eventually(lambda: house.journal.last_seq == 3)
    await eventually(lambda: back.state is back.folded)
    assert list(back.state.episodes) == ["sos"]
    again = Fleet(house.journal, LIVE_AGE, house.fleet.rules)
    again.restore([GOLF])
    assert again.vehicles["golf"].state == back.state
