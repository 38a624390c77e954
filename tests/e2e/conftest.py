"""A real bridge as a process, and somebody who listens to what it tells the broker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.conftest import PATIENCE_S, Mosquitto, eventually, free_port
from tests.reference.heard import complaints

BASE = "tk103b"


class BridgeProcess:
    """The bridge as people start it, on loopback ports and a folder of its own."""

    def __init__(self, folder: Path, mqtt_port: int, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "bridge.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if "TK103B" not in name},
            "TK103B__LISTEN__HOST": "127.0.0.1",
            "TK103B__LISTEN__PORT": str(self.port),
            "TK103B__MQTT__HOST": "127.0.0.1",
            "TK103B__MQTT__PORT": str(mqtt_port),
            "TK103B__STORAGE__PATH": str(folder / "data"),
            "TK103B__LIMITS__WHOAMI_S": "0.3",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "run", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    async def listening(self) -> None:
        def connects() -> bool:
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        await eventually(connects)


class Listener:
    """Everything that was published, in order, and the latest of each topic."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.messages: list[tuple[str, bytes, bool]] = []
        self.forged: set[tuple[str, bytes]] = set()
        self._answers = 0

    def latest(self, topic: str) -> Any:
        for known, payload, _ in reversed(self.messages):
            if known == topic:
                return _value(payload)
        return None

    def all(self, topic: str) -> list[Any]:
        return [_value(payload) for known, payload, _ in self.messages if known == topic]

    def vehicle(self, key: str, leaf: str) -> Any:
        return self.latest(f"{BASE}/vehicle/{key}/{leaf}")

    async def until(self, condition: Callable[[], object]) -> Any:
        return await eventually(condition)

    async def topic(self, topic: str) -> Any:
        return await eventually(lambda: self.latest(topic))

    async def forge(self, topic: str, payload: bytes) -> None:
        """Say what only a bridge would say."""
        self.forged.add((topic, payload))
        await self.client.publish(topic, payload, qos=1)

    async def ask(self, verb: str, **body: Any) -> Any:
        self._answers += 1
        mark = f"t{self._answers}"
        payload = json.dumps({**body, "transaction": mark})
        await self.client.publish(f"{BASE}/bridge/request/{verb}", payload, qos=1)

        def answered() -> Any:
            for answer in self.all(f"{BASE}/bridge/response/{verb}"):
                if answer.get("transaction") == mark:
                    return answer
            return None

        return await eventually(answered)


def _value(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Listener]:
    """Hear everything on a broker. What the bridge says is in the end held against AsyncAPI."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        listener = Listener(client)
        await client.subscribe("#", qos=1)

        async def hear() -> None:
            with suppress(aiomqtt.MqttError):
                async for message in client.messages:
                    payload = message.payload
                    assert isinstance(payload, bytes)
                    listener.messages.append((message.topic.value, payload, message.retain))

        task = asyncio.create_task(hear())
        yield listener
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    said = ((topic, payload) for topic, payload, _ in listener.messages)
    assert complaints(one for one in said if one not in listener.forged) == []


@pytest.fixture
async def heard(mosquitto: Mosquitto) -> AsyncIterator[Listener]:
    """Hear everything on this test's broker."""
    with suppress(aiomqtt.MqttError):  # a test may have stopped it
        async with listening(mosquitto.port) as listener:
            yield listener


@pytest.fixture
def bridge(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge that is not started yet."""
    process = BridgeProcess(tmp_path, mosquitto.port)
    yield process
    if process.process is not None:
        process.stop(signal.SIGKILL)


class Tracker:
    """A raw TCP peer: exact bytes out, exact bytes in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, port: int) -> Tracker:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self, expected: bytes, more: int = 0) -> None:
        """Read what is expected, and so many bytes behind it that only the bridge knows."""
        async with asyncio.timeout(PATIENCE_S):
            heard = await self._reader.readexactly(len(expected) + more)
        assert heard[: len(expected)] == expected

    async def hung_up(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read(1) == b""
            except ConnectionResetError:
                return True

    async def leave(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


Dial = Callable[[], Awaitable[Tracker]]


@pytest.fixture
async def dial(bridge: BridgeProcess) -> AsyncIterator[Dial]:
    """Dial the bridge as a tracker does; every connection is closed in the end."""
    trackers: list[Tracker] = []

    async def dial_one() -> Tracker:
        trackers.append(await Tracker.dial(bridge.port))
        return trackers[-1]

    yield dial_one
    for tracker in trackers:
        await tracker.leave()
