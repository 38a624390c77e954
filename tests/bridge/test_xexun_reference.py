"""xexun: the reference readings, where they are, and what we read differently on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.model import Report
from tests.bridge.test_xexun import lines, listen, reports

REFERENCE = Path(__file__).parents[2] / "../shared/corpus"


class Deviation(NamedTuple):
    """What we read differently from the reference, on purpose."""

    fields: frozenset[str]
    why: str


def on(fields: str, why: str) -> Deviation:
    return Deviation(frozenset(fields.split()), why)


DEVIATIONS = {
    "full/5": on("messages", "a line without a position has a battery and a cell"),
    "basic/1": on("time", "no clock and no date are no time"),
}


class Reading(NamedTuple):
    """One line of the reference: what was sent, and what it was read as."""

    chunks: list[bytes]
    results: list[dict[str, Any]]


def readings() -> Iterator[tuple[str, Reading]]:
    for row in lines(REFERENCE / "xexun.jsonl"):
        mode = {1: "full", 2: "basic"}[row["decoder_instance"]]
        yield f"{mode}/{row['index']}", reading(row)
    for row in lines(REFERENCE / "xexun.synthetic.jsonl"):
        yield f"synthetic/{row['id']}", reading(row)
    for row in lines(REFERENCE / "framing.jsonl"):
        if row["protocol"] == "xexun":
            yield f"stream/{row['id'].removeprefix('xexun/')}", reading(row)


def reading(row: dict[str, Any]) -> Reading:
    texts = row.get("chunks") or [row["frame"]]
    in_hex = row.get("encoding") == "hex"
    parts = row.get("frames", [row])
    return Reading(
        chunks=[bytes.fromhex(text) if in_hex else text.encode("latin-1") for text in texts],
        results=[result for part in parts for result in part["result"] or ()],
    )


def theirs(result: dict[str, Any]) -> dict[str, Any]:
    """Return the reference's reading under our names, in our units.

    It says 0 where a line has no altitude, no course or no number of satellites.
    """
    said = result["attributes"]
    alarm = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), said.get("alarm", ""))
    return {
        "id": result["uniqueId"],
        "time": datetime.fromisoformat(result["deviceTime"]),
        "valid": result["valid"],
        "latitude": result["latitude"],
        "longitude": result["longitude"],
        "speed_kmh": result["speed_knots"] * 1.852,
        "course": result["course"],
        "altitude": result["altitude"],
        "satellites": said.get("sat", 0),
        "alarm": alarm or None,
        "ignition": said.get("ignition"),
        "battery_v": said.get("power"),
        "signal": said["signal"],
        "serial": said.get("serial"),
        "phone": said.get("number"),
    }


def ours(report: Report) -> dict[str, Any]:
    fix, status, extra = report.fix, report.status, report.extra
    assert fix is not None
    return {
        "id": report.device_id,
        "time": report.device_time,
        "valid": fix.valid,
        "latitude": fix.latitude,
        "longitude": fix.longitude,
        "speed_kmh": fix.speed_kmh,
        "course": fix.course_deg or 0.0,
        "altitude": fix.altitude_m or 0.0,
        "satellites": fix.satellites or 0,
        "alarm": report.alarm,
        "ignition": status.ignition,
        "battery_v": status.battery_v,
        "signal": extra["signal"],
        "serial": extra.get("serial"),
        "phone": extra.get("phone"),
    }


TOLERANCE = {"latitude": 1e-6, "longitude": 1e-6, "speed_kmh": 0.01}


def differs(name: str, reference: Any, found: Any) -> bool:
    match name:
        case "serial":  # theirs is the last digit; in basic mode they have none
            return reference is not None and (found or "")[-1:] != reference
        case "phone":  # theirs may be an operator's name; in basic mode they have none
            return reference is not None and reference != (found or "TELKOMSEL")
        case _ if isinstance(reference, float) and isinstance(found, float):
            return abs(reference - found) > TOLERANCE.get(name, 1e-9)
    return bool(reference != found)


READINGS = dict(readings())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
@pytest.mark.parametrize("name", READINGS)
def test_reference(name):
    case = READINGS[name]
    told = reports(listen(*case.chunks, claimed=False))
    found: set[str] = set()
    if len(told) != len(case.results):
        found.add("messages")
    for report, result in zip(told, case.results, strict=False):
        left, right = theirs(result), ours(report)
        found |= {field for field in left if differs(field, left[field], right[field])}
    deviation = DEVIATIONS.get(name)
    assert found == (deviation.fields if deviation else frozenset())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
def test_every_deviation_is_still_one():
    assert DEVIATIONS.keys() <= READINGS.keys()
