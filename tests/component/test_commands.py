"""What trackers are told: from which entity or action, and how people hear what came of it."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from typing import Any

import pytest
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.tk103b import commands, coordinator
from custom_components.tk103b.contract import BRIDGE_KEY

from .fake_bridge import GOLF, VAN, FakeBridge
from .test_services import act, device
from .words import ROOT, translations

LOCATE, RESUME, GUARD = "button.golf_locate", "button.golf_resume_engine", "switch.golf_guard"
QUEUED, SENT = {"status": "queued"}, {"status": "sent", "via": "tcp"}
A_MOMENT, NEVER = timedelta(milliseconds=1), timedelta(hours=1)


async def press(hass: HomeAssistant, button: str = LOCATE, context: Context | None = None) -> None:
    await hass.services.async_call(
        "button", "press", {"entity_id": button}, blocking=True, context=context
    )


async def switch(hass: HomeAssistant, action: str) -> None:
    await hass.services.async_call("switch", action, {"entity_id": GUARD}, blocking=True)


# --- entities -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_what_a_tracker_obeys_decides_which_entities_there_are(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    bridge.tell_vehicle("boat", name="Boat", commands=["arm", "engine_resume"])
    bridge.tell("boat", "state", armed=True)
    await bridge.settled()
    assert hass.states.get("button.boat_resume_engine")
    assert not hass.states.get("button.boat_locate")
    assert not hass.states.get("switch.boat_guard"), "it could never be disarmed"

    bridge.tell_vehicle("boat", commands=["arm", "disarm", "request_position"])
    await bridge.settled()
    assert hass.states.get("switch.boat_guard").state == "on"
    assert hass.states.get("button.boat_locate")


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("button", "command"), [(LOCATE, "request_position"), (RESUME, "engine_resume")]
)
async def test_a_press_has_the_tracker_told(
    hass: HomeAssistant, bridge: FakeBridge, button: str, command: str
) -> None:
    await press(hass, button)
    assert bridge.asked == [
        ("device/command", {"key": GOLF, "command": command, "by": "home_assistant"})
    ]


@pytest.mark.usefixtures("running")
async def test_the_guard_shows_what_the_tracker_has_obeyed(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    assert hass.states.get(GUARD).state == "on"
    await switch(hass, "turn_off")
    bridge.play("disarm")
    await bridge.settled()
    assert hass.states.get(GUARD).state == "off"

    with pytest.raises(HomeAssistantError) as refused:
        await switch(hass, "turn_on")
    assert refused.value.translation_key == "command_refused_by_tracker"
    assert refused.value.translation_placeholders == {"answer": "lf"}
    assert hass.states.get(GUARD).state == "off"
    assert [body["command"] for body in bridge.requests("device/command")] == ["disarm", "arm"]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("Ada", "home_assistant (Ada)"),
        ("A\tda\n", "home_assistant (Ada)"),
        ("A" * 90, f"home_assistant ({'A' * 60})"),
        (None, "home_assistant"),
    ],
)
async def test_the_bridge_is_told_who_asks(
    hass: HomeAssistant, bridge: FakeBridge, hass_admin_user: User, name: str | None, by: str
) -> None:
    hass_admin_user.name = name
    context = Context(user_id=hass_admin_user.id)
    await press(hass, context=context)
    await act(hass, "send_command", context, device_id=device(hass, bridge), command="reboot")
    assert [body["by"] for body in bridge.requests("device/command")] == [by, by]


# --- what comes of it -----------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "step",
    [
        {"status": "acknowledged", "final": True},
        {"status": "postponed", "final": True, "answer": "509"},
        {"status": "sent", "final": True},
    ],
)
async def test_what_ends_well_is_no_error(
    hass: HomeAssistant, bridge: FakeBridge, step: dict[str, Any]
) -> None:
    bridge.steps = [QUEUED, step]
    await press(hass)


def test_every_reason_that_is_documented_is_translated() -> None:
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    table = page.partition("| reason | what to do |\n")[2].partition("\n\n")[0]
    columns = [row.split("|")[1] for row in table.splitlines()[1:]]
    reasons = {
        word for one in columns for word in re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", one))
    }
    # The first is an error of the request, the other is no refusal.
    assert {
        f"command_{one}" for one in reasons - {"bad_command"} | {"no_answer"}
    } == commands.EXPLAINED


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("key", sorted(commands.EXPLAINED))
@pytest.mark.parametrize("status", ["refused", "timed_out"])
async def test_each_reason_has_its_words(
    hass: HomeAssistant, bridge: FakeBridge, key: str, status: str
) -> None:
    reason = key.removeprefix("command_")
    bridge.steps = [{"status": status, "final": True, "reason": reason}]
    with pytest.raises(HomeAssistantError) as failed:
        await press(hass)
    assert str(failed.value) == translations()["exceptions"][key]["message"].removesuffix(".")


@pytest.mark.usefixtures("running")
async def test_a_reason_of_a_newer_bridge_is_shown_as_it_stands(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    bridge.steps = [{"status": "refused", "final": True, "reason": "full_moon"}]
    with pytest.raises(HomeAssistantError, match="full_moon"):
        await press(hass)


@pytest.mark.usefixtures("running")
async def test_what_the_bridge_cannot_read_is_its_sentence(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    sentence = bridge.samples["answers"]["bad command"]["response"]["error"]
    bridge.refuse("device/command", sentence)
    with pytest.raises(HomeAssistantError, match=re.escape(sentence)):
        await act(hass, "send_command", device_id=device(hass, bridge), command="set_interval")


@pytest.mark.usefixtures("running")
async def test_a_tracker_that_is_away_keeps_nobody_waiting(
    hass: HomeAssistant, bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "AWAY_TIMEOUT", A_MOMENT)
    monkeypatch.setattr(coordinator, "ANSWER_TIMEOUT", NEVER)
    bridge.tell(GOLF, "state", link="asleep")
    bridge.steps = [QUEUED]
    with pytest.raises(HomeAssistantError) as waits:
        await press(hass)
    assert waits.value.translation_key == "command_waits"


@pytest.mark.usefixtures("running")
async def test_one_that_was_sent_is_waited_for_and_not_for_ever(
    hass: HomeAssistant, bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "AWAY_TIMEOUT", NEVER)
    monkeypatch.setattr(coordinator, "ANSWER_TIMEOUT", A_MOMENT)
    bridge.tell(GOLF, "state", link="lost")
    bridge.steps = [QUEUED, SENT]
    with pytest.raises(HomeAssistantError) as unanswered:
        await press(hass)
    assert unanswered.value.translation_key == "command_no_answer"


async def waiting(hass: HomeAssistant, bridge: FakeBridge) -> asyncio.Task[None]:
    """Press, and return when the bridge was asked and has said that it waits."""
    bridge.tell(GOLF, "state", link="connected")
    bridge.steps = [QUEUED]
    asked = asyncio.Event()
    bridge.broker.listeners.append(lambda *_: asked.set())
    pressing = asyncio.create_task(press(hass))
    await asked.wait()
    return pressing


@pytest.mark.usefixtures("running")
async def test_only_what_comes_of_ones_own_command_counts(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    pressing = await waiting(hass, bridge)
    bridge.go_on(GOLF, "request_position", status="refused", final=True, transaction="of others")
    bridge.go_on(VAN, "request_position", status="refused", final=True, transaction=None)
    bridge.go_on(GOLF, "request_position", **SENT)
    bridge.go_on(GOLF, "request_position", status="acknowledged", final=True)
    await pressing


async def test_nobody_waits_where_the_entry_is_unloaded(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    pressing = await waiting(hass, bridge)
    for _ in range(20):  # rounds of the loop, for the answer to come
        await asyncio.sleep(0)
    await hass.config_entries.async_unload(running.entry_id)
    with pytest.raises(HomeAssistantError) as failed:
        await pressing
    assert failed.value.translation_key == "bridge_offline"


async def test_a_vehicle_may_be_forgotten_meanwhile(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "AWAY_TIMEOUT", A_MOMENT)
    bridge.steps = [QUEUED]
    bridge.answers["device/command"] = forget_first(bridge, running)
    step = await running.runtime_data.command(GOLF, {"command": "reboot"})
    assert step["status"] == "queued"


def forget_first(bridge: FakeBridge, entry: MockConfigEntry) -> Any:
    def answer(body: dict[str, Any]) -> Any:
        entry.runtime_data.async_forget(GOLF)
        return {"command": body["command"], **QUEUED}

    return answer


# --- the action -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_the_action_returns_the_outcome(hass: HomeAssistant, bridge: FakeBridge) -> None:
    said = await act(
        hass,
        "send_command",
        device_id=device(hass, bridge),
        command="upload_log",
        # As YAML reads it.
        arguments={"day": date(2026, 5, 1), "ttl_s": 600},
    )
    assert said == {
        "id": "00000003",
        "at": "2026-11-05T11:21:08Z",
        "command": "upload_log",
        "status": "acknowledged",
        "final": True,
        "answer": "tracker",
        "via": "tcp",
    }
    [body] = bridge.requests("device/command")
    assert body == {
        "key": GOLF,
        "command": "upload_log",
        "day": "2026-05-01",
        "ttl_s": 600,
        "by": "home_assistant",
    }


@pytest.mark.usefixtures("running")
async def test_a_refusal_is_an_answer_or_an_error(hass: HomeAssistant, bridge: FakeBridge) -> None:
    """As one asks for a response, or does not."""
    stop = {"device_id": device(hass, bridge), "command": "engine_stop"}
    said = await act(hass, "send_command", **stop)
    assert (said["status"], said["reason"]) == ("refused", "not_enabled")
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call("tk103b", "send_command", stop, blocking=True)
    assert refused.value.translation_key == "command_not_enabled"


@pytest.mark.usefixtures("running")
async def test_it_need_not_wait(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.steps = [QUEUED]
    locate = {"device_id": device(hass, bridge), "command": "request_position", "wait": False}
    assert (await act(hass, "send_command", **locate))["status"] == "queued"
    await hass.services.async_call("tk103b", "send_command", locate, blocking=True)
    bridge.steps = [{"status": "refused", "final": True, "reason": "too_many"}]
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("tk103b", "send_command", locate, blocking=True)


@pytest.mark.usefixtures("running")
async def test_arguments_do_not_change_whose_command_it_is(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    forged = {"key": VAN, "by": "nobody", "command": "engine_stop", "transaction": "old"}
    await act(
        hass,
        "send_command",
        device_id=device(hass, bridge),
        command="request_position",
        arguments=forged,
    )
    assert bridge.requests("device/command") == [
        {"key": GOLF, "by": "home_assistant", "command": "request_position"}
    ]


@pytest.mark.usefixtures("running")
async def test_it_is_for_administrators_and_for_vehicles(
    hass: HomeAssistant, bridge: FakeBridge, hass_read_only_user: User
) -> None:
    guest = Context(user_id=hass_read_only_user.id)
    with pytest.raises(Unauthorized):
        await act(hass, "send_command", guest, device_id=device(hass, bridge), command="arm")
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "send_command", device_id=device(hass, bridge, BRIDGE_KEY), command="arm")
    assert refused.value.translation_key == "not_a_vehicle"
    assert bridge.asked == []
