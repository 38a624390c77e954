"""Posts without waiting, against a real broker: order, window, acknowledgements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from bridge.sinks.publisher import Publisher
from tests.conftest import Mosquitto, eventually, free_port

TAKES = 5
"""Messages in flight that the broker of these tests allows a client of MQTT 5."""


class Posts:
    """A publisher and the marks that came back."""

    def __init__(self, port: int, *, window: int, protocol: aiomqtt.ProtocolVersion) -> None:
        self.arrived: list[int] = []
        self.refused: list[str] = []
        self.publisher = Publisher(
            "127.0.0.1",
            port,
            protocol=protocol,
            window=window,
            acknowledged=self.arrived.append,
            refused=lambda topic, _reason: self.refused.append(topic),
        )

    def fill(self, mark: int) -> int:
        """Post until there is no room; return the next mark."""
        while self.publisher.has_room:
            self.publisher.post("posts", b"%d" % mark, retain=False, mark=mark)
            mark += 1
        return mark


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(
        tmp_path, free_port(), "allow_anonymous true", f"max_inflight_messages {TAKES}"
    )
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize(
    ("protocol", "window", "in_flight"),
    [
        (aiomqtt.ProtocolVersion.V5, 100, TAKES),
        (aiomqtt.ProtocolVersion.V5, 2, 2),
        (aiomqtt.ProtocolVersion.V311, 100, 100),
    ],
)
async def test_the_window_is_ours_or_the_brokers_whichever_is_smaller(
    broker: Mosquitto, protocol: aiomqtt.ProtocolVersion, window: int, in_flight: int
) -> None:
    posts = Posts(broker.port, window=window, protocol=protocol)
    async with posts.publisher:
        assert posts.fill(0) == in_flight
        assert posts.arrived == []
        await eventually(lambda: len(posts.arrived) == in_flight)
        assert posts.arrived == list(range(in_flight))
        assert posts.publisher.has_room


async def test_posts_arrive_in_order_each_once_and_between_them_a_publish(
    broker: Mosquitto,
) -> None:
    posts = Posts(broker.port, window=20, protocol=aiomqtt.ProtocolVersion.V5)
    async with (
        aiomqtt.Client("127.0.0.1", broker.port) as listener,
        posts.publisher as publisher,
    ):
        await listener.subscribe("posts", qos=1)
        mark = 0
        while mark < 100:
            mark = posts.fill(mark)
            await eventually(lambda: publisher.has_room)
        await publisher.publish("posts", b"last", qos=1)
        async with asyncio.timeout(10):
            heard = [message.payload async for message in _until(listener, b"last")]
    assert heard == [*(b"%d" % number for number in range(mark)), b"last"]
    assert posts.arrived == list(range(mark))
    assert posts.refused == []


async def test_a_post_the_broker_refuses_is_told_and_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite ours\n")
    broker = Mosquitto(
        tmp_path, free_port(), "user root", "allow_anonymous true", f"acl_file {rules}"
    )
    broker.start()
    posts = Posts(broker.port, window=20, protocol=aiomqtt.ProtocolVersion.V5)
    async with posts.publisher as publisher:
        for mark, topic in enumerate(("ours", "theirs", "ours")):
            publisher.post(topic, b"x", retain=False, mark=mark)
        await eventually(lambda: len(posts.arrived) == 3)
    broker.stop()
    assert posts.arrived == [0, 1, 2]
    assert posts.refused == ["theirs"]


async def test_a_lost_connection_is_an_error_of_the_next_post(broker: Mosquitto) -> None:
    posts = Posts(broker.port, window=20, protocol=aiomqtt.ProtocolVersion.V5)
    async with posts.publisher as publisher:
        broker.stop()
        with pytest.raises(aiomqtt.MqttError):
            await anext(publisher.messages)
        with pytest.raises(aiomqtt.MqttError):
            publisher.post("posts", b"", retain=False, mark=1)
    assert posts.arrived == []


async def _until(client: aiomqtt.Client, last: bytes) -> AsyncIterator[aiomqtt.Message]:
    async for message in client.messages:
        yield message
        if message.payload == last:
            return
