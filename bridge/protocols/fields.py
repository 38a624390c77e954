"""Values as trackers write them: degrees and minutes, knots, dates, local clocks.

Every function takes text as cut from a frame and raises ValueError where it cannot be that value.
A time that cannot be read is None instead: a wrong date must not cost the position.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bridge.errors import DecodeError

KMH_PER_KNOT = 1.852

_DAY = timedelta(days=1)
_HALF_DAY_MINUTES = 720


def degrees(text: str, limit: int, *, negative: bool = False) -> float:
    """Return decimal degrees of ``dddmm.mmmm``: minutes have two integer digits, degrees the rest.

    `limit` is 90 for a latitude, 180 for a longitude. Degrees may be missing (``7.5`` is 7.5').
    """
    dot = text.find(".")
    cut = (dot if dot >= 0 else len(text)) - 2
    value = float(text[cut:]) / 60.0 + int(text[:cut] or 0) if cut > 0 else float(text) / 60.0
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


def nearest_day(
    candidate: datetime, wanted: datetime, *, within: timedelta = _DAY
) -> datetime | None:
    """Return `candidate` moved by whole days to come nearest to `wanted`.

    At most one day either way; None if even then it is further away than `within`.
    """
    best = min(
        (candidate - _DAY, candidate, candidate + _DAY), key=lambda moment: abs(moment - wanted)
    )
    return best if abs(best - wanted) <= within else None


def local_to_utc(
    date: datetime, utc_clock: datetime, received_at: datetime, offset_minutes: int | None
) -> datetime:
    """Return the UTC time of a clock that gives its date in local time only.

    `date` is the local date and time (marked UTC for want of better), `utc_clock` the same day with
    the UTC hours. The day is settled by the known offset; else by the candidate nearest to
    `received_at` if within 24 hours; else by an offset of -11:59 to +12:00.
    """
    if offset_minutes is not None:
        wanted = date - timedelta(minutes=offset_minutes)
        known = nearest_day(utc_clock, wanted)
        if known is not None:
            return known
    live = nearest_day(utc_clock, received_at)
    if live is not None and abs((date - live).total_seconds()) <= _WIDEST_OFFSET_SECONDS:
        return live
    offset = (date.hour * 60 + date.minute) - (utc_clock.hour * 60 + utc_clock.minute)
    if offset <= -_HALF_DAY_MINUTES:
        return utc_clock - _DAY
    if offset > _HALF_DAY_MINUTES:
        return utc_clock + _DAY
    return utc_clock


_WIDEST_OFFSET_SECONDS = 15 * 3600
"""No zone is further from UTC than +14:00; an hour more for a clock that runs apart."""
