"""h02: the reference readings, where they are, and what we read differently on purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.model import CommandResult, Heartbeat, Message, Report
from bridge.protocols.connection import Received
from tests.bridge.test_h02 import AT, listen

REFERENCE = Path(__file__).parents[2] / "../shared/corpus"


class Deviation(NamedTuple):
    """What we read differently from the reference, on purpose."""

    fields: frozenset[str]
    why: str


def on(fields: str, why: str) -> Deviation:
    return Deviation(frozenset(fields.split()), why)


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


class Reading(NamedTuple):
    """One line of the reference: what was sent, and what it was read as."""

    chunks: list[bytes]
    datagrams: bool
    results: list[dict[str, Any]]
    replies: list[str]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file, none where it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def readings() -> Iterator[tuple[str, Reading]]:
    for row in lines(REFERENCE / "h02.jsonl"):
        name = "real" if row["decoder_instance"] == 1 else "real-2"
        yield f"{name}/{row['index']}", reading(row)
    for row in lines(REFERENCE / "h02.synthetic.jsonl"):
        yield f"synthetic/{row['id']}", reading(row)
    for row in lines(REFERENCE / "framing.jsonl"):
        if row["protocol"] == "h02":
            yield f"stream/{row['id'].partition('/')[2]}", reading(row)


def reading(row: dict[str, Any]) -> Reading:
    parts = row.get("frames", [row])
    texts = row.get("chunks") or [row["frame"]]
    in_hex = "hex" in (row.get("encoding"), row.get("kind"))
    stamp = f"{AT:%Y%m%d%H%M%S}"
    return Reading(
        chunks=[bytes.fromhex(text) if in_hex else text.encode("latin-1") for text in texts],
        datagrams=row.get("transport") == "udp",
        results=[result for part in parts for result in part["result"] or ()],
        replies=[
            reply["data"].replace("<utc:yyyyMMddHHmmss>", stamp)
            for part in parts
            for reply in part["response"] or ()
        ],
    )


def theirs(result: dict[str, Any]) -> dict[str, Any]:
    """Return the reference's reading under our names, in our units."""
    said = result["attributes"]
    alarm = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), said.get("alarm", ""))
    time = result["deviceTime"]
    found: dict[str, Any] = {
        "id": result["uniqueId"],
        "time": time if time in (None, "<now>") else datetime.fromisoformat(time),
        "alarm": alarm or None,
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
        "cells": {
            (tower["mobileCountryCode"] or None, tower["mobileNetworkCode"] or None,
             tower["locationAreaCode"], tower["cellId"])
            for tower in (result["network"] or {}).get("cellTowers", ())
        },
    }  # fmt: skip
    if found["fix"]:
        found |= {name: result[name] for name in ("valid", "latitude", "longitude", "course")}
        found["speed_kmh"] = result["speed_knots"] * 1.852
        found["altitude"] = result["altitude"]
    return found


def ours(messages: tuple[Message, ...]) -> dict[str, Any]:
    """Return what one frame says; a command's result and its position are one reading there."""
    found: dict[str, Any] = {"fix": False, "cells": set()}
    for message in messages:
        found |= {"id": message.device_id}
        if isinstance(message, CommandResult):
            found |= {"result": message.text, "time": message.device_time}
        elif isinstance(message, Report):
            found |= said(message)
    return found


def said(report: Report) -> dict[str, Any]:
    status, fix, cell, extra = report.status, report.fix, report.cell, report.extra
    names = ("ignition", "battery_percent", "odometer_km", "temperature_c", "fuel_percent")
    found: dict[str, Any] = {name: getattr(status, name) for name in names}
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


TOLERANCE = {"latitude": 1e-6, "longitude": 1e-6, "speed_kmh": 0.01}


def differs(name: str, reference: dict[str, Any], found: dict[str, Any]) -> bool:
    theirs, ours = reference.get(name), found.get(name)
    match name:
        case "alarm":  # of several bits the reference tells one
            return theirs not in found.get("alarms", ()) if theirs else bool(found.get("alarms"))
        case "cells":  # those that stand behind the status word the reference does not read
            return not theirs <= ours
        case _ if isinstance(theirs, float) and isinstance(ours, float):
            return abs(theirs - ours) > TOLERANCE.get(name, 1e-9)
    return bool(theirs != ours)


READINGS = dict(readings())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
@pytest.mark.parametrize("name", READINGS)
def test_reference(name):
    case = READINGS[name]
    events = listen(*case.chunks, datagrams=case.datagrams)
    received = [event for event in events if isinstance(event, Received)]
    told = [
        ours(event.messages)
        for event in received
        if any(not isinstance(message, Heartbeat) for message in event.messages)
    ]
    found: set[str] = set()
    if [event.reply.decode() for event in received if event.reply] != case.replies:
        found.add("replies")
    if len(told) != len(case.results):
        found.add("messages")
    for right, result in zip(told, case.results, strict=False):
        left = theirs(result)
        found |= {field for field in left if differs(field, left, right)}
    deviation = DEVIATIONS.get(name)
    assert found == (deviation.fields if deviation else frozenset())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
def test_every_deviation_is_still_one():
    assert DEVIATIONS.keys() <= READINGS.keys()
