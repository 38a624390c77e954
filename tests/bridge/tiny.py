"""A tiny bridge on 127.0.0.1 for the simulated tracker: it answers, remembers, and can command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bridge.model import CommandResult, Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS

HANG_UP = b"hang up"

Answer = Callable[[Received], bytes]


def polite(event: Received) -> bytes:
    return event.reply + event.receipt


def is_position(event: Received) -> bool:
    """Whether this is a report with a place, and no login."""
    said = event.messages[-1]
    return isinstance(said, Report) and said.fix is not None and said.keyword != "BP05"


class TinyBridge:
    """Answers what `answer` says, and remembers each frame it got and in how many reads."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.port = 0
        self.events: list[Received] = []
        self.reads = 0
        self.heard = asyncio.Event()
        self.send: Callable[[bytes], None] = self.answered_by_nobody

    def answered_by_nobody(self, word: bytes) -> None:
        raise AssertionError(f"nobody is there to hear {word!r}")

    @property
    def reports(self) -> list[Report]:
        messages = [message for event in self.events for message in event.messages]
        return [message for message in messages if isinstance(message, Report)]

    def keywords(self) -> list[str]:
        messages = [message for event in self.events for message in event.messages]
        return [said.keyword for said in messages if isinstance(said, Report | CommandResult)]

    def hear(self, connection: Connection, data: bytes) -> bytes:
        self.reads += 1
        connection.receive_data(data)
        answers = b""
        for event in connection.events(datetime.now(UTC)):
            assert isinstance(event, Received), event
            self.events.append(event)
            answers += self.answer(event)
        self.heard.set()
        return answers

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait until something is so, looking each time a frame has come."""
        while not so():
            self.heard.clear()
            await self.heard.wait()

    async def hear_out(self, frames: int) -> None:
        """Wait until so many frames have come: the last datagrams may still be on their way."""
        await self.until(lambda: len(self.events) >= frames)

    async def serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = Connection(PROTOCOLS)
        self.send = writer.write
        try:
            while data := await reader.read(4096):
                answers = self.hear(connection, data)
                if answers == HANG_UP:
                    break
                writer.write(answers)
        finally:
            writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, bridge: TinyBridge) -> None:
        self.bridge = bridge
        self.connection = Connection(PROTOCOLS, datagrams=True)

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        self.bridge.send = lambda word: self.transport.sendto(word, addr)
        answers = self.bridge.hear(self.connection, data)
        if answers:
            self.transport.sendto(answers, addr)


@asynccontextmanager
async def bridge(answer: Answer = polite, transport: str = "tcp") -> AsyncIterator[TinyBridge]:
    """A tiny bridge on a free port; whatever runs against it has ten seconds."""
    tiny = TinyBridge(answer)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        if transport == "tcp":
            server = await asyncio.start_server(tiny.serve_stream, "127.0.0.1", 0)
            tiny.port = server.sockets[0].getsockname()[1]
        else:
            server, _ = await loop.create_datagram_endpoint(
                lambda: Datagrams(tiny), local_addr=("127.0.0.1", 0)
            )
            tiny.port = server.get_extra_info("sockname")[1]
        try:
            yield tiny
        finally:
            server.close()
