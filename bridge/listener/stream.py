"""TCP: who is connected, and each connection from its first byte to its last reply.

A connection is read from while the journal has room; without it, it waits, and the tracker with it.
One that ends, ours or the peer's doing, still gets the replies that are due to it, for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from typing import cast

from bridge.listener.gate import Gate, place_of
from bridge.log import bound
from bridge.protocols.connection import Event, Rejected
from bridge.sessions import Session

_log = logging.getLogger(__name__)

READ_BYTES = 16_384
"""Taken of one connection at a time: a hundred reports, and then it is the others' turn."""

UNREAD_BYTES = 8192
"""Replies beyond what the system holds: whoever leaves so many unread does not read at all."""

LINGER_S = 10.0
"""How long a connection that ends may take for its last replies: a slow disk, a slow network."""


class StreamPort:
    """All of TCP."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.peers: dict[Peer, None] = {}
        """In the order in which they came."""
        self.per_address: Counter[str] = Counter()

    def peer(self) -> Peer:
        """Return the protocol of a new connection."""
        return Peer(self)

    def admits(self, address: str) -> bool:
        """Whether one more connection of an address may come in.

        Where a limit is reached, the oldest one that has said nothing leaves for it, or else the
        oldest of a stranger: no flood of them keeps an accepted tracker out.
        """
        limits = self.gate.limits
        if self.per_address[address] >= limits.connections_per_address:
            rivals = [peer for peer in self.peers if peer.session.address == address]
        elif len(self.peers) >= limits.connections:
            rivals = list(self.peers)
        else:
            return True
        for may_leave in (Peer.is_silent, Peer.is_strange):
            leaving = next(filter(may_leave, rivals), None)
            if leaving is not None:
                leaving.abort("its place was needed")
                return True
        return False

    def add(self, peer: Peer) -> None:
        """Count a connection."""
        self.peers[peer] = None
        self.per_address[peer.session.address] += 1

    def remove(self, peer: Peer) -> None:
        """Count a connection no longer; idempotent."""
        if peer in self.peers:
            del self.peers[peer]
            address = peer.session.address
            self.per_address[address] -= 1
            if not self.per_address[address]:
                del self.per_address[address]

    def sweep(self) -> None:
        """Hang up on whoever has been silent for too long."""
        now = self.gate.monotonic()
        for peer in list(self.peers):
            peer.look(now)

    async def close(self) -> None:
        """Hang up on everybody."""
        for peer in list(self.peers):
            peer.hang_up("the bridge stops")
        await asyncio.sleep(0)  # those with nothing left to send are closed now
        for peer in list(self.peers):
            peer.abort("the bridge stops")
        await asyncio.sleep(0)


class Peer(asyncio.BufferedProtocol):
    """One TCP connection. Session and transport are there once it is made, if it was let in."""

    session: Session
    _transport: asyncio.Transport

    def __init__(self, port: StreamPort) -> None:
        self._port = port
        self._gate = port.gate
        self._intake = port.gate.intake
        self._incoming = bytearray()
        self._events: Iterator[Event] = iter(())
        self._paused = False
        self._ended = False
        """The peer has said its last."""
        self._lost = False
        """The connection went while we were not reading: what it has brought is still taken."""
        self._since = self._closing_since = port.gate.monotonic()
        self._heard_at: float | None = None

    # --- asyncio's side --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, if there is a place for it."""
        self._transport = cast(asyncio.Transport, transport)
        place = place_of(transport.get_extra_info("peername"))
        session = self._gate.session("tcp", place, send=self._send, close=self.hang_up)
        if not self._port.admits(session.address):
            self._intake.counters.refused += 1
            if self._intake.strangers.due(f"limit {session.address}", session.since) is not None:
                bound(_log, peer=session.address).warning("too many connections, refused")
            self._transport.abort()
            return
        self.session = session
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._port.add(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - our own size for everybody
        """Return where the next read goes."""
        self._incoming = bytearray(READ_BYTES)
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Take a read."""
        data, self._incoming = bytes(self._incoming[:nbytes]), bytearray()
        self.session.bytes_in += nbytes
        self.session.connection.receive_data(data)
        self._read_on()

    def eof_received(self) -> bool:
        """Take the end of what the peer says. True: replies are still due to it."""
        self._ended = True
        self.session.connection.receive_eof()
        self._read_on()
        return not self.session.closed

    def pause_writing(self) -> None:
        """Give up a peer that does not read what it is answered."""
        self.abort("it does not read its replies")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget the connection, whichever way it went."""
        if self in self._port.peers:
            self._lost = self._paused and not self.session.closed
            self._port.remove(self)
            self._intake.left(self.session)

    # --- events ----------------------------------------------------------------------------------

    def _read_on(self) -> None:
        # Nothing is received while reading is paused: the events before these are all taken.
        self._events = self.session.connection.events(self._gate.clock())
        self._work()

    def _work(self) -> None:
        """Take events until there are none, the peer is given up, or there is no room."""
        session, gate, intake = self.session, self._gate, self._intake
        now = gate.clock()
        while self._lost or not session.closed:
            if not gate.has_room(session):
                self._paused = True
                self._transport.pause_reading()
                intake.fleet.when_there_is_room(self._resume)
                return
            event = next(self._events, None)
            if event is None:
                if self._ended:
                    self._closing_since = gate.monotonic()
                    session.finish()
                return
            self._heard_at = gate.monotonic()
            intake.take(event, session, now)
            if isinstance(event, Rejected) and event.protocol is None:
                self.hang_up(event.reason)

    def _resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        self._work()
        if not (self._paused or self._ended or self._transport.is_closing()):
            self._transport.resume_reading()

    def _send(self, reply: bytes) -> None:
        # What a peer said before it went is still taken; asyncio would log each reply to it.
        if not self._transport.is_closing():
            self._transport.write(reply)

    # --- limits ----------------------------------------------------------------------------------

    def is_silent(self) -> bool:
        """Whether it has said nothing that was understood, or is ending anyway."""
        return self.session.closed or not self.session.tracker_id

    def is_strange(self) -> bool:
        """Whether it speaks for no accepted tracker."""
        return not self.session.is_known

    def look(self, now: float) -> None:
        """Hang up on a peer that is silent for too long; look after one that waits for us."""
        session, limits = self.session, self._gate.limits
        if self._intake.journal.failed is not None:
            session.release()
        if session.closed or session.ending:
            if now - self._closing_since > LINGER_S:
                self.abort("its last replies find no way")
        elif self._paused:
            if self._gate.has_room(session):
                self._resume()
        elif self._heard_at is None:
            if now - self._since > limits.detection_s:
                self._intake.counters.refused += 1
                self.hang_up("it said nothing known in time")
        elif now - self._heard_at > limits.idle_s:
            self.hang_up("silent for too long")

    def hang_up(self, reason: str) -> None:
        """Close the connection; what has been written is still sent."""
        session = self.session
        if session.closed:
            return
        if session.vehicle and reason:
            bound(_log, vehicle=session.vehicle, peer=session.peer).info("hung up: %s", reason)
        self._closing_since = self._gate.monotonic()
        self._intake.left(session)
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Close the connection at once, whatever has not been sent yet."""
        self.hang_up(reason)
        self._transport.abort()
        self._port.remove(self)
