"""Reports a second, from bytes on a tracker's socket to all their topics acknowledged by Mosquitto.

Ours: a real bridge process with its defaults, so every report is committed with synchronous=FULL
before anything follows from it. This process is the load: 20 trackers of both protocols on 20 TCP
connections (see `drive`). The clock starts with the first byte and stops when the bridge says, asked
by MQTT, that every row of its journal is acknowledged. A real Mosquitto (`set_tcp_nodelay true`, on
loopback) takes the messages at QoS 1.

The yardstick: `alone`, given the very messages that the bridge published in the same round (topics,
payloads, retain flags, in this order), to the same Mosquitto.

Fair, we think, because both publish the same bytes at the same QoS, both are heard by one subscriber
that works as little as possible (`tap`), and both get a process of their own; because rounds of both
alternate and the best round counts for each; and because the messages a report becomes are counted,
not assumed: position and state are only ever the newest, so a busy bridge publishes fewer of them,
which spares the yardstick just as many. Not fair to us, and meant so: paho-mqtt alone needs no
socket to trackers, no decoding, no journal, no load generator on the same two cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import aiomqtt

from tests.benchmarks.alone import save
from tests.benchmarks.drive import Fleet
from tests.benchmarks.tap import Tap
from tests.conftest import Mosquitto, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess

ROUNDS = 5
POSITIONS = 400
"""Of each tracker and round."""

_WARM_UP_POSITIONS = 25
_DAY_S = 86_400
_ALL_DRIVES = timedelta(seconds=(ROUNDS + 1) * POSITIONS)
_HEALTH = f"{BASE}/bridge/request/health_check", f"{BASE}/bridge/response/health_check"


class Round(NamedTuple):
    """What one round has reached."""

    reports_per_s: float
    messages_per_report: float
    messages_per_s_alone: float

    @property
    def reports_per_s_alone(self) -> float:
        """How many reports the yardstick would have published in a second."""
        return self.messages_per_s_alone / self.messages_per_report


async def measure(rounds: int = ROUNDS) -> list[Round]:
    """Return what was reached, round by round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder, free_port())
        broker.start()
        try:
            async with _bridge(folder, broker) as bridge:
                return await _measure(bridge, broker, folder / "messages", rounds)
        finally:
            broker.stop()


@asynccontextmanager
async def _bridge(folder: Path, broker: Mosquitto) -> AsyncIterator[BridgeProcess]:
    """A running bridge that accepts every tracker, and to which a drive of hours is no old news."""
    bridge = BridgeProcess(
        folder,
        broker.port,
        TK103B__ACCESS__UNKNOWN="accept",
        TK103B__LIMITS__LIVE_AGE_S=str(_DAY_S),
    )
    bridge.start()
    try:
        await bridge.listening()
        yield bridge
    finally:
        bridge.stop()


async def _measure(
    bridge: BridgeProcess, broker: Mosquitto, file: Path, rounds: int
) -> list[Round]:
    tap = Tap(broker.port, f"{BASE}/vehicle/#")
    fleet = Fleet(datetime.now(UTC) - _ALL_DRIVES)
    found = []
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe(_HEALTH[1])
        await fleet.dial(bridge.port)
        await fleet.drive(_WARM_UP_POSITIONS)
        await _settled(client)
        await asyncio.to_thread(tap.take)
        for _ in range(rounds):
            begin = perf_counter()
            reports = await fleet.drive(POSITIONS)
            await _settled(client)
            elapsed = perf_counter() - begin
            messages = await asyncio.to_thread(tap.take)
            told = sum(message.topic.endswith("/report") for message in messages)
            assert told == reports, f"{reports} reports were sent, {told} published"
            save(messages, file)
            alone = await _alone(broker.port, file)
            await asyncio.to_thread(tap.take)
            found.append(Round(reports / elapsed, len(messages) / reports, alone))
        await fleet.leave()
    tap.close()
    return found


async def _settled(client: aiomqtt.Client) -> None:
    """Return once the broker has acknowledged every row of the journal."""

    async def no_lag() -> bool:
        health = await _health(client)
        assert not health["rejected"], health
        return health["journal_lag"]["mqtt"] == 0

    await eventually(no_lag, within_s=60.0)


async def _health(client: aiomqtt.Client) -> Any:
    request, _ = _HEALTH
    await client.publish(request, b"{}", qos=1)
    message = await anext(client.messages)
    assert isinstance(message.payload, bytes)
    return json.loads(message.payload)["data"]


async def _alone(port: int, file: Path) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.alone", str(port), str(file),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return float(output)
