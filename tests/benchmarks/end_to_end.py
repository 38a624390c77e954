"""Reports a second, from bytes on a tracker's socket to all their topics acknowledged by Mosquitto.

Ours: a real bridge process with its defaults, so every report is committed with synchronous=FULL
before anything follows from it. This process is the load: 20 trackers of both protocols on 20
TCP connections (see `drive`). The clock starts with the first byte and stops when the bridge
says, asked by MQTT, that every row of its journal is acknowledged. A real Mosquitto
(`set_tcp_nodelay true`, on loopback) takes the messages at QoS 1.

The yardstick: `alone`, given the very messages that the bridge published in the same round
(topics, payloads, retain flags, in this order), to the same Mosquitto.

Fair, we think: both publish the same bytes at the same QoS, both are heard by one subscriber
that works as little as it can (`tap`), both have a process of their own, rounds of both
alternate, and the best round counts for each. The yardstick has its best window, found in a
first round that does not count. How many messages a report becomes is counted, not assumed:
position and state are only ever the newest, so a busy bridge publishes fewer of them, and the
yardstick is spared just as many. What is not equal is meant so: paho-mqtt alone has no trackers,
no decoding, no journal, and no load generator beside it on the same cores.
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

from tests.benchmarks.alone import WINDOWS, save
from tests.benchmarks.drive import Fleet
from tests.benchmarks.tap import Message, Tap
from tests.conftest import Mosquitto, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess

ROUNDS = 5
POSITIONS = 400
"""Of each tracker and round."""

PATIENCE_S = 100.0
"""For all rounds; on a machine that needs longer the numbers would mean nothing."""

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
    async with asyncio.timeout(PATIENCE_S), aiomqtt.Client("127.0.0.1", broker.port) as client:
        await _online(client)
        await fleet.dial(bridge.port)
        *_, messages = await _round(fleet, client, tap)
        save(messages, file)
        _, window = max([(await _alone(broker, file, one), one) for one in 2 * WINDOWS])
        await asyncio.to_thread(tap.take)
        for _ in range(rounds):
            reports_per_s, messages_per_report, messages = await _round(fleet, client, tap)
            save(messages, file)
            alone = await _alone(broker, file, window)
            await asyncio.to_thread(tap.take)
            found.append(Round(reports_per_s, messages_per_report, alone))
        await fleet.leave()
    tap.close()
    return found


async def _round(
    fleet: Fleet, client: aiomqtt.Client, tap: Tap
) -> tuple[float, float, list[Message]]:
    """Let the fleet drive; return reports/s, messages a report, and the messages."""
    positions = fleet.positions(POSITIONS)
    begin = perf_counter()
    await fleet.drive(positions)
    await _settled(client)
    elapsed = perf_counter() - begin
    messages = await asyncio.to_thread(tap.take)
    reports = sum(map(len, positions))
    told = sum(message.topic.endswith("/report") for message in messages)
    assert told == reports, f"{reports} reports were sent, {told} published"
    return reports / elapsed, len(messages) / reports, messages


async def _online(client: aiomqtt.Client) -> None:
    """Return once the bridge has reached the broker and answers requests."""
    await client.subscribe(f"{BASE}/bridge/state")
    async for message in client.messages:
        if message.payload == b"online":
            break
    await client.unsubscribe(f"{BASE}/bridge/state")
    await client.subscribe(_HEALTH[1])


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


async def _alone(broker: Mosquitto, file: Path, window: int) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.alone", str(broker.port), str(file), str(window),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return float(output)
