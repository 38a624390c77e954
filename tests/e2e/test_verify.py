"""`verify` at the car: a real bridge, a real broker, and trackers that say more or less."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.protocols.registry import PROTOCOLS
from tests.conftest import PATIENCE_S, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener
from tests.e2e.speech import LOAD, ON, heartbeat, help_me, login, position, receipt, serving

GOLF = "864000000009701"


class Run:
    """A command that is still running; what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process, out: asyncio.StreamReader) -> None:
        self.process = process
        self._out = out
        self.text = ""

    async def until(self, words: str) -> None:
        """Read on until it has printed these words."""
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.text:
                line = await self._out.readline()
                assert line, self.text
                self.text += line.decode()

    async def end(self) -> int:
        """Read to its end; return its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(OSError):  # how the end of a terminal is told
                while line := await self._out.readline():
                    self.text += line.decode()
            code = await self.process.wait()
        assert "Traceback" not in self.text
        return code


Start = Callable[..., Any]


@pytest.fixture
async def start(bridge: BridgeProcess) -> AsyncIterator[Start]:
    """Start a command of this bridge's owner, with its standard error among what it prints."""
    running: list[asyncio.subprocess.Process] = []

    async def run(*arguments: str, **options: Any) -> Run:
        terminal: int | None = options.pop("terminal", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", *arguments,
            env=bridge.environment | {"PYTHONPATH": str(Path(__file__).parents[2])} | options,
            stdin=asyncio.subprocess.DEVNULL if terminal is None else terminal,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        return Run(process, process.stdout)

    yield run
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


def gpx(path: Path, *, seconds: int = 5, metres_a_second: float = 60.0) -> Path:
    """A short, fast drive to the north; where it ends the car is switched off."""
    points = "".join(
        f'<trkpt lat="{52.3 + step * metres_a_second / 111_195:.6f}" lon="13.9">'
        f"<time>2026-05-01T10:00:{step:02}Z</time></trkpt>"
        for step in range(seconds + 1)
    )
    text = f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}'
    path.write_text(f"{text}</trkseg></trk></gpx>")
    return path


async def test_a_tracker_that_says_everything(
    bridge: BridgeProcess, heard: Listener, start: Start, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="My Golf", key="golf")
    verify = await start("verify", "golf", "--timeout", "14")
    await verify.until("[1/7] reports")
    tracker = await start(
        "simulate", "--port", str(bridge.port), "--id", GOLF, "--interval", "1", "--count", "8",
        "--alarm", "door@2", "--alarm", "sos@3", "--route", str(gpx(tmp_path / "drive.gpx")),
    )  # fmt: skip
    assert await tracker.end() == 0
    assert await verify.end() == 0, verify.text
    lines = verify.text.splitlines()
    assert lines[0] == "My Golf (golf), not heard of yet."
    assert "My Golf (golf), gps103 over TCP" in lines
    table = [line.split("  ") for line in lines if "[x]" in line and not line.startswith(" ")]
    assert [row[0] for row in table] == [
        "reports", "fix", "time", "key", "key", "door", "door", "sos", *["drive"] * 4
    ]  # fmt: skip
    assert "[ ]" not in verify.text
    unsaid = [line.split("  ")[1] for line in lines if line.startswith("  ") and "[x]" not in line]
    assert {"satellites", "odometer", "OBD"} <= set(unsaid)
    assert not {"ignition", "door", "SOS", "speed"} & set(unsaid)
    assert "Not a word for in gps103: charging." in lines
    assert lines[-1] == "Everything necessary was there."
    assert "52.3" not in verify.text


async def test_every_protocol(bridge: BridgeProcess, heard: Listener, start: Start) -> None:
    await serving(bridge, heard)
    only = ("--only", "reports,fix,time,sos", "--timeout", "14")

    async def check(protocol: str, device_id: str) -> None:
        await heard.ask("device/accept", id=device_id, key=protocol)
        verify = await start("verify", protocol, *only)
        await verify.until("[1/4] reports")
        tracker = await start(
            "simulate", "--protocol", protocol, "--port", str(bridge.port), "--id", device_id,
            "--interval", "1", "--count", "3", "--alarm", "sos@2",
        )  # fmt: skip
        assert await tracker.end() == 0
        assert await verify.end() == 0, verify.text
        assert f"({protocol}), {protocol} over TCP" in verify.text

    ids = (f"86400000000971{number}" for number in range(5))
    await asyncio.gather(
        *(check(one.name, known) for one, known in zip(PROTOCOLS, ids, strict=True))
    )


async def test_what_never_came_is_said_as_json_with_what_to_look_at(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    """Positions without an ignition column. What guides a person is not in the JSON."""
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "verify", "golf", "--json", "--show-position",
        "--only", "reports,fix,time,key,sos", "--timeout", "4", env=bridge.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    guide = Run(process, process.stderr)
    await guide.until("[1/5] reports")
    tracker = await dial()
    await tracker.say(position(GOLF) + help_me(GOLF))
    await tracker.hear(receipt(GOLF))
    assert await guide.end() == 1
    assert "leave it so until that has come" in guide.text
    assert "52.52000, 13.41000" in guide.text
    found = json.loads(await process.stdout.read())
    assert found["good"] is False
    assert found["position"] == "52.52000, 13.41000"
    assert {step["step"]: step["ending"] for step in found["steps"]} == {
        "reports": "done", "fix": "done", "time": "done", "key": "too long", "sos": "done",
    }  # fmt: skip
    said = {row["what"]: row["said"] for row in found["says"]}
    assert (said["SOS"], said["speed"], said["ignition"]) == ("now", "now", "never")
    assert said["charging"] == "impossible"


async def test_a_tracker_that_is_not_heard_and_one_that_only_beats(
    bridge: BridgeProcess, heard: Listener, start: Start, dial: Dial
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    silent = await start("verify", "golf", "--timeout", "0.3")
    assert await silent.end() == 1
    for words in ("APN", "adminipPASSWORD", "dnsPASSWORD", "CGNAT", "Nothing else can be tried"):
        assert words in silent.text
    assert silent.text.count("[ ] not tried") == 11
    assert silent.text.splitlines()[-1] == "Not everything necessary was there."

    beating = await start("verify", "golf", "--timeout", "4", "--only", "fix,reports")
    await beating.until("[1/2] reports")
    tracker = await dial()
    await tracker.say(login(GOLF) + heartbeat(GOLF))
    await tracker.hear(LOAD + ON)
    assert await beating.end() == 1
    assert "it is heard: gps103 over TCP: a login" in beating.text
    assert "fix030s***nPASSWORD" in beating.text


async def test_what_cannot_be_verified(
    bridge: BridgeProcess, heard: Listener, start: Start
) -> None:
    astray = await start("verify", "golf", TK103B__MQTT__PORT=str(free_port()))
    assert await astray.end() == 1
    assert "no bridge answers" in astray.text
    await serving(bridge, heard)
    none = await start("verify", "golf")
    assert await none.end() == 1
    assert "there is no vehicle 'golf'; accept its tracker" in none.text
    await heard.ask("device/accept", id=GOLF, name="Golf")
    other, flight, hasty = [
        await start("verify", "gulf"),
        await start("verify", "golf", "--only", "reports,fly"),
        await start("verify", "golf", "--timeout", "0"),
    ]
    assert await other.end() == 1
    assert "there is no vehicle 'gulf'; there is golf" in other.text
    assert await flight.end() == await hasty.end() == 2
    assert "no step is called 'fly'; there is reports, fix, time" in flight.text
    assert "'0' is no number of seconds" in hasty.text


async def test_at_a_terminal_enter_skips_and_control_c_sums_up(
    bridge: BridgeProcess, heard: Listener, start: Start, dial: Dial
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    person, terminal = pty.openpty()
    try:
        verify = await start("verify", "golf", terminal=terminal)
        await verify.until("[1/7] reports")
        tracker = await dial()
        await tracker.say(position(GOLF) + heartbeat(GOLF))
        await tracker.hear(ON)
        await verify.until("[4/7] key")
        os.write(person, b"\n")
        await verify.until("[5/7] door")
        os.write(person, b"\n")
        await verify.until("[6/7] sos")
        verify.process.send_signal(signal.SIGINT)
        assert await verify.end() == 0
    finally:
        os.close(person)
        os.close(terminal)
    assert "Enter skips it, Ctrl-C sums up." in verify.text
    assert verify.text.count("[ ] skipped") == 5
    assert verify.text.count("[ ] not tried") == 2  # trip and odometer
    assert heard.vehicle("golf", "state") is not None


async def test_a_bridge_that_leaves_cuts_it_short(
    bridge: BridgeProcess, heard: Listener, start: Start
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    verify = await start("verify", "golf")
    await verify.until("[1/7] reports")
    assert bridge.stop() == 0
    assert await verify.end() == 1
    assert "Cut short: the bridge was stopped." in verify.text
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "offline")
