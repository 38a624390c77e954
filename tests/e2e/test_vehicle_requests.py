"""What people ask for a vehicle while it is driven: seen alarms, private mode."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker

ID = "864000000001234"


def _report(number: int, keyword: str = "tracker") -> bytes:
    now = datetime.now(UTC)
    return (
        f"imei:{ID},{keyword},{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
        f"5231.{number:04d},N,01324.6000,E,27.00,90.50;"
    ).encode()


async def _connected(bridge: BridgeProcess, heard: Listener, dial: Dial) -> Tracker:
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    tracker = await dial()
    await tracker.say(f"##,imei:{ID},A;".encode())
    await tracker.hear(b"LOAD")
    return tracker


async def test_an_alarm_that_was_seen_is_over_and_its_tracker_told_to_stop(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    tracker = await _connected(bridge, heard, dial)
    await tracker.say(_report(1, "door alarm") + _report(2, "door alarm"))
    await heard.until(
        lambda: (
            ((heard.vehicle("golf", "state") or {}).get("alarms") or {})
            .get("door", {})
            .get("count")
            == 2
        )
    )
    assert (await heard.ask("device/acknowledge", key="golf", alarm="sos"))["status"] == "error"
    answer = await heard.ask("device/acknowledge", key="golf")
    assert answer["data"] == {"key": "golf", "alarms": ["door"]}
    await tracker.hear(f"**,imei:{ID},E;".encode())  # it has repeated it
    await heard.until(lambda: heard.vehicle("golf", "state")["alarms"] == {})
    await tracker.say(_report(3, "door alarm"))
    await heard.until(lambda: len(heard.all(f"{BASE}/vehicle/golf/report")) == 3)
    assert len(heard.all(f"{BASE}/vehicle/golf/alarm")) == 1
    bridge.stop()
    bridge.start()  # what a person has done is part of the journal, too
    await heard.until(lambda: heard.all(f"{BASE}/bridge/state").count("online") == 2)
    await heard.until(lambda: heard.vehicle("golf", "state")["link"] != "connected")
    assert heard.vehicle("golf", "state")["alarms"] == {}


async def test_in_private_mode_no_place_leaves_the_bridge(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    tracker = await _connected(bridge, heard, dial)
    await tracker.say(_report(1, "door alarm"))
    await heard.topic(f"{BASE}/vehicle/golf/position")
    assert "latitude" in await heard.topic(f"{BASE}/vehicle/golf/last_alarm")
    await heard.ask("device/private", key="golf")
    await heard.until(lambda: heard.vehicle("golf", "position") == "")
    await heard.until(lambda: heard.vehicle("golf", "last_alarm") == "")
    since = len(heard.messages)
    await tracker.say(_report(2, "acc on") + _report(3, "help me"))
    await heard.until(lambda: heard.vehicle("golf", "alarm")["event_type"] == "sos")
    await heard.until(lambda: heard.vehicle("golf", "state").get("ignition"))
    assert (await heard.ask("get_track", key="golf"))["status"] == "error"
    assert (await heard.ask("get_trips", key="golf"))["status"] == "error"
    await heard.ask("republish")
    told = [payload for topic, payload, _ in heard.messages[since:] if "/vehicle/" in topic]
    assert told
    for payload in told:
        assert b"latitude" not in payload
        assert b"13.41" not in payload
        assert payload == b"" or not json.loads(payload).keys() & {"cell", "trip", "speed_kmh"}

    await heard.ask("device/private", key="golf", enabled=False)
    position = await heard.until(lambda: heard.vehicle("golf", "position"))
    assert round(position["latitude"], 4) == 52.5167
