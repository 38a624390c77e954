"""The broker of those who have none, met by many clients at once."""

from __future__ import annotations

import asyncio

import aiomqtt
import pytest

from bridge import embedded
from tests.conftest import PATIENCE_S, free_port

CLIENTS, RETURNS = 8, 10
TOPICS = [f"small/{number}" for number in range(20)]


@pytest.mark.parametrize("clean", [True, False], ids=["clean session", "kept session"])
async def test_clients_that_connect_while_others_subscribe_are_served(
    *, clean: bool, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()

    async def come_and_go(number: int) -> None:
        """Subscribe to what nobody else has, each time, and hear what is retained."""
        for again in range(RETURNS):
            name = f"client{number}"
            async with aiomqtt.Client(
                "127.0.0.1", port, identifier=name, clean_session=clean
            ) as client:
                await client.subscribe(f"own/{number}/{again}")
                await client.subscribe("small/+")
                heard: set[str] = set()
                async for message in client.messages:
                    heard.add(str(message.topic))
                    if heard >= set(TOPICS):
                        break

    async with (
        asyncio.timeout(PATIENCE_S),
        embedded.broker("127.0.0.1", port),
        aiomqtt.Client("127.0.0.1", port) as first,
    ):
        for topic in TOPICS:
            await first.publish(topic, b"kept", qos=1, retain=True)
        await first.subscribe("small/+")
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(come_and_go(number))
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_client_hears_what_it_subscribed_to_and_nothing_else() -> None:
    port = free_port()
    async with (
        asyncio.timeout(PATIENCE_S),
        embedded.broker("127.0.0.1", port),
        aiomqtt.Client("127.0.0.1", port) as first,
        aiomqtt.Client("127.0.0.1", port) as second,
    ):
        await first.subscribe("asked/#", qos=1)
        await first.publish("asked/one", b"kept", qos=1, retain=True)
        await second.publish("other/one", b"kept", qos=1, retain=True)
        async with aiomqtt.Client("127.0.0.1", port) as newcomer:
            await newcomer.subscribe("other/#", qos=1)
            assert str((await anext(newcomer.messages)).topic) == "other/one"
            await newcomer.publish("other/two", b"now", qos=1)
            assert str((await anext(newcomer.messages)).topic) == "other/two"
