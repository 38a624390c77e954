"""The ground the other tests stand on: retained payloads arrive, requests are answered."""

from __future__ import annotations

import json

from homeassistant.components import mqtt
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from .fake_bridge import GOLF, FakeBridge


async def heard(hass: HomeAssistant, bridge: FakeBridge) -> dict[str, tuple[str, bool]]:
    """Subscribe to everything, and return what arrives: (payload, retained) by topic."""
    arrived: dict[str, tuple[str, bool]] = {}

    @callback
    def take(message: mqtt.ReceiveMessage) -> None:
        arrived[message.topic] = (str(message.payload), message.retain)

    await mqtt.async_subscribe(hass, f"{bridge.topics.base}/#", take, qos=1)
    await bridge.settled()
    return arrived


async def test_a_newcomer_is_told_what_is_retained(hass: HomeAssistant, bridge: FakeBridge) -> None:
    arrived = await heard(hass, bridge)
    assert arrived[bridge.topics.bridge_state] == ("online", True)
    assert bridge.payloads.keys() <= arrived.keys()
    state, _ = arrived[bridge.topics.vehicle(GOLF, "state")]
    assert json.loads(state)["name"] == "My Golf"


async def test_scenes_arrive_unmarked(hass: HomeAssistant, bridge: FakeBridge) -> None:
    arrived = await heard(hass, bridge)
    bridge.play("drives", "sos")
    payload, retained = arrived[bridge.topics.vehicle(GOLF, "alarm")]
    assert json.loads(payload)["event_type"] == "sos"
    assert not retained
    state, retained = arrived[bridge.topics.vehicle(GOLF, "state")]
    assert "sos" in json.loads(state)["alarms"]
    assert not retained


async def test_requests_are_answered(hass: HomeAssistant, bridge: FakeBridge) -> None:
    arrived = await heard(hass, bridge)
    topics = bridge.topics
    ask = json.dumps({"key": GOLF, "transaction": 7})
    await mqtt.async_publish(hass, topics.request("get_trips"), ask, qos=1)
    await bridge.settled()
    answer = json.loads(arrived[topics.response("get_trips")][0])
    assert answer["status"] == "ok"
    assert answer["transaction"] == 7
    assert answer["data"]["trips"]
    assert bridge.requests("get_trips") == [{"key": GOLF}]


async def test_discovery_makes_entities_of_home_assistant(
    hass: HomeAssistant, discovering_bridge: FakeBridge
) -> None:
    await discovering_bridge.settled()
    assert "My Golf" in {device.name for device in dr.async_get(hass).devices}
    tracker = er.async_get(hass).async_get("device_tracker.golf")
    assert tracker is not None
    assert tracker.platform == "mqtt"
    assert hass.states.get("device_tracker.golf").attributes["latitude"] == 52.52


async def test_answers_are_those_of_the_real_one(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """The same questions, in the same order, from the same state."""
    arrived = await heard(hass, bridge)
    bridge.play("drives", "sos")
    for name, asked in bridge.samples["answers"].items():
        topics, verb = bridge.topics, asked["verb"]
        await mqtt.async_publish(hass, topics.request(verb), json.dumps(asked["request"]), qos=1)
        await bridge.settled()
        assert json.loads(arrived[topics.response(verb)][0]) == asked["response"], name
