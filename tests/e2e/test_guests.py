"""A tracker nobody knows: seen, answered, and kept out of everything until a person accepts it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.conftest import Mosquitto
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker
from tests.e2e.speech import (
    LOAD,
    ON,
    SHORTEST_GAP_S,
    devices,
    discovery,
    events,
    guests,
    heartbeat,
    help_me,
    keys,
    login,
    position,
    receipt,
    serving,
    stamping,
)

GUEST, OLD, THIRD, FOURTH, FIFTH = (f"86400000000930{number}" for number in range(1, 6))

PRESSES = ("accept", "block")


async def come(dial: Dial, device_id: str) -> Tracker:
    """Report twice as a tracker that has just been switched on; return it when it was heard."""
    tracker = await dial()
    await tracker.say(login(device_id))
    await tracker.hear(LOAD)
    await tracker.say(position(device_id, ago_s=30) + position(device_id, ago_s=20))
    await tracker.say(heartbeat(device_id))
    await tracker.hear(ON)
    return tracker


async def test_a_guest_is_shown_and_nothing_more_until_it_is_accepted(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    await serving(bridge, heard)
    tracker = await come(dial, GUEST)
    # An SOS of a stranger is no receipt's worth: the box goes on repeating it.
    await tracker.say(help_me(GUEST, ago_s=15) + heartbeat(GUEST))
    await tracker.hear(ON)
    (pending,) = await heard.until(lambda: events(heard, "tracker_pending"))
    assert pending["id"] == GUEST
    assert (pending["protocol"], pending["transport"]) == ("gps103", "tcp")
    await heard.until(lambda: guests(heard) == [GUEST])
    (shown,) = devices(heard)["guests"]
    assert shown["has_position"] is True
    assert shown["reports"] >= 1
    assert devices(heard)["vehicles"] == []
    await heard.until(lambda: "accept_1" in heard.latest(discovery("bridge"))["components"])
    topics = {topic for topic, _, _ in heard.messages}
    assert not [topic for topic in topics if topic.startswith(f"{BASE}/vehicle/")]
    assert [topic for topic in topics if topic.startswith("homeassistant/")] == [
        discovery("bridge")
    ]

    accepted = await heard.ask("device/accept", id=GUEST, name="Golf")
    assert accepted["data"]["key"] == "golf"
    assert (guests(heard), keys(heard)) == ([], ["golf"])
    at = await heard.until(lambda: heard.vehicle("golf", "position"))
    assert at["seq"] == 3
    await heard.until(lambda: len(heard.all(f"{BASE}/vehicle/golf/history")) == 3)
    history = heard.all(f"{BASE}/vehicle/golf/history")
    assert [report["seq"] for report in history] == [1, 2, 3]
    assert [report["late"] for report in history] == [True] * 3
    assert [report.get("alarm") for report in history] == [None, None, "sos"]
    assert {report["type"] for report in history} == {"report"}
    state = await heard.until(lambda: heard.vehicle("golf", "state"))
    assert state["alarms"] == {}
    assert heard.vehicle("golf", "last_alarm") is None
    assert state["transport"] == "tcp"
    assert state["last_seen"] >= at["fix_time"]

    # From here on it is a vehicle like any other.
    await tracker.say(help_me(GUEST, ago_s=5))
    await tracker.hear(receipt(GUEST))
    rung = await heard.until(lambda: heard.all(f"{BASE}/vehicle/golf/alarm"))
    assert [(ring["event_type"], ring["seq"], ring["late"]) for ring in rung] == [("sos", 4, False)]
    await heard.until(lambda: heard.vehicle("golf", "state")["link"] == "connected")
    assert heard.vehicle("golf", "report")["seq"] == 4
    assert len(heard.all(f"{BASE}/vehicle/golf/history")) == 3
    (event,) = events(heard, "tracker_accepted")
    assert (event["vehicle"], event["id"]) == ("golf", GUEST)

    # What waited for too long is history and no position.
    old = await dial()
    await old.say(position(OLD, ago_s=7200) + position(OLD, ago_s=3600) + heartbeat(OLD))
    await old.hear(ON)
    await heard.ask("device/accept", id=OLD, name="Oldtimer")
    await heard.until(lambda: len(heard.all(f"{BASE}/vehicle/oldtimer/history")) == 2)
    await heard.until(lambda: heard.vehicle("oldtimer", "state"))
    assert heard.vehicle("oldtimer", "position") is None


async def test_who_is_let_in_by_the_configuration(
    bridge: BridgeProcess, heard: Listener, dial: Dial, tmp_path: Path
) -> None:
    cars = tmp_path / "cars.yaml"
    cars.write_text(
        "access:\n"
        "  unknown: ignore\n"
        f"  allow: [{GUEST}]\n"
        f"  block: [{OLD}]\n"
        "vehicles:\n"
        "  van:\n"
        "    name: The van\n"
        "    owner: Ada\n"
        f"    trackers: [{THIRD}]\n"
    )
    await serving(bridge, heard, "--config", str(cars))
    await come(dial, THIRD)
    await come(dial, GUEST)
    for stranger in (OLD, FOURTH):
        refused = await dial()
        await refused.say(login(stranger))
        assert await refused.hung_up()
    await heard.until(lambda: keys(heard) == ["van", "tracker_9301"])
    assert devices(heard)["guests"] == []
    assert not events(heard, "tracker_pending")
    assert "access.block" in (await heard.ask("device/accept", id=OLD))["error"]
    assert (await heard.ask("device/accept", id=FOURTH, name="Known now"))["status"] == "ok"
    await come(dial, FOURTH)
    assert (await heard.ask("health_check"))["data"]["refused"] == 2
    assert bridge.stop() == 0

    # A door that is open stays so for twenty vehicles, and no stranger more.
    bridge.environment["TK103B__ACCESS__UNKNOWN"] = "accept"
    await serving(bridge, heard, "--config", str(cars))
    for number in range(18):
        await come(dial, f"8640000000094{number:02}")
    await heard.until(lambda: len(keys(heard)) == 20)
    await heard.until(lambda: guests(heard) == ["864000000009417"])
    refused = await dial()
    await refused.say(login(OLD))
    assert await refused.hung_up()
    assert bridge.stop() == 0

    # A vehicle that was taken out of the configuration is a vehicle still, and may be renamed.
    await serving(bridge, heard)
    assert "van" in keys(heard)
    assert (await heard.ask("device/rename", key="van", name="Bus"))["status"] == "ok"


def buttons(heard: Listener) -> dict[str, dict[str, str]]:
    """Return the buttons as Home Assistant now has them."""
    payload = heard.latest(discovery("bridge")) or {"components": {}}
    return {
        key: button
        for key, button in payload["components"].items()
        if key.startswith(PRESSES) and "payload_press" in button
    }


def button_of(heard: Listener, verb: str, device_id: str) -> dict[str, str]:
    """Return the button that does this to a guest."""
    return next(
        button
        for key, button in buttons(heard).items()
        if key.startswith(verb) and device_id in button["payload_press"]
    )


async def test_buttons_accept_and_block(
    bridge: BridgeProcess, heard: Listener, dial: Dial, mosquitto: Mosquitto
) -> None:
    async with stamping(mosquitto.port) as stamped:
        await serving(bridge, heard)
        trackers = {}
        for device_id in (GUEST, OLD, THIRD, FOURTH):
            trackers[device_id] = await come(dial, device_id)
        silent = await dial()
        await silent.say(login(FIFTH))  # shows no position: gets no button
        await silent.hear(LOAD)
        await heard.until(lambda: len(buttons(heard)) == 6)
        await heard.until(lambda: len(guests(heard)) == 5)
        assert set(buttons(heard)) == {f"{verb}_{slot}" for verb in PRESSES for slot in (1, 2, 3)}
        for device_id in (GUEST, OLD, THIRD):
            accept, block = (button_of(heard, verb, device_id) for verb in PRESSES)
            assert json.loads(accept["payload_press"])["id"] == device_id
            assert re.fullmatch(rf"Accept .*{device_id[-4:]}", accept["name"])
            assert re.fullmatch(rf"Block .*{device_id[-4:]}", block["name"])
            assert device_id not in accept["name"] + block["name"]
            assert block["command_topic"] == f"{BASE}/bridge/request/device/block"
        before = {key: one["payload_press"] for key, one in buttons(heard).items()}

        # As Home Assistant does when somebody presses.
        async def press(button: dict[str, str]) -> None:
            await heard.client.publish(button["command_topic"], button["payload_press"], qos=1)

        accept, block = button_of(heard, "accept", GUEST), button_of(heard, "block", OLD)
        await press(accept)
        await press(block)
        await heard.until(lambda: keys(heard) == ["tracker_9301"])
        await heard.until(lambda: OLD not in str(guests(heard)))
        await trackers[OLD].say(heartbeat(OLD))
        assert await trackers[OLD].hung_up()
        # The fourth moves up; the third's buttons stay where they are.
        await heard.until(lambda: len(buttons(heard)) == 4 and OLD not in str(buttons(heard)))
        assert button_of(heard, "accept", FOURTH)
        now = {key: one["payload_press"] for key, one in buttons(heard).items()}
        assert {key for key, pressed in now.items() if before[key] == pressed} == {
            "accept_3", "block_3"
        }  # fmt: skip
        # A button that is older than the decision does nothing any more.
        refused = f"{BASE}/bridge/response/device/accept"
        answers = len(heard.all(refused))
        for late in (accept, {**accept, "payload_press": block["payload_press"]}):
            await press(late)
        await heard.until(lambda: len(heard.all(refused)) == answers + 2)
        assert {answer["status"] for answer in heard.all(refused)[answers:]} == {"error"}
        assert keys(heard) == ["tracker_9301"]
        await heard.until(lambda: heard.latest(discovery("tracker_9301")))
    assert len(stamped.gaps) >= 2
    assert min(stamped.gaps) > SHORTEST_GAP_S
