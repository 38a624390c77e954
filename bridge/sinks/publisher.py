"""An aiomqtt client that also publishes without waiting: what a pump's window is made of.

`aiomqtt.Client.publish` returns when the broker has acknowledged, so a window takes as many tasks,
and each message an event, a future and a wake-up: a third of all that publishing costs. A pump only
has to know whether there is room for another message and which have arrived; that is `post`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS, Client, ConnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_quiet = logging.getLogger("bridge.aiomqtt")
_quiet.addFilter(lambda record: not str(record.msg).startswith("Unexpected message ID"))
"""What aiomqtt logs of itself, but the answer to a subscription whose caller was cancelled."""


class Publisher(aiomqtt.Client):
    """An aiomqtt client with at most `window` posts in flight, or fewer if the broker says so.

    `acknowledged(mark)` is called on the event loop for each post that was answered, and before it
    `refused(topic, reason)` where the broker did not take it; MQTT 3.1.1 cannot tell.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - aiomqtt's own, some thirty
        window: int,
        acknowledged: Callable[[int], None],
        refused: Callable[[str, str], None],
        **options: Any,  # noqa: ANN401 - the same
    ) -> None:
        # It is us who count.
        super().__init__(*arguments, **options, logger=_quiet, max_inflight_messages=0)
        self._client.disable_logger()  # two lines a message
        self._window = window
        self._acknowledged = acknowledged
        self._refused = refused
        self._marks: dict[int, tuple[int, str]] = {}

    @property
    def has_room(self) -> bool:
        """Whether another post keeps within the window."""
        return len(self._marks) < self._window

    def post(self, topic: str, payload: bytes, *, retain: bool, mark: int) -> None:
        """Send a message at QoS 1, in the order of the calls. Raises aiomqtt.MqttError."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        self._marks[info.mid] = (mark, topic)

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        # A broker may hang up on whoever has more in flight than it takes.
        self._window = min(self._window, getattr(properties, "ReceiveMaximum", self._window))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_socket_register_write(
        self,
        client: Client,
        userdata: object,
        sock: Any,  # noqa: ANN401 - a socket, TLS or not
    ) -> None:
        # Of aiomqtt's, but for looking again when its turn comes: by then the socket may be closed,
        # and its number somebody else's.
        del userdata

        def write() -> None:
            try:
                client.loop_write()
            except OSError as error:
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def watch() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(watch)

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        posted = self._marks.pop(mid, None)
        if posted is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
            return
        mark, topic = posted
        if reason_code.is_failure:
            self._refused(topic, str(reason_code))
        self._acknowledged(mark)
