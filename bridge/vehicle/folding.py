"""The state after one more row: by a report as it was judged, or by an act."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge import episodes, orders, trips
from bridge.assess import Verdict, distance_m
from bridge.episodes import Ring
from bridge.model import SMS, Fix, Report, Status
from bridge.trips import Point, Trip
from bridge.vehicle.acts import Acknowledged, AnyAct, Ordered, Recounted, Silence
from bridge.vehicle.judging import Judgement, clock_after
from bridge.vehicle.state import MOVING_KMH, STILL_KMH, Folded, VehicleState

SPEED_FROM_PLACES = timedelta(minutes=10)
"""Two fixes this close in time tell how fast the vehicle went, where the frame does not."""

COUNTED_WITHIN = timedelta(days=60)
"""Points that come later than that are history, and no trip is counted anew for them."""

STATUS_FIELDS: tuple[str, ...] = Status.__struct_fields__
DEFAULT_TRIPS = trips.Limits()


def fold(
    state: VehicleState,
    report: Report,
    judged: Judgement,
    limits: trips.Limits = DEFAULT_TRIPS,
) -> Folded:
    """Fold one report into a state, as it was judged."""
    received_at = report.received_at
    changes: dict[str, Any] = {"last_report": received_at}
    if state.first_seen is None:
        changes["first_seen"] = received_at
    if report.protocol != SMS:  # a text tells nothing of how its tracker speaks elsewhere
        changes["protocol"] = report.protocol
        _fold_clock(state, report, judged, changes)
    given = _given(report)
    if not state.reported or not given.issubset(state.reported):
        changes["reported"] = tuple(sorted(given.union(state.reported)))
    trip = None
    if judged.late:
        recent = received_at - judged.at < COUNTED_WITHIN
        if judged.verdict is Verdict.HISTORICAL and recent:
            changes["uncounted_at"] = received_at
            since, until = state.uncounted or (judged.at, judged.at)
            changes["uncounted"] = (min(since, judged.at), max(until, judged.at))
    else:
        _fold_inputs(state, report, changes)
        _fold_fix(state, report, judged, changes)
        _fold_parking(state, judged, changes, limits)
        trip = _fold_trip(state, report, judged, changes, limits)
    rings = () if judged.silent else _fold_alarms(state, report, judged, changes)
    return Folded(msgspec.structs.replace(state, **changes), rings, trip)


def fold_act(state: VehicleState, act: AnyAct, limits: trips.Limits = DEFAULT_TRIPS) -> Folded:
    """Fold what is no report into a state."""
    changes: dict[str, Any] = {}
    trip = None
    match act:
        case Acknowledged():
            changes["episodes"] = episodes.acknowledged(state.episodes, act.alarms, act.at)
        case Silence():
            changes["journey"], trip = trips.silence(state.journey, act.at, limits)
            changes |= {"trip": trip} if trip is not None else {}
        case Recounted():
            changes["journey"] = msgspec.structs.replace(
                act.journey or state.journey, odometer_m=state.journey.odometer_m + act.metres
            )
            changes |= {"uncounted": None, "uncounted_at": None, "counted_seq": act.seq}
            newest = max(act.trips, key=_ended_at, default=None)
            if newest and (state.trip is None or newest.ended_at >= state.trip.ended_at):
                changes["trip"] = newest
        case Ordered(order=order):
            changes["orders"] = orders.step(state.orders, order)
            if effect := orders.obeyed(order):
                changes["values"] = state.values | effect
                changes["said_at"] = state.said_at | dict.fromkeys(effect, act.at)
    return Folded(msgspec.structs.replace(state, **changes), trip=trip)


def _ended_at(trip: Trip) -> datetime:
    return trip.ended_at


def _fold_clock(
    state: VehicleState, report: Report, judged: Judgement, changes: dict[str, Any]
) -> None:
    learnt = clock_after(state, report)
    if judged.verdict in (Verdict.OK, Verdict.PARKED) and not learnt.seen_right:
        learnt = msgspec.structs.replace(learnt, seen_right=True)
    if learnt != state.clocks.get(report.device_id) or next(reversed(state.clocks)) != (
        report.device_id
    ):
        others = {one: known for one, known in state.clocks.items() if one != report.device_id}
        changes["clocks"] = others | {report.device_id: learnt}


def _fold_inputs(state: VehicleState, report: Report, changes: dict[str, Any]) -> None:
    values = {
        name: value for name in STATUS_FIELDS if (value := getattr(report.status, name)) is not None
    }
    if values:
        changes["values"] = state.values | values
        changes["said_at"] = state.said_at | dict.fromkeys(values, report.received_at)
    if report.cell is not None:
        changes["cell"] = report.cell


def _fold_fix(
    state: VehicleState, report: Report, judged: Judgement, changes: dict[str, Any]
) -> None:
    fix, at = report.fix, judged.at
    if fix is None:
        return
    if judged.verdict is Verdict.JUMP:
        changes["doubtful"], changes["doubtful_at"] = fix, at
    elif judged.verdict is Verdict.PARKED:
        changes.update(good_at=at, doubtful=None, doubtful_at=None)
    elif judged.verdict is Verdict.OK:
        changes.update(
            fix=fix,
            fix_at=at,
            good_at=at,
            fix_received_at=report.received_at,
            doubtful=None,
            doubtful_at=None,
        )
        speed = fix.speed_kmh if fix.speed_kmh is not None else _speed_kmh(state, fix, at)
        if speed is not None:
            if speed >= MOVING_KMH:
                changes["motion"] = True
            elif speed <= STILL_KMH or state.motion is None:
                changes["motion"] = False


def _speed_kmh(state: VehicleState, fix: Fix, at: datetime) -> float | None:
    """Return how fast the vehicle has come here from where it was last seen, if that was lately."""
    if state.fix is None or state.good_at is None:
        return None
    took = at - state.good_at
    if not timedelta(0) < took <= SPEED_FROM_PLACES:
        return None
    return distance_m(state.fix, fix) / took.total_seconds() * 3.6


def _fold_parking(
    state: VehicleState, judged: Judgement, changes: dict[str, Any], limits: trips.Limits
) -> None:
    """Note since when the vehicle stands and is parked; with its ignition off it does not move.

    Where ignition is unknown, only a fix can show that it still stands.
    """
    at, seen = judged.at, judged.verdict in (Verdict.OK, Verdict.PARKED)
    ignition = changes.get("values", state.values).get("ignition")
    if ignition is False:
        changes["motion"] = False
    motion = changes.get("motion", state.motion)
    still_since = (state.still_since or at) if motion is False else None
    if ignition is None:
        stands = still_since is not None and at - still_since >= limits.min_stop
        parked_since = state.parked_since if still_since is not None else None
        if stands and seen:
            parked_since = parked_since or still_since
    else:
        parked_since = None if ignition else state.parked_since or at
    changes["still_since"], changes["parked_since"] = still_since, parked_since


def _fold_trip(
    state: VehicleState,
    report: Report,
    judged: Judgement,
    changes: dict[str, Any],
    limits: trips.Limits,
) -> Trip | None:
    point = Point(
        at=judged.at,
        fix=report.fix if judged.verdict is Verdict.OK else None,
        ignition=changes.get("values", state.values).get("ignition"),
        moving=changes.get("motion", state.motion),
    )
    changes["journey"], trip, _ = trips.advance(state.journey, point, limits)
    if trip is not None:
        changes["trip"] = trip
    return trip


def _fold_alarms(
    state: VehicleState, report: Report, judged: Judgement, changes: dict[str, Any]
) -> tuple[Ring, ...]:
    """Open, continue and end episodes; return those that began."""
    if not state.episodes and report.alarm is None:
        return ()
    after, count, rings = episodes.heard(
        state.episodes, state.episode_count, report, late=judged.late_alarms
    )
    if not judged.late:
        after = episodes.cleared(after, state.values, report)
    changes["episodes"], changes["episode_count"] = after, count
    if rings:
        rang_at = min(judged.at, report.received_at)
        changes["rang_at"] = max(rang_at, state.rang_at or rang_at)
    fresh = {str(ring.alarm) for ring in rings}.difference(state.rung)
    if fresh:
        changes["rung"] = tuple(sorted(fresh.union(state.rung)))
    return rings


def _given(report: Report) -> set[str]:
    given = {name for name in STATUS_FIELDS if getattr(report.status, name) is not None}
    if report.fix is not None:
        given.update(
            name for name in Fix.__struct_fields__ if getattr(report.fix, name) is not None
        )
    return given
