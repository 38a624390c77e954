"""Late points counted where they belong: the trips and the metres of a stretch of time. Pure.

The rows of the stretch, in the order of their own time, are folded once more as if each had come
when it was sent. What comes out differs from what was counted before by the late points, and by
nothing else: both are folded by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


class Window(NamedTuple):
    """The stretch of time that late points touch."""

    since: datetime
    until: datetime
    open: bool
    """It reaches to now, and the trip that runs with it."""


Numbered = tuple[int, Record]
"""A row: seq, record."""

Rows = Callable[[], Iterable[Numbered]]
"""Gives the rows of a window, sorted by the moments they count for, as often as it is asked."""


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


def recount(  # noqa: PLR0913 - a state, a stretch of its past, and what counts it
    state: VehicleState,
    stretch: Window,
    rows: Rows,
    known: Sequence[Trip],
    *,
    limits: Limits,
    now: datetime,
) -> Recounted:
    """Return what counting the late points of a window comes to.

    `known` are the trips that ended in it. One of which rows are gone cannot be counted anew: it
    stays as it is, and so does the way within it.
    """
    kept = _kept(state, stretch, rows, known)
    begin = VehicleState(journey=Journey(keyed=state.journey.keyed))
    after, before, newest = Track(begin), Track(begin), state.counted_seq
    for seq, record in rows():
        newest = max(newest, seq)
        if any(trip.started_at <= record.judged.at <= trip.ended_at for trip in kept):
            continue
        after.follow(record, limits)
        if _was_counted(seq, record, state):
            before.follow(record, limits)
    ended = after.trips
    if not stretch.open:
        # Nothing ran on at its end, whatever the rows that stand within it say.
        _, last = trips.silence(after.journey, stretch.until + limits.trips.gap, limits.trips)
        ended += [last] if last is not None else []
    return Recounted(
        at=now,
        since=stretch.since,
        until=stretch.until,
        seq=newest,
        # It never falls: a way over more points is no shorter, but for those called a jump now.
        metres=max(0.0, after.journey.odometer_m - before.journey.odometer_m),
        trips=(*ended, *kept),
        journey=after.journey if stretch.open else None,
    )


class Track:
    """Rows folded in the order of the moments they count for, as if each had come then."""

    def __init__(self, begin: VehicleState) -> None:
        self._state = begin
        self.trips: list[Trip] = []

    @property
    def journey(self) -> Journey:
        """Where it stands after the latest."""
        return self._state.journey

    def follow(self, record: Record, limits: Limits) -> None:
        """Fold one more."""
        report, at, verdict = record.report, record.judged.at, record.judged.verdict
        if verdict is not Verdict.FUTURE:  # its clock was wrong then, and is now
            verdict = verdict_on(self._state, report, at=at, late=False, limits=limits.positions)
        folded = fold(self._state, report, Judgement(at, verdict), limits.trips)
        self._state = folded.state
        if folded.trip is not None:
            self.trips.append(folded.trip)


def _kept(state: VehicleState, stretch: Window, rows: Rows, known: Sequence[Trip]) -> list[Trip]:
    """Return the trips of a window of which not all points are there any more."""
    within = [trip for trip in known if stretch.since <= trip.started_at <= stretch.until]
    left = [0] * len(within)
    for seq, record in rows():
        at, verdict = record.judged.at, record.judged.verdict
        if verdict in (Verdict.OK, Verdict.HISTORICAL) and _was_counted(seq, record, state):
            for index, trip in enumerate(within):
                left[index] += trip.started_at <= at <= trip.ended_at
    return [trip for trip, count in zip(within, left, strict=True) if count < trip.points]


def _was_counted(seq: int, record: Record, state: VehicleState) -> bool:
    """Whether a row had a part in what the odometer shows now."""
    if record.judged.verdict is Verdict.HISTORICAL:
        return seq <= state.counted_seq
    return not record.judged.late
