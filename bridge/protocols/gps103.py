"""gps103, the protocol of Coban's trackers and most boxes sold as TK103A/B: text, comma separated.

    ##,imei:ID,A;                                             login          -> LOAD
    ID;                                                       heartbeat      -> ON
    imei:ID,KEYWORD,LOCAL,TAG,F,UTC,A|V,LAT,N|S,LON,E|W,KNOTS,COURSE,ALT,IGN,DOOR,FUEL1,FUEL2,TEMP;
    imei:ID,KEYWORD,LOCAL,TAG,L,,,LAC,,CID,,,,,IGN,DOOR,FUEL1,FUEL2,TEMP;      no satellites
    imei:ID,OBD,LOCAL,KM,INSTANT,AVERAGE,HOURS,KMH,LOAD%,COOLANT,THROTTLE%,RPM,VOLT,DTC,...;
    imei:ID,NAME,EVENT,SENSOR,VOLT,HHMMSS,DDMMYY,RSSI,FIX,LAT,LON,KMH,COURSE,ALT,HDOP,SATS,IGN,CHARGE,ERR,*
    imei:ID,vr,HEX;                                           part of a photo, counted, not assembled

A frame ends at ``;``, ``*`` or a line feed. LOCAL is the unit's own clock, UTC has no date: the day
is settled by `fields.day_shift`. The only alarm that is answered is ``help me`` (``E``, the receipt).
Source of all facts: docs/protocols.md, section gps103.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Alarm, Cell, Fix, Heartbeat, Login, Message, Report, Status
from bridge.protocols import fields
from bridge.protocols.base import Claim, Context, Decoded, WireProtocol
from bridge.protocols.framing import delimited

NAME = "gps103"

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
}
"""Keywords that are alarms; matching is exact. ``T:`` and ``oil`` carry a value, see `_measured`."""

IGNITION = {"acc on": True, "acc off": False}
PLAIN = frozenset({"tracker", "001", ""})
"""Keywords of an interval position; nothing more is to be read from them."""

_FLAGS = {"0": False, "1": True}
_LOGIN_WORDS = ("A", "L")
_MINUTES = timedelta(minutes=1)


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim ``##,imei:``, ``imei:`` and a bare 15-digit heartbeat."""
    for opening in (b"imei:", b"##,imei:"):
        if data.startswith(opening):
            return Claim.YES
        if opening.startswith(data):
            return Claim.NO if final else Claim.UNDECIDED
    digits = len(data) - len(data.lstrip(b"0123456789"))
    rest = data[digits:]
    if digits == 15 and (rest[:1] in (b";", b"\r", b"\n") if rest else final):
        return Claim.YES
    if digits == 15 and rest.startswith(b"imei:"):
        return Claim.YES
    open_ended = (not rest and digits <= 15) or (digits == 15 and b"imei:".startswith(rest))
    return Claim.UNDECIDED if open_ended and not final else Claim.NO


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one frame, closing byte included or missing."""
    text = frame.decode("latin-1")
    if text.startswith("imei:"):
        return _decode_imei(text, context)
    text = text.strip("\r\n ")
    if text.startswith("imei:"):
        return _decode_imei(text, context)
    if text.startswith("##,imei:"):
        device_id = _identity(text[8:].rstrip(";*").split(",", 1)[0], context)
        return Decoded((_login(device_id, context),), b"LOAD")
    # A heartbeat that was not closed runs into the next frame: ID then "imei:ID,...".
    digits, glued, rest = text.rstrip(";").partition("imei:")
    device_id = _identity(digits, context)
    heartbeat = Heartbeat(device_id=device_id, protocol=NAME, received_at=context.received_at)
    if not glued:
        return Decoded((heartbeat,), b"ON")
    said = _decode_imei(glued + rest, context)
    return Decoded((heartbeat, *said.messages), b"ON" + said.reply, said.receipt)


def _decode_imei(text: str, context: Context) -> Decoded:
    column = text.split(",")
    column[-1] = column[-1].rstrip(";\r\n ")
    count = len(column)
    if count < 5 or column[1] == "OBD" or column[-1] == "*":
        return _decode_rare(column, context)
    device_id = _identity(column[0][5:], context)
    keyword, tag, signal = column[1], column[3], column[4]
    extra: dict[str, Any] = {}
    fix: Fix | None = None
    cell: Cell | None = None
    inputs = 14
    if signal == "F":
        time = _time(column[2], column[5] if count > 5 else "", context, extra)
        if count > 9:
            fix, inputs = _fix(column, time, extra)
    elif signal == "L":
        time = _local_time(column[2], context)
        if count > 9 and column[7] and column[9]:
            cell = Cell(lac=int(column[7], 16), cid=int(column[9], 16))
    else:
        raise DecodeError("signal", signal)

    alarm = ALARMS.get(keyword)
    said = _SILENT if alarm is not None or keyword in PLAIN else _said(keyword)
    if said.alarm is not None:
        alarm = said.alarm
    if tag:
        _note_tag(keyword, tag, extra)
    status = _status(column, inputs, keyword, said, extra) if count > inputs else said.status
    if context.replaying or keyword in _LOG_MARKS:
        _mark_replay(keyword, context, extra)
    report = Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=keyword,
        fix=fix,
        alarm=alarm,
        status=status,
        cell=cell,
        extra=extra,
    )
    if alarm is Alarm.SOS:
        return Decoded((report,), b"", b"**,imei:%s,E;" % device_id.encode())
    return Decoded((report,))


def _fix(column: list[str], time: datetime | None, extra: dict[str, Any]) -> tuple[Fix | None, int]:
    """Return the position and the index of the ignition column."""
    if len(column) > 13 and column[8] in _NORTH_SOUTH and column[10] in _EAST_WEST:
        at = 11
        latitude_text, south = column[7], column[8] == "S"
        longitude_text, west = column[9], column[10] == "W"
        speed, course, altitude = column[11], column[12], column[13]
    else:
        at, latitude_text, south, longitude_text, west = _odd_coordinates(column)
        speed, course, altitude = (*column[at : at + 3], "", "", "")[:3]
    if not latitude_text and not longitude_text:
        return None, at + 3
    if course == "1":  # not a course, which has a point: the unit asks for a street address
        extra["address_request"] = True
        course = ""
    fix = Fix(
        time=time,
        valid=column[6] == "A",
        latitude=fields.degrees(latitude_text, 90, negative=south),
        longitude=fields.degrees(longitude_text, 180, negative=west),
        speed_kmh=fields.speed(float(speed) * fields.KMH_PER_KNOT) if speed else None,
        course_deg=fields.course(float(course)) if course else None,
        altitude_m=fields.altitude(float(altitude)) if altitude else None,
    )
    return fix, at + 3


_NORTH_SOUTH = ("N", "S")
_EAST_WEST = ("E", "W")


def _odd_coordinates(column: list[str]) -> tuple[int, str, bool, str, bool]:
    """Return (index behind, latitude, is south, longitude, is west) of the less usual orders.

    A hemisphere stands before or behind its number, or is missing, with or without its comma.
    """
    at = 7
    numbers: list[tuple[str, str]] = []
    for hemispheres in (_NORTH_SOUTH, _EAST_WEST):
        first, second = (*column[at : at + 2], "", "")[:2]
        if first in hemispheres:
            numbers.append((second, first))
            at += 2
        elif second in hemispheres or not second:
            numbers.append((first, second))
            at += 2
        else:
            numbers.append((first, ""))
            at += 1
    (latitude, north_south), (longitude, east_west) = numbers
    return at, latitude, north_south == "S", longitude, east_west == "W"


class _Said(NamedTuple):
    """What a keyword says beyond being one: an alarm with a value, or the ignition."""

    alarm: Alarm | None = None
    ignition: bool | None = None
    status: Status = NO_STATUS


_SILENT = _Said()


def _said(keyword: str) -> _Said:
    ignition = IGNITION.get(keyword)
    if ignition is not None:
        return _Said(None, ignition, Status(ignition=ignition))
    if keyword.startswith("T:"):
        temperature = _number(keyword[2:])
        if temperature is not None:
            return _Said(Alarm.TEMPERATURE, None, Status(temperature_c=temperature))
    elif keyword.startswith("oil"):
        fuel = _percent(keyword[4:]) if keyword[3:4] == " " else None
        return _Said(Alarm.FUEL_LEAK, None, Status(fuel_percent=fuel) if fuel else NO_STATUS)
    return _SILENT


def _status(column: list[str], at: int, keyword: str, said: _Said, extra: dict[str, Any]) -> Status:
    """Return the inputs from column `at` on; a column wins over what the keyword said."""
    ignition = _FLAGS.get(column[at])
    if ignition is None:
        ignition = said.ignition
    elif said.ignition is not None and said.ignition is not ignition:
        extra["ignition_keyword"] = said.ignition
    count = len(column) - at
    fuel, temperature, odometer = said.status.fuel_percent, said.status.temperature_c, None
    if count > 2 and column[at + 2]:
        value = _percent(column[at + 2])
        fuel = value if value is not None else fuel
    if count > 3 and column[at + 3]:
        odometer = _second_tank(column[at + 3], keyword, extra)
    if count > 4 and column[at + 4]:
        value = _number(column[at + 4])
        if value is not None and -100 <= value <= 200:
            temperature = value
    return Status(
        ignition=ignition,
        door_open=_FLAGS.get(column[at + 1]) if count > 1 else None,
        fuel_percent=fuel,
        temperature_c=temperature,
        odometer_km=odometer,
    )


def _second_tank(text: str, keyword: str, extra: dict[str, Any]) -> float | None:
    """Return the odometer in km, if the column behind fuel 1 is one.

    It has four readings: a percentage or a decimal is the second tank, a word a fault code, a whole
    number the distance driven or, with the keyword ``service``, the distance left.
    """
    if "%" in text or "." in text:
        value = _percent(text)
        if value is not None:
            extra["fuel2_percent"] = value
    elif not (text.isascii() and text.isdecimal()):
        extra["dtcs"] = [text]
    elif keyword == "service":
        extra["service_due"] = int(text)
    elif text.strip("0") and len(text) < 8:
        return float(text)
    return None


_LOG_MARKS = ("load", "qt")


def _mark_replay(keyword: str, context: Context, extra: dict[str, Any]) -> None:
    """Follow an upload of the SD card's log: it begins with `load` and ends with `qt`."""
    if keyword in _LOG_MARKS:
        context.replaying = keyword == "load"
    else:
        extra["replayed"] = True


def _note_tag(keyword: str, tag: str, extra: dict[str, Any]) -> None:
    """Keep the free field behind the date: a driver's card, a phone number or a percentage."""
    if keyword == "rfid":
        extra["driver_id"] = tag
    elif tag.endswith("%"):
        value = _percent(tag)
        if value is not None:
            extra["percent"] = value
    else:
        extra["tag"] = tag


def _decode_rare(column: list[str], context: Context) -> Decoded:
    """Decode what is not a position: logins, photo parts, OBD data, and the form that ends in *."""
    device_id = _identity(column[0][5:].rstrip(";*\r\n "), context)
    word = column[1].rstrip("*") if len(column) > 1 else ""
    if not "".join(column[2:]).rstrip("*") and (not word or word in _LOGIN_WORDS):
        return Decoded((_login(device_id, context),), b"LOAD")
    if word == "OBD":
        return Decoded((_obd(column, device_id, context),))
    if word == "vr" and len(column) > 2:
        part = bytes.fromhex(column[2])
        if len(part) < 6:
            raise DecodeError("photo")
        photo = {"index": int.from_bytes(part[:2], "little"), "bytes": len(part) - 6}
        return Decoded((_telemetry(device_id, context, "vr", None, NO_STATUS, {"photo": photo}),))
    if len(column) >= 19 and column[-1] == "*":
        return Decoded((_alternative(column, device_id, context),))
    raise DecodeError("frame")


def _obd(column: list[str], device_id: str, context: Context) -> Report:
    local, odometer, instant, average, hours, speed, load, coolant, throttle, rpm, volt, *dtcs = (
        *column[2:],
        *[""] * 11,
    )
    extra = {
        "fuel_instant": _number(instant),
        "fuel_average": _number(average),
        "engine_hours": _number(hours),
        "engine_load_percent": _percent(load),
        "coolant_c": _number(coolant),
        "throttle_percent": _percent(throttle),
        "dtcs": [code for code in dtcs if code] or None,
    }
    turns = _number(rpm)
    status = Status(
        odometer_km=_number(odometer),
        battery_v=_number(volt),
        obd_speed_kmh=_number(speed),
        rpm=int(turns) if turns is not None else None,
    )
    known = {name: value for name, value in extra.items() if value is not None}
    time = _local_time(local, context, assume_utc=True)
    return _telemetry(device_id, context, "OBD", time, status, known)


def _alternative(column: list[str], device_id: str, context: Context) -> Report:
    """Decode the form with signed decimal degrees, km/h and DDMMYY; runs of ``-`` are blanks."""
    (name, event, sensor, volt, clock, date, rssi, mode, latitude, longitude, speed, course,
     altitude, hdop, satellites, ignition, charge, error) = (
        "" if not text.strip("-") else text for text in column[1:19]
    )  # fmt: skip
    time = fields.utc(date[4:6], date[2:4], date[0:2], clock)
    fix = None
    if latitude and longitude:
        fix = Fix(
            time=time,
            valid=(_number(mode) or 0) > 0,
            latitude=fields.bounded("latitude", latitude, 90),
            longitude=fields.bounded("longitude", longitude, 180),
            speed_kmh=fields.speed(float(speed)) if speed else None,
            course_deg=fields.course(float(course)) if course else None,
            altitude_m=fields.altitude(float(altitude)) if altitude else None,
            hdop=_number(hdop),
            satellites=int(satellites) if satellites else None,
        )
    strength = _number(rssi)
    status = Status(
        ignition=_FLAGS.get(ignition),
        external_power=_FLAGS.get(charge),
        gsm_percent=fields.gsm_percent(strength) if strength is not None else None,
    )
    named = {"name": name, "sensor_id": sensor, "sensor_v": _number(volt), "error": error}
    extra = {key: value for key, value in named.items() if value not in ("", None)}
    return _telemetry(device_id, context, event, time, status, extra, fix)


def _telemetry(
    device_id: str,
    context: Context,
    keyword: str,
    time: datetime | None,
    status: Status,
    extra: dict[str, Any],
    fix: Fix | None = None,
) -> Report:
    return Report(
        device_id=device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=time,
        keyword=keyword,
        fix=fix,
        alarm=ALARMS.get(keyword),
        status=status,
        extra=extra,
    )


def _time(local: str, clock: str, context: Context, extra: dict[str, Any]) -> datetime | None:
    """Return the UTC time of a local date and a UTC clock, and note the offset between them."""
    clock = clock[:6]
    if len(clock) < 6 or not clock.isdecimal():
        return _local_time(local, context, assume_utc=True)
    if not local.isdecimal():
        local = _digits(local)
    try:
        moment = datetime.fromisoformat(f"20{local[:6]}T{clock}Z")
        here = int(local[6:10])
    except ValueError:
        return None
    # Both clocks in minutes: HHMM - 40 * HH.
    offset = here - here // 100 * 40 - moment.hour * 60 - moment.minute
    shift = fields.day_shift(offset, moment, context.received_at, context.utc_offset_minutes)
    extra["utc_offset_min"] = offset - shift * 1440
    return moment + timedelta(days=shift) if shift else moment


def _local_time(local: str, context: Context, *, assume_utc: bool = False) -> datetime | None:
    """Return the UTC time of a local clock alone: None without a known offset, unless assumed UTC.

    The seconds of the local clock are not used: where they can be compared they are wrong.
    """
    offset = context.utc_offset_minutes
    if offset is None:
        if not assume_utc:
            return None
        offset = 0
    digits = _digits(local)
    if len(digits) < 10:
        return None
    moment = fields.utc(digits[0:2], digits[2:4], digits[4:6], digits[6:10] + "00")
    return moment - offset * _MINUTES if moment else None


def _digits(local: str) -> str:
    return local.replace("/", "").replace(":", "").replace(" ", "")


def _number(text: str) -> float | None:
    """Return a plain signed number, None for anything else (blank, a bare sign, a word)."""
    if not text.lstrip("+-").replace(".", "", 1).isdecimal():
        return None
    return float(text)


def _percent(text: str) -> float | None:
    """Return a percentage, with or without its sign, None outside of 0 to 100."""
    value = _number(text.removesuffix("%"))
    return value if value is not None and 0 <= value <= 100 else None


def _identity(text: str, context: Context) -> str:
    if not text.isdecimal() or len(text) > 32:
        raise DecodeError("id", text)
    context.device_id = text
    return text


def _login(device_id: str, context: Context) -> Message:
    return Login(device_id=device_id, protocol=NAME, received_at=context.received_at)


PROTOCOL = WireProtocol(
    name=NAME, claim=claim, cut=delimited(b";", b"*", b"\n"), decode=decode, bare_datagram=True
)
