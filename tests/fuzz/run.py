"""Runs the fuzz and prints a table; ``python -m tests.fuzz.run --count 1000000`` is `make fuzz`.

Nine tenths of the inputs go through `Connection`, the rest over real sockets through the listener.
A failure names its seed and prints the input, to become a corpus line.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bridge.protocols.connection import Connection, Received, Rejected
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import FRAMES, LINES
from tests.bridge.port import Port, serving
from tests.conftest import eventually
from tests.fuzz.mutate import chunks, inputs

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
SLOW_S = 0.03
"""Of processor time for an input of at most 6 KB, which takes well under a millisecond; the best of
three, so that a collection of garbage is no finding."""

WARM_UP = 5000
GROWTH_MB = 24
AT_ONCE = 40

HONEST = [*FRAMES, *sorted({b"".join(line.chunks) for line in LINES})]
"""Frames, and whole conversations: some protocols say who speaks only at the beginning."""


@dataclass
class Tally:
    """What came of it."""

    inputs: int = 0
    bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    through_listener: int = 0
    growth_mb: float = 0.0

    def __str__(self) -> str:
        rows = [
            ("inputs", f"{self.inputs:,}"),
            ("  of these through the listener", f"{self.through_listener:,}"),
            ("bytes", f"{self.bytes:,}"),
            *((f"  {name}", f"{count:,}") for name, count in sorted(self.outcomes.items())),
            ("slowest input, ms of processor", f"{self.slowest_ms:.2f}"),
            ("growth of memory, MB", f"{self.growth_mb:.1f}"),
        ]
        return "\n".join(f"{name:36} {value:>14}" for name, value in rows)


def converse(data: bytes, reads: Sequence[bytes], *, datagrams: bool) -> Counter[str]:
    """Put one input through a fresh Connection; raise AssertionError where a law is broken."""
    connection = Connection(PROTOCOLS, datagrams=datagrams)
    events = []
    for read in reads:
        connection.receive_data(read)
        events += connection.events(NOW)
        assert datagrams or connection.unfinished_bytes <= connection.frame_bytes
    if not datagrams:
        connection.receive_eof()
        events += connection.events(NOW)
    outcomes: Counter[str] = Counter()
    seen = 0
    for event in events:
        seen += len(event.frame)
        if isinstance(event, Received):
            for message in event.messages:
                msgspec.json.encode(message)
                assert message.device_id.isalnum()
                assert len(message.device_id) <= 32
            outcomes[f"understood as {event.protocol}"] += 1
        else:
            assert isinstance(event, Rejected)
            outcomes[f"rejected by {event.protocol or 'all'}"] += 1
    assert seen + connection.noise_bytes == len(data), "bytes were lost or counted twice"
    return outcomes


def through_connection(count: int, seed: int, tally: Tally) -> None:
    """Put `count` inputs through Connection."""
    rng = random.Random(seed)  # noqa: S311 - repeatable
    before = 0.0
    for number, data in enumerate(inputs(HONEST, count, seed)):
        datagrams = rng.random() < 0.3
        reads = [data] if datagrams else chunks(rng, data)
        try:
            started = time.thread_time()
            outcomes = converse(data, reads, datagrams=datagrams)
            spent = time.thread_time() - started
            if spent > SLOW_S:
                spent = min(spent, *(_again(data, reads, datagrams=datagrams) for _ in range(2)))
                assert spent <= SLOW_S, f"slow: {spent * 1000:.0f} ms"
        except Exception:
            print(f"seed {seed}, input {number}: {data!r}", file=sys.stderr)  # noqa: T201
            raise
        tally.inputs += 1
        tally.bytes += len(data)
        tally.outcomes.update(outcomes)
        tally.slowest_ms = max(tally.slowest_ms, spent * 1000)
        if number == WARM_UP:
            before = _memory_mb()
    if before:
        tally.growth_mb = _memory_mb() - before
        assert tally.growth_mb < GROWTH_MB, f"memory has grown by {tally.growth_mb:.0f} MB"


def _again(data: bytes, reads: Sequence[bytes], *, datagrams: bool) -> float:
    started = time.thread_time()
    converse(data, reads, datagrams=datagrams)
    return time.thread_time() - started


def _memory_mb() -> float:
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def through_listener(count: int, seed: int, tally: Tally, folder: Path) -> None:
    """Send `count` inputs to a listener, a connection or a datagram each."""
    async with serving(
        folder, connections_per_address=1000, datagrams_per_s=100_000, udp_sessions=50
    ) as port:
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for number, data in enumerate(inputs(HONEST, count, seed)):
                await gate.acquire()
                task = group.create_task(_visit(port, data, udp=number % 4 == 3))
                task.add_done_callback(lambda _: gate.release())
                tally.bytes += len(data)
        await eventually(lambda: not port.streams.peers)
        counters = port.counters
        tally.outcomes["listener: messages"] += counters.messages
        tally.outcomes["listener: rejected"] += counters.rejected
        assert len(port.intake.guests) <= port.intake.config.limits.guests
        assert len(port.intake.vehicles) == 3, "a stranger has become a vehicle"
    tally.inputs += count
    tally.through_listener += count


async def _visit(port: Port, data: bytes, *, udp: bool) -> None:
    if udp:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port.number)
        )
        transport.sendto(data)
        transport.close()
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(30):
            await reader.read()
    except (ConnectionError, OSError):
        pass  # hung up on while we were still talking: as it should be
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def fuzz(count: int, seed: int) -> Tally:
    """Run `count` inputs and return what came of it; raises where the bridge breaks a promise."""
    tally = Tally()
    through_connection(count - count // 10, seed, tally)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(through_listener(count // 10, seed + 1, tally, Path(folder)))
    return tally


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started = time.monotonic()
    print(fuzz(arguments.count, arguments.seed))  # noqa: T201
    print(f"{'seconds':36} {time.monotonic() - started:>14.0f}")  # noqa: T201


if __name__ == "__main__":
    main()
