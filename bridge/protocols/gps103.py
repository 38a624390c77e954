"""gps103, the protocol of Coban's trackers and most boxes sold as TK103A/B: text, comma separated.

    ##,imei:ID,A;                                             login          -> LOAD
    ID;                                                       heartbeat      -> ON
    imei:ID,KEYWORD,LOCAL,TAG,F,UTC,A|V,LAT,N|S,LON,E|W,KNOTS,COURSE,ALT,IGN,DOOR,FUEL1,FUEL2,TEMP;
    imei:ID,KEYWORD,LOCAL,TAG,L,,,LAC,,CID,,,,,IGN,DOOR,FUEL1,FUEL2,TEMP;      no satellites
    imei:ID,OBD,LOCAL,KM,INSTANT,AVERAGE,HOURS,KMH,LOAD%,COOLANT,THROTTLE%,RPM,VOLT,DTC,...;
    imei:ID,NAME,EVENT,SENSOR,VOLT,HHMMSS,DDMMYY,RSSI,FIX,LAT,LON,KMH,COURSE,ALT,HDOP,SATS,IGN,CHARGE,ERR,*
    imei:ID,vr,HEX;                                           part of a photo, not assembled

A frame ends at ``;``, ``*`` or a line feed. LOCAL is the unit's own clock, UTC has no date:
`fields.dated` puts them together. The only alarm answered is ``help me``, by ``E``, the receipt.
Source of all facts: docs/protocols.md, section gps103.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct, structs

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Alarm, Cell, Fix, Heartbeat, Login, Report, Status
from bridge.protocols import fields
from bridge.protocols.base import Claim, Context, Decoded, WireProtocol
from bridge.protocols.framing import delimited
from bridge.protocols.gps103_commands import ANSWERS

NAME = "gps103"

_BROKEN_OFF = timedelta(minutes=2)
"""An upload that has paused for so long will not say that it is over."""

ALARMS: dict[str, Alarm] = {
    "help me": Alarm.SOS,
    "low battery": Alarm.LOW_BATTERY,
    "stockade": Alarm.GEOFENCE,
    "move": Alarm.MOVEMENT,
    "speed": Alarm.OVERSPEED,
    "door alarm": Alarm.DOOR,
    "ac alarm": Alarm.POWER_CUT,
    "accident alarm": Alarm.ACCIDENT,
    "sensor alarm": Alarm.VIBRATION,
    "bonnet alarm": Alarm.BONNET,
    "footbrake alarm": Alarm.FOOT_BRAKE,
    "DTC": Alarm.FAULT,
    "collision": Alarm.ACCIDENT,
    "brake": Alarm.HARD_BRAKING,
    "accelerate": Alarm.HARD_ACCELERATION,
    "sharp turn": Alarm.HARD_CORNERING,
}
"""Keywords that are alarms; matching is exact. Those with a value in them: see `_measured`."""

STATES: dict[str, Status] = {
    "acc on": Status(ignition=True),
    "acc off": Status(ignition=False),
    **dict.fromkeys(("jt", "109"), Status(engine_cut=True)),
    **dict.fromkeys(("kt", "110"), Status(engine_cut=False)),
    **dict.fromkeys(("lt", "111"), Status(armed=True)),
    **dict.fromkeys(("mt", "112"), Status(armed=False)),
}
"""Keywords that tell a state: the ignition, and the echoes of commands that were carried out."""


class _Said(Struct, frozen=True):
    """What a part of a frame says: its keyword, or the columns behind the position."""

    alarm: Alarm | None = None
    status: Status = NO_STATUS
    extra: dict[str, Any] = {}


_SILENT = _Said()
_SAID: dict[str, _Said] = {
    **{keyword: _Said(alarm) for keyword, alarm in ALARMS.items()},
    **{keyword: _Said(status=status) for keyword, status in STATES.items()},
    **dict.fromkeys(("tracker", "001", ""), _SILENT),
}

_FIX_COLUMNS = 14
"""Columns up to the altitude; those behind it, the inputs, change rarely and are read as one."""

_CLOSING = ";*\r\n "
_NORTH_SOUTH = ("N", "S")
_EAST_WEST = ("E", "W")
_FLAGS = {"0": False, "1": True}
_AREA = {"in": Alarm.GEOFENCE_ENTER, "out": Alarm.GEOFENCE_EXIT}
_LONGEST_LOGIN = 30
_HEX = "0123456789abcdefABCDEF"
_MOST_KM = 9_999_999


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim ``##,imei:``, ``imei:`` and a bare 15-digit heartbeat."""
    for opening in (b"imei:", b"##,imei:"):
        if data.startswith(opening):
            return Claim.YES
        if opening.startswith(data):
            return Claim.NO if final else Claim.UNDECIDED
    rest = data.lstrip(b"0123456789")
    digits = len(data) - len(rest)
    if digits == 15 and (rest.startswith((b";", b"\r", b"\n", b"imei:")) or (final and not rest)):
        return Claim.YES
    open_ended = (digits <= 15 and not rest) or (digits == 15 and b"imei:".startswith(rest))
    return Claim.UNDECIDED if open_ended and not final else Claim.NO


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one frame, closing byte included or missing."""
    text = frame.decode("latin-1")
    if not text.startswith("imei:"):
        return _session(text.rstrip(_CLOSING), context)
    column = text.split(",", _FIX_COLUMNS)
    if len(column) <= _FIX_COLUMNS or column[8] not in _NORTH_SOUTH or column[10] not in _EAST_WEST:
        column = text.rstrip(_CLOSING).split(",")
        if len(column) < 5 or column[4] not in ("F", "L"):
            return _rare(text, column, context)
        column = _usual(column)
    head, keyword, local, tag, signal, clock, _, lac, _, cid, _, _, _, _, inputs = column
    device_id = head[5:]
    if device_id != context.device_id or not device_id:
        _identify(device_id, context)
    said = _SAID.get(keyword) or _measured(keyword)
    extra: dict[str, Any] = {}
    offset: int | None = None
    fix: Fix | None = None
    cell: Cell | None = None
    if signal == "F":
        time, offset = fields.dated(local, clock, context.received_at, context.utc_offset_minutes)
        fix = _fix(time, column, extra)
    elif signal == "L":
        known_min = context.utc_offset_minutes
        time = None if known_min is None else fields.local_time(local, known_min)
        cell = _cell(lac, cid)
    else:
        raise DecodeError("signal", signal)
    extra |= {"utc_offset_min": offset} if offset is not None else _alone(local)
    known = _inputs(inputs) if inputs else _SILENT
    status = known.status
    if known.extra:
        extra |= known.extra
    if tag or said is not _SILENT or context.replaying:
        status = _qualified(column, status, said, context, extra)
    report = Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=keyword,
        fix=fix,
        alarm=said.alarm,
        status=status,
        cell=cell,
        extra=extra,
    )
    return Decoded((report,)) if said.alarm is not Alarm.SOS else _receipted(report)


def _usual(column: list[str]) -> list[str]:
    """Return the columns of a position at their usual places, the missing ones blank.

    A hemisphere stands behind its number or before it, or is missing, with or without its comma.
    """
    located = len(column) > 10 and column[8] in _NORTH_SOUTH and column[10] in _EAST_WEST
    if column[4] == "F" and not located:
        place, rest, spaced = column[:7], column[7:], True
        for hemispheres in (_NORTH_SOUTH, _EAST_WEST):
            number, letter = (*rest, "", "")[:2]
            before = number in hemispheres
            spaced = before or letter in hemispheres or (spaced and not letter)
            place += (letter, number) if before else (number, letter if spaced else "")
            rest = rest[1 + spaced :]
        column = place + rest
    blank = [""] * (_FIX_COLUMNS - len(column))
    return [*column[:_FIX_COLUMNS], *blank, ",".join(column[_FIX_COLUMNS:])]


def _fix(time: datetime | None, column: list[str], extra: dict[str, Any]) -> Fix | None:
    """Return the position, None where there are no coordinates."""
    (_, _, _, _, _, _, validity,
     latitude, north_south, longitude, east_west, knots, course, altitude, _) = column  # fmt: skip
    numbers = f"{latitude}{longitude}{knots}{course}{altitude}"
    if not (latitude and longitude and numbers.replace(".", "").isdecimal()):
        if not latitude and not longitude:
            return None
        if fields.number(latitude) is None or fields.number(longitude) is None:
            raise DecodeError("coordinates")
        knots, course, altitude = (
            "" if fields.number(text) is None else text for text in (knots, course, altitude)
        )
    if course == "1":  # no course, which has a point: the unit asks for a street address
        extra["address_request"] = True
        course = ""
    return Fix(
        time=time,
        valid=validity == "A",
        latitude=fields.latitude(latitude, north_south),
        longitude=fields.longitude(longitude, east_west),
        speed_kmh=fields.speed(float(knots) * fields.KMH_PER_KNOT) if knots else None,
        course_deg=fields.course(float(course)) if course else None,
        altitude_m=fields.altitude(float(altitude)) if altitude else None,
    )


def _alone(local: str) -> dict[str, Any]:
    """Return the local clock of a frame without a UTC clock: who receives it may learn from it."""
    shown = fields.local_time(local, 0)
    return {} if shown is None else {"local_time": f"{shown:%Y-%m-%dT%H:%M}"}


def _cell(lac: str, cid: str) -> Cell | None:
    if not lac or not cid or len(lac) > 8 or len(cid) > 8 or f"{lac}{cid}".strip(_HEX):
        return None
    return Cell(lac=int(lac, 16), cid=int(cid, 16))


@lru_cache(maxsize=512)
def _inputs(text: str) -> _Said:
    """Return what the columns behind the position say: ignition, door, fuel twice, temperature."""
    column = [*text.rstrip(_CLOSING).split(","), "", "", "", "", ""]
    for at in (0, 1):
        # Ignition and door may be missing, then fuel stands there (gps103/oil-without-percent).
        if not column[at].isdecimal() and fields.percent(column[at]) is not None:
            column.insert(at, "")
    ignition, door, fuel, second, temperature = column[:5]
    odometer: float | None = None
    extra: dict[str, Any] = {}
    # The second tank has three readings: the distance driven, a trouble code, or a level.
    if second.isdecimal():
        odometer = fields.number(second, 1, _MOST_KM)
    elif second[:1] in ("P", "C", "B", "U"):
        extra["dtcs"] = [second]
    elif second and (level := fields.percent(second)) is not None:
        extra["fuel2_percent"] = level
    status = Status(
        ignition=_FLAGS.get(ignition),
        door_open=_FLAGS.get(door),
        fuel_percent=fields.percent(fuel) if fuel else None,
        temperature_c=fields.celsius(temperature) if temperature else None,
        odometer_km=odometer,
    )
    return _Said(status=status, extra=extra)


def _measured(keyword: str) -> _Said:
    """Return what a keyword with a value in it says: ``T:+28.0``, ``oil 51.67``, ``area01 in``."""
    if keyword.startswith("T:") and (celsius := fields.celsius(keyword[2:])) is not None:
        return _Said(Alarm.TEMPERATURE, Status(temperature_c=celsius))
    if keyword.startswith("oil"):
        level = fields.percent(keyword.removeprefix("oil "))
        return _Said(Alarm.FUEL_LEAK, Status(fuel_percent=level))
    if keyword.startswith("area"):
        area, _, direction = keyword[4:].partition(" ")
        if area.isdecimal() and direction in _AREA:
            return _Said(_AREA[direction], extra={"area": area})
    return _Said()


def _qualified(
    column: list[str], status: Status, said: _Said, context: Context, extra: dict[str, Any]
) -> Status:
    """Return the status with what the keyword adds, and note what else keyword and tag say."""
    keyword, tag = column[1], column[3].strip()
    if tag:
        extra["driver_id" if keyword == "rfid" else "tag"] = tag
    if keyword in ("load", "qt"):
        context.replaying = keyword == "load"
    elif context.replaying:
        broken_off = context.received_at - context.replayed_at > _BROKEN_OFF
        context.replaying = not broken_off
        extra |= {} if broken_off else {"replayed": True}
    context.replayed_at = context.received_at
    if keyword == "service":  # the last two columns hold the days and kilometres till then
        left = column[14].rstrip(_CLOSING).split(",")[3:5]
        extra |= {"service": left} if any(left) else {}
        return structs.replace(status, odometer_km=None, temperature_c=None)
    extra |= said.extra
    return _merged(said.status, status)


def _merged(stated: Status, shown: Status) -> Status:
    """Return what keyword and columns say together; where they differ, the column is right."""
    if stated is NO_STATUS:
        return shown
    seen = {name: value for name, value in structs.asdict(shown).items() if value is not None}
    return structs.replace(stated, **seen)


def _session(text: str, context: Context) -> Decoded:
    """Decode a login, or a heartbeat; one that was not closed runs into the next frame."""
    if text.startswith("##,imei:"):
        return _login(text[8:].partition(",")[0], context)
    digits, glued, rest = text.partition("imei:")
    _identify(digits, context)
    heartbeat = _heartbeat(digits, context)
    if not glued:
        return Decoded((heartbeat,), b"ON")
    said = decode(f"imei:{rest}".encode("latin-1"), context)
    if context.device_id != digits:
        raise DecodeError("id")
    return Decoded((heartbeat, *said.messages), b"ON" + said.reply, said.receipt)


def _rare(text: str, column: list[str], context: Context) -> Decoded:
    """Decode what is no position: logins, photo parts, OBD data, the form that ends in ``*``."""
    device_id, word = column[0][5:], column[1] if len(column) > 1 else ""
    _identify(device_id, context)
    if word == "vr":
        if len(bytes.fromhex("".join(column[2:]))) < 6:
            raise DecodeError("photo")
        return Decoded((_heartbeat(device_id, context),))
    if word == "OBD":
        return Decoded((_obd(column, device_id, context),))
    if text.endswith("*") and len(column) > 18:
        report = _alternative(column, device_id, context)
        return Decoded((report,)) if report.alarm is not Alarm.SOS else _receipted(report)
    if word in ALARMS or word in STATES or word in ANSWERS:  # what is left is worth a report
        return decode(f"{column[0]},{word},,,L".encode(), context)
    if any(column[2:]) or (word not in ("", "A", "L") and len(text) > _LONGEST_LOGIN):
        raise DecodeError("frame")
    return _login(device_id, context)


def _obd(column: list[str], device_id: str, context: Context) -> Report:
    local, odometer, instant, average, hours, speed, load, coolant, throttle, rpm, volt, *dtcs = (
        *column[2:],
        *[""] * 11,
    )
    return Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=fields.local_time(local, context.utc_offset_minutes or 0, seconds=True),
        keyword="OBD",
        status=Status(
            odometer_km=fields.number(odometer, 0, _MOST_KM),
            battery_v=fields.number(volt, 0, 1000),
            obd_speed_kmh=fields.number(speed, 0, 1000),
            rpm=fields.whole(rpm, 65535),
        ),
        extra=_known(
            fuel_instant=fields.number(instant),
            fuel_average=fields.number(average),
            engine_hours=fields.number(hours),
            engine_load_percent=fields.percent(load),
            coolant_c=fields.celsius(coolant),
            throttle_percent=fields.percent(throttle),
            dtcs=[code for code in dtcs if code],
        )
        | _alone(local),
    )


def _alternative(column: list[str], device_id: str, context: Context) -> Report:
    """Decode the form with signed decimal degrees, km/h and DDMMYY; runs of ``-`` are blanks."""
    (name, keyword, sensor, volt, clock, date, rssi, mode, latitude, longitude, speed, course,
     altitude, hdop, satellites, ignition, charge, error) = (
        "" if not text.strip("-") else text for text in column[1:19]
    )  # fmt: skip
    time = fields.utc(date[4:6], date[2:4], date[0:2], clock)
    fix: Fix | None = None
    if latitude or longitude:
        fix = Fix(
            time=time,
            valid=fields.number(mode, 1) is not None,
            latitude=fields.bounded("latitude", latitude, 90),
            longitude=fields.bounded("longitude", longitude, 180),
            speed_kmh=fields.number(speed, 0, 1000),
            course_deg=fields.number(course, 0, 360),
            altitude_m=fields.number(altitude, -1000, 20000),
            hdop=fields.number(hdop, 0),
            satellites=fields.whole(satellites, 255),
        )
    said = _SAID.get(keyword) or _measured(keyword)
    columns = Status(
        ignition=_FLAGS.get(ignition),
        external_power=_FLAGS.get(charge),
        gsm_percent=fields.gsm_percent(rssi),
    )
    return Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=keyword,
        fix=fix,
        alarm=said.alarm,
        status=_merged(said.status, columns),
        extra=_known(name=name, sensor_id=sensor, sensor_v=fields.number(volt), error=error),
    )


def _known(**extra: str | float | list[str] | None) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if value not in (None, "", [])}


def _receipted(report: Report) -> Decoded:
    return Decoded((report,), b"", b"**,imei:%s,E;" % report.device_id.encode())


def _login(device_id: str, context: Context) -> Decoded:
    _identify(device_id, context)
    login = Login(device_id=device_id, protocol=NAME, received_at=context.received_at)
    return Decoded((login,), b"LOAD")


def _heartbeat(device_id: str, context: Context) -> Heartbeat:
    return Heartbeat(device_id=device_id, protocol=NAME, received_at=context.received_at)


def _identify(device_id: str, context: Context) -> None:
    if not device_id.isdecimal() or len(device_id) > 32:
        raise DecodeError("id", device_id)
    context.device_id = device_id


_CUT = delimited(b";", b"*", b"\n", blank=b"\r\n |")
PROTOCOL = WireProtocol(name=NAME, claim=claim, cut=_CUT, decode=decode, bare_datagram=True)
