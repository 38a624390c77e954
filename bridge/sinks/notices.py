"""What the bridge tells of itself, in good time: retained notices, and Home Assistant's discovery.

Home Assistant drops components of a discovery payload that another one overtakes, so two different
ones for a device keep a distance.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from bridge import payloads
from bridge.contract import Topics
from bridge.sinks.announcements import Announcements
from bridge.sinks.outbox import Outbox

DEBOUNCE_S = 1.0


class Notices:
    """Puts announcements in line. `health` returns the payload of ``bridge/health``."""

    def __init__(
        self,
        topics: Topics,
        announcements: Announcements,
        outbox: Outbox,
        health: Callable[[], dict[str, Any]],
    ) -> None:
        self._topics = topics
        self._announcements = announcements
        self._outbox = outbox
        self._health = health
        self._due_at: float | None = None
        self._announced: set[str] = set()
        """Discovery topics that hold something of ours."""
        self._discovered_at: dict[str, float] = {}
        """When each of them last got a payload, by the loop's clock."""

    def soon(self, seconds: float = DEBOUNCE_S) -> None:
        """Tell what has changed, once the dust has settled."""
        if self._due_at is None:
            loop = asyncio.get_running_loop()
            self._due_at = loop.time() + seconds
            loop.call_at(self._due_at, self._due)

    def now(self) -> None:
        """Tell info, devices, health and discovery where they have changed."""
        if not self._outbox.open:
            return
        self.info()
        self._tell(self._topics.bridge_discovery, self._announcements.discovery())
        self.devices()
        self._tell(self._topics.bridge_health, self._health())
        for topic, payload in self._announcements.entities():
            self._discover(topic, payload)

    def info(self) -> None:
        """Tell ``bridge/info`` if it is another one."""
        self._tell(self._topics.bridge_info, self._announcements.info())

    def devices(self) -> None:
        """Tell ``bridge/devices`` if it is another one."""
        self._tell(self._topics.bridge_devices, self._announcements.devices())

    def left_behind(self, topic: str) -> None:
        """Note that a discovery topic holds what an earlier life of ours has left there."""
        self._announced.add(topic)
        self.soon()

    def _due(self) -> None:
        self._due_at = None
        self.now()

    def _tell(self, topic: str, payload: dict[str, Any]) -> None:
        self._outbox.tell(topic, payloads.encode(payload))

    def _discover(self, topic: str, payload: bytes) -> None:
        """Publish a discovery payload, once Home Assistant has had time for the one before it.

        Where somebody else makes the entities there is nothing to take away but what is there: Home
        Assistant complains of an empty payload for a device that it does not know.
        """
        if self._outbox.has_told(topic, payload):
            return
        foreign = self._announcements.owner != "discovery"
        if foreign and not payload and topic not in self._announced:
            return
        self._announced.add(topic)
        now = asyncio.get_running_loop().time()
        wait = self._discovered_at.get(topic, -math.inf) + DEBOUNCE_S - now
        if wait > 0:
            self.soon(wait)
            return
        self._discovered_at[topic] = now
        self._outbox.tell(topic, payload)
        if not payload:
            self._announced.discard(topic)
