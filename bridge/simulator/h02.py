"""A tracker that speaks h02, seen from its own side.

    *HQ,ID,V1,UTC,A,LAT,N,LON,E,KNOTS,COURSE,DDMMYY,STATUS8,MCC,MNC,LAC,CID#
    *HQ,ID,V0#  *HQ,ID,HTBT,BATTERY%#                   heartbeat, wants the echo *HQ,ID,TYPE#
    *HQ,ID,V4,WORD,DONE,HHMMSS,<V1's body>#             answer to a command, with its HHMMSS

    `$` ID HHMMSS DDMMYY ddmmmmmm BATTERY dddmmmmmm F KKKCCC STATUS8 ...           binary record

There is no login. V1 is confirmed: ``*HQ,ID,V4,V1,yyyyMMddHHmmss#``. Without a fix V stands for A
and the last known place is repeated. In STATUS8 a zero is an alarm, an open door, arming or the cut
engine, a one is the ignition; an alarm that has no end, as a cut of power, stays in it. An id of 15
digits beats with HTBT and has records of 42 bytes, one of 10 beats with V0 and has 45. Commands are
``*HQ,ID,WORD,HHMMSS,ARGUMENTS#``. Grammar and tables: docs/protocols.md, section "h02".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, KMH_PER_KNOT, Language, Said, degrees_minutes
from bridge.simulator.tracker import Happening, SimulatedTracker

_CELL = "262,01,6699,15437"
_LONG_ID = 15

_ALARM_KEYWORDS = {
    Alarm.VIBRATION: "FFFFFFFE",
    Alarm.SOS: "FFFFFFFD",
    Alarm.OVERSPEED: "FFFFFFFB",
    Alarm.POWER_CUT: "FFF7FFFF",
}
"""The word of an alarm is the status word with its bit at 0."""

_CALM = 0xFFFFFFFF
_DOOR_SHUT, _DISARMED, _IGNITION, _ENGINE_ON = (1 << bit for bit in (8, 9, 10, 27))

_VALID, _NORTH, _EAST = 2, 4, 8
_MOST_KNOTS = 999


def _opening(tracker: SimulatedTracker, kind: str) -> str:
    return f"*HQ,{tracker.device_id},{kind}"


def _login(_tracker: SimulatedTracker) -> tuple[Said, ...]:
    return ()


def _heartbeat(tracker: SimulatedTracker) -> Said:
    if len(tracker.device_id) == _LONG_ID:
        echo = _opening(tracker, "HTBT")
        return Said(f"{echo},{tracker.battery_percent:.0f}#".encode(), f"{echo}#".encode())
    frame = f"{_opening(tracker, 'V0')}#".encode()
    return Said(frame, frame)


def _report(tracker: SimulatedTracker, keyword: str) -> bytes:
    number = tracker.next_number()
    word = _status(tracker, keyword)
    if tracker.binary_every and number % tracker.binary_every == 0:
        return _record(tracker, word, number)
    return f"{_opening(tracker, 'V1')},{_body(tracker, word)}#".encode()


def _status(tracker: SimulatedTracker, keyword: str) -> int:
    word = _CALM if keyword == INTERVAL else int(keyword, 16)
    if not tracker.external_power:
        word &= int(_ALARM_KEYWORDS[Alarm.POWER_CUT], 16)
    for bit, one in (
        (_DOOR_SHUT, not tracker.door_open),
        (_DISARMED, not tracker.armed),
        (_IGNITION, tracker.ignition),
        (_ENGINE_ON, not tracker.engine_cut),
    ):
        word &= _CALM if one else ~bit
    return word


def _body(tracker: SimulatedTracker, word: int) -> str:
    """Return the columns of a position."""
    place = tracker.place if tracker.has_fix else tracker.last_seen
    fields = (
        f"{tracker.time:%H%M%S}",
        "A" if tracker.has_fix else "V",
        degrees_minutes(place.latitude, 2),
        "N" if place.latitude >= 0 else "S",
        degrees_minutes(place.longitude, 3),
        "E" if place.longitude >= 0 else "W",
        f"{place.speed_kmh / KMH_PER_KNOT:06.2f}",
        f"{round(place.course_deg) % 360:03d}",
        f"{tracker.time:%d%m%y}",
        f"{word:08X}",
        _CELL,
    )
    return ",".join(fields)


def _record(tracker: SimulatedTracker, word: int, number: int) -> bytes:
    """Return the same as packed digits, and behind them what is not known but for the counter."""
    place = tracker.place if tracker.has_fix else tracker.last_seen
    long = len(tracker.device_id) == _LONG_ID
    flags = (
        _VALID * tracker.has_fix + _NORTH * (place.latitude >= 0) + _EAST * (place.longitude >= 0)
    )
    knots = min(round(place.speed_kmh / KMH_PER_KNOT), _MOST_KNOTS)
    digits = (
        tracker.device_id + ("0" if long else ""),
        f"{tracker.time:%H%M%S%d%m%y}",
        degrees_minutes(place.latitude, 2).replace(".", ""),
        f"{round(tracker.battery_percent):02X}",
        degrees_minutes(place.longitude, 3).replace(".", ""),
        f"{flags:X}",
        f"{knots:03d}{round(place.course_deg) % 360:03d}",
        f"{word:08X}",
    )
    tail = bytes(9 if long else 15) + bytes((number & 0xFF,))
    return b"$" + bytes.fromhex("".join(digits)) + tail


def _happened(tracker: SimulatedTracker, happening: Happening) -> list[bytes]:
    """The inputs stand in STATUS8: a change of the ignition is worth a report out of turn."""
    if happening in {Happening.IGNITION_ON, Happening.IGNITION_OFF}:
        return [_report(tracker, INTERVAL)]
    return []


_PHRASE = re.compile(rb"\*[^*#]*#")
_LONGEST_OPENING = 128


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    end = data.rfind(b"#") + 1
    return _PHRASE.findall(data), data[end:][-_LONGEST_OPENING:]


def _confirms(tracker: SimulatedTracker, phrase: bytes) -> bool:
    return phrase.startswith(f"{_opening(tracker, 'V4')},V1,".encode())


# What commands do. ValueError: arguments nobody understands.


def _switch_engine(tracker: SimulatedTracker, arguments: list[str]) -> None:
    match arguments:
        case ["1", "1"]:
            tracker.cut_engine()
        case ["1", "0"]:
            tracker.resume_engine()
        case _:
            raise ValueError(arguments)


def _switch_arming(tracker: SimulatedTracker, arguments: list[str]) -> None:
    if arguments not in (["0", "0"], ["1", "1"]):
        raise ValueError(arguments)
    tracker.armed = arguments == ["0", "0"]


def _set_interval(tracker: SimulatedTracker, arguments: list[str]) -> None:
    seconds = int(arguments[-1])
    if seconds <= 0 or arguments[:-1] not in ([], ["22"]):
        raise ValueError(arguments)
    tracker.interval_s = float(seconds)


_COMMANDS: dict[str, Callable[[SimulatedTracker, list[str]], None]] = {
    "S20": _switch_engine,
    "SCF": _switch_arming,
    "S71": _set_interval,
    "D1": _set_interval,
}


def _obey(tracker: SimulatedTracker, phrase: bytes) -> list[bytes] | None:
    opening, *column = phrase.decode("latin-1").removesuffix("#").split(",")
    if opening != "*HQ" or column[:1] != [tracker.device_id] or len(column) < 4:
        return None
    _, name, clock, *arguments = column
    act = _COMMANDS.get(name)
    if act is None:
        return None
    try:
        if not tracker.refuses:
            act(tracker, arguments)
    except ValueError:
        return None
    said = "ERROR" if tracker.refuses else "DONE"
    body = _body(tracker, _status(tracker, INTERVAL))
    return [f"{_opening(tracker, 'V4')},{name},{said},{clock},{body}#".encode()]


LANGUAGE = Language(
    name="h02",
    device_id="8640000105",
    id_digits=(10, 15),
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
