"""A tracker that speaks tk103 (parentheses), seen from its own side.

    (ID12BP00DIGITSHSO)                      handshake and heartbeat, wants (ID12AP01HSO)
    (ID12BP05DIGITS<position>)               login with a position, wants (ID12AP05)
    (ID12WORD<position>)                     BR00 interval, BP04 asked for, BO01<n> and BQ81 alarms
    (ID12,ZCxx,DDMMYY,V,LATNS,LONEW,KMH,HHMMSS,COURSE,STATUS8,LODO8)      alarms of no other word
    (ID12,ZC03,DDMMYY,HHMMSS,$text$)         answer in words

<position> is ``YYMMDD V LAT NS LON EW KMH HHMMSS COURSE STATUS8 L ODO8`` without separators.
Without a fix V stands for A and the last known place is repeated. An alarm has no acknowledgement,
so it is sent once. Grammar and tables: docs/protocols.md, sections "tk103" and "commands".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, Language, Said, degrees_minutes
from bridge.simulator.tracker import Happening, SimulatedTracker, Wish

_INTERVAL_WORD = "BR00"
_VERSION = "Notice: Device version: simulated 1.0"
_COMMA_STYLE = "ZC"
_MAX_KMH = 999.9

_ALARM_KEYWORDS = {
    Alarm.ACCIDENT: "BO011",
    Alarm.SOS: "BO012",
    Alarm.VIBRATION: "BO013",
    Alarm.LOW_SPEED: "BO014",
    Alarm.OVERSPEED: "BO015",
    Alarm.GEOFENCE_EXIT: "BO016",
    Alarm.LOW_BATTERY: "BQ81,ALARM,0,164,",
    Alarm.IDLE: "BQ81,ALARM,2,164,",
    Alarm.HARD_ACCELERATION: "BQ81,ALARM,3,164,",
    Alarm.HARD_BRAKING: "BQ81,ALARM,4,164,",
    Alarm.TEMPERATURE: "BQ81,ALARM,5,164,",
    Alarm.MOVEMENT: "ZC11",
    Alarm.POWER_CUT: "ZC13",
    Alarm.REMOVING: "ZC17",
    Alarm.TAMPERING: "ZC26",
    Alarm.LOW_POWER: "ZC27",
}


def _id12(tracker: SimulatedTracker) -> str:
    """The identity on the wire: of an IMEI the last 11 digits behind a zero."""
    device_id = tracker.device_id
    return device_id if len(device_id) == 12 else f"0{device_id[-11:]}"


def _digits15(tracker: SimulatedTracker) -> str:
    return tracker.device_id.rjust(15, "0")


def _login(tracker: SimulatedTracker) -> tuple[Said, ...]:
    frame = _fixed(tracker, f"BP05{_digits15(tracker)}")
    return _heartbeat(tracker), Said(frame, f"({_id12(tracker)}AP05)".encode())


def _heartbeat(tracker: SimulatedTracker) -> Said:
    id12 = _id12(tracker)
    return Said(f"({id12}BP00{_digits15(tracker)}HSO)".encode(), f"({id12}AP01HSO)".encode())


def _report(tracker: SimulatedTracker, keyword: str) -> bytes:
    if keyword.startswith(_COMMA_STYLE):
        return _comma(tracker, keyword)
    return _fixed(tracker, keyword if keyword != INTERVAL else _INTERVAL_WORD)


def _fixed(tracker: SimulatedTracker, opening: str) -> bytes:
    """A frame without separators; `opening` is its command with what stands before the position."""
    validity, latitude, longitude = _where(tracker)
    return (
        f"({_id12(tracker)}{opening}{tracker.time:%y%m%d}{validity}{latitude}{longitude}"
        f"{_speed(tracker):05.1f}{tracker.time:%H%M%S}{tracker.place.course_deg:06.2f}"
        f"{_status(tracker)}L{_odometer(tracker)})"
    ).encode()


def _comma(tracker: SimulatedTracker, keyword: str) -> bytes:
    """The same with commas and the date the other way round."""
    fields = (
        _id12(tracker),
        keyword,
        f"{tracker.time:%d%m%y}",
        *_where(tracker),
        f"{_speed(tracker):.2f}",
        f"{tracker.time:%H%M%S}",
        f"{tracker.place.course_deg:.2f}",
        _status(tracker),
        f"L{_odometer(tracker)}",
    )
    return f"({','.join(fields)})".encode()


def _where(tracker: SimulatedTracker) -> tuple[str, str, str]:
    """Validity, latitude and longitude."""
    place = tracker.place if tracker.has_fix else tracker.last_seen
    return (
        "A" if tracker.has_fix else "V",
        degrees_minutes(place.latitude, 2) + ("N" if place.latitude >= 0 else "S"),
        degrees_minutes(place.longitude, 3) + ("E" if place.longitude >= 0 else "W"),
    )


def _speed(tracker: SimulatedTracker) -> float:
    return min(tracker.place.speed_kmh, _MAX_KMH)


def _status(tracker: SimulatedTracker) -> str:
    """Main power lost, ignition, hex digits with the cut engine and the door in bit 3, no fuel."""
    cut, door = 8 * tracker.engine_cut, 8 * tracker.door_open
    return f"{not tracker.external_power:d}{tracker.ignition:d}{cut:X}{door:X}0000"


def _odometer(tracker: SimulatedTracker) -> str:
    return f"{round(tracker.odometer_km * 1000) & 0xFFFFFFFF:08X}"


def _happened(tracker: SimulatedTracker, happening: Happening) -> list[bytes]:
    """The inputs stand in STATUS8: a change of the ignition is worth a report out of turn."""
    if happening in {Happening.IGNITION_ON, Happening.IGNITION_OFF}:
        return [_report(tracker, INTERVAL)]
    return []


_PHRASE = re.compile(rb"\([^()]*\)|\[begin\][^\[\]]*\[end\]")
_LONGEST_OPENING = 128
_OFTEN_S = 99.0


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    phrases, end = [], 0
    for found in _PHRASE.finditer(data):
        phrases.append(found[0])
        end = found.end()
    return phrases, data[end:][-_LONGEST_OPENING:]


# What commands do: each takes what stands behind its name and returns the answers. ValueError: an
# argument nobody understands.


def _locate(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    return [_report(tracker, "BP04")]


def _set_interval(tracker: SimulatedTracker, argument: str) -> list[bytes]:
    seconds = int(argument[:4], 16)
    tracker.interval_s = float(seconds) if seconds else None
    return [_report(tracker, INTERVAL)]


def _cut_engine(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    tracker.cut_engine()
    return [_report(tracker, INTERVAL)]


def _resume_engine(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    tracker.resume_engine()
    return [_report(tracker, INTERVAL)]


def _tell(tracker: SimulatedTracker, text: str) -> list[bytes]:
    clock = f"{tracker.time:%d%m%y,%H%M%S}"
    return [f"({_id12(tracker)},ZC03,{clock},${text}$)".encode()]


def _tell_version(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    return _tell(tracker, _VERSION)


def _tell_identity(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    return _tell(tracker, f"IMEI:{tracker.device_id}")


def _stop_interval(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    tracker.interval_s = None
    return []


def _report_often(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    """Begin to report all the time; how often is told nowhere."""
    tracker.interval_s = _OFTEN_S
    return []


def _take(_tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    """What it sets, the simulated car never comes to use; nothing is known to be answered."""
    return []


def _restart(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    tracker.wish = Wish.RECONNECT
    return []


def _zero_odometer(tracker: SimulatedTracker, _argument: str) -> list[bytes]:
    tracker.odometer_zero_km = tracker.place.travelled_km
    return [_report(tracker, INTERVAL)]


_COMMANDS: dict[str, Callable[[SimulatedTracker, str], list[bytes]]] = {
    "AP00": _locate,
    "AP07": _tell_version,
    "AR00": _set_interval,
    "AT00": _restart,
    "AV00": _take,
    "AV010": _cut_engine,
    "AV011": _resume_engine,
    "AX01": _zero_odometer,
}


_SMS = "[begin]sms2,"
_TEXTS: dict[str, Callable[[SimulatedTracker, str], list[bytes]]] = {
    "*getposl*": _locate,
    "*routetrack*99*": _report_often,
    "*routetrackoff*": _stop_interval,
    "*about*": _tell_version,
    "88888888": _restart,
    "999999": _tell_identity,
    "*soson*": _take,
    "*sosoff*": _take,
    "*setip*": _take,
    "*master*": _take,
}
"""The words of text messages that some boxes want; what they answer is a guess."""


def _obey(tracker: SimulatedTracker, phrase: bytes) -> list[bytes] | None:
    text, id12 = phrase.decode("latin-1"), _id12(tracker)
    if text.startswith(_SMS):
        known, order = _TEXTS, text.removeprefix(_SMS).removesuffix(",[end]")
    elif text.startswith(f"({id12}"):
        known, order = _COMMANDS, text.strip("()").removeprefix(id12)
    else:
        return None
    for name, act in known.items():
        if order.startswith(name):
            try:
                return [] if tracker.refuses else act(tracker, order.removeprefix(name))
            except ValueError:
                return None
    return None


LANGUAGE = Language(
    name="tk103",
    device_id="864000000000103",
    id_digits=(12, 15),
    alarm_keywords=_ALARM_KEYWORDS,
    repeats_alarms=False,
    upload_keywords=None,
    login=_login,
    heartbeat=_heartbeat,
    report=_report,
    happened=_happened,
    split=_split,
    obey=_obey,
)
