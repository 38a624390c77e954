"""A vehicle on the map: it moves for a new good fix, and for nothing else."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from homeassistant.components.device_tracker import TrackerEntity
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_mock_service,
)

from custom_components.tk103b.const import DOMAIN
from custom_components.tk103b.contract import device_id
from custom_components.tk103b.device_tracker import VehicleTracker

from .conftest import set_up
from .fake_bridge import GOLF, NAMESPACE, FakeBridge

TRACKER = "device_tracker.golf"
NEXT = "2026-11-05T08:30:00Z"


@pytest.fixture
def writes(hass: HomeAssistant, running: MockConfigEntry) -> list[Event[Any]]:
    """What the state machine is told from now on: every write of a tracker is a new state."""
    del running
    return async_capture_events(hass, EVENT_STATE_CHANGED)


def _moves(writes: list[Event[Any]]) -> int:
    return sum(event.data["entity_id"] == TRACKER for event in writes)


@pytest.mark.usefixtures("running")
async def test_shows_the_last_good_fix(hass: HomeAssistant, bridge: FakeBridge) -> None:
    state = hass.states.get(TRACKER)
    position = bridge.payloads[bridge.topics.vehicle(GOLF, "position")]
    assert state.state == "not_home"
    assert state.name == "My Golf"
    assert {name: state.attributes[name] for name in ("latitude", "longitude", "gps_accuracy")} == {
        name: position[name] for name in ("latitude", "longitude", "gps_accuracy")
    }
    # Whatever else changes would be a row in the database for every fix.
    assert set(state.attributes) == {
        "friendly_name",
        "gps_accuracy",
        "in_zones",
        "latitude",
        "longitude",
        "source_type",
        "tracking_type",
    }


async def test_a_new_fix_is_one_new_state(
    hass: HomeAssistant, bridge: FakeBridge, writes: list[Event[Any]]
) -> None:
    bridge.tell(GOLF, "position", latitude=53.0, fix_time=NEXT)
    await bridge.settled()
    assert _moves(writes) == 1
    assert hass.states.get(TRACKER).attributes["latitude"] == 53.0


async def test_the_same_place_at_a_new_time_is_news(
    bridge: FakeBridge, writes: list[Event[Any]]
) -> None:
    bridge.tell(GOLF, "position", fix_time=NEXT)
    await bridge.settled()
    assert _moves(writes) == 1


async def test_nothing_but_a_fix_writes_it(
    hass: HomeAssistant, bridge: FakeBridge, writes: list[Event[Any]]
) -> None:
    """Its every write has a new time, and a person follows the tracker that wrote last."""
    position = bridge.payloads[bridge.topics.vehicle(GOLF, "position")]
    for speed in (1.0, 2.0, 3.0):
        bridge.tell(GOLF, "state", speed_kmh=speed, last_seen=NEXT)
    bridge.tell_health(connections=7)
    bridge.tell_info(permit_join=True)
    bridge.tell_vehicle(GOLF, last_seen=NEXT)
    bridge.say(bridge.topics.vehicle(GOLF, "position"), position, retain=True)
    bridge.tell(GOLF, "position")  # the same fix, told again with another number
    bridge.comes_back()
    await bridge.settled()
    assert _moves(writes) == 0
    assert hass.states.get("sensor.golf_speed").state == "3.0"


async def test_an_older_fix_moves_nothing(
    hass: HomeAssistant, bridge: FakeBridge, writes: list[Event[Any]]
) -> None:
    bridge.tell(GOLF, "position", latitude=1.0, fix_time="2026-11-01T00:00:00Z")
    bridge.tell(GOLF, "position", latitude=2.0, fix_time="whenever")
    await bridge.settled()
    assert _moves(writes) == 0
    assert hass.states.get(TRACKER).attributes["latitude"] == 52.52


async def test_a_place_that_was_taken_away_is_unknown(
    hass: HomeAssistant, bridge: FakeBridge, writes: list[Event[Any]]
) -> None:
    """Private mode, or a vehicle removed: never 0, 0, and back when it is told again."""
    topic = bridge.topics.vehicle(GOLF, "position")
    position = bridge.payloads[topic]
    bridge.say(topic, "", retain=True)
    bridge.say(topic, "", retain=True)
    await bridge.settled()
    state = hass.states.get(TRACKER)
    assert state.state == "unknown"
    assert state.attributes.get("latitude") is None
    assert _moves(writes) == 1

    bridge.say(topic, position, retain=True)
    await bridge.settled()
    assert hass.states.get(TRACKER).attributes["latitude"] == 52.52


@pytest.mark.usefixtures("running")
async def test_before_the_first_fix_it_is_unknown(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell_vehicle("boat")
    await bridge.settled()
    assert hass.states.get("device_tracker.boat").state == "unknown"


@pytest.mark.usefixtures("running")
async def test_it_has_the_icon_of_its_vehicle(hass: HomeAssistant, bridge: FakeBridge) -> None:
    assert "icon" not in hass.states.get(TRACKER).attributes
    assert hass.states.get("device_tracker.van").attributes["icon"] == "mdi:van-utility"
    assert bridge.asked == []


async def test_a_zone_trigger_finds_it_by_its_device(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    """Home Assistant's trackers are diagnostic by default; those are no part of their device."""
    assert er.async_get(hass).async_get(TRACKER).entity_category is None
    hass.states.async_set(
        "zone.work", "0", {"latitude": 53.0, "longitude": 13.41, "radius": 100, "passive": False}
    )
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, device_id(NAMESPACE, GOLF)), running.entry_id
    )
    calls = async_mock_service(hass, "test", "arrived")
    automation = {
        "triggers": {
            "trigger": "zone.entered",
            "target": {"device_id": device.id},
            "options": {"zone": "zone.work"},
        },
        "actions": {"action": "test.arrived"},
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await bridge.settled()

    bridge.tell(GOLF, "position", latitude=53.0, longitude=13.41, fix_time=NEXT)
    await bridge.settled()
    assert len(calls) == 1


async def test_nothing_deprecated_is_used(
    hass: HomeAssistant,
    bridge: FakeBridge,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Home Assistant warns of a battery level or a location name of a tracker's own."""
    own = set(dir(VehicleTracker)) - set(dir(TrackerEntity))
    assert own.isdisjoint({"battery_level", "location_name", "see"})
    for name in ("battery_level", "location_name"):
        assert getattr(VehicleTracker, name) is getattr(TrackerEntity, name)
    await set_up(hass, bridge, entry)
    bridge.play("drives")
    await bridge.settled()
    mine = [
        record.message
        for record in caplog.records
        if record.levelno >= logging.WARNING and "tk103b" in record.message
    ]
    assert [word for word in mine if "not been tested by Home Assistant" not in word] == []
