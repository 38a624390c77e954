"""A bridge gets in: found, named by hand, followed; whatever goes wrong can be put right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components import mqtt as mqtt_component
from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_MQTT,
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.tk103b import config_flow
from custom_components.tk103b.contract import ALARM_KINDS, SCHEMA
from custom_components.tk103b.issues import async_ask_for_hand_back

from .broker import Broker
from .conftest import DOMAIN
from .fake_bridge import BASE, INSTANCE, NAMESPACE, FakeBridge

IDENTITY = {"base_topic": BASE, "instance": INSTANCE, "namespace": NAMESPACE}


@pytest.fixture(autouse=True)
def setup_entry() -> Iterator[Any]:
    """Make entries without setting them up: what that does is another test's."""
    with (
        patch("custom_components.tk103b.async_setup_entry", return_value=True) as mocked,
        patch("custom_components.tk103b.async_unload_entry", return_value=True),
    ):
        yield mocked


@pytest.fixture(autouse=True)
def _unannounced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a bridge says of itself from starting flows of its own beside those of a test."""
    if "announced" not in request.fixturenames:
        publish = Broker.publish
        monkeypatch.setattr(
            Broker,
            "publish",
            lambda broker, topic, payload, **how: (
                topic.endswith("/bridge/discovery") or publish(broker, topic, payload, **how)
            ),
        )


@pytest.fixture
def announced() -> None:
    """Let a bridge announce itself."""


@pytest.fixture
def _impatient() -> Iterator[None]:
    with patch.object(config_flow, "PATIENCE_S", 0.01):
        yield


async def begin(hass: HomeAssistant, source: str = SOURCE_USER, **data: Any) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, **data)


async def answer(hass: HomeAssistant, flow: ConfigFlowResult, **answers: Any) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_configure(flow["flow_id"], answers)


def announcement(payload: Any = None, **changes: Any) -> MqttServiceInfo:
    said = {**IDENTITY, "schema": SCHEMA, **changes} if payload is None else payload
    return MqttServiceInfo(
        topic=f"{BASE}/bridge/discovery",
        payload=said if isinstance(said, str) else json.dumps(said),
        qos=1,
        retain=True,
        subscribed_topic=f"{BASE}/bridge/discovery",
        timestamp=datetime.now(UTC).timestamp(),
    )


async def found(hass: HomeAssistant, **changes: Any) -> ConfigFlowResult:
    return await begin(hass, SOURCE_MQTT, data=announcement(**changes))


# --- by hand --------------------------------------------------------------------------------------


async def test_by_hand(hass: HomeAssistant, bridge: FakeBridge, setup_entry: Any) -> None:
    flow = await begin(hass)
    assert (flow["type"], flow["step_id"], flow["errors"]) == (FlowResultType.FORM, "user", {})
    made = await answer(hass, flow, base_topic=f" {BASE}/ ")
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["title"] == "TK103B Bridge"
    assert made["data"] == IDENTITY
    assert made["result"].unique_id == INSTANCE
    assert bridge.requests("info") == [{}]
    await hass.async_block_till_done()
    assert len(setup_entry.mock_calls) == 1


async def test_a_second_bridge_has_its_base_topic_in_the_title(
    hass: HomeAssistant, broker: Broker, mqtt: MqttMockHAClient, entry: MockConfigEntry
) -> None:
    far = FakeBridge(hass, broker, base_topic="boats/tk", instance="b0a7", namespace="boats_tk")
    far.payloads[far.topics.bridge_info]["entities"] = "component"
    far.serve()
    made = await answer(hass, await begin(hass), base_topic="boats/tk")
    assert made["title"] == "TK103B Bridge (boats/tk)"
    assert made["data"] == {"base_topic": "boats/tk", "instance": "b0a7", "namespace": "boats_tk"}


async def test_the_question_is_asked_only_when_the_answer_can_be_heard(
    hass: HomeAssistant, bridge: FakeBridge, mqtt_client_mock: Any
) -> None:
    await answer(hass, await begin(hass), base_topic=BASE)
    await bridge.settled()
    calls = mqtt_client_mock.mock_calls
    listening = next(n for n, call in enumerate(calls) if "response/info" in str(call))
    asking = next(n for n, call in enumerate(calls) if "request/info" in str(call))
    assert listening < asking
    assert any("unsubscribe" in str(call) and "response/info" in str(call) for call in calls)


async def test_asking_where_we_listen_already(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """As beside an entry that runs, when it is reconfigured."""
    forget = await mqtt_component.async_subscribe(hass, f"{BASE}/#", lambda _: None, qos=1)
    await bridge.settled()
    made = await answer(hass, await begin(hass), base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    forget()


@pytest.mark.parametrize("wrong", ["", "   ", "/", "tk103b/#", "+/tk103b", "a\0b"])
async def test_no_base_topic(hass: HomeAssistant, bridge: FakeBridge, wrong: str) -> None:
    flow = await answer(hass, await begin(hass), base_topic=wrong)
    assert flow["errors"] == {"base_topic": "invalid_base_topic"}
    assert bridge.asked == []
    assert (await answer(hass, flow, base_topic=BASE))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("_impatient")
async def test_nobody_answers(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.silent.add("info")
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert (flow["step_id"], flow["errors"]) == ("user", {"base": "no_bridge"})
    bridge.silent.clear()
    with patch.object(config_flow, "PATIENCE_S", 5):
        made = await answer(hass, flow, base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("_impatient")
async def test_an_answer_to_somebody_else_is_none(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.silent.add("info")
    topic = bridge.topics.response("info")
    said = ["no json", "[1]", json.dumps({"transaction": "another's", "data": bridge.info})]

    def interrupt(heard: str, _payload: bytes, _retain: bool) -> None:
        if heard == bridge.topics.request("info"):
            for one in said:
                bridge.say(topic, one)

    bridge.broker.listeners.append(interrupt)
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert flow["errors"] == {"base": "no_bridge"}


async def test_an_answer_that_comes_twice_counts_once(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    def echo(topic: str, payload: bytes, _retain: bool) -> None:
        if topic == bridge.topics.request("info"):
            said = json.loads(payload) | {"status": "ok", "data": bridge.info}
            bridge.say(bridge.topics.response("info"), said)

    bridge.broker.listeners.append(echo)
    made = await answer(hass, await begin(hass), base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY


async def test_the_broker_is_away(
    hass: HomeAssistant, bridge: FakeBridge, mqtt: MqttMockHAClient
) -> None:
    mqtt.connected = False
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert flow["errors"] == {"base": "mqtt_not_connected"}
    mqtt.connected = True
    assert (await answer(hass, flow, base_topic=BASE))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_broker_goes_away_meanwhile(hass: HomeAssistant, bridge: FakeBridge) -> None:
    with patch(
        "custom_components.tk103b.config_flow.mqtt.async_publish", side_effect=HomeAssistantError
    ):
        flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert flow["errors"] == {"base": "mqtt_not_connected"}
    assert (await answer(hass, flow, base_topic=BASE))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"schema": SCHEMA + 1}, "bridge_too_new"),
        ({"schema": SCHEMA - 2}, "bridge_too_old"),
        ({"schema": None}, "bridge_too_old"),
        ({"instance": None}, "not_understood"),
        ({"namespace": 7}, "not_understood"),
        ({"entities": None}, "not_understood"),
        ({"config": {"home_assistant": {"entities": "off"}}, "entities": "off"}, "entities_off"),
    ],
)
async def test_a_bridge_that_we_cannot_work_with(
    hass: HomeAssistant, bridge: FakeBridge, said: dict[str, Any], error: str
) -> None:
    bridge.answers["info"] = {**bridge.info, **said}
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert flow["errors"] == {"base": error}
    bridge.answers["info"] = bridge.info
    assert (await answer(hass, flow, base_topic=BASE))["type"] is FlowResultType.CREATE_ENTRY


async def test_something_else_answers(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.refuse("info", "what?")
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert flow["errors"] == {"base": "not_understood"}


async def test_the_generation_before_is_understood(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.answers["info"] = {**bridge.info, "schema": SCHEMA - 1}
    made = await answer(hass, await begin(hass), base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY


async def test_without_mqtt(hass: HomeAssistant) -> None:
    # Home Assistant would set its MQTT integration up before; it may have no entry all the same.
    hass.config.components.add("mqtt")
    flow = await begin(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "mqtt_not_configured")


async def test_twice(hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry) -> None:
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")


# --- found ----------------------------------------------------------------------------------------


async def test_found(hass: HomeAssistant, bridge: FakeBridge) -> None:
    flow = await found(hass)
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "confirm")
    assert flow["description_placeholders"] == {"base_topic": BASE}
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["context"]["title_placeholders"] == {"name": BASE}
    made = await answer(hass, flow)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["data"] == IDENTITY
    assert made["result"].unique_id == INSTANCE


@pytest.mark.usefixtures("_impatient")
async def test_found_again_after_its_entry_was_removed(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    """The repair that is left of it is served, though nothing else has loaded us since."""
    await hass.config_entries.async_remove(entry.entry_id)
    bridge.goes()
    await found(hass)
    assert DOMAIN not in hass.config.top_level_components
    async_ask_for_hand_back(hass, entry)
    await found(hass)
    assert DOMAIN in hass.config.top_level_components


@pytest.mark.usefixtures("_impatient")
async def test_found_while_it_is_away(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.goes()
    flow = await found(hass)
    assert (flow["step_id"], flow["errors"]) == ("confirm", {})
    flow = await answer(hass, flow)
    assert (flow["step_id"], flow["errors"]) == ("confirm", {"base": "no_bridge"})
    bridge.comes_back()
    with patch.object(config_flow, "PATIENCE_S", 5):
        made = await answer(hass, flow)
    assert made["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "no json",
        "[]",
        {"base_topic": BASE},
        {"instance": INSTANCE},
        {"instance": "", "base_topic": BASE},
        {"instance": 5, "base_topic": BASE},
        {"instance": INSTANCE, "base_topic": "#"},
        {"instance": INSTANCE, "base_topic": "/tk103b"},
        {"instance": INSTANCE, "base_topic": 5},
        {"instance": INSTANCE, "base_topic": None},
    ],
)
async def test_found_and_not_understood(
    hass: HomeAssistant, bridge: FakeBridge, payload: Any
) -> None:
    flow = await begin(hass, SOURCE_MQTT, data=announcement(payload))
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "invalid_discovery_info")


async def test_found_again(hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry) -> None:
    flow = await found(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert bridge.asked == [], "what is known already need not be asked at each start"


async def test_found_twice_at_once(hass: HomeAssistant, bridge: FakeBridge) -> None:
    await found(hass)
    flow = await found(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_in_progress")


async def test_named_by_hand_while_the_find_waits(hass: HomeAssistant, bridge: FakeBridge) -> None:
    await found(hass)
    made = await answer(hass, await begin(hass), base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert hass.config_entries.flow.async_progress() == []


async def test_ignored_and_then_wanted(hass: HomeAssistant, bridge: FakeBridge) -> None:
    MockConfigEntry(domain=DOMAIN, unique_id=INSTANCE, source=SOURCE_IGNORE).add_to_hass(hass)
    flow = await found(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")
    made = await answer(hass, await begin(hass), base_topic=BASE)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert hass.config_entries.async_entries(DOMAIN) == [made["result"]]


async def test_found_elsewhere(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    hass.config_entries.async_update_entry(entry, data={**IDENTITY, "base_topic": "before"})
    flow = await found(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert dict(entry.data) == IDENTITY


@pytest.mark.usefixtures("_impatient")
async def test_what_a_moved_bridge_left_behind_is_not_followed(
    hass: HomeAssistant, mqtt: MqttMockHAClient, entry: MockConfigEntry
) -> None:
    moved = {**IDENTITY, "base_topic": "elsewhere"}
    hass.config_entries.async_update_entry(entry, data=moved)
    flow = await found(hass)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert dict(entry.data) == moved


@pytest.mark.usefixtures("announced")
async def test_a_real_announcement_starts_a_flow(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """The manifest names the topic that the bridge announces itself on."""
    await bridge.settled()
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_MQTT
    assert flow["step_id"] == "confirm"


# --- taking over ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_MQTT])
async def test_a_bridge_with_discovery_asks_to_be_taken_over(
    hass: HomeAssistant, discovering_bridge: FakeBridge, source: str
) -> None:
    await discovering_bridge.settled()
    if source == SOURCE_USER:
        flow = await answer(hass, await begin(hass), base_topic=BASE)
    else:
        flow = await found(hass)
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "take_over")
    assert hass.config_entries.async_entries(DOMAIN) == []
    made = await answer(hass, flow)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["data"] == IDENTITY
    assert discovering_bridge.requests("entities") == [], "that is part of setting up"


@pytest.mark.usefixtures("_impatient")
async def test_the_question_comes_also_after_the_first_confirmation(
    hass: HomeAssistant, discovering_bridge: FakeBridge
) -> None:
    await discovering_bridge.settled()
    discovering_bridge.silent.add("info")
    flow = await found(hass)
    assert flow["step_id"] == "confirm"
    discovering_bridge.silent.clear()
    with patch.object(config_flow, "PATIENCE_S", 5):
        flow = await answer(hass, flow)
    assert flow["step_id"] == "take_over"
    assert (await answer(hass, flow))["type"] is FlowResultType.CREATE_ENTRY


# --- following ------------------------------------------------------------------------------------


@pytest.fixture
def successor(hass: HomeAssistant, broker: Broker, mqtt: MqttMockHAClient) -> FakeBridge:
    """The bridge set up again on a new machine."""
    del mqtt
    served = FakeBridge(hass, broker, instance="0ther")
    served.payloads[served.topics.bridge_info]["entities"] = "component"
    served.serve()
    return served


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_MQTT])
async def test_a_new_instance_can_go_on_with_the_entry(
    hass: HomeAssistant, successor: FakeBridge, entry: MockConfigEntry, source: str
) -> None:
    if source == SOURCE_USER:
        flow = await answer(hass, await begin(hass), base_topic=BASE)
    else:
        flow = await found(hass, instance="0ther")
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "new_instance")
    assert flow["description_placeholders"] == {"base_topic": BASE, "title": entry.title}
    assert entry.unique_id == INSTANCE
    flow = await answer(hass, flow)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.unique_id == "0ther"
    assert dict(entry.data) == {**IDENTITY, "instance": "0ther"}
    assert hass.config_entries.async_entries(DOMAIN) == [entry]


async def test_the_entry_goes_while_the_question_waits(
    hass: HomeAssistant, successor: FakeBridge, entry: MockConfigEntry
) -> None:
    flow = await found(hass, instance="0ther")
    await hass.config_entries.async_remove(entry.entry_id)
    made = await answer(hass, flow)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert made["result"].unique_id == "0ther"


async def test_another_bridge_in_the_same_place(
    hass: HomeAssistant, successor: FakeBridge, entry: MockConfigEntry
) -> None:
    other = {**IDENTITY, "namespace": "former"}
    hass.config_entries.async_update_entry(entry, data=other)
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "other_namespace")
    assert dict(entry.data) == other


@pytest.mark.parametrize("serves", [True, False])
async def test_two_bridges_with_one_namespace(
    hass: HomeAssistant, successor: FakeBridge, entry: MockConfigEntry, serves: bool
) -> None:
    hass.config_entries.async_update_entry(entry, data={**IDENTITY, "base_topic": "before"})
    entry.mock_state(hass, ConfigEntryState.LOADED)
    entry.runtime_data = type("Coordinator", (), {"online": serves})
    flow = await answer(hass, await begin(hass), base_topic=BASE)
    if serves:
        assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "namespace_taken")
        assert flow["description_placeholders"] == {"title": entry.title}
    else:
        assert flow["step_id"] == "new_instance"
    entry.mock_state(hass, ConfigEntryState.NOT_LOADED)


# --- reconfiguring --------------------------------------------------------------------------------


async def test_reconfigure_follows(
    hass: HomeAssistant, broker: Broker, mqtt: MqttMockHAClient, entry: MockConfigEntry
) -> None:
    moved = FakeBridge(hass, broker, base_topic="elsewhere", instance="new")
    moved.payloads[moved.topics.bridge_info]["namespace"] = NAMESPACE
    moved.serve()
    flow = await entry.start_reconfigure_flow(hass)
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "reconfigure")
    suggested = next(iter(flow["data_schema"].schema)).description
    assert suggested == {"suggested_value": BASE}
    flow = await answer(hass, flow, base_topic="elsewhere")
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.data) == {
        "base_topic": "elsewhere",
        "instance": "new",
        "namespace": NAMESPACE,
    }
    assert entry.unique_id == "new"


@pytest.mark.usefixtures("_impatient")
async def test_reconfigure_recovers(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    flow = await entry.start_reconfigure_flow(hass)
    flow = await answer(hass, flow, base_topic="nobody")
    assert (flow["step_id"], flow["errors"]) == ("reconfigure", {"base": "no_bridge"})
    with patch.object(config_flow, "PATIENCE_S", 5):
        bridge.answers["info"] = {**bridge.info, "namespace": "other"}
        flow = await answer(hass, flow, base_topic=BASE)
        assert flow["errors"] == {"base": "other_namespace"}
        bridge.answers["info"] = bridge.info
        flow = await answer(hass, flow, base_topic=BASE)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.data) == IDENTITY


async def test_reconfigure_to_a_bridge_with_an_entry_of_its_own(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    other = MockConfigEntry(
        domain=DOMAIN,
        unique_id="another",
        data={"base_topic": "another", "instance": "another", "namespace": NAMESPACE},
    )
    other.add_to_hass(hass)
    flow = await answer(hass, await other.start_reconfigure_flow(hass), base_topic=BASE)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert other.data["base_topic"] == "another"


# --- options --------------------------------------------------------------------------------------


async def test_options(hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry) -> None:
    async def choose(**answers: Any) -> None:
        flow = await hass.config_entries.options.async_init(entry.entry_id)
        assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "init")
        done = await hass.config_entries.options.async_configure(flow["flow_id"], answers)
        assert done["type"] is FlowResultType.CREATE_ENTRY

    await choose(alarms=["door", "sos"], stale_after_min=90.0)
    assert dict(entry.options) == {"alarms": ["sos", "door"], "stale_after_min": 90}
    await choose(alarms=list(reversed(ALARM_KINDS)), stale_after_min=0)
    assert dict(entry.options) == {"stale_after_min": 0}, "kinds to come are among all"
    await choose(stale_after_min=0)
    assert dict(entry.options) == {"alarms": [], "stale_after_min": 0}


async def test_options_show_what_is_set(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    async def suggested() -> dict[str, Any]:
        flow = await hass.config_entries.options.async_init(entry.entry_id)
        hass.config_entries.options.async_abort(flow["flow_id"])
        return {
            str(field): field.description["suggested_value"] for field in flow["data_schema"].schema
        }

    assert await suggested() == {"alarms": list(ALARM_KINDS), "stale_after_min": 0}
    hass.config_entries.async_update_entry(entry, options={"alarms": [], "stale_after_min": 5})
    assert await suggested() == {"alarms": [], "stale_after_min": 5}
