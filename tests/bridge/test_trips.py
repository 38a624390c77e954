"""Trips: where they begin and end, and what they measure. Their laws: `test_trips_laws`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bridge.model import Fix
from bridge.trips import (
    EMPTY,
    Limits,
    Place,
    Point,
    Trip,
    advance,
    running,
    silence,
)
from tests.bridge.ways import Counted, recount

START = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
KM = 1000 / 111_195.08
"""A kilometre on a meridian, in degrees."""
LIMITS = Limits()
MIN_STOP_S = LIMITS.min_stop.total_seconds()
GAP_S = LIMITS.gap.total_seconds()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def point(seconds: float, km: float | None = None, **more: Any) -> Point:
    """Return a point `km` north of where everything begins; its speed may stand in `kmh`."""
    kmh = more.pop("kmh", None)
    fix = None
    if km is not None:
        fix = Fix(valid=True, latitude=47.0 + km * KM, longitude=9.5, speed_kmh=kmh)
    return Point(at=at(seconds), fix=fix, **more)


def place(km: float) -> Place:
    return Place(latitude=47.0 + km * KM, longitude=9.5)


def only(counted: Counted) -> Trip:
    (trip,) = counted.trips
    return trip


def metres(expected: float) -> Any:
    return pytest.approx(expected, abs=1)


# --- by ignition ----------------------------------------------------------------------------------


def test_ignition_begins_and_ends_a_trip() -> None:
    trip = only(
        recount(
            [
                point(0, 0, ignition=False, moving=False),
                point(60, 0, ignition=True, moving=False),
                point(90, 0.5, ignition=True, moving=True, kmh=50.0),
                point(120, 1.0, ignition=True, moving=True, kmh=62.5),
                point(150, 1.2, ignition=True, moving=False, kmh=0.0),
                point(200, ignition=False, moving=False),
            ]
        )
    )
    assert trip == Trip(
        started_at=at(60),
        ended_at=at(200),
        distance_m=trip.distance_m,
        max_speed_kmh=62.5,
        moving_s=60.0,
        points=4,
        start=place(0),
        end=place(1.2),
        by="ignition",
    )
    assert trip.distance_m == metres(1200)
    assert trip.duration_s == 140


def test_the_report_that_ends_a_trip_is_its_arrival() -> None:
    trip = only(recount([point(0, 0, ignition=True), point(60, 1, ignition=False)]))
    assert (trip.distance_m, trip.end, trip.ended_at) == (metres(1000), place(1), at(60))


def test_a_path_starts_where_the_car_was_parked() -> None:
    """The first report of a drive comes on the way."""
    trip = only(
        recount(
            [
                point(0, 0, ignition=False),
                point(60, 0.7, ignition=True),
                point(120, 1.5, ignition=False),
            ]
        )
    )
    assert (trip.start, trip.started_at) == (place(0), at(60))
    assert (trip.distance_m, trip.points) == (metres(1500), 2)


def test_a_place_from_long_ago_is_no_start() -> None:
    """Its metres are the odometer's only: nobody knows who drove them."""
    asleep_s = GAP_S + 1
    counted = recount(
        [
            point(0, 0, ignition=False),
            point(asleep_s, 5, ignition=True),
            point(asleep_s + 60, 6, ignition=False),
        ]
    )
    trip = only(counted)
    assert (trip.start, trip.distance_m) == (place(5), metres(1000))
    assert counted.distance_m == metres(6000)


def test_a_trip_waits_for_its_first_place() -> None:
    counted = recount([point(0, ignition=True), point(30, ignition=True)])
    assert running(counted.journey) is None
    trip = only(
        recount(
            [point(60, 2, ignition=True), point(90, 3, ignition=False)], journey=counted.journey
        )
    )
    assert (trip.started_at, trip.start, trip.distance_m) == (at(0), place(2), metres(1000))


def test_ignition_without_a_place_is_no_trip() -> None:
    counted = recount([point(0, ignition=True), point(30, ignition=False), point(60, 2)])
    assert counted.trips == ()
    assert counted.journey.waiting is None


def test_waiting_has_an_end() -> None:
    """A garage without reception is not part of the drive out of it."""
    waiting = [point(minute * 60.0, ignition=True, moving=False) for minute in range(75)]
    drive = [
        point(75 * 60, 0, ignition=True, moving=True),
        point(76 * 60, 1, ignition=False),
    ]
    assert only(recount([*waiting, *drive])).started_at == at(75 * 60)


def test_a_stop_with_the_engine_running_is_part_of_the_trip() -> None:
    stop = [point(60 + n * 60.0, 1, ignition=True, moving=False) for n in range(20)]
    trip = only(
        recount(
            [
                point(0, 0, ignition=True, moving=True),
                *stop,
                point(2400, 2, ignition=True, moving=True),
                point(2500, 3, ignition=False),
            ]
        )
    )
    assert (trip.ended_at, trip.distance_m) == (at(2500), metres(3000))


def test_an_ignition_that_never_goes_off_ends_trips_all_the_same() -> None:
    """Its wire is on the battery."""
    days = [
        point(hour * 3600.0 + minute * 60, km, ignition=True, moving=minute < 10)
        for hour, first in ((0, 0), (4, 10), (8, 20))
        for minute, km in ((m, first + min(m, 10)) for m in range(240))
    ]
    counted = recount(days)
    assert [trip.ended_at for trip in counted.trips] == [at(h * 3600 + 600) for h in (0, 4, 8)]
    assert [trip.distance_m for trip in counted.trips] == [metres(10_000)] * 3
    assert running(counted.journey) is None


def test_a_car_that_is_towed_drives_no_trip() -> None:
    used = recount([point(0, 0, ignition=True), point(60, 1, ignition=False)]).journey
    towed = recount(
        [point(120 + n * 30, 1 + n, ignition=False, moving=True) for n in range(10)], journey=used
    )
    assert towed.trips == ()
    assert running(towed.journey) is None
    assert towed.distance_m == metres(9000)


# --- by motion ------------------------------------------------------------------------------------


def test_motion_begins_and_a_stop_ends_a_trip() -> None:
    counted = recount(
        [
            point(0, 0, moving=False),
            point(30, 0.1, moving=True, kmh=30.0),
            point(60, 0.6, moving=True, kmh=55.0),
            point(90, 0.8, moving=False, kmh=2.0),
            point(180, 0.81, moving=False, kmh=0.0),
            point(90 + MIN_STOP_S, 0.8, moving=False, kmh=0.0),
        ]
    )
    trip = only(counted)
    assert (trip.started_at, trip.ended_at) == (at(30), at(90))
    assert (trip.start, trip.end, trip.by) == (place(0), place(0.8), "motion")
    assert (trip.distance_m, trip.points) == (metres(800), 3)
    assert (trip.max_speed_kmh, trip.moving_s) == (55.0, 60.0)
    assert counted.distance_m == metres(820)


def test_a_shorter_stop_is_traffic() -> None:
    counted = recount(
        [
            point(0, 0, moving=True),
            point(30, 0.5, moving=False),
            point(29 + MIN_STOP_S, 0.5, moving=False),
            point(30 + MIN_STOP_S, 0.6, moving=True),
        ]
    )
    assert counted.trips == ()
    trip = running(counted.journey)
    assert trip is not None
    assert trip.distance_m == metres(600)


def test_ignition_off_that_was_never_on_is_no_knowledge() -> None:
    """The wire is not connected: motion finds the trips."""
    off = [
        point(0, 0, ignition=False, moving=False),
        point(30, 0.5, ignition=False, moving=True),
        point(60, 1, ignition=False, moving=False),
        point(60 + MIN_STOP_S, 1, ignition=False, moving=False),
    ]
    trip = only(recount(off))
    assert (trip.by, trip.distance_m) == ("motion", metres(1000))


def test_ignition_first_heard_on_takes_a_trip_over() -> None:
    """It goes on as it began, and neither a stop nor silence in it ends it any longer."""
    drive = [
        point(0, 0, moving=True),
        point(30, 0.5, moving=False),
        point(40, ignition=True, moving=False),
        point(900, 0.5, ignition=True, moving=False),
        point(2000, 0.6, ignition=True, moving=True),
    ]
    arrival = point(2060, 1, ignition=False, moving=False)
    trip = only(recount([*drive, arrival]))
    assert (trip.by, trip.started_at, trip.ended_at) == ("ignition", at(0), at(2060))
    assert trip.distance_m == metres(1000)
    left_on = [point(60.0 + n * 60, 0.5, ignition=True, moving=False) for n in range(70)]
    assert only(recount([*drive[:3], *left_on])).by == "ignition"


def test_a_tracker_that_sleeps_when_parked_ends_its_trip() -> None:
    drive = [point(n * 30.0, n * 0.4, moving=n < 10) for n in range(11)]
    parked = recount(drive).journey
    again, ended, driven = advance(parked, point(1200, 4.5, moving=True))
    assert ended is not None
    assert (ended.ended_at, ended.distance_m) == (at(300), metres(4000))
    going = running(again)
    assert going is not None
    assert (going.start, going.started_at) == (place(4), at(1200))
    assert driven == going.distance_m == metres(500)


def test_a_red_light_seen_by_a_slow_tracker_is_no_stop() -> None:
    """Nor does what it says without a fix say that the car still stands."""
    drive = [point(n * 300.0, n * 4, moving=n != 3) for n in range(6)]
    alarm = point(1100, moving=False)
    counted = recount([*drive[:4], alarm, *drive[4:]])
    assert counted.trips == ()
    trip = running(counted.journey)
    assert trip is not None
    assert trip.distance_m == metres(20_000)


def test_silence_after_a_stop_ends_a_trip_at_the_stop() -> None:
    """Not at the last word that the car stands still."""
    drive = [point(0, 0, moving=True), point(60, 1, moving=False), point(160, 1, moving=False)]
    journey = recount(drive).journey
    _, ended = silence(journey, at(161 + GAP_S))
    assert ended is not None
    assert ended.ended_at == at(60)


def test_a_car_that_drives_on_has_not_stood() -> None:
    counted = recount(
        [
            point(0, 0, moving=True),
            point(30, 0.5, moving=False),
            point(60, 1, moving=True),
            point(40 + MIN_STOP_S, 2, moving=False),
        ]
    )
    assert counted.trips == ()
    assert counted.journey.stood == running(counted.journey)


def test_pace_is_learnt_within_a_trip() -> None:
    """The longest silence while it drives counts, not that of the trip before."""
    slow = [point(n * 300.0, n * 4, moving=True) for n in range(3)]
    light = [point(660, 9, moving=True), point(700, 9, moving=False)]
    journey = recount([*slow, *light]).journey
    assert silence(journey, at(1300))[1] is None
    _, ended = silence(journey, at(1301))
    assert ended is not None
    quick = [point(2000 + n * 20.0, 10 + n, moving=n < 3) for n in range(4)]
    journey = recount(quick, journey=journey).journey
    assert silence(journey, at(2060 + MIN_STOP_S))[1] is None
    _, ended = silence(journey, at(2061 + MIN_STOP_S))
    assert ended is not None
    assert ended.ended_at == at(2060)


def test_motion_remembered_without_a_fix_drives_nowhere() -> None:
    """Under ground a tracker goes on reporting, and the last that was known is that it moved."""
    drive = [point(0, 0, moving=True), point(30, 0.5, moving=True)]
    night = [point(60 + n * 60.0, moving=True) for n in range(100)]
    trip = only(recount([*drive, *night]))
    assert (trip.ended_at, trip.moving_s) == (at(30), 30.0)
    parked = recount([point(0, 0, moving=False)]).journey
    assert running(recount(night, journey=parked).journey) is None
    assert recount(night).journey.waiting is None


# --- either way -----------------------------------------------------------------------------------


def test_a_long_silence_ends_a_trip_at_its_last_point() -> None:
    for more in ({"ignition": True}, {}):
        journey = recount(
            [point(0, 0, moving=True, **more), point(60, 1, moving=True, **more)]
        ).journey
        assert silence(journey, at(60 + GAP_S)) == (journey, None)
        counted = recount([point(61 + GAP_S, 50, moving=True, **more)], journey=journey)
        trip = only(counted)
        assert (trip.ended_at, trip.distance_m) == (at(60), metres(1000))
        assert counted.distance_m == metres(49_000)
        after = running(counted.journey)
        assert after is not None
        assert (after.start, after.distance_m) == (place(50), 0.0)
        quiet, ended = silence(journey, at(61 + GAP_S))
        assert ended == trip
        assert running(quiet) is None


def test_less_than_200_metres_are_no_trip_but_metres() -> None:
    counted = recount(
        [point(0, 0, ignition=True), point(30, 0.19, ignition=True), point(60, ignition=False)]
    )
    assert counted.trips == ()
    assert counted.distance_m == counted.journey.odometer_m == metres(190)
    shorter = Limits(min_distance_m=150)
    points = [point(0, 0, ignition=True), point(30, 0.19, ignition=False)]
    assert only(recount(points, shorter)).distance_m == metres(190)


def test_a_point_older_than_the_latest_is_left_to_a_recount() -> None:
    journey = recount([point(0, 0, ignition=True), point(60, 1, ignition=True)]).journey
    assert advance(journey, point(59, 30, ignition=False)) == (journey, None, 0.0)
    _, ended, driven = advance(journey, point(60, 1.5, ignition=False))
    assert ended is not None
    assert driven == metres(500)


def test_a_trip_shows_while_it_goes_on() -> None:
    journey, _, _ = advance(EMPTY, point(0, 0, ignition=True))
    first = running(journey)
    assert first is not None
    assert (first.distance_m, first.points, first.max_speed_kmh) == (0.0, 1, None)
    assert first.moving_s is None
    assert running(EMPTY) is None


def test_the_json_of_a_trip_leaves_out_what_is_unknown() -> None:
    trip = Trip(started_at=at(0), ended_at=at(9), start=place(0), end=place(0), by="motion")
    assert msgspec.to_builtins(trip) == {
        "started_at": "2026-05-01T07:00:00Z",
        "ended_at": "2026-05-01T07:00:09Z",
        "start": {"latitude": 47.0, "longitude": 9.5},
        "end": {"latitude": 47.0, "longitude": 9.5},
        "by": "motion",
    }
