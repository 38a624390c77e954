"""h02: what the reference reads, and what we read differently on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model import CommandResult, Heartbeat, Message, Report
from bridge.protocols.connection import Received
from tests.bridge.readings import reader
from tests.bridge.readings.reader import (
    KMH_PER_KNOT,
    Reader,
    Said,
    alarm_of,
    on,
    time_of,
    towers_of,
)

NOT_NOW = on("time", "without a date there is no time: that of arrival is told anyway")
SWALLOWED = "the columns before or behind the status word do not hide it"
V19 = on("time ignition status_word", "date and status word stand around those of the SIM card")

DEVIATIONS = {
    "real/13": on("alarm ignition status_word battery_raw", SWALLOWED),
    "real/17": on("messages replies", "without a place there are inputs and a cell, and an answer"),
    "real/19": V19,
    "real/20": on("time", "a date without a time of day is no time, not midnight"),
    "real/28": V19,
    "real/34": V19,
    "real/43": on("time", "there is no second 69"),
    "real/48": V19,
    "real/49": NOT_NOW,
    "real/56": on("messages replies", "without a place there are inputs and a cell, and an answer"),
    "real/76": on("messages", "a well-formed frame of unknown meaning is kept as text"),
    "stream/45_then_32": on(
        "messages", "no length is fixed by the first record: the second is told too"
    ),
    "stream/odd_*HQ,1234567890,HTBT,88#": on(
        "messages", "the battery of a heartbeat is told whatever the id looks like"
    ),
}


def theirs(result: dict[str, Any]) -> Said:
    """Return the reference's reading under our names, in our units."""
    said = result["attributes"]
    found: Said = {
        "id": result["uniqueId"],
        "time": "<now>" if result["deviceTime"] == "<now>" else time_of(result),
        "alarm": alarm_of(said),
        "ignition": said.get("ignition"),
        "battery_percent": said.get("batteryLevel"),
        "battery_raw": said.get("battery"),
        "odometer_km": said["odometer"] / 1000 if "odometer" in said else None,
        "temperature_c": said.get("temp1"),
        "fuel_percent": said.get("fuel"),
        "status_word": f"{said['status']:08X}" if "status" in said else None,
        "result": said.get("result"),
        "satellites": said.get("sat"),
        "steps": said.get("steps"),
        "turnovers": said.get("turnovers"),
        "fix": not result["outdated"],
        "cells": {(mcc or None, mnc or None, lac, cid) for mcc, mnc, lac, cid in towers_of(result)},
    }
    if found["fix"]:
        found |= {name: result[name] for name in ("valid", "latitude", "longitude", "course")}
        found["speed_kmh"] = result["speed_knots"] * KMH_PER_KNOT
        found["altitude"] = result["altitude"]
    return found


def ours(events: list[Received]) -> Iterator[Said]:
    for event in events:
        if any(not isinstance(message, Heartbeat) for message in event.messages):
            yield of_frame(event.messages)


def of_frame(messages: tuple[Message, ...]) -> Said:
    """Return what one frame says; a command's result and its position are one reading there."""
    found: Said = {"fix": False, "cells": set()}
    for message in messages:
        found |= {"id": message.device_id}
        if isinstance(message, CommandResult):
            found |= {"result": message.text, "time": message.device_time}
        elif isinstance(message, Report):
            found |= said(message)
    return found


def said(report: Report) -> Said:
    status, fix, cell, extra = report.status, report.fix, report.cell, report.extra
    names = ("ignition", "battery_percent", "odometer_km", "temperature_c", "fuel_percent")
    found: Said = {name: getattr(status, name) for name in names}
    found |= extra
    found |= {"time": report.device_time, "fix": fix is not None, "alarms": report.alarms}
    found["cells"] = {
        (cell["mcc"], cell["mnc"] or None, cell["lac"], cell["cid"])
        for cell in extra.get("cells", ())
    }
    if cell is not None:
        found["cells"] |= {(cell.mcc, cell.mnc or None, cell.lac, cell.cid)}
    if fix is not None:
        found |= {
            name: getattr(fix, name) for name in ("valid", "latitude", "longitude", "speed_kmh")
        }
        found["course"] = fix.course_deg or 0.0
        found["altitude"] = fix.altitude_m or 0.0
    return found


def differs(name: str, theirs: Said, ours: Said) -> bool:
    match name:
        case "alarm":  # of several bits the reference tells one
            rings = ours.get("alarms", ())
            return theirs["alarm"] not in rings if theirs["alarm"] else bool(rings)
        case "cells":  # those that stand behind the status word the reference does not read
            return not theirs["cells"] <= ours["cells"]
    return name in theirs and reader.differs(name, theirs, ours)


READER = Reader("h02", theirs, ours, DEVIATIONS, differs)
