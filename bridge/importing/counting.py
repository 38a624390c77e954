"""The trips of what was imported: counted as late points are, however long ago they were.

The stretches that points touch are counted one after the other, each between two pauses, and what
comes out is written in one transaction: after a crash either all of it is there or none.

An odometer goes on from what it showed when the bridge first heard of the vehicle. What was driven
before has been on it then, and adds nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from bridge import record
from bridge.database import Batch, Entry
from bridge.errors import StorageError
from bridge.importing.intervals import Intervals
from bridge.importing.writing import PAGE, Archive, Imported
from bridge.live import Live
from bridge.record import Record
from bridge.recount import Limits, Numbered, Window, recount, window
from bridge.schema import milliseconds, moment
from bridge.trips import Trip
from bridge.vehicle import Recounted, VehicleState

MOST_TRIPS = 100_000
"""Read in one go: those of a stretch, which are seldom more than those of a day."""

MOST_STEPS = 24
"""Of one gap each: a car that never falls silent has to be cut somewhere."""

Progress = Callable[[int, int], None]
"""Told of how many stretches are counted, and of how many there are."""


class Driven(NamedTuple):
    """Trips of what was imported."""

    trips: int
    metres: float


class _Stretch(NamedTuple):
    first: int
    last: int
    window: Window
    known: list[Trip]


def count(archive: Archive, live: Live, imported: Imported, tell: Progress) -> Driven:
    """Count the trips of the stretches that were touched; write them where something is new."""
    state, key, touched = live.state, live.vehicle.key, imported.touched
    fresh = imported.new > 0 or state.uncounted is not None
    if state.uncounted is not None:  # or what is counted now would hide what was not
        touched.add_stretch(*map(milliseconds, state.uncounted))
    stretches = _stretches(archive, live, touched)
    acts: list[Recounted] = []
    driven = Driven(0, 0.0)
    for done, stretch in enumerate(stretches):
        tell(done, len(stretches))
        act = _counted(archive, live, stretch)
        lasted = [
            trip
            for trip in act.trips
            if any(
                first <= milliseconds(trip.ended_at) and milliseconds(trip.started_at) <= last
                for first, last in touched
            )
        ]
        metres = driven.metres + sum(trip.distance_m for trip in lasted)
        driven = Driven(driven.trips + len(lasted), metres)
        if fresh or act.metres or _differ(act, stretch.known):
            acts.append(act)
    # Only after the last of them nothing is uncounted, so all say that it was counted to the end.
    acts = [msgspec.structs.replace(act, seq=live.seq) for act in acts]
    entries = [_entry(key, act) for act in acts]
    for act in acts:
        live.fold(act)
    archive.write(Batch(entries=entries), {key: live.folded})
    return driven


def _stretches(archive: Archive, live: Live, touched: Intervals) -> list[_Stretch]:
    """Return the windows to count, disjoint and in order; each has all trips that reach into it."""
    found: list[_Stretch] = []
    for interval in touched:
        first, last = interval
        while True:
            one = _stretch(archive, live, first, last)
            if not found or found[-1].window.until < one.window.since:
                break
            before = found.pop()
            first, last = min(before.first, first), max(before.last, last)
        found.append(one)
    return found


def _stretch(archive: Archive, live: Live, first: int, last: int) -> _Stretch:
    key, gap, now = live.vehicle.key, live.trip_limits.gap, archive.now
    first, last = _between_pauses(archive, live, first, last)
    since, until = moment(first), moment(last)
    bodies = archive.journal.trips(key, since - 24 * gap, until + 24 * gap, MOST_TRIPS)
    known = [record.decode_trip(body) for body in bodies]
    state = msgspec.structs.replace(live.state, uncounted=(since, until))
    return _Stretch(first, last, window(state, known, gap, now), known)


def _between_pauses(archive: Archive, live: Live, first: int, last: int) -> tuple[int, int]:
    """Return a stretch with all that was told before and after it without a pause.

    So it is the same whichever of its points are new, unless it goes on for a day.
    """
    key, gap = live.vehicle.key, live.trip_limits.gap
    gap_ms = gap // timedelta(milliseconds=1)
    for _ in range(MOST_STEPS):
        near = Window(moment(first - gap_ms), moment(first - 1), open=False)
        told = next((row for _, row in _rows(archive, key, near)), None)
        if told is None:
            break
        first = milliseconds(told.judged.at)
    for _ in range(MOST_STEPS):
        near = Window(moment(last + 1), moment(last + gap_ms), open=False)
        latest = deque((row for _, row in _rows(archive, key, near)), maxlen=1)
        if not latest:
            break
        last = milliseconds(latest[0].judged.at)
    return first, last


def _counted(archive: Archive, live: Live, stretch: _Stretch) -> Recounted:
    state, limits = live.state, Limits(live.limits, live.trip_limits)
    since_ms = 0

    def rows() -> Iterator[Numbered]:
        for seq, row in _rows(archive, live.vehicle.key, stretch.window):
            if milliseconds(row.judged.at) >= since_ms:
                yield seq, row

    keyed = state.journey.keyed and any(row.report.status.ignition is not None for _, row in rows())
    begin, known = _with_ignition(state, keyed=keyed), stretch.known
    act = recount(begin, stretch.window, rows, known, limits=limits, now=archive.now)
    journey = act.journey
    if journey is not None:
        journey = msgspec.structs.replace(journey, keyed=journey.keyed or state.journey.keyed)
    metres = act.metres
    if state.first_seen is None or stretch.window.until < state.first_seen:
        metres = 0.0
    elif stretch.window.since < state.first_seen:
        since_ms = milliseconds(state.first_seen)
        since = recount(begin, stretch.window, rows, known, limits=limits, now=archive.now)
        metres = since.metres
    return msgspec.structs.replace(act, metres=metres, journey=journey)


def _with_ignition(state: VehicleState, *, keyed: bool) -> VehicleState:
    """Return a state by which trips begin with the ignition, or where nobody tells of it not."""
    journey = msgspec.structs.replace(state.journey, keyed=keyed)
    return msgspec.structs.replace(state, journey=journey)


def _rows(archive: Archive, key: str, stretch: Window) -> Iterator[Numbered]:
    """Yield the reports of a window, page by page: it may be years."""
    after: tuple[int, int] | None = None
    while page := archive.journal.track(key, stretch.since, stretch.until, after, PAGE):
        for seq, at, _, body in page:
            after = at, seq
            try:
                row = record.decode(body)
            except StorageError:
                continue
            if isinstance(row, Record):
                yield seq, row


def _differ(act: Recounted, known: list[Trip]) -> bool:
    """Whether other trips stand in a window now than those that are stored."""
    stored = [trip for trip in known if act.since <= trip.started_at <= act.until]
    return sorted(act.trips, key=_started_at) != sorted(stored, key=_started_at)


def _started_at(trip: Trip) -> datetime:
    return trip.started_at


def _entry(key: str, act: Recounted) -> Entry:
    return Entry(
        key,
        act.at,
        record.encode(act),
        at=act.at,
        precious=True,
        trips=tuple((one.started_at, one.ended_at, record.encode_trip(one)) for one in act.trips),
        recounted=(act.since, act.until),
    )
