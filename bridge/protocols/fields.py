"""Values as trackers write them: numbers, degrees and minutes, dates, local clocks.

Every function takes text as cut from a frame (latin-1, so that its only digits are ASCII). What is
needed and cannot be read raises ValueError; what a report can do without is None instead: a wrong
date or an odd temperature must not cost the position.

Python reads more as a number than a tracker may write (``1_0``, ``1e3``, ``nan``, blanks around), so
nothing goes to ``float`` or ``int`` that was not looked at before.
"""

from __future__ import annotations

from datetime import datetime
from math import inf

from bridge.errors import DecodeError

KMH_PER_KNOT = 1.852

_DAY_MINUTES = 1440
_DAY_S = 86400.0
SAME_DAY = range(-599, 720)
"""Offsets, in minutes, under which a UTC clock and a local clock can only stand on one date."""

_LONGEST_NUMBER = 16
"""Characters; keeps every number well inside of what JSON and 64 bits hold."""


def number(text: str, least: float = -inf, most: float = inf) -> float | None:
    """Return a plain decimal number, signed or not, that lies within bounds; else None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.replace(".", "", 1).isdecimal() or len(text) > _LONGEST_NUMBER:
        return None
    value = float(text)
    return value if least <= value <= most else None


def whole(text: str) -> int | None:
    """Return a whole number of plain digits, None for anything else."""
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def percent(text: str) -> float | None:
    """Return a percentage, with or without its sign, None for anything but 0 to 100."""
    return number(text.removesuffix("%"), 0.0, 100.0)


def degrees(text: str, limit: int, *, negative: bool = False) -> float:
    """Return decimal degrees of ``dddmm.mmmm``: minutes have two integer digits, degrees the rest.

    `limit` is 90 for a latitude, 180 for a longitude. Degrees may be missing (``7.5`` is 7.5'), and
    minutes of 60 and more, as in captures whose places were moved by hand, are carried over.
    """
    value = float(text)
    value = (value - value // 100.0 * 40.0) / 60.0
    if not 0.0 <= value <= limit:  # also refuses NaN
        raise DecodeError("latitude" if limit == 90 else "longitude", text)
    return -value if negative else value


def course(value: float) -> float | None:
    """Return a course of 0 to 360 degrees, None for anything else."""
    return value if 0.0 <= value <= 360.0 else None


def utc(year: str, month: str, day: str, clock: str) -> datetime | None:
    """Return the UTC time of two-digit date parts and ``HHMMSS``, None where there is no such time."""
    stamp = f"{year}{month}{day}{clock[:6]}"
    if len(stamp) != 12 or not stamp.isdecimal() or clock >= "24":
        return None
    try:
        return datetime.fromisoformat(f"20{stamp[:6]}T{stamp[6:]}Z")
    except ValueError:
        return None


def day_shift(
    offset_minutes: int, moment: datetime, received_at: datetime, known_offset_minutes: int | None
) -> int:
    """Return by how many days (-1, 0, 1) to move a UTC clock that was given its local date.

    `offset_minutes` is local clock minus UTC clock, `moment` that UTC clock, both on the local date.
    A known offset settles the day. Else only offsets that exist (-12:00 to +14:00) are possible,
    which leaves one day, or two near the date line: of these the one nearest to `received_at` if
    within 24 hours, else the one with an offset of -11:59 to +12:00.
    """
    if known_offset_minutes is not None:
        return max(-1, min(1, round((offset_minutes - known_offset_minutes) / _DAY_MINUTES)))
    usual = (offset_minutes > 720) - (offset_minutes <= -720)
    offset_minutes -= usual * _DAY_MINUTES
    if -600 < offset_minutes < 720:
        return usual
    other = usual + 1 if offset_minutes == 720 else usual - 1
    late_s = (received_at - moment).total_seconds()
    nearest = min(usual, other, key=lambda shift: abs(late_s - shift * _DAY_S))
    return nearest if abs(late_s - nearest * _DAY_S) <= _DAY_S else usual


def bounded(name: str, text: str, limit: float) -> float:
    """Return a signed decimal number of at most `limit`; raises DecodeError(name) beyond it."""
    value = number(text, -limit, limit)
    if value is None:
        raise DecodeError(name, text)
    return value


def speed(kmh: float) -> float | None:
    """Return a speed in km/h rounded to a hundredth, None where no vehicle drives that fast."""
    return round(kmh, 2) if 0.0 <= kmh <= 1000.0 else None


def altitude(metres: float) -> float | None:
    """Return an altitude, None outside of what wheels and light aircraft reach."""
    return metres if -1000.0 <= metres <= 20000.0 else None


def gsm_percent(rssi: float) -> int | None:
    """Return the signal strength of an RSSI of 0 to 31, in percent; 99 means unknown."""
    return round(rssi * 100 / 31) if 0 <= rssi <= 31 else None
