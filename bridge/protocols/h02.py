"""h02, the protocol of H02, H06 and ST90x trackers and of many TK102 and TK110 clones.

    *MM,ID,TYPE,...#        text; MM are two letters or digits, ID may be empty: the connection's
    $......                 32 bytes, and in some makes a tail: `bridge.protocols.h02_binary`
    X......                 32 bytes, a sign of life

    V1, V2, V19, VI1, ...   HHMMSS,A|V|B|n,LAT,N|S,LON,E|W,KNOTS,COURSE[,BATT][,DDMMYY][,TAIL]
    V4                      ANSWER[,the same]
    NBR                     HHMMSS,mcc,mnc,delay,count,{lac,cid,rssi,}DDMMYY[,TAIL]
    V3                      HHMMSS,MCCMNC,count,{lac,cid,delay,x,}BATT,reboot,X,DDMMYY[,TAIL]
    LINK                    HHMMSS,rssi,satellites,battery %,steps,turnovers,DDMMYY[,TAIL]
    VP1                     V,mcc,mnc,lac,cid,rssi{Ylac,cid,rssi}
                            A,LAT,N|S,LON,E|W,KNOTS,COURSE,DDMMYY
    V0  HTBT[,battery %]    a sign of life                              -> *MM,ID,TYPE#
    SMS                     TEXT

V1 and NBR are answered with ``*HQ,ID,V4,TYPE,yyyyMMddHHmmss#``. TAIL is the status word and what
firmwares put around it: `bridge.protocols.h02_status`. A type of unknown meaning is told with its
position if it has one, else as text. Source of all facts: docs/protocols.md, section h02.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import structs

from bridge.errors import DecodeError
from bridge.model import CommandResult, Fix, Heartbeat, Message, Report, Status
from bridge.protocols import fields, h02_binary
from bridge.protocols.base import MORE, Claim, Context, Cut, Decoded, WireProtocol
from bridge.protocols.h02_status import Tail, read_cells, read_tail

NAME = h02_binary.NAME

LONGEST_TEXT = 1024
"""A text frame that is still open here is given up; the longest known, an SMS, has some 200."""

_CONFIRMED = frozenset(("V1", "NBR"))
_ECHOED = frozenset(("V0", "HTBT"))

_USUAL_OPENINGS = (b"*HQ,", b"*TH,", b"*hq,")
_REST = 11
"""Columns up to the course; those behind it change rarely and are read as one."""

_PAYLOAD_CHARACTERS = 256
_LONGEST_TYPE = 16
_USUAL_CHARACTERS = 40
"""Of latitude, longitude, speed and course together: keeps them well within a float."""

_NORTH_SOUTH = ("N", "S")
_EAST_WEST = ("E", "W")
_VALIDITY = {"A": True, "V": False, "B": False, "": False}
_TWO_DIGITS = tuple(f"{number:02}" for number in range(60))
_NOISE = bytes(set(range(256)).difference(b"*$X"))
_NOISE_BYTES = 64
"""How much noise is skipped at a time."""


# --- whose bytes, and where a frame ends ---------------------------------------------------------


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim ``*XX,``, and `$` or `X` with an id, a time and a date behind it.

    An `X` block without these says nothing: what comes after it decides.
    """
    said = _opens(data, 0)
    while said is Claim.NO and data[:1] == b"X":
        data = data[h02_binary.RECORD_BYTES :]
        said = _opens(data, 0)
    return Claim.NO if final and said is Claim.UNDECIDED else said


def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: FBT001
    """Cut a text behind its ``#`` and a record at 32 bytes; what opens neither is noise.

    So a record is told at once, whether its tail is still to come or it has none, and the tail is
    noise. The last byte of a tail counts records: it may be a `$` in front of that of the next.
    """
    if data.startswith(_USUAL_OPENINGS, start):
        end = data.find(b"#", start, start + LONGEST_TEXT)
        frame = data[start : end + 1]
        if not frame.rfind(b"*"):
            return Cut(len(frame), frame)
    said = _opens(data, start)
    if said is Claim.YES:
        if data.startswith(b"*", start):
            return _cut_text(data[start : start + LONGEST_TEXT])
        frame = data[start : start + h02_binary.RECORD_BYTES]
        if len(frame) < h02_binary.RECORD_BYTES:
            return MORE
        if frame[1:2] != b"$" or h02_binary.opens(data, start + 1) is not Claim.YES:
            return Cut(len(frame), frame)
    elif said is Claim.UNDECIDED and not final:
        return MORE
    noise = data[start + 1 : start + _NOISE_BYTES]
    return Cut(1 + len(noise) - len(noise.lstrip(_NOISE)))


def _opens(data: bytes, start: int) -> Claim:
    """Tell whether a frame begins at `start`."""
    head = data[start : start + 4]
    if head[:1] in h02_binary.MARKS:
        return h02_binary.opens(data, start)
    if head[:1] not in (b"*", b"") or not (head[1:3].isalnum() or len(head) < 2):
        return Claim.NO
    if len(head) < 4:
        return Claim.UNDECIDED
    return Claim.YES if head.endswith(b",") else Claim.NO


def _cut_text(text: bytes) -> Cut:
    """Cut at an opening the long way: a second one like it, or no end for too long, gives it up."""
    end = text.find(b"#") + 1
    again = text.find(text[:4], 4, end or len(text))
    if again < 0 and not end and len(text) < LONGEST_TEXT:
        return MORE
    frame = text[: again if again > 0 else end or LONGEST_TEXT]
    return Cut(len(frame), frame)


# --- one frame -----------------------------------------------------------------------------------


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one frame: a text with its ``#``, or the 32 bytes of a record."""
    if frame[:1] != b"*":
        return h02_binary.decode(frame, context)
    text = frame.decode("latin-1")
    column = text[:-1].split(",", _REST)
    if len(column) < 3 or text[-1] != "#":
        raise DecodeError("frame")
    device_id, kind = column[1], column[2]
    if not device_id or device_id != context.device_id:
        _identify(device_id, context)
    messages = _READERS.get(kind, _other)(column, context)
    if kind in _CONFIRMED:
        stamp = _stamp(context.received_at)
        return Decoded(messages, f"*HQ,{context.device_id},V4,{kind},{stamp}#".encode())
    if kind in _ECHOED:
        return Decoded(messages, f"{text[:3]},{context.device_id},{kind}#".encode())
    return Decoded(messages)


def _stamp(at: datetime) -> str:
    """Return ``yyyyMMddHHmmss``; most frames are answered with one, and strftime is slow."""
    two = _TWO_DIGITS
    day = f"{at.year}{two[at.month]}{two[at.day]}"
    return f"{day}{two[at.hour]}{two[at.minute]}{two[at.second]}"


def _identify(device_id: str, context: Context) -> None:
    if not device_id and context.device_id:
        return
    if not (device_id.isalnum() and device_id.isascii() and len(device_id) <= 32):
        raise DecodeError("id", device_id)
    context.device_id = device_id


# --- positions -----------------------------------------------------------------------------------


def _position(column: list[str], context: Context) -> tuple[Report]:
    """Read a frame that says where the tracker is, or that it does not know."""
    if len(column) <= _REST:
        column = [*column, *[""] * (_REST + 1 - len(column))]
    (_, _, kind, clock, validity,
     latitude, north_south, longitude, east_west, knots, course, rest) = column  # fmt: skip
    tail = read_tail(rest)
    time = tail.at(clock)
    fix: Fix | None = None
    numbers = f"{latitude}{longitude}{knots}{course}"
    if (
        len(numbers) > _USUAL_CHARACTERS
        or not numbers.replace(".", "").isdecimal()
        or "." not in latitude
        or "." not in longitude
        or north_south not in _NORTH_SOUTH
        or east_west not in _EAST_WEST
    ):
        latitude, longitude, knots, course = _readable(column)
    valid = _VALIDITY.get(validity)
    if valid is None:
        valid = validity.isdecimal()  # how coordinates are coded, which is told when they are known
        if not valid:
            raise DecodeError("validity", validity)
    if latitude:
        fix = Fix(
            time=time,
            valid=valid,
            latitude=fields.latitude(latitude, north_south),
            longitude=fields.longitude(longitude, east_west),
            speed_kmh=fields.speed(float(knots) * fields.KMH_PER_KNOT) if knots else None,
            course_deg=fields.course(float(course)) if course else None,
            altitude_m=tail.altitude_m,
        )
    report = Report(
        device_id=context.device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=kind,
        fix=fix,
        alarm=tail.alarm,
        status=tail.status,
        cell=tail.cell,
        extra=tail.extra.copy(),
    )
    return (report,)


def _readable(column: list[str]) -> tuple[str, str, str, str]:
    """Return latitude, longitude, speed and course as plain numbers, blank where there are none."""
    latitude, north_south, longitude, east_west, knots, course = column[5:_REST]
    placed = north_south in _NORTH_SOUTH and east_west in _EAST_WEST
    zeros = not f"{latitude}{longitude}".strip("0. ")
    if zeros and not (placed and "." in latitude and "." in longitude):
        return "", "", "", ""
    if not placed:
        raise DecodeError("hemisphere")
    knots, course = (
        "" if fields.number(text, 0.0) is None else text for text in (knots.strip(), course.strip())
    )
    return _minutes(latitude), _minutes(longitude), knots, course


def _minutes(text: str) -> str:
    """Return ``ddmm.mmmm`` of ``-dd-mm.mmmm``, whose signs mean nothing, and of ``ddmmmmmm``."""
    text = text.strip().removeprefix("-")
    degrees, dashed, minutes = text.partition("-")
    if dashed:
        minute, _, decimals = minutes.partition(".")
        text = f"{degrees}{minute:0>2}.{decimals}" if len(minute) <= 2 else ""
    elif "." not in text:
        text = f"{text[:-4]}.{text[-4:]}" if len(text) >= 7 else ""
    if fields.number(text) is None:
        raise DecodeError("coordinates", text)
    return text


# --- everything else -----------------------------------------------------------------------------


def _report(
    column: list[str],
    context: Context,
    clock: str,
    tail: Tail,
    **said: Any,  # noqa: ANN401 - fields of a Report, each of its own type
) -> tuple[Message, ...]:
    """Return a report without a position: what the tail says, and what is `said` beyond it."""
    said["extra"] = tail.extra | said.get("extra", {})
    report = Report(
        device_id=context.device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=tail.at(clock),
        keyword=column[2],
        alarm=tail.alarm,
        **{"status": tail.status} | said,
    )
    return (report,)


def _body(column: list[str]) -> list[str]:
    """Return every column behind the type."""
    return ",".join(column[3:]).split(",")


def _sign_of_life(column: list[str], context: Context) -> tuple[Message, ...]:
    level = fields.percent(column[3]) if column[3:] else None
    if level is not None:
        status = Status(battery_percent=level)
        return _report(column, context, "", read_tail(""), status=status)
    at = context.received_at
    return (Heartbeat(device_id=context.device_id, protocol=NAME, received_at=at),)


def _link(column: list[str], context: Context) -> tuple[Message, ...]:
    clock, rssi, satellites, battery, steps, turnovers, *rest = _body(column)
    tail = read_tail(",".join(rest))
    status = structs.replace(
        tail.status,
        battery_percent=fields.percent(battery),
        gsm_percent=fields.gsm_percent(rssi),
    )
    counted = {
        "satellites": fields.whole(satellites, 255),
        "steps": fields.whole(steps, 0x7FFFFFFF),
        "turnovers": fields.whole(turnovers, 0x7FFFFFFF),
    }
    extra = {name: value for name, value in counted.items() if value is not None}
    return _report(column, context, clock, tail, status=status, extra=extra)


def _neighbours(column: list[str], context: Context) -> tuple[Message, ...]:
    """Read NBR: cells as far as there are any, whatever number of them is announced."""
    clock, mcc, mnc, _delay, _count, *rest = _body(column)
    towers = []
    while len(rest) > 2 and 0 < len(rest[0]) < 6:  # else it is the date
        towers.append(rest[:3])
        rest = rest[3:]
    cells = read_cells(mcc, mnc, towers)
    return _report(column, context, clock, read_tail(",".join(rest)), **cells)


def _towers(column: list[str], context: Context) -> tuple[Message, ...]:
    """Read V3, whose numbers are padded with zeros: only their count tells where cells end."""
    clock, network, count, *rest = _body(column)
    end = 4 * (fields.whole(count, 99) or 0)
    battery, _reboots, _x, *dated = rest[end:]
    cells = read_cells(network[:3], network[3:], [rest[at : at + 2] for at in range(0, end, 4)])
    if battery.isalnum() and len(battery) <= 4:
        cells["extra"]["battery_raw"] = int(battery, 16)
    return _report(column, context, clock, read_tail(",".join(dated)), **cells)


def _satellites_or_cells(column: list[str], context: Context) -> tuple[Message, ...]:
    """Read VP1, which has no time of day."""
    validity, *body = _body(column)
    if validity != "V" or not "".join(body[:2]).isdecimal():
        return _position([*column[:3], "", validity, *body[:6], ",".join(body[6:])], context)
    mcc, mnc, *rest = body
    towers = [tower.split(",") for tower in ",".join(rest).split("Y")]
    return _report(column, context, "", read_tail(""), **read_cells(mcc, mnc, towers))


def _text(column: list[str], context: Context) -> tuple[Message, ...]:
    return (_result(column, ",".join(column[3:]), context),)


def _answer(column: list[str], context: Context) -> tuple[Message, ...]:
    """Read V4: an answer to a command, and mostly a position behind it."""
    body = _body(column)
    for at in range(len(body) - 6, -1, -1):  # an answer may look like anything: the last one counts
        if _is_place(body[at : at + 6]):
            place = [*column[:3], *body[at : at + 8], ",".join(body[at + 8 :])]
            (report,) = _position(place, context)
            return (_result(column, ",".join(body[:at]), context, report.device_time), report)
    return _text(column, context)


def _result(
    column: list[str], text: str, context: Context, time: datetime | None = None
) -> CommandResult:
    return CommandResult(
        device_id=context.device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=column[2],
        text=text,
    )


def _is_place(column: list[str]) -> bool:
    """Whether the columns begin with HHMMSS,A|V|B|n,LAT,N|S,LON,E|W."""
    if len(column) < 6 or column[3] not in _NORTH_SOUTH or column[5] not in _EAST_WEST:
        return False
    clock, validity = column[:2]
    return (not clock or (len(clock) == 6 and clock.isdecimal())) and (
        validity in _VALIDITY or validity.isdecimal()
    )


def _other(column: list[str], context: Context) -> tuple[Message, ...]:
    """Read a type that is not known by name: V... has a position, others may have one."""
    kind = column[2]
    if not (kind.isalnum() and kind.isascii() and len(kind) <= _LONGEST_TYPE):
        raise DecodeError("type", kind)
    if kind.startswith("V") or _is_place(column[3:]):
        return _position(column, context)
    payload = ",".join(column[3:])[:_PAYLOAD_CHARACTERS]
    extra = {"payload": payload} if payload else {}
    return _report(column, context, "", read_tail(""), extra=extra)


_READERS: dict[str, Callable[[list[str], Context], tuple[Message, ...]]] = {
    "V0": _sign_of_life,
    "V1": _position,
    "V3": _towers,
    "V4": _answer,
    "NBR": _neighbours,
    "LINK": _link,
    "VP1": _satellites_or_cells,
    "HTBT": _sign_of_life,
    "SMS": _text,
}

PROTOCOL = WireProtocol(name=NAME, claim=claim, cut=cut, decode=decode)
