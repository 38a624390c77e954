"""The track points of a GPX file, as they come: its size does not matter.

Read by expat itself, so that nothing of the document is kept, and every point has its line. A
DOCTYPE is refused before any entity of it can be expanded. Routes and waypoints were not driven.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from bridge.importing.items import Bad, BrokenOffError, Found, Item
from bridge.importing.values import Times, fix, zone

CHUNK = 65_536
MOST_TEXT = 1000
"""Letters of one element or attribute: numbers and times are shorter."""

MOST_DEEP = 64
"""Elements within elements: expat remembers the name of each."""

MOST_NAMES = 10_000
"""Of elements and attributes: expat remembers every name for good, and a file has some twenty."""

MOST_HELD = 4 * CHUNK
"""Bytes of one tag or comment: expat has it whole before it tells of it."""

_TIMES = Times(zone=zone("UTC"))
"""GPX times are UTC, whether they say so or not."""

_FIELDS = {
    "lat": "latitude",
    "lon": "longitude",
    "ele": "altitude_m",
    "speed": "speed_mps",
    "course": "course_deg",
    "hdop": "hdop",
    "sat": "satellites",
}
"""Of a point and its extensions, by their name without prefix. GPX 1.0 and Garmin's extension give
the speed in m/s."""


def read(file: BinaryIO) -> Iterator[Item]:
    """Yield the points of every track. Raises BrokenOffError for what is no GPX."""
    document = _Document()
    parser = document.parser
    try:
        while chunk := file.read(CHUNK):
            parser.Parse(chunk, False)  # noqa: FBT003 - expat's signature
            yield from document.taken()
            document.check_bounds(len(chunk))
        parser.Parse(b"", True)  # noqa: FBT003 - expat's signature
    except BrokenOffError:
        yield from document.taken()
        raise
    except expat.ExpatError as error:
        yield from document.taken()
        reason = expat.errors.messages[error.code]
        raise BrokenOffError(f"{error.lineno}: no XML from here on: {reason}") from None


class _Document:
    """What expat calls, and the points that came of it."""

    def __init__(self) -> None:
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.DefaultHandler = self._other
        self._found: list[Item] = []
        self._line = 0
        self._depth = 0
        self._rooted = False
        self._told = False
        self._held_bytes = 0
        self._point: dict[str, str] | None = None
        self._words: list[str] = []

    def taken(self) -> list[Item]:
        """Return what was found since the last time."""
        found, self._found = self._found, []
        return found

    def check_bounds(self, size: int) -> None:
        """Take note of bytes that were parsed. Raises BrokenOffError where expat keeps too much."""
        line = self.parser.CurrentLineNumber
        self._held_bytes = 0 if self._told else self._held_bytes + size
        self._told = False
        if self._held_bytes >= MOST_HELD:
            raise BrokenOffError(f"{line}: a tag or comment of more than {MOST_HELD} bytes")
        if len(self.parser.intern) > MOST_NAMES:
            raise BrokenOffError(f"{line}: more than {MOST_NAMES} names of elements and attributes")

    def _other(self, _: str) -> None:
        self._told = True

    def _doctype(self, *_: object) -> None:
        raise BrokenOffError(f"{self.parser.CurrentLineNumber}: a DOCTYPE is not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._told = True
        self._depth += 1
        if self._depth > MOST_DEEP:
            line = self.parser.CurrentLineNumber
            raise BrokenOffError(f"{line}: elements within elements, more than {MOST_DEEP} deep")
        name = name.rpartition(":")[2]
        if not self._rooted and name != "gpx":
            raise BrokenOffError(f"{self.parser.CurrentLineNumber}: XML, but no GPX: <{name[:40]}>")
        self._rooted = True
        if name == "trkpt":
            self._line = self.parser.CurrentLineNumber
            self._point = {
                name: text[: MOST_TEXT + 1] for name, text in attributes.items() if _is_said(name)
            }
        self._words.clear()

    def _text(self, text: str) -> None:
        self._told = True
        if self._point is not None and len(self._words) < MOST_TEXT:
            self._words.append(text[: MOST_TEXT + 1])

    def _end(self, name: str) -> None:
        self._told = True
        self._depth -= 1
        point = self._point
        if point is None:
            return
        name = name.rpartition(":")[2]
        if name == "trkpt":
            self._point = None
            self._found.append(_item(self._line, point))
        elif _is_said(name):
            point.setdefault(name, "".join(self._words).strip()[: MOST_TEXT + 1])
        self._words.clear()


def _is_said(name: str) -> bool:
    """Whether something of a point is looked at."""
    return name == "time" or name in _FIELDS


def _item(line: int, point: dict[str, str]) -> Item:
    words = {_FIELDS[name]: text for name, text in point.items() if name in _FIELDS}
    try:
        if long := [name for name, text in point.items() if len(text) > MOST_TEXT]:
            raise ValueError(f"longer than {MOST_TEXT} letters: {', '.join(long)}")
        return Found(line, fix(_TIMES.moment(point.get("time", "")), words), _written(point))
    except ValueError as error:
        return Bad(line, str(error), _written(point))


def _written(point: dict[str, str]) -> bytes:
    """Return a point as it could stand in a file, on one line."""
    said = " ".join(f"{name}={quoteattr(text)}" for name, text in point.items())
    return f"<trkpt {said}/>\n".encode()
