"""Points of a CSV file: which column is what, by its heading or as it was said.

    heading --guessed, or --map--> Layout: where each field stands --read--> points

A speed counts only under a heading that says its unit.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NamedTuple

from bridge.errors import RequestError
from bridge.importing.items import Bad, Found, Item, lines, too_long
from bridge.importing.values import MEASURES, SPEEDS, Times, fix

FIELDS = ("time", "date", "latitude", "longitude", *SPEEDS, *MEASURES)
NECESSARY = ("time", "latitude", "longitude")

DELIMITERS = ",;\t|"

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
        """Yield the point of each line."""
        taken: deque[tuple[int, bytes]] = deque()
        """Lines that the row being read is made of."""
        reader = csv.reader(self._decoded(file, taken), delimiter=self.dialect.delimiter)
        first = self.layout.header
        while True:
            taken.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._bad(taken, str(error))
                continue
            if first:
                first = False
                continue
            text = b"".join(line for _, line in taken)
            try:
                if reason := too_long(text):
                    raise ValueError(reason)
                yield Found(taken[0][0], fix(*self._words(row)), text)
            except ValueError as error:
                yield self._bad(taken, str(error))

    def _bad(self, taken: Sequence[tuple[int, bytes]], reason: str) -> Bad:
        return Bad(taken[0][0] if taken else 0, reason, b"".join(line for _, line in taken))

    def _decoded(self, file: BinaryIO, taken: deque[tuple[int, bytes]]) -> Iterator[str]:
        for number, line in lines(file):
            taken.append((number, line))
            yield line.decode(self.dialect.encoding, "replace")

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
