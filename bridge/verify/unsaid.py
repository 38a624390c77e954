"""What a unit says and what it never has, and what that means for its owner."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from bridge.verify.heard import Heard

Spoken = Literal["now", "before", "never", "impossible"]


class Saying(NamedTuple):
    """Something a unit may say: by a field of fix or status, or by an alarm that rings."""

    what: str
    fields: tuple[str, ...]
    alarms: tuple[str, ...]
    means: str
    """What it means where it is never said."""


SAYINGS: tuple[Saying, ...] = (
    Saying(
        "ignition", ("ignition",), (),
        "no ignition wire is connected, or its firmware leaves it out: trips are found by motion",
    ),
    Saying(
        "door", ("door_open",), ("door",),
        "no door wire is connected, or its firmware leaves it out: there is no door to be shown",
    ),
    Saying(
        "SOS", (), ("sos",),
        "the button was never pressed, or there is none",
    ),
    Saying(
        "external power", ("external_power", "external_v"), ("power_cut",),
        "never cut off, or it does not tell: that it is pulled out shows only as silence",
    ),
    Saying(
        "tracker battery", ("battery_percent", "battery_v"), ("low_battery",),
        "how long it lasts without the vehicle's battery is not known",
    ),
    Saying(
        "charging", ("charging",), (),
        "whether its own battery is being charged is not known",
    ),
    Saying(
        "time", ("time",), (),
        "the moment of receipt counts: what it kept for a while looks new",
    ),
    Saying(
        "speed", ("speed_kmh",), (),
        "whether it moves is judged by the way between two positions",
    ),
    Saying(
        "course", ("course_deg",), (),
        "where it is headed is not known",
    ),
    Saying(
        "altitude", ("altitude_m",), (),
        "how high it is is not known",
    ),
    Saying(
        "satellites", ("satellites", "hdop"), (),
        "how exact a position is can only be estimated",
    ),
    Saying(
        "odometer", ("odometer_km",), (),
        "the bridge counts the kilometres itself, from one position to the next",
    ),
    Saying(
        "armed", ("armed",), (),
        "known only once it has answered a command",
    ),
    Saying(
        "engine cut", ("engine_cut",), (),
        "known only once it has answered a command",
    ),
    Saying(
        "fuel", ("fuel_percent",), ("fuel_leak",),
        "no fuel sensor is connected",
    ),
    Saying(
        "temperature", ("temperature_c",), ("temperature",),
        "no thermometer is connected",
    ),
    Saying(
        "mobile signal", ("gsm_percent",), (),
        "a weak network shows only as silence",
    ),
    Saying(
        "OBD", ("obd_speed_kmh", "rpm"), (),
        "it is not plugged into the vehicle's OBD, or does not pass that on",
    ),
)  # fmt: skip

IMPOSSIBLE: dict[str, frozenset[str]] = {
    "gps103": frozenset({"charging"}),
    "tk103": frozenset({"armed", "fuel", "mobile signal", "OBD"}),
    "xexun": frozenset(
        {"door", "external power", "armed", "engine cut", "fuel", "temperature", "odometer",
         "mobile signal", "OBD"}
    ),
    "h02": frozenset({"charging", "satellites", "OBD"}),
    "gt06": frozenset(),
}  # fmt: skip
"""What a protocol has no word for, as far as it is known: docs/protocols.md."""


def is_possible(protocol: str, what: str) -> bool:
    """Whether a protocol has a word for a saying; one that is not known yet may have any."""
    return what not in IMPOSSIBLE.get(protocol, ())


def spoken(heard: Heard, saying: Saying) -> Spoken:
    """Return when a unit has said something: while we looked, before, never; or it never can."""
    if _said_now(heard, saying):
        return "now"
    row = heard.row
    if _meet(saying.fields, row.get("reports")) or _meet(saying.alarms, row.get("alarms")):
        return "before"
    return "never" if is_possible(heard.protocol, saying.what) else "impossible"


def _said_now(heard: Heard, saying: Saying) -> bool:
    for body in heard.reports:
        given = {**body.get("status", {}), **body.get("fix", {})}
        alarms = (body.get("alarm", ""), *body.get("extra", {}).get("alarms", ()))
        if _meet(saying.fields, given) or _meet(saying.alarms, alarms):
            return True
    return any(body.get("event_type") in saying.alarms for body in heard.bodies("alarm"))


def _meet(names: tuple[str, ...], given: Any) -> bool:  # noqa: ANN401 - names, or nothing at all
    return any(name in given for name in names) if given else False
