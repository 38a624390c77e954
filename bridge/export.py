"""A track in the formats of other programs: GPX, GeoJSON, CSV. Pure; text comes in pieces.

    points, trips --legs--> Leg: one drive --FORMATS[name]--> pieces of text

A leg is a trip, or what was driven without being one that ended: the trip that goes on, mostly.
What stood still outside of trips draws no line; CSV alone has every point.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from gpxpy import gpx as gpxpy

from bridge import payloads, trips
from bridge.assess import Verdict, distance_m
from bridge.history import Point
from bridge.model import Fix
from bridge.trips import Trip

CREATOR = "TK103B Bridge"


class Leg(NamedTuple):
    """Points on one way; `trip` None: no trip that ended."""

    points: list[Point]
    trip: Trip | None


class Track(NamedTuple):
    """What is exported: a vehicle's believed points and its trips, each in order of time."""

    name: str
    points: Iterable[Point]
    trips: Sequence[Trip]
    limits: trips.Limits = trips.DEFAULT_LIMITS


def legs(track: Track) -> Iterator[Leg]:
    """Yield the drives of a track: each trip, and between trips what went somewhere.

    A silence of more than the trips' gap splits what is no trip.
    """
    ended = iter(track.trips)
    trip = next(ended, None)
    leg = Leg([], None)
    for point in track.points:
        passed = False  # a trip of which no point is left still parts what lies around it
        while trip is not None and trip.ended_at < point.time:
            trip, passed = next(ended, None), True
        within = trip if trip is not None and trip.started_at <= point.time else None
        pause = leg.points and point.time - leg.points[-1].time > track.limits.gap
        if pause or passed or within is not leg.trip:
            yield from _counted(leg, track.limits)
            leg = Leg([], within)
        if within is not None or point.verdict is not Verdict.PARKED:
            leg.points.append(point)
    yield from _counted(leg, track.limits)


def _counted(leg: Leg, limits: trips.Limits) -> Iterator[Leg]:
    """Yield a leg that is a trip or reaches as far as one."""
    if not leg.points:
        return
    begin = _fix(leg.points[0])
    if leg.trip is not None or any(
        distance_m(begin, _fix(point)) >= limits.min_distance_m for point in leg.points
    ):
        yield leg


def _fix(point: Point) -> Fix:
    assert point.latitude is not None  # noqa: S101 - a believed point has a place
    assert point.longitude is not None  # noqa: S101 - asked before
    return Fix(valid=True, latitude=point.latitude, longitude=point.longitude)


def gpx(track: Track) -> Iterator[str]:
    """Yield GPX 1.1: one track, a segment a leg, a waypoint where an alarm began."""
    document = gpxpy.GPX()
    document.creator = CREATOR
    line = gpxpy.GPXTrack(name=track.name)
    points = list(track.points)
    for leg in legs(track._replace(points=points)):
        segment = gpxpy.GPXTrackSegment()
        segment.points = [
            gpxpy.GPXTrackPoint(
                point.latitude,
                point.longitude,
                elevation=point.altitude_m,
                time=point.time,
                horizontal_dilution=point.hdop,
            )
            for point in leg.points
        ]
        for drawn, point in zip(segment.points, leg.points, strict=True):
            drawn.satellites = point.satellites
        line.segments.append(segment)
    document.tracks.append(line)
    document.waypoints = [
        gpxpy.GPXWaypoint(point.latitude, point.longitude, time=point.time, name=str(alarm))
        for point in points
        for alarm in point.rang
    ]
    yield document.to_xml("1.1") + "\n"


def geojson(track: Track) -> Iterator[str]:
    """Yield a FeatureCollection: a LineString a leg with its trip, a Point where an alarm began.

    Coordinates are longitude, latitude; `times` has one for each of them.
    """
    points = list(track.points)
    yield '{"type":"FeatureCollection","features":['
    between = ""
    for feature in _features(track, points):
        yield f"{between}\n{msgspec.json.encode(feature).decode()}"
        between = ","
    yield "\n]}\n"


def _features(track: Track, points: list[Point]) -> Iterator[dict[str, object]]:
    for leg in legs(track._replace(points=points)):
        line = [(point.time, point.longitude, point.latitude) for point in leg.points]
        fields: dict[str, object] = {"kind": "drive"}
        if leg.trip is not None:
            fields = {"kind": "trip", **payloads.trip_fields(leg.trip)}
            if len(line) == 1:  # no line: it came from where the trip began
                start = leg.trip.start
                line.insert(0, (leg.trip.started_at, start.longitude, start.latitude))
        if len(line) < 2:
            continue
        fields["times"] = [time for time, _, _ in line]
        yield _feature("LineString", [place for _, *place in line], fields)
    for point in points:
        for alarm in point.rang:
            fields = {"kind": "alarm", "alarm": alarm, "time": point.time}
            yield _feature("Point", [point.longitude, point.latitude], fields)


def _feature(shape: str, coordinates: object, properties: object) -> dict[str, object]:
    geometry = {"type": shape, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


COLUMNS = (
    "time",
    "latitude",
    "longitude",
    "speed_kmh",
    "course_deg",
    "altitude_m",
    "satellites",
    "hdop",
    "verdict",
    "alarm",
    "seq",
)


def table(track: Track) -> Iterator[str]:
    """Yield CSV: a header, then a line a point; times are RFC 3339, UTC, unknown is empty."""
    yield _line(COLUMNS)
    for point in track.points:
        fields = msgspec.to_builtins(point)
        yield _line([fields.get(column, "") for column in COLUMNS])


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


FORMATS: Mapping[str, Callable[[Track], Iterator[str]]] = MappingProxyType(
    {"gpx": gpx, "geojson": geojson, "csv": table}
)
