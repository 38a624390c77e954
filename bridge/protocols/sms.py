"""The texts that trackers of the family send by SMS, as the reports they would be over the network.

    [WORD!] lat:D.DDDDDD long:D.DDDDDD speed:D.DD T:yy/mm/dd hh:mm LINK Pwr: ON Door: OFF ACC: OFF
    [WORD!] Lac:HEX HEX T:yy/mm/dd hh:mm Last: T:hh:mm LINK                        no satellites
    Power: ON Battery: 100% GPRS: ON GPS: OK ACC: OFF Door: OFF GSM Signal: 24 Oil: 0.00% ...
    begin ok | Stop engine Succeed | it will be executed after speed less than 20KM/H | load fail

The parts stand on lines of their own or have blanks between them; names may be written in any case,
``lon`` for ``long``, ``bat`` for ``battery``. T is the box's own clock. A text is no frame: it has
no id, so whoever receives it knows by the phone number whose it is. Source: docs/sms.md.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from bridge.model import NO_STATUS, Alarm, Cell, CommandResult, Fix, Message, Report, Status
from bridge.protocols import fields

NAME = "sms"

LONGEST_TEXT = 1000
"""Characters. Six joined messages, more than any tracker sends; what is longer is not looked at."""

LOCATION = "location"
NO_FIX = "lac"
CHECK = "check"
POSTPONED = "postponed"
IMEI = "imei"
"""Keywords of texts that have no word of their own; the last is that of a bare IMEI."""

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
    "dtc": Alarm.FAULT,
    "collision": Alarm.ACCIDENT,
    "brake": Alarm.HARD_BRAKING,
    "accelerate": Alarm.HARD_ACCELERATION,
    "sharp turn": Alarm.HARD_CORNERING,
}
"""The words before ``!``, in lower case; those with a value in them: see `_measured`."""

STATES: dict[str, Status] = {
    "acc on": Status(ignition=True),
    "acc off": Status(ignition=False),
    "stop engine ok": Status(engine_cut=True),
    "resume engine ok": Status(engine_cut=False),
    "arm ok": Status(armed=True),
    "disarm ok": Status(armed=False),
}
"""Keywords that tell a state: the ignition, and the answers to commands that were carried out."""

ANSWERING = (
    "acc", "add master", "admin", "adminip", "angle", "apn", "apnpasswd", "apnuser", "arm", "begin",
    "change protocol", "clear", "disarm", "distance", "dns", "extpower", "fix", "gprs", "gpssignal",
    "help me", "less gprs", "load", "loud", "low battery", "lowbattery", "monitor", "move", "noacc",
    "noadmin", "noadminip", "nofix", "nomove", "noquickstop", "nosave", "noschedule", "noshock",
    "nospeed", "nostockade", "notn", "oil", "password", "protocol", "quickstop", "reset",
    "resume engine", "save", "schedule", "schework", "sensitivity", "set up", "shock", "silent",
    "sleep", "sms", "speed", "stockade", "stop engine", "suppress", "t", "time", "time zone",
    "tracker", "up", "user, password",
)  # fmt: skip
"""What a tracker names in its answers. `schework` is what it calls a schedule."""

_ENDINGS = {
    **dict.fromkeys(("ok", "succeed", "success", "sucess", "activated"), "ok"),
    **dict.fromkeys(("fail", "failed", "err", "error"), "fail"),
}


class _Said(Struct, frozen=True):
    """What the word before ``!`` says, or the parts behind it."""

    alarm: Alarm | None = None
    status: Status = NO_STATUS
    extra: dict[str, Any] = {}


_NOTHING = _Said()
_SAID: dict[str, _Said] = {
    **{word: _Said(alarm) for word, alarm in ALARMS.items()},
    **{word: _Said(status=status) for word, status in STATES.items()},
    "acc alarm": _NOTHING,
}

_NAMES = {
    "lat": "lat", "long": "lon", "lon": "lon", "lng": "lon", "speed": "speed", "t": "time",
    "pwr": "power", "power": "power", "door": "door", "acc": "acc", "lac": "lac", "cid": "cid",
    "battery": "battery", "bat": "battery", "gprs": "gprs", "gps": "gps", "gsm signal": "gsm",
    "gsm": "gsm", "oil": "oil", "apn": "apn", "ip": "ip", "port": "port",
}  # fmt: skip
"""The names before a colon, in lower case, and what they are called here."""

_NAME = re.compile(
    rf"(?<![A-Za-z])({'|'.join(sorted(_NAMES, key=len, reverse=True))}) ?: ?", re.IGNORECASE
)
_LAST = re.compile(r"(?<![A-Za-z])last ?:", re.IGNORECASE)
_WORD = re.compile(r"([A-Za-z][A-Za-z0-9 .%+:-]{1,29}?) ?!")
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_PLACE = re.compile(r"[?&]q=(?:loc:)?([+-]?\d+\.\d{4,}),([+-]?\d+\.\d{4,})(?=[&#]|$)")
_COORDINATE = re.compile(r"[+-]?\d{1,3}\.\d{4,}")
"""With fewer decimals it is none of these boxes' coordinates, or one cut off in transmission."""
_DATE = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d")
_CLOCK = re.compile(r"\d\d:\d\d")
_PUT_OFF = re.compile(r"\bexecuted after (?:the )?speed\b", re.IGNORECASE)
_ENDING = re.compile(rf"\b({'|'.join(_ENDINGS)})\b", re.IGNORECASE)
_ANSWERING = re.compile(
    rf"({'|'.join(sorted(ANSWERING, key=len, reverse=True))})(?![A-Za-z])", re.IGNORECASE
)
_ARGUMENT = re.compile(r"\d[\w*.;+-]*|on|off|out|in|time|shock|deepshock|is|", re.IGNORECASE)
_OIL = re.compile(r"oil[12]?(?: ([0-9.]+%?))?")
_HEX = re.compile(r"[0-9A-Fa-f]{1,8}")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_FLAGS = {"on": True, "off": False}
_AREA = {"in": Alarm.GEOFENCE_ENTER, "out": Alarm.GEOFENCE_EXIT}
_SAME_PLACE_DEG = 0.001
"""Numbers and link of one text that are no further apart, about 100 m, say the same place."""
_LONGEST_ANSWER = 100
_NEAR = timedelta(days=2)
"""Of a local clock without a fix, whichever zone it is in, and of a text that was long on its way.
"""
_STRONGEST = 32
"""Of the steps in which a check tells the GSM signal."""

_Values = dict[str, str]
_Place = tuple[float, float]


def decode(
    text: str, *, device_id: str, received_at: datetime, utc_offset_minutes: int | None = None
) -> tuple[Message, ...]:
    """Return what a tracker's text says, an empty tuple where it is none of a tracker.

    `device_id` is whose phone number it came from. `utc_offset_minutes` is that of the box's own
    clock; while it is unknown a report has no time, and the local one stands in ``local_time``.
    Raises nothing, whatever the text.
    """
    if len(text) > LONGEST_TEXT:
        return ()
    plain = _plain(text)
    empty = Report(
        device_id=device_id,
        protocol=NAME,
        received_at=received_at,
        keyword="",
        status=NO_STATUS,
        extra={},
    )
    told = _report(plain, utc_offset_minutes, empty) or _answer(plain, empty)
    return () if told is None else (told,)


def _plain(text: str) -> str:
    """Return the text as ASCII on one line: no other digits are numbers, all blanks are alike."""
    ascii_only = text.encode("ascii", "replace").decode("ascii")
    return " ".join("".join(each if " " <= each <= "~" else " " for each in ascii_only).split())


def _report(plain: str, known_min: int | None, empty: Report) -> Report | None:
    """Return the report that a text is, None for any other text."""
    word, said, rest = _opening(plain)
    last = _LAST.search(rest)
    values = _values(rest[: last.start()] if last else rest)
    past = _values(rest[last.end() :]) if last else {}
    link = next(filter(None, map(_linked, _LINK.findall(rest))), None)
    cell, (time, extra), known = _cell(values), _time(values, known_min), _inputs(values)
    fix = _fix(values, link, time, extra) if not (cell or last) else None
    if not fix and (place := _place(past) or link):
        fix = Fix(valid=False, latitude=place[0], longitude=place[1])
        if at := _CLOCK.fullmatch(past.get("time", "")):
            extra["last_fix_at"] = at[0]
    if (cell or last) and _never_set(extra.get("local_time"), empty.received_at):
        time = None
        del extra["local_time"]
    if fix or cell:
        kind = NO_FIX if cell or last else LOCATION
    elif len(values.keys() - {"time", "speed"}) > 1 and known is not _NOTHING:
        kind = CHECK
    elif said and not rest.lower().startswith("ok"):  # which confirms that the alarm is over
        kind = word
    else:
        return None
    said = said or _NOTHING
    shown = {name: on for name, on in structs.asdict(known.status).items() if on is not None}
    return structs.replace(
        empty,
        device_time=time,
        keyword=word or kind,
        fix=fix,
        alarm=said.alarm,
        status=structs.replace(said.status, **shown),
        cell=cell,
        extra=extra | known.extra | said.extra,
    )


def _opening(plain: str) -> tuple[str, _Said | None, str]:
    """Return the word before ``!`` in lower case, its meaning if it has one, and what follows."""
    found = _WORD.match(plain)
    if found is None:
        return "", None, plain
    word = found[1].lower()
    return word, _SAID.get(word) or _measured(word), plain[found.end() :].strip()


def _measured(word: str) -> _Said | None:
    """Return what a word with a value in it says: ``t:+28.0``, ``oil 51.67%``, ``area01 in``."""
    if word.startswith("t:") and (celsius := fields.celsius(word[2:].strip())) is not None:
        return _Said(Alarm.TEMPERATURE, Status(temperature_c=celsius))
    if oil := _OIL.fullmatch(word):
        return _Said(Alarm.FUEL_LEAK, Status(fuel_percent=fields.percent(oil[1] or "")))
    area, _, direction = word.removeprefix("area").partition(" ")
    if word.startswith("area") and area.isdecimal() and direction in _AREA:
        return _Said(_AREA[direction], extra={"area": area})
    return None


def _values(text: str) -> _Values:
    """Return the values by their names; of a name that stands twice, the first."""
    parts = _NAME.split(_LINK.sub(" ", text))[1:]
    values: _Values = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        values.setdefault(_NAMES[name.lower()], value.strip(" ,;"))
    return values


def _first(values: _Values, name: str) -> str:
    """Return the first word of a value: what follows may be a part that nobody knows."""
    return values.get(name, "").partition(" ")[0].rstrip(",;")


def _fix(
    values: _Values, link: _Place | None, time: datetime | None, extra: dict[str, Any]
) -> Fix | None:
    """Return the position: the numbers, or where they cannot be read what the link says.

    Where both differ the text is damaged, and nothing may be moved by it.
    """
    place = _place(values)
    agreed = not (place and link) or max(map(_apart, place, link)) <= _SAME_PLACE_DEG
    if not agreed:
        extra["contradicts_link"] = True
    if place is None:
        place = link
    if place is None:
        return None
    kmh = fields.number(_first(values, "speed").lower().removesuffix("km/h"), 0, 1000)
    return Fix(time=time, valid=agreed, latitude=place[0], longitude=place[1], speed_kmh=kmh)


def _apart(one: float, other: float) -> float:
    return abs(one - other)


def _place(values: _Values) -> _Place | None:
    texts = _first(values, "lat"), _first(values, "lon")
    return _within(*texts) if all(map(_COORDINATE.fullmatch, texts)) else None


def _linked(link: str) -> _Place | None:
    found = _PLACE.search(link)
    return _within(found[1], found[2]) if found else None


def _within(latitude: str, longitude: str) -> _Place | None:
    north, east = fields.number(latitude, -90, 90), fields.number(longitude, -180, 180)
    return None if north is None or east is None else (north, east)


def _cell(values: _Values) -> Cell | None:
    """Return the cell: ``Lac:HEX HEX``, or ``lac:`` and ``cid:`` in decimal."""
    if "cid" in values:
        texts, base = [_first(values, "lac"), _first(values, "cid")], 10
        if not all(text.isdecimal() for text in texts):
            base = 16
    else:
        texts, base = values.get("lac", "").split()[:2], 16
    if len(texts) != 2 or not all(map(_HEX.fullmatch, texts)):
        return None
    return Cell(lac=int(texts[0], base), cid=int(texts[1], base))


def _time(values: _Values, known_min: int | None) -> tuple[datetime | None, dict[str, Any]]:
    """Return the time in UTC if the offset is known, and the local one, to be learnt from."""
    found = _DATE.match(values.get("time", ""))
    shown = fields.local_time(found[0], 0) if found else None
    if found is None or shown is None:
        return None, {}
    time = None if known_min is None else fields.local_time(found[0], known_min)
    if time is not None and not 2000 <= time.year <= 2099:
        time = None
    return time, {"local_time": f"{shown:%Y-%m-%dT%H:%M}"}


def _never_set(local_time: str | None, received_at: datetime) -> bool:
    """Whether a clock shows a time so far off that no satellite can have told it.

    Without a fix a box may tell the date it was made with. With one it is right, and the text late.
    """
    if local_time is None:
        return False
    return abs(datetime.fromisoformat(f"{local_time}Z") - received_at) > _NEAR


def _inputs(values: _Values) -> _Said:
    """Return what the inputs and a check say."""
    on = {name: _FLAGS.get(_first(values, name).lower()) for name in ("power", "door", "acc")}
    battery, oil = _first(values, "battery"), _first(values, "oil")
    volts = battery[:-1] if battery[-1:] in ("V", "v") else ""
    status = Status(
        ignition=on["acc"],
        door_open=on["door"],
        external_power=on["power"],
        battery_percent=fields.percent(battery) if battery.removesuffix("%").isdecimal() else None,
        battery_v=fields.number(volts, 0, 1000),
        fuel_percent=fields.percent(oil),
        gsm_percent=_gsm(_first(values, "gsm")),
    )
    extra: dict[str, Any] = {}
    if (gprs := _FLAGS.get(_first(values, "gprs").lower())) is not None:
        extra["gprs"] = gprs
    if gps := _first(values, "gps").lower():
        extra["gps"] = gps == "ok"
    if apn := _first(values, "apn"):
        extra["apn"] = apn
    if _ADDRESS.fullmatch(address := _first(values, "ip")):
        port = fields.whole(_first(values, "port"), 65535)
        extra["server"] = address if port is None else f"{address}:{port}"
    return _NOTHING if status == NO_STATUS and not extra else _Said(status=status, extra=extra)


def _gsm(text: str) -> int | None:
    """Return the signal in percent, from percent or from steps of 1 to 32; 99 is unknown."""
    if text.endswith("%"):
        return fields.whole(text[:-1], 100)
    steps = fields.whole(text, _STRONGEST)
    return None if steps is None else fields.gsm_percent(str(min(steps, _STRONGEST - 1)))


def _answer(plain: str, empty: Report) -> Message | None:
    """Return the answer to a command that a text is, None for any other text."""
    if len(plain) > _LONGEST_ANSWER:
        return None
    keyword = _answered(plain)
    if keyword in STATES:
        return structs.replace(
            empty, keyword=keyword, status=STATES[keyword], extra={"text": plain}
        )
    if not keyword:
        return None
    return CommandResult(
        device_id=empty.device_id,
        protocol=NAME,
        received_at=empty.received_at,
        keyword=keyword,
        text=plain,
    )


def _answered(plain: str) -> str:
    """Return the keyword of an answer, ``WORD ok`` or ``WORD fail``; blank where it is none.

    Behind ``ok`` nothing may follow, as it might take it back.
    """
    if _PUT_OFF.search(plain):
        return POSTPONED
    if len(plain) == 15 and plain.isdecimal():
        return IMEI
    ending, word = _ENDING.search(plain), _ANSWERING.match(plain)
    if ending is None or word is None or ending.start() < word.end():
        return ""
    arguments = re.split(r"[ ,!:]+", plain[word.end() : ending.start()])
    outcome = _ENDINGS[ending[1].lower()]
    behind = plain[ending.end() :].strip(" !.")
    if not all(map(_ARGUMENT.fullmatch, arguments)) or (outcome == "ok" and behind):
        return ""
    return f"{word[1].lower()} {outcome}"
