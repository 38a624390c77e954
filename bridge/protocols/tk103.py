r"""tk103, the parenthesised protocol of many TK103, TK102 and GT02 clones.

    (ID CMD BODY)             FIXED: no separators; the id has 12 characters (or 11 or 15 digits)
    (ID,CMD,FIELD,FIELD,...)  COMMA: the id goes up to the comma

    a position, FIXED with YYMMDD; digits or ``WORD,N,M,`` may stand before the date:
    087000000012 BR00 260501 A 4807.2400N 01131.5000E 046.0 101530 087.31 01000000 L0000A1B2 +021.5
    ID           CMD  date     latitude   longitude   km/h  clock  course STATUS   odometer  celsius
    and COMMA with DDMMYY:
    ID,CMD,010526,A,4807.2400N,01131.5000E,46.02,101530,087.31[,ALTITUDE,SATELLITES][,STATUS,LODO]

    ID BP00 ...HSO                             hand-shake -> (ID AP01HSO)     FIXED only
    ID BP05 <15 digits> [position or cells]    login      -> (ID AP05)        FIXED only
    ID CMD <15 digits>,{mcc,mnc,lac,cid}\n{...}\n,ODO          cells, behind any command
    ID BZ00,mcc,mnc,lac,cid[,rssi],lac,cid[,rssi],...          cells, lac and cid in hex
    ID,DW5x,mcc,mnc,lac,cid,COUNT,MAC*RSSI*CHANNEL,...,DDMMYY,HHMMSS
    ID,ZC20,DDMMYY,HHMMSS,LEVEL,V*100,V*10,INST                batteries
    ID,ZC03,DDMMYY,HHMMSS,$text$                               answer to a command
    ID BV00 <VIN>       ID BS50 <hex>       ID BS51 90:<hex>,91:<hex>,...

STATUS is eight hex digits: main power (0 = on), ACC, three masks of inputs and outputs, fuel.
Source of all facts: docs/protocols.md, section tk103.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Alarm, Cell, CommandResult, Fix, Login, Report, Status
from bridge.protocols import bms, fields
from bridge.protocols.base import Claim, Context, Decoded, WireProtocol
from bridge.protocols.framing import bracketed

NAME = "tk103"

_EVENTS: tuple[tuple[str, Alarm | bool], ...] = (
    ("ZC11 DW31 DW51", Alarm.MOVEMENT),
    ("ZC12 DW32 DW52 ALARM0", Alarm.LOW_BATTERY),
    ("ZC13 DW33 DW53", Alarm.POWER_CUT),
    ("ZC15 DW35 DW55 ZC29 DW42 DW62", True),
    ("ZC16 DW36 DW56", False),
    ("ZC17 DW37 DW57", Alarm.REMOVING),
    ("ZC25 DW3E DW5E BO012", Alarm.SOS),
    ("ZC26 DW3F DW5F", Alarm.TAMPERING),
    ("ZC27 DW40 DW60", Alarm.LOW_POWER),
    ("BO011", Alarm.ACCIDENT),
    ("BO013", Alarm.VIBRATION),
    ("BO014", Alarm.LOW_SPEED),
    ("BO015 ALARM1", Alarm.OVERSPEED),
    ("BO016", Alarm.GEOFENCE_EXIT),
    ("ALARM2", Alarm.IDLE),
    ("ALARM3", Alarm.HARD_ACCELERATION),
    ("ALARM4", Alarm.HARD_BRAKING),
    ("ALARM5", Alarm.TEMPERATURE),
)
EVENTS = {command: event for commands, event in _EVENTS for command in commands.split()}
"""What is an alarm, or the ignition switched on (True) or off (False): a command alone, BO01 with
its digit, ALARM with its number. BO01 0 is said to be a power cut, which nothing proves."""

_PLACES = "BR00 BR01 BR02 BP02 BP04 BP05 BO01 BQ81 BS20 ZC07 DW30 DW3B DW50 DW5B"
PLACES = frozenset(_PLACES.split())
"""Commands that must say where the tracker is. The body of an event (it has been seen without date
and coordinates) and of an unknown command may be anything and is kept as text."""

BATTERY_PERCENT = {"6": 100.0, "5": 80.0, "4": 50.0, "3": 20.0, "2": 10.0}

_PAYLOAD_CHARACTERS = 256
_MAINS = {"0": True, "1": False}
_ACC = {"0": False, "1": True}
_MASKS = ("in2 panic out2 blocked", "hs3 hs2 hs1 door", "- ls3 ls2 ls1")
"""The third to fifth digit of STATUS, lowest bit first; ``-`` has no meaning."""

_INTERVALS = frozenset(("BR00", "BR01", "BR02"))
_LETTERS = {
    f"(BR{valid}{north_south}{east_west}".encode(): (valid, north_south, east_west)
    for valid in "AV"
    for north_south in "NS"
    for east_west in "EW"
}
"""What is left of an interval position, up to the longitude, without digits, dots and blanks."""
_HEX = "0123456789ABCDEFabcdef"

_FIXED = re.compile(r"([0-9A-Za-z]{12}|\d{11}|\d{15})([A-Z]{2}[0-9A-Z]{2})", re.ASCII)
_COMMAND = re.compile(r"[A-Z]{2}[0-9A-Z]{2}")
_POSITION = re.compile(
    r"(?:(?P<word>[A-Z]{1,8}),(?P<code>\d{1,4}),(?:\d+,)?)?(?P<digits>\d{0,16}?)"
    r"(?P<date>\d{6}),?(?P<valid>[AV]),?"
    r"(?:(?P<latitude>[ \d.]{1,12})(?P<ns>[NS]),?(?P<longitude>[ \d.]{1,13})(?P<ew>[EW])|,,)"
    r",?(?P<speed>[ \d.]{1,9}(?=,)|[ \d.]{0,5}),?(?P<clock>\d{6}),?"
    r"(?:(?P<course>[ \d.]{6}|\d\d),?(?P<status>[\dA-Fa-f]{8})L(?P<odometer>[\dA-Fa-f]{1,8})"
    r"|(?P<bare_course>[\d.]*)(?![^,])"
    r"(?:,(?P<altitude>-?\d{1,5}(?:\.\d+)?),(?P<satellites>\d{1,2})(?![^,]))?"
    r"(?:,(?P<bare_status>[\dA-Fa-f]{8})(?:,L(?P<bare_odometer>[\dA-Fa-f]{1,8}))?(?![^,]))?)",
    re.ASCII,
)
_STATUS = re.compile(r"[\dA-Fa-f]{8}", re.ASCII)
_TEMPERATURE = re.compile(r"[+-]\d{3}\.\d$", re.ASCII)
_CELLS = re.compile(r"\d*,?((?:\{\d+,\d+,\d+,\d+\}\s*)+),?([\dA-Fa-f]{1,8})?", re.ASCII)
_TOWER = re.compile(r"(\d+),(\d+),(\d+),(\d+)", re.ASCII)
_HEX_TOWER = re.compile(r"[\dA-Fa-f]{1,4},[\dA-Fa-f]{1,8}", re.ASCII)
_RSSI = re.compile(r"\d{1,3}", re.ASCII)
_WIFI = re.compile(r"([\dA-Fa-f]{2}(?::[\dA-Fa-f]{2}){5})\*(-?\d{1,3})\*(\d{1,3})", re.ASCII)
_VIN = re.compile(r"[0-9A-Z]{17}")
_BARE_LOGIN = re.compile(r"\d*(?:HSO.*)?", re.ASCII | re.DOTALL)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a body says, whoever says it."""

    device_time: datetime | None = None
    fix: Fix | None = None
    alarm: Alarm | None = None
    status: Status = NO_STATUS
    cell: Cell | None = None
    extra: dict[str, Any] = {}


_OPENING = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ,()"


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim a parenthesis with four bytes behind it that an id may be made of."""
    opening = data[:5]
    if (data and data[0] != 0x28) or opening.translate(None, _OPENING):
        return Claim.NO
    if len(opening) == 5 or b")" in opening or (data and final):
        return Claim.YES
    return Claim.NO if final else Claim.UNDECIDED


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one frame, parentheses included."""
    text = frame.decode("latin-1")
    if text[13:17] in _INTERVALS:
        report = _interval(frame, text, context)
        if report is not None:
            return Decoded((report,))
    if text[:1] != "(" or text[-1:] != ")":
        raise DecodeError("frame")
    device_id, command, body, fixed = _split(text[1:-1])
    context.device_id = device_id
    at = context.received_at
    if command == "ZC03":
        date, clock, answer = (*body.split(",", 2), "", "")[:3]
        result = CommandResult(
            device_id=device_id,
            protocol=NAME,
            received_at=at,
            device_time=_time(date, clock),
            keyword=command,
            text=answer.removeprefix("$").removesuffix("$"),
        )
        return Decoded((result,))
    login = Login(device_id=device_id, protocol=NAME, received_at=at)
    if command == "BP00":
        return Decoded((login,), f"({device_id}AP01HSO)".encode() if fixed else b"")
    logs_in = command == "BP05" and fixed
    reply = f"({device_id}AP05)".encode() if logs_in else b""
    if command == "BP05" and _BARE_LOGIN.fullmatch(body):
        return Decoded((login,), reply)
    said = msgspec.structs.asdict(_read(command, body, year_first=fixed))
    report = Report(device_id=device_id, protocol=NAME, received_at=at, keyword=command, **said)
    return Decoded((login, report) if logs_in else (report,), reply)


def _interval(frame: bytes, text: str, context: Context) -> Report | None:
    """Decode an interval position whose columns all have their usual width, None for any other.

    It is what a car sends all day, hence this short way; what is odd takes the long one.
    """
    letters = _LETTERS.get(frame.translate(None, b"0123456789. ")[:6])
    device_id, clock, metres = text[1:13], text[50:56], text[71:79]
    if letters is None or text[-1] != ")" or text[70:71] != "L" or metres.strip(_HEX):
        return None
    valid, north_south, east_west = letters
    if text[44] != east_west or not (device_id.isdecimal() and clock.isdecimal()):
        return None
    try:
        time = datetime.fromisoformat(f"20{text[17:23]}T{clock}Z")
        speed, course = float(text[45:50]), float(text[56:62])
        if speed > 1000.0 or course > 360.0:
            return None
        fix = Fix(
            time=time,
            valid=valid == "A",
            latitude=fields.latitude(text[24:33], north_south),
            longitude=fields.longitude(text[34:44], east_west),
            speed_kmh=speed,
            course_deg=course,
        )
        status, extra = _status(text[62:70], metres, text[79:-1])
    except ValueError:  # a blank column, a letter out of its place, no such date
        return None
    context.device_id = device_id
    return Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=text[13:17],
        fix=fix,
        status=status,
        extra=extra,
    )


def _status(code: str, metres: str, tail: str) -> tuple[Status, dict[str, Any]]:
    """Return what STATUS, the odometer (hex, or nothing) and a temperature in the tail say."""
    external_power, ignition, door_open, engine_cut, extra = _inputs(code)
    found = _TEMPERATURE.search(tail) if tail else None
    status = Status(
        ignition=ignition,
        door_open=door_open,
        external_power=external_power,
        engine_cut=engine_cut,
        temperature_c=fields.celsius(found[0]) if found else None,
        odometer_km=int(metres, 16) / 1000.0 if metres else None,
    )
    return status, extra.copy()


@lru_cache(maxsize=1024)
def _inputs(code: str) -> tuple[bool | None, bool | None, bool, bool, dict[str, Any]]:
    """Return (main power, ACC, door, engine cut, what else is set) of STATUS."""
    if not _STATUS.fullmatch(code):
        raise DecodeError("status", code)
    extra: dict[str, Any] = {
        name: True
        for names, digit in zip(_MASKS, code[2:5], strict=True)
        for bit, name in enumerate(names.split())
        if name != "-" and int(digit, 16) >> bit & 1
    }
    door_open, engine_cut = extra.pop("door", False), extra.pop("blocked", False)
    if code[5:] != "000":
        extra["fuel_raw"] = int(code[5:], 16)
    return _MAINS.get(code[0]), _ACC.get(code[1]), door_open, engine_cut, extra


def _split(text: str) -> tuple[str, str, str, bool]:
    """Return (id, command, body, whether FIXED): the command is known by its place and shape."""
    head, _, rest = text.partition(",")
    command, _, body = rest.partition(",")
    glued = _FIXED.match(text)
    if glued is not None and (glued.end() == len(head) or not _COMMAND.fullmatch(command)):
        return glued[1], glued[2], text[glued.end() :].removeprefix(","), True
    if not _COMMAND.fullmatch(command):
        raise DecodeError("command", command)
    if not (head.isalnum() and head.isascii() and len(head) <= 32):
        raise DecodeError("id", head)
    return head, command, body, False


def _read(command: str, body: str, *, year_first: bool) -> _Said:
    """Read the body of a command that reports."""
    cells = _CELLS.fullmatch(body)
    if cells is not None:
        return _cells([_cell(*tower) for tower in _TOWER.findall(cells[1])], cells[2])
    reader = _READERS.get(command)
    if reader is not None:
        return reader(body)
    said = _position(command, body, year_first=year_first)
    if said is None and command[:3] in ("DW5", "DW6") and body.count(",") > 5:
        said = _radio(body)
    if said is None:
        if command in PLACES:
            raise DecodeError("position", body)
        said = _Said(extra={"payload": body[:_PAYLOAD_CHARACTERS]} if body else {})
    event = EVENTS.get(command)
    if isinstance(event, Alarm):
        return msgspec.structs.replace(said, alarm=event)
    if event is not None:
        status = msgspec.structs.replace(said.status, ignition=event)
        return msgspec.structs.replace(said, status=status)
    return said


def _position(command: str, body: str, *, year_first: bool) -> _Said | None:
    """Read a position of any width, with commas or without; None if the body has not its shape."""
    found = _POSITION.match(body)
    if found is None:
        return None
    time = _time(found["date"], found["clock"], year_first=year_first)
    fix = None
    if (found["latitude"] or "").strip():
        fix = Fix(
            time=time,
            valid=found["valid"] == "A",
            latitude=fields.latitude(found["latitude"], found["ns"]),
            longitude=fields.longitude(found["longitude"], found["ew"]),
            speed_kmh=fields.number(found["speed"].strip(), 0.0, 1000.0),
            course_deg=fields.number((found["course"] or found["bare_course"]).strip(), 0.0, 360.0),
            altitude_m=fields.altitude(float(found["altitude"])) if found["altitude"] else None,
            satellites=int(found["satellites"]) if found["satellites"] else None,
        )
    status, extra = NO_STATUS, dict[str, Any]()
    code, metres = found.group("status", "odometer")
    if code is None:
        code, metres = found.group("bare_status", "bare_odometer")
    if code is not None:
        status, extra = _status(code, metres or "", body[found.end() :])
    alarm = None
    kind, number = found["word"] or command, found["code"] or found["digits"]
    if number and kind in ("ALARM", "BO01"):
        event = EVENTS.get(kind + number)
        if isinstance(event, Alarm):
            alarm = event
        else:
            extra["alarm_code"] = number
    return _Said(device_time=time, fix=fix, alarm=alarm, status=status, extra=extra)


def _time(date: str, clock: str, *, year_first: bool = False) -> datetime | None:
    first, month, last = date[0:2], date[2:4], date[4:6]
    return fields.utc(first if year_first else last, month, last if year_first else first, clock)


def _cell(mcc: str, mnc: str, lac: str, cid: str) -> Cell:
    network, operator = fields.whole(mcc, 999), fields.whole(mnc, 999)
    area, tower = fields.whole(lac, 0xFFFF), fields.whole(cid, 0xFFFFFFF)
    if network is None or operator is None or area is None or tower is None:
        raise DecodeError("cell", (mcc, mnc, lac, cid))
    return Cell(mcc=network, mnc=operator, lac=area, cid=tower)


def _cells(cells: list[Cell], metres: str = "") -> _Said:
    others = [msgspec.to_builtins(cell) for cell in cells[1:]]
    return _Said(
        cell=cells[0],
        status=Status(odometer_km=int(metres, 16) / 1000.0) if metres else NO_STATUS,
        extra={"cells": others} if others else {},
    )


def _hex_cells(body: str) -> _Said:
    """Read BZ00: pairs of LAC and CID, each with or without a signal strength behind it."""
    mcc, mnc, *words = (*body.split(","), "")
    cells = []
    while _HEX_TOWER.fullmatch(",".join(words[:2])):
        cells.append(_cell(mcc, mnc, str(int(words[0], 16)), str(int(words[1], 16))))
        words = words[3 if _RSSI.fullmatch(words[2]) else 2 :]
    if not cells:
        raise DecodeError("cell", body)
    return _cells(cells)


def _radio(body: str) -> _Said:
    """Read DW5x: the serving cell and the WiFi networks around."""
    column = body.split(",")
    wifi = [
        {"mac": found[1], "rssi": int(found[2]), "channel": int(found[3])}
        for found in map(_WIFI.fullmatch, column[5:-2])
        if found is not None
    ]
    time, extra = _time(column[-2], column[-1]), {"wifi": wifi} if wifi else {}
    return _Said(device_time=time, cell=_cell(*column[:4]), extra=extra)


def _batteries(body: str) -> _Said:
    """Read ZC20: 65535 is no voltage, 255 no INST."""
    date, clock, level, battery, power, inst = (*body.split(","), "")[:6]
    status = Status(
        battery_percent=BATTERY_PERCENT.get(level),
        battery_v=_volt(battery, 100),
        external_v=_volt(power, 10),
    )
    extra = {"inst": int(inst)} if fields.whole(inst, 254) is not None else {}
    return _Said(device_time=_time(date, clock), status=status, extra=extra)


def _volt(text: str, steps: int) -> float | None:
    value = fields.whole(text, 65535)
    if value is None:
        raise DecodeError("voltage", text)
    return value / steps if value < 65535 else None


def _vin(body: str) -> _Said:
    if not _VIN.fullmatch(body):
        raise DecodeError("vin", body)
    return _Said(extra={"vin": body})


def _bms(status: Status, measured: dict[str, Any]) -> _Said:
    return _Said(status=status, extra={"bms": measured})


_READERS: dict[str, Callable[[str], _Said]] = {
    "ZC20": _batteries,
    "BZ00": _hex_cells,
    "BV00": _vin,
    "BS50": lambda body: _bms(*bms.read_pack(body)),
    "BS51": lambda body: _bms(*bms.read_blocks(body)),
}

PROTOCOL = WireProtocol(name=NAME, claim=claim, cut=bracketed(b"(", b")", b"$"), decode=decode)
