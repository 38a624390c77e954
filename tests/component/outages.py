"""The broker goes away from Home Assistant, and comes back with all it has retained."""

from __future__ import annotations

from homeassistant.components.mqtt import MQTT_CONNECTION_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.dispatcher import async_dispatcher_send
from pytest_homeassistant_custom_component.common import MockMqttReasonCode
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from .fake_bridge import FakeBridge


async def lose_broker(hass: HomeAssistant, mqtt: MqttMockHAClient, bridge: FakeBridge) -> None:
    """Cut Home Assistant off from its broker."""
    mqtt.connected = False
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, False)  # noqa: FBT003 - as Home Assistant
    await bridge.settled()


async def find_broker(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    client: MqttMockPahoClient,
    bridge: FakeBridge,
) -> None:
    """Connect it again: it subscribes anew, and is told what is retained."""
    mqtt.connected = True
    client.on_disconnect(client, None, 0, MockMqttReasonCode(), None)
    client.on_connect(client, None, 0, MockMqttReasonCode())
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, True)  # noqa: FBT003 - as Home Assistant
    await bridge.settled()
