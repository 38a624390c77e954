"""A real Node-RED for all tests; a broker and a bridge with a car and a van for each."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bridge.simulator import Options, Simulator, Summary
from tests.conftest import Mosquitto, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Listener, listening
from tests.node_red.provide import UnprovidedError, provide
from tests.node_red.server import Flow, NodeRed, Sidebar, example

KEY, NAME, TRACKER, PHONE = "my_golf", "My Golf", "864000000001234", "+4915100000001"
VAN = "van"
CONFIGURATION = f"""\
vehicles:
  {KEY}:
    name: {NAME}
    trackers: [{TRACKER}]
    timezone: UTC
    phone: "{PHONE}"
  {VAN}:
    trackers: [864000000005678]
"""


def installed() -> Path:
    """Return where Node-RED is, or skip; where CI runs, a missing one is a failure."""
    try:
        return provide()
    except UnprovidedError as error:
        message = f"{error}\nso nothing was proven here"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def one_node_red(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    process = NodeRed(installed(), tmp_path_factory.mktemp("node-red"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that tells who subscribes to what."""
    broker = Mosquitto(tmp_path, free_port(), "allow_anonymous true", "log_type subscribe")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def heard(mosquitto: Mosquitto) -> AsyncIterator[Listener]:
    with suppress(aiomqtt.MqttError):
        async with listening(mosquitto.port) as listener:
            yield listener


@pytest.fixture
async def bridge(
    mosquitto: Mosquitto, tmp_path: Path, heard: Listener
) -> AsyncIterator[BridgeProcess]:
    """A bridge that knows two vehicles, on line."""
    file = tmp_path / "tk103b-bridge.yaml"
    file.write_text(CONFIGURATION)
    process = BridgeProcess(tmp_path, mosquitto.port)
    process.start("--config", str(file))
    await process.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    yield process
    process.stop()


LONGEST_STEP_S = 5.0
"""Of the car's time: a machine that is busy for a while does not make it late."""


class Clock:
    """A clock that stands still when nobody has looked at it for long."""

    def __init__(self, begin: datetime, longest: timedelta) -> None:
        self._shown = begin
        self._longest = longest
        self._looked_at = datetime.now(UTC)

    def __call__(self) -> datetime:
        now = datetime.now(UTC)
        self._shown += min(now - self._looked_at, self._longest)
        self._looked_at = now
        return self._shown


class Car:
    """The vehicle's simulated tracker, at the times and places a test wants."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._driving: Simulator | None = None

    async def drive(
        self, *way: tuple[float, float, float], began: datetime, every_s: float, **options: Any
    ) -> Summary:
        """Drive a way of (seconds since it began, latitude, longitude), in a moment."""
        file = self._folder / "way.gpx"
        points = (
            f'<trkpt lat="{latitude}" lon="{longitude}">'
            f"<time>{(began + timedelta(seconds=second)).isoformat()}</time></trkpt>"
            for second, latitude, longitude in way
        )
        file.write_text(f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>")
        usual = {"count": int(way[-1][0] / every_s) + 1, "speed_up": 5000.0}
        chosen = Options(
            port=self._port, device_id=TRACKER, route=str(file), utc_offset_minutes=0,
            interval_s=every_s, heartbeat_s=86_400.0, reply_timeout_s=86_400.0,
            repeat_s=86_400.0, **{**usual, **options},
        )  # fmt: skip
        clock = Clock(began, timedelta(seconds=LONGEST_STEP_S / chosen.speed_up))
        self._driving = Simulator(chosen, now=clock)
        return await self._driving.run()

    def stop(self) -> None:
        """End the drive here."""
        assert self._driving is not None
        self._driving.stop()


@dataclass(frozen=True, slots=True)
class House:
    """All that runs: a car, the bridge it reports to, and a Node-RED that hears of it."""

    car: Car
    heard: Listener
    node_red: NodeRed
    sidebar: Sidebar
    mosquitto: Mosquitto

    def flow(self, name: str, **settings: Any) -> Flow:
        """Return a flow of the examples, set up for this broker."""
        return example(name, self.mosquitto.port, **settings)

    async def imports(self, *flows: Flow) -> None:
        """Import flows, and wait until they hear what they want to hear."""
        await self.node_red.deploy(*flows)
        wanted = {node["topic"] for flow in flows for node in flow if node["type"] == "mqtt in"}

        def subscribed() -> bool:
            # A line for each: the client, the quality of service, the topic; ours hears "#".
            log = self.mosquitto._log.read_text()
            return wanted <= set(re.findall(r" nodered\S* \d (\S+)$", log, re.MULTILINE))

        await eventually(subscribed)


@pytest.fixture
async def house(
    one_node_red: NodeRed,
    mosquitto: Mosquitto,
    heard: Listener,
    bridge: BridgeProcess,
    tmp_path: Path,
) -> AsyncIterator[House]:
    """Everything, with no flow yet; in the end no node may have told of an error."""
    await one_node_red.running()
    async with one_node_red.sidebar() as sidebar:
        car = Car(bridge.port, tmp_path)
        yield House(car, heard, one_node_red, sidebar, mosquitto)
        await one_node_red.deploy()  # while the broker is there to take leave of
        assert sidebar.complaints() == []


class Gateway:
    """What takes requests over HTTP: a gateway for SMS, a service for messages."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[str] = []
        """The bodies, in order."""
        self.url = ""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", free_port())
        self.url = "http://{}:{}/send".format(*self._server.sockets[0].getsockname())

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        self.taken.append((await reader.readexactly(int(length[1]) if length else 0)).decode())
        headers = "Content-Length: 0\r\nConnection: close"
        writer.write(f"HTTP/1.1 {self.status} -\r\n{headers}\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    one = Gateway()
    await one.open()
    yield one
    await one.close()
