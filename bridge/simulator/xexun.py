"""A tracker that speaks xexun, seen from its own side.

    SERIAL,PHONE,GPRMC,UTC.000,A,LAT,N,LON,E,KNOTS,COURSE,DDMMYY,,,A*CS,F,[WORD,] imei:ID,TAIL
    ,PHONE,,L,[WORD,] imei:ID,,,TAIL                                       without a fix

    TAIL:  SATELLITES,ALTITUDE,F:VOLTV,CHARGE,LEN,CRC,MCC,MNC,LAC,CID      then LF CR

SERIAL is the box's own clock, RMC's the GPS clock. There is no login and no heartbeat, nothing is
confirmed, so an alarm is sent once. Of the car's inputs only a change of the ignition is told, by
its word. Commands are words with a password, without an end, and are done without a word. Grammar
and tables: docs/protocols.md, section "xexun".
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from functools import reduce
from operator import xor

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, KMH_PER_KNOT, Language, Said, degrees_minutes
from bridge.simulator.tracker import Happening, SimulatedTracker

_PHONE = "+15550100103"
_SATELLITES = "08"
_CELL = "262,01,1A2B,3C4D"
_LINE_END = "\n\r"

_ALARM_KEYWORDS = {
    Alarm.SOS: "help me!",
    Alarm.LOW_BATTERY: "low battery",
    Alarm.MOVEMENT: "move!",
}
_IGNITION_WORDS = {Happening.IGNITION_ON: "acc on", Happening.IGNITION_OFF: "acc off"}


def _login(_tracker: SimulatedTracker) -> tuple[Said, ...]:
    return ()


def _report(tracker: SimulatedTracker, keyword: str) -> bytes:
    word = "" if keyword == INTERVAL else f"{keyword},"
    named = f"{word} imei:{tracker.device_id}"
    if tracker.has_fix:
        serial = f"{tracker.local_time:%y%m%d%H%M%S}"
        altitude = f"{tracker.place.altitude_m:.1f}"
        head = f"{serial},{_PHONE},{_sentence(tracker)},F,{named},{_SATELLITES},{altitude}"
    else:
        head = f",{_PHONE},,L,{named},,"
    head = f"{head},F:{_volts(tracker):.2f}V,{tracker.external_power:d},"
    # LEN counts what stands before it. How the box computes CRC is not known; nobody checks it.
    return f"{head}{len(head)},{crc_hqx(head.encode(), 0)},{_CELL}{_LINE_END}".encode()


def _sentence(tracker: SimulatedTracker) -> str:
    """Return NMEA's RMC without its ``$``, checksum included."""
    place, time = tracker.place, tracker.time
    latitude = degrees_minutes(place.latitude, 2) + (",N" if place.latitude >= 0 else ",S")
    longitude = degrees_minutes(place.longitude, 3) + (",E" if place.longitude >= 0 else ",W")
    motion = f"{place.speed_kmh / KMH_PER_KNOT:.2f},{place.course_deg:.2f}"
    sentence = f"GPRMC,{time:%H%M%S}.000,A,{latitude},{longitude},{motion},{time:%d%m%y},,,A"
    return f"{sentence}*{reduce(xor, sentence.encode()):02X}"


def _volts(tracker: SimulatedTracker) -> float:
    """Return what a lithium cell has at a level of charge."""
    return 3.4 + 0.008 * tracker.battery_percent


def _happened(tracker: SimulatedTracker, happening: Happening) -> list[bytes]:
    word = _IGNITION_WORDS.get(happening)
    return [_report(tracker, word)] if word else []


_PHRASE = re.compile(rb"powercar\d{6} \d\d")
_LONGEST_OPENING = 16


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    phrases, end = [], 0
    for found in _PHRASE.finditer(data):
        phrases.append(found[0])
        end = found.end()
    return phrases, data[end:][-_LONGEST_OPENING:]


def _obey(tracker: SimulatedTracker, phrase: bytes) -> list[bytes] | None:
    act = {
        f"powercar{tracker.password} 11": tracker.cut_engine,
        f"powercar{tracker.password} 00": tracker.resume_engine,
    }.get(phrase.decode("latin-1"))
    if act is None:
        return None
    if not tracker.refuses:
        act()
    return []


LANGUAGE = Language(
    name="xexun",
    device_id="864000000000104",
    id_digits=(15,),
    alarm_keywords=_ALARM_KEYWORDS,
    repeats_alarms=False,
    upload_keywords=None,
    login=_login,
    heartbeat=None,
    report=_report,
    happened=_happened,
    split=_split,
    obey=_obey,
)
