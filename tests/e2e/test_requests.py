"""Everything that can be asked of a running bridge over MQTT, and how it says no."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto, eventually
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, listening
from tests.e2e.speech import (
    LOAD,
    ON,
    answer,
    devices,
    discovery,
    events,
    guests,
    heartbeat,
    help_me,
    keys,
    login,
    position,
    receipt,
    serving,
    told_name,
)

GOLF, SPARE, VAN, OTHER, LAST = (f"86400000000910{number}" for number in range(1, 6))

LEGAL_TOPIC = re.compile(
    rf"{BASE}/bridge/(state|info|discovery|devices|event|health|(request|response)/[a-z_/]+)"
    rf"|{BASE}/vehicle/[a-z0-9_]{{1,40}}/(position|state|alarm|last_alarm|report|history)"
    rf"|homeassistant/device/{BASE}_[a-z0-9_]+/config"
)

REFUSED: tuple[tuple[str, bytes | str, str], ...] = (
    ("device/accept", b"{", "not JSON"),
    ("device/accept", b"\xff\xfe", "not JSON"),
    ("device/accept", b'{"id":"\xff"}', "not JSON"),
    ("device/accept", b"[]", "not a JSON object"),
    ("device/accept", b'"864000000009101"', "not a JSON object"),
    ("device/accept", b'{"id":' + b"[" * 9000, "nested too deeply"),
    ("device/accept", b'{"id":"' + b"8" * 20_000, "too large"),
    ("device/accept", b"{}", "id is missing"),
    ("device/accept", b'{"id":864000000009101}', "id must be text"),
    ("device/accept", b'{"id":null}', "id must be text"),
    ("device/accept", b'{"id":"86400000000910\\u0000"}', "id must be text"),
    ("device/accept", '{"id":"864000000009101/#"}', "no tracker id"),
    ("device/accept", '{"id":"864000000009101","key":"Golf/+"}', "cannot be a key"),
    ("device/accept", '{"id":"864000000009101","key":"bridge"}', "cannot be a key"),
    ("device/accept", '{"id":"864000000009101","name":"a\\nb"}', "name must be text"),
    ("device/accept", '{"id":"864000000009101","waiting":"yes"}', "waiting must be true or"),
    ("device/accept", '{"id":"864000000009101","waiting":true}', "waiting now"),
    ("device/block", "{}", "id is missing"),
    ("device/block", '{"id":"864000000009101","waiting":true}', "waiting now"),
    ("device/remove", '{"key":"nobody"}', "no vehicle 'nobody'"),
    ("device/remove", '{"key":"van","clear":"all"}', "clear must be true or false"),
    ("device/remove", '{"key":"van"}', "cars.yaml:2"),
    ("device/rename", '{"key":"nobody","name":"Somebody"}', "no vehicle 'nobody'"),
    ("device/rename", '{"key":"van"}', "name is missing"),
    ("device/rename", '{"key":"van","name":"Bus"}', "cars.yaml:2"),
    ("device/replace", '{"key":"van","id":"864000000009101"}', "cars.yaml:2"),
    ("device/replace", '{"key":"van"}', "id is missing"),
    ("permit_join", '{"time":901}', "whole number from 0 to 900"),
    ("permit_join", '{"time":true}', "whole number"),
    ("permit_join", '{"time":"ten"}', "whole number"),
    ("permit_join", '{"time":1e400}', "not JSON"),
    ("permit_join", '{"time":10,"name":[]}', "name must be text"),
    ("entities", '{"owner":"somebody"}', "discovery, component, off"),
    ("entities", '{"owner":"off","confirmed":1}', "confirmed must be true or false"),
    ("capture", "{}", "id is missing"),
    ("make_tea", "{}", "unknown request 'make_tea'"),
    ("device", "{}", "device/accept"),
    ("device/accept/now", "{}", "unknown request"),
)
"""Verb, payload, and what the answer must say."""

ODD_VERBS = ("", "türkisch", "info ", "a//b", "$SYS/x", "x" * 41)


async def test_what_makes_no_sense_is_refused_in_words(
    bridge: BridgeProcess, heard: Listener, tmp_path: Path
) -> None:
    """The bridge goes on, nothing has changed, and no topic was made of what came in."""
    cars = tmp_path / "cars.yaml"
    cars.write_text(f"vehicles:\n  van: {{name: Van, trackers: [{VAN}]}}\n")
    await serving(bridge, heard, "--config", str(cars))
    before = devices(heard)
    asked = set()
    for verb, payload, words in REFUSED:
        asked.add(f"{BASE}/bridge/request/{verb}")
        refusal = await answer(heard, verb, payload)
        assert refusal["status"] == "error", (verb, payload)
        assert words in refusal["error"], (verb, payload, refusal)
        assert "data" not in refusal
    for verb in ODD_VERBS:
        asked.add(f"{BASE}/bridge/request/{verb}")
        refusal = await answer(heard, verb, "{}", on="unknown")
        assert "unknown request" in refusal["error"]
    refusal = await answer(heard, "device/block", '{"transaction":{"a":[1,null]}}')
    assert refusal == {
        "transaction": {"a": [1, None]}, "status": "error", "error": "id is missing"
    }  # fmt: skip
    # What people call their cars makes no topic either.
    names = ("../../#/+", "$SYS", "Überlandbus №7", "車", "Vehicle", "%s {x} \\u0000")
    for number, name in enumerate(names):
        body = json.dumps({"id": f"86400000000920{number}", "name": name})
        accepted = await answer(heard, "device/accept", body)
        assert accepted["data"]["name"] == name
    assert (await heard.ask("health_check"))["data"]["vehicles_connected"] == 0
    await heard.until(lambda: heard.latest(discovery(accepted["data"]["key"])))
    assert devices(heard)["vehicles"][0] == before["vehicles"][0]
    odd = {topic for topic, _, _ in heard.messages if not LEGAL_TOPIC.fullmatch(topic)}
    assert odd <= asked
    assert "Traceback" not in bridge.log.read_text()
    assert bridge.stop() == 0


async def test_a_repeat_gets_the_first_answer_and_acts_once(
    bridge: BridgeProcess, heard: Listener
) -> None:
    await serving(bridge, heard)
    accept = json.dumps({"id": GOLF, "name": "Golf", "transaction": 7})
    first = await answer(heard, "device/accept", accept)
    assert first == {
        "transaction": 7,
        "status": "ok",
        "data": {"key": "golf", "name": "Golf", "waited": False},
    }
    assert await answer(heard, "device/accept", accept) == first
    assert len(events(heard, "tracker_accepted")) == 1
    # Another transaction, or none, is another request.
    other = await answer(heard, "device/accept", accept.replace("7}", "8}"))
    assert other["transaction"] == 8
    assert "already belongs to golf" in other["error"]
    assert await answer(heard, "device/accept", accept.replace("7}", "8}")) == other
    bare = json.dumps({"id": GOLF})
    refusal = await answer(heard, "device/accept", bare)
    assert "transaction" not in refusal
    # The same words under another verb, too.
    away = json.dumps({"key": "golf", "purge": True, "transaction": 7})
    assert (await answer(heard, "device/remove", away))["status"] == "ok"
    assert (await answer(heard, "device/accept", bare))["status"] == "ok"
    assert (await answer(heard, "device/remove", away))["status"] == "ok"
    assert keys(heard) == ["tracker_9101"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_retained_requests_are_refused_and_cleared(
    version: str, bridge: BridgeProcess, heard: Listener, mosquitto: Mosquitto
) -> None:
    """Met on subscribing, always; while the bridge runs, where MQTT 5 tells them from live ones."""
    accept, whoami = (f"{BASE}/bridge/request/{verb}" for verb in ("device/accept", "whoami"))
    body = json.dumps({"id": GOLF, "name": "Golf"})
    await heard.client.publish(accept, body, qos=1, retain=True)
    await heard.client.publish(whoami, '{"nonce":"0","started_at":""}', qos=1, retain=True)
    bridge.environment["TK103B__MQTT__PROTOCOL"] = version
    await serving(bridge, heard)
    await heard.until(lambda: heard.latest(accept) == heard.latest(whoami) == "")
    await heard.client.publish(accept, b"", qos=1)
    assert (await heard.ask("info"))["status"] == "ok"
    assert not heard.all(f"{BASE}/bridge/response/device/accept")
    assert keys(heard) == []

    await heard.client.publish(accept, body, qos=1, retain=True)
    if version == "5":
        await heard.until(lambda: heard.all(accept)[-2:] == [json.loads(body), ""])
        assert (await heard.ask("info"))["status"] == "ok"
        assert keys(heard) == []
        assert bridge.log.read_text().count("refused a retained message") == 3
        async with listening(mosquitto.port) as fresh:
            await fresh.topic(f"{BASE}/bridge/state")
            await fresh.ask("info")
            retained = [topic for topic, payload, kept in fresh.messages if kept and payload]
            assert not [topic for topic in retained if "/request/" in topic]
    else:
        await heard.until(lambda: keys(heard) == ["golf"])


async def test_permit_join_lets_exactly_one_in(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    def info() -> Any:
        return heard.latest(f"{BASE}/bridge/info")

    await serving(bridge, heard)
    early = await dial()
    await early.say(position(OTHER, ago_s=60))
    await heard.until(lambda: guests(heard) == [OTHER])

    opened = await heard.ask("permit_join", time=60, name="The van")
    assert opened["data"] == {"time": 60}
    assert info()["permit_join"] is True
    assert info()["permit_join_end"].endswith("Z")
    # Whoever was a guest before is not meant; whoever shows no position may be anybody.
    await early.say(position(OTHER, ago_s=50) + position(OTHER, ago_s=40) + heartbeat(OTHER))
    await early.hear(ON)
    newcomer = await dial()
    await newcomer.say(login(VAN) + heartbeat(VAN) + position(VAN, ago_s=30))
    await newcomer.hear(LOAD + ON)
    await heard.until(lambda: VAN in guests(heard))
    await newcomer.say(position(VAN, ago_s=20))
    await heard.until(lambda: heard.vehicle("the_van", "position"))
    await heard.until(lambda: info()["permit_join"] is False)
    assert "permit_join_end" not in info()
    await heard.until(lambda: keys(heard) == ["the_van"])
    assert guests(heard) == [OTHER]

    # Two at once: nobody can know which was meant.
    switch = heard.latest(discovery("bridge"))["components"]["permit_join"]
    await heard.client.publish(switch["command_topic"], switch["payload_on"], qos=1)
    await heard.until(lambda: info()["permit_join"] is True)
    one, two = await dial(), await dial()
    await one.say(position(GOLF, ago_s=30) + heartbeat(GOLF))
    await one.hear(ON)
    await two.say(position(SPARE, ago_s=30) + heartbeat(SPARE))
    await two.hear(ON)
    await one.say(position(GOLF, ago_s=20) + heartbeat(GOLF))
    await one.hear(ON)
    await heard.until(lambda: info()["permit_join"] is False)
    await heard.until(lambda: set(guests(heard)) == {OTHER, GOLF, SPARE})
    assert [event["ids"] for event in events(heard, "join_contested")] == [[GOLF, SPARE]]

    # Closed again before anybody came.
    await heard.ask("permit_join", time=900)
    assert info()["permit_join"] is True
    await heard.client.publish(switch["command_topic"], switch["payload_off"], qos=1)
    await heard.until(lambda: info()["permit_join"] is False)
    late = await dial()
    await late.say(position(LAST, ago_s=30) + position(LAST, ago_s=20) + heartbeat(LAST))
    await late.hear(ON)
    await heard.until(lambda: LAST in guests(heard))
    assert keys(heard) == ["the_van"]


async def test_a_vehicle_keeps_its_key_whatever_becomes_of_name_and_tracker(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    await serving(bridge, heard)
    accepted = await heard.ask("device/accept", id=GOLF, name="My Golf", key="golf", owner="Ada")
    assert accepted["data"] == {"key": "golf", "name": "My Golf", "waited": False}
    tracker = await dial()
    await tracker.say(position(GOLF, ago_s=60) + help_me(GOLF, ago_s=50))
    await tracker.hear(receipt(GOLF))
    await heard.until(lambda: (heard.vehicle("golf", "position") or {}).get("seq") == 2)
    await heard.topic(f"{BASE}/vehicle/golf/last_alarm")

    await heard.ask("device/rename", key="golf", name="Ada's Golf")
    (row,) = devices(heard)["vehicles"]
    assert (row["key"], row["name"], row["owner"]) == ("golf", "Ada's Golf", "Ada")
    await heard.until(lambda: heard.vehicle("golf", "state")["name"] == "Ada's Golf")
    await heard.until(lambda: told_name(heard, "golf") == "Ada's Golf")

    # Another tracker in the same car: what it sent while it waited belongs to the car.
    spare = await dial()
    await spare.say(position(SPARE, ago_s=40) + position(SPARE, ago_s=30) + heartbeat(SPARE))
    await spare.hear(ON)
    replaced = await heard.ask("device/replace", key="golf", id=SPARE)
    assert replaced["data"] == {"key": "golf", "trackers": [SPARE]}
    assert await tracker.hung_up()
    await heard.until(lambda: heard.vehicle("golf", "position")["seq"] == 4)
    history = f"{BASE}/vehicle/golf/history"
    await heard.until(lambda: len(heard.all(history)) == 2)
    assert [(one["device_id"], one["seq"]) for one in heard.all(history)] == [
        (SPARE, 3),
        (SPARE, 4),
    ]
    await spare.say(position(SPARE, ago_s=20))
    await heard.until(lambda: heard.vehicle("golf", "report")["seq"] == 5)
    await heard.until(lambda: heard.vehicle("golf", "position")["seq"] == 5)


async def test_a_removed_vehicle_can_come_back_until_it_is_purged(
    bridge: BridgeProcess, heard: Listener, dial: Dial, mosquitto: Mosquitto
) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=SPARE, name="Ada's Golf", key="golf")
    spare = await dial()
    await spare.say(position(SPARE, ago_s=30) + help_me(SPARE, ago_s=20))
    await spare.hear(receipt(SPARE))
    await heard.topic(f"{BASE}/vehicle/golf/last_alarm")
    await heard.until(lambda: (heard.vehicle("golf", "position") or {}).get("seq") == 2)
    latest = heard.vehicle("golf", "position")
    await heard.until(lambda: heard.latest(discovery("golf")))

    # Removed: silent everywhere, its key reserved, and all of it back when it is wanted again.
    removed = await heard.ask("device/remove", key="golf")
    assert removed == {
        "transaction": removed["transaction"],
        "status": "ok",
        "data": {"key": "golf"},
    }
    assert await spare.hung_up()
    assert keys(heard) == []
    await heard.until(lambda: heard.latest(discovery("golf")) == "")
    async with listening(mosquitto.port) as fresh:
        await fresh.topic(f"{BASE}/bridge/state")
        await fresh.ask("info")
        kept = {topic for topic, payload, retained in fresh.messages if retained and payload}
        assert not [topic for topic in kept if "golf" in topic]
    other = await heard.ask("device/accept", id=OTHER, name="Golf")
    assert other["data"]["key"] == "golf_9104"
    back = await heard.ask("device/accept", id=SPARE, key="golf")
    assert back["data"] == {"key": "golf", "name": "Ada's Golf", "waited": False}
    await heard.until(lambda: heard.vehicle("golf", "position") == latest)
    await heard.until(lambda: "sos" in heard.vehicle("golf", "state")["alarms"])

    # Purged and blocked: the key is free, the history gone, the tracker kept out.
    await heard.ask("device/remove", key="golf", purge=True, block=True, clear=False)
    reborn = await heard.ask("device/accept", id=LAST, name="Golf")
    assert reborn["data"]["key"] == "golf"
    await heard.until(lambda: heard.vehicle("golf", "state")["name"] == "Golf")
    state = heard.vehicle("golf", "state")
    assert state["alarms"] == {}
    assert "fix_time" not in state
    refused = await dial()
    await refused.say(login(SPARE))
    assert await refused.hung_up()
    assert "belongs to golf" in (await heard.ask("device/block", id=LAST))["error"]
    assert (await heard.ask("capture", id=SPARE))["data"] == {"lines": []}


async def test_a_capture_tells_nobodys_name_or_place(
    bridge: BridgeProcess, heard: Listener, dial: Dial, tmp_path: Path
) -> None:
    await serving(bridge, heard)
    tracker = await dial()
    await tracker.say(login(GOLF) + position(GOLF, ago_s=90) + heartbeat(GOLF))
    await tracker.hear(LOAD + ON)
    as_guest = (await heard.ask("capture", id=GOLF))["data"]["lines"]
    assert len(as_guest) == 3
    await heard.ask("device/accept", id=GOLF, name="Golf")
    await tracker.say(position(GOLF, ago_s=60) + position(GOLF, minutes="99.2000"))
    await tracker.say(help_me(GOLF, ago_s=30))
    await tracker.hear(receipt(GOLF))
    # A short form of the id is asked for the same tracker.
    for device_id in (GOLF, GOLF[-11:]):
        lines = (await heard.ask("capture", id=device_id))["data"]["lines"]
        assert len(lines) == 6
        text = "\n".join(lines)
        for betrayal in (GOLF, GOLF[-11:], "5231.2", "01324.6", "52.52", "13.41"):
            assert betrayal not in text
        assert "help me" in text
    cases = tmp_path / "cases.jsonl"
    cases.write_text(text)
    decoded = bridge.command("decode", "--cases", str(cases)).stdout.splitlines()
    for line, again in zip(map(json.loads, lines), map(json.loads, decoded), strict=True):
        assert again["protocol"] == "gps103"
        assert [event.get("messages") for event in again["events"]] == [
            event.get("messages") for event in line["events"]
        ]
    assert (await heard.ask("capture", id=OTHER))["data"] == {"lines": []}


async def test_what_it_says_of_itself(bridge: BridgeProcess, heard: Listener, dial: Dial) -> None:
    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    tracker = await dial()
    await tracker.say(help_me(GOLF, ago_s=10))
    await tracker.hear(receipt(GOLF))
    info = (await heard.ask("info"))["data"]
    assert info == heard.latest(f"{BASE}/bridge/info")
    assert {
        "version", "schema", "instance", "namespace", "epoch", "listen", "protocols", "entities",
        "permit_join", "log_level", "restart_required", "config",
    } == info.keys()  # fmt: skip
    assert info["listen"] == [f"{name}://127.0.0.1:{bridge.port}" for name in ("tcp", "udp")]
    assert {"gps103", "tk103"} <= set(info["protocols"])
    assert GOLF not in json.dumps(info)
    assert heard.latest(f"{BASE}/bridge/discovery") == {
        **{name: info[name] for name in ("instance", "namespace", "schema")}, "base_topic": BASE
    }  # fmt: skip
    whoami = (await heard.ask("whoami"))["data"]
    assert whoami["instance"] == info["instance"]
    assert whoami.keys() == {"nonce", "started_at", "instance"}

    async def calm() -> Any:
        health = (await heard.ask("health_check"))["data"]
        return health["journal_lag"]["mqtt"] == 0 and health

    health = await eventually(calm)
    assert isinstance(health, dict)
    assert (health["connections"], health["vehicles_connected"], health["guests"]) == (1, 1, 0)
    assert 5 < health["rss_mb"] < 500

    leaves = ("position", "state", "last_alarm")
    retained = [
        *(f"{BASE}/bridge/{name}" for name in ("info", "discovery", "devices", "health")),
        *(f"{BASE}/vehicle/golf/{leaf}" for leaf in leaves),
        discovery("bridge"),
        discovery("golf"),
    ]
    await heard.until(lambda: all(map(heard.latest, retained)))
    before = {topic: len(heard.all(topic)) for topic in retained}
    assert (await heard.ask("republish"))["data"] == {}
    await heard.until(lambda: all(len(heard.all(topic)) > before[topic] for topic in retained))
