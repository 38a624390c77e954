"""The verdict on a fix: whether it may move the car. Pure; nothing is dropped, it is flagged.

no_fix        coordinates without a satellite lock
zero          0, 0 and its neighbourhood: an empty receiver, not the Gulf of Guinea
out_of_range  no such place on the globe, or a speed or height of no such vehicle
future        the clock is ahead of ours
historical    old news when it came: it belongs to the track, never to the live position
duplicate     the same place and time as the last good fix
stale         not newer than the last good fix
parked        within a radius of where the vehicle is parked: the receiver drifts, the car does not
jump          no vehicle gets there so fast; two in a row that agree are believed
ok            moves the car

The first that fits is the verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model import Fix

EARTH_RADIUS_M = 6_371_008.8

LOWEST_M = -500.0
"""The shore of the Dead Sea, with room for a receiver's error."""
HIGHEST_M = 9_000.0


class Verdict(StrEnum):
    """What `assess` thinks of a fix."""

    OK = "ok"
    NO_FIX = "no_fix"
    ZERO = "zero"
    OUT_OF_RANGE = "out_of_range"
    FUTURE = "future"
    HISTORICAL = "historical"
    DUPLICATE = "duplicate"
    STALE = "stale"
    PARKED = "parked"
    JUMP = "jump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where plausible ends."""

    future: timedelta = timedelta(minutes=5)
    """A GPS clock is exact; this is for the server's."""
    max_speed_kmh: float = 300.0
    """Faster than any vehicle these trackers are put into."""
    jump_m: float = 2_000.0
    """Below this distance a wild speed is only the noise of two fixes close in time."""
    parked_radius_m: float = 100.0
    """A receiver under a roof or between houses wanders that far; 0: every fix moves the car."""
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
    at: datetime,
    received_at: datetime,
    late: bool,
    last_good: Sighting | None,
    doubtful: Sighting | None,
    parked: bool,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Return the verdict on `fix`, which says of itself that it is of `at`.

    `late`: it was old news when it came. `last_good`: where the vehicle was last believed to be,
    with the time of the latest fix that said so. `doubtful`: the latest fix that was called a jump.
    """
    if not fix.valid:
        return Verdict.NO_FIX
    if abs(fix.latitude) < limits.zero_degrees and abs(fix.longitude) < limits.zero_degrees:
        return Verdict.ZERO
    if not _is_possible(fix, limits):
        return Verdict.OUT_OF_RANGE
    if at - received_at > limits.future:
        return Verdict.FUTURE
    if late:
        return Verdict.HISTORICAL
    if last_good is None:
        return Verdict.OK
    if at <= last_good.at:
        same = fix.latitude == last_good.fix.latitude and fix.longitude == last_good.fix.longitude
        return Verdict.DUPLICATE if same and at == last_good.at else Verdict.STALE
    if parked and distance_m(last_good.fix, fix) <= limits.parked_radius_m:
        return Verdict.PARKED
    here = Sighting(fix, at)
    if _impossible(last_good, here, limits) and (
        doubtful is None or doubtful.at >= at or _impossible(doubtful, here, limits)
    ):
        return Verdict.JUMP
    return Verdict.OK


def _is_possible(fix: Fix, limits: Limits) -> bool:
    speed, altitude = fix.speed_kmh, fix.altitude_m
    return (
        abs(fix.latitude) <= 90
        and abs(fix.longitude) <= 180
        and (speed is None or 0 <= speed <= limits.max_speed_kmh)
        and (altitude is None or LOWEST_M <= altitude <= HIGHEST_M)
    )


def _impossible(before: Sighting, after: Sighting, limits: Limits) -> bool:
    metres = distance_m(before.fix, after.fix)
    if metres < limits.jump_m:
        return False
    seconds = (after.at - before.at).total_seconds()
    return metres * 3.6 > limits.max_speed_kmh * seconds


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


def accuracy_m(fix: Fix, moved_on_for_s: float = 0.0) -> int:
    """Return the radius Home Assistant is told, in metres; never 0, which would claim a point.

    From hdop where given (5 m is what such receivers reach at hdop 1), else from the number of
    satellites, else a cautious guess. `moved_on_for_s`: for how long a vehicle that was on the move
    has said nothing since. It may be anywhere its last speed has taken it; the radius grows in
    doublings, so that it is not told anew at every second, up to 50 km.
    """
    radius = _reach_m(fix)
    gone = (fix.speed_kmh or 0.0) / 3.6 * moved_on_for_s
    while radius < min(gone, FARTHEST_M):
        radius *= 2
    return radius


FARTHEST_M = 50_000


def _reach_m(fix: Fix) -> int:
    if fix.hdop is not None and 0 < fix.hdop < 50:
        return max(5, round(fix.hdop * 5))
    if fix.satellites is not None and fix.satellites >= 3:
        return 10 if fix.satellites >= 7 else 15 if fix.satellites >= 5 else 40
    return 20
