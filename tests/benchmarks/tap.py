"""A subscriber that takes down what a broker sends and asks for next to nothing in return.

It stands for Home Assistant, which always listens, and it is how "the very same messages" are
known. It speaks just enough MQTT 5 to subscribe, at QoS 0 and with retain flags as published,
and then only reads: seldom and much, so as to take no time from those who are measured. Messages
are taken apart when they are asked for.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

READ_BYTES = 1 << 20
PAUSE_S = 0.01
_CONNECT, _SUBSCRIBE, _PUBLISH = 0x10, 0x82, 0x30
_CLEAN_START = 0x02
_RETAIN_AS_PUBLISHED = 0x08


class Message(NamedTuple):
    """A message as it was published."""

    topic: str
    payload: bytes
    retain: bool


class Tap:
    """A connection to the broker on `port`, reading in a thread of its own until closed."""

    def __init__(self, port: int, topic_filter: str) -> None:
        self._data = bytearray()
        self._socket = socket.create_connection(("127.0.0.1", port))
        no_properties = b"\0"
        self._say(
            _CONNECT,
            _text("MQTT") + bytes([5, _CLEAN_START, 0, 0]) + no_properties + _text("benchmark-tap"),
        )
        self._say(
            _SUBSCRIBE,
            b"\0\1" + no_properties + _text(topic_filter) + bytes([_RETAIN_AS_PUBLISHED]),
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self) -> list[Message]:
        """Return what came since the last call, once no more comes."""
        size = -1
        while size != len(self._data):
            size = len(self._data)
            time.sleep(20 * PAUSE_S)
        data = bytes(self._data)
        del self._data[: len(data)]
        return list(_messages(data))

    def close(self) -> None:
        """Hang up."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _say(self, kind: int, body: bytes) -> None:
        assert len(body) < 128  # so that its length is one byte
        self._socket.sendall(bytes([kind, len(body)]) + body)

    def _read(self) -> None:
        while data := self._socket.recv(READ_BYTES):
            self._data += data
            time.sleep(PAUSE_S)


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def _messages(data: bytes) -> Iterator[Message]:
    at = 0
    while at < len(data):
        kind = data[at]
        length, at = _number(data, at + 1)
        if kind & 0xF0 == _PUBLISH:
            assert not kind & 0x06, "subscribed at QoS 0"
            (topic_length,) = struct.unpack_from("!H", data, at)
            topic = data[at + 2 : at + 2 + topic_length].decode()
            properties, payload_at = _number(data, at + 2 + topic_length)
            payload = data[payload_at + properties : at + length]
            yield Message(topic, payload, retain=bool(kind & 1))
        at += length


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
