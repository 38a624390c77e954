"""Whichever broker there is: none, a strict one, an old one, one that goes away, a shared one."""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import aiomqtt
import pytest

from tests.conftest import PATIENCE_S, Mosquitto, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker, listening
from tests.e2e.credentials import PASSWORD, USER, certificates, passwords
from tests.e2e.speech import discovery, login, position, serving

GOLF, VAN = (f"86400000000970{number}" for number in range(1, 3))
WRONG = "wrong horse"
WHOAMI = {f"{BASE}/bridge/{way}/whoami" for way in ("request", "response")}
NO_HOST = {"TK103B__MQTT__HOST": ""}
WAITS = {"TK103B__LIMITS__WHOAMI_S": "60"}
"""For a newcomer that is to hear of the bridge which is there, and ends as soon as it does."""

Start = Callable[..., Mosquitto]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Start]:
    """Start a broker with rules of its own."""
    started: list[Mosquitto] = []

    def start(*lines: str) -> Mosquitto:
        # As root it would become somebody who may not read our files.
        user = f"user {getpass.getuser()}"
        started.append(Mosquitto(tmp_path, free_port(), user, *lines))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


Bridge = Callable[..., BridgeProcess]


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Bridge]:
    """Make bridges, each with a folder of its own."""
    made: list[BridgeProcess] = []

    def make(mqtt_port: int, **settings: str) -> BridgeProcess:
        folder = tmp_path / f"bridge{len(made)}"
        folder.mkdir()
        made.append(BridgeProcess(folder, mqtt_port, **settings))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.stop(signal.SIGKILL)


async def ended(bridge: BridgeProcess) -> int:
    """Return the exit code of a bridge that ends by itself."""

    def code() -> list[int]:
        assert bridge.process is not None
        found = bridge.process.poll()
        return [] if found is None else [found]

    found = await eventually(code)
    bridge.process = None
    assert isinstance(found, list)
    assert "Traceback" not in bridge.log.read_text()
    return int(found[0])


async def online(port: int, **options: object) -> None:
    """Wait until a bridge says on this broker that it serves."""
    async with aiomqtt.Client("127.0.0.1", port, **options) as client:  # type: ignore[arg-type] # what a test needs
        await client.subscribe(f"{BASE}/bridge/state", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            async for message in client.messages:
                if message.payload == b"online":
                    return


# --- none, one, or something else ---------------------------------------------------------------


async def test_without_a_broker_one_is_started_and_the_next_bridge_uses_it(another: Bridge) -> None:
    """The embedded one speaks no MQTT 5: whoever is told to use it falls back."""
    port = free_port()
    first = another(port, **NO_HOST)
    first.start()
    await first.listening()
    async with listening(port) as heard:
        await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
        await heard.ask("device/accept", id=GOLF, name="Golf")
        tracker = await Tracker.dial(first.port)
        await tracker.say(login(GOLF) + position(GOLF, ago_s=10))
        await heard.until(lambda: heard.vehicle("golf", "position"))
        await heard.until(lambda: heard.latest(discovery("golf")))
        await tracker.leave()
        told = first.log.read_text()
        assert f"started a small one on 127.0.0.1:{port}" in told
        assert "install Mosquitto and set mqtt.host" in told

        # Found without having been named, and spoken to in its own version.
        found = another(port, **NO_HOST, TK103B__MQTT__BASE_TOPIC="found")
        told_where = another(port, TK103B__MQTT__BASE_TOPIC="told")
        for one in (found, told_where):
            one.start()
        for one, base in ((found, "found"), (told_where, "told")):
            await heard.until(lambda base=base: heard.latest(f"{base}/bridge/state") == "online")
            assert "trying 3.1.1" in one.log.read_text()
        assert f"using the one on 127.0.0.1:{port}" in found.log.read_text()
        # Many restarts meet a second bridge on the same topic.
        rival = another(port, **NO_HOST, **WAITS)
        rival.start()
        assert await ended(rival) == 3
        for one, base in ((found, "found"), (told_where, "told")):
            assert one.stop() == 0
            await heard.until(lambda base=base: heard.latest(f"{base}/bridge/state") == "offline")
        assert first.stop() == 0
    assert "Traceback" not in first.log.read_text()


async def test_what_answers_is_no_broker(another: Bridge) -> None:
    """Something speaks another language, hangs up, or says nothing at all."""

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    servers = [
        await asyncio.start_server(serve, "127.0.0.1", 0) for serve in (speak, hang_up, say_nothing)
    ]
    bridges = [another(server.sockets[0].getsockname()[1], **NO_HOST) for server in servers]
    for bridge in bridges:
        bridge.start()
    for bridge in bridges:
        assert await ended(bridge) == 5
        told = bridge.log.read_text()
        assert "no MQTT broker" in told
        assert "mqtt.host" in told
    for server in servers:
        server.close()


async def test_no_broker_is_started_for_a_port_that_cannot_be_had(another: Bridge) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        port = str(stranger.getsockname()[1])
        bridge = another(free_port(), **NO_HOST, TK103B__LISTEN__PORT=port)
        bridge.start()
        assert await ended(bridge) == 1
    (told,) = bridge.log.read_text().splitlines()
    assert "choose another listen.port" in told


# --- one that wants to know us ------------------------------------------------------------------


async def test_a_strict_broker(broker: Start, another: Bridge, tmp_path: Path) -> None:
    """Whoever it refuses is told what to set; no secret is ever told."""
    strict = broker("allow_anonymous false", f"password_file {passwords(tmp_path)}")
    user = {"TK103B__MQTT__USERNAME": USER}
    refused = [
        another(strict.port),
        another(strict.port, **NO_HOST),
        another(strict.port, **user, TK103B__MQTT__PASSWORD=WRONG),
        another(strict.port, TK103B__MQTT__PROTOCOL="3.1.1"),
    ]
    for one in refused:
        one.start()
    for one in refused:
        assert await ended(one) == 5
        told = one.log.read_text()
        assert f"127.0.0.1:{strict.port} refuses us" in told
        assert "mqtt.host" in told
        assert "mqtt.username" in told
        assert "horse" not in told

    bridge = another(strict.port, **user, TK103B__MQTT__PASSWORD=PASSWORD)
    bridge.start("--log-level", "debug")
    await online(strict.port, username=USER, password=PASSWORD)
    async with aiomqtt.Client("127.0.0.1", strict.port, username=USER, password=PASSWORD) as client:
        await client.subscribe("#", qos=1)
        heard = Listener(client)

        async def hear() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard.messages.append((message.topic.value, message.payload, message.retain))

        task = asyncio.create_task(hear())
        await heard.ask("device/accept", id=GOLF, name="Golf")
        assert "id is missing" in (await heard.ask("device/accept"))["error"]
        assert (await heard.ask("info"))["data"]["config"]["mqtt"]["host"] == "127.0.0.1"
        listed = await asyncio.to_thread(bridge.command, "vehicles")
        assert "Golf" in listed.stdout
        stranger = dict(bridge.environment)
        bridge.environment["TK103B__MQTT__PASSWORD"] = WRONG
        lost = await asyncio.to_thread(bridge.command, "vehicles")
        assert lost.returncode == 4
        assert "horse" not in lost.stdout + lost.stderr
        bridge.environment = stranger
        assert bridge.stop() == 0
        await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "offline")
        assert not [topic for topic, payload, _ in heard.messages if b"horse" in payload]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "horse" not in bridge.log.read_text()


async def test_tls_on_both_sides(broker: Start, another: Bridge, tmp_path: Path) -> None:
    certificates(tmp_path)
    secure = broker(
        f"cafile {tmp_path}/ca.pem",
        f"certfile {tmp_path}/server.pem",
        f"keyfile {tmp_path}/server.key",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
    )

    def tls(**files: str) -> dict[str, str]:
        return {
            f"TK103B__MQTT__TLS__{name.upper()}": f"{tmp_path}/{file}"
            for name, file in files.items()
        }

    ours = tls(ca="ca.pem", certificate="client.pem", key="client.key")
    bridge = another(secure.port, **ours)
    bridge.start()
    params = aiomqtt.TLSParameters(
        ca_certs=f"{tmp_path}/ca.pem",
        certfile=f"{tmp_path}/client.pem",
        keyfile=f"{tmp_path}/client.key",
    )
    await online(secure.port, tls_params=params)
    health = await asyncio.to_thread(bridge.command, "health", "--json")
    assert json.loads(health.stdout)["connections"] == 0
    # Trust is mutual: a broker of another authority is none of ours, and says so in the log.
    wary = another(secure.port, **tls(ca="other.pem", certificate="client.pem", key="client.key"))
    wary.start()
    await eventually(
        lambda: wary.log.exists() and "certificate verify failed" in wary.log.read_text()
    )
    assert wary.stop() == 0
    assert bridge.stop() == 0
    # One that is spoken to in plain text is named as what it is.
    plain = another(secure.port, **NO_HOST)
    plain.start()
    assert await ended(plain) == 5
    assert "TLS" in plain.log.read_text()


# --- one that goes away -------------------------------------------------------------------------


async def test_a_broker_and_a_home_assistant_that_come_back_are_told_everything(
    bridge: BridgeProcess, heard: Listener, dial: Dial, mosquitto: Mosquitto
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    tracker = await dial()
    await tracker.say(position(GOLF, ago_s=20))
    await heard.until(lambda: heard.latest(discovery("golf")))
    told = [
        *(f"{BASE}/bridge/{name}" for name in ("state", "info", "discovery", "devices", "health")),
        *(f"{BASE}/vehicle/golf/{leaf}" for leaf in ("position", "state")),
        discovery("bridge"),
        discovery("golf"),
    ]
    await heard.until(lambda: all(map(heard.latest, told)))

    # Home Assistant was restarted.
    counts = {topic: len(heard.all(topic)) for topic in told[1:]}
    await heard.client.publish("homeassistant/status", "offline", qos=1)
    await heard.client.publish("homeassistant/status", "online", qos=1)
    await heard.until(lambda: all(len(heard.all(topic)) > counts[topic] for topic in counts))
    assert len(heard.all(f"{BASE}/vehicle/golf/report")) == 1

    # The broker was, and has forgotten everything.
    mosquitto.stop()
    await tracker.say(position(GOLF, ago_s=10))
    mosquitto.start()
    async with listening(mosquitto.port) as again:
        await again.until(lambda: all(map(again.latest, told)))
        assert again.latest(told[0]) == "online"
        await again.until(lambda: again.vehicle("golf", "position")["seq"] == 2)
        assert (await again.ask("info"))["status"] == "ok"
        # A goodbye is said by us, or by the broker for us; and a new start makes it good.
        bridge.stop(signal.SIGKILL)
        await again.until(lambda: again.latest(told[0]) == "offline")
        await serving(bridge, again)
        await again.until(lambda: again.latest(told[0]) == "online")
        assert bridge.stop(signal.SIGINT) == 0
        await again.until(lambda: again.latest(told[0]) == "offline")


async def test_a_bridge_waits_for_its_broker(bridge: BridgeProcess, mosquitto: Mosquitto) -> None:
    """One that is configured and not there yet is no reason to stop."""
    mosquitto.stop()
    bridge.start()
    await bridge.listening()
    await eventually(lambda: "no MQTT broker" in bridge.log.read_text())
    health = bridge.command("health")
    assert (health.returncode, health.stderr) == (0, "")
    assert "the bridge runs" in health.stdout
    mosquitto.start()
    await online(mosquitto.port)
    assert bridge.stop() == 0
    mosquitto.stop()
    bridge.start()
    await bridge.listening()
    assert bridge.stop() == 0


# --- one that is shared -------------------------------------------------------------------------


async def test_a_second_bridge_leaves_without_a_trace(
    bridge: BridgeProcess, heard: Listener, another: Bridge, mosquitto: Mosquitto
) -> None:
    await serving(bridge, heard)
    await heard.until(lambda: heard.latest(discovery("bridge")))
    before = len(heard.messages)
    second = another(mosquitto.port, **WAITS)
    second.start()
    assert await ended(second) == 3
    told = second.log.read_text()
    assert f"another bridge already serves the topic '{BASE}'" in told
    assert "mqtt.base_topic" in told
    await heard.ask("whoami")
    assert {topic for topic, _, _ in heard.messages[before:]} == WHOAMI
    assert heard.latest(f"{BASE}/bridge/state") == "online"
    # What nobody but a bridge would say does not impress one that serves.
    response = f"{BASE}/bridge/response/whoami"
    for odd in (b"[" * 5000, b"{", b"[]", b'{"data":[]}', b'{"data":{"nonce":5}}', b"\xff"):
        await heard.forge(response, odd)
    await heard.forge(response, b'{"data":{"nonce":"0"}}')
    await heard.until(lambda: "duplicate_bridge" in str(heard.all(f"{BASE}/bridge/event")))
    assert (await heard.ask("info"))["status"] == "ok"
    assert bridge.stop() == 0


async def test_of_bridges_that_start_at_once_exactly_one_stays(
    heard: Listener, another: Bridge, mosquitto: Mosquitto
) -> None:
    # Long enough for all of them to have begun to ask, on a busy machine, too.
    bridges = [another(mosquitto.port, TK103B__LIMITS__WHOAMI_S="2") for _ in range(3)]
    for one in bridges:
        one.start()
    codes: list[int] = []

    def settled() -> bool:
        for one in bridges:
            if one.process is not None and one.process.poll() is not None:
                codes.append(one.process.returncode)
                one.process = None
        return len(codes) == 2

    await heard.until(settled)
    assert codes == [3, 3]
    (left,) = [one for one in bridges if one.process is not None]
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    info = (await heard.ask("info"))["data"]
    assert info["listen"][0].endswith(f":{left.port}")
    assert {body["instance"] for body in heard.all(f"{BASE}/bridge/info")} == {info["instance"]}
    assert left.stop() == 0
