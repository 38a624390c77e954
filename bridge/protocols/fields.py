"""Values as trackers write them: numbers, degrees and minutes, knots, dates, local clocks.

Every function takes text as cut from a frame: latin-1, so that its only digits are ASCII. What a
report cannot do without raises ValueError where it cannot be read; the rest is None instead, as a
wrong date or an odd temperature must not cost the position.

Python takes more for a number than a tracker may write (``1_0``, ``1e3``, ``nan``, blanks around):
nothing goes to ``float`` that was not looked at before, by `number` or, where both coordinates are
looked at in one go, by the decoder.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf

from bridge.errors import DecodeError

KMH_PER_KNOT = 1.852

_SAME_DAY = range(-597, 718)
"""Differences, in minutes, under which a local clock and a UTC clock can only stand on one date: a
day apart they would be beyond -12:00 or +14:00, even if read two minutes one after the other."""

_MINUTES = {
    f"{hour:02}{minute:02}": 60 * hour + minute for hour in range(24) for minute in range(60)
}
"""The minutes of the day by their four digits, for every clock there is."""

_SUMMER_TIME = 60
"""Minutes by which a local clock may have been put on or back since its offset got known."""

_MINUTES_A_DAY = 1440
_SECONDS_A_DAY = 86400.0
_PARTS_A_MINUTE = 1e7 / 60.0
"""Coordinates are told to the seventh decimal, a centimetre: 52.52, not 52.519999999999996."""
_WHOLE = 2.0**52
"""Added and taken away again, it rounds: so great a float has no fraction left."""

_LONGEST_NUMBER = 16
"""Characters; keeps every number well within what JSON and 64 bits hold."""


def number(text: str, least: float = -inf, most: float = inf) -> float | None:
    """Return a plain decimal number, signed or not, that lies within bounds; else None."""
    unsigned = text if text[:1] not in ("+", "-") else text[1:]
    if not unsigned.replace(".", "", 1).isdecimal() or len(text) > _LONGEST_NUMBER:
        return None
    value = float(text)
    return value if least <= value <= most else None


def whole(text: str, most: int) -> int | None:
    """Return a whole number of plain digits and at most `most`, else None."""
    value = number(text, 0, most) if text.isdecimal() else None
    return None if value is None else int(value)


def percent(text: str) -> float | None:
    """Return a percentage, with or without its sign, None for anything but 0 to 100."""
    return number(text.removesuffix("%"), 0.0, 100.0)


def celsius(text: str) -> float | None:
    """Return a temperature that a vehicle can have, else None."""
    return number(text, -100.0, 300.0)


def latitude(text: str, hemisphere: str) -> float:
    """Return decimal degrees of ``ddmm.mmmm`` and ``S`` or anything else for north.

    Minutes have two integer digits, degrees the rest and may be missing (``7.5`` is 7.5'). Minutes
    of 60 and more, as in captures whose places were moved by hand, are carried over.
    """
    angle = float(text)
    value = ((angle - angle // 100.0 * 40.0) * _PARTS_A_MINUTE + _WHOLE - _WHOLE) / 1e7
    if not 0.0 <= value <= 90.0:
        raise DecodeError("latitude", text)
    return -value if hemisphere == "S" else value


def longitude(text: str, hemisphere: str) -> float:
    """Return decimal degrees of ``dddmm.mmmm`` and ``W`` or anything else for east."""
    angle = float(text)
    value = ((angle - angle // 100.0 * 40.0) * _PARTS_A_MINUTE + _WHOLE - _WHOLE) / 1e7
    if not 0.0 <= value <= 180.0:
        raise DecodeError("longitude", text)
    return -value if hemisphere == "W" else value


def course(value: float) -> float | None:
    """Return a course of 0 to 360 degrees, None for anything else."""
    return value if 0.0 <= value <= 360.0 else None


def speed(kmh: float) -> float | None:
    """Return a speed in km/h rounded to a hundredth, None where no vehicle drives that fast."""
    return int(kmh * 100.0 + 0.5) / 100.0 if 0.0 <= kmh <= 1000.0 else None


def altitude(metres: float) -> float | None:
    """Return an altitude, None outside of what wheels and light aircraft reach."""
    return metres if -1000.0 <= metres <= 20000.0 else None


def bounded(name: str, text: str, limit: float) -> float:
    """Return a signed decimal number of at most `limit`; raises DecodeError(name) beyond it."""
    value = number(text, -limit, limit)
    if value is None:
        raise DecodeError(name, text)
    return value


def gsm_percent(rssi: str) -> int | None:
    """Return the signal strength of an RSSI of 0 to 31, in percent; 99 means unknown."""
    strength = whole(rssi, 31)
    return None if strength is None else round(strength * 100 / 31)


def utc(year: str, month: str, day: str, clock: str) -> datetime | None:
    """Return the UTC time of two-digit date parts and ``HHMMSS``, None where it is none."""
    stamp = f"{year}{month}{day}{clock[:6]}"
    if len(stamp) != 12 or not stamp.isdecimal() or clock[:4] not in _MINUTES:
        return None
    try:
        return datetime.fromisoformat(f"20{stamp[:6]}T{stamp[6:]}Z")
    except ValueError:
        return None


def local_time(text: str, offset_minutes: int, *, seconds: bool = False) -> datetime | None:
    """Return the UTC time of a local ``yymmddHHMM[SS]`` or ``yy/mm/dd HH:MM``, None for others.

    The seconds are taken as zero unless asked for.
    """
    digits = _digits(text)
    if len(digits) not in (10, 12):
        return None
    clock = digits[6:] if seconds and len(digits) == 12 else f"{digits[6:10]}00"
    moment = utc(digits[0:2], digits[2:4], digits[4:6], clock)
    return moment - timedelta(minutes=offset_minutes) if moment else None


def dated(
    local: str, clock: str, received_at: datetime, known_offset_minutes: int | None
) -> tuple[datetime | None, int | None]:
    """Return the UTC time of a local ``yymmddHHMM`` and a UTC clock ``HHMMSS``, and their offset.

    The offset is in minutes, local minus UTC. What follows either is not looked at. A clock that is
    none leaves the local time alone, taken as UTC while the offset is unknown.
    """
    try:
        offset = _MINUTES[local[6:10]] - _MINUTES[clock[:4]]
        moment = datetime.fromisoformat(f"20{local[:6]}T{clock[:6]}Z")
    except (KeyError, ValueError):
        if not clock[:6].isdecimal() or len(clock) < 6:
            return local_time(local, known_offset_minutes or 0), None
        digits = _digits(local)
        if digits == local:
            return None, None
        return dated(digits, clock, received_at, known_offset_minutes)
    if offset in _SAME_DAY:
        return moment, offset
    shift = day_shift(offset, moment, received_at, known_offset_minutes)
    return moment + timedelta(days=shift), offset - shift * _MINUTES_A_DAY


def day_shift(
    offset_minutes: int, moment: datetime, received_at: datetime, known_offset_minutes: int | None
) -> int:
    """Return by how many days (-1, 0, 1) to move a UTC clock that was given its local date.

    `offset_minutes` is local minus UTC clock, `moment` the UTC clock, both put on the local date.
    Only offsets that exist (-12:00 to +14:00) are possible, which leaves one day, or two near the
    date line: of these the one whose offset is known, give or take an hour; else the one nearest to
    `received_at` if within 24 hours, else the one with an offset of -11:59 to +12:00.
    """
    usual = (offset_minutes > 720) - (offset_minutes <= -720)
    offset_minutes -= usual * _MINUTES_A_DAY
    if offset_minutes in _SAME_DAY:
        return usual
    other = usual + 1 if offset_minutes > 0 else usual - 1
    if known_offset_minutes is not None:
        for shift in (usual, other):
            offset = offset_minutes - (shift - usual) * _MINUTES_A_DAY
            if abs(offset - known_offset_minutes) <= _SUMMER_TIME:
                return shift
    late_s = (received_at - moment).total_seconds()
    nearest = min(usual, other, key=lambda shift: abs(late_s - shift * _SECONDS_A_DAY))
    return nearest if abs(late_s - nearest * _SECONDS_A_DAY) <= _SECONDS_A_DAY else usual


def _digits(local: str) -> str:
    return local.replace("/", "").replace(":", "").replace(" ", "")
