"""The gates before a command that can hurt somebody. Pure.

To cut the engine of a moving car can kill. An IMEI is no secret, so whoever connects with it may
lie about where the car is and how fast it goes: that the car stands must be told by a session that
has been there for a while, agrees with itself, and nobody else disputes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.assess import distance_m
from bridge.model import Fix

FIX_AGE = timedelta(seconds=30)
DISTURBED_WITHIN = timedelta(minutes=10)
"""For so long after somebody else spoke for the tracker, or its address changed."""

MOST_SPEED_KMH = 20
"""No configuration raises the limit beyond that."""

_SCATTER_M = 50.0
"""How far two fixes of a vehicle that stands lie apart between houses."""
_SPEED_SCATTER_KMH = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A fix that was believed, as it came over a session."""

    at: datetime
    """The moment it counts for."""
    received_at: datetime
    fix: Fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that decides about an engine stop. Times are aware and UTC."""

    now: datetime
    allowed: bool
    """The configuration says so, for this vehicle."""
    max_speed_kmh: float
    min_session_s: float
    transport: str
    """Of the session it would be sent on, empty where there is none."""
    since: datetime | None
    """When that session spoke for the tracker first."""
    fixes: Sequence[Heard]
    """The latest believed fixes that came on this session, oldest first."""
    disturbed_at: datetime | None
    """When another session spoke for the tracker, or its address was another one."""


def refusal(scene: Scene) -> str:
    """Return why the engine must not be stopped now, as a word; empty: it may be."""
    return next((word for word, closed in GATES.items() if closed(scene)), "")


def _too_young(scene: Scene) -> bool:
    return scene.since is None or scene.now - scene.since < timedelta(seconds=scene.min_session_s)


def _disturbed(scene: Scene) -> bool:
    return scene.disturbed_at is not None and abs(scene.now - scene.disturbed_at) < DISTURBED_WITHIN


def _disagree(scene: Scene) -> bool:
    """Whether the last two fixes cannot be those of one vehicle, or there are not two."""
    if len(scene.fixes) < 2:
        return True
    before, after = scene.fixes[-2:]
    took_s = (after.at - before.at).total_seconds()
    if took_s <= 0:
        return True
    fastest = max(before.fix.speed_kmh or 0.0, after.fix.speed_kmh or 0.0) + _SPEED_SCATTER_KMH
    return distance_m(before.fix, after.fix) > _SCATTER_M + fastest / 3.6 * took_s


def _stale(scene: Scene) -> bool:
    if not scene.fixes:
        return True
    latest = scene.fixes[-1]
    ages = (scene.now - latest.at, scene.now - latest.received_at)
    return max(ages) > FIX_AGE or min(ages) < -FIX_AGE


def _too_fast(scene: Scene) -> bool:
    if not scene.fixes:
        return True
    speed_kmh = scene.fixes[-1].fix.speed_kmh
    # A comparison that is also false for what is no number.
    return speed_kmh is None or not speed_kmh <= min(scene.max_speed_kmh, MOST_SPEED_KMH)


GATES: dict[str, Callable[[Scene], bool]] = {
    "not_enabled": lambda scene: not scene.allowed,
    "not_connected": lambda scene: not scene.transport,
    "needs_tcp": lambda scene: scene.transport != "tcp",
    "session_not_trusted": lambda scene: _disturbed(scene) or _too_young(scene),
    "no_fresh_fix": _stale,
    "too_fast": _too_fast,
    "fixes_disagree": _disagree,
}
"""Why not, in the order in which it is asked; True: closed."""
