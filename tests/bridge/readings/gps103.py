"""gps103: what the reference reads, and what we read differently on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model import Report
from bridge.protocols.connection import Received
from tests.bridge.readings.reader import (
    KMH_PER_KNOT,
    Deviation,
    Reader,
    Said,
    alarm_of,
    time_of,
    towers_of,
)

_NO_SATELLITES = "an L frame has its inputs at the columns of an F frame"
DEVIATIONS: dict[str, Deviation] = {
    "real/23": Deviation({"fuel_percent": 51.6}, "levels may lack their percent sign"),
    "real/36": Deviation({"messages": 1}, "a blank battery is no reason to refuse an OBD frame"),
    "real/40": Deviation({"ignition": False, "door_open": False}, _NO_SATELLITES),
    "real/41": Deviation(
        {"ignition": False, "door_open": False, "fuel_percent": 0.0}, _NO_SATELLITES
    ),
    "real/75": Deviation({"fuel_percent": 0.0, "temperature_c": None}, "0.0,0.0 are two tanks"),
    "real/81": Deviation({"fuel_percent": 0.0, "temperature_c": 23.0}, "0.0,0.0 are two tanks"),
    **{
        f"synthetic/{number}": Deviation(
            {"ignition": False, "door_open": False, "fuel_percent": 0.0},
            _NO_SATELLITES,
        )
        for number in (14, 18, 20, 62)
    },
    "stream/odd_imei:;": Deviation({"replies": b""}, "who gives no id cannot be let in"),
    "stream/odd_0;": Deviation(
        {"replies": b""}, "the port is everybody's: fifteen digits are an opening"
    ),
}


def theirs(result: dict[str, Any]) -> Said:
    said = result["attributes"]
    tower = next(towers_of(result), None)
    place = (
        {}
        if result["outdated"]
        else {
            "valid": result["valid"],
            "latitude": result["latitude"],
            "longitude": result["longitude"],
            "speed_kmh": result["speed_knots"] * KMH_PER_KNOT,
            "course_deg": result["course"],
            "altitude_m": result["altitude"],
            "hdop": said.get("hdop"),
            "satellites": said.get("sat"),
        }
    )
    return place | {
        "device_id": result["uniqueId"],
        "time": time_of(result),
        "alarm": alarm_of(said),
        "ignition": said.get("ignition"),
        "door_open": said.get("door"),
        "fuel_percent": said.get("fuel1", said.get("fuel")),
        "temperature_c": said.get("temp1"),
        "battery_v": said.get("battery"),
        "obd_speed_kmh": said.get("obdSpeed"),
        "rpm": said.get("rpm"),
        "external_power": said.get("charge"),
        "driver_id": said.get("driverUniqueId"),
        "cell": tower and tower[2:],
    }


def ours(events: list[Received]) -> Iterator[Said]:
    for event in events:
        yield from (of_report(one) for one in event.messages if isinstance(one, Report))


def of_report(report: Report) -> Said:
    fix, status = report.fix, report.status
    place = (
        {
            "valid": fix.valid,
            "latitude": fix.latitude,
            "longitude": fix.longitude,
            "speed_kmh": fix.speed_kmh or 0.0,
            "course_deg": fix.course_deg or 0.0,
            "altitude_m": fix.altitude_m or 0.0,
            "hdop": fix.hdop,
            "satellites": fix.satellites,
        }
        if fix
        else {}
    )
    return place | {
        "device_id": report.device_id,
        "time": report.device_time,
        "alarm": report.alarm,
        "ignition": status.ignition,
        "door_open": status.door_open,
        "fuel_percent": status.fuel_percent,
        "temperature_c": status.temperature_c,
        "battery_v": status.battery_v,
        "obd_speed_kmh": status.obd_speed_kmh,
        "rpm": status.rpm,
        "external_power": status.external_power,
        "driver_id": report.extra.get("driver_id"),
        "cell": (report.cell.lac, report.cell.cid) if report.cell else None,
    }


def reply(event: Received) -> bytes:
    """Return how a frame is answered; the reference confirms every SOS."""
    return event.reply + event.receipt


READER = Reader("gps103", theirs, ours, DEVIATIONS, reply=reply, transport="udp")
