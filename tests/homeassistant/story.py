"""The scenes of one story, from a tracker nobody knows to the day the component is removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import BASE, listening
from tests.homeassistant.car import Car
from tests.homeassistant.hass import BLUEPRINTS
from tests.homeassistant.household import Story

GOLF, SPARE, VAN = (f"86400000000260{number}" for number in range(1, 4))

TRACKER = "device_tracker.my_golf"
ALARM, TRIP, IGNITION = (f"event.my_golf_{name}" for name in ("alarm", "trip", "ignition_change"))
SOS = "binary_sensor.my_golf_sos_alarm"
LINK = "sensor.my_golf_link"


async def mqtt_discovery_alone_makes_a_car_of_a_guest(story: Story) -> None:
    """Nobody has confirmed the component yet."""
    hass = story.hass
    story.bridge.start()
    hass.install()
    await hass.start()
    await hass.connect(story.mosquitto.port)
    await hass.until("sensor.tk103b_bridge_guests", "0")
    van = story.make_car(VAN)
    van.stand()

    async def accept_button() -> list[str]:
        return [
            entity_id
            for entity_id, state in (await hass.states()).items()
            if entity_id.startswith("button.tk103b_bridge_accept")
            and state["attributes"]["friendly_name"].endswith(VAN[-4:])
            and state["state"] != "unavailable"
        ]

    [button] = await eventually(accept_button)
    await hass.act("button.press", entity_id=button)
    await story.is_at("device_tracker.tracker_2603", "home", van)
    van.stop()
    van.drive(300, 15, "--alarm", "sos@8")
    await hass.until("binary_sensor.tracker_2603_motion", "on")
    rang = await hass.until("event.tracker_2603_alarm")
    assert rang["attributes"]["event_type"] == "sos"
    await hass.until("binary_sensor.tracker_2603_sos_alarm", "on")
    await story.each_is_on_the_map_once()
    await hass.act("button.press", entity_id="button.tracker_2603_acknowledge")
    await hass.until("binary_sensor.tracker_2603_sos_alarm", "off")
    await hass.until("binary_sensor.tracker_2603_ignition", "off")
    await story.is_at("device_tracker.tracker_2603", "not_home", van)
    assert "alarms acknowledged: 1 of 1" in van.stop()
    await hass.until("sensor.tracker_2603_link", "asleep")
    await story.nothing_twice("mqtt")


async def people_make_it_theirs(story: Story) -> None:
    async with story.hass.talk() as talk:
        garage = await talk.ask("config/area_registry/create", name="Garage")
        changes: dict[str, dict[str, Any]] = {
            "sensor.tracker_2603_odometer": {"name": "How far"},
            "binary_sensor.tracker_2603_ignition": {"area_id": garage["area_id"]},
            "sensor.tracker_2603_battery": {"disabled_by": "user"},
            "binary_sensor.tracker_2603_motion": {"new_entity_id": "binary_sensor.it_rolls"},
        }
        for entity_id, change in changes.items():
            await talk.ask("config/entity_registry/update", entity_id=entity_id, **change)
        device = await story.device("Tracker 2603")
        await talk.ask("config/device_registry/update", device_id=device, name_by_user="Van")
        await talk.ask("person/create", name="Ada", device_trackers=["device_tracker.tracker_2603"])
    await it_is_still_theirs(story)


async def it_is_still_theirs(story: Story) -> None:
    """Whoever makes the entities: they are as people wanted them."""
    entities = {
        entity["entity_id"]: entity
        for entity in await story.hass.registry("entity")
        if entity["unique_id"].startswith(f"{BASE}_tracker_2603_")
    }
    assert entities["sensor.tracker_2603_odometer"]["name"] == "How far"
    assert entities["binary_sensor.tracker_2603_ignition"]["area_id"] == "garage"
    assert entities["sensor.tracker_2603_battery"]["disabled_by"] == "user"
    assert entities["binary_sensor.it_rolls"]["unique_id"] == f"{BASE}_tracker_2603_motion"
    assert "binary_sensor.tracker_2603_motion" not in entities
    devices = await story.hass.registry("device")
    assert [device["name_by_user"] for device in devices if device["name"] == "Tracker 2603"] == [
        "Van"
    ]
    await story.hass.until("device_tracker.tracker_2603", "not_home")
    ada = await story.hass.until("person.ada", "not_home")
    assert ada["attributes"]["source"] == "device_tracker.tracker_2603"


async def the_bridge_is_discovered_and_its_entities_are_taken_over(story: Story) -> None:
    hass = story.hass

    async def found() -> list[Any]:
        flows = await hass.ask("config_entries/flow/progress")
        return [flow for flow in flows if flow["handler"] == "tk103b"]

    [flow] = await eventually(found)
    assert flow["context"]["source"] == "mqtt"
    assert flow["step_id"] == "take_over"
    shown = await hass.get(f"config/config_entries/flow/{flow['flow_id']}")
    made = await hass.flow(shown, {})
    assert made["type"] == "create_entry", made
    await hass.loaded("tk103b")
    assert await story.owner() == "component"
    await eventually(story.discovers_nothing)
    await hass.until("binary_sensor.tk103b_bridge_online", "on")
    await story.nothing_twice("tk103b")


async def a_guest_is_accepted_by_its_repair(story: Story, golf: Car) -> None:
    hass = story.hass
    golf.stand()
    issue = await _pending(story)
    assert issue["translation_placeholders"]["id"] == GOLF
    assert await hass.state("sensor.tk103b_bridge_guests")
    flow = await hass.post(
        "repairs/issues/fix", {"handler": "tk103b", "issue_id": issue["issue_id"]}
    )
    assert flow["menu_options"] == ["accept", "block"]
    step = f"repairs/issues/fix/{flow['flow_id']}"
    form = await hass.post(step, {"next_step_id": "accept"})
    assert form["step_id"] == "accept", form
    done = await hass.post(step, {"name": "My Golf"})
    assert done["type"] == "create_entry", done
    await story.is_at(TRACKER, "home", golf)
    await hass.until(LINK, "connected")
    await hass.until(SOS, "off")
    await _solved(story)
    golf.stop()
    await story.nothing_twice("tk103b")


async def _pending(story: Story) -> dict[str, Any]:
    async def found() -> list[dict[str, Any]]:
        return [issue for issue in await _issues(story) if "pending" in issue["issue_id"]]

    [issue] = await eventually(found)
    return dict(issue)


async def _issues(story: Story) -> list[dict[str, Any]]:
    told = await story.hass.ask("repairs/list_issues")
    return [issue for issue in told["issues"] if issue["domain"] == "tk103b"]


async def _solved(story: Story) -> None:
    async def solved() -> bool:
        return await _issues(story) == []

    await eventually(solved)


async def it_drives_and_rings(story: Story, golf: Car) -> None:
    hass = story.hass
    also = {"message": "{{ title }} {{ map }}", "notification_id": "sos"}
    await hass.post(
        "config/automation/config/sos",
        {
            "alias": "SOS",
            "use_blueprint": {
                "path": "tk103b/sos.yaml",
                "input": {
                    "vehicle": await story.device("My Golf"),
                    "also": [{"action": "persistent_notification.create", "data": also}],
                },
            },
        },
    )
    await hass.until("automation.sos", "on")
    listed = await hass.ask("blueprint/list", domain="automation")
    ours = {f"tk103b/{file.name}" for file in BLUEPRINTS.glob("*.yaml")}
    assert {path for path, one in listed.items() if "error" not in one} >= ours, listed

    golf.drive(400, 20, "--alarm", "sos@8")
    await hass.until("binary_sensor.my_golf_ignition", "on")
    await hass.until("binary_sensor.my_golf_motion", "on")
    await hass.until(TRACKER, "not_home")
    rang = await hass.until(ALARM)
    assert rang["attributes"]["event_type"] == "sos"
    assert not rang["attributes"]["late"]
    await hass.until(SOS, "on")

    await the_phone_rings(story)
    await story.each_is_on_the_map_once()


async def the_phone_rings(story: Story) -> None:
    """The automation made of the blueprint has done what it was told to do also."""

    async def notified() -> list[str]:
        told = await story.hass.ask("persistent_notification/get")
        return [one["message"] for one in told if one["notification_id"] == "sos"]

    [message] = await eventually(notified)
    assert message.startswith("SOS: My Golf https://www.openstreetmap.org/?mlat=52.5005")


async def it_is_acknowledged_and_parks(story: Story, golf: Car) -> None:
    hass = story.hass
    await hass.act("button.press", entity_id="button.my_golf_acknowledge")
    await hass.until(SOS, "off")
    await hass.until("binary_sensor.my_golf_ignition", "off")
    await story.has_fired(TRIP, "ended")
    trip = (await hass.state(TRIP))["attributes"]
    assert trip["distance_km"] == pytest.approx(0.4, abs=0.1)
    await story.is_at(TRACKER, "not_home", golf)
    await story.has_fired(ALARM, "sos")
    await story.has_fired(IGNITION, "on", "off")
    assert "alarms acknowledged: 1 of 1" in golf.stop()


async def it_sleeps(story: Story) -> None:
    hass = story.hass
    await hass.until(LINK, "asleep")
    await hass.until("binary_sensor.my_golf_connectivity", "off")
    await hass.until(TRACKER, "not_home")


async def the_broker_restarts(story: Story) -> None:
    """It has kept nothing; whoever looks at the car sees it go, and come back as it was."""
    hass, since = story.hass, datetime.now(UTC).isoformat()
    automation = await hass.state("automation.sos")
    story.mosquitto.stop()
    await hass.until(TRACKER, "unavailable")
    story.mosquitto.start()
    await hass.until(TRACKER, "not_home")
    await hass.until(LINK, "asleep")
    await hass.until("binary_sensor.tk103b_bridge_online", "on")

    async def recorded() -> list[str]:
        states = [state["state"] for state in await story.written(TRACKER, since)]
        return states if states[-1] == "not_home" and len(states) > 1 else []

    assert await eventually(recorded) == ["not_home", "unavailable", "not_home"]
    await story.has_fired(ALARM, "sos")
    await story.has_fired(TRIP, "ended")
    await story.has_fired(IGNITION, "on", "off")
    assert await hass.state("automation.sos") == automation


async def home_assistant_restarts_and_has_missed_an_sos(story: Story, golf: Car) -> None:
    hass = story.hass
    before = await story.ids()
    hass.stop()
    async with listening(story.mosquitto.port) as heard:
        golf.drive(300, 15, "--alarm", "sos@3")
        await heard.until(lambda: heard.all(f"{BASE}/vehicle/my_golf/alarm"))
    await hass.start()
    await hass.loaded("tk103b")
    await hass.until(SOS, "on")
    await story.has_fired(ALARM, "sos", "sos")
    await the_phone_rings(story)
    await hass.act("tk103b.acknowledge_alarm", device_id=await story.device("My Golf"))
    await hass.until(SOS, "off")
    await hass.until("binary_sensor.my_golf_ignition", "off")
    golf.stop()
    await hass.until(LINK, "asleep")
    assert await story.ids() == before
    await it_is_still_theirs(story)
    await story.nothing_twice("tk103b")


async def the_tracker_is_replaced(story: Story, golf: Car) -> Car:
    """Another box in the same car: nothing of the car changes. Return the car with it."""
    hass = story.hass
    before = await story.ids()
    # The trip before may have ended while Home Assistant was down: it then heard nothing of that.
    told = await story.fired(TRIP)
    spare = story.make_car(SPARE, golf.metres)
    spare.stand()
    assert (await _pending(story))["translation_placeholders"]["id"] == SPARE
    device = await story.device("My Golf")
    await hass.act("tk103b.replace_tracker", device_id=device, tracker=SPARE)
    await hass.until(LINK, "connected")
    await _solved(story)
    spare.stop()
    spare.drive(300, 15)
    await hass.until("binary_sensor.my_golf_ignition", "on")
    await hass.until("binary_sensor.my_golf_ignition", "off")
    await story.has_fired(TRIP, *told, "ended")
    await story.is_at(TRACKER, "not_home", spare)
    spare.stop()
    assert await story.ids() == before
    await story.has_fired(ALARM, "sos", "sos")
    trips = await hass.answer("tk103b.get_trips", device_id=device)
    assert len(trips["trips"]) == 3
    return spare


async def the_entry_is_removed(story: Story) -> None:
    """Everything goes back to MQTT discovery, as people have made it."""
    hass = story.hass
    known = {entity_id for _, entity_id, *_ in await story.ids()}
    await hass.remove(await hass.loaded("tk103b"))
    assert await story.owner() == "discovery"
    await hass.until("binary_sensor.my_golf_connectivity", "on", "off")
    await hass.until(TRACKER, "not_home")
    assert await _issues(story) == []
    await story.nothing_twice("mqtt")
    await it_is_still_theirs(story)
    left = {entity["entity_id"] for entity in await hass.registry("entity")}
    assert known - left == {
        IGNITION,
        "event.tracker_2603_ignition_change",
        "binary_sensor.tk103b_bridge_online",
    }, "only the component has these"
