"""The lines of a GeoJSON file whose points have times: those that `export` writes, and their like.

GeoJSON has no word for the time of a point. Ours is `times` in the properties of a line, others
write `coordTimes`; a point may have `time`. Such a file is read as a whole, so its size is bounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from bridge.importing.items import BOM, Bad, BrokenOffError, Found, Item
from bridge.importing.values import Times, fix, zone

MOST_BYTES = 8 * 1024 * 1024
"""Some 150,000 points; in memory they become ten times as large, and lists of nothing 35 times."""

_TIMES = Times(zone=zone("UTC"))


class _Geometry(msgspec.Struct):
    type: str
    coordinates: Any = None


class _Feature(msgspec.Struct):
    geometry: _Geometry | None = None
    properties: dict[str, Any] | None = None


class _Collection(msgspec.Struct):
    features: list[_Feature]


def read(file: BinaryIO) -> Iterator[Item]:
    """Yield the points of every line with times, numbered through. Raises BrokenOffError."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BrokenOffError(
            f"1: GeoJSON of more than {MOST_BYTES >> 20} MB: export it in pieces, or as GPX"
        )
    try:
        features = msgspec.json.decode(data.removeprefix(BOM), type=_Collection).features
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenOffError(f"1: no GeoJSON: {error}") from None
    del data
    number = 0
    for feature in features:
        for place, time in _places(feature):
            number += 1
            yield _item(number, place, time)


def _places(feature: _Feature) -> Iterator[tuple[Any, Any]]:
    """Yield coordinates with what is said of their time."""
    geometry, properties = feature.geometry, feature.properties or {}
    if geometry is None:
        return
    coordinates: Any = geometry.coordinates
    times: Any = properties.get("times", properties.get("coordTimes"))
    if geometry.type == "LineString":
        coordinates, times = [coordinates], [times]
    elif geometry.type == "Point" and "time" in properties and properties.get("kind") != "alarm":
        coordinates, times = [[coordinates]], [[properties["time"]]]
    elif geometry.type != "MultiLineString":
        return
    for line, of_line in itertools.zip_longest(_list(coordinates), _list(times)):
        yield from itertools.zip_longest(_list(line), _list(of_line))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _item(number: int, place: Any, time: Any) -> Item:  # noqa: ANN401 - JSON of a stranger
    text = msgspec.json.encode([place, time]) + b"\n"
    names = ("longitude", "latitude", "altitude_m")
    if not isinstance(place, list):
        return Bad(number, "no place", text)
    try:
        words = {name: str(value) for name, value in zip(names, place, strict=False)}
        return Found(number, fix(_TIMES.moment("" if time is None else str(time)), words), text)
    except ValueError as error:
        return Bad(number, str(error), text)
