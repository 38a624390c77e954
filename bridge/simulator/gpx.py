"""A drive out of a GPX 1.1 file: its track points, else its route points.

The file is a stranger's: its size is bounded and a DOCTYPE is refused before any entity of it can
be expanded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from bridge.errors import ConfigError
from bridge.simulator.route import Route, Waypoint, through, timed

MAX_BYTES = 8 * 1024 * 1024
"""A day's track with a point a second has about this size."""

UNTIMED_KMH = 50.0
"""Speed along a file without times."""


def read(path: Path) -> Route:
    """Return the drive in a GPX file, at its own pace if each point has a time, else at 50 km/h.

    Raises ConfigError, which names the file, for one that cannot be read or driven.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", file=str(path)) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes", file=str(path))
    try:
        return parse(data)
    except ValueError as error:
        raise ConfigError(f"no drivable GPX: {error}", file=str(path)) from error


def parse(data: bytes) -> Route:
    """Return the drive in the bytes of a GPX document; ValueError says what is wrong with it."""
    # S314: the builder refuses a DOCTYPE, without which there are no entities to expand.
    parser = ET.XMLParser(target=_Builder())  # noqa: S314
    try:
        parser.feed(data)
        root = parser.close()
    except ET.ParseError as error:
        raise ValueError(f"XML: {error}") from error
    found: dict[str, list[tuple[datetime | None, Waypoint]]] = {"trkpt": [], "rtept": []}
    for element in root.iter():
        points = found.get(_name(element))
        if points is not None:
            points.append(_point(element))
    points = found["trkpt"] or found["rtept"]
    if not points:
        raise ValueError("no track point and no route point")
    start = points[0][0]
    clocked = [
        ((moment - start).total_seconds(), point)
        for moment, point in points
        if moment is not None and start is not None
    ]
    if len(clocked) == len(points):
        return timed(clocked)
    return through([point for _, point in points], closed=False)


class _Builder(ET.TreeBuilder):
    """Builds a tree of a document without a DOCTYPE."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - expat's signature
        """Refuse: expat calls this before it reads what the DOCTYPE declares."""
        raise ValueError("a DOCTYPE is not allowed")


def _name(element: ET.Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition("}")[2]


def _point(element: ET.Element) -> tuple[datetime | None, Waypoint]:
    latitude, longitude = float(element.get("lat", "")), float(element.get("lon", ""))
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        raise ValueError("a point outside of the world")
    texts = {_name(child): (child.text or "").strip() for child in element}
    altitude_m = float(texts.get("ele") or 0.0)
    moment = datetime.fromisoformat(texts["time"]) if texts.get("time") else None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment, Waypoint(latitude, longitude, UNTIMED_KMH, altitude_m=altitude_m)
