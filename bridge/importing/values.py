"""A point out of the words of a file. Pure; ValueError says in words what is wrong with them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from bridge.errors import RequestError
from bridge.model import Fix

SPEEDS: Mapping[str, float] = {
    "speed_kmh": 1.0,
    "speed_mps": 3.6,
    "speed_knots": 1.852,
    "speed_mph": 1.609344,
}
"""By field: how many km/h one of its unit is."""

MEASURES = ("course_deg", "altitude_m", "hdop", "satellites")

_UNKNOWN = frozenset({"", "-", "--", "nan", "null", "none", "n/a"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"-?\d{1,12}(\.\d+)?")
_MILLISECONDS = re.compile(r"\d{13}")
_GERMAN = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})[ T,]+(\d\d?:\d\d.*)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")


class NoZoneError(ValueError):
    """A time without a time zone, where none was said for it, or that of which says too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How times are written: `zone` is that of those which name none, `pattern` as in strptime."""

    zone: tzinfo | None = None
    pattern: str = ""

    def moment(self, text: str) -> datetime:
        """Return a time, aware and UTC. Raises ValueError, NoZoneError."""
        text = text.strip()
        if not text:
            raise ValueError("no time")
        try:
            found = self._read(text)
            if found.tzinfo is None:
                if self.zone is None:
                    raise NoZoneError(f"time without a time zone: {text[:40]!r}")
                found = found.replace(tzinfo=self.zone)
                if found.utcoffset() != found.replace(fold=1).utcoffset():
                    raise NoZoneError(
                        f"{text[:40]} is there twice, or never, in {self.zone}, where clocks change"
                        " then: write its distance to UTC behind it, or say --timezone +01:00"
                    )
            return found.astimezone(UTC)
        except NoZoneError:
            raise
        except (ValueError, OverflowError):
            raise ValueError(f"no time: {text[:40]!r}") from None

    def _read(self, text: str) -> datetime:
        if self.pattern:
            return datetime.strptime(text, self.pattern)  # noqa: DTZ007 - `moment` asks for a zone
        if _MILLISECONDS.fullmatch(text):
            return _EPOCH + timedelta(milliseconds=int(text))
        if len(text) != 8 and _SECONDS.fullmatch(text):
            return _EPOCH + timedelta(seconds=float(text))
        german = _GERMAN.fullmatch(text)
        if german is not None:
            day, month, year, clock = german.groups()
            text = f"{year}-{month:0>2}-{day:0>2}T{clock:0>5}"
        return datetime.fromisoformat(text.replace("/", "-"))


def zone(name: str) -> tzinfo:
    """Return a time zone by its name or its distance to UTC. Raises RequestError."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign = -1 if offset[1] == "-" else 1
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(sign * timedelta(minutes=minutes))
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise RequestError(
            f"--timezone: {name!r} is none; write it as Europe/Berlin, UTC or +02:00"
        ) from None


def number(text: str, name: str) -> float | None:
    """Return a number, None for what says that it is unknown. Raises ValueError."""
    text = text.strip()
    if text.lower() in _UNKNOWN:
        return None
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"{name} is no number: {text[:40]!r}") from None
    if not math.isfinite(found):
        raise ValueError(f"{name} is no number: {text[:40]!r}")
    return found


def fix(time: datetime, words: Mapping[str, str]) -> Fix:
    """Return a point whose place and measures are written in `words`, by the names of the fields.

    What is absent or marked as unknown is unknown, a negative speed or course too. Raises
    ValueError.
    """
    latitude = _degrees(words, "latitude", 90)
    longitude = _degrees(words, "longitude", 180)
    told = {name: number(words[name], name) for name in MEASURES if name in words}
    speed = None
    for name in SPEEDS.keys() & words.keys():
        found = number(words[name], name)
        speed = None if found is None or found < 0 else round(found * SPEEDS[name], 2)
    course, satellites = told.get("course_deg"), told.get("satellites")
    return Fix(
        time=time,
        valid=True,
        latitude=latitude,
        longitude=longitude,
        speed_kmh=speed,
        course_deg=course if course is not None and 0 <= course <= 360 else None,
        altitude_m=told.get("altitude_m"),
        hdop=told.get("hdop"),
        satellites=int(satellites) if satellites is not None and 0 <= satellites < 256 else None,
    )


def _degrees(words: Mapping[str, str], name: str, most: int) -> float:
    found = number(words.get(name, ""), name)
    if found is None:
        raise ValueError(f"no {name}")
    if abs(found) > most:
        raise ValueError(f"no such {name}: {found:g}")
    return found
