"""Laws of the machine that finds trips, over courses that no car would drive."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.assess import distance_m
from bridge.model import Fix
from bridge.trips import (
    EMPTY,
    Journey,
    Limits,
    Point,
    advance,
    running,
    silence,
)
from tests.bridge.ways import Counted, recount

START = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
KM = 1000 / 111_195.08
"""A kilometre on a meridian, in degrees."""
LIMITS = Limits()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


truth = st.sampled_from([None, False, True])
waits_s = st.one_of(
    st.sampled_from([0.0, 1.0, 30.0, 179.0, 180.0, 181.0, 600.0, 3600.0, 3600.5, 9000.0]),
    st.integers(0, 400).map(float),
)
kilometres = st.one_of(st.none(), st.floats(-3, 3), st.floats(-0.05, 0.05))
speeds = st.one_of(st.none(), st.floats(0, 150))
steps = st.tuples(waits_s, kilometres, kilometres, speeds, truth, truth)


@st.composite
def courses(draw: st.DrawFn) -> list[Point]:
    """Points in the order of time, half of them of cars whose ignition is never known."""
    has_ignition, seconds, north, east = draw(st.booleans()), 0.0, 0.0, 0.0
    points = []
    for wait_s, step_north, step_east, kmh, ignition, moving in draw(st.lists(steps, max_size=30)):
        seconds += wait_s
        fix = None
        if step_north is not None and step_east is not None:
            north, east = north + step_north, east + step_east
            fix = Fix(
                valid=True, latitude=47 + north * KM, longitude=9.5 + east * KM, speed_kmh=kmh
            )
        known = ignition if has_ignition else None
        points.append(Point(at=at(seconds), fix=fix, ignition=known, moving=moving))
    return points


def saved(journey: Journey) -> Journey:
    return msgspec.json.decode(msgspec.json.encode(journey), type=Journey)


@given(courses(), st.permutations(range(4)), st.integers(0, 30))
def test_a_recount_is_the_sum_of_its_points(
    points: list[Point], order: list[int], index: int
) -> None:
    """Also when points come late by a few places: those that are too late are as if never said.

    A fix is too late if a later one came before it, a point without one if anything did.
    """
    late = points[:index] + [
        points[index + offset] for offset in order if index + offset < len(points)
    ]
    late += points[index + len(order) :]
    journey, trips, total, heard = EMPTY, [], 0.0, []
    for one in late:
        before = [known for known in heard if one.fix is None or known.fix is not None]
        if all(known.at <= one.at for known in before):
            heard.append(one)
        journey, ended, driven = advance(journey, one)
        total += driven
        trips += [ended] if ended is not None else []
    assert recount(late) == recount(heard)
    assert recount(late) == Counted(trips=tuple(trips), journey=journey, distance_m=total)


@given(courses())
def test_trips_are_in_order_and_long_enough_and_never_overlap(points: list[Point]) -> None:
    counted = recount(points)
    trips = list(counted.trips)
    going = running(counted.journey)
    if going is not None:
        trips.append(going)
    for before, after in itertools.pairwise(trips):
        assert before.ended_at <= after.started_at
    moments = {one.at for one in points}
    for trip in trips:
        assert {trip.started_at, trip.ended_at} <= moments
        assert 0 <= (trip.moving_s or 0) <= trip.duration_s
    assert all(trip.distance_m >= LIMITS.min_distance_m for trip in counted.trips)


@given(courses())
def test_metres_are_between_good_fixes_and_no_trip_has_more_than_its_share(
    points: list[Point],
) -> None:
    counted = recount(points, Limits(min_distance_m=0))
    fixes = [one.fix for one in points if one.fix is not None]
    way = sum(distance_m(one, other) for one, other in itertools.pairwise(fixes))
    assert counted.distance_m == pytest.approx(way, abs=1e-3)
    assert counted.journey.odometer_m == counted.distance_m
    trips = [*counted.trips, *filter(None, [running(counted.journey)])]
    assert sum(trip.distance_m for trip in trips) <= way + 1e-3
    for trip in trips:
        ends = [
            Fix(valid=True, latitude=end.latitude, longitude=end.longitude)
            for end in (trip.start, trip.end)
        ]
        assert trip.distance_m >= distance_m(*ends) - 1e-3
        assert trip.points <= len(fixes)


@given(courses(), courses(), st.integers(0, 30), st.floats(0, 1))
def test_a_point_in_between_never_lowers_the_distance(
    points: list[Point], others: list[Point], index: int, share: float
) -> None:
    if len(points) < 2 or not others:
        return
    index %= len(points) - 1
    before, after = points[index], points[index + 1]
    between = msgspec.structs.replace(others[-1], at=before.at + (after.at - before.at) * share)
    more = [*points[: index + 1], between, *points[index + 1 :]]
    assert recount(more).distance_m >= recount(points).distance_m - 1e-3


@given(courses(), st.integers(0, 30))
def test_a_journey_goes_on_from_a_checkpoint(points: list[Point], index: int) -> None:
    whole = recount(points)
    first = recount(points[:index])
    then = recount(points[index:], journey=saved(first.journey))
    assert first.trips + then.trips == whole.trips
    assert then.journey == whole.journey
    assert math.isclose(first.distance_m + then.distance_m, whole.distance_m, abs_tol=1e-6)


@given(courses(), st.integers(0, 30), st.integers(0, 9000))
def test_silence_only_says_earlier_what_the_next_point_would(
    points: list[Point], index: int, wait_s: int
) -> None:
    """Whenever it is asked before that point came."""
    journey = recount(points[:index]).journey
    now = (journey.at or START) + timedelta(seconds=wait_s)
    quiet, ended = silence(journey, now)
    rest = [one for one in points[index:] if one.at >= now]
    assert silence(quiet, now) == (quiet, None)
    if rest:
        unasked, asked = recount(rest, journey=journey), recount(rest, journey=quiet)
        assert unasked.trips == ((ended,) if ended is not None else ()) + asked.trips
        assert unasked.journey == asked.journey


@given(courses())
def test_a_journey_stays_small(points: list[Point]) -> None:
    journey = recount(points * 2).journey
    assert len(msgspec.json.encode(journey)) < 1400
    assert saved(journey) == journey
