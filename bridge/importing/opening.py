"""What a file is, told by its content, and who reads it."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from bridge.errors import RequestError
from bridge.importing import frames, geojson, gpx, table
from bridge.importing.frames import FrameLines, OffsetOf
from bridge.importing.items import BOM, COMMENT, Bad, Reader
from bridge.importing.values import Times
from bridge.protocols.connection import Received

Kind = Literal["frames", "gpx", "csv", "geojson"]
KINDS = get_args(Kind)

SAMPLE = 65_536
"""Bytes by which a file is known."""
SAMPLE_LINES = 20

_SQLITE = b"SQLite format 3\0"
_TEXT = frozenset(range(0x20, 0x100)) - {0x7F} | {9, 10, 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a person says of how files are written, beyond what they show themselves."""

    kind: Kind | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of a CSV file, by field: the heading, or the number of the column."""
    times: Times = field(default_factory=Times)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and who reads it; `heading` is what its rejected lines need above them."""

    path: Path
    kind: Kind
    size: int
    read: Reader
    heading: bytes = b""


def opened(path: Path, written: Written, offset_of: OffsetOf, now: datetime) -> Source:
    """Find out what a file is. Raises RequestError for one that cannot be read or is none of these.

    `offset_of` and `now` are what frames are decoded by.
    """
    try:
        with path.open("rb") as file:
            sample = file.read(SAMPLE)
        size = path.stat().st_size
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    try:
        kind, read, heading = _reader(sample, written, offset_of, now)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from None
    return Source(path, kind, size, read, heading)


def _reader(
    sample: bytes, written: Written, offset_of: OffsetOf, now: datetime
) -> tuple[Kind, Reader, bytes]:
    """Return what these are the first bytes of, who reads it, and the heading of its table."""
    kind = written.kind or _kind(sample)
    if kind == "gpx":
        return kind, gpx.read, b""
    if kind == "geojson":
        return kind, geojson.read, b""
    if kind is None and written.columns:
        kind = "csv"
    if kind != "csv":
        read = _frames(sample, offset_of, now)
        if read is not None:
            return "frames", read, b""
    stream: Reader = partial(frames.read_stream, offset_of, now)
    if kind == "frames":
        return kind, stream if _is_binary(sample) else FrameLines(offset_of, now).read, b""
    try:
        found = _table(sample, written)
    except table.NoColumnError as error:
        if kind == "csv":
            raise
        if _is_binary(sample):  # its first frames may be damaged
            return "frames", stream, b""
        raise RequestError(
            "neither frames of a protocol that is known, nor GPX, GeoJSON or CSV with a heading;"
            f" as CSV: {error}"
        ) from None
    return "csv", found.read, _first_line(sample) if found.layout.header else b""


def _kind(sample: bytes) -> Kind | None:
    """Return what the first bytes show beyond doubt. Raises RequestError for what is none."""
    begin = sample.removeprefix(BOM).lstrip()
    if not begin:
        raise RequestError("it is empty")
    if sample.startswith(_SQLITE):
        raise RequestError("it is a journal: 'replay' reads those, 'restore' a backup")
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RequestError("it is UTF-16: save it as UTF-8")
    if begin.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise RequestError("it is packed: unpack it first")
    if begin.startswith(b"<"):
        return "gpx"
    if begin.startswith(b"{") and b'"chunks"' not in begin.partition(b"\n")[0]:
        return "geojson"
    return "frames" if begin.startswith(b"{") else None


def _frames(sample: bytes, offset_of: OffsetOf, now: datetime) -> Reader | None:
    """Return who reads these bytes as frames, None where none of the first lines is one."""
    whole, newline, _ = sample.rpartition(b"\n")
    if _is_binary(sample) or (not newline and len(sample) == SAMPLE):
        stream = partial(frames.read_stream, offset_of, now)
        events = itertools.islice(stream(io.BytesIO(sample)), SAMPLE_LINES)
        return stream if any(not isinstance(one, Bad) for one in events) else None
    lines = [line.strip() for line in (whole or sample).splitlines()]
    lines = [line for line in lines if line and not line.startswith(COMMENT)][:SAMPLE_LINES]
    for in_hex in (False, True):
        if _understood(FrameLines(offset_of, now, in_hex=in_hex), lines):
            return FrameLines(offset_of, now, in_hex=in_hex).read
    return None


def _is_binary(sample: bytes) -> bool:
    return not _TEXT.issuperset(sample)


def _understood(reader: FrameLines, lines: list[bytes]) -> bool:
    for line in lines:
        try:
            if any(isinstance(event, Received) for event in reader.events(line)):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _table(sample: bytes, written: Written) -> table.Table:
    """Return the table that these are the first lines of. Raises RequestError."""
    dialect = table.dialect(sample)
    first = _first_line(sample).decode(dialect.encoding, "replace")
    row = next(csv.reader([first], delimiter=dialect.delimiter), [])
    found = table.Table(dialect, table.layout(row, written.columns), written.times)
    lines = sample.rpartition(b"\n")[0] or sample
    for item in itertools.islice(found.read(io.BytesIO(lines)), SAMPLE_LINES):
        if isinstance(item, Bad) and item.reason.startswith("time without a time zone"):
            raise RequestError(
                f"line {item.line}: {item.reason}; say --timezone UTC, or Europe/Berlin"
            )
    return found


def _first_line(sample: bytes) -> bytes:
    """Return the first line that says something, without a mark of its encoding."""
    for line in sample.removeprefix(BOM).splitlines(keepends=True):
        if line.strip() and not line.startswith(COMMENT):
            return line if line.endswith(b"\n") else line + b"\n"
    return b""
