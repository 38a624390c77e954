"""Issues come with the facts, are solved by their flows, and go by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.tk103b import config_flow
from custom_components.tk103b.contract import GUEST_SLOTS, SCHEMA
from custom_components.tk103b.issues import FIX_WITHIN, too_far_apart

from .broker import Broker
from .conftest import DOMAIN, set_up
from .fake_bridge import (
    GOLF,
    GOLF_TRACKER,
    GUEST_TRACKER,
    NOW,
    SILENT_GUEST,
    VAN,
    FakeBridge,
    Refused,
)


@pytest.fixture(autouse=True)
async def _repairs(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})


def issues(hass: HomeAssistant, kind: str = "") -> list[ir.IssueEntry]:
    """Return our issues of a kind, the kinds of all if none is named."""
    return [
        issue
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue.active and kind in (issue.translation_key, "")
    ]


def kinds(hass: HomeAssistant) -> set[str | None]:
    return {issue.translation_key for issue in issues(hass)} - {"pending_tracker"}


class Dialog:
    """A person who opens an issue."""

    def __init__(self, hass: HomeAssistant, issue: ir.IssueEntry) -> None:
        manager = repairs_flow_manager(hass)
        assert manager is not None
        self.hass, self.issue, self.manager = hass, issue, manager
        self.flow: Any = {}

    async def open(self) -> Any:
        context: Any = {"source": "user", "issue_id": self.issue.issue_id}
        self.flow = await self.manager.async_init(DOMAIN, context=context)
        return self.flow

    async def say(self, **answers: Any) -> Any:
        self.flow = await self.manager.async_configure(self.flow["flow_id"], answers)
        return self.flow


async def opened(hass: HomeAssistant, kind: str) -> Dialog:
    (issue,) = issues(hass, kind)
    assert issue.is_fixable
    dialog = Dialog(hass, issue)
    await dialog.open()
    return dialog


def done(flow: Any) -> bool:
    return bool(flow["type"] is FlowResultType.CREATE_ENTRY)


# --- pending trackers -----------------------------------------------------------------------------


async def test_each_waiting_tracker_is_an_issue(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    waiting = {issue.data["id"]: issue for issue in issues(hass, "pending_tracker") if issue.data}
    assert set(waiting) == {GUEST_TRACKER, SILENT_GUEST}
    assert waiting[GUEST_TRACKER].translation_placeholders == {
        "id": GUEST_TRACKER,
        "ending": "2222",
        "protocol": "gps103",
        "title": "TK103B Bridge",
    }
    assert kinds(hass) == set()


async def test_no_issue_id_tells_a_number_or_a_key(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    """They are part of diagnostics, whatever those redact."""
    bridge.tell_vehicle(GOLF, advice="Set it to UTC.")
    for issue in issues(hass):
        assert not any(part in issue.issue_id for part in (GUEST_TRACKER[-4:], GOLF, "44444"))


async def guest(hass: HomeAssistant, bridge: FakeBridge) -> Dialog:
    bridge._tell_devices(guests=bridge.devices["guests"][:1])
    return await opened(hass, "pending_tracker")


async def test_accept(hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry) -> None:
    dialog = await guest(hass, bridge)
    assert dialog.flow["type"] is FlowResultType.MENU
    assert dialog.flow["menu_options"] == ["accept", "block"]
    assert dialog.flow["description_placeholders"]["id"] == GUEST_TRACKER
    flow = await dialog.say(next_step_id="accept")
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "accept")
    assert flow["description_placeholders"]["id"] == GUEST_TRACKER
    assert done(await dialog.say(name=" Boat "))
    assert bridge.requests("device/accept") == [
        {"id": GUEST_TRACKER, "waiting": True, "name": "Boat"}
    ]
    await bridge.settled()
    assert issues(hass) == []
    assert "device_tracker.boat" in hass.states.async_entity_ids()


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
async def test_accept_wants_a_name(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, name: str
) -> None:
    dialog = await guest(hass, bridge)
    await dialog.say(next_step_id="accept")
    flow = await dialog.say(name=name)
    assert flow["errors"] == {"name": "invalid_name"}
    assert bridge.requests("device/accept") == []
    assert done(await dialog.say(name="x" * 80))


async def test_block(hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry) -> None:
    dialog = await guest(hass, bridge)
    flow = await dialog.say(next_step_id="block")
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "block")
    assert done(await dialog.say())
    assert bridge.requests("device/block") == [{"id": GUEST_TRACKER, "waiting": True}]
    assert issues(hass) == []


@pytest.mark.parametrize(("step", "answers"), [("accept", {"name": "Boat"}), ("block", {})])
async def test_the_bridge_says_no(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    step: str,
    answers: dict[str, str],
) -> None:
    dialog = await guest(hass, bridge)
    await dialog.say(next_step_id=step)
    carried_out = bridge.answers[f"device/{step}"]
    bridge.refuse(f"device/{step}", "the registry cannot be written")
    flow = await dialog.say(**answers)
    assert (flow["step_id"], flow["errors"]) == (step, {"base": "refused"})
    assert "the registry cannot be written" in flow["description_placeholders"]["error"]
    assert len(issues(hass)) == 1
    bridge.answers[f"device/{step}"] = carried_out
    assert done(await dialog.say(**answers))


async def test_it_went_while_the_dialog_was_open(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    dialog = await guest(hass, bridge)
    await dialog.say(next_step_id="accept")
    bridge._tell_devices(guests=[])
    assert issues(hass) == []
    flow = await dialog.say(name="Boat")
    assert flow["errors"] == {"base": "refused"}
    assert flow["description_placeholders"]["id"] == GUEST_TRACKER
    assert "waiting" in flow["description_placeholders"]["error"]


async def test_the_entry_was_unloaded_while_the_dialog_was_open(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    dialog = await guest(hass, bridge)
    await dialog.say(next_step_id="block")
    await hass.config_entries.async_unload(running.entry_id)
    flow = await dialog.say()
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "not_loaded")


async def test_it_goes_when_it_is_accepted_elsewhere(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.play("guest accepted")
    ids = {issue.data["id"] for issue in issues(hass, "pending_tracker") if issue.data}
    assert GUEST_TRACKER not in ids


async def test_a_flood_of_made_up_ids_is_three_issues_and_pushes_nobody_out(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    def shown() -> set[Any]:
        return {issue.data["id"] for issue in issues(hass, "pending_tracker") if issue.data}

    mine = bridge.devices["guests"][0]
    flood = [{**mine, "id": f"86400000009{n:04}", "reports": 99} for n in range(15)]
    bridge._tell_devices(guests=[*flood, mine])
    assert len(shown()) == GUEST_SLOTS
    assert GUEST_TRACKER in shown(), "it was there first"
    before = shown()
    bridge._tell_devices(guests=[*reversed(flood), mine])
    assert shown() == before, "nobody presses what has just become another's"
    silent = [{**one, "has_position": False} for one in flood]
    bridge._tell_devices(guests=[*silent, {**mine, "id": "864000000007777", "reports": 1}])
    assert "864000000007777" in shown(), "who knows where it is goes before who does not"


# --- double ownership -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "kind"), [("discovery", "double_ownership"), ("off", "entities_off")]
)
async def test_another_owner(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, owner: str, kind: str
) -> None:
    bridge.answers["entities"]({"owner": owner})
    await bridge.settled()
    assert kinds(hass) == {kind}
    assert running.state is ConfigEntryState.LOADED
    assert bridge.requests("entities") == [], "there is no fight over them"
    dialog = await opened(hass, kind)
    assert (dialog.flow["type"], dialog.flow["step_id"]) == (FlowResultType.FORM, "confirm")
    assert done(await dialog.say())
    await bridge.settled()
    assert kinds(hass) == set()
    assert bridge.info["entities"] == "component"
    assert hass.states.get("device_tracker.golf").attributes["latitude"] == 52.52


async def test_taking_over_fails_and_can_be_tried_again(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.answers["entities"]({"owner": "discovery"})
    await bridge.settled()
    dialog = await opened(hass, "double_ownership")
    carried_out = bridge.answers["entities"]
    bridge.refuse("entities", "home_assistant.entities is off in the configuration, which wins")
    flow = await dialog.say()
    assert flow["errors"] == {"base": "take_over_failed"}
    assert flow["description_placeholders"]["title"] == running.title
    bridge.answers["entities"] = carried_out
    assert done(await dialog.say())


async def test_the_entry_was_removed_while_the_dialog_was_open(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_info(entities="discovery")
    dialog = await opened(hass, "double_ownership")
    await hass.config_entries.async_remove(running.entry_id)
    assert (await dialog.say())["errors"] == {"base": "take_over_failed"}


async def test_it_goes_when_the_owner_comes_back_by_hand(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_info(entities="discovery")
    assert kinds(hass) == {"double_ownership"}
    bridge.tell_info(entities="component")
    await bridge.settled()
    assert kinds(hass) == set()


# --- handing back ---------------------------------------------------------------------------------


@pytest.fixture
async def handed_back(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> FakeBridge:
    """A bridge whose entry was removed while it was away, and that is back."""
    bridge.goes()
    await hass.config_entries.async_remove(running.entry_id)
    bridge.comes_back()
    await bridge.settled()
    bridge.asked.clear()
    return bridge


async def test_the_bridge_is_told_once_it_can_be(
    hass: HomeAssistant, handed_back: FakeBridge
) -> None:
    dialog = await opened(hass, "hand_back")
    assert (dialog.flow["type"], dialog.flow["step_id"]) == (FlowResultType.FORM, "confirm")
    words = dialog.flow["description_placeholders"]
    assert words["command"] == "tk103b-bridge entities discovery"
    assert done(await dialog.say())
    assert handed_back.requests("entities") == [{"owner": "discovery"}]
    assert handed_back.info["entities"] == "discovery"
    assert kinds(hass) == set()


@pytest.mark.parametrize("owner", ["discovery", "off"])
async def test_the_bridge_has_been_told_by_hand(
    hass: HomeAssistant, handed_back: FakeBridge, owner: str
) -> None:
    handed_back.answers["entities"]({"owner": owner})
    dialog = await opened(hass, "hand_back")
    assert done(await dialog.say())
    assert handed_back.requests("entities") == []


async def test_it_is_told_when_it_answers_and_no_other_is(
    hass: HomeAssistant,
    handed_back: FakeBridge,
    mqtt: MqttMockHAClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialog = await opened(hass, "hand_back")

    async def error() -> str:
        flow = await dialog.say()
        assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "confirm")
        assert flow["description_placeholders"]["title"] == "TK103B Bridge"
        return flow["errors"]["base"]

    handed_back.silent.add("info")
    with monkeypatch.context() as impatient:
        impatient.setattr(config_flow, "PATIENCE_S", 0.01)
        assert await error() == "no_bridge"
    handed_back.silent.clear()
    mqtt.connected = False
    assert await error() == "mqtt_not_connected"
    mqtt.connected = True
    handed_back.answers["info"] = {**handed_back.info, "instance": "another"}
    assert await error() == "other_bridge"
    handed_back.answers["info"] = handed_back.info
    carried_out = handed_back.answers["entities"]
    handed_back.refuse("entities", "not now")
    assert await error() == "not_understood"
    assert kinds(hass) == {"hand_back"}
    handed_back.answers["entities"] = carried_out
    assert done(await dialog.say())


async def test_what_has_no_entities_by_its_configuration_need_not_be_told(
    hass: HomeAssistant, handed_back: FakeBridge
) -> None:
    off = {"entities": "off", "config": {"home_assistant": {"entities": "off"}}}
    handed_back.answers["info"] = {**handed_back.info, **off}
    dialog = await opened(hass, "hand_back")
    assert done(await dialog.say())
    assert handed_back.requests("entities") == []


async def test_it_goes_when_the_bridge_is_found_and_has_been_told(
    hass: HomeAssistant, handed_back: FakeBridge
) -> None:
    """As at each start of Home Assistant: it announces itself, and is asked who it is."""

    async def look() -> None:
        context = {"source": "user"}
        flow = await hass.config_entries.flow.async_init(DOMAIN, context=context)
        await hass.config_entries.flow.async_configure(flow["flow_id"], {"base_topic": "tk103b "})

    handed_back.answers["info"] = {**handed_back.info, "instance": "another"}
    handed_back.answers["info"]["entities"] = "discovery"
    await look()
    assert kinds(hass) == {"hand_back"}, "that was another bridge"
    handed_back.answers["info"]["instance"] = handed_back.instance
    await look()
    assert kinds(hass) == set()


async def test_it_goes_when_the_bridge_has_an_entry_again(
    hass: HomeAssistant, handed_back: FakeBridge, running: MockConfigEntry
) -> None:
    handed_back.goes()
    again = MockConfigEntry(domain=DOMAIN, unique_id=running.unique_id, data=dict(running.data))
    again.add_to_hass(hass)
    await set_up(hass, handed_back, again)
    assert kinds(hass) == set()


# --- too far apart --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (SCHEMA, None),
        (SCHEMA - 1, None),
        (SCHEMA + 1, "bridge_too_new"),
        (SCHEMA - 2, "bridge_too_old"),
        (None, "bridge_too_old"),
        ("1", "bridge_too_old"),
    ],
)
def test_this_generation_and_the_one_before(schema: Any, kind: str | None) -> None:
    assert too_far_apart(schema) == kind


@pytest.mark.parametrize(
    ("schema", "kind"), [(SCHEMA + 1, "bridge_too_new"), (SCHEMA - 2, "bridge_too_old")]
)
async def test_too_far_apart(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, schema: int, kind: str
) -> None:
    bridge.tell_info(schema=schema, version="9.9.9", entities="discovery")
    await bridge.settled()
    assert kinds(hass) == {kind}, "what an unreadable bridge says of entities is not our matter"
    (issue,) = issues(hass, kind)
    assert issue.translation_placeholders == {
        "title": running.title,
        "version": "9.9.9",
        "schema": str(schema),
        "oldest": str(SCHEMA - 1),
        "newest": str(SCHEMA),
    }
    dialog = await opened(hass, kind)
    flow = await dialog.say()
    assert (flow["step_id"], flow["errors"]) == ("confirm", {"base": "still_there"})
    bridge.tell_info(schema=SCHEMA, entities="component")
    await bridge.settled()
    assert kinds(hass) == set()
    assert done(await dialog.say())


async def test_too_far_apart_from_the_start(
    hass: HomeAssistant, bridge: FakeBridge, entry: MockConfigEntry
) -> None:
    bridge.tell_info(schema=SCHEMA + 1)
    await set_up(hass, bridge, entry)
    assert kinds(hass) == {"bridge_too_new"}
    bridge.tell_info(schema=SCHEMA - 1)
    await bridge.settled()
    assert kinds(hass) == set()
    assert "device_tracker.golf" in hass.states.async_entity_ids()


# --- wrong time zone ------------------------------------------------------------------------------


async def test_wrong_time_zone(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_vehicle(GOLF, advice="The tracker's clock is 8 h ahead of UTC: text it.")
    (issue,) = issues(hass, "wrong_time_zone")
    assert issue.translation_placeholders == {
        "vehicle": "My Golf",
        "advice": "The tracker's clock is 8 h ahead of UTC: text it.",
    }
    dialog = await opened(hass, "wrong_time_zone")
    assert "text it" in dialog.flow["description_placeholders"]["advice"]
    assert (await dialog.say())["errors"] == {"base": "still_there"}
    bridge.tell_vehicle(GOLF, advice=None)
    assert kinds(hass) == set()
    assert done(await dialog.say())


async def test_new_advice_is_told(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_vehicle(GOLF, advice="8 h")
    bridge.tell_vehicle(GOLF, advice="7 h")
    (issue,) = issues(hass, "wrong_time_zone")
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["advice"] == "7 h"


# --- never a fix ----------------------------------------------------------------------------------


async def test_connected_for_long_but_never_a_fix(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to(NOW)
    bridge.tell(VAN, "state", fix_time=None)
    bridge.tell_health(uptime_s=1)
    freezer.tick(FIX_WITHIN - timedelta(seconds=1))
    bridge.tell_health(uptime_s=2)
    assert kinds(hass) == set()
    freezer.tick(timedelta(seconds=1))
    bridge.tell_health(uptime_s=3)
    (issue,) = issues(hass, "never_a_fix")
    assert issue.translation_placeholders == {"vehicle": "Van", "minutes": "30"}
    dialog = await opened(hass, "never_a_fix")
    assert (await dialog.say())["errors"] == {"base": "still_there"}
    bridge.tell(VAN, "state", fix_time="2026-11-05T09:00:00Z")
    bridge.tell_health(uptime_s=4)
    assert kinds(hass) == set()
    assert done(await dialog.say())


@pytest.mark.parametrize("excuse", [{"link": "asleep"}, {"link": "lost"}, {"private": True}])
async def test_never_a_fix_has_excuses_that_start_it_anew(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    excuse: dict[str, Any],
) -> None:
    freezer.move_to(NOW)
    bridge.tell(VAN, "state", fix_time=None)
    bridge.tell_health(uptime_s=1)
    before = bridge.payloads[bridge.topics.vehicle(VAN, "state")]
    bridge.tell(VAN, "state", **excuse)
    freezer.tick(FIX_WITHIN)
    bridge.tell_health(uptime_s=2)
    assert kinds(hass) == set()
    bridge.tell(VAN, "state", **{field: before[field] for field in excuse})
    bridge.tell_health(uptime_s=3)
    assert kinds(hass) == set()
    freezer.tick(FIX_WITHIN)
    bridge.tell_health(uptime_s=4)
    assert kinds(hass) == {"never_a_fix"}


async def test_a_vehicle_of_which_nothing_was_heard_yet(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to(NOW)
    bridge.tell_vehicle("new", name="New")
    freezer.tick(FIX_WITHIN)
    bridge.tell_health(uptime_s=1)
    assert kinds(hass) == set()


# --- two bridges with one key ---------------------------------------------------------------------


@pytest.fixture
async def twins(
    hass: HomeAssistant, broker: Broker, bridge: FakeBridge, running: MockConfigEntry
) -> tuple[FakeBridge, MockConfigEntry]:
    """A second bridge, whose vehicle has the device id of the first one's: tk103b_my_golf."""
    second = FakeBridge(hass, broker, base_topic="boats", instance="b0a7", namespace="tk103b_my")
    second.payloads[second.topics.bridge_info]["entities"] = "component"
    second.payloads[second.topics.bridge_devices] = {
        "vehicles": [{"key": "golf", "name": "Golf of the boats", "trackers": [GOLF_TRACKER]}],
        "guests": [],
    }
    second.serve()
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Boats",
        unique_id="b0a7",
        data={"base_topic": "boats", "instance": "b0a7", "namespace": "tk103b_my"},
    )
    entry.add_to_hass(hass)
    await set_up(hass, second, entry)
    assert kinds(hass) == set()
    bridge.tell_vehicle("my_golf", name="My other Golf")
    await bridge.settled()
    return second, entry


async def test_two_bridges_with_one_key(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    twins: tuple[FakeBridge, MockConfigEntry],
) -> None:
    second, _ = twins
    assert kinds(hass) == {"same_key"}
    second.tell_health(uptime_s=2)
    assert len(issues(hass, "same_key")) == 1, "the same from either side"
    (issue,) = issues(hass, "same_key")
    assert issue.translation_placeholders is not None
    assert {issue.translation_placeholders[side] for side in ("first", "second")} == {
        "TK103B Bridge",
        "Boats",
    }
    dialog = await opened(hass, "same_key")
    flow = dialog.flow
    assert (flow["type"], flow["step_id"]) == (FlowResultType.FORM, "keep")
    removed = second.answers["device/remove"]
    second.answers["device/remove"] = Refused("golf stands in the configuration, line 7")
    flow = await dialog.say(keeper=running.entry_id)
    assert flow["errors"] == {"base": "refused"}
    assert "line 7" in flow["description_placeholders"]["error"]
    second.answers["device/remove"] = removed
    assert done(await dialog.say(keeper=running.entry_id))
    assert second.requests("device/remove") == [{"key": "golf"}] * 2
    assert bridge.requests("device/remove") == []
    await bridge.settled()
    assert kinds(hass) == set()
    bridge.tell_health(uptime_s=3)
    second.tell_health(uptime_s=3)
    assert kinds(hass) == set()


async def test_it_goes_with_one_of_the_bridges(
    hass: HomeAssistant, bridge: FakeBridge, twins: tuple[FakeBridge, MockConfigEntry]
) -> None:
    _, other = twins
    dialog = await opened(hass, "same_key")
    await hass.config_entries.async_unload(other.entry_id)
    bridge.tell_health(uptime_s=2)
    assert kinds(hass) == set()
    flow = await dialog.say(keeper=other.entry_id)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "not_loaded")


# --- the keeper -----------------------------------------------------------------------------------


async def test_while_the_bridge_is_away_nothing_is_new_and_nothing_is_solved(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, mqtt: MqttMockHAClient
) -> None:
    bridge.tell_vehicle(GOLF, advice="8 h")
    bridge.goes()
    bridge.tell_vehicle(GOLF, advice=None)
    bridge.tell_vehicle(VAN, advice="7 h")
    assert len(issues(hass, "wrong_time_zone")) == 1
    bridge.comes_back()
    (issue,) = issues(hass, "wrong_time_zone")
    assert issue.translation_placeholders == {"vehicle": "Van", "advice": "7 h"}


async def test_all_go_with_the_entry(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_vehicle(GOLF, advice="8 h")
    assert issues(hass)
    await hass.config_entries.async_remove(running.entry_id)
    await bridge.settled()
    assert issues(hass) == []


async def test_what_was_ignored_stays_so_while_it_is_the_same(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.tell_vehicle(GOLF, advice="8 h")
    (issue,) = issues(hass, "wrong_time_zone")
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, ignore=True)
    bridge.tell_health(uptime_s=2)
    (issue,) = issues(hass, "wrong_time_zone")
    assert issue.dismissed_version is not None
