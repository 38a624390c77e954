"""What a report is taken for when it comes in: late or live, and whether its fix may move the car.

It is decided once, by clock and configuration, and journalled with the report.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from bridge import clock
from bridge.assess import DEFAULT_LIMITS, Limits, Sighting, Verdict, assess
from bridge.clock import Clock
from bridge.command import UploadLog
from bridge.model import SMS, Fix, Report
from bridge.vehicle.state import MOVING_KMH, VehicleState

LONGEST_STORED = timedelta(days=31)
"""A tracker's memory holds some thousand frames: hours of a drive, weeks in a garage."""


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
    own = clock.corrected(clock_after(state, report), report)
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


def clock_after(state: VehicleState, report: Report) -> Clock:
    """Return what is known of the clock of a report's tracker, that report included."""
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
