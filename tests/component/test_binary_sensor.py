"""Inputs, and alarms that stay on from their first ring to their end."""

from __future__ import annotations

import pytest
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.tk103b.contract import ALARM_ENTITIES, BRIDGE_ENTITIES, ENTITIES

from .conftest import set_up
from .fake_bridge import GOLF, VAN, FakeBridge

SOS = "binary_sensor.golf_sos_alarm"
EPISODE = {
    "since": "2026-11-05T08:10:00Z",
    "last": "2026-11-05T08:10:00Z",
    "count": 1,
    "episode": 9,
}
INPUTS = {
    "ignition": "ignition",
    "motion": "motion",
    "door": "door_open",
    "external_power": "external_power",
    "charging": "charging",
    "armed": "armed",
    "engine_cut": "engine_cut",
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("key", "field"), INPUTS.items())
async def test_an_input_is_on_off_or_unknown(
    hass: HomeAssistant, bridge: FakeBridge, key: str, field: str
) -> None:
    seen = []
    for value in (True, False, None):
        bridge.tell(GOLF, "state", **{field: value})
        await bridge.settled()
        seen.append(hass.states.get(f"binary_sensor.golf_{key}").state)
    assert seen == ["on", "off", "unknown"]


@pytest.mark.usefixtures("running")
async def test_connected_is_only_connected(hass: HomeAssistant, bridge: FakeBridge) -> None:
    seen = {}
    for link in ("connected", "asleep", "lost", None):
        bridge.tell(GOLF, "state", link=link)
        await bridge.settled()
        seen[link] = hass.states.get("binary_sensor.golf_connectivity").state
    assert seen == {"connected": "on", "asleep": "off", "lost": "off", None: "unknown"}


@pytest.mark.usefixtures("running")
async def test_an_alarm_stays_on_as_long_as_its_episode(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    bridge.tell(GOLF, "state", alarms={"sos": EPISODE})
    for count in (2, 3):
        bridge.tell(GOLF, "state", alarms={"sos": {**EPISODE, "count": count}})
        await bridge.settled()
        assert hass.states.get(SOS).state == "on"
    since = hass.states.get(SOS).last_changed

    # Another alarm, a silent tracker: nothing ends it but what takes it out of the state.
    bridge.tell(GOLF, "state", alarms={"sos": EPISODE, "door": EPISODE}, link="lost")
    await bridge.settled()
    assert hass.states.get(SOS).state == "on"
    assert hass.states.get(SOS).last_changed == since

    bridge.tell(GOLF, "state", alarms={"door": EPISODE})
    await bridge.settled()
    assert hass.states.get(SOS).state == "off"
    assert hass.states.get("binary_sensor.golf_door_alarm").state == "on"


@pytest.mark.usefixtures("running")
async def test_the_story_of_an_sos(hass: HomeAssistant, bridge: FakeBridge) -> None:
    seen = []
    for scene in ("drives", "sos", "sos again", "acknowledged"):
        bridge.play(scene)
        await bridge.settled()
        seen.append(hass.states.get(SOS).state)
    assert seen == ["off", "on", "on", "off"]


@pytest.mark.usefixtures("running")
async def test_without_a_state_nothing_is_known(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell_vehicle("boat")
    await bridge.settled()
    assert hass.states.get("binary_sensor.boat_sos_alarm").state == "unknown"
    assert hass.states.get("binary_sensor.boat_connectivity").state == "unknown"


@pytest.mark.usefixtures("running")
async def test_an_alarm_has_its_sensor_once_it_has_rung(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    assert hass.states.get("binary_sensor.van_sos_alarm") is not None, "it is there from the start"
    assert hass.states.get("binary_sensor.van_vibration_alarm") is None

    bridge.tell(VAN, "state", alarms={"vibration": EPISODE})
    await bridge.settled()
    assert hass.states.get("binary_sensor.van_vibration_alarm").state == "on"

    bridge.tell_vehicle(VAN, alarms=["vibration", "door"])
    await bridge.settled()
    assert hass.states.get("binary_sensor.van_door_alarm").state == "off"


async def test_only_the_alarms_of_the_options(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    await set_up(hass, bridge, entry)
    assert hass.states.get("binary_sensor.golf_idle_alarm") is not None

    hass.config_entries.async_update_entry(entry, options={"alarms": ["sos", "door"]})
    await hass.config_entries.async_reload(entry.entry_id)
    await bridge.settled()
    registered = {
        found.unique_id.removeprefix("tk103b_golf_")
        for found in er.async_get(hass).entities.values()
        if found.domain == "binary_sensor"
        and found.unique_id.startswith("tk103b_golf_")
        and found.unique_id.endswith("_alarm")
    }
    assert registered == {"sos_alarm", "door_alarm"}

    bridge.tell(GOLF, "state", alarms={"idle": EPISODE})
    await bridge.settled()
    assert hass.states.get("binary_sensor.golf_idle_alarm") is None
    # The event still tells of every kind.
    assert "idle" in hass.states.get("event.golf_alarm").attributes["event_types"]


def test_every_class_is_one_of_home_assistants() -> None:
    """Its generic triggers (vibration detected, battery became low) go by them."""
    declared = [one for one in (*ENTITIES, *BRIDGE_ENTITIES) if one.platform == "binary_sensor"]
    for one in declared:
        if one.device_class is not None:
            assert BinarySensorDeviceClass(one.device_class)
    assert all(alarm.device_class and alarm.category is None for alarm in ALARM_ENTITIES)
