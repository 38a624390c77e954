"""A tracker that speaks gps103 (Coban), seen from its own side.

    ##,imei:ID,A;                                                            login, until LOAD
    ID;                                                                      heartbeat, wants ON
    imei:ID,WORD,LOCAL,,F,UTC,A,LAT,N,LON,E,KNOTS,COURSE,ALT,IGN,DOOR,FUEL%,,;
    imei:ID,WORD,LOCAL,,L,,,LAC,,CID,,,,,IGN,DOOR,FUEL%,,;                   without a fix

LOCAL is the box's own clock, UTC the GPS clock. Commands are ``**,imei:ID,COMMAND[,ARGUMENT]`` with
or without ``;``, in letters or in numbers; their answers are reports with a word of their own.
Grammar and tables: docs/protocols.md, sections "gps103" and "commands".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, KMH_PER_KNOT, Language, Said, degrees_minutes
from bridge.simulator.tracker import SAFE_CUT_KMH, Dialect, Happening, SimulatedTracker, Wish

_PICTURE = bytes.fromhex("0000 0000 ffd8ffd9 0000").hex()
"""The one part of a photo: its index, two unknown bytes, the picture, a checksum."""
_LAC, _CID = "1a2b", "3c4d"
_DTC = "P0420"
_UPLOAD = ("load", "qt")
_LONGEST_INTERVAL_S = 24 * 3600

_ALARM_KEYWORDS = {
    Alarm.SOS: "help me",
    Alarm.LOW_BATTERY: "low battery",
    Alarm.GEOFENCE: "stockade",
    Alarm.MOVEMENT: "move",
    Alarm.OVERSPEED: "speed",
    Alarm.DOOR: "door alarm",
    Alarm.POWER_CUT: "ac alarm",
    Alarm.ACCIDENT: "accident alarm",
    Alarm.VIBRATION: "sensor alarm",
    Alarm.BONNET: "bonnet alarm",
    Alarm.FOOT_BRAKE: "footbrake alarm",
    Alarm.FAULT: "DTC",
    Alarm.TEMPERATURE: "T:+65.0",
    Alarm.FUEL_LEAK: "oil 12.50",
}


def _login(tracker: SimulatedTracker) -> tuple[Said, ...]:
    return (Said(f"##,imei:{tracker.device_id},A;".encode(), b"LOAD"),)


def _heartbeat(tracker: SimulatedTracker) -> Said:
    return Said(f"{tracker.device_id};".encode(), b"ON")


def _report(tracker: SimulatedTracker, keyword: str) -> bytes:
    if keyword == INTERVAL:
        keyword = "001" if tracker.dialect is Dialect.NUMBERS else "tracker"
    head = f"imei:{tracker.device_id},{keyword},{tracker.local_time:%y%m%d%H%M%S},"
    inputs = f"{tracker.ignition:d},{tracker.door_open:d},{_fuel_columns(tracker, keyword)}"
    if not tracker.has_fix:
        return f"{head},L,,,{_LAC},,{_CID},,,,,{inputs},;".encode()
    place = tracker.place
    latitude = degrees_minutes(place.latitude, 2) + (",N" if place.latitude >= 0 else ",S")
    longitude = degrees_minutes(place.longitude, 3) + (",E" if place.longitude >= 0 else ",W")
    motion = f"{place.speed_kmh / KMH_PER_KNOT:.2f},{place.course_deg:.2f},{place.altitude_m:.1f}"
    fix = f"F,{tracker.time:%H%M%S}.000,A,{latitude},{longitude},{motion}"
    return f"{head},{fix},{inputs},;".encode()


def _fuel_columns(tracker: SimulatedTracker, keyword: str) -> str:
    """FUEL1 and FUEL2; a leak has its level in the keyword, a fault its code in FUEL2."""
    if keyword.startswith("oil"):
        return ","
    return f"{tracker.fuel_percent:.2f}%,{_DTC if keyword == 'DTC' else ''}"


def _happened(tracker: SimulatedTracker, happening: Happening) -> list[bytes]:
    keyword = {
        Happening.IGNITION_ON: "acc on",
        Happening.IGNITION_OFF: "acc off",
        Happening.ENGINE_CUT: "109" if tracker.heard_number else "jt",
    }.get(happening)
    return [_report(tracker, keyword)] if keyword else []


_PHRASE = re.compile(rb"LOAD|ON|\*\*,imei:\d+,[^;\r\n]+?(?=;|\*\*|LOAD|ON|[\r\n]|\Z)")
_LONGEST_OPENING = 64


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """A command without ``;`` ends where the read ends, as the box has no other sign of its end."""
    phrases, end = [], 0
    for found in _PHRASE.finditer(data):
        phrases.append(found[0])
        end = found.end()
    return phrases, data[end:][-_LONGEST_OPENING:]


# What commands do: True: done; False: refused or postponed. ValueError: an argument nobody gets.


def _nothing(_tracker: SimulatedTracker, _argument: str) -> bool:
    """What it sets, the simulated car never comes to use."""
    return True


def _set_interval(tracker: SimulatedTracker, argument: str) -> bool:
    seconds = int(argument[:-1]) * {"s": 1, "m": 60, "h": 3600}.get(argument[-1:], 0)
    if not 0 < seconds <= _LONGEST_INTERVAL_S:
        raise ValueError(argument)
    tracker.interval_s = float(seconds)
    return True


def _stop_interval(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.interval_s = None
    return True


def _cancel_alarms(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.alarms.clear()
    return True


def _set_speed_limit(tracker: SimulatedTracker, argument: str) -> bool:
    limit = int(argument)
    if not 0 < limit < 1000:
        raise ValueError(argument)
    tracker.speed_limit_kmh = float(limit)
    return True


def _set_time_zone(tracker: SimulatedTracker, argument: str) -> bool:
    hours = float(argument)
    if not -12 <= hours <= 14:
        raise ValueError(argument)
    tracker.utc_offset_minutes = round(hours * 60)
    return True


def _cut_engine(tracker: SimulatedTracker, _argument: str) -> bool:
    if tracker.place.speed_kmh > SAFE_CUT_KMH:
        tracker.cut_postponed = True
        return False
    tracker.cut_engine()
    return True


def _resume_engine(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.resume_engine()
    return True


def _arm(tracker: SimulatedTracker, _argument: str) -> bool:
    if tracker.ignition:
        return False
    tracker.armed = True
    return True


def _disarm(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.armed = False
    return True


def _leave_gprs(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.wish = Wish.LEAVE
    return True


def _sleep_when_parked(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.sleeps_when_parked = True
    return True


def _stay_awake(tracker: SimulatedTracker, _argument: str) -> bool:
    tracker.sleeps_when_parked = False
    return True


class _Command(NamedTuple):
    """A row: both names, what is answered when it is done and when not (letters, numbers)."""

    letter: str
    number: str
    done: tuple[str, str]
    act: Callable[[SimulatedTracker, str], bool]
    not_done: tuple[str, str] = ("", "")


_PHOTO = _Command("V", "160", ("vt01", "vt01"), _nothing)
_UPLOAD_DAY = _Command("Q", "116", (_UPLOAD[1], "116"), _nothing)

# ft, pt, st, tt, xt and ut are formed after the others; nobody has published them.
_COMMANDS = (
    _Command("A", "", ("", ""), _nothing),
    _Command("B", "100", ("tracker", "001"), _nothing),
    _Command("C", "101", ("tracker", "001"), _set_interval),
    _Command("D", "102", ("dt", "102"), _stop_interval),
    _Command("E", "104", ("et", "104"), _cancel_alarms),
    _Command("F", "103", ("ft", "001"), _nothing),
    _Command("G", "105", ("gt", "105"), _nothing),
    _Command("", "106", ("", "106"), _nothing),
    _Command("H", "107", ("ht", "107"), _set_speed_limit),
    _Command("I", "108", ("it", "108"), _set_time_zone),
    _Command("J", "109", ("jt", "109"), _cut_engine, ("", "509")),
    _Command("K", "110", ("kt", "110"), _resume_engine),
    _Command("L", "111", ("lt", "111"), _arm, ("lf", "511")),
    _Command("M", "112", ("mt", "112"), _disarm),
    _Command("N", "113", ("nt", "113"), _leave_gprs),
    _Command("O", "114", ("ot", "114"), _nothing),
    _Command("P", "115", ("pt", "115"), _nothing),
    _UPLOAD_DAY,
    _Command("S", "117", ("st", "117"), _nothing),
    _Command("T", "118", ("tt", "118"), _sleep_when_parked),
    _Command("X", "119", ("xt", "119"), _stay_awake),
    _Command("U", "120", ("ut", "120"), _nothing),
    _PHOTO,
    _Command("", "121", ("", "121"), _nothing),
    _Command("", "123", ("", "123"), _nothing),
    _Command("", "124", ("", "124"), _nothing),
)
_LETTERS = {row.letter: row for row in _COMMANDS if row.letter}
_NUMBERS = {row.number: row for row in _COMMANDS if row.number}


def _obey(tracker: SimulatedTracker, phrase: bytes) -> list[bytes] | None:
    opening = f"**,imei:{tracker.device_id},"
    text = phrase.decode("latin-1")
    if not text.startswith(opening):
        return None
    name, _, argument = text.removeprefix(opening).partition(",")
    number = name in _NUMBERS
    deaf_to = Dialect.LETTERS if number else Dialect.NUMBERS
    row = _NUMBERS.get(name) or _LETTERS.get(name)
    if row is None or tracker.dialect is deaf_to:
        return None
    try:
        done = not tracker.refuses and row.act(tracker, argument)
    except ValueError:
        return None
    tracker.heard_number = number
    keyword = (row.done if done else row.not_done)[number]
    answers = [_report(tracker, keyword)] if keyword else []
    if row is _PHOTO and done:
        return [*answers, f"imei:{tracker.device_id},vr,{_PICTURE};".encode()]
    if row is not _UPLOAD_DAY or not done:
        return answers
    opening_words = [] if number else [_report(tracker, _UPLOAD[0])]
    return [*opening_words, *_stored(tracker, argument), *answers]


def _stored(tracker: SimulatedTracker, day: str) -> list[bytes]:
    """Return the reports on the card of a local day ``yyyymmdd``."""
    return [frame for made_on, frame in tracker.log if f"{made_on:%Y%m%d}" == day]


LANGUAGE = Language(
    name="gps103",
    device_id="864000000000101",
    id_digits=(15,),
    alarm_keywords=_ALARM_KEYWORDS,
    repeats_alarms=True,
    upload_keywords=_UPLOAD,
    login=_login,
    heartbeat=_heartbeat,
    report=_report,
    happened=_happened,
    split=_split,
    obey=_obey,
)
