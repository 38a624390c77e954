"""Late points counted where they belong: the trips and the metres of a stretch of time. Pure.

The rows of the stretch, in the order of their own time, are folded once more as if each had come
when it was sent. What comes out differs from what was counted before by the late points, and by
nothing else: both are folded by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bridge import assess, trips
from bridge.assess import Verdict
from bridge.record import Record
from bridge.trips import Journey, Trip
from bridge.vehicle import Judgement, Recounted, VehicleState, fold, verdict_on


class Limits(NamedTuple):
    """What is believed, and what is a trip."""

    positions: assess.Limits
    trips: trips.Limits


class Track(NamedTuple):
    """What a stretch of rows adds up to."""

    trips: tuple[Trip, ...]
    journey: Journey


class Window(NamedTuple):
    """The stretch of time that late points touch."""

    since: datetime
    until: datetime
    open: bool
    """It reaches to now, and the trip that runs with it."""


Numbered = tuple[int, Record]
"""A row: seq, record."""


def window(state: VehicleState, known: Sequence[Trip], gap: timedelta, now: datetime) -> Window:
    """Return the window of the late points of a state, which has some.

    It begins and ends where no trip runs: those that may get a late point or be joined by some lie
    within it as a whole. `known` are the trips that ended, as far as they may be touched.
    """
    assert state.uncounted is not None  # noqa: S101 - as the docstring asks
    since, until = state.uncounted[0] - gap, state.uncounted[1] + gap
    ordered = sorted(known, key=lambda trip: trip.started_at)
    for trip in reversed(ordered):
        if trip.started_at <= until and trip.ended_at >= since:
            since = min(since, trip.started_at - gap)
    for trip in ordered:
        if trip.started_at <= until and trip.ended_at >= since:
            until = max(until, trip.ended_at + gap)
    runs = trips.running(state.journey)
    reaches_now = until >= now or (runs is not None and runs.started_at <= until)
    return Window(since, now if reaches_now else until, reaches_now)


def recount(
    state: VehicleState, stretch: Window, rows: Sequence[Numbered], limits: Limits, now: datetime
) -> Recounted:
    """Return what counting the late points of a window comes to.

    `rows` are those of the vehicle within it, sorted by the moments they count for.
    """
    begin = VehicleState(journey=Journey(keyed=state.journey.keyed))
    after = follow(begin, (record for _, record in rows), limits)
    if not stretch.open:
        # Nothing ran on at its end, whatever the rows that stand within it say.
        _, ended = trips.silence(after.journey, stretch.until + limits.trips.gap, limits.trips)
        after = after._replace(trips=(*after.trips, *([ended] if ended is not None else [])))
    counted = (record for seq, record in rows if _was_counted(seq, record, state))
    before = follow(begin, counted, limits)
    return Recounted(
        at=now,
        since=stretch.since,
        until=stretch.until,
        seq=max((seq for seq, _ in rows), default=state.counted_seq),
        # It never falls: a way over more points is no shorter, but for those called a jump now.
        metres=max(0.0, after.journey.odometer_m - before.journey.odometer_m),
        trips=after.trips,
        journey=after.journey if stretch.open else None,
    )


def follow(begin: VehicleState, records: Iterable[Record], limits: Limits) -> Track:
    """Fold records, sorted by the moments they count for, as if each had come then."""
    state = begin
    ended: list[Trip] = []
    for record in records:
        report, at = record.report, record.judged.at
        verdict = verdict_on(state, report, at=at, late=False, limits=limits.positions)
        folded = fold(state, report, Judgement(at, verdict), limits.trips)
        state = folded.state
        if folded.trip is not None:
            ended.append(folded.trip)
    return Track(tuple(ended), state.journey)


def _was_counted(seq: int, record: Record, state: VehicleState) -> bool:
    """Whether a row had a part in what the odometer shows now."""
    if record.judged.verdict is Verdict.HISTORICAL:
        return seq <= state.counted_seq
    return not record.judged.late
