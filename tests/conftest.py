"""What tests of every room share: free ports, a real broker, waiting for something to be so."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no finding. Where CI runs, a green change stays green: the examples are fixed.
settings.register_profile(
    "bridge",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bridge")

PATIENCE_S = 30.0


def _candidates() -> Iterator[int]:
    """Yield ports by chance: none twice, and none that a worker beside us yields, too."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ours = range(20_000 + worker, 32_000, workers)
    while True:
        yield from random.sample(ours, len(ours))


_CANDIDATES = _candidates()


def free_port() -> int:
    """Return a port that is free now, for TCP and UDP alike, and nobody else's until it is used.

    None that the system gives to outgoing connections: one to a closed port of that range may
    come out at itself, and be answered by nobody but its own words.
    """
    while True:
        port = next(_CANDIDATES)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            try:
                stream.bind(("127.0.0.1", port))
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def eventually(
    condition: Callable[[], object] | Callable[[], Awaitable[object]],
    *,
    within_s: float = PATIENCE_S,
    every_s: float = 0.01,
) -> object:
    """Wait until the condition is true, and return what it gave; fail when it never is."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "this did not come to be in time"
        await asyncio.sleep(every_s)


def mosquitto_program() -> str:
    """Return the path of Mosquitto, or skip; where CI runs, a missing one is a failure."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        message = "MOSQUITTO IS MISSING, so nothing was proven here. Try: apt install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


class Mosquitto:
    """A real broker on a loopback port, that can be stopped and started again."""

    def __init__(self, folder: Path, port: int, *lines: str) -> None:
        self.port = port
        self._file = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._program = mosquitto_program()
        options = lines or ("allow_anonymous true",)
        self._file.write_text(
            "\n".join(
                (
                    f"listener {port} 127.0.0.1",
                    "set_tcp_nodelay true",
                    # Who listens may be slow, and is to miss nothing.
                    "max_queued_messages 1000000",
                    *options,
                    "",
                )
            )
        )

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._file)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "mosquitto does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running Mosquitto without rules, of this test alone."""
    broker = Mosquitto(tmp_path, free_port())
    broker.start()
    yield broker
    broker.stop()
