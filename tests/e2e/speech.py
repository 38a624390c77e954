"""What a made-up gps103 tracker says, and a running bridge to say it to."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt

from tests.e2e.conftest import BASE, BridgeProcess, Listener

SHORTEST_GAP_S = 0.9
"""Between two discovery payloads of a topic: a second, and what the way of either may vary."""

LOAD = b"LOAD"
ON = b"ON"


def login(device_id: str) -> bytes:
    """Answered with `LOAD`."""
    return f"##,imei:{device_id},A;".encode()


def heartbeat(device_id: str) -> bytes:
    """Answered with `ON`, once all that was said before on this connection is taken."""
    return f"{device_id};".encode()


def position(
    device_id: str, *, ago_s: float = 0, keyword: str = "tracker", minutes: str = "31.2000"
) -> bytes:
    """At 52° and so many minutes north, 13.41° east."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return (
        f"imei:{device_id},{keyword},{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
        f"52{minutes},N,01324.6000,E,27.00,90.50;"
    ).encode()


def help_me(device_id: str, *, ago_s: float = 0) -> bytes:
    """Answered with `receipt` where the tracker is accepted."""
    return position(device_id, ago_s=ago_s, keyword="help me")


def receipt(device_id: str) -> bytes:
    """What an SOS is answered with once it is on disk."""
    return f"**,imei:{device_id},E;".encode()


async def serving(bridge: BridgeProcess, heard: Listener, *arguments: str) -> None:
    """Start a bridge and wait until it serves."""
    async with another_life(heard):
        bridge.start(*arguments)
        await bridge.listening()


@asynccontextmanager
async def another_life(heard: Listener) -> AsyncIterator[None]:
    """Wait, at the end, until a bridge that has come on line meanwhile has told how it is.

    What the life before it has said of its health may still be on its way when it is over.
    """

    def lives() -> list[int]:
        return [
            place
            for place, (topic, payload, _) in enumerate(heard.messages)
            if (topic, payload) == (f"{BASE}/bridge/state", b"online")
        ]

    def serves() -> bool:
        begun = lives()
        return len(begun) > seen and any(
            topic == f"{BASE}/bridge/health" for topic, _, _ in heard.messages[begun[-1] :]
        )

    seen = len(lives())
    yield
    await heard.until(serves)


async def answer(heard: Listener, verb: str, payload: bytes | str, on: str = "") -> Any:
    """Send a request as it stands, and return the answer; `on`: the verb it is answered under."""
    topic = f"{BASE}/bridge/response/{on or verb}"
    before = len(heard.all(topic))
    await heard.client.publish(f"{BASE}/bridge/request/{verb}", payload, qos=1)
    await heard.until(lambda: len(heard.all(topic)) > before)
    return heard.all(topic)[before]


def devices(heard: Listener) -> Any:
    """Return the latest ``bridge/devices``."""
    return heard.latest(f"{BASE}/bridge/devices")


def guests(heard: Listener) -> list[str]:
    """Return the ids that wait, as last told."""
    return [guest["id"] for guest in devices(heard)["guests"]]


def keys(heard: Listener) -> list[str]:
    """Return the keys of the vehicles, as last told."""
    return [vehicle["key"] for vehicle in devices(heard)["vehicles"]]


def discovery(key: str) -> str:
    """Return the discovery topic of a vehicle, or of the bridge."""
    return f"homeassistant/device/{BASE}_{key}/config"


def told_name(heard: Listener, key: str) -> str:
    """Return what Home Assistant was told that a vehicle is called."""
    payload = heard.latest(discovery(key))
    return payload["device"]["name"] if payload else ""


def events(heard: Listener, kind: str) -> list[Any]:
    """Return what happened of a kind."""
    return [event for event in heard.all(f"{BASE}/bridge/event") if event["type"] == kind]


class Stamped:
    """Discovery payloads of each topic, with the moment each came."""

    def __init__(self) -> None:
        self.came: dict[str, list[tuple[float, object]]] = {}

    @property
    def gaps(self) -> list[float]:
        """The seconds between payloads that differ, of all topics."""
        return [
            later - sooner
            for came in self.came.values()
            for (sooner, before), (later, payload) in itertools.pairwise(came)
            if payload != before
        ]


@asynccontextmanager
async def stamping(port: int) -> AsyncIterator[Stamped]:
    """Note when discovery comes."""
    stamped = Stamped()
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("homeassistant/device/#", qos=1)

        async def hear() -> None:
            async for message in client.messages:
                came = stamped.came.setdefault(message.topic.value, [])
                came.append((time.monotonic(), message.payload))

        task = asyncio.create_task(hear())
        yield stamped
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
