"""A tracker that speaks gt06, seen from its own side.

    78 78  LENGTH  KIND  BODY  SERIAL(2)  CRC(2)  0D 0A        LENGTH counts KIND to CRC

    01  ID(8) MODEL(2) ZONE(2)                        login, wants 01 with the same serial
    13  STATE(5)                                      heartbeat, wants 13 with the same serial
    12  GPS(18) CELL(8)                               position
    22  GPS(18) CELL(8) ACC REASON LATE               position with more to say
    16  GPS(18) 09 CELL(8) STATE(5)                   alarm
    15  SIZE MARK(4) TEXT LANGUAGE(2)                 answer to a command in 80, with its mark

    GPS    yy mm dd HH MM SS, 12 << 4 | satellites, LATITUDE(4) LONGITUDE(4) KM/H COURSE(2)
    STATE  FLAGS BATTERY(0-6) SIGNAL(0-4) ALARM LANGUAGE

Every frame has the next serial number, and nearly every one is confirmed with it. Only the login
says who and in which zone: times are the box's own clock. Without a fix the last known place is
repeated and a flag is missing. Commands are texts with a ``#``. Grammar and tables:
docs/protocols.md, section "gt06".
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, Language, Said
from bridge.simulator.tracker import SAFE_CUT_KMH, Happening, SimulatedTracker

_OPENING, _LONG_OPENING, _CLOSING = b"\x78\x78", b"\x79\x79", b"\r\n"
_LOGIN, _GPS_LBS, _HEARTBEAT, _ANSWER, _ALARM, _GPS_LBS_MORE, _COMMAND = (
    0x01, 0x12, 0x13, 0x15, 0x16, 0x22, 0x80,
)  # fmt: skip

_MODEL = bytes.fromhex("0701")
_ENGLISH = 2
_WEST_OF_GREENWICH = 8

_UNITS_A_DEGREE = 1_800_000
_SATELLITES = 0xC0 | 9
_NORTH, _WEST, _LOCKED, _ACC_TOLD, _ACC_ON = (1 << bit for bit in (10, 11, 12, 14, 15))
_PLACE = struct.Struct(">B2IBH")
_FASTEST_KMH = 255
_CELL = struct.pack(">HBHBH", 262, 1, 0x1A2B, 0, 0x3C4D)
_CELL_SIZE = bytes((1 + len(_CELL),))

_ARMED, _IGNITION, _CHARGING, _TRACKING, _CUT = (1 << bit for bit in (0, 1, 2, 6, 7))
_FULL = 6
_SIGNAL = 3

_ALARM_KEYWORDS = {
    Alarm.SOS: "01",
    Alarm.POWER_CUT: "02",
    Alarm.VIBRATION: "03",
    Alarm.GEOFENCE_ENTER: "04",
    Alarm.GEOFENCE_EXIT: "05",
    Alarm.OVERSPEED: "06",
    Alarm.TAMPERING: "13",
    Alarm.DOOR: "14",
    Alarm.REMOVING: "18",
    Alarm.LOW_BATTERY: "19",
    Alarm.FALL_DOWN: "23",
    Alarm.HARD_ACCELERATION: "29",
    Alarm.HARD_CORNERING: "2a",
    Alarm.ACCIDENT: "2c",
    Alarm.HARD_BRAKING: "27",
    Alarm.POWER_OFF: "11",
    Alarm.IDLE: "c9",
}
"""The word of an alarm is its code."""

_IGNITION_CHANGED = "22"
_BY_INTERVAL, _BY_ACC = 0, 3


def _crc(data: bytes) -> bytes:
    """CRC-16/X-25, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2)


def _frame(kind: int, serial: int, body: bytes = b"") -> bytes:
    inner = bytes((len(body) + 5, kind)) + body + (serial & 0xFFFF).to_bytes(2)
    return _OPENING + inner + _crc(inner) + _CLOSING


def _login(tracker: SimulatedTracker) -> tuple[Said, ...]:
    serial = tracker.next_number()
    hours, minutes = divmod(abs(tracker.utc_offset_minutes), 60)
    side = _WEST_OF_GREENWICH if tracker.utc_offset_minutes < 0 else 0
    zone = (hours * 100 + minutes) << 4 | side | _ENGLISH
    body = bytes.fromhex(tracker.device_id.zfill(16)) + _MODEL + zone.to_bytes(2)
    return (Said(_frame(_LOGIN, serial, body), _frame(_LOGIN, serial)),)


def _heartbeat(tracker: SimulatedTracker) -> Said:
    serial = tracker.next_number()
    return Said(_frame(_HEARTBEAT, serial, _state(tracker, 0)), _frame(_HEARTBEAT, serial))


def _report(tracker: SimulatedTracker, keyword: str) -> bytes:
    serial = tracker.next_number()
    gps = _gps(tracker)
    if keyword not in {INTERVAL, _IGNITION_CHANGED}:
        body = gps + _CELL_SIZE + _CELL + _state(tracker, int(keyword, 16))
        return _frame(_ALARM, serial, body)
    if keyword == INTERVAL and not tracker.storing:
        return _frame(_GPS_LBS, serial, gps + _CELL)
    reason = _BY_ACC if keyword == _IGNITION_CHANGED else _BY_INTERVAL
    more = bytes((tracker.ignition, reason, tracker.storing))
    return _frame(_GPS_LBS_MORE, serial, gps + _CELL + more)


def _gps(tracker: SimulatedTracker) -> bytes:
    place = tracker.place if tracker.has_fix else tracker.last_seen
    at = tracker.local_time
    flags = (
        round(place.course_deg) % 360
        + _NORTH * (place.latitude >= 0)
        + _WEST * (place.longitude < 0)
        + _LOCKED * tracker.has_fix
        + _ACC_TOLD
        + _ACC_ON * tracker.ignition
    )
    return bytes((at.year % 100, at.month, at.day, at.hour, at.minute, at.second)) + _PLACE.pack(
        _SATELLITES,
        round(abs(place.latitude) * _UNITS_A_DEGREE),
        round(abs(place.longitude) * _UNITS_A_DEGREE),
        min(round(place.speed_kmh), _FASTEST_KMH),
        flags,
    )


def _state(tracker: SimulatedTracker, alarm: int) -> bytes:
    flags = (
        _ARMED * tracker.armed
        + _IGNITION * tracker.ignition
        + _CHARGING * tracker.external_power
        + _TRACKING * tracker.has_fix
        + _CUT * tracker.engine_cut
    )
    battery = round(tracker.battery_percent * _FULL / 100)
    return bytes((flags, battery, _SIGNAL, alarm, _ENGLISH))


def _happened(tracker: SimulatedTracker, happening: Happening) -> list[bytes]:
    """A change of the ignition is worth a position that says why."""
    if happening in {Happening.IGNITION_ON, Happening.IGNITION_OFF}:
        return [_report(tracker, _IGNITION_CHANGED)]
    return []


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut by length; bytes that begin no frame, and frames that do not end as such, are skipped."""
    phrases, at = [], 0
    while at < len(data):
        opening = data[at : at + 2]
        if not (_OPENING.startswith(opening) or _LONG_OPENING.startswith(opening)):
            at += 1
            continue
        size_bytes = 2 if opening == _LONG_OPENING else 1
        size = data[at + 2 : at + 2 + size_bytes]
        end = at + 2 + size_bytes + int.from_bytes(size) + len(_CLOSING)
        if len(size) < size_bytes or end > len(data):
            break
        if data[end - 2 : end] == _CLOSING:
            phrases.append(data[at:end])
            at = end
        else:
            at += 1
    return phrases, data[at:]


def _is_sealed(phrase: bytes) -> bool:
    return _crc(phrase[2:-4]) == phrase[-4:-2]


def _confirms(_tracker: SimulatedTracker, phrase: bytes) -> bool:
    """Whether this is the answer to a position or an alarm: its kind and a serial number."""
    positions = (_GPS_LBS, _GPS_LBS_MORE, _ALARM)
    return len(phrase) == 10 and phrase[3] in positions and _is_sealed(phrase)


# What commands do; each returns its answer.


def _cut_engine(tracker: SimulatedTracker) -> str:
    if not tracker.has_fix:
        return "Unvalued Fix"
    if tracker.place.speed_kmh > SAFE_CUT_KMH:
        return f"Speed Limit, Speed {tracker.place.speed_kmh:.0f}km/h"
    tracker.cut_engine()
    return "Success!"


def _resume_engine(tracker: SimulatedTracker) -> str:
    tracker.resume_engine()
    return "Success!"


def _tell_state(tracker: SimulatedTracker) -> str:
    fix = "Successful positioning" if tracker.has_fix else "Searching satellite"
    return f"Battery:{tracker.battery_percent:.0f}%; GPRS:Link Up; GPS:{fix}"


def _act(tracker: SimulatedTracker, text: str) -> Callable[[SimulatedTracker], str] | None:
    return {
        "Relay,1#": _cut_engine,
        "Relay,0#": _resume_engine,
        f"DYD,{tracker.password}#": _cut_engine,
        f"HFYD,{tracker.password}#": _resume_engine,
        "STATUS#": _tell_state,
    }.get(text)


def _obey(tracker: SimulatedTracker, phrase: bytes) -> list[bytes] | None:
    """A command names no box: the connection is one box's. What follows its text is skipped."""
    if phrase[:2] != _OPENING or len(phrase) < 15 or phrase[3] != _COMMAND:
        return None
    size, mark = phrase[4], phrase[5:9]
    text = phrase[9 : min(5 + size, len(phrase) - 6)].decode("latin-1")
    act = _act(tracker, text)
    if act is None or not _is_sealed(phrase):
        return None
    result = "Fail!" if tracker.refuses else act(tracker)
    said = f"{text.rstrip('#').partition(',')[0]}={result}".encode()
    body = bytes((len(mark) + len(said),)) + mark + said + bytes((0, _ENGLISH))
    return [_frame(_ANSWER, tracker.next_number(), body)]


LANGUAGE = Language(
    name="gt06",
    device_id="864000000000106",
    id_digits=(15,),
    alarm_keywords=_ALARM_KEYWORDS,
    repeats_alarms=False,
    upload_keywords=None,
    login=_login,
    heartbeat=_heartbeat,
    report=_report,
    happened=_happened,
    split=_split,
    obey=_obey,
    confirms=_confirms,
)
