"""Take-over from MQTT discovery, hand-back to it, and what happens when either is broken off.

Discovery's payloads are the bridge's own; Home Assistant's MQTT makes its entities of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components.mqtt import DOMAIN as MQTT
from homeassistant.components.person import DOMAIN as PERSON
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.tk103b import ownership
from custom_components.tk103b.const import DOMAIN
from custom_components.tk103b.contract import BRIDGE_KEY, ENTITIES, device_id

from .conftest import set_up
from .fake_bridge import GOLF, NAMESPACE, VAN, FakeBridge, Refused

TRACKER = "device_tracker.golf"
RENAMED = "sensor.how_fast"
DISABLED = "binary_sensor.golf_door"
IN_AREA = "binary_sensor.golf_ignition"
PERSON_ID = "person.ada"
ACCEPT = "button.tk103b_bridge_accept_1"


@pytest.fixture
async def lived_in(hass: HomeAssistant, discovering_bridge: FakeBridge) -> FakeBridge:
    """MQTT discovery's entities, as people have made them their own."""
    await discovering_bridge.settled()
    entities, areas = er.async_get(hass), ar.async_get(hass)
    entities.async_update_entity(
        "sensor.golf_speed", new_entity_id=RENAMED, name="How fast", icon="mdi:flash"
    )
    entities.async_update_entity(DISABLED, disabled_by=er.RegistryEntryDisabler.USER)
    entities.async_update_entity(
        IN_AREA, name="Running", area_id=areas.async_create("Garage").id, labels={"cars"}
    )
    device = _device(hass, MQTT, GOLF)
    dr.async_get(hass).async_update_device(
        device.id, name_by_user="Grandmother's", area_id=areas.async_create("Yard").id
    )
    person = {"id": "ada", "name": "Ada", "device_trackers": [TRACKER]}
    assert await async_setup_component(hass, PERSON, {PERSON: [person]})
    await discovering_bridge.settled()
    return discovering_bridge


def _device(hass: HomeAssistant, platform: str, key: str) -> dr.DeviceEntry:
    entry = hass.config_entries.async_entries(platform)[0]
    device = dr.async_get(hass).async_get_device_by_identifier(
        (platform, device_id(NAMESPACE, key)), entry.entry_id
    )
    assert device is not None
    return device


def _entries(hass: HomeAssistant, platform: str) -> dict[str, er.RegistryEntry]:
    return {
        entry.unique_id: entry
        for entry in er.async_get(hass).entities.values()
        if entry.platform == platform
    }


def _kept(hass: HomeAssistant) -> dict[str, Any]:
    """What people have made of the entities that both sides have, and whatever points to them."""
    made_by_guests = ("accept_", "block_")
    component_only = {entity.key for entity in ENTITIES if entity.component_only} | {"online"}
    return {
        entry.unique_id: (
            entry.entity_id,
            entry.id,
            entry.name,
            entry.icon,
            entry.area_id,
            entry.labels,
            entry.disabled_by,
            entry.device_id,
        )
        for entry in er.async_get(hass).entities.values()
        if entry.platform in (MQTT, DOMAIN)
        and not any(word in entry.unique_id for word in made_by_guests)
        and not any(entry.unique_id.endswith(f"_{key}") for key in component_only)
    }


def _assert_lived_in(hass: HomeAssistant, platform: str) -> None:
    entities = er.async_get(hass)
    found = {name: entities.async_get(name) for name in (TRACKER, RENAMED, DISABLED, IN_AREA)}
    assert {entry and entry.platform for entry in found.values()} == {platform}
    assert found[RENAMED].name == "How fast"
    assert found[DISABLED].disabled_by is er.RegistryEntryDisabler.USER
    assert found[IN_AREA].area_id == "garage"
    device = _device(hass, platform, GOLF)
    assert (device.name_by_user, device.area_id) == ("Grandmother's", "yard")
    assert {entry.device_id for entry in found.values()} == {device.id}
    person = hass.states.get(PERSON_ID)
    assert person.attributes["device_trackers"] == [TRACKER]


def _issues(hass: HomeAssistant) -> set[str | None]:
    return {issue.translation_key for issue in ir.async_get(hass).issues.values()}


def _assert_no_double(hass: HomeAssistant) -> None:
    assert [name for name in hass.states.async_entity_ids() if name.endswith(("_2", "_3"))] == []


async def test_take_over_keeps_what_people_made(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    _assert_lived_in(hass, MQTT)

    await set_up(hass, lived_in, entry)

    assert entry.state is ConfigEntryState.LOADED
    assert lived_in.requests("entities") == [
        {"owner": "component"},
        {"owner": "component", "confirmed": True},
    ]
    _assert_lived_in(hass, DOMAIN)
    assert _kept(hass) == before
    assert _entries(hass, MQTT) == {}
    _assert_no_double(hass)
    assert [topic for topic in lived_in.broker.retained if topic.startswith("homeassistant")] == []


async def test_states_go_on_under_the_same_ids(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    await set_up(hass, lived_in, entry)
    lived_in.tell(GOLF, "state", speed_kmh=42.0)
    lived_in.tell(GOLF, "position", latitude=53.0, fix_time="2026-11-05T08:30:00Z")
    await lived_in.settled()

    assert hass.states.get(RENAMED).state == "42.0"
    assert hass.states.get(TRACKER).attributes["latitude"] == 53.0
    assert hass.states.get(PERSON_ID).attributes["latitude"] == 53.0
    assert hass.states.get(DISABLED) is None


async def test_every_vehicle_once(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    await set_up(hass, lived_in, entry)

    owners = {
        identifier: domain
        for entry in hass.config_entries.async_entries()
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        for domain, identifier in device.identifiers
    }
    assert owners == {device_id(NAMESPACE, key): DOMAIN for key in ("bridge", GOLF, VAN)}


async def test_hand_back_keeps_what_people_made(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    await set_up(hass, lived_in, entry)

    await hass.config_entries.async_remove(entry.entry_id)
    await lived_in.settled()

    assert lived_in.requests("entities")[-1] == {"owner": "discovery"}
    _assert_lived_in(hass, MQTT)
    assert _kept(hass) == before
    assert _entries(hass, DOMAIN) == {}
    _assert_no_double(hass)
    assert hass.states.get(RENAMED).state == "0.0"
    assert _issues(hass) == set()


async def test_there_and_back_and_there_again(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    await set_up(hass, lived_in, entry)
    await hass.config_entries.async_remove(entry.entry_id)
    await lived_in.settled()

    again = MockConfigEntry(domain=DOMAIN, unique_id=entry.unique_id, data=dict(entry.data))
    again.add_to_hass(hass)
    await set_up(hass, lived_in, again)

    assert _kept(hass) == before
    _assert_lived_in(hass, DOMAIN)


async def test_hand_back_without_a_bridge_names_the_command(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    await set_up(hass, lived_in, entry)
    lived_in.goes()
    await lived_in.settled()

    await hass.config_entries.async_remove(entry.entry_id)
    await lived_in.settled()

    assert _issues(hass) == {"hand_back"}
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders["command"] == "tk103b-bridge entities discovery"
    assert _kept(hass) == before
    _assert_lived_in(hass, MQTT)

    # Someone sees to it, and sets the bridge up once more: the issue is gone by itself.
    lived_in.comes_back()
    again = MockConfigEntry(domain=DOMAIN, unique_id=entry.unique_id, data=dict(entry.data))
    again.add_to_hass(hass)
    await set_up(hass, lived_in, again)
    assert "hand_back" not in _issues(hass)


async def test_hand_back_without_mqtt(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry, mqtt: MqttMockHAClient
) -> None:
    await set_up(hass, lived_in, entry)
    [theirs] = hass.config_entries.async_entries(MQTT)
    await hass.config_entries.async_remove(theirs.entry_id)
    mqtt.connected = False

    await hass.config_entries.async_remove(entry.entry_id)

    assert _issues(hass) == {"hand_back"}


def _refuse_first(bridge: FakeBridge, _: pytest.MonkeyPatch) -> None:
    bridge.refuse("entities", "home_assistant.entities is off in the configuration, which wins")


def _silent(bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.silent.add("entities")
    monkeypatch.setattr("custom_components.tk103b.coordinator.REQUEST_TIMEOUT", timedelta())


def _refuse_confirmation(bridge: FakeBridge, _: pytest.MonkeyPatch) -> None:
    obey = bridge.answers["entities"]

    @callback
    def answer(body: dict[str, Any]) -> Any:
        if body.get("confirmed"):
            raise Refused("not now")
        return obey(body)

    bridge.answers["entities"] = answer


def _never_let_go(bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.answers["entities"] = {"owner": "component"}
    monkeypatch.setattr(ownership, "RELEASE_TIMEOUT", timedelta())


@pytest.mark.parametrize("fault", [_refuse_first, _silent, _refuse_confirmation, _never_let_go])
async def test_abort_leaves_everything_with_discovery(
    hass: HomeAssistant,
    lived_in: FakeBridge,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[FakeBridge, pytest.MonkeyPatch], None],
) -> None:
    before = _kept(hass)
    fault(lived_in, monkeypatch)

    await set_up(hass, lived_in, entry)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "take_over_failed"
    assert lived_in.requests("entities")[-1] == {"owner": "discovery"}
    _assert_lived_in(hass, MQTT)
    assert _kept(hass) == before
    assert _entries(hass, DOMAIN) == {}
    _assert_no_double(hass)
    assert hass.states.get(RENAMED).state == "0.0"


async def test_aborted_once_taken_over_at_the_next_attempt(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before, obey = _kept(hass), lived_in.answers["entities"]
    _refuse_confirmation(lived_in, pytest.MonkeyPatch())
    await set_up(hass, lived_in, entry)
    lived_in.answers["entities"] = obey

    await hass.config_entries.async_reload(entry.entry_id)
    await lived_in.settled()

    assert entry.state is ConfigEntryState.LOADED
    _assert_lived_in(hass, DOMAIN)
    assert _kept(hass) == before


async def test_loses_ownership_and_does_not_fight(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    await set_up(hass, lived_in, entry)
    asked = len(lived_in.asked)

    # By hand: `tk103b-bridge entities discovery`.
    lived_in.answers["entities"]({"owner": "discovery"})
    await lived_in.settled()

    assert entry.state is ConfigEntryState.LOADED
    assert len(lived_in.asked) == asked
    assert hass.states.get(IN_AREA).state == "unavailable"
    assert "double_ownership" in _issues(hass)

    # And back by the issue's flow, which sets the entry up again: the originals, without doubles.
    await hass.config_entries.async_reload(entry.entry_id)
    await lived_in.settled()
    _assert_lived_in(hass, DOMAIN)
    assert _kept(hass) == before
    assert _entries(hass, MQTT) == {}
    _assert_no_double(hass)


def _teach(bridge: FakeBridge) -> None:
    """Have discovery make an entity there was none of before, and one that it alone has."""
    topic = "homeassistant/device/tk103b_{}/config"
    bridge.samples["discovery"][topic.format("bridge")]["components"]["accept_1"] = {
        "platform": "button",
        "unique_id": "tk103b_bridge_accept_1",
        "default_entity_id": ACCEPT,
        "name": "Accept 2222",
        "command_topic": bridge.topics.request("device/accept"),
    }
    bridge.samples["discovery"][topic.format(VAN)]["components"]["fuel"] = {
        "platform": "sensor",
        "unique_id": "tk103b_van_fuel",
        "default_entity_id": "sensor.van_fuel",
        "name": "Fuel",
        "state_topic": bridge.topics.vehicle(VAN, "state"),
    }
    bridge.answers["entities"]({"owner": "discovery"})


async def test_what_it_learnt_while_discovery_had_it_comes_along(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    await set_up(hass, lived_in, entry)
    lived_in.answers["entities"]({"owner": "discovery"})
    _teach(lived_in)
    await lived_in.settled()
    learnt = er.async_get(hass).async_get("sensor.van_fuel")
    assert learnt.platform == MQTT
    assert ACCEPT in hass.states.async_entity_ids()

    await hass.config_entries.async_reload(entry.entry_id)
    await lived_in.settled()
    moved = er.async_get(hass).async_get("sensor.van_fuel")
    assert (moved.id, moved.platform) == (learnt.id, DOMAIN)
    assert moved.device_id == _device(hass, DOMAIN, VAN).id
    assert er.async_get(hass).async_get(ACCEPT) is None, "trackers that wait are issues here"
    _assert_no_double(hass)


async def _put_tyres_on(hass: HomeAssistant, bridge: FakeBridge, device: dict[str, Any]) -> str:
    """Make somebody's own MQTT sensor on the device of their car; return its entity id."""
    tyres = {
        "unique_id": "tyres", "name": "Tyres", "state_topic": "garage/tyres", "device": device,
    }  # fmt: skip
    bridge.say("homeassistant/sensor/tyres/config", tyres, retain=True)
    await bridge.settled()
    entity_id = er.async_get(hass).async_get_entity_id("sensor", MQTT, "tyres")
    assert er.async_get(hass).async_get(entity_id).device_id == _device(hass, MQTT, GOLF).id
    return entity_id


async def test_what_others_have_put_on_a_device_stays(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    """A person's own MQTT sensor on the device of their car is none of ours."""
    tyres = await _put_tyres_on(hass, lived_in, {"identifiers": [device_id(NAMESPACE, GOLF)]})

    await set_up(hass, lived_in, entry)
    lived_in.say("garage/tyres", "2.4")
    await lived_in.settled()

    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get(tyres).state == "2.4"
    assert er.async_get(hass).async_get(tyres).device_id == _device(hass, MQTT, GOLF).id
    _assert_lived_in(hass, DOMAIN)

    await hass.config_entries.async_remove(entry.entry_id)
    await lived_in.settled()
    _assert_lived_in(hass, MQTT)
    assert er.async_get(hass).async_get(tyres).device_id == _device(hass, MQTT, GOLF).id


async def test_what_home_assistant_has_put_on_a_device_goes_along(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    """A helper made of an entity stands on its device, and needs no second one."""
    golf = _device(hass, MQTT, GOLF).id
    theirs = MockConfigEntry(domain="derivative")
    theirs.add_to_hass(hass)
    helper = er.async_get(hass).async_get_or_create(
        "sensor", "derivative", "acceleration", config_entry=theirs, device_id=golf
    )

    for act in (
        set_up(hass, lived_in, entry),
        hass.config_entries.async_remove(entry.entry_id),
    ):
        await act
        await lived_in.settled()
        assert er.async_get(hass).async_get(helper.entity_id).device_id == golf
    assert _device(hass, MQTT, GOLF).id == golf


async def test_what_was_switched_off_before_is_left_off(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    before = _kept(hass)
    await set_up(hass, lived_in, entry)
    lived_in.answers["entities"]({"owner": "off"})
    await lived_in.settled()
    asked = len(lived_in.asked)

    await hass.config_entries.async_remove(entry.entry_id)
    await lived_in.settled()

    assert len(lived_in.asked) == asked
    assert "hand_back" not in _issues(hass)
    # Whoever switches discovery on some day finds everything as it was.
    lived_in.answers["entities"]({"owner": "discovery"})
    await lived_in.settled()
    _assert_lived_in(hass, MQTT)
    assert _kept(hass) == before


# --- removed while it slept: discovery has made everything a second time --------------------------


@pytest.fixture
async def dormant(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> MockConfigEntry:
    """The entry, whose bridge was told by hand to have its entities made by discovery."""
    await set_up(hass, lived_in, entry)
    lived_in.answers["entities"]({"owner": "discovery"})
    await lived_in.settled()
    assert er.async_get(hass).async_get(f"{TRACKER}_2").platform == MQTT
    lived_in.asked.clear()
    return entry


async def test_while_it_sleeps_it_makes_nothing(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    """Neither of what a tracker shows for the first time nor of a new vehicle."""
    entities, devices = _entries(hass, DOMAIN), len(dr.async_get(hass).devices)
    lived_in.tell(GOLF, "state", temperature_c=21.5)
    lived_in.tell_vehicle("boat")
    await lived_in.settled()
    assert _entries(hass, DOMAIN) == entities
    assert len(dr.async_get(hass).devices) == devices

    await hass.config_entries.async_reload(dormant.entry_id)
    await lived_in.settled()
    assert hass.states.get("sensor.golf_temperature").state == "21.5"
    assert hass.states.get("device_tracker.boat") is not None


async def test_removed_while_it_sleeps_nothing_that_people_made_is_lost(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    """Left as they are, the doubles would stay and ours, which people have set up, would go."""
    before = _entries(hass, DOMAIN)
    golf = _device(hass, DOMAIN, GOLF).id

    await hass.config_entries.async_remove(dormant.entry_id)
    await lived_in.settled()

    assert lived_in.requests("entities") == [{"owner": "discovery"}]
    _assert_lived_in(hass, MQTT)
    _assert_no_double(hass)
    assert _entries(hass, DOMAIN) == {}
    assert _device(hass, MQTT, GOLF).id == golf
    after = _entries(hass, MQTT)
    for unique_id in before.keys() & after.keys():
        assert after[unique_id].id == before[unique_id].id, unique_id
        assert after[unique_id].entity_id == before[unique_id].entity_id
    assert len(before.keys() - after.keys()) == 3, "two ignition events, and whether it is online"
    assert _issues(hass) == set()

    lived_in.tell(GOLF, "state", speed_kmh=42.0)
    lived_in.tell(GOLF, "position", latitude=53.0, fix_time="2026-11-05T08:30:00Z")
    await lived_in.settled()
    assert hass.states.get(RENAMED).state == "42.0"
    assert hass.states.get(PERSON_ID).attributes["latitude"] == 53.0


async def test_removed_while_it_sleeps_what_discovery_learnt_stays(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    """An entity that is discovery's only, on a device of which we have another."""
    _teach(lived_in)
    await lived_in.settled()
    fuel = er.async_get(hass).async_update_entity("sensor.van_fuel", name="Tank")

    await hass.config_entries.async_remove(dormant.entry_id)
    await lived_in.settled()

    kept = er.async_get(hass).async_get("sensor.van_fuel")
    assert (kept.id, kept.name, kept.platform) == (fuel.id, "Tank", MQTT)
    assert kept.device_id == _device(hass, MQTT, VAN).id
    assert ACCEPT in hass.states.async_entity_ids()
    assert er.async_get(hass).async_get(ACCEPT).device_id == _device(hass, MQTT, BRIDGE_KEY).id
    _assert_no_double(hass)


async def test_removed_while_it_sleeps_what_others_have_put_on_the_device_stays(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    tyres = await _put_tyres_on(hass, lived_in, {"identifiers": [device_id(NAMESPACE, GOLF)]})

    await hass.config_entries.async_remove(dormant.entry_id)
    await lived_in.settled()

    _assert_lived_in(hass, MQTT)
    _assert_no_double(hass)
    assert er.async_get(hass).async_get(tyres).device_id == _device(hass, MQTT, GOLF).id


async def test_wakes_while_others_have_put_something_on_the_device_of_the_doubles(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    """That device stays, and ours keeps its own name and area."""
    tyres = await _put_tyres_on(hass, lived_in, {"identifiers": [device_id(NAMESPACE, GOLF)]})
    golf = _device(hass, DOMAIN, GOLF).id

    await hass.config_entries.async_reload(dormant.entry_id)
    await lived_in.settled()

    _assert_lived_in(hass, DOMAIN)
    _assert_no_double(hass)
    assert _device(hass, DOMAIN, GOLF).id == golf
    assert er.async_get(hass).async_get(tyres).device_id == _device(hass, MQTT, GOLF).id


async def test_removed_while_it_sleeps_and_the_bridge_is_away(
    hass: HomeAssistant, lived_in: FakeBridge, dormant: MockConfigEntry
) -> None:
    """The doubles make room all the same, and the bridge, when it is back, finds what was ours."""
    before = _entries(hass, DOMAIN)
    lived_in.goes()
    await lived_in.settled()

    await hass.config_entries.async_remove(dormant.entry_id)
    await lived_in.settled()

    assert _issues(hass) == {"hand_back"}
    _assert_lived_in(hass, MQTT)

    lived_in.payloads[lived_in.topics.bridge_state] = "online"
    lived_in.serve(discovery=True)
    await lived_in.settled()
    _assert_lived_in(hass, MQTT)
    _assert_no_double(hass)
    after = _entries(hass, MQTT)
    for unique_id in before.keys() & after.keys():
        assert after[unique_id].id == before[unique_id].id, unique_id
    assert hass.states.get(RENAMED).state == "0.0"
    assert hass.states.get(PERSON_ID).attributes["source"] == TRACKER


async def test_ownership_comes_back_by_hand(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_info(entities="off")
    await bridge.settled()
    assert hass.states.get("sensor.golf_speed").state == "unavailable"

    bridge.tell_info(entities="component")
    await bridge.settled()

    assert running.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.golf_speed").state == "0.0"


async def test_asks_for_nothing_where_it_owns_already_and_confirms_that(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    """What it may have died before: then the bridge still waits to take its payloads away."""
    await hass.config_entries.async_reload(running.entry_id)
    await bridge.settled()

    assert bridge.asked == [("entities", {"owner": "component", "confirmed": True})]


@pytest.mark.parametrize("silent", [False, True])
async def test_owns_already_and_the_bridge_does_not_hear_of_it(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry, silent: bool
) -> None:
    """It is said in the background, and nothing depends on it."""
    if silent:
        bridge.silent.add("entities")
    else:
        bridge.refuse("entities", "not now")
    await set_up(hass, bridge, entry)

    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.golf_speed").state == "0.0"
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_take_over_that_stopped_before_its_end_ends_at_the_next_set_up(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    """Home Assistant was killed when everything had been moved, and the bridge not told."""
    before, obey = _kept(hass), lived_in.answers["entities"]

    @callback
    def dies(body: dict[str, Any]) -> Any:
        return {} if body.get("confirmed") else obey(body)

    lived_in.answers["entities"] = dies
    await set_up(hass, lived_in, entry)
    assert any(topic.startswith("homeassistant/device/") for topic in lived_in.broker.retained)
    lived_in.answers["entities"] = obey

    await hass.config_entries.async_reload(entry.entry_id)
    await lived_in.settled()

    _assert_lived_in(hass, DOMAIN)
    assert _kept(hass) == before
    assert [topic for topic in lived_in.broker.retained if topic.startswith("homeassistant")] == []


async def test_a_device_that_others_call_by_another_name_too(
    hass: HomeAssistant, lived_in: FakeBridge, entry: MockConfigEntry
) -> None:
    """Somebody's own MQTT sensor has given the car's device a second identifier."""
    device = {"identifiers": [device_id(NAMESPACE, GOLF), "my_car"]}
    await _put_tyres_on(hass, lived_in, device)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await lived_in.settled()
    assert entry.state is ConfigEntryState.LOADED
    _assert_lived_in(hass, DOMAIN)
