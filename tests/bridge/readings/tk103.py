"""tk103: what the reference reads, and what we read differently on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bridge.model import CommandResult, Login, Message, Report
from bridge.protocols.connection import Received
from tests.bridge.readings import reader
from tests.bridge.readings.reader import (
    KMH_PER_KNOT,
    Case,
    Reader,
    Said,
    alarm_of,
    on,
    time_of,
    towers_of,
)

ELEVEN = on("id", "an id of 11 digits does not include the parenthesis")
NO_SUCH_DATE = on("time", "a date that does not exist is no time")
STATUS_READ = on("ignition external_power", "STATUS is read behind a comma too")

DEVIATIONS = {
    "real/1": on(
        "battery_v battery_percent", "BS51 is big-endian, and its volts are the battery's"
    ),
    "real/2": on("external_power", "BS50's flag says that the pack charges: Status.charging"),
    "real/8": STATUS_READ,
    "real/18": on("id time", "15 digits are the id, BP02 the command, and 170304 the year first"),
    "real/25": on("messages", "a well-formed command of unknown meaning is kept as text"),
    "real/26": ELEVEN,
    "real/41": ELEVEN,
    "real/30": NO_SUCH_DATE,
    "real/31": NO_SUCH_DATE,
    "real/53": on("ignition external_power odometer_km", "STATUS and odometer in the comma style"),
    "stream/odd_((012345678901BP00HSO)": on(
        "replies", "a stray parenthesis does not cost the login"
    ),
    "stream/odd_(123456,ZC11,,0.00,0,0)": on("messages", "an alarm without a place is an alarm"),
    "stream/udp_two": on("messages", "a datagram may hold two frames"),
}


def theirs(result: dict[str, Any]) -> Said:
    """Return the reference's reading under our names, in our units."""
    said = result["attributes"]
    found: Said = {
        "id": result["uniqueId"],
        "time": time_of(result),
        "alarm": (alarm_of(said) or "").replace("lowspeed", "low_speed") or None,
        "ignition": said.get("ignition"),
        "external_power": said.get("charge"),
        "battery_percent": said.get("batteryLevel"),
        "battery_v": said.get("battery"),
        "external_v": said.get("power"),
        "odometer_km": said["odometer"] / 1000 if "odometer" in said else None,
        "vin": said.get("vin"),
        "result": said.get("result"),
        "fix": not result["outdated"],
    }
    if not result["outdated"]:
        found |= {name: result[name] for name in ("valid", "latitude", "longitude", "course")}
        found["speed_kmh"] = result["speed_knots"] * KMH_PER_KNOT
    found["cells"] = set(towers_of(result))
    return found


def ours(events: list[Received]) -> Iterator[Said]:
    for event in events:
        yield from (of_message(one) for one in event.messages if not isinstance(one, Login))


def of_message(message: Message) -> Said:
    if isinstance(message, CommandResult):
        return {
            "id": message.device_id,
            "time": message.device_time,
            "result": message.text,
            "fix": False,
        }
    assert isinstance(message, Report)
    status = message.status
    found: Said = {
        "id": message.device_id,
        "time": message.device_time,
        "alarm": message.alarm,
        "ignition": status.ignition,
        "external_power": status.external_power,
        "battery_percent": status.battery_percent,
        "battery_v": status.battery_v,
        "external_v": status.external_v,
        "odometer_km": status.odometer_km,
        "vin": message.extra.get("vin"),
        "fix": message.fix is not None,
    }
    if message.fix is not None:
        names = ("valid", "latitude", "longitude", "speed_kmh")
        found |= {name: getattr(message.fix, name) for name in names}
        found["course"] = message.fix.course_deg
    if message.cell is not None:
        found["cells"] = {msgspec.structs.astuple(message.cell)}
        found["cells"] |= {tuple(cell.values()) for cell in message.extra.get("cells", ())}
    return found


def differs(name: str, theirs: Said, ours: Said) -> bool:
    if name == "cells":  # of BZ00 the reference reads the first cell only
        return not theirs["cells"] <= ours.get("cells", set())
    return reader.differs(name, theirs, ours)


def opening(case: Case) -> bytes:
    """Return a frame before what begins with noise, which on a port of everybody is nobody's."""
    return b"" if case.chunks[0].startswith(b"(") else b"(087000000012BP00HSO)"


READER = Reader("tk103", theirs, ours, DEVIATIONS, differs, said_before=opening)
