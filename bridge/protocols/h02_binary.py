"""The binary record of h02.

    0    1-5  6-8     9-11    12-15     16       17-21        22-24         25-28   29-31
    `$`  ID   HHMMSS  DDMMYY  ddmmmmmm  BATTERY  dddmmmmmm F  knots course  STATUS  ...
    `$`  ID   of 8 bytes, 15 digits and a filler, then the same three bytes further on
    `X`  the same as `$` with some other number for the ID: the tracker is still there

Digits are packed, two a byte. F is 2 (valid) + 4 (north) + 8 (east). All that is read stands in
the first 32 bytes, and these are the frame: what follows in records of 42 (long id), 45 and 48
bytes is skipped. Source of all facts: docs/protocols.md, section h02.
"""

from __future__ import annotations

from datetime import datetime

from bridge.errors import DecodeError
from bridge.model import Fix, Heartbeat, Report
from bridge.protocols import fields
from bridge.protocols.base import Claim, Context, Decoded
from bridge.protocols.h02_status import read_word

NAME = "h02"
MARKS = (b"$", b"X")
RECORD_BYTES = 32

_VALID, _NORTH, _EAST = 2, 4, 8

_SHORT_TIME, _LONG_TIME = 12, 18
_OPENING_DIGITS = 30
"""Places in the hex digits of a record: where its time stands, and where the date of the long form
ends."""


def opens(data: bytes, start: int) -> Claim:
    """Tell whether the mark at `start` begins a record: an id, a time and a date come behind it."""
    digits = data[start : start + _OPENING_DIGITS // 2].hex()
    if not digits[2:17].isdecimal():
        return Claim.NO if digits[2:] else Claim.UNDECIDED
    if _is_dated(digits, _SHORT_TIME) or _is_dated(digits, _LONG_TIME):
        return Claim.YES
    return Claim.NO if len(digits) == _OPENING_DIGITS else Claim.UNDECIDED


def _is_dated(digits: str, at: int) -> bool:
    if digits[at : at + 2] > "23":  # the hour gives most of what is no record away
        return False
    try:
        _time(digits, at)
    except ValueError:
        return False
    return digits[2:at].strip("0") != ""


def _time(digits: str, at: int) -> datetime | None:
    """Return the time that stands there, None while the tracker's clock is not set.

    Raises ValueError for what is none.
    """
    clock, date = digits[at : at + 6], digits[at + 6 : at + 12]
    if clock > "235959" or len(date) < 6:
        raise DecodeError("time", clock)
    if date == "000000" and clock.isdecimal():
        return None
    return datetime.fromisoformat(f"20{date[4:]}{date[2:4]}{date[:2]}T{clock}Z")


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode the 32 bytes of a record.

    Which of the two ids it has is told by what can be read; where both can, it is the short one.
    """
    digits = frame.hex()
    if len(digits) != 2 * RECORD_BYTES or frame[:1] not in MARKS:
        raise DecodeError("record")
    if frame[:1] == b"X":
        return _still_there(context)
    try:
        return _position(digits[2:12], digits, _SHORT_TIME, context)
    except ValueError as refused:
        try:
            return _position(digits[2:17], digits, _LONG_TIME, context)
        except ValueError:
            raise refused from None


def _still_there(context: Context) -> Decoded:
    if not context.device_id:
        return Decoded(())
    at = context.received_at
    return Decoded((Heartbeat(device_id=context.device_id, protocol=NAME, received_at=at),))


def _position(device_id: str, digits: str, at: int, context: Context) -> Decoded:
    """Read a record whose time stands at `at`."""
    time, body = _time(digits, at), digits[at + 12 : at + 46]
    latitude, battery, longitude, pace = body[:8], body[8:10], body[10:19], body[20:26]
    if not f"{device_id}{latitude}{longitude}{pace}".isdecimal():
        raise DecodeError("coordinates")
    flags = int(body[19], 16)
    word = read_word(body[26:], int(battery, 16))
    fix = Fix(
        time=time,
        valid=flags & _VALID != 0,
        latitude=fields.latitude(f"{latitude[:4]}.{latitude[4:]}", "N" if flags & _NORTH else "S"),
        longitude=fields.longitude(
            f"{longitude[:5]}.{longitude[5:]}", "E" if flags & _EAST else "W"
        ),
        speed_kmh=fields.speed(int(pace[:3]) * fields.KMH_PER_KNOT),
        course_deg=fields.course(float(pace[3:])),
    )
    context.device_id = device_id
    report = Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword="$",
        fix=fix,
        alarm=word.alarm,
        status=word.status,
        extra=word.extra.copy(),
    )
    return Decoded((report,))
