"""Simulated trackers on real sockets of the port in this process; their clocks are the port's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from bridge.simulator import Event, Happened, Options
from bridge.simulator.behaviour import Behaviour
from bridge.simulator.languages import language
from bridge.simulator.route import built_in_loop
from tests.bridge.port import Port
from tests.bridge.simulated import PARKED
from tests.conftest import eventually

Transport = Literal["tcp", "udp"]

HEARD = {Happened.OBEYED, Happened.IGNORED, Happened.ACKNOWLEDGED}
CONFIRMED = bytes.fromhex("78780515")
"""A gt06 box is told that its answer has come, too."""
INTERVAL_S = 30
OPEN_S = 65
"""After so long a parked car that reports at the interval has all gates open."""


class Box:
    """A simulated tracker on a socket; what it hears it answers at once."""

    def __init__(self, port: Port, transport: Transport, **options: Any) -> None:
        chosen = {"interval_s": INTERVAL_S, "heartbeat_s": 50_000, "start_s": PARKED, **options}
        self.settings = Options(transport=transport, **chosen)
        self.heard: list[bytes] = []
        """Its commands, as it understood them."""
        self.said = 0
        self.most: int | None = None
        """How many more frames a slow network takes."""
        self._port = port
        self._held: list[bytes] = []
        self._behaviour = Behaviour(
            self.settings,
            language(self.settings.protocol),
            built_in_loop(),
            port.clock.now,
            self._happened,
        )
        self.tracker = self._behaviour.tracker

    async def connect(self) -> None:
        """Dial, log in and report."""
        port = self._port
        dials = self.settings.transport == "tcp"
        self.wire = await port.dial() if dials else port.datagram()
        self._reading = asyncio.create_task(self._read())
        await self.say(self._behaviour.connect(port.clock.now))
        await eventually(lambda: self._behaviour.logged_in)
        await self.wake()

    async def hang_up(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        self.wire.socket.close()
        self._behaviour.disconnect()

    async def wake(self) -> None:
        await self.say(self._behaviour.wake(self._port.clock.now))

    async def say(self, frames: list[bytes]) -> None:
        self._held += frames
        while self._held and self.most != 0:
            self.said += 1
            self.most = None if self.most is None else self.most - 1
            await self.wire.say(self._held.pop(0))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self.wire.socket, 4096):
            await self.say(self._behaviour.receive(data, self._port.clock.now))

    def _happened(self, event: Event) -> None:
        if event.kind in HEARD and not event.data.startswith(CONFIRMED):
            self.heard.append(event.data)


@asynccontextmanager
async def calling(port: Port, *boxes: Box) -> AsyncIterator[None]:
    """Have boxes connected; each has reported in the end."""
    await asyncio.gather(*(box.connect() for box in boxes))
    try:
        await taken(port, *boxes)
        yield
    finally:
        for box in boxes:
            await box.hang_up()


async def passing(port: Port, seconds: float, *boxes: Box) -> None:
    """Let time pass, and everything be taken that boxes say by then."""
    port.clock.advance(seconds)
    for box in boxes:
        await box.wake()
    await taken(port, *boxes)


async def taken(port: Port, *boxes: Box) -> None:
    await eventually(lambda: port.counters.messages == sum(box.said for box in boxes))


async def parked(port: Port, *boxes: Box) -> None:
    """Let so much time pass that every gate is open."""
    for seconds in (INTERVAL_S, INTERVAL_S, OPEN_S - 2 * INTERVAL_S):
        await passing(port, seconds, *boxes)
