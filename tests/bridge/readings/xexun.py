"""xexun: what the reference reads, and what we read differently on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model import Report
from bridge.protocols.connection import Received
from tests.bridge.readings import reader
from tests.bridge.readings.reader import KMH_PER_KNOT, Reader, Said, alarm_of, on, time_of

DEVIATIONS = {
    "real/5": on("messages", "a line without a position has a battery and a cell"),
    "real-2/1": on("time", "no clock and no date are no time"),
}


def theirs(result: dict[str, Any]) -> Said:
    """Return the reference's reading under our names, in our units.

    It says 0 where a line has no altitude, no course or no number of satellites.
    """
    said = result["attributes"]
    return {
        "id": result["uniqueId"],
        "time": time_of(result),
        "valid": result["valid"],
        "latitude": result["latitude"],
        "longitude": result["longitude"],
        "speed_kmh": result["speed_knots"] * KMH_PER_KNOT,
        "course": result["course"],
        "altitude": result["altitude"],
        "satellites": said.get("sat", 0),
        "alarm": alarm_of(said),
        "ignition": said.get("ignition"),
        "battery_v": said.get("power"),
        "signal": said["signal"],
        "serial": said.get("serial"),
        "phone": said.get("number"),
    }


def ours(events: list[Received]) -> Iterator[Said]:
    for event in events:
        yield from (said(message) for message in event.messages if isinstance(message, Report))


def said(report: Report) -> Said:
    fix, status, extra = report.fix, report.status, report.extra
    found: Said = {
        "id": report.device_id,
        "time": report.device_time,
        "alarm": report.alarm,
        "ignition": status.ignition,
        "battery_v": status.battery_v,
        "signal": extra["signal"],
        "serial": extra.get("serial"),
        "phone": extra.get("phone"),
    }
    if fix is not None:
        found |= {
            name: getattr(fix, name) for name in ("valid", "latitude", "longitude", "speed_kmh")
        }
        found["course"] = fix.course_deg or 0.0
        found["altitude"] = fix.altitude_m or 0.0
        found["satellites"] = fix.satellites or 0
    return found


def differs(name: str, theirs: Said, ours: Said) -> bool:
    reference, found = theirs[name], ours[name]
    match name:
        case "serial":  # theirs is the last digit; in basic mode they have none
            return reference is not None and (found or "")[-1:] != reference
        case "phone":  # theirs may be an operator's name; in basic mode they have none
            return reference is not None and reference != (found or "TELKOMSEL")
    return reader.differs(name, theirs, ours)


READER = Reader("xexun", theirs, ours, DEVIATIONS, differs)
