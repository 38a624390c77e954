"""The yardstick: paho-mqtt alone, publishing messages that are ready, as fast as it can.

A process of its own, with nothing else to do: `python -m tests.benchmarks.alone PORT FILE WINDOW`.
FILE holds the messages, as `save` writes them. The network loop runs in paho's thread, messages are
handed over in this one, at QoS 1 and in MQTT 5 as by the bridge; the clock stops with the last
acknowledgement. Prints messages/s.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from time import perf_counter

import msgspec
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

from tests.benchmarks.tap import Message

WINDOWS = (20, 100, 0)
"""Publishes in flight that are worth a try; 20 is what Mosquitto announces, 0 has no bound."""

TIMES = 2
"""So often are the messages published: about as long as a round of ours takes."""


def save(messages: list[Message], file: Path) -> None:
    """Write messages down for `main`."""
    file.write_bytes(msgspec.msgpack.encode(messages))


def publish(port: int, messages: list[Message], window: int) -> float:
    """Publish messages; return how many a second were acknowledged."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.max_inflight_messages_set(window)
    connected, arrived = threading.Event(), threading.Event()
    left = len(messages)

    def on_publish(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            arrived.set()

    client.on_connect = lambda *_: connected.set()
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait()
    begin = perf_counter()
    for topic, payload, retain in messages:
        client.publish(topic, payload, 1, retain)
    arrived.wait()
    elapsed = perf_counter() - begin
    client.disconnect()
    client.loop_stop()
    return len(messages) / elapsed


def main() -> None:
    """Publish the messages of a file and print the rate."""
    port, file, window = sys.argv[1:]
    messages = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[Message])
    sys.stdout.write(f"{publish(int(port), TIMES * messages, int(window))}\n")


if __name__ == "__main__":
    main()
