"""The life of an entry: set up, dormant, unloaded; its devices, and vehicles that come and go."""

from __future__ import annotations

import pytest
from homeassistant.components.mqtt.models import DATA_MQTT
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from custom_components.tk103b import async_remove_config_entry_device
from custom_components.tk103b.const import DOMAIN, PLATFORMS
from custom_components.tk103b.contract import (
    BRIDGE_ENTITIES,
    BRIDGE_KEY,
    ENTITIES,
    SCHEMA,
    device_id,
)

from .conftest import set_up
from .fake_bridge import BASE, GOLF, NAMESPACE, VAN, FakeBridge


def _device(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> dr.DeviceEntry | None:
    return dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, device_id(NAMESPACE, key)), entry.entry_id
    )


def _states(hass: HomeAssistant) -> set[str]:
    ours = (f".{GOLF}_", f".{VAN}_", ".tk103b_bridge_")
    return {
        state.state
        for state in hass.states.async_all()
        if any(part in state.entity_id for part in ours)
    }


def test_every_declared_platform_is_set_up() -> None:
    assert {entity.platform for entity in (*ENTITIES, *BRIDGE_ENTITIES)} == set(PLATFORMS)


async def test_every_entity_as_it_is(
    hass: HomeAssistant, running: MockConfigEntry, snapshot: SnapshotAssertion
) -> None:
    """One line an entity: id, name, state, unit, classes, category, whether it is enabled."""
    registered = er.async_entries_for_config_entry(er.async_get(hass), running.entry_id)
    lines = []
    for entry in sorted(registered, key=lambda one: one.entity_id):
        state = hass.states.get(entry.entity_id)
        facts = (
            entry.entity_id,
            entry.unique_id,
            entry.original_name,
            state and state.state,
            entry.unit_of_measurement,
            entry.original_device_class,
            (entry.capabilities or {}).get("state_class"),
            entry.entity_category,
            entry.disabled_by,
        )
        lines.append(" | ".join("" if fact is None else str(fact) for fact in facts))
    assert lines == snapshot


async def test_entities_are_those_of_the_contract(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    """A vehicle that has reported everything and rung every alarm has them all."""
    registered = {
        entry.unique_id
        for entry in er.async_entries_for_config_entry(er.async_get(hass), running.entry_id)
    }
    every = {one.unique_id(device_id(NAMESPACE, GOLF)) for one in ENTITIES}
    every |= {one.unique_id(device_id(NAMESPACE, BRIDGE_KEY)) for one in BRIDGE_ENTITIES}
    others = {one for one in registered if one.startswith(device_id(NAMESPACE, VAN))}
    assert registered - others == every
    assert bridge.asked == []


async def test_names_are_translated_and_never_those_of_a_class(
    hass: HomeAssistant, running: MockConfigEntry
) -> None:
    declared = {one.unique_id(device_id(NAMESPACE, GOLF)): one for one in ENTITIES}
    for entry in er.async_entries_for_config_entry(er.async_get(hass), running.entry_id):
        if one := declared.get(entry.unique_id):
            assert entry.original_name == one.name
            assert entry.translation_key == one.key
            assert entry.has_entity_name


async def test_the_bridge_is_the_device_vehicles_are_reached_through(
    hass: HomeAssistant, running: MockConfigEntry
) -> None:
    bridge = _device(hass, running, BRIDGE_KEY)
    assert (bridge.name, bridge.sw_version, bridge.via_device_id) == (
        "TK103B Bridge",
        "0.1.0",
        None,
    )
    golf = _device(hass, running, GOLF)
    assert golf.via_device_id == bridge.id
    assert (golf.name, golf.model) == ("My Golf", "TK103 family (gps103)")
    # No tracker's id is in an identifier: a broken one is replaced and nothing changes.
    assert golf.identifiers == {(DOMAIN, "tk103b_golf")}
    assert golf.serial_number is None


async def test_devices_stand_before_their_entities_ask_for_them(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    """An entity names its device by identifier alone: it would make one without name or bridge."""
    bridge.tell_vehicle("boat", name="Boat", protocol="gt06")
    await bridge.settled()
    boat = _device(hass, running, "boat")
    assert (boat.name, boat.model) == ("Boat", "TK103 family (gt06)")
    assert boat.via_device_id == _device(hass, running, BRIDGE_KEY).id


async def test_a_new_vehicle_appears_without_reload(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    loaded = running.runtime_data
    bridge.play("guest accepted")
    await bridge.settled()
    assert hass.states.get("device_tracker.boat") is not None
    assert hass.states.get("sensor.boat_link").state == "lost", "its last word is old"
    assert hass.states.get("switch.boat_private").state == "off"
    assert running.runtime_data is loaded


async def test_a_renamed_vehicle_keeps_its_ids(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_vehicle(GOLF, name="Grandmother's")
    await bridge.settled()
    assert _device(hass, running, GOLF).name == "Grandmother's"
    bridge.tell(GOLF, "state", speed_kmh=1.0)
    await bridge.settled()
    assert hass.states.get("sensor.golf_speed").name == "Grandmother's Speed"


async def test_a_replaced_tracker_changes_nothing(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    before = {one.entity_id: one.id for one in er.async_get(hass).entities.values()}
    device = _device(hass, running, GOLF).id
    bridge.play("tracker replaced")
    await bridge.settled()
    after = {one.entity_id: one.id for one in er.async_get(hass).entities.values()}
    assert before.items() <= after.items()
    assert all(".boat" in name for name in after.keys() - before.keys()), "the story's new vehicle"
    assert _device(hass, running, GOLF).id == device
    assert hass.states.get("sensor.golf_link").state in ("connected", "asleep", "lost")


async def test_a_removed_vehicle_can_be_deleted_and_comes_back_as_a_new_one(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    van = _device(hass, running, VAN)
    assert not await async_remove_config_entry_device(hass, running, van), "it is still there"
    assert not await async_remove_config_entry_device(
        hass, running, _device(hass, running, BRIDGE_KEY)
    )

    rows = [row for row in bridge.devices["vehicles"] if row["key"] != VAN]
    bridge.say(bridge.topics.bridge_devices, {"vehicles": rows, "guests": []}, retain=True)
    await bridge.settled()
    assert hass.states.get("device_tracker.van").state == "unavailable"
    assert hass.states.get("device_tracker.golf").state == "not_home"
    assert _device(hass, running, VAN) is not None, "nothing is deleted that nobody has deleted"

    assert await async_remove_config_entry_device(hass, running, van)
    dr.async_get(hass).async_remove_device(van.id)
    await bridge.settled()
    assert hass.states.get("device_tracker.van") is None

    bridge.tell_vehicle(VAN, name="Van")
    bridge.tell(VAN, "state", speed_kmh=12.0)
    await bridge.settled()
    assert hass.states.get("sensor.van_speed").state == "12.0"
    assert _device(hass, running, VAN).name == "Van"


async def test_a_vehicle_that_is_back_before_anybody_deleted_it(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    devices = bridge.devices
    rows = [row for row in devices["vehicles"] if row["key"] != VAN]
    bridge.say(bridge.topics.bridge_devices, {**devices, "vehicles": rows}, retain=True)
    bridge.say(bridge.topics.bridge_devices, devices, retain=True)
    await bridge.settled()
    assert hass.states.get("sensor.van_speed").state == "0.0"
    assert "does not generate unique IDs" not in caplog.text
    assert running.state is ConfigEntryState.LOADED


async def test_unloads_without_a_trace(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_unload(running.entry_id)
    await bridge.settled()
    assert running.state is ConfigEntryState.NOT_LOADED
    assert _states(hass) == {"unavailable"}
    client = hass.data[DATA_MQTT].client
    assert not client.is_active_subscription(f"{BASE}/#")

    # What is said now is heard by nobody.
    bridge.play("drives", "sos")
    await bridge.settled()
    assert _states(hass) == {"unavailable"}

    assert await hass.config_entries.async_setup(running.entry_id)
    await bridge.settled()
    assert hass.states.get("binary_sensor.golf_sos_alarm").state == "on"


async def test_a_request_ends_with_its_entry(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.silent.add("info")
    asking = hass.async_create_task(running.runtime_data.request("info"), eager_start=True)
    await hass.config_entries.async_unload(running.entry_id)
    with pytest.raises(HomeAssistantError) as caught:
        await asking
    assert caught.value.translation_key == "bridge_offline"


@pytest.mark.parametrize("schema", [SCHEMA, SCHEMA - 1])
async def test_reads_this_generation_and_the_one_before(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry, schema: int
) -> None:
    bridge.tell_info(schema=schema)
    await set_up(hass, bridge, entry)
    assert hass.states.get("sensor.golf_speed").state == "0.0"


@pytest.mark.parametrize("schema", [SCHEMA + 1, SCHEMA - 2, None])
async def test_sleeps_while_the_bridge_is_too_far_off(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry, schema: int | None
) -> None:
    bridge.tell_info(schema=schema)
    await set_up(hass, bridge, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert _states(hass) == set()
    issues = {issue.translation_key for issue in ir.async_get(hass).issues.values()}
    assert issues & {"bridge_too_new", "bridge_too_old"}

    # The bridge is updated: nobody has to do anything here.
    bridge.tell_info(schema=SCHEMA)
    await bridge.settled()
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.golf_speed").state == "0.0"

    # And updated again, past us.
    bridge.tell_info(schema=SCHEMA + 1)
    await bridge.settled()
    assert entry.state is ConfigEntryState.LOADED
    assert _states(hass) == {"unavailable"}
    assert await hass.config_entries.async_unload(entry.entry_id)
