"""What the bridge says, heard through Home Assistant's MQTT; availability; requests."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components import mqtt as mqtt_component
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from custom_components.tk103b.const import DOMAIN
from custom_components.tk103b.coordinator import BridgeCoordinator, lookup

from .conftest import set_up
from .fake_bridge import BASE, GOLF, NAMESPACE, VAN, FakeBridge
from .outages import find_broker, lose_broker

NO_TIME = "custom_components.tk103b.coordinator.{}_TIMEOUT"


@pytest.fixture
def coordinator(running: MockConfigEntry) -> BridgeCoordinator:
    return running.runtime_data


def test_lookup_follows_a_path() -> None:
    assert lookup({"trip": {"distance_km": 2.5}}, "trip.distance_km") == 2.5
    assert lookup({"trip": {}}, "trip.distance_km") is None
    assert lookup({"trip": 1}, "trip.distance_km") is None
    assert lookup({}, "speed_kmh") is None


def test_knows_what_is_retained(coordinator: BridgeCoordinator, bridge: FakeBridge) -> None:
    assert coordinator.online
    assert coordinator.info == bridge.info
    assert coordinator.devices == bridge.devices
    assert coordinator.health == bridge.payloads[bridge.topics.bridge_health]
    assert set(coordinator.vehicles) == {GOLF, VAN}
    for key, vehicle in coordinator.vehicles.items():
        for leaf in ("position", "state", "last_alarm"):
            told = bridge.payloads.get(bridge.topics.vehicle(key, leaf), {})
            assert getattr(vehicle, leaf) == told


# --- setting up -----------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", ["info", "devices", "state"])
async def test_waits_for_what_a_bridge_retains(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry, absent: str
) -> None:
    del bridge.broker.retained[f"{BASE}/bridge/{absent}"]
    with patch(NO_TIME.format("RETAINED"), timedelta()):
        await set_up(hass, bridge, entry)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "bridge_silent"

    bridge.serve()
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


async def test_not_ready_without_mqtt(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    with pytest.raises(ConfigEntryNotReady) as caught:
        await BridgeCoordinator(hass, entry).async_setup()
    assert caught.value.translation_key == "mqtt_unavailable"


async def test_another_bridge_in_its_place(hass: HomeAssistant, bridge: FakeBridge) -> None:
    stranger = MockConfigEntry(
        domain=DOMAIN,
        unique_id="0ddba11",
        data={"base_topic": BASE, "instance": "0ddba11", "namespace": NAMESPACE},
    )
    stranger.add_to_hass(hass)
    await set_up(hass, bridge, stranger)

    assert stranger.state is ConfigEntryState.SETUP_RETRY
    assert stranger.error_reason_translation_key == "other_bridge"


async def test_set_up_while_the_bridge_is_away(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    bridge.goes()
    await set_up(hass, bridge, entry)

    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.golf_speed").state == "unavailable"

    bridge.comes_back()
    await bridge.settled()
    assert hass.states.get("sensor.golf_speed").state == "0.0"


# --- hearing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["not JSON", "[1, 2]", "null", "{", "7"])
async def test_nonsense_changes_nothing(
    coordinator: BridgeCoordinator, bridge: FakeBridge, text: str
) -> None:
    before = dict(coordinator.vehicles[GOLF].state), coordinator.info
    for topic in (
        bridge.topics.vehicle(GOLF, "state"),
        bridge.topics.bridge_info,
        bridge.topics.response("info"),
        f"{BASE}/bridge/unheard_of",
        f"{BASE}/vehicle/{GOLF}/unheard_of",
        f"{BASE}/vehicle/golf",
    ):
        bridge.say(topic, text)
    await bridge.settled()

    assert (coordinator.vehicles[GOLF].state, coordinator.info) == before
    assert coordinator.online


async def test_a_cleared_topic_is_an_unknown(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    bridge.say(bridge.topics.vehicle(GOLF, "position"), "")
    bridge.say(bridge.topics.bridge_devices, "")
    await bridge.settled()

    assert coordinator.vehicles[GOLF].position == {}
    assert coordinator.has_vehicle(GOLF), "a cleared list of devices is no word about them"


async def test_listeners_hear_each_payload_once(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    heard: list[tuple[dict[str, Any], bool]] = []
    stop = coordinator.async_listen_vehicle(GOLF, "state", lambda *told: heard.append(told))

    told = bridge.tell(GOLF, "state", speed_kmh=50.0)
    bridge.say(bridge.topics.vehicle(GOLF, "state"), told, retain=True)
    await bridge.settled()
    assert heard == [(told, False)]

    stop()
    stop()
    bridge.tell(GOLF, "state", speed_kmh=51.0)
    await bridge.settled()
    assert len(heard) == 1


async def test_entities_are_announced_once_each(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    due: list[tuple[str, str]] = []
    coordinator.async_listen_entities(
        lambda key, entities: due.extend((key, entity.key) for entity in entities)
    )
    assert {key for key, _ in due} == {GOLF, VAN}

    bridge.tell_vehicle("boat")
    bridge.tell_vehicle("boat", name="Boat", reports=["fuel_percent"])
    bridge.tell("boat", "state", fuel_percent=3.0, alarms={"door": {}})
    bridge.tell("boat", "state", fuel_percent=4.0, alarms={"door": {}})
    await bridge.settled()

    assert len(due) == len(set(due))
    assert {("boat", "tracker"), ("boat", "fuel"), ("boat", "door_alarm")} <= set(due)
    assert ("boat", "temperature") not in due


async def test_a_state_that_comes_before_its_vehicle(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    bridge.say(bridge.topics.vehicle("boat", "state"), {"link": "connected", "fuel_percent": 3.0})
    bridge.say(bridge.topics.vehicle("boat", "alarm"), {"event_type": "sos"})
    await bridge.settled()
    assert "boat" not in coordinator.vehicles

    bridge.tell_vehicle("boat")
    await bridge.settled()
    assert coordinator.vehicles["boat"].state["fuel_percent"] == 3.0
    assert coordinator.hass.states.get("sensor.boat_fuel").state == "3.0"


# --- availability ---------------------------------------------------------------------------------


def _words(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    name = "custom_components.tk103b"
    return [
        (record.levelno, record.message.rpartition(" ")[2])
        for record in caplog.records
        if record.name.startswith(name) and record.levelno >= logging.INFO
    ]


@pytest.mark.usefixtures("running")
async def test_says_once_that_the_bridge_went_and_once_that_it_is_back(
    hass: HomeAssistant,
    bridge: FakeBridge,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()

    bridge.goes()
    bridge.goes()
    await lose_broker(hass, mqtt, bridge)
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert _words(caplog) == [(logging.INFO, "reached")]

    caplog.clear()
    bridge.comes_back()
    bridge.comes_back()
    await bridge.settled()
    assert _words(caplog) == [(logging.INFO, "back")]

    caplog.clear()
    await lose_broker(hass, mqtt, bridge)
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert _words(caplog) == [(logging.INFO, "reached"), (logging.INFO, "back")]


async def test_nothing_is_logged_when_all_is_well(
    hass: HomeAssistant,
    bridge: FakeBridge,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await set_up(hass, bridge, entry)
    bridge.play("drives", "sos", "acknowledged", "parks", "sleeps")
    await bridge.settled()
    assert _words(caplog) == []


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("which", ["bridge", "broker"])
async def test_unavailable_while_the_bridge_cannot_be_reached(
    hass: HomeAssistant,
    bridge: FakeBridge,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
    which: str,
) -> None:
    def states() -> dict[str, str]:
        return {
            name: hass.states.get(name).state
            for name in ("device_tracker.golf", "sensor.golf_speed", "event.golf_alarm",
                         "button.golf_acknowledge", "switch.golf_private",
                         "binary_sensor.golf_ignition", "sensor.tk103b_bridge_guests")
        }  # fmt: skip

    before = states()
    await (lose_broker(hass, mqtt, bridge) if which == "broker" else _goes(bridge))
    assert set(states().values()) == {"unavailable"}
    assert hass.states.get("binary_sensor.tk103b_bridge_online").state == "off"

    if which == "broker":
        await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    else:
        bridge.comes_back()
        await bridge.settled()
    assert states() == before
    assert hass.states.get("binary_sensor.tk103b_bridge_online").state == "on"


@pytest.mark.usefixtures("running")
async def test_a_broker_that_comes_back_without_the_bridge(
    hass: HomeAssistant,
    bridge: FakeBridge,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    """After a power cut it has kept nothing, and the bridge does not start."""
    await lose_broker(hass, mqtt, bridge)
    bridge.broker.retained.clear()
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)

    assert hass.states.get("binary_sensor.tk103b_bridge_online").state == "off"
    assert hass.states.get("device_tracker.golf").state == "unavailable"

    bridge.serve()
    await bridge.settled()
    assert hass.states.get("device_tracker.golf").state != "unavailable"


async def test_what_cannot_be_unsubscribed_is_heard_by_nobody(
    hass: HomeAssistant,
    bridge: FakeBridge,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when MQTT was reloaded: Home Assistant then keeps what was subscribed to before."""
    caplog.set_level(logging.INFO)
    subscribe = mqtt_component.async_subscribe

    async def for_ever(*args: Any, **named: Any) -> Callable[[], None]:
        await subscribe(*args, **named)
        return lambda: None

    monkeypatch.setattr(mqtt_component, "async_subscribe", for_ever)
    await set_up(hass, bridge, entry)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await bridge.settled()

    await _goes(bridge)

    assert _words(caplog) == [(logging.INFO, "reached")]


async def _goes(bridge: FakeBridge) -> None:
    bridge.goes()
    await bridge.settled()


@pytest.mark.usefixtures("running")
async def test_a_sleeping_tracker_leaves_its_vehicle_available(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    bridge.tell(GOLF, "state", link="asleep", last_seen="2026-11-01T08:00:00Z")
    await bridge.settled()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(days=2))
    await bridge.settled()

    assert hass.states.get("binary_sensor.golf_connectivity").state == "off"
    assert hass.states.get("sensor.golf_link").state == "asleep"
    assert hass.states.get("device_tracker.golf").state == "not_home"
    assert hass.states.get("sensor.golf_fuel").state == "51.5"


async def test_stale_after_the_minutes_of_the_options(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    hass.config_entries.async_update_entry(entry, options={"stale_after_min": 30})
    await set_up(hass, bridge, entry)
    now = dt_util.utcnow()
    bridge.tell(GOLF, "state", last_seen=now.isoformat(), alarms={"sos": {}})
    await bridge.settled()
    assert hass.states.get("sensor.golf_fuel").state == "51.5"

    later = now + timedelta(minutes=31)
    with patch("custom_components.tk103b.coordinator.dt_util.utcnow", return_value=later):
        async_fire_time_changed(hass, later)
        await bridge.settled()
    gone = ("device_tracker.golf", "sensor.golf_fuel", "binary_sensor.golf_ignition")
    assert {hass.states.get(name).state for name in gone} == {"unavailable"}
    # What is true of it still, and what must not be missed.
    assert hass.states.get("binary_sensor.golf_sos_alarm").state == "on"
    assert hass.states.get("sensor.golf_last_seen").state != "unavailable"
    assert hass.states.get("button.golf_acknowledge").state == "unknown"

    bridge.tell(GOLF, "state", last_seen=dt_util.utcnow().isoformat())
    await bridge.settled()
    assert {hass.states.get(name).state for name in gone} == {"not_home", "51.5", "off"}


# --- asking ---------------------------------------------------------------------------------------


async def test_asks_and_returns_the_data(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    assert await coordinator.request("permit_join", {"time": 60}) == {"time": 60}
    assert bridge.asked == [("permit_join", {"time": 60})]


async def test_each_request_has_a_transaction_of_its_own(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    for _ in range(2):
        await coordinator.request("info")
    transactions = {
        json.loads(payload)["transaction"]
        for topic, payload, _ in bridge.broker.heard
        if topic == bridge.topics.request("info")
    }
    assert len(transactions) == 2


async def test_a_refusal_is_told_in_the_bridges_words(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    bridge.refuse("device/accept", "this id is taken")
    with pytest.raises(HomeAssistantError) as caught:
        await coordinator.request("device/accept", {"id": "1"})
    assert caught.value.translation_key == "request_refused"
    assert caught.value.translation_placeholders == {"error": "this id is taken"}


async def test_no_answer_in_time(coordinator: BridgeCoordinator, bridge: FakeBridge) -> None:
    bridge.silent.add("info")
    with patch(NO_TIME.format("REQUEST"), timedelta()), pytest.raises(HomeAssistantError) as caught:
        await coordinator.request("info")
    assert caught.value.translation_key == "request_timed_out"

    # An answer that comes too late, or to somebody else's question, is nobody's.
    bridge.say(bridge.topics.response("info"), {"transaction": "else", "status": "ok", "data": 1})
    bridge.say(bridge.topics.response("info"), {"status": "ok", "data": 1})
    await bridge.settled()


async def test_nothing_is_asked_of_a_bridge_that_is_away(
    coordinator: BridgeCoordinator, bridge: FakeBridge
) -> None:
    await _goes(bridge)
    with pytest.raises(HomeAssistantError) as caught:
        await coordinator.request("info")
    assert caught.value.translation_key == "bridge_offline"
    assert bridge.asked == []
