"""Events: each is told once, live, and an alarm that was missed is made up for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED, EVENT_STATE_CHANGED
from homeassistant.core import CoreState, Event, HomeAssistant, State
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_mock_service,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from .conftest import set_up
from .fake_bridge import GOLF, FakeBridge
from .outages import find_broker, lose_broker

ALARM, TRIP, IGNITION = "event.golf_alarm", "event.golf_trip", "event.golf_ignition_change"
EPISODE = {
    "since": "2026-11-05T09:00:00Z",
    "last": "2026-11-05T09:00:00Z",
    "count": 1,
    "episode": 9,
}


def _alarm(bridge: FakeBridge, kind: str = "sos", **changes: Any) -> dict[str, Any]:
    """An alarm that rings as the next report."""
    state = bridge.payloads[bridge.topics.vehicle(GOLF, "state")]
    return {
        "event_type": kind,
        "time": "2026-11-05T09:00:00Z",
        "received_at": "2026-11-05T09:00:01Z",
        "keyword": "help me",
        "count": 1,
        "late": False,
        "episode": 9,
        "epoch": state["epoch"],
        "seq": state["seq"] + 1,
        **changes,
    }


def _ring(bridge: FakeBridge, payload: dict[str, Any]) -> None:
    """Tell an alarm as the bridge does: the event, the newest of them, the state it made."""
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), payload)
    bridge.say(bridge.topics.vehicle(GOLF, "last_alarm"), payload, retain=True)
    bridge.tell(GOLF, "state", alarms={payload["event_type"]: EPISODE}, seq=payload["seq"])


@pytest.fixture
def told(hass: HomeAssistant, running: MockConfigEntry) -> Told:
    del running
    return Told(hass)


class Told:
    """The events that were fired from now on."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._events: list[Event[Any]] = async_capture_events(hass, EVENT_STATE_CHANGED)

    def of(self, entity_id: str) -> list[str]:
        """Their types, without what only comes or goes."""
        seen, types = set(), []
        for event in self._events:
            state = event.data["new_state"]
            if event.data["entity_id"] != entity_id or state is None:
                continue
            if state.state not in ("unknown", "unavailable") and state.state not in seen:
                seen.add(state.state)
                types.append(state.attributes["event_type"])
        return types


# --- alarms ---------------------------------------------------------------------------------------


async def test_an_alarm_is_told_with_what_is_known_of_it(
    hass: HomeAssistant, bridge: FakeBridge, told: Told
) -> None:
    payload = _alarm(bridge, latitude=52.5, longitude=13.4)
    _ring(bridge, payload)
    await bridge.settled()

    assert told.of(ALARM) == ["sos"]
    attributes = hass.states.get(ALARM).attributes
    # With coordinates of its own it would be on the map, beside its vehicle.
    place = {name: payload.pop(name) for name in ("latitude", "longitude")}
    assert not place.keys() & attributes.keys()
    assert attributes["place"] == place
    assert payload.items() <= attributes.items()


async def test_nothing_is_told_at_the_start(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    """The last alarm is retained, and history where this entity is new."""
    told = Told(hass)
    payload = _alarm(bridge)
    bridge.say(bridge.topics.vehicle(GOLF, "last_alarm"), payload, retain=True)
    bridge.tell(GOLF, "state", alarms={"sos": EPISODE})
    await set_up(hass, bridge, entry)
    assert hass.states.get(ALARM).state == "unknown"
    assert told.of(ALARM) == told.of(TRIP) == told.of(IGNITION) == []


async def test_repetitions_are_not_told(bridge: FakeBridge, told: Told) -> None:
    """Delivery is at least once; (epoch, seq, event_type) tells a repetition."""
    payload = _alarm(bridge)
    for repeated in (payload, payload, {**payload, "keyword": "again"}):
        bridge.say(bridge.topics.vehicle(GOLF, "alarm"), repeated)
    await bridge.settled()
    assert told.of(ALARM) == ["sos"]

    for news in (
        {**payload, "event_type": "door"},
        {**payload, "seq": payload["seq"] + 1},
        {**payload, "epoch": "another"},
    ):
        bridge.say(bridge.topics.vehicle(GOLF, "alarm"), news)
    await bridge.settled()
    assert told.of(ALARM) == ["sos", "door", "sos", "sos"]


async def test_what_could_not_be_journalled_is_told(bridge: FakeBridge, told: Told) -> None:
    payload = _alarm(bridge, journalled=False)
    del payload["seq"], payload["epoch"]
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), payload)
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), {**payload, "time": "2026-11-05T09:30:00Z"})
    await bridge.settled()
    assert told.of(ALARM) == ["sos", "sos"]


async def test_a_late_sos_is_told_and_says_so(
    hass: HomeAssistant, bridge: FakeBridge, told: Told
) -> None:
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), _alarm(bridge, late=True))
    await bridge.settled()
    assert told.of(ALARM) == ["sos"]
    assert hass.states.get(ALARM).attributes["late"] is True


@pytest.mark.parametrize("payload", [{}, {"event_type": "unheard_of", "seq": 1}, {"time": "now"}])
async def test_what_is_no_alarm_we_know_is_not_told(
    bridge: FakeBridge, told: Told, payload: dict[str, Any]
) -> None:
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), payload)
    await bridge.settled()
    assert told.of(ALARM) == []


async def test_what_a_broker_retains_is_no_news(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    """A broker that was made to keep events, by hand or by a rule of its own."""
    await lose_broker(hass, mqtt, bridge)
    trip = {"started_at": "2026-11-05T05:00:00Z", "distance_km": 1.0, "epoch": "e", "seq": 5}
    for leaf, payload in {"alarm": _alarm(bridge), "trip": trip}.items():
        bridge.broker.retained[bridge.topics.vehicle(GOLF, leaf)] = _json(payload)
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert told.of(ALARM) == told.of(TRIP) == []


# --- alarms that were missed ----------------------------------------------------------------------


async def test_an_alarm_missed_while_the_broker_was_away(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    await lose_broker(hass, mqtt, bridge)
    payload = _alarm(bridge)
    _keep(bridge, payload, alarms={"sos": EPISODE})
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert told.of(ALARM) == ["sos"]
    assert hass.states.get(ALARM).attributes["seq"] == payload["seq"]

    await lose_broker(hass, mqtt, bridge)
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert told.of(ALARM) == ["sos"], "once is enough"


async def test_of_several_missed_alarms_none_is_left_out(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    """Only one of them is the last; an SOS before it must not be lost for that."""
    await lose_broker(hass, mqtt, bridge)
    later = _alarm(bridge, "vibration", time="2026-11-05T09:00:20Z", episode=10)
    shaken = EPISODE | {"since": "2026-11-05T09:00:20Z", "episode": 10}
    pressed = EPISODE | {"since": "2026-11-05T09:00:00Z", "episode": 9}
    _keep(bridge, later, alarms={"sos": pressed, "vibration": shaken})
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert told.of(ALARM) == ["sos", "vibration"]

    # Its own message, told again by the bridge, is no second SOS.
    bridge.tell(GOLF, "alarm", **_alarm(bridge, "sos", time="2026-11-05T09:00:00Z", episode=9))
    await bridge.settled()
    assert told.of(ALARM) == ["sos", "vibration"]


async def test_a_missed_alarm_that_was_acknowledged_since(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    await lose_broker(hass, mqtt, bridge)
    _keep(bridge, _alarm(bridge), alarms={})
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert told.of(ALARM) == []


async def test_a_missed_alarm_waits_for_the_bridge(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    """What an unavailable entity tells is no event to an automation."""
    await lose_broker(hass, mqtt, bridge)
    _keep(bridge, _alarm(bridge), alarms={"sos": EPISODE})
    bridge.payloads[bridge.topics.bridge_state] = "offline"
    bridge.broker.retained[bridge.topics.bridge_state] = b"offline"
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert hass.states.get(ALARM).state == "unavailable"

    calls = async_mock_service(hass, "test", "ring")
    automation = {
        "triggers": {
            "trigger": "state",
            "entity_id": ALARM,
            "not_from": "unavailable",
            "not_to": "unavailable",
        },
        "actions": {"action": "test.ring"},
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    bridge.comes_back()
    await bridge.settled()
    assert told.of(ALARM) == ["sos"]
    assert len(calls) == 1


def _keep(bridge: FakeBridge, alarm: dict[str, Any], *, alarms: dict[str, Any]) -> None:
    """Have the broker retain what was told while Home Assistant did not listen."""
    changes = {"last_alarm": alarm, "state": {"alarms": alarms, "seq": alarm["seq"]}}
    for leaf, changed in changes.items():
        topic = bridge.topics.vehicle(GOLF, leaf)
        bridge.payloads[topic] = {**bridge.payloads.get(topic, {}), **changed}
        bridge.broker.retained[topic] = _json(bridge.payloads[topic])


def _json(payload: Any) -> bytes:
    return json.dumps(payload).encode()


BEFORE = "2026-11-05T08:30:01.000+00:00"


@pytest.fixture
def _before(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """Home Assistant starts again; this entity told an alarm in its life before."""
    hass.set_state(CoreState.not_running)
    known = _alarm(bridge, "door", time="2026-11-05T08:30:00Z", seq=1)
    mock_restore_cache_with_extra_data(
        hass,
        [
            (
                State(ALARM, BEFORE),
                {
                    "last_event_type": "door",
                    "last_event_attributes": {
                        name: value for name, value in known.items() if name != "event_type"
                    },
                },
            )
        ],
    )


@pytest.mark.usefixtures("_before")
async def test_an_alarm_missed_while_home_assistant_was_down_reaches_automations(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    hass.set_state(CoreState.starting)
    _keep(bridge, _alarm(bridge), alarms={"sos": EPISODE})
    calls = async_mock_service(hass, "test", "ring")
    automation = {
        # From what was told before: what follows unavailable would be no event to Home Assistant.
        "triggers": {"trigger": "state", "entity_id": ALARM, "from": BEFORE},
        "actions": {"action": "test.ring"},
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await set_up(hass, bridge, entry)
    assert hass.states.get(ALARM).attributes["event_type"] == "door"

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await bridge.settled()
    assert hass.states.get(ALARM).attributes["event_type"] == "sos"
    assert len(calls) == 1


@pytest.mark.usefixtures("_before")
async def test_what_was_missed_is_told_after_what_was_known(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    """An entry set up again in a running Home Assistant; the first state is no event to anybody."""
    hass.set_state(CoreState.running)
    told = Told(hass)
    _keep(bridge, _alarm(bridge), alarms={"sos": EPISODE})
    await set_up(hass, bridge, entry)
    assert told.of(ALARM) == ["door", "sos"]


@pytest.mark.usefixtures("_before")
async def test_what_rings_while_home_assistant_starts_waits(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    """Automations listen only when it has started."""
    hass.set_state(CoreState.starting)
    told = Told(hass)
    await set_up(hass, bridge, entry)
    payload = _alarm(bridge)
    _ring(bridge, payload)
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), {**payload, "event_type": "door"})
    await bridge.settled()
    assert told.of(ALARM) == ["door"], "of its life before"

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await bridge.settled()
    assert told.of(ALARM) == ["door", "sos", "door"]


@pytest.mark.usefixtures("_before")
async def test_the_alarm_it_told_before_is_not_told_again(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    hass.set_state(CoreState.running)
    told = Told(hass)
    known = _alarm(bridge, "door", time="2026-11-05T08:30:00Z", seq=1)
    _keep(bridge, known, alarms={"door": EPISODE})
    bridge.tell(GOLF, "state", seq=30)
    await set_up(hass, bridge, entry)
    bridge.say(bridge.topics.vehicle(GOLF, "alarm"), known)
    await bridge.settled()
    assert told.of(ALARM) == ["door"]


@pytest.mark.usefixtures("_before")
async def test_waits_for_a_state_as_new_as_the_alarm(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    """What is retained comes in any order; an old state knows nothing of a new alarm."""
    hass.set_state(CoreState.running)
    told = Told(hass)
    payload = _alarm(bridge, seq=90)
    bridge.broker.retained[bridge.topics.vehicle(GOLF, "last_alarm")] = _json(payload)
    await set_up(hass, bridge, entry)
    assert told.of(ALARM) == ["door"]

    bridge.tell(GOLF, "state", alarms={"sos": EPISODE}, seq=90)
    await bridge.settled()
    assert told.of(ALARM) == ["door", "sos"]


# --- trips and ignition ---------------------------------------------------------------------------


async def test_a_trip_is_told_when_it_ends_and_when_it_is_corrected(
    hass: HomeAssistant, bridge: FakeBridge, told: Told
) -> None:
    bridge.play("drives", "parks")
    await bridge.settled()
    assert told.of(TRIP) == ["ended"]
    trip = {**hass.states.get(TRIP).attributes}
    assert trip["distance_km"] > 0

    again = {"started_at": trip["started_at"], "epoch": trip["epoch"], "seq": trip["seq"]}
    topic = bridge.topics.vehicle(GOLF, "trip")
    bridge.say(topic, again)
    bridge.say(topic, {**again, "late": True, "distance_km": 9.0})
    # One late report may correct several trips.
    bridge.say(topic, {**again, "late": True, "started_at": "2026-11-05T05:00:00Z"})
    bridge.say(topic, "")
    await bridge.settled()
    assert told.of(TRIP) == ["ended", "corrected", "corrected"]


async def test_the_ignition_is_told_when_it_is_switched(
    hass: HomeAssistant, bridge: FakeBridge, told: Told
) -> None:
    for on in (True, True, None, True, False, None, False):
        bridge.tell(GOLF, "state", ignition=on)
        await bridge.settled()
    assert told.of(IGNITION) == ["on", "off"]
    assert hass.states.get(IGNITION).attributes["last_seen"]


async def test_what_was_switched_while_nobody_listened_is_no_event(
    hass: HomeAssistant,
    bridge: FakeBridge,
    told: Told,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
) -> None:
    await lose_broker(hass, mqtt, bridge)
    topic = bridge.topics.vehicle(GOLF, "state")
    bridge.payloads[topic] = {**bridge.payloads[topic], "ignition": True}
    bridge.broker.retained[topic] = _json(bridge.payloads[topic])
    await find_broker(hass, mqtt, mqtt_client_mock, bridge)
    assert hass.states.get("binary_sensor.golf_ignition").state == "on"
    assert told.of(IGNITION) == []

    bridge.tell(GOLF, "state", ignition=False)
    await bridge.settled()
    assert told.of(IGNITION) == ["off"]
