"""gt06: what the reference reads, and what we read differently on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model import CommandResult, Report
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
from tests.bridge.test_gt06 import frame

SERIAL_PORT = on(
    "text", "what comes from a serial port answers no command: extra.serial or payload"
)
WIDE_CELL = on("cells", "behind the length stands a cell of 15 bytes: lac of four, cid of eight")
SWAPPED = on("battery_v external_v", "12 V are the vehicle's, 4 V the box's own battery")
SIGNED = on("wifi", "a signal is a signed byte")
UNKNOWN = on("messages", "a kind of unknown meaning is kept in hex")
SURROUNDINGS = on("cells wifi", "neighbours and networks are read, too")
GENERAL = on("alarms", "an alarm without a kind is kept as extra.alarm_code")

DEVIATIONS = {
    "real/1": on("replies", "after its login a tracker is answered, whatever it leaves away"),
    "real/4": WIDE_CELL,
    "real/10": on("external_v", "0x1e is not shown to be volts: no wearable is fed with 30 V"),
    "real/17": on("temperature", "nothing tells it from the same bytes in real/41, which are none"),
    "real/22": on("cells ignition", "the cid has four bytes, so ACC is the byte behind them: on"),
    "real/31": SERIAL_PORT,
    "real/32": on(
        "battery_percent external_v signal", "no length before the cell: 12.52 V, and a signal of 4"
    ),
    "real/35": GENERAL,
    "real/37": WIDE_CELL,
    "real/41": on("battery_v external_v", "3.67 V at 46 % are the battery's"),
    "real/46": on("driver", "RFID: is a driver's card"),
    "real/52": on("messages replies", "a longer 0x19 has its time, the rest is kept; answered"),
    "real/56": on("battery_v", "3.35 V at 6 % are the battery's"),
    "real/58": SERIAL_PORT,
    "real/59": on("messages", "time, place and OBD values are there"),
    "real/61": on("time", "the clock is binary: 0x0b is no decimal"),
    "real/62": SERIAL_PORT,
    "real/70": GENERAL,
    "real/71": on("messages", "its last byte is missing: truncated"),
    "real/73": on("odometer_km", "the odometer is big-endian as all else: 61 km, not 3 million"),
    "real/74": SERIAL_PORT,
    "real/79": on(
        "fix latitude longitude", "a place, without a lock, stands behind the OBD values"
    ),
    "real/88": on(
        "alarms battery_percent cells", "bit 15 of the country: the network has two bytes here too"
    ),
    "real/89": SIGNED,
    "real/92": SIGNED,
    "real/95": on("battery_percent cells charging signal", "GPS, length, cell of 15 bytes, status"),
    "real/115": SURROUNDINGS,
    "real/118": SURROUNDINGS,
    "real/121": SWAPPED,
    "real/122": SWAPPED,
    "real/128": on("iccid", "digits swapped in each byte: a number of a SIM card begins with 89"),
    "real/130": on("time", "there is a time before the line"),
    "real/137": on("text", "a length of 0 does not make the text disappear"),
    "real/151": on("cells", "seven cells stand behind the position"),
    "real/152": UNKNOWN,
    "real/157": UNKNOWN,
    "real/158": on("time", "the login that told the zone is not among the lines"),
    "real/163": on("messages", "who asks for an address tells a position"),
    "real/172": on("external_v", "0x0b is not shown to be volts: kept as extra.alarm_code"),
}


def theirs(result: dict[str, Any]) -> Said:
    """Return the reference's reading under our names, in our units."""
    said = result["attributes"]
    # One alarm said in two ways is listed twice; of several kinds the order is not the severity.
    kinds = set((alarm_of(said) or "").split(","))
    found: Said = {
        "id": result["uniqueId"],
        "time": time_of(result),
        "fix": not result["outdated"],
        "alarms": kinds - {""},
        "ignition": said.get("ignition"),
        "charging": said.get("charge"),
        "engine_cut": said.get("blocked"),
        "armed": said.get("armed"),
        "door": said.get("door"),
        "battery_percent": said.get("batteryLevel"),
        "battery_v": said.get("battery"),
        "external_v": said.get("power"),
        "signal": said.get("rssi", 101) <= 100,
        "odometer_km": said["odometer"] / 1000 if "odometer" in said else None,
        "temperature": said.get("temp1"),
        "rpm": said.get("rpm"),
        "obd_speed": said.get("obdSpeed"),
        "vin": said.get("vin"),
        "iccid": said.get("iccid"),
        "driver": said.get("driverUniqueId"),
        "replayed": bool(said.get("archive")),
        "text": said.get("result"),
        "cells": {
            (mcc, mnc, lac, cid) for mcc, mnc, lac, cid in towers_of(result) if mcc or lac
        },
        "wifi": {
            (point["macAddress"], point.get("signalStrength"))
            for point in (result["network"] or {}).get("wifiAccessPoints") or ()
        } - {("00:00:00:00:00:00", 0)},
    }  # fmt: skip
    if not result["outdated"]:
        found |= {name: result[name] for name in ("valid", "latitude", "longitude", "course")}
        found |= {"speed_kmh": result["speed_knots"] * KMH_PER_KNOT, "altitude": result["altitude"]}
        found["satellites"] = said.get("sat")
    return found


def ours(events: list[Received]) -> Iterator[Said]:
    for event in events:
        for message in event.messages:
            if isinstance(message, Report | CommandResult):
                yield of_message(message)


def of_message(message: Report | CommandResult) -> Said:
    found: Said = {"id": message.device_id, "time": message.device_time}
    if isinstance(message, CommandResult):
        return found | {"text": message.text, "fix": False}
    status, extra, fix = message.status, message.extra, message.fix
    cells = [] if message.cell is None else [message.cell]
    found |= {
        "fix": fix is not None,
        "alarms": set(message.alarms),
        "ignition": status.ignition,
        "charging": status.charging,
        "engine_cut": status.engine_cut,
        "armed": status.armed,
        "door": status.door_open,
        "battery_percent": status.battery_percent,
        "battery_v": status.battery_v,
        "external_v": status.external_v,
        "signal": status.gsm_percent is not None,
        "odometer_km": status.odometer_km,
        "temperature": status.temperature_c,
        "rpm": status.rpm,
        "obd_speed": status.obd_speed_kmh,
        "vin": extra.get("vin"),
        "iccid": extra.get("iccid"),
        "driver": extra.get("driver_id"),
        "replayed": extra.get("replayed", False),
        "text": None,
        "cells": {(cell.mcc, cell.mnc, cell.lac, cell.cid) for cell in cells}
        | {tuple(cell.values())[:4] for cell in extra.get("cells", ())},
        "wifi": {(network["mac"], network.get("rssi")) for network in extra.get("wifi", ())},
    }
    if fix is not None:
        names = ("valid", "latitude", "longitude", "speed_kmh", "satellites")
        found |= {name: getattr(fix, name) for name in names}
        found["course"] = fix.course_deg
        found["altitude"] = fix.altitude_m or 0.0
    return found


def differs(name: str, theirs: Said, ours: Said) -> bool:
    """Nothing and false are one: of many things only one of us says that they are not so."""
    nothing = not theirs.get(name) and not ours.get(name)
    return not nothing and reader.differs(name, theirs, ours)


def login(case: Case) -> bytes:
    """Return the login of a tracker whose frame stands alone in the reference."""
    speaker = case.results[0]["uniqueId"] if case.results else "000000000000000"
    return frame(0x01, bytes.fromhex(f"0{speaker}")) if case.id_is_known else b""


READER = Reader(
    "gt06", theirs, ours, DEVIATIONS, differs, clock=b"\x78\x78\x0b\x8a", said_before=login
)
