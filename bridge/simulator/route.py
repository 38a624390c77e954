"""Where the simulated car is at any second of its drive: on the built-in loop or along a GPX track.

A route is a row of legs. On each the speed changes evenly from one end to the other; a stop is a
leg without length. A car that stands for `PARKED_S` or longer is parked: ignition off, and a door
open while people get out and in.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

PARKED_S = 120.0
DOOR_S = 15.0

_EARTH_KM = 6371.0088
_SECONDS_PER_HOUR = 3600.0


class Place(NamedTuple):
    """The car at one moment."""

    latitude: float
    longitude: float
    altitude_m: float
    speed_kmh: float
    course_deg: float
    travelled_km: float
    """Since the start of the drive."""
    ignition: bool
    door_open: bool


class Waypoint(NamedTuple):
    """A point to pass at a speed; a stop there needs the speed 0."""

    latitude: float
    longitude: float
    speed_kmh: float
    stop_s: float = 0.0
    altitude_m: float = 0.0


class Leg(NamedTuple):
    """A straight piece of the way, `start_s` and `start_km` into the drive."""

    start_s: float
    duration_s: float
    start_km: float
    length_km: float
    origin: Waypoint
    target: Waypoint
    from_kmh: float
    to_kmh: float
    course_deg: float

    @property
    def parked(self) -> bool:
        """Whether the car stands here long enough to be switched off."""
        return self.length_km == 0.0 and self.duration_s >= PARKED_S

    def at(self, seconds: float) -> Place:
        """Return the place so many seconds into the drive, which this leg covers."""
        spent_s = min(max(seconds - self.start_s, 0.0), self.duration_s)
        share = spent_s / self.duration_s
        speed = self.from_kmh + (self.to_kmh - self.from_kmh) * share
        driven_km = (self.from_kmh + speed) / 2.0 * spent_s / _SECONDS_PER_HOUR
        part = min(driven_km / self.length_km, 1.0) if self.length_km else 0.0
        origin, target = self.origin, self.target
        return Place(
            latitude=origin.latitude + (target.latitude - origin.latitude) * part,
            longitude=_wrap(origin.longitude + _east(origin, target) * part),
            altitude_m=origin.altitude_m + (target.altitude_m - origin.altitude_m) * part,
            speed_kmh=speed,
            course_deg=self.course_deg,
            travelled_km=self.start_km + driven_km,
            ignition=not self.parked,
            door_open=self.parked and min(spent_s, self.duration_s - spent_s) < DOOR_S,
        )


@dataclass(frozen=True, slots=True)
class Route:
    """A drive. A closed one is driven round and round; an open one ends parked."""

    legs: tuple[Leg, ...]
    closed: bool

    @property
    def duration_s(self) -> float:
        """How long one drive takes."""
        return self.legs[-1].start_s + self.legs[-1].duration_s

    @property
    def length_km(self) -> float:
        """How far one drive goes."""
        return self.legs[-1].start_km + self.legs[-1].length_km

    def at(self, seconds: float) -> Place:
        """Return where the car is `seconds` after it set out."""
        laps = 0.0
        if self.closed:
            laps, seconds = divmod(seconds, self.duration_s)
        elif seconds >= self.duration_s:
            end = self.legs[-1].at(self.duration_s)
            return end._replace(speed_kmh=0.0, ignition=False)
        index = bisect_right(self.legs, seconds, key=lambda leg: leg.start_s) - 1
        place = self.legs[max(index, 0)].at(seconds)
        return place._replace(travelled_km=place.travelled_km + laps * self.length_km)


def through(waypoints: Sequence[Waypoint], *, closed: bool) -> Route:
    """Return the route through `waypoints`, back to the first if `closed`.

    Raises ValueError where a leg has the speed 0 at both ends, or nothing is left to drive.
    """
    ends = [*waypoints[1:], *waypoints[:1]] if closed else [*waypoints[1:]]
    way = _Way()
    for origin, target in zip(waypoints, ends, strict=False):
        way.stop(origin, origin.stop_s)
        length_km = _distance_km(origin, target)
        if length_km == 0.0:
            continue
        mean_kmh = (origin.speed_kmh + target.speed_kmh) / 2.0
        if mean_kmh <= 0.0:
            raise ValueError("a leg that nobody drives: its speed is 0 at both ends")
        way.drive(origin, target, length_km / mean_kmh * _SECONDS_PER_HOUR)
    return way.route(closed=closed)


def timed(points: Sequence[tuple[float, Waypoint]]) -> Route:
    """Return the open route through points that are passed at given seconds, at even speeds.

    Points that are not later than the one before are left out. Raises ValueError if fewer than two
    are left.
    """
    way = _Way()
    last_s, last = points[0]
    for moment_s, point in points[1:]:
        duration_s = moment_s - last_s
        if duration_s <= 0.0:
            continue
        length_km = _distance_km(last, point)
        if length_km == 0.0:
            way.stop(last, duration_s)
        else:
            speed = length_km / duration_s * _SECONDS_PER_HOUR
            way.drive(last._replace(speed_kmh=speed), point._replace(speed_kmh=speed), duration_s)
        last_s, last = moment_s, point
    return way.route(closed=False)


@cache
def built_in_loop() -> Route:
    """Return the built-in drive: a round of 22 minutes with lights, a fast road and a rest."""
    return through(_LOOP, closed=True)


# fmt: off
_LOOP = (
    # latitude, longitude, km/h there, seconds stopped, altitude: drawn freehand, no real drive
    Waypoint(52.4600, 13.3000,  0.0,  20.0, 34.0),
    Waypoint(52.4612, 13.3031, 48.0,   0.0, 34.5),
    Waypoint(52.4650, 13.3112, 56.0,   0.0, 36.0),
    Waypoint(52.4659, 13.3140,  0.0,  25.0, 36.5),  # a traffic light
    Waypoint(52.4668, 13.3168, 45.0,   0.0, 37.0),
    Waypoint(52.4731, 13.3284, 58.0,   0.0, 41.0),
    Waypoint(52.4768, 13.3320, 44.0,   0.0, 43.0),
    Waypoint(52.4810, 13.3365, 88.0,   0.0, 44.0),  # the fast road
    Waypoint(52.4876, 13.3590,106.0,   0.0, 39.0),
    Waypoint(52.4869, 13.3742, 98.0,   0.0, 37.0),
    Waypoint(52.4837, 13.3805, 54.0,   0.0, 36.0),
    Waypoint(52.4812, 13.3821,  0.0, 150.0, 35.5),  # a rest: the engine is switched off
    Waypoint(52.4788, 13.3832, 42.0,   0.0, 35.0),
    Waypoint(52.4702, 13.3845, 58.0,   0.0, 34.0),
    Waypoint(52.4679, 13.3842,  0.0,  20.0, 33.5),  # a traffic light
    Waypoint(52.4655, 13.3830, 52.0,   0.0, 33.0),
    Waypoint(52.4582, 13.3701, 78.0,   0.0, 33.0),
    Waypoint(52.4549, 13.3498, 80.0,   0.0, 32.5),
    Waypoint(52.4560, 13.3301, 64.0,   0.0, 32.0),
    Waypoint(52.4571, 13.3262,  0.0,  25.0, 32.5),  # a level crossing
    Waypoint(52.4580, 13.3224, 44.0,   0.0, 33.0),
    Waypoint(52.4594, 13.3052, 48.0,   0.0, 34.0),
)
# fmt: on


class _Way:
    """Legs being laid one behind the other."""

    def __init__(self) -> None:
        self._legs: list[Leg] = []
        self._s = 0.0
        self._km = 0.0

    def stop(self, where: Waypoint, seconds: float) -> None:
        """Stand for some seconds, if any, looking the way the car came."""
        if seconds <= 0.0:
            return
        before = self._legs[-1] if self._legs else None
        if before is not None and not before.length_km:
            self._legs[-1] = before._replace(duration_s=before.duration_s + seconds)
            self._s += seconds
            return
        still = where._replace(speed_kmh=0.0)
        self._lay(still, still, seconds, 0.0, before.course_deg if before else 0.0)

    def drive(self, origin: Waypoint, target: Waypoint, seconds: float) -> None:
        """Drive on to `target`."""
        self._lay(
            origin, target, seconds, _distance_km(origin, target), _course_deg(origin, target)
        )

    def route(self, *, closed: bool) -> Route:
        """Return what was laid."""
        if not self._km:
            raise ValueError("a route that goes nowhere")
        return Route(tuple(self._legs), closed)

    def _lay(
        self, origin: Waypoint, target: Waypoint, seconds: float, length_km: float, course: float
    ) -> None:
        speeds = origin.speed_kmh, target.speed_kmh
        self._legs.append(
            Leg(self._s, seconds, self._km, length_km, origin, target, *speeds, course)
        )
        self._s += seconds
        self._km += length_km


def _east(origin: Waypoint, target: Waypoint) -> float:
    """Degrees of longitude from one to the other, the short way round."""
    return _wrap(target.longitude - origin.longitude)


def _wrap(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def _distance_km(origin: Waypoint, target: Waypoint) -> float:
    """Great-circle distance (haversine)."""
    north = math.radians(target.latitude - origin.latitude)
    east = math.radians(_east(origin, target))
    narrowing = math.cos(math.radians(origin.latitude)) * math.cos(math.radians(target.latitude))
    chord = math.sin(north / 2) ** 2 + narrowing * math.sin(east / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(math.sqrt(chord), 1.0))


def _course_deg(origin: Waypoint, target: Waypoint) -> float:
    """Course over ground of a short leg."""
    middle = math.radians((origin.latitude + target.latitude) / 2)
    east = _east(origin, target) * math.cos(middle)
    return math.degrees(math.atan2(east, target.latitude - origin.latitude)) % 360.0
