"""A real HAProxy before a real bridge, as examples/haproxy has it: 127.0.0.1 is the rented server.

Trackers dial it from other addresses of this machine, so that theirs and the proxy's differ.
"""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bridge.proxying import version_1, version_2
from tests.conftest import PATIENCE_S, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Listener, Tracker

EXAMPLE = Path(__file__).parents[2] / "examples" / "haproxy" / "haproxy.cfg"
GOLF, STRANGER = "864000000001234", "864000000009999"
TRACKER, SPOOFER = "127.0.0.2", "127.0.0.3"
SENDS = ("send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c")
"""Version 2 as in the example, version 1, and version 2 with a checksum."""


def haproxy_program() -> str:
    """Return the path of HAProxy, or skip; where CI runs, a missing one is a failure."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        message = "HAPROXY IS MISSING, so nothing was proven here. Try: apt install haproxy"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


class HAProxy:
    """HAProxy as the example has it, but for addresses, its user, and how often it checks."""

    def __init__(self, folder: Path, bridge_port: int, send: str) -> None:
        self.port, self._stats = free_port(), free_port()
        self.log = folder / "haproxy.log"
        self._file = folder / "haproxy.cfg"
        text = EXAMPLE.read_text()
        for old, new in (
            ("bind :8888", f"bind 127.0.0.1:{self.port}"),
            ("10.8.0.2:8888 send-proxy-v2", f"127.0.0.1:{bridge_port} {send}"),
            ("inter 10s rise 1", "inter 50ms rise 3"),
            (
                "log /dev/log local0\n    user haproxy\n    group haproxy\n",
                f"stats socket ipv4@127.0.0.1:{self._stats}\n",
            ),
        ):
            assert old in text
            text = re.sub(rf"(?m)^(?!#)(.*){re.escape(old)}", rf"\g<1>{new}", text)
        self._file.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [haproxy_program(), "-db", "-f", str(self._file)], stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_S)

    async def dial(self, address: str) -> Tracker:
        """Dial it from an address of this machine, as soon as it is there."""

        async def connect() -> Tracker | None:
            assert self._process is None or self._process.poll() is None, self.log.read_text()
            return await _dial(self.port, address)

        tracker = await eventually(connect)
        assert isinstance(tracker, Tracker)
        return tracker

    async def server(self) -> tuple[str, str]:
        """Return what HAProxy thinks of the bridge, and how its latest health check ended."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._stats)
        except ConnectionRefusedError:
            return "", ""
        writer.write(b"show stat\n")
        table = csv.DictReader((await reader.read()).decode().lstrip("# ").splitlines())
        writer.close()
        (home,) = (row for row in table if row["svname"] == "home")
        return home["status"], home["check_status"]


async def _dial(port: int, address: str) -> Tracker | None:
    try:
        return Tracker(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
    except ConnectionRefusedError:
        return None


@pytest.fixture
def proxied_bridge(bridge: BridgeProcess) -> BridgeProcess:
    """A bridge that believes 127.0.0.1, and knows one tracker."""
    bridge.environment["TK103B__LISTEN__PROXY_PROTOCOL"] = "127.0.0.1"
    bridge.environment["TK103B__ACCESS__ALLOW"] = GOLF
    return bridge


@pytest.fixture(params=SENDS)
def haproxy(
    proxied_bridge: BridgeProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[HAProxy]:
    """HAProxy before that bridge, not started yet."""
    process = HAProxy(tmp_path, proxied_bridge.port, request.param)
    yield process
    process.stop()


def test_the_example_is_valid() -> None:
    subprocess.run([haproxy_program(), "-c", "-q", "-f", str(EXAMPLE)], check=True)


async def test_a_tracker_behind_haproxy_is_seen_at_its_own_address(
    proxied_bridge: BridgeProcess, haproxy: HAProxy, heard: Listener
) -> None:
    async def stands(*expected: str) -> None:
        async def as_expected() -> bool:
            return await haproxy.server() == expected

        await eventually(as_expected)

    async def health_with(connections: int) -> Any:
        """Wait until so many are left, as what HAProxy has to pass on takes a moment."""

        async def counted() -> Any:
            health = (await heard.ask("health_check"))["data"]
            return health["connections"] == connections and health

        return await eventually(counted)

    bridge = proxied_bridge
    haproxy.start()
    await stands("DOWN", "L4CON")
    bridge.start()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    await stands("UP", "L4OK")  # after three checks
    golf = await haproxy.dial(TRACKER)
    await golf.say(f"##,imei:{GOLF},A;".encode())
    await golf.hear(b"LOAD")
    stranger = await haproxy.dial(TRACKER)
    await stranger.say(f"{STRANGER};".encode())
    await stranger.hear(b"ON")
    scanner = await haproxy.dial(TRACKER)
    await scanner.say(b"GET / HTTP/1.1\r\n\r\n")
    assert await scanner.hung_up()
    for header in (version_1("192.0.2.7", 1), version_2("192.0.2.7", 1)):
        for spoofer in (await haproxy.dial(SPOOFER), await _dial(bridge.port, SPOOFER)):
            assert spoofer is not None
            await spoofer.say(header + f"{STRANGER};".encode())
            assert await spoofer.hung_up()
            await spoofer.leave()
    await stands("UP", "L4OK")
    health = await health_with(connections=2)
    assert health["sources"] == {"trackers": 1, "addresses": 1, "shared": 1}
    assert (health["rejected"], health["refused"]) == (5, 0)
    assert health["guests"] == 1
    for tracker in (golf, stranger, scanner):
        await tracker.leave()
    await health_with(connections=0)
    assert bridge.stop() == 0
    told = [line for line in bridge.log.read_text().splitlines() if "peer=" in line]
    peers = [line.rpartition("peer=")[2].partition(":")[0] for line in told]
    assert peers == [TRACKER, TRACKER, TRACKER, SPOOFER], told
    assert "192.0.2.7" not in bridge.log.read_text()
