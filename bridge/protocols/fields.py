"""Values as trackers write them: degrees and minutes, knots, dates, local clocks.

Every function takes text as cut from a frame and raises ValueError where it cannot be that value.
A time that cannot be read is None instead: a wrong date must not cost the position.
"""

from __future__ import annotations

from datetime import UTC, datetime

from bridge.errors import DecodeError

KMH_PER_KNOT = 1.852

_DAY_MINUTES = 1440
_DAY_S = 86400.0


def degrees(text: str, limit: int, *, negative: bool = False) -> float:
    """Return decimal degrees of ``dddmm.mmmm``: minutes have two integer digits, degrees the rest.

    `limit` is 90 for a latitude, 180 for a longitude. Degrees may be missing (``7.5`` is 7.5').
    """
    number = float(text)
    whole = number // 100.0
    value = whole + (number - whole * 100.0) / 60.0
    if not 0.0 <= value <= limit:  # also refuses NaN
        raise DecodeError("latitude" if limit == 90 else "longitude", text)
    return -value if negative else value


def course(value: float) -> float | None:
    """Return a course of 0 to 360 degrees, None for anything else."""
    return value if 0.0 <= value <= 360.0 else None


def utc(year: str, month: str, day: str, clock: str) -> datetime | None:
    """Return the UTC time of two-digit date parts and ``HHMMSS``, None where there is no such time."""
    try:
        return datetime(
            2000 + int(year),
            int(month),
            int(day),
            int(clock[0:2]),
            int(clock[2:4]),
            int(clock[4:6]),
            tzinfo=UTC,
        )
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
    if -600 < offset_minutes < 720:
        return 0
    possible = [
        shift for shift in (-1, 0, 1) if -720 <= offset_minutes - shift * _DAY_MINUTES <= 840
    ]
    if len(possible) == 1:
        return possible[0]
    late_s = (received_at - moment).total_seconds()
    nearest = min(possible, key=lambda shift: abs(late_s - shift * _DAY_S))
    if abs(late_s - nearest * _DAY_S) <= _DAY_S:
        return nearest
    return next(shift for shift in possible if -720 < offset_minutes - shift * _DAY_MINUTES <= 720)


def bounded(name: str, text: str, limit: float) -> float:
    """Return a signed decimal number of at most `limit`; raises DecodeError(name) beyond it."""
    value = float(text)
    if not -limit <= value <= limit:
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
