"""The command line as people use it: a process, with a bridge, without one, and with mistakes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge import __version__
from tests.conftest import PATIENCE_S, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener
from tests.e2e.speech import ON, guests, heartbeat, keys, position, serving

GOLF, VAN, BUS, TAXI = (f"86400000000950{number}" for number in range(1, 5))
FRAME = position(GOLF, ago_s=60).decode()
PROGRAM = (sys.executable, "-m", "bridge")
ENDLESSLY_PATIENT = """
import sys
from bridge import client
from bridge.cli import main
client.PATIENCE_S = 3600
sys.exit(main())
"""
"""Where this program waits for a bridge that does not answer, it does not end."""


class Typed(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


async def run(
    environment: dict[str, str],
    *arguments: str,
    stdin: bytes = b"",
    cwd: Path | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> Typed:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:  # one that should have ended, and did not
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Typed(process.returncode, out.decode(), err.decode())


Type = Callable[..., "asyncio.Task[Typed]"]


@pytest.fixture
def typed(bridge: BridgeProcess) -> Type:
    """Run a command as this bridge's owner; several may run at once."""

    def start(*arguments: str, stdin: bytes = b"", **settings: str) -> asyncio.Task[Typed]:
        return asyncio.create_task(run(bridge.environment | settings, *arguments, stdin=stdin))

    return start


@pytest.fixture
def alone(tmp_path: Path) -> Type:
    """Run a command where there is neither broker nor bridge."""
    environment = {
        "TK103B__MQTT__HOST": "127.0.0.1",
        "TK103B__MQTT__PORT": str(free_port()),
        "TK103B__STORAGE__PATH": str(tmp_path / "data"),
    }

    def start(*arguments: str, stdin: bytes = b"", **settings: str) -> asyncio.Task[Typed]:
        return asyncio.create_task(
            run(environment | settings, *arguments, stdin=stdin, cwd=tmp_path)
        )

    return start


async def test_words_that_are_none(alone: Type) -> None:
    version, nothing, nonsense, both, help_text = await asyncio.gather(
        alone("--version"),
        alone(),
        alone("fly"),
        alone("accept", GOLF, "--csv", "cars.csv"),
        alone("accept", "--help"),
    )
    assert version == (0, f"tk103b-bridge {__version__}\n", "")
    for wrong in (nothing, nonsense, both):
        assert wrong.code == 2
        assert wrong.err.startswith("usage: tk103b-bridge")
    assert help_text.code == 0
    for option in ("--csv FILE", "--key KEY", "--owner OWNER", "--config FILE"):
        assert option in help_text.out


async def test_a_configuration_is_checked(alone: Type, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(f"vehicles:\n  golf: {{trackers: [{GOLF}]}}\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text("mqtt:\n  hots: broker.lan\n  password: geheim-77\nlisten:\n  port: 88888\n")
    good, wrong, wrong_run, missing, fallen = await asyncio.gather(
        alone("check-config", "--config", "good.yaml"),
        alone("check-config", "--config", str(bad)),
        alone("run", "--config", str(bad)),
        alone("check-config", "--config", "gone.yaml"),
        alone("vehicles", TK103B__MQTT__PORT="many"),
    )
    assert good == (0, "The configuration is good: 1 vehicle.\n", "")
    for typed in (wrong, wrong_run):
        assert typed.code == 2
        first, other = typed.err.splitlines()
        assert first.startswith(f"tk103b-bridge: {bad}:2: mqtt.hots")
        assert "did you mean host?" in first
        assert other.startswith(f"{bad}:5: listen.port must be a whole number")
        assert "geheim-77" not in typed.err
    assert missing.code == 2
    assert "gone.yaml" in missing.err
    assert fallen.code == 2
    assert "TK103B__MQTT__PORT" in fallen.err


async def test_frames_are_explained(alone: Type, tmp_path: Path) -> None:
    file = tmp_path / "frames.txt"
    file.write_text(f"{FRAME}\n{FRAME}\n")
    table, as_json, as_hex, from_file, piped, garbage, gone, no_hex = await asyncio.gather(
        alone("decode", FRAME),
        alone("decode", "--json", FRAME),
        alone("decode", "--hex", FRAME.encode().hex(" ")),
        alone("decode", "--json", str(file)),
        alone("decode", "--json", stdin=FRAME.encode()),
        alone("decode", "hello there"),
        alone("decode", "--cases", str(tmp_path / "gone.jsonl")),
        alone("decode", "--hex", "xyz"),
    )
    assert table.code == as_hex.code == 0
    for seen in (table, as_hex):
        assert GOLF in seen.out
        assert "52.52" in seen.out
    (event,) = json.loads(as_json.out)
    assert event["protocol"] == "gps103"
    assert event["messages"][0]["fix"]["latitude"] == pytest.approx(52.52)
    assert len(json.loads(from_file.out)) == 2
    assert json.loads(piped.out)[0]["messages"][0]["device_id"] == GOLF
    assert garbage.code == 1
    assert gone.code == no_hex.code == 1
    assert "gone.jsonl" in gone.err
    assert "hexadecimal" in no_hex.err


async def test_cases_are_answered_one_by_one() -> None:
    """Whoever writes a line has its answer before writing the next; what is wrong stops nothing."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        "decode",
        "--cases",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def answer(line: bytes) -> dict[str, object]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line + b"\n")
        answered: dict[str, object] = json.loads(await process.stdout.readline())
        return answered

    case = {"transport": "tcp", "encoding": "latin-1", "received_at": "2026-05-01T10:00:00Z"}
    async with asyncio.timeout(PATIENCE_S):
        known = await answer(json.dumps({"id": "a", **case, "chunks": [FRAME, "xx"]}).encode())
        assert (known["id"], known["protocol"]) == ("a", "gps103")
        for broken in (b"{", b'{"id":"b"}', b"\xff", b"[" * 5000):
            assert "error" in await answer(b"\n \n" + broken)
        unknown = await answer(json.dumps({"id": "c", **case, "chunks": ["hello"]}).encode())
        assert unknown["protocol"] is None
        # Its reader leaves: no complaint.
        reading = process._transport.get_pipe_transport(1)
        assert reading is not None
        reading.close()
        process.stdin.write(b"{\n" * 10)
        process.stdin.close()
        assert process.stderr is not None
        assert await process.stderr.read() == b""
        assert await process.wait() == 0


async def test_a_running_bridge_does_what_is_typed(
    bridge: BridgeProcess, heard: Listener, dial: Dial, typed: Type, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    empty, healthy = await asyncio.gather(typed("vehicles"), typed("health"))
    assert empty == (
        0,
        "No vehicles yet. Accept one with: python -m bridge accept ID --name NAME\n",
        "",
    )
    assert healthy.code == 0
    assert "journal_lag" in healthy.out

    tracker = await dial()
    await tracker.say(position(GOLF, ago_s=30) + heartbeat(GOLF))
    await tracker.hear(ON)
    await heard.until(lambda: guests(heard) == [GOLF])
    waiting = await typed("vehicles")
    assert waiting.out.splitlines()[1].split()[:4] == ["-", "(waiting)", GOLF, "gps103"]
    accepted = await typed("accept", GOLF, "--name", "My Golf", "--key", "golf", "--owner", "Ada")
    assert accepted == (0, f"Accepted {GOLF} as My Golf (key golf).\n", "")
    assert keys(heard) == ["golf"]

    csv = tmp_path / "cars.csv"
    csv.write_text(
        f"\ufeffID,Name,Owner\n{VAN},The van,Ada\n\n{GOLF},Again\n,Nobody\n{BUS},,\n", "utf-8"
    )
    wide = tmp_path / "wide.csv"
    wide.write_text(f"{TAXI},Taxi\n{BUS},Bus,Ada,red\n")
    many, too_many, again, known, captured, unknown = await asyncio.gather(
        typed("accept", "--csv", str(csv)),
        typed("accept", "--csv", str(wide)),
        typed("accept", GOLF),
        typed("block", GOLF),
        typed("capture", GOLF),
        typed("capture", TAXI),
    )
    assert many.code == 1
    assert many.out == (
        f"Accepted {VAN} as The van (key the_van).\n"
        f"Accepted {BUS} as Tracker 9503 (key tracker_9503).\n"
    )
    first, second = many.err.splitlines()
    assert first == f"{csv}:4: {GOLF}: {GOLF} already belongs to golf"
    assert second == f"{csv}:5: no id: id is missing"
    assert too_many == (1, "", f"tk103b-bridge: {wide}:2: more than id, name and owner\n")
    assert again == (1, "", f"tk103b-bridge: {GOLF} already belongs to golf\n")
    assert (known.code, known.out) == (1, "")
    assert "remove" in known.err
    assert captured.code == 0
    assert json.loads(captured.out.splitlines()[0])["source"] == "capture"
    assert GOLF not in captured.out
    assert unknown == (1, "", f"Nothing is kept of tracker {TAXI}.\n")

    blocked, owned, listed = await asyncio.gather(
        typed("block", TAXI), typed("entities", "component"), typed("vehicles", "--json")
    )
    assert blocked == (0, f"Blocked {TAXI}.\n", "")
    assert owned == (0, "Entities are now made by: component.\n", "")
    assert [row["key"] for row in json.loads(listed.out)["vehicles"]] == [
        "golf", "the_van", "tracker_9503"
    ]  # fmt: skip
    assert heard.latest(f"{BASE}/bridge/info")["entities"] == "component"
    refused = await dial()
    await refused.say(position(TAXI))
    assert await refused.hung_up()

    # A broker that is not the bridge's: the bridge is there, and cannot be reached.
    astray = {"TK103B__MQTT__PORT": str(free_port())}
    lost, blind, unhealthy, table = await asyncio.gather(
        typed("accept", TAXI, **astray),
        typed("vehicles", **astray),
        typed("health", **astray),
        typed("vehicles"),
    )
    for away in (lost, blind):
        assert away.code == 4
        assert "in use by process" in away.err
        assert "--config" in away.err
    assert unhealthy.code == 0
    assert "runs, but does not answer" in unhealthy.out
    assert "The van" in table.out


async def test_a_vehicle_is_renamed_and_removed(
    bridge: BridgeProcess, heard: Listener, typed: Type
) -> None:
    await serving(bridge, heard)
    beforehand = await typed("accept", "864000000009599", "--name", "Boat")
    assert beforehand.out == "Accepted 864000000009599 as Boat (key boat).\n"
    assert "has reported yet" in beforehand.err
    renamed = await typed("rename", "boat", "Ship")
    assert renamed == (0, "boat is now called Ship.\n", "")
    await heard.until(lambda: heard.vehicle("boat", "state")["name"] == "Ship")
    removed, strange = await asyncio.gather(
        typed("remove", "boat", "--purge"), typed("remove", "nobody")
    )
    assert removed == (0, "Removed boat.\n", "")
    assert strange.code == 1
    await heard.until(lambda: heard.vehicle("boat", "state") == "")


async def test_without_a_bridge_the_data_folder_is_worked_on(alone: Type, tmp_path: Path) -> None:
    nothing, unhealthy, blind = await asyncio.gather(
        alone("vehicles"), alone("health"), alone("capture", GOLF)
    )
    assert nothing.code == blind.code == 4
    assert "there is no data folder" in nothing.err
    assert unhealthy.code == 1
    assert "no bridge runs here" in unhealthy.err

    csv = tmp_path / "cars.csv"
    csv.write_text(f"id,name,owner\n{GOLF},My Golf,Ada\n{VAN},My Golf\n{GOLF},Twice\n86-40,\n")
    many = await alone("accept", "--csv", str(csv))
    assert many.code == 1
    assert many.out == (
        f"Accepted {GOLF} as My Golf (key my_golf).\n"
        f"Accepted {VAN} as My Golf (key my_golf_9502).\n"
    )
    first, second = many.err.splitlines()
    assert first.startswith(f"{csv}:4: {GOLF}: ")
    assert second.startswith(f"{csv}:5: 86-40: ")
    single = await alone("accept", BUS, "--key", "bus", "--name", "Bus")
    assert single == (0, f"Accepted {BUS} as Bus (key bus).\n", "")
    for arguments, text in (
        (("accept", TAXI, "--key", "bus"), "the key bus is taken"),
        (("accept", TAXI, "--key", "Bus/1"), "cannot be a key"),
        (("block", BUS), "belongs to bus"),
    ):
        refused = await alone(*arguments)
        assert refused.code == 1
        assert text in refused.err
    called, gone, kept = [
        await alone("rename", "bus", "The bus"),
        await alone("remove", "bus", "--purge"),
        await alone("accept", "864000000009598", "--name", "Boat"),
    ]
    assert called.out == "bus is now called The bus.\n"
    assert "while the bridge runs" in gone.err
    assert kept.err == ""
    assert (await alone("remove", "boat")).out == "Removed boat.\n"
    off = {"TK103B__HOME_ASSISTANT__ENTITIES": "off"}
    owned, forbidden, blocked, unknown = [
        await alone("entities", "component"),
        await alone("entities", "discovery", **off),
        await alone("block", TAXI),
        await alone("capture", TAXI),
    ]
    assert owned.code == blocked.code == 0
    assert forbidden.code == 1
    assert "in the configuration, which wins" in forbidden.err
    assert unknown == (1, "", f"Nothing is kept of tracker {TAXI}.\n")
    listed = await alone("vehicles")
    assert [line.split()[0] for line in listed.out.splitlines()] == [
        "KEY", "my_golf", "my_golf_9502", "bus"
    ]  # fmt: skip
    registry = json.loads((tmp_path / "data" / "registry.json").read_text())
    assert registry["blocked"] == [TAXI]
    assert registry["entities"] == "component"


async def test_what_a_stopped_bridge_left_behind_is_no_answer(
    bridge: BridgeProcess, heard: Listener, dial: Dial, typed: Type
) -> None:
    """Its retained list may be old; where it has said goodbye, nobody is waited for."""
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    tracker = await dial()
    await tracker.say(position(GOLF, ago_s=30) + heartbeat(GOLF))
    await tracker.hear(ON)
    assert bridge.stop() == 0
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "offline")
    accept = ("accept", VAN, "--name", "Van")
    assert (
        await run(bridge.environment, *accept, program=(sys.executable, "-c", ENDLESSLY_PATIENT))
    ).code == 0
    listed, captured, short = [
        await typed("vehicles"), await typed("capture", GOLF), await typed("capture", GOLF[-11:])
    ]  # fmt: skip
    assert "Van" in listed.out
    assert keys(heard) == ["golf"]
    for found in (captured, short):
        assert found.code == 0
        assert json.loads(found.out.splitlines()[0])["source"] == "capture"
        assert GOLF[-11:] not in found.out
    # Where nothing is said, the folder is used after a while.
    await heard.client.publish(f"{BASE}/bridge/state", b"", qos=1, retain=True)
    assert "Van" in (await typed("vehicles")).out


async def test_a_tracker_is_simulated(
    bridge: BridgeProcess, heard: Listener, typed: Type, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    port = ("--port", str(bridge.port), "--id", GOLF)
    for transport in ("tcp", "udp"):
        drive = ("--transport", transport, "--count", "4", "--interval", "0", "--alarm", "sos@3")
        done = await typed("simulate", *port, *drive)
        assert done.code == 0, done
        assert "reports: 4" in done.out
        assert "alarms acknowledged: 1 of 1" in done.out
        seen = 4 if transport == "tcp" else 8
        await heard.until(lambda seen=seen: len(heard.all(f"{BASE}/vehicle/golf/report")) >= seen)
    no_alarm, no_route, shown = await asyncio.gather(
        typed("simulate", "--alarm", "panic@1"),
        typed("simulate", "--route", str(tmp_path / "gone.gpx")),
        typed("simulate", *port, "--count", "1", "--interval", "0", "--verbose"),
    )
    assert no_alarm.code == 2
    assert "no alarm is called 'panic'" in no_alarm.err
    assert no_route.code != 0
    assert "gone.gpx" in no_route.err
    assert "LOAD" in shown.out


async def test_run_says_what_keeps_it_from_running(
    bridge: BridgeProcess, heard: Listener, typed: Type, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    other = str(tmp_path / "other")
    folder_taken, port_taken, no_folder = await asyncio.gather(
        typed("run", TK103B__LISTEN__PORT=str(free_port())),
        typed("run", TK103B__STORAGE__PATH=other, TK103B__MQTT__BASE_TOPIC="other"),
        typed("run", TK103B__STORAGE__PATH="/proc/nowhere"),
    )
    assert folder_taken.code == 4
    assert "in use by process" in folder_taken.err
    assert port_taken.code == 1
    assert "listen.port" in port_taken.err
    assert no_folder.code == 4
    assert "/proc/nowhere" in no_folder.err
