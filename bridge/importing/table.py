"""Points of a CSV file: which column is what, by its heading or as it was said.

    heading --guessed, or --map--> Layout: where each field stands --read--> points

A speed counts only under a heading that says its unit.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NamedTuple

from bridge.errors import RequestError
from bridge.importing.items import MOST_LINE, Bad, Found, Item, lines, too_long
from bridge.importing.values import MEASURES, SPEEDS, Times, fix
from bridge.model import Fix

FIELDS = ("time", "date", "latitude", "longitude", *SPEEDS, *MEASURES)
NECESSARY = ("time", "latitude", "longitude")

DELIMITERS = ",;\t|"
_BLANK = f'{DELIMITERS} \r\n"'.encode()

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "time": (
        "time", "timestamp", "datetime", "date_time", "fix_time", "fixtime", "gps_time", "gpstime",
        "time_utc", "utc", "utc_time", "recorded_at", "device_time", "devicetime", "position_time",
        "zeit", "zeitpunkt", "zeitstempel", "uhrzeit", "datum_uhrzeit",
    ),
    "date": ("date", "datum", "gps_date", "utc_date"),
    "latitude": ("latitude", "lat", "latitude_deg", "gps_lat", "gps_latitude", "breite",
                 "breitengrad", "y"),
    "longitude": ("longitude", "lon", "lng", "long", "longitude_deg", "gps_lon", "gps_longitude",
                  "laenge", "lange", "laengengrad", "langengrad", "x"),
    "speed_kmh": ("speed_kmh", "speed_km_h", "speed_kph", "kmh", "km_h", "kph", "velocity_kmh",
                  "geschwindigkeit_km_h", "geschwindigkeit_kmh"),
    "speed_mps": ("speed_mps", "speed_m_s", "speed_ms", "m_s", "geschwindigkeit_m_s"),
    "speed_knots": ("speed_knots", "speed_kn", "speed_kt", "speed_kts", "knots", "knoten"),
    "speed_mph": ("speed_mph", "mph"),
    "course_deg": ("course_deg", "course", "heading", "bearing", "track", "direction", "kurs",
                   "richtung"),
    "altitude_m": ("altitude_m", "altitude", "alt", "elevation", "elevation_m", "ele", "height",
                   "hoehe", "hohe"),
    "hdop": ("hdop", "dop"),
    "satellites": ("satellites", "sat", "sats", "num_sats", "nsat", "satelliten"),
}  # fmt: skip
"""What headings are called, letters and digits only; of several the first is taken."""

_OTHER = re.compile(r"[^a-z0-9]+")
_UMLAUTS = str.maketrans({"ä": "a", "ö": "o", "ü": "u"})
_CLOCK = re.compile(r"\s*\d\d?:\d\d")

SAMPLE_LINES = 20

Line = tuple[int, bytes]
"""Its number, and what stands on it."""


class NoColumnError(RequestError):
    """A table does not say where something necessary stands."""


class Dialect(NamedTuple):
    """How a table is written."""

    delimiter: str
    encoding: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each field stands, counted from 0; `header`: the first line says so and is no point."""

    columns: Mapping[str, int]
    header: bool


def dialect(sample: bytes) -> Dialect:
    """Return how a table is written: the delimiter that gives its lines most columns alike."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        whole = error.start > len(sample) - 4  # cut within a letter
        encoding = "utf-8" if whole else "cp1252"
    else:
        encoding = "utf-8"
    text = [line.decode(encoding, "replace") for line in sample.splitlines() if line.strip()]
    text = text[:SAMPLE_LINES]

    def columns(delimiter: str) -> int:
        return min((len(row) for row in csv.reader(text, delimiter=delimiter)), default=0)

    return Dialect(max(DELIMITERS, key=columns), encoding)


def layout(first: Sequence[str], wanted: Mapping[str, str]) -> Layout:
    """Return where the fields stand, by the first line of a table and what was said of it.

    `wanted`: by field, a heading, or the number of a column counted from 1, in a table that has no
    heading. Raises RequestError.
    """
    names = [name.strip().lstrip("\ufeff") for name in first]
    unknown = [name for name in wanted if name not in FIELDS]
    if unknown:
        raise RequestError(f"--map: there is no {unknown[0]!r}; there are {', '.join(FIELDS)}")
    numbered = {field: int(name) - 1 for field, name in wanted.items() if _is_number(name, names)}
    if numbered and len(numbered) == len(wanted):
        return _complete(Layout(numbered, header=False), names)
    plain = [_plain(name) for name in names]
    columns = {}
    for field, headings in _HEADINGS.items():
        if field in wanted:
            if wanted[field] not in names:
                raise RequestError(
                    f"--map: there is no column {wanted[field]!r}; there are {_listed(names)}"
                )
            columns[field] = names.index(wanted[field])
            continue
        found = next((heading for heading in headings if heading in plain), None)
        if found is not None and not (field in SPEEDS and wanted.keys() & SPEEDS.keys()):
            columns[field] = plain.index(found)
    for speed in [name for name in SPEEDS if name in columns][1:]:
        del columns[speed]
    return _complete(Layout(columns, header=True), names)


def _is_number(name: str, names: Sequence[str]) -> bool:
    return name.isdecimal() and int(name) > 0 and name not in names


def _complete(found: Layout, names: Sequence[str]) -> Layout:
    missing = [field for field in NECESSARY if field not in found.columns]
    if missing:
        raise NoColumnError(
            f"no column for {' and '.join(missing)}: there are {_listed(names)}; say which with"
            f" --map {','.join(f'{field}=COLUMN' for field in missing)}"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:30]) for name in names[:30])


def _plain(name: str) -> str:
    return _OTHER.sub("_", name.lower().translate(_UMLAUTS)).strip("_")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file, as it is written and laid out."""

    dialect: Dialect
    layout: Layout
    times: Times

    def read(self, file: BinaryIO) -> Iterator[Item]:
        """Yield the point of each row."""
        rows = self._rows(lines(file))
        if self.layout.header:
            next(rows, None)
        for taken in rows:
            text = b"".join(line for _, line in taken)
            if not text.strip(_BLANK):  # spreadsheets fill up with empty rows
                continue
            try:
                yield Found(taken[0][0], self._point(taken), text)
            except ValueError as error:
                yield Bad(taken[0][0], str(error), text)

    def _rows(self, source: Iterator[Line]) -> Iterator[list[Line]]:
        """Yield the lines that each row is made of.

        What is quoted may go on over lines. A quote that never ends, or that has a point of its own
        within, was none: then each line is a row.
        """
        for first in source:
            if b'"' not in first[1]:
                yield [first]
                continue
            taken: list[Line] = []
            try:
                self._columns(self._going_on(first, source, taken), strict=True)
            except ValueError:
                yield from ([line] for line in taken)
            else:
                yield taken

    def _going_on(self, first: Line, source: Iterator[Line], taken: list[Line]) -> Iterator[bytes]:
        """Yield the lines of a row, as long as they are asked for; those stand in `taken` then."""
        size = 0
        for line in itertools.chain([first], source):
            taken.append(line)
            if taken[1:] and self._is_point(line):
                return
            yield line[1]
            size += len(line[1])
            if size > MOST_LINE:
                return

    def _is_point(self, line: Line) -> bool:
        try:
            self._point([line])
        except ValueError:
            return False
        return True

    def _point(self, taken: Sequence[Line]) -> Fix:
        """Return the point that a row is. Raises ValueError."""
        for _, line in taken:
            if reason := too_long(line):
                raise ValueError(reason)
        return fix(*self._words(self._columns(line for _, line in taken)))

    def _columns(self, row: Iterable[bytes], *, strict: bool = False) -> list[str]:
        """Return the columns of the lines of a row. Raises ValueError.

        `strict`: a quote has its end, and nothing but a delimiter after it.
        """
        text = (line.decode(self.dialect.encoding, "replace") for line in row)
        try:
            return next(csv.reader(text, delimiter=self.dialect.delimiter, strict=strict), [])
        except csv.Error as error:
            raise ValueError(str(error)) from None

    def _words(self, row: Sequence[str]) -> tuple[datetime, dict[str, str]]:
        columns = self.layout.columns
        if len(row) <= max(columns[field] for field in NECESSARY):
            raise ValueError(f"only {len(row)} columns")
        words = {field: row[place] for field, place in columns.items() if place < len(row)}
        time, date = words.pop("time"), words.pop("date", "")
        if date and _CLOCK.match(time):
            time = f"{date.strip()} {time.strip()}"
        if self.dialect.delimiter != ",":
            words = {field: text.replace(",", ".") for field, text in words.items()}
        return self.times.moment(time), words
