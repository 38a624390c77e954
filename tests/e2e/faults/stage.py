"""Where a fault happens: one broker, one bridge, one ear, some trackers, of this fault alone."""

from __future__ import annotations

import asyncio
import getpass
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.registry import Registry
from tests.conftest import Mosquitto, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess
from tests.e2e.faults.ear import Ear
from tests.e2e.faults.tally import Line, Tally
from tests.e2e.faults.trackers import Box, Car, Now, Way, drive, utc_now
from tests.e2e.faults.wire import Wire

CARS = {f"86400000000740{number}": f"car_{number}" for number in range(1, 6)}
"""Simulated: id and key."""
BOX = "864000000007490"
"""The one that does as told; its key is `box`."""

STARTS_WITHIN_S = 30.0


class Stage:
    """Everything a fault needs. `long` asks for the long form; `random` is seeded with `seed`."""

    def __init__(self, folder: Path, *, long: bool, seed: int) -> None:
        self.folder = folder
        self.long = long
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - a fault's moments are no secret
        self.injected = ""
        """What was done, in words for the table."""
        self.tally = Tally()
        self.data = folder / "data"
        self.mosquitto = Mosquitto(folder, free_port(), *_lasting(folder))
        self.ear = Ear(self.mosquitto.port)
        self.wire = Wire(self.mosquitto.port)
        self.bridge = BridgeProcess(folder, self.mosquitto.port)
        self.now: Now = utc_now
        self._way: Way | None = None
        self._cars: list[Car] = []
        self._boxes: list[Box] = []

    # --- the bridge

    async def start(self, *, wired: bool = False) -> None:
        """Start broker, ear and bridge; `wired`: the bridge reaches the broker by the wire."""
        if not self.data.exists() or not any(self.data.iterdir()):
            self.accept()
        self.mosquitto.start()
        await self.ear.open()
        if wired:
            await self.wire.open()
            self.bridge.environment["TK103B__MQTT__PORT"] = str(self.wire.port)
        await self.start_bridge()

    def accept(self) -> None:
        """Make every tracker here known, as a person would have before."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        registry = Registry.open(self.data, BASE)
        for device_id, key in {**CARS, BOX: "box"}.items():
            registry.accept(device_id, name=key.title(), key=key)

    async def start_bridge(self) -> None:
        """Start the bridge and wait until it serves."""
        before = self.ear.onlines()
        self.bridge.start()
        await self.bridge.listening()
        await self.ear.until(lambda: self.ear.onlines() > before, STARTS_WITHIN_S)

    async def stop_bridge(self, number: int = signal.SIGTERM) -> int:
        """Stop the bridge; return its exit code. Nobody else stands still meanwhile."""
        return await asyncio.to_thread(self.bridge.stop, number)

    def kill_bridge(self) -> None:
        """End the bridge this very moment."""
        self.bridge.stop(signal.SIGKILL)

    async def ends(self, bridge: BridgeProcess) -> int:
        """Return the exit code of a bridge that ends by itself."""
        process = bridge.process
        assert process is not None
        await eventually(lambda: process.poll() is not None, within_s=STARTS_WITHIN_S)
        bridge.process = None
        return process.returncode

    @property
    def log(self) -> str:
        """Everything the bridge has said so far."""
        return self.bridge.log.read_text()

    async def logs(self, words: str, times: int = 1) -> None:
        """Wait until the bridge has said something so often."""
        await eventually(lambda: self.log.count(words) >= times)

    # --- who reports

    def cars(self, count: int, reports: int) -> list[Car]:
        """Let so many cars drive off, each with so many reports to make."""
        cars = [
            Car(self.tally, drive(self.bridge.port, device_id, reports, self.seed))
            for device_id in list(CARS)[:count]
        ]
        self._cars += cars
        for car in cars:
            car.start()
        return cars

    async def box(self, address: str = "127.0.0.1", north: int = 1) -> Box:
        """Connect the box from an address of this machine; `north`: see `Way`."""
        self._way = self._way or Way(self.now, north)
        box = Box(self.tally, self.bridge.port, BOX, self._way, self.now)
        self._boxes.append(box)
        await box.dial(address)
        return box

    # --- the end

    async def settled(self, within_s: float = 60.0) -> None:
        """Wait until the broker has acknowledged every committed row."""

        async def told() -> bool:
            health = await self.ear.ask("health_check")
            return health is not None and health["journal_lag"]["mqtt"] == 0

        await eventually(told, within_s=within_s)

    def unjournalled(self) -> int:
        """Return how many reports were told without a place in the journal."""
        return sum(body.get("journalled") is False for body in self.ear.said("report", "history"))

    async def count(self) -> Tally:
        """Stop the bridge in good order and close the books."""
        await self.settled()
        for one in self._boxes:
            await one.leave()
        assert await self.stop_bridge() == 0
        await self.ear.until(lambda: self.ear.state() == "offline")
        self.tally.read(self.data / "journal.db")
        self.tally.hear(self.ear.heard)
        _, traceback, what = self.log.partition("Traceback")
        assert not traceback, what[:3000]
        return self.tally

    async def leave(self) -> None:
        """Take everything down, whatever state it is in."""
        for one in self._boxes:
            await one.leave()
        for car in self._cars:
            await car.stop()
        if self.bridge.process is not None:
            await self.stop_bridge(signal.SIGKILL)
        self.ear.close()
        await self.wire.close()
        self.mosquitto.stop()

    def line(self, fault: str) -> Line:
        """Return the fault's line of the table."""
        return self.tally.line(fault, self.injected)


def _lasting(folder: Path) -> tuple[str, ...]:
    """Options of a broker that remembers all it was given, over its own restarts too."""
    return (
        "allow_anonymous true",
        f"user {getpass.getuser()}",  # as root it would become somebody who may not write here
        "persistence true",
        f"persistence_location {folder}/",
        "max_inflight_messages 0",
    )


@asynccontextmanager
async def staged(folder: Path, *, long: bool, seed: int) -> AsyncIterator[Stage]:
    """Give a stage, and take it down in the end."""
    stage = Stage(folder, long=long, seed=seed)
    try:
        yield stage
    finally:
        await stage.leave()
