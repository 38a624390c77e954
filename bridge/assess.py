"""The verdict on a fix: whether it may move the car. Pure; nothing is dropped, it is flagged.

no_fix        coordinates without a satellite lock
zero          0, 0 and its neighbourhood: an empty receiver, not the Gulf of Guinea
future        the clock is ahead of ours
historical    the protocol itself marks it as replayed from a log
duplicate     the same place and time as the last good fix
stale         not newer than the last good fix
jump          no vehicle gets there so fast; two in a row that agree are believed
ok            moves the car
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model import Fix

EARTH_RADIUS_M = 6_371_008.8


class Verdict(StrEnum):
    """What `assess` thinks of a fix."""

    OK = "ok"
    NO_FIX = "no_fix"
    ZERO = "zero"
    FUTURE = "future"
    HISTORICAL = "historical"
    DUPLICATE = "duplicate"
    STALE = "stale"
    JUMP = "jump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where plausible ends."""

    future: timedelta = timedelta(minutes=5)
    """A GPS clock is exact; this is for the server's."""
    jump_kmh: float = 300.0
    """Faster than any vehicle these trackers are put into."""
    jump_m: float = 2_000.0
    """Below this distance a wild speed is only the noise of two fixes close in time."""
    zero_degrees: float = 0.01
    """About a kilometre around 0, 0."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A fix that counts, with the moment it counts for (its own time, else its reception)."""

    fix: Fix
    at: datetime


def assess(  # noqa: PLR0911, PLR0913 - a verdict a line, and named facts to judge by
    fix: Fix,
    *,
    received_at: datetime,
    replayed: bool,
    last_good: Sighting | None,
    doubtful: Sighting | None,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Return the verdict on `fix`; `doubtful` is the latest fix that was called a jump."""
    if not fix.valid:
        return Verdict.NO_FIX
    if abs(fix.latitude) < limits.zero_degrees and abs(fix.longitude) < limits.zero_degrees:
        return Verdict.ZERO
    at = fix.time or received_at
    if at - received_at > limits.future:
        return Verdict.FUTURE
    if replayed:
        return Verdict.HISTORICAL
    if last_good is None:
        return Verdict.OK
    if at <= last_good.at:
        same = fix.latitude == last_good.fix.latitude and fix.longitude == last_good.fix.longitude
        return Verdict.DUPLICATE if same and at == last_good.at else Verdict.STALE
    here = Sighting(fix, at)
    if _impossible(last_good, here, limits) and (
        doubtful is None or doubtful.at >= at or _impossible(doubtful, here, limits)
    ):
        return Verdict.JUMP
    return Verdict.OK


def _impossible(before: Sighting, after: Sighting, limits: Limits) -> bool:
    metres = distance_m(before.fix, after.fix)
    if metres < limits.jump_m:
        return False
    seconds = (after.at - before.at).total_seconds()
    return metres * 3.6 > limits.jump_kmh * seconds


def distance_m(one: Fix, other: Fix) -> float:
    """Return the great-circle distance of two fixes in metres."""
    latitude, other_latitude = math.radians(one.latitude), math.radians(other.latitude)
    half = math.sin((other_latitude - latitude) / 2) ** 2
    half += (
        math.cos(latitude)
        * math.cos(other_latitude)
        * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))


def accuracy_m(fix: Fix) -> int:
    """Return the radius Home Assistant is told, in metres; never 0, which would claim a point.

    From hdop where given (5 m is what such receivers reach at hdop 1), else from the number of
    satellites, else a cautious guess.
    """
    if fix.hdop is not None and 0 < fix.hdop < 50:
        return max(5, round(fix.hdop * 5))
    if fix.satellites is not None and fix.satellites >= 3:
        return 10 if fix.satellites >= 7 else 15 if fix.satellites >= 5 else 40
    return 20
