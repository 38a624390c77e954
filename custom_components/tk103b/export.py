"""A track as a file for other programs: GPX, GeoJSON. Pure, and made of what the bridge answers.

points, trips --legs--> points on one way --FORMATS[name]--> text
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

from .contract import MANUFACTURER, PROJECT_URL, TripPayload

SILENCE = timedelta(hours=1)
"""Parts what is no trip; the bridge's own measure, unless it was configured otherwise."""

Point = Mapping[str, Any]
"""One of `get_track`'s: `time`, `latitude`, `longitude`, `verdict` and what else is known."""

_GPX = "http://www.topografix.com/GPX/1/1"


def legs(points: Sequence[Point], trips: Sequence[TripPayload]) -> Iterator[list[Point]]:
    """Yield the ways of a track: each trip, and what was driven besides, at least two points.

    Points and trips come in the order of time. What stood still outside of trips draws no line.
    """
    leg: list[Point] = []
    belongs = 0
    for point, trip in zip(points, _trip_of(points, trips), strict=True):
        if trip < 0 and point.get("verdict") == "parked":
            continue
        if leg and (trip != belongs or _time(point) - _time(leg[-1]) > SILENCE):
            yield from _ways(leg)
            leg = []
        leg.append(point)
        belongs = trip
    yield from _ways(leg)


def gpx(name: str, points: Sequence[Point], trips: Sequence[TripPayload]) -> str:
    """Return GPX 1.1: one track, a segment a leg, a waypoint where an alarm began."""
    root = ET.Element("gpx", {"version": "1.1", "creator": MANUFACTURER, "xmlns": _GPX})
    link = ET.SubElement(ET.SubElement(root, "metadata"), "link", {"href": PROJECT_URL})
    ET.SubElement(link, "text").text = MANUFACTURER
    for point, alarm in _rung(points):
        waypoint = ET.SubElement(root, "wpt", _place(point))
        _say(waypoint, point, ("time", "time"))
        ET.SubElement(waypoint, "name").text = alarm
    track = ET.SubElement(root, "trk")
    ET.SubElement(track, "name").text = name
    for leg in legs(points, trips):
        segment = ET.SubElement(track, "trkseg")
        for point in leg:
            drawn = ET.SubElement(segment, "trkpt", _place(point))
            # In the order that the schema of GPX wants.
            _say(drawn, point, ("ele", "altitude_m"), ("time", "time"))
            _say(drawn, point, ("sat", "satellites"), ("hdop", "hdop"))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def geojson(name: str, points: Sequence[Point], trips: Sequence[TripPayload]) -> str:
    """Return a FeatureCollection: a LineString a leg with its times, a Point where an alarm began.

    Coordinates are longitude, latitude.
    """
    features = [
        _feature(
            {"type": "LineString", "coordinates": [_lon_lat(point) for point in leg]},
            {"kind": "drive", "name": name, "times": [point["time"] for point in leg]},
        )
        for leg in legs(points, trips)
    ]
    features += [
        _feature(
            {"type": "Point", "coordinates": _lon_lat(point)},
            {"kind": "alarm", "name": name, "alarm": alarm, "time": point["time"]},
        )
        for point, alarm in _rung(points)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}) + "\n"


type Format = Callable[[str, Sequence[Point], Sequence[TripPayload]], str]

FORMATS: Mapping[str, Format] = {"gpx": gpx, "geojson": geojson}


def _trip_of(points: Sequence[Point], trips: Sequence[TripPayload]) -> Iterator[int]:
    """Yield for each point which trip it lies in; what lies before one has a number below 0.

    So a trip of which no point is left still parts what lies around it.
    """
    moment_of = datetime.fromisoformat
    spans = [(moment_of(trip["started_at"]), moment_of(trip["ended_at"])) for trip in trips]
    number = 0
    for point in points:
        moment = _time(point)
        while number < len(spans) and spans[number][1] < moment:
            number += 1
        within = number < len(spans) and spans[number][0] <= moment
        yield number if within else -number - 1


def _ways(leg: list[Point]) -> Iterator[list[Point]]:
    """Yield a leg that goes somewhere."""
    if any(_place(one) != _place(other) for one, other in pairwise(leg)):
        yield leg


def _rung(points: Sequence[Point]) -> Iterator[tuple[Point, str]]:
    for point in points:
        for alarm in point.get("rang", ()):
            yield point, alarm


def _say(parent: ET.Element, point: Point, *names: tuple[str, str]) -> None:
    for tag, name in names:
        if name in point:
            ET.SubElement(parent, tag).text = _text(point[name])


def _place(point: Point) -> dict[str, str]:
    return {"lat": _text(point["latitude"]), "lon": _text(point["longitude"])}


def _text(value: str | float) -> str:
    """Return a value as GPX takes it: no number with an exponent, to the centimetre."""
    return value if isinstance(value, str) else f"{value:.7f}".rstrip("0").rstrip(".")


def _lon_lat(point: Point) -> list[float]:
    return [point["longitude"], point["latitude"]]


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _time(point: Point) -> datetime:
    return datetime.fromisoformat(point["time"])
