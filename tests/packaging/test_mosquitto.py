"""The example for Mosquitto, in a real one: each account can do what it needs, and no more."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiomqtt
import pytest
import yaml

from bridge.contract import VEHICLE_LEAVES, Topics
from tests.conftest import Mosquitto, eventually, free_port
from tests.e2e.conftest import BridgeProcess
from tests.packaging.release import ROOT

EXAMPLE = ROOT / "examples/mosquitto"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
PASSWORD = "made up, not short"  # noqa: S105 - made up
TOPICS = Topics("tk103b")
LOGIN = b"##,imei:864000000000101,A;"


class Rights(NamedTuple):
    """What an account hears of everything that is said, and what of its own words is heard."""

    reads: frozenset[str]
    writes: frozenset[str]


BRIDGE_SAYS = {
    TOPICS.bridge_state, TOPICS.bridge_info, TOPICS.bridge_devices, TOPICS.bridge_event,
    TOPICS.bridge_health, TOPICS.bridge_discovery, TOPICS.response("get_track"),
    TOPICS.response("device/accept"),
}  # fmt: skip
VEHICLE_SAYS = {TOPICS.vehicle("golf", leaf) for leaf in VEHICLE_LEAVES}
COMMAND = TOPICS.vehicle("golf", "command")
REQUESTS = {TOPICS.request(verb) for verb in ("get_track", "get_trips", "device/acknowledge")}
MANAGING = {
    TOPICS.request(verb) for verb in ("device/accept", "device/remove", "entities", "backup")
}
DISCOVERY = {"homeassistant/device/tk103b_golf/config"}
OF_OTHERS = {"homeassistant/light/lamp/config", "zigbee2mqtt/lamp", "tk103b2/vehicle/golf/state"}
BIRTH = {"homeassistant/status"}
TEXT_OUT, TEXT_IN = "tk103b/sms/out", "tk103b/sms/in"
SMS = {TEXT_OUT, TEXT_IN}
LOOKED_ON = {TOPICS.bridge_state} | {
    TOPICS.vehicle("golf", leaf) for leaf in ("position", "state", "alarm", "last_alarm", "trip")
}
EVERYTHING = {
    *BRIDGE_SAYS, *VEHICLE_SAYS, *REQUESTS, *MANAGING, *DISCOVERY, *OF_OTHERS, *BIRTH, *SMS,
}  # fmt: skip
OURS = EVERYTHING - OF_OTHERS - BIRTH - DISCOVERY

RIGHTS = {
    "tk103b": Rights(
        reads=frozenset(OURS | DISCOVERY | BIRTH),
        writes=frozenset(OURS | DISCOVERY),
    ),
    "homeassistant": Rights(
        reads=frozenset(
            BRIDGE_SAYS | VEHICLE_SAYS | REQUESTS | MANAGING | DISCOVERY | BIRTH
            | {"homeassistant/light/lamp/config"}
        ),
        writes=frozenset(
            REQUESTS | MANAGING | {COMMAND} | DISCOVERY | BIRTH
            | {"homeassistant/light/lamp/config"}
        ),
    ),
    "nodered": Rights(
        reads=frozenset(BRIDGE_SAYS | VEHICLE_SAYS | REQUESTS | MANAGING),
        writes=frozenset(REQUESTS | {COMMAND}),
    ),
    "viewer": Rights(reads=frozenset(LOOKED_ON), writes=frozenset()),
}  # fmt: skip

TEXTS = {
    "homeassistant": Rights(
        RIGHTS["homeassistant"].reads | {TEXT_OUT}, RIGHTS["homeassistant"].writes | {TEXT_IN}
    ),
    "nodered": Rights(RIGHTS["nodered"].reads | {TEXT_OUT}, RIGHTS["nodered"].writes | {TEXT_IN}),
    "sms": Rights(reads=frozenset({TEXT_OUT}), writes=frozenset({TEXT_IN})),
}
"""What changes where the lines for text messages have lost their #."""


class Accounts(Mosquitto):
    """The example's broker; beside its accounts one that may do everything, who looks on."""

    def __init__(self, folder: Path, *, texts: bool = False) -> None:
        passwords, rules = folder / "passwords", folder / "acl"
        program = shutil.which("mosquitto_passwd")
        assert program is not None, "try: apt install mosquitto"
        passwords.touch(mode=0o600)
        for name in (*RIGHTS, "sms", "all"):
            subprocess.run([program, "-b", str(passwords), name, PASSWORD], check=True)
        example = (EXAMPLE / "acl").read_text()
        if texts:
            example = re.sub("^# (?=user |topic )", "", example, flags=re.MULTILINE)
        rules.write_text(example + "\nuser all\ntopic readwrite #\n")
        for path in (passwords, rules):
            path.chmod(0o644)  # the broker becomes another account, where it is started as root
        places = {"password_file": passwords, "acl_file": rules}
        options = []
        for line in (EXAMPLE / "mosquitto.conf").read_text().splitlines():
            name, _, _ = line.partition(" ")
            if name in places:
                options.append(f"{name} {places[name]}")
            elif name not in {"listener", "set_tcp_nodelay", "persistence", "persistence_location"}:
                options.append(line)
        super().__init__(folder, free_port(), *options, "log_type debug")  # tells what it denied
        for above in (folder, *folder.parents[:3]):
            above.chmod(above.stat().st_mode | 0o055)

    def client(self, name: str) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.port, username=name, password=PASSWORD)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Accounts]:
    started = Accounts(tmp_path)
    started.start()
    yield started
    started.stop()


async def heard(client: aiomqtt.Client, end: str) -> set[str]:
    """The topics that a client hears until that one comes."""
    topics = set()
    async for message in client.messages:
        if message.topic.value == end:
            return topics
        topics.add(message.topic.value)
    raise AssertionError("the broker hung up")


async def found(name: str, broker: Accounts, end: str = TOPICS.bridge_state) -> Rights:
    """What an account can read and write, tried with everything; `end`, which it reads, is last."""
    async with broker.client(name) as one, broker.client("all") as everybody:
        await one.subscribe("#")
        for topic in (*sorted(EVERYTHING - {end}), end):
            await everybody.publish(topic, b"{}", qos=1)
        reads = await heard(one, end) | {end}
        await one.unsubscribe("#")

        await everybody.subscribe("#")
        for topic in sorted(EVERYTHING):
            await one.publish(topic, b"{}", qos=1)
        await everybody.publish("end", b"", qos=1)
        return Rights(frozenset(reads), frozenset(await heard(everybody, "end")))


@pytest.mark.parametrize("name", RIGHTS)
async def test_an_account_reads_and_writes_what_it_needs(name: str, broker: Accounts) -> None:
    assert await found(name, broker) == RIGHTS[name]


@pytest.mark.parametrize("name", RIGHTS | TEXTS)
async def test_the_lines_for_text_messages_open_no_more_than_those(
    name: str, tmp_path: Path
) -> None:
    broker = Accounts(tmp_path, texts=True)
    broker.start()
    try:
        end = TEXT_OUT if name == "sms" else TOPICS.bridge_state
        assert await found(name, broker, end) == (RIGHTS | TEXTS)[name]
    finally:
        broker.stop()


async def test_nobody_else_comes_in(broker: Accounts) -> None:
    for account in (
        {},
        {"username": "tk103b", "password": "guessed"},
        {"username": "somebody", "password": PASSWORD},
    ):
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", broker.port, **account):
                pass


async def test_the_bridge_has_all_it_needs(broker: Accounts, tmp_path: Path) -> None:
    """A real one, its command line and its doctor; Home Assistant hears of it, and asks it."""
    bridge = BridgeProcess(
        tmp_path, broker.port,
        TK103B__MQTT__USERNAME="tk103b", TK103B__MQTT__PASSWORD=PASSWORD,
    )  # fmt: skip
    async with broker.client("homeassistant") as home:
        await home.subscribe("homeassistant/#")
        await home.subscribe(TOPICS.bridge_devices)
        bridge.start()
        await bridge.listening()
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(LOGIN)
        assert await reader.read(16) == b"LOAD"

        def waits() -> bool:
            return "864000000000101" in bridge.command("vehicles").stdout

        await eventually(waits)
        body = {"id": "864000000000101", "name": "Golf"}
        await home.publish(TOPICS.request("device/accept"), json.dumps(body), qos=1)
        async with asyncio.timeout(20):
            async for message in home.messages:
                if message.topic.value.startswith("homeassistant/device/") and b"Golf" in bytes(
                    message.payload
                ):
                    break
        writer.close()
        found = json.loads(bridge.command("doctor", "--json").stdout)
        ailing = [one for one in found if "broker" in one["check"] and one["state"] != "ok"]
        assert ailing == []
        assert bridge.stop() == 0
    assert "Denied" not in (tmp_path / "mosquitto.log").read_text()


# --- compose --------------------------------------------------------------------------------------


def test_compose_gives_the_bridge_no_more_than_it_needs() -> None:
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    bridge = COMPOSE["services"]["bridge"]
    assert "cap_add" not in bridge
    assert set(bridge["ports"]) == {"8888:8888/tcp", "8888:8888/udp"}
    assert "privileged" not in bridge
    # No password stands in a file that people put online.
    assert bridge["environment"]["TK103B__MQTT__PASSWORD"].startswith("${TK103B_PASSWORD:?")


def test_compose_and_the_example_fit() -> None:
    mosquitto = COMPOSE["services"]["mosquitto"]
    for volume in mosquitto["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            assert (ROOT / source).is_file()
            if target.endswith("acl"):
                assert f"acl_file {target}" in (EXAMPLE / "mosquitto.conf").read_text()
        else:
            assert source in COMPOSE["volumes"]
    settings = dict(
        line.split(" ", 1)
        for line in (EXAMPLE / "mosquitto.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert settings["allow_anonymous"] == "false"
    assert settings["set_tcp_nodelay"] == "true"
    assert settings["password_file"] in (EXAMPLE / "passwords.md").read_text()
    assert int(settings["max_queued_messages"]) > 0
    assert int(settings["max_queued_bytes"]) > 0
    user = COMPOSE["services"]["bridge"]["environment"]["TK103B__MQTT__USERNAME"]
    assert f"\nuser {user}\n" in (EXAMPLE / "acl").read_text()
