r"""xexun, the NMEA-like lines of Xexun's TK102-2, TK103-2, TK108 and their copies.

    SERIAL,PHONE,RMC,F|L,ALARM, imei:ID,TAIL            full
                 RMC,F|L,ALARM, imei:ID,                basic
    SERIAL,PHONE,,F|L,ALARM, imei:ID,TAIL               no position at all

    RMC:   GPRMC,HHMMSS.SSS,A|V,LAT,N|S,LON,E|W,KNOTS,COURSE,DDMMYY,,,A*CS      or GNRMC
    TAIL:  SATELLITES,ALTITUDE,F|L:VOLTV[/ADC1=VOLTV...],CHARGE,LEN,CRC,MCC,MNC,LAC,CID[,KMkm]

SERIAL is the unit's own clock, often blank where there is no position; ALARM may be missing with
its comma. A line ends at a line feed. But one may also stand behind the checksum, and the line goes
on; and lines may follow one another without any: then one ends where the next begins. Nothing is
answered. Source of all facts: docs/protocols.md, section xexun.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from bridge.errors import DecodeError
from bridge.model import Alarm, Cell, Fix, Report, Status
from bridge.protocols import fields
from bridge.protocols.base import MORE, Claim, Context, Cut, Decoded, WireProtocol

NAME = "xexun"

ALARMS: dict[str, Alarm] = {
    "help me": Alarm.SOS,
    "low battery": Alarm.LOW_BATTERY,
    "move": Alarm.MOVEMENT,
    "moved": Alarm.MOVEMENT,
}
"""Words that are alarms, in whatever case and with or without exclamation marks."""

IGNITION: dict[str, bool] = {"acc on": True, "accstart": True, "acc off": False, "accstop": False}
"""Words that tell of the ignition, in whatever case."""

LINE = 480
"""Bytes after which a line without an end is given up; the longest legal one has some 250."""

_SENTENCES = (b"GPRMC,", b"GNRMC,")
_CONTINUED = (b",F,", b",L,")
"""What follows a checksum, or takes the place of the sentence."""
_SIGNALS = ("F", "L")
_SERIAL_DIGITS = 12
_LONGEST_SERIAL = 14
"""Digits; 15 of them are an IMEI, and gps103's."""
_SHORTEST_SERIAL = 10
_LONGEST_PHONE = 32
_ID_DIGITS = 15
_LONGEST_ID = 20
_CID_DIGITS = 4

_STAR = ord("*")
_DIGITS = b"0123456789"
_HEX = "0123456789abcdefABCDEF"
_BLANKS = b"\r\n "
_CLOSING = "\r\n "
_NORTH_SOUTH = ("N", "S")
_EAST_WEST = ("E", "W")
_FLAGS = {"0": False, "1": True}
_INPUTS = {f"ADC{number}": f"adc{number}_v" for number in range(1, 9)}
_SATELLITES = {text: number for number in range(100) for text in (f"{number:02}", f"{number}")}
_MOST_DIGITS = 64
"""Of all numbers of a position together; with more of them one is no number."""
_MOST_VOLTS = 100.0
_MOST_KM = 9_999_999
_COLUMNS = 25
"""Of a full line, cell and distance being one."""
_TAIL_COLUMNS = 11
"""From the id to CID."""


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim an RMC sentence, bare or behind two columns, and the form without a position."""
    words: tuple[bytes, ...] = _SENTENCES
    pending = data
    if data[:1] != b"G":
        column = data.split(b",", 2)
        serial, phone = (*column, b"")[:2]
        if len(serial) > _LONGEST_SERIAL or serial.strip(_DIGITS):
            return Claim.NO
        if len(phone) > _LONGEST_PHONE or min(phone, default=0x20) < 0x20:
            return Claim.NO
        words, pending = _SENTENCES + _CONTINUED, column[2] if len(column) == 3 else b""
    if pending.startswith(words):
        return Claim.YES
    open_ended = any(word.startswith(pending) for word in words)
    return Claim.UNDECIDED if open_ended and not final else Claim.NO


def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: FBT001
    """Cut a line at its line feed, where the next line begins, or at the end of the input.

    The latter only behind a complete id: what comes before it is worth nothing. No decision depends
    on more than `LINE` bytes and a few, so that it does not matter how they were chopped.
    """
    if data[start] in _BLANKS:
        noise = data[start : start + LINE]
        return Cut(len(noise) - len(noise.lstrip(_BLANKS)))
    end = data.find(b"\n", start, start + LINE) + 1
    line = data[start:end]
    opening, _, sentence = line.partition(b"RMC,")
    if (
        sentence
        and _STAR not in line[-5:]
        and sentence.find(b"RMC,") < 0
        and opening.find(b"imei:") < 0
    ):
        return Cut(end - start, line)
    end = _end(data, start, end, final)
    return Cut(end - start, data[start:end]) if end else MORE


def _end(data: bytes, start: int, end: int, final: bool) -> int:  # noqa: FBT001
    """Return where a line ends that has a line feed before `end`, or none (0) in its `LINE` bytes.

    Returns 0 where that depends on what comes.
    """
    stop = start + LINE
    if _STAR in data[max(start, end - 5) : end]:
        joint = data[end : end + 5]
        rest = joint.lstrip(b"\r\n")
        if rest.startswith(_CONTINUED):
            end = data.find(b"\n", end + len(joint) - len(rest), stop) + 1
        elif not final and len(joint) < 5 and any(word.startswith(rest) for word in _CONTINUED):
            return 0
    following = _next_line(data, start, end or stop)
    if following or end:
        return following or end
    if len(data) >= stop:
        return stop
    return len(data) if final and _identified(data, start) else 0


def _next_line(data: bytes, start: int, stop: int) -> int:
    """Return where within a line the next one begins, 0 where none does."""
    at = data.find(b"RMC,", start, stop)
    least = start + 1
    if at >= 0 and data.find(b"imei:", start, at) < 0:
        least = at + 4  # this sentence is the line's own
        at = data.find(b"RMC,", least, stop)
    while at >= 0:
        sentence = at - 2
        if sentence >= least and data.startswith(_SENTENCES, sentence):
            return _opening(data, least, sentence)
        at = data.find(b"RMC,", at + 4, stop)
    return 0


def _opening(data: bytes, least: int, sentence: int) -> int:
    """Return where the line of an RMC sentence begins: with its serial and phone, if it has them.

    The serial may be glued to what stands before it, the last column or the id of another line.
    """
    identity = data.rfind(b"imei:", least, sentence)
    if identity >= 0:
        least = identity + len(b"imei:")
    column = data[least:sentence].rsplit(b",", 2)
    if len(column) == 3 and not column[2]:
        digits = len(column[0]) - len(column[0].rstrip(_DIGITS))
        is_id = identity >= 0 and digits == len(column[0]) == _ID_DIGITS
        if digits >= _SHORTEST_SERIAL and not is_id:
            return sentence - len(column[1]) - 2 - min(digits, _SERIAL_DIGITS)
    return sentence


def _identified(data: bytes, start: int) -> bool:
    """Return whether an unfinished line has its id, of which no digit can be missing."""
    _, found, rest = data[start:].partition(b"imei:")
    digits = len(rest) - len(rest.lstrip(_DIGITS))
    return bool(found) and digits > 0 and (digits >= _ID_DIGITS or digits < len(rest))


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one line, its line feed included or missing."""
    text = frame.decode("latin-1")
    column = text.split(",", _COLUMNS - 1)
    if len(column) != _COLUMNS or not _is_usual(column):
        column = _usual(text)
    (serial, phone, _, clock, _, _, _, _, _, _, _, date, _, _, _, signal, word, identity, _, _,
     volts, charge, _, _, tower) = column  # fmt: skip
    if signal not in _SIGNALS:
        raise DecodeError("signal", signal)
    device_id = identity.partition("imei:")[2]
    if device_id != context.device_id or not device_id:
        if not device_id.isdecimal() or len(device_id) > _LONGEST_ID:
            raise DecodeError("id", device_id)
        context.device_id = device_id
    time = _time(date, clock)
    keyword, alarm, status, inputs = _state(word, volts, charge)
    cell, distance = _tower(tower)
    extra: dict[str, Any] = {"signal": signal}
    if serial.isdecimal() and len(serial) <= _LONGEST_SERIAL:
        extra["serial"] = serial
    if phone and _is_phone(phone):
        extra["phone"] = phone
    if inputs or distance:
        extra |= inputs | distance
    report = Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=keyword,
        fix=_fix(time, column),
        alarm=alarm,
        status=status,
        cell=cell,
        extra=extra,
    )
    return Decoded((report,))


def _is_usual(column: list[str]) -> bool:
    """Return whether a line of the usual number of columns has them all at their places."""
    return (
        column[2] in ("GPRMC", "GNRMC")
        and column[6] in _NORTH_SOUTH
        and column[8] in _EAST_WEST
        and "*" in column[14]
        and "imei:" in column[17]
        and column[24].endswith("\n")
    )


def _usual(text: str) -> list[str]:
    """Return the columns of any line at the places of a full one, the missing ones blank."""
    head, identity, tail = text.partition("imei:")
    if not identity:
        raise DecodeError("id")
    begin = head.find("RMC,")
    if begin < 0:
        serial, phone, blank, words = head.split(",", 3)
        if blank:
            raise DecodeError("sentence", blank)
        place = [""] * 9
    else:
        # Left-overs of another line in front of this one do not matter.
        *_, serial, phone, _ = ("", "", *head[: max(0, begin - 2)].split(","))
        sentence, star, rest = head[begin + 4 :].partition("*")
        if not star:
            raise DecodeError("checksum")
        place, words = _place(sentence.split(",")), rest.partition(",")[2]
    signal, word = f"{words},".split(",")[:2]
    device_id, *others = _tail(tail)
    return [serial, phone, "", *place, "", "", "", signal, word, f"imei:{device_id}", *others]


def _place(column: list[str]) -> list[str]:
    """Return the nine columns of a sentence from clock to date.

    A hemisphere may be blank, or missing with its comma.
    """
    place, rest = column[:2], column[2:]
    for hemispheres in (_NORTH_SOUTH, _EAST_WEST):
        number, letter = (*rest, "", "")[:2]
        spaced = not letter or letter in hemispheres
        place += (number, letter if spaced else "")
        rest = rest[1 + spaced :]
    return [*place, *rest, "", "", "", ""][:9]


def _tail(text: str) -> list[str]:
    """Return the columns from the id on, those from MCC on as one.

    The last column of a line without line end may lack its last digits. It is not read, unless it
    is where such lines do end: at an id or a CID of the usual length.
    """
    column = text.rstrip(_CLOSING).split(",")
    if text[-1:] not in ("\r", "\n"):
        if len(column) == 1 and len(column[0]) < _ID_DIGITS:
            raise DecodeError("id", column[0])
        least = _CID_DIGITS if len(column) == _TAIL_COLUMNS else LINE
        if 1 < len(column) <= _TAIL_COLUMNS and len(column[-1]) < least:
            column.pop()
    column += [""] * (_TAIL_COLUMNS - len(column))
    return [*column[:7], ",".join(column[7:])]


def _time(date: str, clock: str) -> datetime | None:
    """Return the time of ``DDMMYY`` and ``HHMMSS.SSS``, to the second; None where it is none."""
    day, clock = _day(date), clock[:6]
    if not day or len(clock) != 6 or not clock.isdecimal() or clock >= "24":
        return None
    try:
        return datetime.fromisoformat(f"{day}{clock}Z")
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _day(date: str) -> str:
    """Return ``DDMMYY`` the way ISO 8601 begins, nothing for what is no date."""
    if len(date) != 6 or not date.isdecimal():
        return ""
    return f"20{date[4:]}{date[2:4]}{date[:2]}T"


def _fix(time: datetime | None, column: list[str]) -> Fix | None:
    """Return the position, None where there are no coordinates."""
    validity, latitude, north_south, longitude, east_west, knots, course = column[4:11]
    altitude = column[19]
    if not latitude or not longitude:
        if latitude or longitude:
            raise DecodeError("coordinates")
        return None
    digits = f"{latitude}{longitude}{knots}{course}{altitude}".replace(".", "")
    if len(digits) > _MOST_DIGITS or not digits.isdecimal():
        if fields.number(latitude) is None or fields.number(longitude) is None:
            raise DecodeError("coordinates")
        knots, course, altitude = (
            "" if fields.number(text) is None else text for text in (knots, course, altitude)
        )
    return Fix(
        time=time,
        valid=validity == "A",
        latitude=fields.latitude(latitude, north_south),
        longitude=fields.longitude(longitude, east_west),
        speed_kmh=fields.speed(float(knots) * fields.KMH_PER_KNOT) if knots else None,
        course_deg=fields.course(float(course)) if course else None,
        altitude_m=fields.altitude(float(altitude)) if altitude else None,
        satellites=_SATELLITES.get(column[18]),
    )


@lru_cache(maxsize=512)
def _state(
    word: str, volts: str, charge: str
) -> tuple[str, Alarm | None, Status, dict[str, float]]:
    """Return keyword, alarm, status and, for `extra`, the analogue inputs.

    `volts` are those of ``F:4.12V/ADC1=0.25V``.
    """
    keyword = word.strip()
    word = keyword.rstrip("!").lower()
    battery, *others = volts.split("/")
    inputs: dict[str, float] = {}
    for other in others:
        name, _, value = other.partition("=")
        measured = _volts(value)
        if measured is not None and name in _INPUTS:
            inputs[_INPUTS[name]] = measured
    status = Status(
        ignition=IGNITION.get(word),
        charging=_FLAGS.get(charge),
        battery_v=_volts(battery[2:]) if battery[:2] in ("F:", "L:") else None,
    )
    return keyword, ALARMS.get(word), status, inputs


@lru_cache(maxsize=256)
def _is_phone(text: str) -> bool:
    """Return whether this is a phone number: some units name their operator instead."""
    digits = text.removeprefix("+")
    return digits.isdecimal() and 3 <= len(digits) <= 15


def _volts(text: str) -> float | None:
    return fields.number(text.removesuffix("V"), 0.0, _MOST_VOLTS)


@lru_cache(maxsize=256)
def _tower(text: str) -> tuple[Cell | None, dict[str, float]]:
    """Return the cell of ``MCC,MNC,LAC,CID,7.35km``, and the distance for `extra`."""
    mcc, mnc, lac, cid, distance = (*text.rstrip(_CLOSING).split(","), *[""] * 4)[:5]
    cell: Cell | None = None
    if lac and cid and len(lac) <= 8 and len(cid) <= 8 and not f"{lac}{cid}".strip(_HEX):
        network, operator = fields.whole(mcc, 999), fields.whole(mnc, 999)
        cell = Cell(mcc=network, mnc=operator, lac=int(lac, 16), cid=int(cid, 16))
    km = fields.number(distance[:-2], 0, _MOST_KM) if distance.endswith("km") else None
    return cell, {} if km is None else {"distance_km": km}


PROTOCOL = WireProtocol(name=NAME, claim=claim, cut=cut, decode=decode)
