"""A vehicle as its journal has made it: VehicleState' = fold(VehicleState, row). Pure.

    report --judge--> Judgement      decided once, when it comes in: by clock and configuration
    report, Judgement --fold--> VehicleState', what rings, the trip that ended
    act --fold_act--> VehicleState'  what people and the bridge itself add to the journal

The judgement is journalled with the report, so that the state after the newest row equals a replay
of all of them, whatever the clock and the configuration say by then. What it never sees is the
session: who is connected, heartbeats, bytes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge import clock, episodes, orders, trips
from bridge.assess import DEFAULT_LIMITS, Limits, Sighting, Verdict, assess, distance_m
from bridge.clock import Clock
from bridge.command import UploadLog
from bridge.episodes import Episode, Ring
from bridge.model import SMS, Cell, Fix, Report, Status
from bridge.orders import Order
from bridge.trips import Journey, Point, Trip

MOVING_KMH = 6.0
STILL_KMH = 3.0
"""Hysteresis of motion: receivers at rest report up to 2 or 3 km/h."""

SPEED_FROM_PLACES = timedelta(minutes=10)
"""Two fixes this close in time tell how fast the vehicle went, where the frame does not."""

LONGEST_STORED = timedelta(days=31)
"""A tracker's memory holds some thousand frames: hours of a drive, weeks in a garage."""

COUNTED_WITHIN = timedelta(days=60)
"""Points that come later than that are history, and no trip is counted anew for them."""

STATUS_FIELDS: tuple[str, ...] = Status.__struct_fields__
DEFAULT_TRIPS = trips.Limits()


class VehicleState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything the journal of a vehicle adds up to. Empty: nothing is known yet."""

    values: dict[str, Any] = {}
    """The latest of each status field, by its name in `Status`."""
    said_at: dict[str, datetime] = {}
    """When each of them was last said."""
    fix: Fix | None = None
    """The last good live fix that moved the vehicle: where it is."""
    fix_at: datetime | None = None
    fix_received_at: datetime | None = None
    good_at: datetime | None = None
    """Of the latest good fix, one that found it parked included: until when we know that."""
    doubtful: Fix | None = None
    doubtful_at: datetime | None = None
    motion: bool | None = None
    still_since: datetime | None = None
    parked_since: datetime | None = None
    """Since when it is parked: the ignition is off, or, where that is unknown, it stands."""
    episodes: dict[str, Episode] = {}
    episode_count: int = 0
    rung: tuple[str, ...] = ()
    """Alarm kinds that have rung at least once."""
    reported: tuple[str, ...] = ()
    """Fields of a fix or status that were ever given: what entities can be fed."""
    cell: Cell | None = None
    clocks: dict[str, Clock] = {}
    """What is learnt of each tracker's clock, by the id it gives; who spoke last is the last."""
    journey: Journey = Journey()
    """The trip that runs, if one does, and all metres since the first good fix."""
    trip: Trip | None = None
    """The latest one that ended."""
    uncounted: tuple[datetime, datetime] | None = None
    """From when to when late points have come that no trip and no odometer has counted yet."""
    uncounted_at: datetime | None = None
    """When the latest of them came."""
    counted_seq: int = 0
    """Up to this row of the journal all late points are counted."""
    rang_at: datetime | None = None
    """The time of the newest alarm that rang."""
    orders: tuple[Order, ...] = ()
    """Commands that are under way, and those that ended lately."""
    protocol: str = ""
    first_seen: datetime | None = None
    last_report: datetime | None = None


EMPTY = VehicleState()


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What was decided about a report when it came in."""

    at: datetime
    """The moment it counts for: its own time by a clock put right, unless that lies ahead."""
    verdict: Verdict | None
    late: bool = False
    """It was old news; then it changes no input and moves nothing."""
    late_alarms: bool = False
    """Its alarms were; then they leave episodes alone, and only an SOS opens one."""
    silent: bool = False
    """It waited for its tracker to be accepted; its alarms are not told."""


class Folded(msgspec.Struct, frozen=True, gc=False):
    """The state after a row, with what the row brought about."""

    state: VehicleState
    rings: tuple[Ring, ...] = ()
    trip: Trip | None = None
    """The trip that ended with it."""


class Act(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act"):
    """What stands in the journal beside reports."""

    at: datetime


class Acknowledged(Act, frozen=True, kw_only=True, omit_defaults=True, tag="acknowledged"):
    """A person has seen these alarms; none named: all that were going on."""

    alarms: tuple[str, ...] = ()


class Silence(Act, frozen=True, kw_only=True, omit_defaults=True, tag="silence"):
    """Nothing was heard for so long that a trip is over."""

    trip: Trip | None = None


class Recounted(Act, frozen=True, kw_only=True, omit_defaults=True, tag="recounted"):
    """Late points were counted where they belong: from `since` to `until` these are the trips."""

    since: datetime
    until: datetime
    seq: int
    """Of the newest row that is counted now."""
    metres: float
    """To be added to the odometer."""
    trips: tuple[Trip, ...] = ()
    journey: Journey | None = None
    """In place of the trip that runs, where the window reaches it."""


class Ordered(Act, frozen=True, kw_only=True, omit_defaults=True, tag="ordered"):
    """A command has come a step further."""

    order: Order


AnyAct = Acknowledged | Silence | Recounted | Ordered


# --- judging --------------------------------------------------------------------------------------


def judge(  # noqa: PLR0913 - a report, and what decides about it
    state: VehicleState,
    report: Report,
    *,
    now: datetime,
    live_age: timedelta,
    silent: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Judgement:
    """Decide what a report is taken for: late or live, and whether its fix may move the car.

    Its time counts by the clock as this very report lets us know it. A receiver without a lock may
    have lost its clock, so its time proves nothing, unless that fits what was seen of it. An alarm
    is old only by a clock that has been seen right, which a live fix shows (rule L), and not where
    the tracker's clock agrees with ours as it stands: its owner may just have set it.
    """
    replayed = "replayed" in report.extra
    fix = report.fix
    own = clock.corrected(_clock_after(state, report), report)
    seen_right = state.clocks.get(report.device_id, clock.UNKNOWN).seen_right
    locked = fix is None or fix.valid
    if not (replayed or locked or _is_stored(state, own, now, live_age, seen_right=seen_right)):
        own = None
    at = own or report.received_at
    old = now - at > live_age
    late = replayed or old
    told = report.device_time
    agrees = told is not None and abs(told - report.received_at) <= live_age
    late_alarms = replayed or (old and locked and seen_right and not agrees)
    verdict = verdict_on(state, report, at=at, late=late, limits=limits)
    ahead = at - report.received_at > limits.future
    return Judgement(report.received_at if ahead else at, verdict, late, late_alarms, silent)


def _is_stored(
    state: VehicleState,
    own: datetime | None,
    now: datetime,
    live_age: timedelta,
    *,
    seen_right: bool,
) -> bool:
    """Whether a frame without a lock comes out of the tracker's memory, by its own time.

    A receiver that has lost its clock stands still at its last fix, or begins years ago; one that
    says a time some days before that fix has kept the frame since then.
    """
    if own is None or not seen_right or state.good_at is None:
        return False
    before = state.good_at - own
    return now - own > live_age and timedelta(0) < before < LONGEST_STORED


def verdict_on(
    state: VehicleState, report: Report, *, at: datetime, late: bool, limits: Limits
) -> Verdict | None:
    """Return the verdict on the fix of a report that counts for `at`, None where it has none."""
    if report.fix is None:
        return None
    return assess(
        report.fix,
        at=at,
        received_at=report.received_at,
        late=late,
        last_good=_sighting(state.fix, state.good_at),
        doubtful=_sighting(state.doubtful, state.doubtful_at),
        parked=_is_parked(state, report),
        limits=limits,
    )


def _clock_after(state: VehicleState, report: Report) -> Clock:
    known = state.clocks.get(report.device_id, clock.UNKNOWN)
    if report.protocol == SMS:  # a text may have lain at the network for hours
        return known
    uploads = any(one.is_on_its_way and isinstance(one.command, UploadLog) for one in state.orders)
    return clock.learn(known, report, replayed=uploads or "replayed" in report.extra)


def _is_parked(state: VehicleState, report: Report) -> bool:
    """Whether the vehicle is parked as far as a report that has just come lets us believe it."""
    ignition = report.status.ignition
    if ignition is None:
        ignition = state.values.get("ignition")
    if state.parked_since is None or ignition:
        return False
    speed = report.fix.speed_kmh if report.fix is not None else None
    return ignition is False or speed is None or speed < MOVING_KMH


def _sighting(fix: Fix | None, at: datetime | None) -> Sighting | None:
    return None if fix is None or at is None else Sighting(fix, at)


# --- folding --------------------------------------------------------------------------------------


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
    learnt = _clock_after(state, report)
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
