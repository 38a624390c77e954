"""Late points are counted where they belong: as if they had never been late."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import trips
from bridge.assess import Limits as PositionLimits
from bridge.model import Report, Status
from bridge.record import Record
from bridge.recount import Limits, Numbered, recount, window
from bridge.trips import Trip
from bridge.vehicle import EMPTY, VehicleState, fold, fold_act, judge
from tests.bridge.sayings import HERE, LIVE_AGE, METRE, NOW, fix, report

LIMITS = Limits(PositionLimits(), trips.Limits())
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Story:
    """A vehicle whose reports come in some order, with the trips that were told of it."""

    def __init__(self) -> None:
        self.state: VehicleState = EMPTY
        self.rows: list[Numbered] = []
        self.trips: dict[datetime, Trip] = {}

    def comes(self, one: Report, now: datetime) -> None:
        judged = judge(self.state, one, now=now, live_age=LIVE_AGE)
        folded = fold(self.state, one, judged)
        self.state = folded.state
        self.rows.append((len(self.rows) + 1, Record(one, "tcp", judged, folded.rings)))
        if folded.trip is not None:
            self.trips[folded.trip.started_at] = folded.trip

    def counted(self, now: datetime) -> None:
        """Count late points as the upkeep does."""
        stretch = window(self.state, list(self.trips.values()), LIMITS.trips.gap, now)
        within = [row for row in self.rows if stretch.since <= row[1].judged.at <= stretch.until]
        within.sort(key=lambda row: row[1].judged.at)
        act = recount(
            self.state, stretch, lambda: within, list(self.trips.values()), limits=LIMITS, now=now
        )
        self.trips = {
            start: trip
            for start, trip in self.trips.items()
            if not stretch.since <= start <= stretch.until
        } | {trip.started_at: trip for trip in act.trips}
        self.state = fold_act(self.state, act).state


def way(minutes: int, *, step_s: int = 30, pauses: bool = True) -> list[Report]:
    """A way through town: north at 50 km/h, a stop of ten minutes each half hour, ignition off."""
    found, north, was_off = [], 0.0, True
    for step in range(minutes * 60 // step_s):
        at = NOW + timedelta(seconds=step * step_s)
        off = pauses and (step * step_s // 60) % 40 >= 30
        speed = 0.0 if off else 50.0
        north += 0.0 if off or was_off else step_s * 50 / 3.6
        was_off = off
        place = fix(at, latitude=HERE["latitude"] + north * METRE, speed_kmh=speed)
        found.append(report(at, fix=place, status=Status(ignition=not off)))
    return found


def arrive(said: list[Report], blind: range, uploaded_at: datetime) -> Story:
    """Reports of a blind spot come later, all at once, as stored ones; the others in time."""
    story = Story()
    kept = [one for number, one in enumerate(said) if number in blind]
    for number, one in enumerate(said):
        if number not in blind:
            if kept and one.received_at >= uploaded_at:
                upload(story, kept, uploaded_at)
                kept = []
            story.comes(one, one.received_at)
    upload(story, kept, max(uploaded_at, said[-1].received_at))
    return story


def upload(story: Story, kept: list[Report], at: datetime) -> None:
    for one in kept:
        stored = report(
            at, fix=one.fix, status=one.status, device_time=one.device_time,
            extra={"replayed": True},
        )  # fmt: skip
        story.comes(stored, at)


def in_time(said: list[Report]) -> Story:
    return arrive(said, range(0), NOW)


@pytest.mark.parametrize(
    "blind",
    [range(20, 40), range(10), range(55, 90), range(100, 120), range(30, 130)],
    ids=["in a trip", "its beginning", "over a stop", "another trip", "most of it"],
)
def test_a_blind_spot_leaves_no_trace_in_trips_and_odometer(blind: range) -> None:
    said = way(125)
    story, whole = arrive(said, blind, NOW + 120 * MINUTE), in_time(said)
    missed = whole.state.journey.odometer_m - story.state.journey.odometer_m
    assert missed >= -1
    story.counted(NOW + 126 * MINUTE)
    assert story.state.journey.odometer_m == pytest.approx(whole.state.journey.odometer_m, abs=1)
    assert shape(story) == shape(whole)
    assert story.state.uncounted is None


def shape(story: Story) -> list[tuple[datetime, datetime, int]]:
    running = trips.running(story.state.journey)
    every = [*story.trips.values(), *([running] if running is not None else [])]
    return sorted((one.started_at, one.ended_at, round(one.distance_m / 10)) for one in every)


def test_counting_twice_adds_nothing() -> None:
    story = arrive(way(125), range(20, 40), NOW + 120 * MINUTE)
    story.counted(NOW + 126 * MINUTE)
    metres, seen = story.state.journey.odometer_m, shape(story)
    upload(story, [way(125)[25]], NOW + 127 * MINUTE)
    story.counted(NOW + 128 * MINUTE)
    assert story.state.journey.odometer_m == pytest.approx(metres, abs=1)
    assert shape(story) == seen


def test_an_upload_of_another_day_leaves_the_trip_that_runs_alone() -> None:
    story = in_time(way(20))
    running = trips.running(story.state.journey)
    yesterday = [
        report(one.received_at - 24 * HOUR, fix=fix(
            one.received_at - 24 * HOUR, latitude=one.fix.latitude, speed_kmh=one.fix.speed_kmh),
            status=one.status)
        for one in way(35) if one.fix is not None
    ]  # fmt: skip
    upload(story, yesterday, NOW + 21 * MINUTE)
    story.counted(NOW + 22 * MINUTE)
    assert trips.running(story.state.journey) == running
    assert [trip.started_at for trip in story.trips.values()] == [NOW - 24 * HOUR]
    assert story.state.journey.odometer_m == pytest.approx((19.5 + 29.5) * 60 * 50 / 3.6, rel=0.01)


@given(st.sets(st.integers(0, 249), max_size=60), st.integers(0, 130))
def test_whatever_comes_late_the_odometer_never_falls(late: set[int], minute: int) -> None:
    said = way(125)
    story = Story()
    kept = [one for number, one in enumerate(said) if number in late]
    for number, one in enumerate(said):
        if number not in late:
            story.comes(one, one.received_at)
    upload(story, kept, NOW + (125 + minute) * MINUTE)
    before = story.state.journey.odometer_m
    if story.state.uncounted is not None:
        story.counted(NOW + (126 + minute) * MINUTE)
    assert story.state.journey.odometer_m >= before
    told = sorted(story.trips.values(), key=lambda trip: trip.started_at)
    for one, other in itertools.pairwise(told):
        assert one.ended_at <= other.started_at
