"""Who takes part in the story, and what is seen of them by REST, websocket and MQTT."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.conftest import Mosquitto, eventually
from tests.e2e.conftest import BASE, BridgeProcess, listening
from tests.homeassistant.car import Car
from tests.homeassistant.hass import HomeAssistant

MakeCar = Callable[..., Car]

EXPLAINED = {
    # At each start, of every integration that is not part of it.
    "We found a custom integration tk103b which has not been tested by Home Assistant": None,
    # Once of each device that was taken over: it has let go of it, as it was told to, when the
    # payload on its discovery topic is taken away.
    "No device components to cleanup for tk103b_bridge,": 1,
    "No device components to cleanup for tk103b_tracker_2603,": 1,
}
"""What Home Assistant warns of and is as it should be, and how often it may."""


@dataclass
class Story:
    """Who takes part."""

    hass: HomeAssistant
    bridge: BridgeProcess
    mosquitto: Mosquitto
    make_car: MakeCar
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    async def written(self, entity_id: str, since: str = "") -> list[dict[str, Any]]:
        """Return every state that was written, also in an earlier life of Home Assistant."""
        query = urlencode({"filter_entity_id": entity_id, "significant_changes_only": "0"})
        told = await self.hass.get(f"history/period/{quote(since or self.began)}?{query}")
        return list(told[0]) if told else []

    async def fired(self, entity_id: str) -> list[str]:
        """Return what an event entity has told, in order; one that comes back tells nothing."""
        states = [
            (state["state"], state["attributes"].get("event_type"))
            for state in await self.written(entity_id)
            if state["state"] not in ("unknown", "unavailable")
        ]
        return [kind for (_, kind), _ in itertools.groupby(states)]

    async def has_fired(self, entity_id: str, *kinds: str) -> None:
        """Wait until an event entity has told these, in this order, and nothing else."""

        async def so() -> bool:
            told = await self.fired(entity_id)
            assert told == list(kinds)[: len(told)], told
            return len(told) == len(kinds)

        await eventually(so)

    async def is_at(self, tracker: str, zone: str, car: Car) -> None:
        """Wait until a tracker shows a car where it is."""

        async def so() -> bool:
            at = (await self.hass.until(tracker, zone))["attributes"]
            return bool((at["latitude"], at["longitude"]) == pytest.approx(car.place, abs=1e-5))

        await eventually(so)

    async def device(self, name: str) -> str:
        """Return the id of a device."""
        devices = await self.hass.registry("device")
        [found] = [device["id"] for device in devices if device["name"] == name]
        return str(found)

    async def ids(self) -> set[tuple[str, ...]]:
        """Return what tells our entities from one another, and whose device each is on."""
        names = {device["id"]: device["name"] for device in await self.hass.registry("device")}
        return {
            (entity["id"], entity["entity_id"], entity["unique_id"], names[entity["device_id"]])
            for entity in await self.hass.registry("entity")
            if entity["platform"] == "tk103b"
        }

    def no_complaints(self) -> None:
        """Home Assistant has nothing to say against us but what is explained."""
        unexplained = self.hass.complaints()
        for words, most in EXPLAINED.items():
            heard = [one for one in unexplained if words in one]
            unexplained = [one for one in unexplained if one not in heard[:most]]
        assert unexplained == []

    async def owner(self) -> str:
        """Return who makes the entities, as the bridge says it."""
        async with listening(self.mosquitto.port) as heard:
            info = await heard.topic(f"{BASE}/bridge/info")
        return str(info["entities"])

    async def discovers_nothing(self) -> bool:
        """Whether no discovery payload stands on the broker."""
        async with listening(self.mosquitto.port) as heard:
            await heard.ask("info")  # what the broker keeps comes before the answer
            return not [topic for topic, *_ in heard.messages if topic.startswith("homeassistant/")]

    async def each_is_on_the_map_once(self) -> None:
        """What has coordinates is on Home Assistant's map: of ours nothing but the trackers."""
        placed = [
            entity_id.partition(".")[0]
            for entity_id, state in (await self.hass.states()).items()
            if "latitude" in state["attributes"]
        ]
        assert {"device_tracker"} <= {*placed} <= {"device_tracker", "person", "zone"}

    async def nothing_twice(self, platform: str) -> None:
        """Every entity is of one platform and there once, every device too."""
        entities = [
            entity
            for entity in await self.hass.registry("entity")
            if entity["unique_id"].startswith(f"{BASE}_")
        ]
        assert entities
        assert {entity["platform"] for entity in entities} == {platform}
        assert max(Counter(entity["unique_id"] for entity in entities).values()) == 1
        assert not [entity for entity in entities if entity["entity_id"].endswith("_2")]
        devices = [
            device["name"]
            for device in await self.hass.registry("device")
            if device["manufacturer"] == "TK103B Bridge"
        ]
        assert len(devices) == len(set(devices)), devices
        owners = {entity["device_id"] for entity in entities}
        assert len(owners) == len(devices), (entities, devices)
