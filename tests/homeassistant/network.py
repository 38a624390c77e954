"""The mobile network between a car and the bridge: it can be lost, and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.conftest import free_port


class Network:
    """Carries what trackers say on `port` to the bridge, and its answers back."""

    def __init__(self, bridge_port: int) -> None:
        self.port = free_port()
        self._to = bridge_port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def find(self) -> None:
        """Be there (again)."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    def lose(self) -> None:
        """Be gone: connections break, and nobody can dial."""
        if self._server is not None:
            self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _carry(self, heard: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        far_heard, far = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends |= {answers, far}
        await asyncio.gather(_pass(heard, far), _pass(far_heard, answers))
        self._ends -= {answers, far}


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@asynccontextmanager
async def mobile_network(bridge_port: int) -> AsyncIterator[Network]:
    """Have a network for a while."""
    network = Network(bridge_port)
    await network.find()
    yield network
    network.lose()
