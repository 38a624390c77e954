"""Somebody who misses nothing: a persistent MQTT session straight on Mosquitto."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from paho.mqtt.client import CallbackAPIVersion, Client, ConnectFlags, MQTTMessage

from tests.conftest import eventually
from tests.e2e.conftest import BASE


class Heard(NamedTuple):
    """A message as it came."""

    topic: str
    payload: bytes

    @property
    def leaf(self) -> str:
        """The last level of the topic."""
        return self.topic.rpartition("/")[2]

    @property
    def body(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


class Ear:
    """Hears everything in order, and what was said while it was cut off once it is back.

    That holds as long as the broker keeps its session; of one that forgets it, what is said before
    `present` is missed.
    """

    def __init__(self, port: int, name: str = "ear") -> None:
        self.heard: list[Heard] = []
        self.present = False
        """Connected, and subscribed by the broker's word."""
        self.arrivals = 0
        """How often it came to be so."""
        self._port = port
        self._asked = 0
        self._client = Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type] # seconds, whole or not
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._cut_off
        self._client.on_message = self._hear

    async def open(self) -> None:
        """Connect, and stay so until `close`."""
        self._client.connect_async("127.0.0.1", self._port)
        self._client.loop_start()
        await eventually(lambda: self.present)

    def close(self) -> None:
        """Leave; the broker keeps what is said meanwhile. Idempotent."""
        self._client.disconnect()
        self._client.loop_stop()

    def said(self, *leaves: str, key: str = "box", after: int = 0) -> list[Any]:
        """Return what was said of a vehicle on such topics, after the first few messages."""
        topics = {f"{BASE}/vehicle/{key}/{leaf}" for leaf in leaves}
        return [message.body for message in self.heard[after:] if message.topic in topics]

    def told(self, name: str) -> list[Any]:
        """Return the payloads of a topic of the bridge's own."""
        topic = f"{BASE}/bridge/{name}"
        return [message.body for message in self.heard if message.topic == topic]

    def topics(self, after: int = 0) -> set[str]:
        """Return the topics of the messages after the first few."""
        return {message.topic for message in self.heard[after:]}

    def state(self) -> str:
        """Return ``bridge/state`` as it was last heard."""
        topic = f"{BASE}/bridge/state"
        return next((one.payload.decode() for one in self.heard[::-1] if one.topic == topic), "")

    def onlines(self) -> int:
        """Return how often a bridge has said that it serves."""
        topic = f"{BASE}/bridge/state"
        return sum(one.topic == topic and one.payload == b"online" for one in list(self.heard))

    async def until(self, condition: Callable[[], object], within_s: float = 30.0) -> Any:
        """Wait until something is so."""
        return await eventually(condition, within_s=within_s)

    async def ask(self, verb: str) -> Any:
        """Ask the bridge, and return the data of its answer; None where none comes soon."""
        self._asked += 1
        mark = f"ear-{self._asked}"
        topic = f"{BASE}/bridge/response/{verb}"
        start = len(self.heard)
        self._client.publish(
            f"{BASE}/bridge/request/{verb}", json.dumps({"transaction": mark}), qos=1
        )

        def answered() -> Any:
            for message in self.heard[start:]:
                if message.topic == topic and message.body.get("transaction") == mark:
                    return message.body
            return None

        try:
            answer = await eventually(answered, within_s=3.0)
        except AssertionError:
            return None
        return answer["data"]

    def _connected(self, client: Client, _: object, flags: ConnectFlags, *__: object) -> None:
        if flags.session_present:  # to subscribe anew would bring what is retained once more
            self._subscribed()
        else:
            client.subscribe("#", qos=1)

    def _subscribed(self, *_: object) -> None:
        self.present = True
        self.arrivals += 1

    def _cut_off(self, *_: object) -> None:
        self.present = False

    def _hear(self, _: Client, __: object, message: MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, bytes(message.payload)))
