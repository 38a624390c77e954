"""What the component's tests share: Home Assistant with MQTT, a broker, a bridge that answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from .broker import Broker
from .fake_bridge import BASE, INSTANCE, NAMESPACE, FakeBridge

DOMAIN = "tk103b"


# A busy machine is no finding: only this logger tells of steps of the loop that took long.
logging.getLogger("asyncio").setLevel(logging.ERROR)


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load custom_components/ of this repository."""


@pytest.fixture
def _at_once() -> Iterator[None]:
    """Spare Home Assistant's MQTT what is for real brokers: pauses, and a timer for its socket."""
    client = "homeassistant.components.mqtt.client"
    with (
        patch(f"{client}.MQTT._async_start_misc_periodic"),
        patch(f"{client}.INITIAL_SUBSCRIBE_COOLDOWN", 0.0),
        patch(f"{client}.SUBSCRIBE_COOLDOWN", 0.0),
        patch(f"{client}.UNSUBSCRIBE_COOLDOWN", 0.0),
    ):
        yield


@pytest.fixture
def broker(hass: HomeAssistant, _at_once: None, mqtt_client_mock: MqttMockPahoClient) -> Broker:
    """What stands between; Home Assistant is not connected to it yet."""
    return Broker(hass, mqtt_client_mock)


@pytest.fixture
async def mqtt(broker: Broker, mqtt_mock: MqttMockHAClient) -> MqttMockHAClient:
    """Home Assistant's MQTT, connected to the broker. `mqtt.connected = False` cuts it off."""
    await broker.quiet()
    return mqtt_mock


@pytest.fixture
def bridge(hass: HomeAssistant, broker: Broker, mqtt: MqttMockHAClient) -> FakeBridge:
    """A bridge that serves: the component owns the entities, two vehicles, two trackers wait."""
    del mqtt
    served = FakeBridge(hass, broker)
    served.payloads[served.topics.bridge_info] = {**served.info, "entities": "component"}
    served.serve()
    return served


@pytest.fixture
def discovering_bridge(hass: HomeAssistant, broker: Broker, mqtt: MqttMockHAClient) -> FakeBridge:
    """The same, but the bridge has made its entities by MQTT discovery."""
    del mqtt
    served = FakeBridge(hass, broker)
    served.serve(discovery=True)
    return served


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """An entry for that bridge, added and not set up."""
    made = MockConfigEntry(
        domain=DOMAIN,
        title="TK103B Bridge",
        unique_id=INSTANCE,
        data={"base_topic": BASE, "instance": INSTANCE, "namespace": NAMESPACE},
        options={},
    )
    made.add_to_hass(hass)
    return made


async def set_up(hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry) -> None:
    """Set the entry up and wait until its entities show what the bridge says."""
    await hass.config_entries.async_setup(entry.entry_id)
    await bridge.settled()


@pytest.fixture
async def running(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> MockConfigEntry:
    """The entry, set up, with a bridge that leaves the entities to it. `asked` begins here."""
    await set_up(hass, bridge, entry)
    bridge.asked.clear()
    return entry
