"""The simulator's end of a TCP connection or a UDP socket: what came in, whether it stands."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast


class Wire(Protocol):
    """What the client needs of a connection, whichever the transport."""

    inbox: list[bytes]
    """Reads or datagrams not yet taken, in order."""
    lost: bool
    """The other side is gone; `inbox` may still hold its last words."""
    reason: str

    async def write(self, frame: bytes) -> None:
        """Write a whole frame, no faster than the other side reads."""

    def end_writing(self) -> bool:
        """Tell the other side that nothing more follows; False where that cannot be told."""

    def close(self) -> None:
        """Give the socket back."""


class _Ear(asyncio.BaseProtocol):
    """What both transports have in common. `wake` is set whenever something changes."""

    def __init__(self, wake: asyncio.Event) -> None:
        self.inbox: list[bytes] = []
        self.lost = False
        self.reason = ""
        self._wake = wake
        self._writable = asyncio.Event()
        self._writable.set()

    def pause_writing(self) -> None:
        """Stop writing: the other side does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the socket."""
        self._lose(str(exc or "closed"))

    def _take(self, data: bytes) -> None:
        self.inbox.append(data)
        self._wake.set()

    def _lose(self, reason: str) -> None:
        self.lost = True
        self.reason = self.reason or reason
        self._writable.set()
        self._wake.set()


class StreamWire(_Ear, asyncio.Protocol):
    """TCP. With `fragment`, writes of at most so many bytes."""

    def __init__(self, wake: asyncio.Event, fragment: int) -> None:
        super().__init__(wake)
        self._fragment = fragment

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        self._take(data)

    def eof_received(self) -> bool:
        """Take the end of the stream; False closes our side too."""
        self._lose("hung up")
        return False

    async def write(self, frame: bytes) -> None:
        """Write a whole frame, in pieces if asked for."""
        piece = self._fragment or len(frame)
        for start in range(0, len(frame), piece):
            self._transport.write(frame[start : start + piece])
            if self._fragment:
                await asyncio.sleep(0)  # the other side gets its chance to read each piece alone
        await self._writable.wait()

    def end_writing(self) -> bool:
        """Close our direction."""
        if not self.lost:
            self._transport.write_eof()
        return not self.lost

    def close(self) -> None:
        """Give the socket back."""
        self._transport.close()


class DatagramWire(_Ear, asyncio.DatagramProtocol):
    """UDP to one address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        # The transport of a selector loop is no subclass of what it is documented to be.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:  # noqa: ARG002 - there is one
        """Take a datagram."""
        self._take(data)

    def error_received(self, exc: Exception) -> None:
        """Take an ICMP error: nobody listens there."""
        self._lose(str(exc))

    async def write(self, frame: bytes) -> None:
        """Send a frame as one datagram."""
        self._transport.sendto(frame)
        await self._writable.wait()

    def end_writing(self) -> bool:
        """Return False: a datagram is sent when it is sent."""
        return False

    def close(self) -> None:
        """Give the socket back."""
        self._transport.close()
