"""Trips and the way driven: Journey' = advance(Journey, Point). Pure; a trip is told when it ends.

    begins    by ignition: it goes on, or stays on and the car moves
              by motion:   the first fix that moves
    ends      by ignition: it goes off; or it stays on, and the car has stood for `gap`
              by motion:   it has stood for `min_stop`; it ended when it came to stand
              either way:  nothing was heard for longer than `gap`; it ended at its last point

Ignition decides once it has been on. Until then "off" is no knowledge: a tracker whose ignition
wire is not connected says nothing else, and its trips are found by motion. A trip by motion during
which ignition is first heard on goes on as one by ignition. From then on a car that is moved with
its ignition off is towed: no trip, nobody drives it, but its metres count for the odometer.

The path of a trip starts where the car last was, if that is known from within `gap`, because the
first report of a drive may come a minute after it began; else at its first fix. Metres lie between
two good fixes, whatever was heard between them. All count for the odometer, also across a silence:
the car did get there. Only those on its path count for a trip.

While the car stands, drift belongs to a trip only if it then drives on. A trip by motion has stood
for `min_stop` when a fix that late says it stands still, or when it fell silent after it stood: for
longer than `min_stop`, and than twice the longest silence of this trip before, so that one red
light seen by a tracker that reports every five minutes is no stop. Reports without a fix say
nothing about motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from bridge.assess import distance_m
from bridge.model import Fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What makes a trip, and what parts two."""

    min_distance_m: float = 200.0
    """Less is no trip: a car put somewhere else in the yard."""
    min_stop: timedelta = timedelta(seconds=180)
    """Standing shorter than this is traffic."""
    gap: timedelta = timedelta(hours=1)
    """After a longer silence nobody knows what the car did meanwhile."""


DEFAULT_LIMITS = Limits()


class Place(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Where a fix was, in degrees."""

    latitude: float
    longitude: float


class Point(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What one report adds: `fix` only where its verdict lets it move the car.

    `ignition` and `moving` are what is known of the vehicle at `at`, not only what this report
    says; None while that is nothing.
    """

    at: datetime
    fix: Fix | None = None
    ignition: bool | None = None
    moving: bool | None = None


class Trip(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A trip, or one that goes on, as far as it is known.

    `distance_m` is the length of its path from `start` to `end`, `points` how many fixes lie on
    it. `moving_s` counts what followed a report that the car moves, None while none said whether.
    """

    started_at: datetime
    ended_at: datetime
    distance_m: float = 0.0
    max_speed_kmh: float | None = None
    moving_s: float | None = None
    points: int = 0
    start: Place
    end: Place
    by: Literal["ignition", "motion"]

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return (self.ended_at - self.started_at).total_seconds()


class Journey(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Where the machine stands between two points. Of a fixed size, whatever has been driven."""

    at: datetime | None = None
    """When the latest point was."""
    place: Place | None = None
    """The latest good fix."""
    place_at: datetime | None = None
    ignition: bool | None = None
    """As the latest point said; `moving` likewise."""
    moving: bool | None = None
    keyed: bool = False
    """Ignition has been on at least once."""
    odometer_m: float = 0.0
    """All metres so far."""
    trip: Trip | None = None
    """The trip that goes on."""
    stood: Trip | None = None
    """That trip as it was when the car came to stand, while it stands."""
    waiting: datetime | None = None
    """Since when a trip goes on whose first place is not known yet."""
    pace_s: float = 0.0
    """The longest silence within the trip that goes on."""


EMPTY = Journey()


def advance(
    journey: Journey, point: Point, limits: Limits = DEFAULT_LIMITS
) -> tuple[Journey, Trip | None, float]:
    """Return the journey after a point, the trip that it ended, and its metres on the odometer.

    A fix older than the latest one changes nothing, and so does an older point without one; late
    points are counted by `bridge.recount`. But a fix may be older than a point without one, which
    counts for when it was received.
    """
    at = own = point.at
    if journey.at is not None and at < journey.at:
        if point.fix is None or (journey.place_at is not None and at < journey.place_at):
            return journey, None, 0.0
        at = journey.at
        point = msgspec.structs.replace(point, at=at)
    keyed = journey.keyed or point.ignition is True
    metres = _metres(journey.place, point.fix)
    ended = _over(journey, at, limits, moving=_motion(point, keyed=keyed))
    going = journey if ended is None else _without_trip(journey)
    if going.trip is None:
        going = _begin(going, point, metres, keyed=keyed, limits=limits)
    else:
        going = _go_on(going, going.trip, point, metres, keyed=keyed)
        if keyed and point.ignition is False:
            ended, going = going.trip, _without_trip(going)
    changes: dict[str, Any] = {
        "at": at,
        "ignition": point.ignition,
        "moving": point.moving,
        "keyed": keyed,
        "odometer_m": journey.odometer_m + metres,
    }
    if point.fix is not None:
        changes["place"], changes["place_at"] = _place(point.fix), own
    return msgspec.structs.replace(going, **changes), _counted(ended, limits), metres


def silence(
    journey: Journey, now: datetime, limits: Limits = DEFAULT_LIMITS
) -> tuple[Journey, Trip | None]:
    """End a trip that no point after `now` could continue, and return it.

    What follows is the same as without: the next point would have ended it.
    """
    ended = _over(journey, now, limits, moving=None)
    if ended is None:
        return journey, None
    return _without_trip(journey), _counted(ended, limits)


def running(journey: Journey) -> Trip | None:
    """Return the trip so far, also while it is too short to count as one."""
    return journey.trip


def _over(journey: Journey, at: datetime, limits: Limits, *, moving: bool | None) -> Trip | None:
    """Return the trip that was over before `at`, when the car is known to be `moving` or not."""
    trip, stood = journey.trip, journey.stood
    if trip is None:
        return None
    silent = at - trip.ended_at
    by_motion = trip.by == "motion"
    if silent > limits.gap:
        return stood if by_motion and stood is not None else trip
    if stood is None:
        return None
    if moving is False:
        most = limits.min_stop if by_motion else limits.gap
        return stood if at - stood.ended_at >= most else None
    asleep = max(limits.min_stop, timedelta(seconds=2 * journey.pace_s))
    return stood if by_motion and silent > asleep else None


def _begin(
    journey: Journey, point: Point, metres: float, *, keyed: bool, limits: Limits
) -> Journey:
    """Begin a trip with a point, if it does."""
    at, fix = point.at, point.fix
    since: datetime | None = None
    if keyed and point.ignition is True:
        if journey.waiting is not None and at - journey.waiting <= limits.gap:
            since = journey.waiting
        elif journey.ignition is not True or point.moving is not False:
            since = at
    elif not keyed and point.moving is True and fix is not None:
        since = at
    if since is None:
        return msgspec.structs.replace(journey, waiting=None)
    start = journey.place
    if start is None or journey.place_at is None or at - journey.place_at > limits.gap:
        if fix is None:
            return msgspec.structs.replace(journey, waiting=since)
        start, metres = _place(fix), 0.0
    by: Literal["ignition", "motion"] = "ignition" if keyed else "motion"
    trip = Trip(started_at=since, ended_at=at, start=start, end=start, by=by)
    fresh = msgspec.structs.replace(journey, waiting=None)
    return _go_on(fresh, trip, point, metres, keyed=keyed)


def _go_on(journey: Journey, trip: Trip, point: Point, metres: float, *, keyed: bool) -> Journey:
    """Return the journey with `trip` continued by a point."""
    if point.fix is None and not keyed:
        return journey
    stood = journey.stood
    elapsed_s = (point.at - trip.ended_at).total_seconds()
    changes: dict[str, Any] = {"ended_at": point.at}
    if keyed and trip.by == "motion":
        changes["by"], stood = "ignition", None
    if journey.moving is not None:
        changes["moving_s"] = (trip.moving_s or 0.0) + (elapsed_s if journey.moving else 0.0)
    if point.fix is not None:
        changes["distance_m"] = trip.distance_m + metres
        changes["end"] = _place(point.fix)
        changes["points"] = trip.points + 1
        speeds = (trip.max_speed_kmh, point.fix.speed_kmh)
        changes["max_speed_kmh"] = max((kmh for kmh in speeds if kmh is not None), default=None)
    trip = msgspec.structs.replace(trip, **changes)
    moving = _motion(point, keyed=keyed)
    if moving is True:
        stood = None
    elif moving is False and stood is None:
        stood = trip
    pace_s = max(journey.pace_s, elapsed_s)
    return msgspec.structs.replace(journey, trip=trip, stood=stood, pace_s=pace_s)


def _motion(point: Point, *, keyed: bool) -> bool | None:
    """Return whether a point says that the car moves; without ignition only a fix can say so."""
    return point.moving if keyed or point.fix is not None else None


def _without_trip(journey: Journey) -> Journey:
    return msgspec.structs.replace(journey, trip=None, stood=None, pace_s=0.0)


def _counted(trip: Trip | None, limits: Limits) -> Trip | None:
    return trip if trip is not None and trip.distance_m >= limits.min_distance_m else None


def _place(fix: Fix) -> Place:
    return Place(latitude=fix.latitude, longitude=fix.longitude)


def _metres(place: Place | None, fix: Fix | None) -> float:
    if place is None or fix is None:
        return 0.0
    there = Fix(valid=True, latitude=place.latitude, longitude=place.longitude)
    return distance_m(there, fix)
