"""A drive, and what is asked of it afterwards: with the real bridge, over MQTT and by commands."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpxpy
import pytest

from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener
from tests.e2e.speech import ON, heartbeat, position, serving

GOLF, VAN = "864000000009701", "864000000009719"
REPORTS = 12
ROWS = REPORTS + 1
"""One more says that the alarm was confirmed, from the same place: within the same second of the
tracker it is the same fix again, which depends on how busy the machine is."""
FAST = ("--interval", "15", "--speed-up", "150")
"""Its clock runs ahead, by less than what is believed."""
REPORT = f"{BASE}/vehicle/golf/report"
RANGE = ("--from", "1h", "--to", "2099-01-01")
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
async def driven(bridge: BridgeProcess, heard: Listener) -> BridgeProcess:
    """A bridge that runs, after a drive with an SOS on the way."""
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    await drive(bridge, heard)
    return bridge


async def drive(bridge: BridgeProcess, heard: Listener) -> None:
    """Have a simulated tracker report, in a second or two what takes it minutes."""
    before = len(heard.all(REPORT))
    driving = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "simulate", "--port", str(bridge.port), "--id", GOLF),
        *("--count", str(REPORTS), "--alarm", "sos@4", "--repeat", "9999", "--seed", "1", *FAST),
        env=bridge.environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await driving.wait() == 0
    await heard.until(lambda: len(heard.all(REPORT)) == before + ROWS)


def believed(heard: Listener) -> int:
    """How many of the reports told a fix that was believed."""
    return sum(told.get("verdict") in ("ok", "parked") for told in heard.all(REPORT))


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_drive_is_asked_for_while_the_bridge_runs(
    driven: BridgeProcess, heard: Listener, tmp_path: Path
) -> None:
    # Page by page over MQTT, as a card on a dashboard does.
    wanted = {"key": "golf", "from": "2026-01-01T00:00:00Z", "to": LATER}
    points: list[Any] = []
    after = ""
    while after is not None:
        page = (await heard.ask("get_track", **wanted, limit=5, after=after))["data"]
        points += page["points"]
        after = page.get("next")
    count = believed(heard)
    assert len(points) == count in (REPORTS, ROWS)
    assert [point["time"] for point in points] == sorted(point["time"] for point in points)
    everything = (await heard.ask("get_track", **wanted, all=True))["data"]["points"]
    assert {point["seq"] for point in everything} >= {point["seq"] for point in points}
    trips = (await heard.ask("get_trips", **wanted))["data"]
    assert trips == {"trips": [], "stops": []}  # it drives on, as far as anybody knows
    refused = await heard.ask("get_track", key="gulf")
    assert refused["error"] == "there is no vehicle 'gulf'; known are golf"

    # The same by commands, which read the file beside the bridge.
    table = said(driven.command("history", "golf", *RANGE))
    assert len(table.splitlines()) == count + 3
    assert f"{count} points, 0 trips, 0.0 km, 0 stops." in table
    assert " sos" in table
    as_json = json.loads(said(driven.command("history", "golf", *RANGE, "--json")))
    assert as_json["points"] == points
    target = tmp_path / "golf.gpx"
    said(driven.command("export", "golf", *RANGE, "--format", "gpx", "--output", str(target)))
    document = gpxpy.parse(target.read_text())
    assert sum(len(one.points) for one in document.tracks[0].segments) == count
    assert [one.name for one in document.waypoints] == ["sos"]
    lines = said(driven.command("export", "golf", *RANGE, "--format", "csv")).splitlines()
    assert len(lines) == count + 1
    collection = json.loads(said(driven.command("export", "golf", *RANGE, "--format", "geojson")))
    assert len(collection["features"]) == 2
    unknown = driven.command("trips", "gulf")
    assert unknown.returncode == 1
    assert "there is no vehicle 'gulf'" in unknown.stderr
    assert "known are golf" in unknown.stderr

    # And the bridge has not minded.
    await drive(driven, heard)
    assert len((await heard.ask("get_track", **wanted, all=True))["data"]["points"]) > REPORTS


async def test_trips_are_asked_for(bridge: BridgeProcess, heard: Listener, dial: Dial) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=VAN, name="Van")
    tracker = await dial()
    # Key in, four minutes northwards, key out; and once more after a minute.
    for begun_s in (540, 240):
        for step in range(5):
            word = ("acc on", "tracker", "tracker", "tracker", "acc off")[step]
            minutes = f"{30 + step / 2 + (540 - begun_s) / 150:07.4f}"
            await tracker.say(
                position(VAN, ago_s=begun_s - 60 * step, keyword=word, minutes=minutes)
            )
    await tracker.say(heartbeat(VAN))
    await tracker.hear(ON)
    found = (await heard.ask("get_trips", key="van"))["data"]
    assert [trip["by"] for trip in found["trips"]] == ["ignition", "ignition"]
    (stop,) = found["stops"]
    assert stop["since"] == found["trips"][0]["ended_at"]
    assert stop["until"] == found["trips"][1]["started_at"]
    told = json.loads(said(bridge.command("trips", "van", "--json")))
    assert told == found
    table = said(bridge.command("trips", "van", "--from", "1h"))
    assert "THEN STOOD" in table
    assert table.rstrip().endswith("2 trips, 7.4 km.")


async def test_it_is_played_again_beside_the_real_one(
    driven: BridgeProcess, heard: Listener, tmp_path: Path
) -> None:
    into = tmp_path / "again"
    lines = said(
        driven.command(
            *("replay", str(tmp_path / "data"), "--into", str(into)),
            *("--publish", "--base-topic", "past"),
        )
    )
    then = heard.all(REPORT)
    assert lines == f"{ROWS} read: {ROWS} reports.\n"
    await heard.until(lambda: len(heard.all("past/vehicle/golf/report")) == len(then))
    for was, is_ in zip(then, heard.all("past/vehicle/golf/report"), strict=True):
        assert {**was, "epoch": ""} == {**is_, "epoch": ""}
    assert heard.all("past/vehicle/golf/history") == []
    was, is_ = (heard.latest(f"{base}/vehicle/golf/position") for base in (BASE, "past"))
    assert {**was, "epoch": ""} == {**is_, "epoch": ""}
    assert [one["event_type"] for one in heard.all("past/vehicle/golf/alarm")] == ["sos"]
    await heard.until(lambda: heard.latest("past/bridge/state") == "offline")
    entities = [told for topic, told, _ in heard.messages if "homeassistant/device/past" in topic]
    assert not any(entities)  # at most the empty one that takes them away
    again = driven.command("replay", str(tmp_path / "data"), "--into", str(into))
    assert again.returncode == 4
    assert "is not empty" in again.stderr


async def test_what_a_stranger_captured_is_played_here(
    driven: BridgeProcess, heard: Listener, tmp_path: Path
) -> None:
    capture = tmp_path / "capture.jsonl"
    capture.write_text(said(driven.command("capture", GOLF)))
    lines = said(driven.command("replay", str(capture), "--into", str(tmp_path / "again")))
    assert f" {ROWS} reports." in lines
    key = json.loads((tmp_path / "again" / "registry.json").read_text())["vehicles"][0]["key"]
    driven.environment["TK103B__STORAGE__PATH"] = str(tmp_path / "again")
    assert f"{believed(heard)} points" in said(driven.command("history", key, *RANGE))
