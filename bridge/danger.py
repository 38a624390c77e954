"""The gates before a command that can hurt somebody. Pure.

To cut the engine of a moving car can kill. An IMEI is no secret, so whoever connects with it may
lie about where the car is and how fast it goes: that the car stands must be told by a session that
has been there for a while, agrees with itself, and nobody else disputes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.assess import distance_m
from bridge.model import Fix

FIX_AGE = timedelta(seconds=30)
DISTURBED_WITHIN = timedelta(minutes=10)
"""For so long after somebody else spoke for the tracker, or its address changed."""

MOST_SPEED_KMH = 20
"""No configuration raises the limit beyond that."""

MOST_HEARD = 64
"""Fixes of a session that are remembered: of the fastest boxes more than `APART`."""

APART = timedelta(seconds=10)
"""Nearer in time two fixes prove nothing of the speed between them: receivers scatter."""
TOGETHER = timedelta(minutes=15)
"""Further apart in time they prove nothing of now."""

_SCATTER_M = 50.0
"""How far two fixes of a vehicle that stands lie apart between houses."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A live fix as it came over a session."""

    at: datetime
    """The moment it counts for."""
    received_at: datetime
    fix: Fix
    believed: bool
    """It may move the car, or has found it where it is parked."""


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
    session_s: float | None
    """For how long that session has spoken for the tracker, by a clock that is never set."""
    fixes: Sequence[Heard]
    """The latest that came on this session, oldest first."""
    others: Sequence[Heard] = ()
    """The latest of all the vehicle's trackers, connected or not, by whatever way."""
    disturbed_at: Sequence[datetime] = ()
    """When somebody else spoke for one of its trackers, or from another address."""


def refusal(scene: Scene) -> str:
    """Return why the engine must not be stopped now, as a word; empty: it may be."""
    return next((word for word, closed in GATES.items() if closed(scene)), "")


def is_trusted(scene: Scene) -> bool:
    """Whether a session may be told what a stranger must not hear."""
    young = scene.session_s is None or scene.session_s < scene.min_session_s
    return not young and all(
        abs(scene.now - disturbed) >= DISTURBED_WITHIN for disturbed in scene.disturbed_at
    )


def _stale(scene: Scene) -> bool:
    """Whether the newest fix is not believed, or not of now."""
    if not scene.fixes or not scene.fixes[-1].believed:
        return True
    return not _is_of_now(scene.fixes[-1], scene.now)


def _is_of_now(heard: Heard, now: datetime) -> bool:
    return max(abs(now - heard.at), abs(now - heard.received_at)) <= FIX_AGE


def _too_fast(scene: Scene) -> bool:
    """Whether anything that was heard of the vehicle lately says so, believed or not."""
    limit_kmh = min(scene.max_speed_kmh, MOST_SPEED_KMH)
    if not scene.fixes or not _is_slow(scene.fixes[-1].fix, limit_kmh):
        return True
    lately = (
        heard
        for heard in (*scene.fixes, *scene.others)
        if abs(scene.now - heard.received_at) <= FIX_AGE and heard.fix.speed_kmh is not None
    )
    return not all(_is_slow(heard.fix, limit_kmh) for heard in lately)


def _is_slow(fix: Fix, limit_kmh: float) -> bool:
    # A comparison that is also false for what is no number.
    return fix.speed_kmh is not None and fix.speed_kmh <= limit_kmh


def _disagree(scene: Scene) -> bool:
    """Whether the newest fix and one before it tell of a way, or there is none to compare with."""
    before = next(_before(scene.fixes), None)
    if before is None:
        return True
    newest = scene.fixes[-1]
    way_m = max(0.0, distance_m(before.fix, newest.fix) - _SCATTER_M)
    took_s = (newest.at - before.at).total_seconds()
    return way_m / took_s * 3.6 > min(scene.max_speed_kmh, MOST_SPEED_KMH)


def _before(fixes: Sequence[Heard]) -> Iterator[Heard]:
    """Yield the believed fixes that the newest can be compared with, the latest first."""
    for heard in reversed(fixes[:-1]):
        if heard.believed and APART <= fixes[-1].at - heard.at <= TOGETHER:
            yield heard


GATES: dict[str, Callable[[Scene], bool]] = {
    "not_enabled": lambda scene: not scene.allowed,
    "not_connected": lambda scene: not scene.transport,
    "needs_tcp": lambda scene: scene.transport != "tcp",
    "session_not_trusted": lambda scene: not is_trusted(scene),
    "no_fresh_fix": _stale,
    "too_fast": _too_fast,
    "fixes_disagree": _disagree,
}
"""Why not, in the order in which it is asked; True: closed."""
