"""What people and the bridge itself add to a vehicle's journal, beside its reports."""

from __future__ import annotations

from datetime import datetime

import msgspec

from bridge.orders import Order
from bridge.trips import Journey, Trip


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
