"""A bridge is saved in the middle of its work and goes on somewhere else, as the same bridge."""

from __future__ import annotations

import asyncio
import json
import signal
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Mosquitto
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker, listening
from tests.e2e.speech import ON, discovery, heartbeat, help_me, position, receipt, serving

GOLF, VAN = "864000000009801", "864000000009802"


@pytest.fixture
def other(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge on another machine, not started and with an empty data folder."""
    folder = tmp_path / "other"
    folder.mkdir()
    process = BridgeProcess(folder, mosquitto.port)
    yield process
    if process.process is not None:
        process.stop(signal.SIGKILL)


async def report(tracker: Tracker, device_id: str, numbers: range) -> None:
    """Send reports that can be told apart, and wait until they are on disk."""
    for number in numbers:
        await tracker.say(position(device_id, ago_s=60, minutes=f"31.{number:04d}"))
    await tracker.say(heartbeat(device_id))
    await tracker.hear(ON)


@asynccontextmanager
async def driving(dial: Dial) -> AsyncIterator[None]:
    """Report without pause for as long as the context lasts."""
    tracker = await dial()

    async def drive() -> None:
        number = 0
        while True:
            await report(tracker, VAN, range(number, number + 20))
            number = (number + 20) % 9000

    task = asyncio.create_task(drive())
    yield
    assert not task.done(), "the tracker was hung up on"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def published(heard: Listener, epoch: str) -> set[int]:
    """Return the numbers of the rows that were told of, under one epoch."""
    return {
        told["seq"]
        for topic, payload, _ in heard.messages
        if topic.endswith(("/report", "/history"))
        for told in (json.loads(payload),)
        if told["epoch"] == epoch
    }


class Told(NamedTuple):
    """What a bridge tells of itself."""

    epoch: str
    identity: tuple[str, str]
    vehicles: list[tuple[str, str, list[str]]]
    unique_ids: set[str]
    """What Home Assistant knows the entities by."""


async def told(heard: Listener, *, golf_has: str) -> Told:
    """Wait until the bridge has told of everything, and return that."""
    info = await heard.topic(f"{BASE}/bridge/info")
    devices = await heard.topic(f"{BASE}/bridge/devices")
    for key in ("bridge", "golf", "van"):
        await heard.topic(discovery(key))
    await heard.until(lambda: golf_has in heard.latest(discovery("golf"))["components"])
    return Told(
        epoch=info["epoch"],
        identity=(info["instance"], info["namespace"]),
        vehicles=[(car["key"], car["name"], car["trackers"]) for car in devices["vehicles"]],
        unique_ids={
            component["unique_id"]
            for key in ("bridge", "golf", "van")
            for component in heard.latest(discovery(key))["components"].values()
            if "unique_id" in component
        },
    )


async def test_a_bridge_saved_under_load_goes_on_elsewhere_as_the_same(
    bridge: BridgeProcess, other: BridgeProcess, mosquitto: Mosquitto, dial: Dial
) -> None:
    bridge.command("accept", GOLF, "--name", "Golf")
    bridge.command("accept", VAN, "--name", "Van")
    async with listening(mosquitto.port) as heard:
        await serving(bridge, heard)
        golf = await dial()
        await golf.say(help_me(GOLF, ago_s=2))
        await golf.hear(receipt(GOLF))
        await report(golf, GOLF, range(20))
        was = await told(heard, golf_has="sos_alarm")
        await heard.until(lambda: len(published(heard, was.epoch)) == 21)
        before = published(heard, was.epoch)
    mosquitto.stop()
    # What comes now waits for the broker, in the journal and so in the backup.
    await report(golf, GOLF, range(20, 60))
    file = bridge.folder / "saved.zip"
    async with driving(dial):
        saved = await asyncio.to_thread(bridge.command, "backup", str(file))
    bridge.stop(signal.SIGKILL)
    with zipfile.ZipFile(file) as packed:
        last = json.loads(packed.read("manifest.json"))["last_seq"]
    assert last > 61
    assert saved.stdout.startswith(f"{file}: 2 vehicles, journal up to row {last}, ")

    restored = await asyncio.to_thread(other.command, "restore", str(file))
    assert f"Restored into {other.folder / 'data'}: 2 vehicles" in restored.stdout
    mosquitto.start()
    async with listening(mosquitto.port) as heard:
        await serving(other, heard)
        now = await told(heard, golf_has="sos_alarm")
        assert (now.identity, now.vehicles) == (was.identity, was.vehicles)
        assert now.vehicles == [("golf", "Golf", [GOLF]), ("van", "Van", [VAN])]
        assert now.epoch != was.epoch
        assert was.unique_ids <= now.unique_ids
        # Everything up to the backup was told of, here or there, and in one piece.
        await heard.until(lambda: last in published(heard, now.epoch))
        here = published(heard, now.epoch)
        assert before | here == set(range(1, last + 1))
        assert here == set(range(min(here), last + 1))
        assert min(here) > 1
        tracker = await Tracker.dial(other.port)
        try:
            await report(tracker, GOLF, range(60, 61))
            await heard.until(lambda: max(published(heard, now.epoch)) > last)
        finally:
            await tracker.leave()
    assert other.stop() == 0


async def test_nothing_is_restored_into_a_bridge_that_runs(
    bridge: BridgeProcess, heard: Listener
) -> None:
    await serving(bridge, heard)
    bridge.command("accept", GOLF, "--name", "Golf")
    file = bridge.folder / "saved.zip"
    saved = bridge.command("backup", str(file))
    assert (saved.returncode, saved.stderr) == (0, "")
    in_use = bridge.command("restore", str(file), "--force")
    assert in_use.returncode == 4
    assert "in use by process" in in_use.stderr
    assert bridge.stop() == 0
    forced = bridge.command("restore", str(file), "--force")
    assert (forced.returncode, forced.stderr) == (0, "")
    aside = bridge.folder / "data" / "before-restore-"
    assert f"What was there before lies in {aside}" in forced.stdout
