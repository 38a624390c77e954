"""The doctor at a bridge that is well, and at one that is not."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Listener, listening
from tests.e2e.credentials import PASSWORD, USER, passwords
from tests.e2e.speech import devices, serving

GOLF = "864000000009811"
LOGGED_IN = {"TK103B__MQTT__USERNAME": USER, "TK103B__MQTT__PASSWORD": PASSWORD}

Start = Callable[..., BridgeProcess]


@pytest.fixture
def at_broker(tmp_path: Path) -> Iterator[Start]:
    """Start a broker with rules of its own; return a bridge that is configured for it."""
    started: list[Mosquitto] = []

    def start(*lines: str, **settings: str) -> BridgeProcess:
        # As root it would become somebody who may not read our files.
        lines = (f"user {getpass.getuser()}", *lines)
        started.append(Mosquitto(tmp_path, free_port(), *lines))
        started[-1].start()
        return BridgeProcess(tmp_path, started[-1].port, **settings)

    yield start
    for one in started:
        one.stop()


def examined(bridge: BridgeProcess) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and every finding by what was examined."""
    done = bridge.command("doctor", "--json")
    assert done.stderr == ""
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}


def states(findings: dict[str, Any], beginning: str) -> dict[str, str]:
    return {
        check: finding["state"]
        for check, finding in findings.items()
        if check.startswith(beginning)
    }


async def test_a_bridge_that_is_well(
    bridge: BridgeProcess, heard: Listener, mosquitto: Mosquitto
) -> None:
    bridge.command("accept", GOLF, "--name", "Golf")
    await serving(bridge, heard)
    code, found = examined(bridge)
    assert code == 0
    for check in (
        "data folder", "registry", "journal", "waiting reports", "bridge", "tracker port, TCP",
        "tracker port, UDP", "clock", "broker", "broker, version", "broker, retained",
        "broker, queue", "broker, delay", "broker, bridge/state",
    ):  # fmt: skip
        assert found[check]["state"] == "ok", found[check]
    assert found["bridge"]["meaning"].startswith("runs and answers, 0 vehicles connected")
    assert found["registry"]["meaning"].startswith("1 vehicle;")
    assert found["broker, bridge/state"]["meaning"] == f"{BASE}/bridge/state says online"
    # Nobody has noticed: no guest, nothing rejected, nothing left at the broker, no complaint.
    assert devices(heard)["guests"] == []
    health = (await heard.ask("health_check"))["data"]
    assert (health["guests"], health["rejected"]) == (0, 0)
    async with listening(mosquitto.port) as later:
        await later.topic(f"{BASE}/bridge/state")
        await later.topic(f"{BASE}/bridge/devices")
        assert not [topic for topic, *_ in later.messages if "/doctor/" in topic]
    log = bridge.log.read_text()
    assert "WARNING" not in log
    assert "ERROR" not in log


async def test_a_table_for_people(bridge: BridgeProcess, heard: Listener) -> None:
    await serving(bridge, heard)
    done = bridge.command("doctor")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["data", "folder", "ok"]
    assert all(len(line) <= 100 for line in lines)


def test_a_bridge_that_is_not(bridge: BridgeProcess, mosquitto: Mosquitto) -> None:
    bridge.command("accept", GOLF, "--name", "Golf")
    data = bridge.folder / "data"
    (data / "journal.db").write_bytes(b"no journal" * 1000)
    for path in data.glob("registry.json*"):
        path.write_text('{"schema": 1, "vehicles": [')
    data.chmod(0o755)
    mosquitto.stop()
    code, found = examined(bridge)
    assert code == 1
    assert found["data folder"]["state"] == "warn"
    assert found["registry"]["state"] == "bad"
    assert found["journal"]["meaning"] == "is damaged: file is not a database"
    assert found["waiting reports"]["meaning"] == "not known, as the journal cannot be read"
    assert found["clock"]["state"] == "ok"
    assert found["bridge"]["state"] == "warn"
    assert found["broker"]["state"] == "bad"
    assert found["broker"]["meaning"].endswith("Connection refused")
    assert "broker, queue" not in found
    assert GOLF not in str(found)


def test_a_broker_with_poor_settings(at_broker: Start) -> None:
    bridge = at_broker(
        "allow_anonymous true", "retain_available false", "max_queued_messages 10",
        "max_inflight_messages 1",
    )  # fmt: skip
    code, found = examined(bridge)
    assert code == 1
    assert states(found, "broker") == {
        "broker": "ok",
        "broker, version": "ok",
        "broker, retained": "bad",
        "broker, queue": "warn",
        "broker, delay": "ok",
        "broker, bridge/state": "ok",
    }
    assert "Retain not supported" in found["broker, retained"]["meaning"]
    assert found["broker, queue"]["meaning"].startswith("of a burst of 200 messages 11 arrived")


def test_a_broker_that_wants_a_password(at_broker: Start, tmp_path: Path) -> None:
    bridge = at_broker("allow_anonymous false", f"password_file {passwords(tmp_path)}")
    bridge.environment.update(LOGGED_IN | {"TK103B__MQTT__PASSWORD": "wrong horse"})
    code, found = examined(bridge)
    assert code == 1
    assert "does not let us in: [code:135] Not authorized" in found["broker"]["meaning"]
    assert "horse" not in str(found)
    bridge.environment.update(LOGGED_IN)
    code, found = examined(bridge)
    assert found["broker"]["meaning"].endswith("lets us in as the configured user")
    assert set(states(found, "broker").values()) == {"ok"}
    assert "horse" not in str(found)


def test_a_broker_that_lets_us_read_nothing(at_broker: Start, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text(f"user {USER}\ntopic write {BASE}/#\n")
    bridge = at_broker(
        "allow_anonymous false", f"password_file {passwords(tmp_path)}", f"acl_file {rules}",
        **LOGGED_IN,
    )  # fmt: skip
    code, found = examined(bridge)
    assert code == 1
    # Mosquitto grants every subscription and keeps quiet: what matters is what arrives.
    assert set(states(found, "broker, ").values()) == {"ok", "bad", "warn"}
    assert found["broker, retained"]["state"] == found["broker, delay"]["state"] == "bad"
    assert f"{BASE}/#" in found["broker, retained"]["advice"]


def test_an_older_mqtt(at_broker: Start) -> None:
    bridge = at_broker("allow_anonymous true", TK103B__MQTT__PROTOCOL="3.1.1")
    code, found = examined(bridge)
    assert code == 0
    assert states(found, "broker") == {
        "broker": "ok",
        "broker, version": "warn",
        "broker, retained": "ok",
        "broker, queue": "ok",
        "broker, delay": "ok",
        "broker, bridge/state": "ok",
    }


async def test_another_bridge_on_our_base_topic(
    bridge: BridgeProcess, heard: Listener, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    folder = tmp_path / "second"
    folder.mkdir()
    _, found = examined(BridgeProcess(folder, mosquitto.port))
    assert found["broker, bridge/state"]["state"] == "warn"
    assert "another one uses this base topic" in found["broker, bridge/state"]["meaning"]
