"""A vehicle as its reports have made it: VehicleState' = fold(VehicleState, Report). Pure.

Folding happens once, when a report comes in; the state after the newest report equals a replay of
all of them in journal order. What it never sees is the session (who is connected, heartbeats).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge.assess import DEFAULT_LIMITS, Limits, Sighting, Verdict, assess
from bridge.model import Alarm, Cell, Fix, Report, Status

MOVING_KMH = 6.0
STILL_KMH = 3.0
"""Hysteresis of motion: receivers at rest report up to 2 or 3 km/h."""

EPISODE_END: dict[Alarm, timedelta] = {Alarm.SOS: timedelta(hours=24)}
EPISODE_END_DEFAULT = timedelta(minutes=10)
"""An alarm repeats about every 3 minutes while it lasts; three silent rounds end its episode."""

STATUS_FIELDS: tuple[str, ...] = Status.__struct_fields__


class Episode(msgspec.Struct, frozen=True, gc=False):
    """An alarm from its first ring to its end."""

    number: int
    since: datetime
    last: datetime
    count: int


class Ring(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An episode that a report opened: what is told as an alarm."""

    alarm: Alarm
    episode: int


class VehicleState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything the reports of a vehicle add up to. Empty: nothing is known yet."""

    values: dict[str, Any] = {}
    """The latest of each status field, by its name in `Status`."""
    said_at: dict[str, datetime] = {}
    """When each of them was last said."""
    fix: Fix | None = None
    """The last good live fix."""
    fix_at: datetime | None = None
    fix_received_at: datetime | None = None
    doubtful: Fix | None = None
    doubtful_at: datetime | None = None
    motion: bool | None = None
    episodes: dict[str, Episode] = {}
    episode_count: int = 0
    rung: tuple[str, ...] = ()
    """Alarm kinds that have rung at least once."""
    reported: tuple[str, ...] = ()
    """Fields of a fix or status that were ever given: what entities can be fed."""
    cell: Cell | None = None
    protocol: str = ""
    first_seen: datetime | None = None
    last_report: datetime | None = None


EMPTY = VehicleState()


class Folded(msgspec.Struct, frozen=True, gc=False):
    """The state after a report, with what the report was taken for."""

    state: VehicleState
    verdict: Verdict | None
    rings: tuple[Ring, ...]


def fold(  # noqa: PLR0913 - a report and what is known of its age
    state: VehicleState,
    report: Report,
    *,
    late: bool = False,
    late_alarms: bool = False,
    silent: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Folded:
    """Fold one report into a state.

    `late`: it was old news when it arrived; then it changes no input and moves nothing.
    `late_alarms`: its alarms were old news; then they leave episodes alone, and only an SOS opens
    one. `silent`: it waited for its tracker to be accepted; its alarms are not told.
    """
    received_at = report.received_at
    changes: dict[str, Any] = {"last_report": received_at, "protocol": report.protocol}
    if state.first_seen is None:
        changes["first_seen"] = received_at
    verdict = _fold_fix(state, report, limits, changes, late=late)
    given = _given(report)
    if not state.reported or not given.issubset(state.reported):
        changes["reported"] = tuple(sorted(given.union(state.reported)))
    if not late:
        values = {
            name: value
            for name in STATUS_FIELDS
            if (value := getattr(report.status, name)) is not None
        }
        if values:
            changes["values"] = state.values | values
            changes["said_at"] = state.said_at | dict.fromkeys(values, received_at)
            if values.get("ignition") is False and "motion" not in changes:
                changes["motion"] = False
        if report.cell is not None:
            changes["cell"] = report.cell
    rings = () if silent else _fold_alarms(state, report, changes, late=late_alarms)
    return Folded(msgspec.structs.replace(state, **changes), verdict, rings)


def _fold_fix(
    state: VehicleState, report: Report, limits: Limits, changes: dict[str, Any], *, late: bool
) -> Verdict | None:
    fix = report.fix
    if fix is None:
        return None
    verdict = assess(
        fix,
        received_at=report.received_at,
        replayed="replayed" in report.extra,
        last_good=_sighting(state.fix, state.fix_at),
        doubtful=_sighting(state.doubtful, state.doubtful_at),
        limits=limits,
    )
    if late:
        return verdict
    at = fix.time or report.received_at
    if verdict is Verdict.JUMP:
        changes["doubtful"], changes["doubtful_at"] = fix, at
    elif verdict is Verdict.OK:
        changes.update(
            fix=fix, fix_at=at, fix_received_at=report.received_at, doubtful=None, doubtful_at=None
        )
        speed = fix.speed_kmh
        if speed is not None:
            if speed >= MOVING_KMH:
                changes["motion"] = True
            elif speed <= STILL_KMH or state.motion is None:
                changes["motion"] = False
    return verdict


def _sighting(fix: Fix | None, at: datetime | None) -> Sighting | None:
    return None if fix is None or at is None else Sighting(fix, at)


def _given(report: Report) -> set[str]:
    given = {name for name in STATUS_FIELDS if getattr(report.status, name) is not None}
    if report.fix is not None:
        given.update(
            name for name in Fix.__struct_fields__ if getattr(report.fix, name) is not None
        )
    return given


def _fold_alarms(
    state: VehicleState, report: Report, changes: dict[str, Any], *, late: bool
) -> tuple[Ring, ...]:
    """Open, continue and end episodes; return those that began."""
    now = report.received_at
    if not state.episodes and report.alarm is None:
        return ()
    episodes = running(state, now)
    rings: list[Ring] = []
    count = state.episode_count
    for alarm in report.alarms:
        going = episodes.get(alarm)
        if late and (going is not None or alarm is not Alarm.SOS):
            rings.append(Ring(alarm, 0))
        elif going is not None:
            episodes[alarm] = Episode(going.number, going.since, now, going.count + 1)
        else:
            count += 1
            episodes[alarm] = Episode(count, now, now, 1)
            rings.append(Ring(alarm, count))
    if episodes != state.episodes:
        changes["episodes"] = episodes
        changes["episode_count"] = count
    fresh = {str(ring.alarm) for ring in rings}.difference(state.rung)
    if fresh:
        changes["rung"] = tuple(sorted(fresh.union(state.rung)))
    return tuple(rings)


def running(state: VehicleState, now: datetime) -> dict[str, Episode]:
    """Return the episodes that have not ended by time at `now`."""
    return {
        kind: episode
        for kind, episode in state.episodes.items()
        if now - episode.last < EPISODE_END.get(Alarm(kind), EPISODE_END_DEFAULT)
    }
