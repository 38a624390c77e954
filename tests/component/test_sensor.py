"""What is measured, counted or known."""

from __future__ import annotations

import pytest
from homeassistant.components.sensor import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
    SensorDeviceClass,
    SensorStateClass,
)
from homeassistant.core import CoreState, HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.tk103b.contract import BRIDGE_ENTITIES, ENTITIES, Entity

from .conftest import set_up
from .fake_bridge import GOLF, VAN, FakeBridge

ODOMETER = "sensor.golf_odometer"
SENSORS = [one for one in (*ENTITIES, *BRIDGE_ENTITIES) if one.platform == "sensor"]


@pytest.mark.parametrize("declared", SENSORS, ids=lambda one: one.key)
def test_units_and_classes_agree(declared: Entity) -> None:
    """What Home Assistant would complain of in every owner's log."""
    if declared.device_class is None:
        return
    device_class = SensorDeviceClass(declared.device_class)
    if units := DEVICE_CLASS_UNITS.get(device_class):
        assert declared.unit in units
    if declared.state_class is not None:
        assert SensorStateClass(declared.state_class) in DEVICE_CLASS_STATE_CLASSES[device_class]


@pytest.mark.usefixtures("running")
async def test_shows_what_its_field_says(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell(
        GOLF,
        "state",
        speed_kmh=88.5,
        trip={"distance_km": 3.2},
        parked_since=None,
        fuel_percent=None,
    )
    await bridge.settled()
    shown = {
        name: hass.states.get(f"sensor.golf_{name}").state
        for name in (
            "speed",
            "trip_distance",
            "fuel",
            "parked_since",
            "last_fix",
            "link",
            "battery",
        )
    }
    assert shown == {
        "speed": "88.5",
        "trip_distance": "3.2",
        "fuel": "unknown",
        "parked_since": "unknown",
        "last_fix": "2026-11-05T08:00:00+00:00",
        "link": "connected",
        "battery": "80",
    }


@pytest.mark.usefixtures("running")
async def test_noisy_ones_are_disabled_by_default(hass: HomeAssistant) -> None:
    registry = er.async_get(hass)
    for name in ("satellites", "course", "altitude", "signal", "rpm", "clock_skew"):
        entry = registry.async_get(f"sensor.golf_{name}")
        assert entry.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_ids_are_those_of_discovery_whatever_the_names(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    discovered = {
        component["default_entity_id"]: component["unique_id"]
        for payload in bridge.samples["discovery"].values()
        for component in payload["components"].values()
        if "unique_id" in component and "tracker …" not in str(component["name"])
    }
    registry = er.async_get(hass)
    ours = {
        entry.entity_id: entry.unique_id
        for entry in registry.entities.values()
        if entry.config_entry_id == running.entry_id
    }
    assert discovered.items() <= ours.items()


@pytest.mark.usefixtures("running")
async def test_a_sensor_comes_with_its_first_value(hass: HomeAssistant, bridge: FakeBridge) -> None:
    assert hass.states.get("sensor.van_temperature") is None
    bridge.tell(VAN, "state", temperature_c=4.5)
    await bridge.settled()
    assert hass.states.get("sensor.van_temperature").state == "4.5"
    bridge.tell(VAN, "state", temperature_c=None)
    await bridge.settled()
    assert hass.states.get("sensor.van_temperature").state == "unknown"


@pytest.mark.usefixtures("running")
async def test_the_odometer_never_falls(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """Late points may take some metres back: statistics of a total would complain."""
    shown = []
    for kilometres in (123456.7, 123450.0, 123456.0, None, 123460.0):
        bridge.tell(GOLF, "state", odometer_km=kilometres)
        await bridge.settled()
        shown.append(hass.states.get(ODOMETER).state)
    assert shown == ["123456.7", "123456.7", "123456.7", "unknown", "123460.0"]
    assert hass.states.get(ODOMETER).attributes["state_class"] == "total_increasing"


@pytest.mark.usefixtures("running")
async def test_an_odometer_that_begins_anew(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell(GOLF, "state", odometer_km=12.0)
    await bridge.settled()
    assert hass.states.get(ODOMETER).state == "12.0"


async def test_the_odometer_does_not_fall_over_a_restart(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    hass.set_state(CoreState.not_running)
    stored = {"native_value": 123500.0, "native_unit_of_measurement": "km"}
    mock_restore_cache_with_extra_data(hass, [(State(ODOMETER, "123500.0"), stored)])
    hass.set_state(CoreState.running)
    await set_up(hass, bridge, entry)
    assert hass.states.get(ODOMETER).state == "123500.0"


@pytest.mark.usefixtures("running")
async def test_the_bridge_counts_itself(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell_health(guests=5, journal_lag={"mqtt": 12}, rejected=3)
    await bridge.settled()
    shown = {
        name: hass.states.get(f"sensor.tk103b_bridge_{name}").state
        for name in ("guests", "journal_lag", "rejected")
    }
    assert shown == {"guests": "5", "journal_lag": "12", "rejected": "3"}
