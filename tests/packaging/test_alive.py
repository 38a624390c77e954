"""Signs of life: the health check costs little and touches no port; systemd hears what it wants."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import healthcheck
from bridge.alive import alive
from bridge.notify import Notifier
from tests.conftest import PATIENCE_S, Mosquitto, eventually
from tests.e2e.conftest import BridgeProcess

SILENT = Notifier({})


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd hears its services."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE_S)
        yield heard


def told(manager: socket.socket) -> str:
    return manager.recv(200).decode()


# --- the health check -----------------------------------------------------------------------------


async def test_a_bridge_that_lives_answers(tmp_path: Path) -> None:
    assert "begun to listen" in await asyncio.to_thread(healthcheck.ask, tmp_path)
    async with alive(tmp_path, SILENT):
        assert await asyncio.to_thread(healthcheck.ask, tmp_path) == ""
        mode = (tmp_path / healthcheck.SOCKET_NAME).stat().st_mode
        assert stat.S_IMODE(mode) == 0o666, "the health check of the app runs as another account"
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - of a test's loop nobody wants more


async def test_one_whose_loop_hangs_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healthcheck, "PATIENCE_S", 0.2)
    async with alive(tmp_path, SILENT):
        # Asked by the very thread that would have to answer: so nothing runs meanwhile.
        assert "has not answered within 0.2 s" in healthcheck.ask(tmp_path)


async def test_one_that_was_killed_is_known_to_be_gone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / healthcheck.SOCKET_NAME))
    assert "any more" in await asyncio.to_thread(healthcheck.ask, tmp_path)
    async with alive(tmp_path, SILENT):
        assert await asyncio.to_thread(healthcheck.ask, tmp_path) == ""


async def test_a_folder_may_have_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("data" * 30)
    folder.mkdir()
    async with alive(folder, SILENT):
        assert await asyncio.to_thread(healthcheck.ask, folder) == ""


async def test_a_folder_that_takes_no_socket_is_no_reason_not_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the check, which would have the container ended, finds it all the same."""
    caplog.set_level("INFO", "bridge")
    (tmp_path / healthcheck.SOCKET_NAME).mkdir()
    other = tmp_path / "other"
    other.mkdir()
    async with alive(tmp_path, SILENT):
        assert "takes no socket for the health check: " in caplog.text
        assert await asyncio.to_thread(healthcheck.ask, tmp_path) == ""
        assert await asyncio.to_thread(healthcheck.ask, other) != ""
    assert "any more" in await asyncio.to_thread(healthcheck.ask, tmp_path)


async def test_one_that_nobody_could_ask_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the system knows no sockets without a file."""
    (tmp_path / healthcheck.SOCKET_NAME).mkdir()
    nowhere = str(tmp_path / "nowhere/alive").encode()
    monkeypatch.setattr("bridge.alive.without_file", lambda _: nowhere)
    async with alive(tmp_path, SILENT):
        assert "the health check will call this bridge dead" in caplog.text
        assert "--no-healthcheck" in caplog.text


def test_it_imports_next_to_nothing() -> None:
    """Once a minute, on a small computer: what the rest imports takes ten times as long."""
    code = "import sys, bridge.healthcheck; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert [name for name in names if name.partition(".")[0] == "bridge"] == [
        "bridge",
        "bridge.healthcheck",
    ]
    assert not {"asyncio", "argparse", "json", "pathlib", "re"} & set(names)


async def test_the_command_and_the_module_agree(tmp_path: Path, mosquitto: Mosquitto) -> None:
    bridge = BridgeProcess(tmp_path, mosquitto.port)
    module = [sys.executable, "-m", "bridge.healthcheck", str(tmp_path / "data")]

    def asked() -> tuple[int, int]:
        by_module = subprocess.run(module, capture_output=True, check=False).returncode
        return bridge.command("healthcheck").returncode, by_module

    assert asked() == (1, 1)
    bridge.start()
    await bridge.listening()
    assert await eventually(lambda: asked() == (0, 0))
    # The broker's absence is nothing that a restart mends.
    mosquitto.stop()
    assert asked() == (0, 0)
    bridge.stop()
    assert asked() == (1, 1)
    log = bridge.log.read_text()
    assert "unknown" not in log
    assert "tracker=" not in log


# --- systemd --------------------------------------------------------------------------------------


async def test_systemd_hears_that_it_is_ready_lives_and_stops(
    tmp_path: Path, mosquitto: Mosquitto, manager: socket.socket
) -> None:
    """READY only when the port is open, then signs of life twice as often as asked."""
    bridge = BridgeProcess(
        tmp_path, mosquitto.port,
        NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="3000000",
    )  # fmt: skip
    bridge.start()
    assert await asyncio.to_thread(told, manager) == "READY=1"
    with socket.create_connection(("127.0.0.1", bridge.port), PATIENCE_S):
        pass
    for _ in range(2):
        began = time.monotonic()
        assert await asyncio.to_thread(told, manager) == "WATCHDOG=1"
        assert time.monotonic() - began < 3, "the watchdog would have bitten"
    stopping = asyncio.create_task(asyncio.to_thread(bridge.stop))
    while (last := await asyncio.to_thread(told, manager)) == "WATCHDOG=1":
        pass
    assert last == "STOPPING=1"
    assert await stopping == 0


async def test_nobody_is_told_where_nobody_wants_to_hear(tmp_path: Path) -> None:
    Notifier({}).send("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).send("READY=1")
    assert Notifier({"WATCHDOG_USEC": "1000000"}).pet_s == 0


def test_a_socket_without_a_file() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0tk103b-{os.getpid()}")
        heard.settimeout(PATIENCE_S)
        Notifier({"NOTIFY_SOCKET": f"@tk103b-{os.getpid()}"}).send("STATUS=well")
        assert heard.recv(100) == b"STATUS=well"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(given: dict[str, str], seconds: float) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/notify", **given}).pet_s == seconds
