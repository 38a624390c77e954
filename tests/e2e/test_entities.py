"""Home Assistant's discovery: whose the entities are, and how fast it is told."""

from __future__ import annotations

from typing import Any

from tests.conftest import Mosquitto
from tests.e2e.conftest import BASE, BridgeProcess, Listener
from tests.e2e.speech import SHORTEST_GAP_S, discovery, serving, stamping, told_name

GOLF = "864000000009601"


async def test_entities_have_one_owner(bridge: BridgeProcess, heard: Listener) -> None:
    topics = [discovery("bridge"), discovery("golf")]

    def told() -> list[Any]:
        return [heard.latest(topic) for topic in topics]

    def owner() -> Any:
        return heard.latest(f"{BASE}/bridge/info")["entities"]

    await serving(bridge, heard)
    await heard.ask("device/accept", id=GOLF, name="Golf")
    await heard.until(lambda: all(payload and payload["components"] for payload in told()))

    # Home Assistant lets go first; only then is anything taken away.
    await heard.ask("entities", owner="component")
    assert owner() == "component"
    await heard.until(lambda: told() == [{"migrate_discovery": True}] * 2)
    await heard.ask("entities", owner="component", confirmed=True)
    await heard.until(lambda: told() == ["", ""])
    assert bridge.stop() == 0
    await serving(bridge, heard)
    assert owner() == "component"
    await heard.ask("device/rename", key="golf", name="My Golf")
    await heard.until(lambda: heard.vehicle("golf", "state")["name"] == "My Golf")
    assert told() == ["", ""]

    await heard.ask("entities", owner="discovery")
    await heard.until(lambda: all(payload and payload["components"] for payload in told()))
    assert told()[1]["device"]["name"] == "My Golf"
    await heard.ask("entities", owner="off")
    await heard.until(lambda: told() == ["", ""])
    await heard.ask("entities", owner="discovery")
    await heard.until(lambda: all(payload and payload["components"] for payload in told()))

    # The configuration's `off` wins, and takes away what was there.
    assert bridge.stop() == 0
    bridge.environment["TK103B__HOME_ASSISTANT__ENTITIES"] = "off"
    await serving(bridge, heard)
    assert owner() == "off"
    await heard.until(lambda: told() == ["", ""])
    for wanted in ("component", "discovery"):
        assert "configuration" in (await heard.ask("entities", owner=wanted))["error"]
    assert owner() == "off"


async def test_home_assistant_is_given_time_for_each_payload(
    bridge: BridgeProcess, heard: Listener, mosquitto: Mosquitto
) -> None:
    """Whatever is asked for, and however fast: it loses what is overtaken."""
    async with stamping(mosquitto.port) as stamped:
        await serving(bridge, heard)
        await heard.ask("device/accept", id=GOLF, name="Golf")
        await heard.until(lambda: told_name(heard, "golf"))
        for number in range(3):
            await heard.ask("device/rename", key="golf", name=f"Golf {number}")
        await heard.ask("republish")
        await heard.until(lambda: told_name(heard, "golf") == "Golf 2")
        await heard.ask("device/remove", key="golf")
        await heard.until(lambda: heard.latest(discovery("golf")) == "")
        await heard.ask("device/accept", id=GOLF, key="golf")
        await heard.ask("entities", owner="off")
        await heard.ask("entities", owner="discovery")
        await heard.until(lambda: told_name(heard, "golf") == "Golf 2")
        await heard.ask("entities", owner="component")
        await heard.until(lambda: heard.latest(discovery("golf")) == {"migrate_discovery": True})
    assert len(stamped.gaps) >= 5
    assert min(stamped.gaps) > SHORTEST_GAP_S
