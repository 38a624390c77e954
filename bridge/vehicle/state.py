"""What is known of a vehicle: everything that the rows of its journal add up to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bridge.clock import Clock
from bridge.episodes import Episode, Ring
from bridge.model import Cell, Fix
from bridge.orders import Order
from bridge.trips import Journey, Trip

MOVING_KMH = 6.0
STILL_KMH = 3.0
"""Hysteresis of motion: receivers at rest report up to 2 or 3 km/h."""


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


class Folded(msgspec.Struct, frozen=True, gc=False):
    """The state after a row, with what the row brought about."""

    state: VehicleState
    rings: tuple[Ring, ...] = ()
    trip: Trip | None = None
    """The trip that ended with it."""
