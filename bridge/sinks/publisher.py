"""An aiomqtt client that also publishes without waiting: what a pump's window is made of.

`aiomqtt.Client.publish` returns when the broker has acknowledged, so a window takes as many tasks,
and each message an event, a future and a wake-up: a third of all that publishing costs. A pump only
has to know how many messages are on their way and which have arrived; that is `post`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


class Publisher(aiomqtt.Client):
    """An aiomqtt client. `acknowledged(mark)` is called on the loop for each post that arrived."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - aiomqtt's own, some thirty
        acknowledged: Callable[[int], None],
        **options: Any,  # noqa: ANN401 - the same
    ) -> None:
        super().__init__(*arguments, **options)
        self._acknowledged = acknowledged
        self._marks: dict[int, int] = {}

    @property
    def in_flight(self) -> int:
        """How many posts the broker has not acknowledged yet."""
        return len(self._marks)

    def post(self, topic: str, payload: bytes, *, retain: bool, mark: int) -> None:
        """Send a message at QoS 1, in the order of the calls. Raises aiomqtt.MqttError."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        self._marks[info.mid] = mark

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        mark = self._marks.pop(mid, None)
        if mark is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
        else:
            self._acknowledged(mark)
