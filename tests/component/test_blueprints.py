"""The blueprints load in Home Assistant, and the automations made of them do what they say."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import automation
from homeassistant.components.blueprint import DomainBlueprints
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_mqtt_message,
    async_fire_time_changed,
    async_mock_service,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, MqttMockHAClient

from .broker import Broker

BLUEPRINTS = Path(__file__).parents[2] / "examples" / "blueprints"

NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)
AT_HOME = {"latitude": 52.5, "longitude": 13.4, "gps_accuracy": 10}
AWAY = {"latitude": 52.6, "longitude": 13.4, "gps_accuracy": 10}
MAP_AWAY = "https://www.openstreetmap.org/?mlat=52.6&mlon=13.4#map=17/52.6/13.4"

ENTITIES = {
    "device_tracker.golf": {},
    "event.golf_alarm": {},
    "binary_sensor.golf_ignition": {"device_class": "running"},
    "sensor.golf_battery": {"device_class": "battery", "unit_of_measurement": "%"},
    "sensor.golf_speed": {"device_class": "speed", "unit_of_measurement": "km/h"},
}


class Golf:
    """A vehicle as the component shows it, and a phone to be notified on."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.told: list[ServiceCall] = async_mock_service(hass, "notify", "mobile_app_ada_s_phone")
        self.device = self._device("tk103b", "golf", "Golf")
        self.phone = self._device("mobile_app", "phone", "Ada's phone")
        entities = er.async_get(hass)
        for entity_id, attributes in ENTITIES.items():
            platform, name = entity_id.split(".")
            entities.async_get_or_create(
                platform,
                "tk103b",
                f"tk103b_{name}",
                suggested_object_id=name,
                config_entry=self._entries["tk103b"],
                device_id=self.device,
                original_device_class=attributes.get("device_class"),
            )
            hass.states.async_set(entity_id, "unknown", attributes)
        self._rung = 0

    _entries: dict[str, MockConfigEntry]

    def _device(self, domain: str, identifier: str, name: str) -> str:
        entry = MockConfigEntry(domain=domain)
        entry.add_to_hass(self.hass)
        self.__dict__.setdefault("_entries", {})[domain] = entry
        made = dr.async_get(self.hass).async_get_or_create(
            config_entry_id=entry.entry_id, identifiers={(domain, identifier)}, name=name
        )
        return made.id

    async def shows(self, entity_id: str, state: Any, **attributes: Any) -> None:
        """Have one of its entities change."""
        shown = {**ENTITIES.get(entity_id, {}), **attributes}
        self.hass.states.async_set(entity_id, str(state), shown)
        await self.hass.async_block_till_done()

    async def rings(self, kind: str, **attributes: Any) -> None:
        """Have its alarm fire."""
        self._rung += 1
        at = (NOW + timedelta(seconds=self._rung)).isoformat()
        await self.shows("event.golf_alarm", at, event_type=kind, **attributes)

    def messages(self) -> list[str]:
        """Return what the phone has shown."""
        return [call.data["message"] for call in self.told]


Automate = Callable[..., Awaitable[None]]


@pytest.fixture
async def golf(hass: HomeAssistant) -> Golf:
    """A vehicle that stands at home with its ignition off."""
    await hass.config.async_set_time_zone("UTC")
    home = {"latitude": AT_HOME["latitude"], "longitude": AT_HOME["longitude"]}
    await hass.config.async_update(location_name="Home", **home)
    await async_setup_component(hass, "zone", {})
    vehicle = Golf(hass)
    await vehicle.shows("device_tracker.golf", "home", in_zones=["zone.home"], **AT_HOME)
    await vehicle.shows("binary_sensor.golf_ignition", "off")
    return vehicle


@pytest.fixture
def automate(hass: HomeAssistant, tmp_path: Path, golf: Golf) -> Automate:
    """Make an automation of a blueprint, which notifies the phone."""
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints" / "automation" / "tk103b")
    hass.config.config_dir = str(tmp_path)

    async def make(name: str, **inputs: Any) -> None:
        used = {"path": f"tk103b/{name}.yaml", "input": {"phones": [golf.phone], **inputs}}
        assert await async_setup_component(
            hass, automation.DOMAIN, {automation.DOMAIN: {"use_blueprint": used}}
        )
        await hass.async_block_till_done()
        [made] = hass.states.async_entity_ids(automation.DOMAIN)
        assert hass.states.get(made).state == "on"

    return make


async def test_each_of_them_loads(hass: HomeAssistant, automate: Automate) -> None:
    del automate
    await async_setup_component(hass, automation.DOMAIN, {})
    blueprints: DomainBlueprints = automation.async_get_blueprints(hass)
    loaded = await blueprints.async_get_blueprints()
    files = {f"tk103b/{file.name}" for file in BLUEPRINTS.glob("*.yaml")}
    assert files == {path for path in loaded if path.startswith("tk103b/")}
    for path in files:
        blueprint = loaded[path]
        assert not isinstance(blueprint, Exception), blueprint
        assert not blueprint.validate()
        assert blueprint.metadata["source_url"].endswith(f"examples/blueprints/{path[7:]}")


async def test_sos(golf: Golf, automate: Automate) -> None:
    await automate("sos", vehicle=golf.device)
    await golf.rings("vibration")
    assert golf.told == []
    await golf.rings("sos", time="2026-11-05T11:58:00Z", place=AWAY)
    [call] = golf.told
    assert call.data["title"] == "SOS: Golf"
    assert call.data["message"] == "Pressed at 11:58. Tap for the map."
    assert call.data["data"]["url"] == call.data["data"]["clickAction"] == MAP_AWAY
    assert call.data["data"]["push"]["sound"]["critical"] == 1

    # Without a place of its own the alarm is where the vehicle was last seen.
    await golf.shows("device_tracker.golf", "not_home", **AWAY)
    await golf.rings("sos")
    assert golf.told[-1].data["data"]["url"] == MAP_AWAY
    # What was told before the bridge went away is no news when it is back.
    last = golf.hass.states.get("event.golf_alarm")
    await golf.shows("event.golf_alarm", "unavailable")
    await golf.shows("event.golf_alarm", last.state, **last.attributes)
    assert len(golf.told) == 2


async def test_it_also_does_what_one_likes(golf: Golf, automate: Automate) -> None:
    siren = async_mock_service(golf.hass, "siren", "turn_on")
    action = {"action": "siren.turn_on", "data": {"what": "{{ title }}: {{ map }}"}}
    phones = ["no_longer_there", golf.phone]
    await automate("sos", vehicle=golf.device, phones=phones, also=[action])
    await golf.rings("sos", place=AWAY)
    assert len(golf.told) == 1
    [call] = siren
    assert call.data["what"] == f"SOS: Golf: {MAP_AWAY}"


@pytest.mark.parametrize(
    ("ada", "told"),
    [
        pytest.param(AT_HOME, [], id="near"),
        pytest.param(AWAY, ["The ignition is on, and nobody who drives is near."], id="far"),
        pytest.param({}, ["The ignition is on, and nobody who drives is near."], id="nobody knows"),
    ],
)
async def test_guard(
    golf: Golf, automate: Automate, ada: dict[str, float], told: list[str]
) -> None:
    await automate(
        "guard",
        ignition="binary_sensor.golf_ignition",
        drivers=["person.ada", "person.bob"],
    )
    await golf.shows("person.ada", "unknown", **ada)
    await golf.shows("person.bob", "not_home", **AWAY)
    # It was on already, only the bridge was away.
    for state in ("unavailable", "on", "off"):
        await golf.shows("binary_sensor.golf_ignition", state)
    assert golf.told == []
    await golf.shows("binary_sensor.golf_ignition", "on")
    assert golf.messages() == told


async def test_towed(golf: Golf, automate: Automate) -> None:
    await automate("towed", vehicle=golf.device)
    await golf.shows("binary_sensor.golf_ignition", "on")
    await golf.rings("vibration")
    await golf.rings("movement")
    assert golf.told == []
    await golf.shows("binary_sensor.golf_ignition", "off")
    await golf.rings("vibration")
    await golf.rings("movement")
    await golf.rings("door")
    assert golf.messages() == ["It was shaken while parked.", "It is being moved while parked."]


async def test_power_cut(golf: Golf, automate: Automate) -> None:
    await automate("power_cut", vehicle=golf.device)
    await golf.rings("low_battery")
    assert golf.told == []
    await golf.rings("power_cut")
    assert golf.messages() == ["The tracker runs on its own battery now."]
    assert golf.told[0].data["title"] == "Golf: power cut"


async def test_low_battery(golf: Golf, automate: Automate) -> None:
    await automate("low_battery", vehicle=golf.device, limit=15)
    for percent in (40, 15, 14, 13):
        await golf.shows("sensor.golf_battery", percent)
    assert golf.messages() == ["The tracker's battery is at 14 %."]
    await golf.rings("low_battery")
    await golf.rings("low_power")
    assert golf.messages()[1:] == ["The tracker's battery is low.", "The vehicle's battery is low."]


Journey = Callable[[str, float], Awaitable[None]]


@pytest.fixture
def journey(golf: Golf, freezer: FrozenDateTimeFactory) -> Journey:
    """Put the vehicle somewhere, `home` or `away`, or lose it from sight; let minutes go by."""

    async def be(where: str, minutes: float) -> None:
        state, zones, at = {
            "home": ("home", {"in_zones": ["zone.home"]}, AT_HOME),
            "away": ("not_home", {"in_zones": []}, AWAY),
            "unavailable": ("unavailable", {}, {}),
        }[where]
        golf.hass.states.async_set("device_tracker.golf", state, {**zones, **at})
        await some_rounds()
        freezer.tick(timedelta(minutes=minutes))
        async_fire_time_changed(golf.hass)
        await some_rounds()

    return be


async def some_rounds() -> None:
    """Let the loop go round: a run that waits for an arrival never comes to its end before."""
    for _ in range(50):
        await asyncio.sleep(0)


LEFT, ARRIVED = "It has left: Home.", "It has arrived: Home."


async def test_arrived_or_left(golf: Golf, automate: Automate, journey: Journey) -> None:
    await automate("arrived_or_left", tracker="device_tracker.golf", dwell={"minutes": 3})

    await journey("away", 2)
    await journey("home", 9)
    assert golf.told == [], "it was never gone: nobody has been told that it had left"
    await journey("away", 2)
    assert golf.told == []
    await journey("away", 2)
    assert golf.messages() == [LEFT]
    # That the bridge was away is no journey.
    await journey("unavailable", 0)
    await journey("away", 4)
    await journey("home", 2)
    await journey("unavailable", 0)
    await journey("home", 4)
    assert golf.messages()[1:] == []
    # Neither is a short visit.
    await journey("away", 4)
    assert golf.messages()[1:] == []
    await journey("home", 4)
    assert golf.messages()[1:] == [ARRIVED]
    await journey("away", 4)
    await journey("home", 4)
    assert golf.messages()[2:] == [LEFT, ARRIVED]


@pytest.mark.parametrize(("when", "told"), [(["arrived"], [ARRIVED]), (["left"], [LEFT])])
async def test_only_one_of_both_is_told(
    golf: Golf, automate: Automate, journey: Journey, when: list[str], told: list[str]
) -> None:
    dwell = {"seconds": 1}
    await automate("arrived_or_left", tracker="device_tracker.golf", when=when, dwell=dwell)
    await journey("away", 1)
    await journey("home", 1)
    assert golf.messages() == told


async def test_arrives_while_it_is_still_told_that_it_left(
    golf: Golf, automate: Automate, journey: Journey
) -> None:
    """What one likes to have done takes as long as one likes."""
    also = [{"delay": {"minutes": 5}}]
    tracker, dwell = "device_tracker.golf", {"minutes": 1}
    await automate("arrived_or_left", tracker=tracker, dwell=dwell, also=also)
    await journey("away", 2)
    await journey("home", 4)
    await journey("home", 4)
    assert golf.messages() == [LEFT, ARRIVED]


@pytest.mark.parametrize(
    ("at_start", "told"), [("away", [ARRIVED]), ("home", [])], ids=["away", "at home"]
)
async def test_a_start_while_it_is_away_is_no_end_of_the_journey(
    golf: Golf, automate: Automate, journey: Journey, at_start: str, told: list[str]
) -> None:
    await journey("unavailable", 0)
    await automate("arrived_or_left", tracker="device_tracker.golf", dwell={"minutes": 3})
    golf.hass.bus.async_fire("automation_reloaded")
    await some_rounds()
    await journey(at_start, 1)
    await journey("away", 1)
    await journey("home", 4)
    assert golf.messages() == told


async def test_overspeed(golf: Golf, automate: Automate, freezer: FrozenDateTimeFactory) -> None:
    await automate("overspeed", speed="sensor.golf_speed", limit=120, lasting={"seconds": 20})
    for speed, seconds in ((100, 30), (121, 10), (119, 30), (125, 10), (131, 15)):
        await golf.shows("sensor.golf_speed", speed)
        assert golf.told == []
        freezer.tick(timedelta(seconds=seconds))
        async_fire_time_changed(golf.hass)
        await golf.hass.async_block_till_done()
    assert golf.messages() == ["It drives at 131 km/h."]


Post = Callable[..., Awaitable[None]]


@pytest.fixture
async def post(
    hass: HomeAssistant, mqtt: MqttMockHAClient, hass_client_no_auth: ClientSessionGenerator
) -> Post:
    """What a gateway does with a text that it has received."""
    del mqtt
    await async_setup_component(hass, "webhook", {})
    client = await hass_client_no_auth()

    async def to_webhook(**body: Any) -> None:
        answer = await client.post("/api/webhook/a-long-one", **body)
        assert answer.status == 200

    return to_webhook


FROM, TEXT = "+4915100000042", 'lat:52.520000\nlong:13.410000\n"it\'s": {{ 1 }}'


@pytest.mark.parametrize(
    ("posted", "time"),
    [
        pytest.param({"from": FROM, "text": TEXT}, "", id="as the bridge has it"),
        pytest.param(
            {"from": FROM, "text": TEXT, "receivedStamp": 1777622430500, "sim": "SIM1"},
            1777622430.5,
            id="milliseconds",
        ),
        pytest.param(
            {
                "event": "sms:received",
                "payload": {
                    "phoneNumber": FROM,
                    "message": TEXT,
                    "receivedAt": "2026-05-01T10:00:30.000+02:00",
                },
            },
            "2026-05-01T10:00:30.000+02:00",
            id="in an envelope",
        ),
        pytest.param({"sender": FROM, "body": TEXT, "date": 1777622430}, 1777622430, id="seconds"),
    ],
)
async def test_sms_in(
    automate: Automate,
    broker: Broker,
    post: Post,
    caplog: pytest.LogCaptureFixture,
    posted: dict[str, Any],
    time: Any,
) -> None:
    await automate("sms_in", webhook="a-long-one", base_topic="cars")
    await post(json=posted)
    await broker.quiet()
    assert "variable warning" not in caplog.text
    [(topic, payload, retained)] = broker.heard
    assert (topic, retained) == ("cars/sms/in", False)
    assert json.loads(payload) == {"from": FROM, "text": TEXT, "time": time}


async def test_sms_in_as_a_form_from_a_modem_and_nothing(
    hass: HomeAssistant, automate: Automate, broker: Broker, post: Post
) -> None:
    await automate("sms_in", webhook="a-long-one")
    for nothing in ({}, {"from": FROM}, {"text": TEXT}):
        await post(json=nothing)
    await post(data={"number": FROM, "content": "begin ok"})
    modem = {"host": "192.0.2.1", "sms_id": 1, "from": FROM, "message": "resume ok"}
    hass.bus.async_fire("netgear_lte_sms", modem)
    await broker.quiet()
    assert [json.loads(payload)["text"] for _, payload, _ in broker.heard] == [
        "begin ok",
        "resume ok",
    ]
    assert {topic for topic, *_ in broker.heard} == {"tk103b/sms/in"}


@pytest.mark.usefixtures("mqtt")
async def test_sms_out(hass: HomeAssistant, automate: Automate) -> None:
    sent = async_mock_service(hass, "rest_command", "send_sms")
    data = {"message": "{{ message }}", "target": "{{ [message.to] }}"}
    await automate("sms_out", send=[{"action": "rest_command.send_sms", "data": data}])
    said = {"to": FROM, "text": "resume246810", "id": "c0ffee01"}
    for payload in ("not even JSON", "[]", "{}", json.dumps(said)):
        async_fire_mqtt_message(hass, "tk103b/sms/out", payload)
        await hass.async_block_till_done()
    [call] = sent
    assert call.data["message"] == {"to": FROM, "text": "resume246810"}
    assert call.data["target"] == [FROM]
