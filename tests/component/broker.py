"""A broker between Home Assistant and a made-up bridge: it keeps what is retained.

Home Assistant's own mock of its MQTT client hands on what is published, but keeps nothing, while
everything the component knows comes from retained topics. This closes the gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

from homeassistant.core import HomeAssistant, callback
from paho.mqtt.client import topic_matches_sub
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

Listener = Callable[[str, bytes, bool], None]
"""Is told topic, payload, retain of what Home Assistant publishes."""

SILENT_ROUNDS = 3
"""Of the event loop, after which nothing more is under way: an answer takes two."""
MOST_ROUNDS = 5000


class Broker:
    """Belongs to the event loop. `retained` is what a newcomer would be told."""

    def __init__(self, hass: HomeAssistant, client: Mock) -> None:
        self.retained: dict[str, bytes] = {}
        self.listeners: list[Listener] = []
        self.heard: list[tuple[str, bytes, bool]] = []
        """What Home Assistant has published, in order."""
        self._hass = hass
        self._client = client
        self._turns = 0
        """Counts whatever happens here."""
        self._subscribe = client.subscribe.side_effect
        self._publish = client.publish.side_effect
        client.subscribe.side_effect = self._subscribed
        client.publish.side_effect = self._published

    @callback
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Take what a bridge says, and tell Home Assistant."""
        self._keep(topic, payload, retain=retain)
        # Whoever is subscribed already gets it without the mark, retained or not.
        async_fire_mqtt_message(self._hass, topic, payload, qos=1, retain=False)

    async def quiet(self) -> None:
        """Wait until nobody has anything more to say."""
        silent = 0
        for _ in range(MOST_ROUNDS):
            before = self._turns
            await asyncio.sleep(0)
            await self._hass.async_block_till_done()
            silent = 0 if self._turns != before or self._is_subscribing() else silent + 1
            if silent == SILENT_ROUNDS:
                return
        raise AssertionError("they never stop talking to one another")

    def _is_subscribing(self) -> bool:
        """Whether Home Assistant still has topics to subscribe to, which takes a turn each."""
        client = self._client.on_connect.__self__
        waits = client._subscribe_debouncer, client._unsubscribe_debouncer
        return client.connected and any(one._task or one._timer for one in waits)

    def _keep(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self._turns += 1
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)

    def _subscribed(self, topics: str | list[tuple[str, int]], *args: Any, **named: Any) -> Any:
        self._turns += 1
        answer = self._subscribe(topics, *args, **named)
        filters = [topics] if isinstance(topics, str) else [topic for topic, _ in topics]
        self._hass.loop.call_soon(self._tell_retained, filters)
        return answer

    @callback
    def _tell_retained(self, filters: list[str]) -> None:
        for topic, payload in list(self.retained.items()):
            if any(topic_matches_sub(one, topic) for one in filters):
                async_fire_mqtt_message(self._hass, topic, payload, qos=1, retain=True)

    def _published(
        self,
        topic: str,
        payload: str | bytes | None,
        qos: int,
        retain: bool,
        properties: Any = None,
    ) -> Any:
        said = payload.encode() if isinstance(payload, str) else payload or b""
        self.heard.append((topic, said, retain))
        self._keep(topic, said, retain=retain)
        # As a broker would: a subscriber that is there already sees no retain mark.
        answer = self._publish(topic, said, qos, False, properties)  # noqa: FBT003 - the signature of paho's publish
        for listener in list(self.listeners):
            self._hass.loop.call_soon(listener, topic, said, retain)
        return answer
