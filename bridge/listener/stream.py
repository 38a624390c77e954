"""TCP: who is connected, and each connection from its first byte to its last reply.

A connection is read from while the journal has room; without it, it waits, and the tracker with it.
One that ends, ours or the peer's doing, still gets the replies that are due to it, for a while.

Where places are short, a stranger leaves for whoever comes: one of the address that holds the most
of them. So a flood is its own rival, and a tracker that has not yet said who it is has time to.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

from bridge.listener.gate import Gate, place_of, source_of
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

GRACE_S = 5.0
"""For so long a silent newcomer may be a tracker about to log in, over a slow network; then it is
the first who has to leave."""


class StreamPort:
    """All of TCP."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.peers: dict[Peer, None] = {}
        """In the order in which they came."""
        self.per_address: Counter[str] = Counter()
        self.strange: dict[str, dict[Peer, None]] = {}
        """Those who speak for no accepted tracker, by address, in the order in which they came."""
        self.strangers = 0
        """How many these are."""
        limits = gate.limits
        self._for_strangers = limits.connections - (
            limits.connections * limits.reserved_percent // 100
        )

    def peer(self, place: tuple[str, int] | None = None) -> Peer:
        """Return the protocol of a new connection; `place`: its sender's, as a proxy says it."""
        return Peer(self, place)

    def admits(self, address: str) -> bool:
        """Whether one more connection of an address may come in; a stranger may leave for it."""
        limits, now = self.gate.limits, self.gate.monotonic()
        if self.per_address[address] >= limits.connections_per_address:
            rivals: Iterable[Peer] = self.strange.get(address, ())
        elif len(self.peers) >= limits.connections or (
            self.strangers >= self._for_strangers and not self.gate.familiar.knows(address, now)
        ):
            rivals = self._most_crowded(now)
        else:
            return True
        leaving = min(rivals, key=lambda peer: peer.stays(now), default=None)
        if leaving is None:
            return False
        leaving.abort("its place was needed")
        return True

    def add(self, peer: Peer) -> None:
        """Count a connection, of a stranger for now."""
        address = peer.session.address
        self.peers[peer] = None
        self.per_address[address] += 1
        self.strange.setdefault(address, {})[peer] = None
        self.strangers += 1

    def recognise(self, peer: Peer) -> None:
        """Note that a connection speaks for an accepted tracker; idempotent."""
        address = peer.session.address
        strange = self.strange.get(address, {})
        if peer in strange:
            del strange[peer]
            if not strange:
                del self.strange[address]
            self.strangers -= 1

    def remove(self, peer: Peer) -> None:
        """Count a connection no longer; idempotent."""
        if peer in self.peers:
            self.recognise(peer)
            del self.peers[peer]
            address = peer.session.address
            self.per_address[address] -= 1
            if not self.per_address[address]:
                del self.per_address[address]

    def _most_crowded(self, now: float) -> Iterable[Peer]:
        """Return the strangers of the address that has most of them, of a familiar one at last.

        Where no address has more than one, they are all rivals.
        """
        knows = self.gate.familiar.knows
        crowds = [crowd for place, crowd in self.strange.items() if not knows(place, now)]
        crowds = crowds or list(self.strange.values())
        most = max(crowds, key=len, default={})
        return most if len(most) > 1 else [peer for crowd in crowds for peer in crowd]

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

    def __init__(self, port: StreamPort, place: tuple[str, int] | None) -> None:
        self._port = port
        self._place = place
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
        """When it last said something, once it has said which tracker it is."""
        self._unfinished_since: float | None = None
        """When the frame began whose end is still missing."""

    # --- asyncio's side --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, if there is a place for it."""
        self._transport = cast(asyncio.Transport, transport)
        gate = self._gate
        place = self._place or place_of(transport.get_extra_info("peername"))
        source = source_of(place[0])
        if not (gate.opens_to(source) and self._has_place_for(source)):
            self._intake.counters.refused += 1
            self._transport.abort()
            return
        self.session = gate.session("tcp", place, send=self._send, close=self.hang_up)
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._port.add(self)

    def _has_place_for(self, source: str) -> bool:
        if self._port.admits(source):
            return True
        if self._intake.strangers.due(f"limit {source}", self._gate.clock()) is not None:
            bound(_log, peer=source).warning("too many connections, refused")
        return False

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - our own size for everybody
        """Return where the next read goes."""
        self._incoming = bytearray(READ_BYTES)
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Take a read."""
        data, self._incoming = bytes(self._incoming[:nbytes]), bytearray()
        self.receive(data)

    def receive(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self.session.bytes_in += len(data)
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
        now, anything = gate.clock(), False
        while self._lost or not session.closed:
            if not gate.has_room(session):
                self._paused = True
                self._transport.pause_reading()
                intake.fleet.when_there_is_room(self._resume)
                return
            event = next(self._events, None)
            if event is None:
                self._all_taken(anything=anything)
                return
            anything = True
            intake.take(event, session, now)
            if session.vehicle:
                self._port.recognise(self)
            if isinstance(event, Rejected) and event.protocol is None:
                gate.strike(session)
                self.hang_up(event.reason)
            elif session.closed and not (self._lost or session.is_known):  # it was refused
                gate.strike(session)

    def _all_taken(self, *, anything: bool) -> None:
        """Note what was heard, and whether a frame is unfinished, when events are used up."""
        session, now = self.session, self._gate.monotonic()
        if anything and session.tracker_id:
            self._heard_at = now
        if session.vehicle:
            self._gate.recognise(session)
        if not session.connection.unfinished_bytes:
            self._unfinished_since = None
        elif anything or self._unfinished_since is None:
            self._unfinished_since = now
        if self._ended:
            self._closing_since = now
            session.finish()

    def _resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        self._unfinished_since = None  # the rest was there, but we did not read
        self._work()
        if not (self._paused or self._ended or self._transport.is_closing()):
            self._transport.resume_reading()

    def _send(self, reply: bytes) -> None:
        # What a peer said before it went is still taken; asyncio would log each reply to it.
        if not self._transport.is_closing():
            self._transport.write(reply)

    # --- limits ----------------------------------------------------------------------------------

    def stays(self, now: float) -> int:
        """Return how good a stranger's claim to its place is: of the least, the oldest leaves."""
        if self.session.tracker_id:
            return 1
        return 0 if now - self._since > GRACE_S else 2

    def look(self, now: float) -> None:
        """Hang up on a peer that is silent for too long; look after one that waits for us."""
        session = self.session
        if self._intake.journal.failed is not None:
            session.release()
        if session.closed or session.ending:
            if now - self._closing_since > LINGER_S:
                self.abort("its last replies find no way")
        elif self._paused:
            if self._gate.has_room(session):
                self._resume()
        else:
            reason = self._overdue(now)
            if reason:
                self.hang_up(reason)

    def _overdue(self, now: float) -> str:
        """Return what it should have done by now, empty where nothing is due."""
        session, limits = self.session, self._gate.limits
        if self._heard_at is None:
            if now - self._since <= limits.detection_s:
                return ""
            self._intake.counters.refused += 1
            if session.connection.undecided:
                self._gate.strike(session)
            return "it said nothing known in time"
        began_at = self._unfinished_since
        within_s = limits.frame_s if session.is_known else limits.detection_s
        if began_at is not None and now - began_at > within_s:
            return "a frame did not end in time"
        patience_s = limits.idle_s if session.patience_s is None else session.patience_s
        return "silent for too long" if now - self._heard_at > patience_s else ""

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
