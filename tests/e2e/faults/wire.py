"""A wire between the bridge and its broker that can be cut, slowed down, or made to swallow.

It knows where an MQTT packet ends and of what type it is, no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

PUBLISH, PUBACK = 3, 4


class Wire:
    """A TCP proxy on loopback; belongs to the event loop."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self.is_open = True
        """Closed: whoever dials is hung up on."""
        self.delay_s = 0.0
        """Each read waits so long in either direction, so throughput suffers too."""
        self.swallowed = 0
        """Acknowledgements, or publishes, that never arrived."""
        self.cuts = 0
        self.published: list[str] = []
        """The topics of the publishes that the broker was given."""
        self._to_port = to_port
        self._swallow = 0
        self._swallowing = PUBACK
        self._server: asyncio.Server | None = None
        self._lines: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen on a port of its own."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut and listen no more."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._server = None

    def cut(self) -> None:
        """Tear every connection down, as a router that was switched off."""
        for ours, theirs in self._lines.items():
            ours.transport.abort()
            theirs.transport.abort()

    def swallow_then_cut(self, count: int, kind: int) -> None:
        """Keep the next packets of a kind from whoever they are for, then cut.

        `PUBACK`: the broker has the publishes, the bridge not its word for them. `PUBLISH`: the
        broker has never seen what the bridge has sent.
        """
        self._swallow, self._swallowing = count, kind

    async def _serve(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self.is_open:
            near_writer.transport.abort()
            return
        try:
            far, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            near_writer.transport.abort()
            return
        self._lines[near_writer] = far_writer
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(near, far_writer, near_writer, up=True))
                both.create_task(self._pass(far, near_writer, far_writer, up=False))
        finally:
            del self._lines[near_writer]

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        *,
        up: bool,
    ) -> None:
        """Pass packets on until either end is gone; then both are."""
        with suppress(OSError, asyncio.IncompleteReadError):
            async for packets in _packets(source):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                for kind, packet in packets:
                    if target.is_closing():
                        break
                    if self._swallow and kind == self._swallowing and up == (kind == PUBLISH):
                        self._swallow -= 1
                        self.swallowed += 1
                        if not self._swallow:
                            self.cuts += 1
                            self.cut()
                        continue
                    if up and kind == PUBLISH:
                        self.published.append(_topic(packet))
                    target.write(packet)
                await target.drain()
        target.transport.abort()
        back.transport.abort()


async def _packets(source: asyncio.StreamReader) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Yield the whole packets of each read: type and bytes."""
    data = b""
    while read := await source.read(65_536):
        data += read
        found = []
        while (ends := _ends(data)) is not None:
            found.append((data[0] >> 4, data[: ends[1]]))
            data = data[ends[1] :]
        yield found


def _ends(data: bytes) -> tuple[int, int] | None:
    """Return where the first packet's header ends, and the packet; None: not all is here yet."""
    length = 0
    for index, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            start = 2 + index
            return (start, start + length) if start + length <= len(data) else None
    return None


def _topic(publish: bytes) -> str:
    ends = _ends(publish)
    assert ends is not None
    start = ends[0] + 2
    return publish[start : start + int.from_bytes(publish[start - 2 : start])].decode()
