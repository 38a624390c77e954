"""UDP: a session for each (address, port), in which every datagram stands for itself.

Senders can be forged. So answers are short and prompt or not given, a flood is shed before it is
looked at, whether it comes from one address or pretends to come from each, and nobody is remembered
who has not said which tracker it is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, cast

from bridge.listener.gate import Budget, Gate, place_of, source_of
from bridge.sessions import Session

REPEATS = 16
"""A datagram equal to one of the session's last so many is a repeat: its answer was lost."""

STRANGERS = ""
"""Stands for all of them in their common budget."""

Place = tuple[str, int]


@dataclass(slots=True)
class Peer:
    """One (address, port): its session, and digests of its latest datagrams."""

    session: Session
    heard_at: float
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=REPEATS))


class DatagramPort(asyncio.DatagramProtocol):
    """All of UDP."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.peers: OrderedDict[Place, Peer] = OrderedDict()
        """Whoever was heard last is the last."""
        self.transport: asyncio.DatagramTransport | None = None
        self.choked = False
        """The system takes no more datagrams from us for now."""
        self._intake = gate.intake
        self._budget = Budget(gate.limits.datagrams_per_s)
        self._of_strangers = Budget(gate.limits.strange_datagrams_per_s)

    # --- asyncio's side --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open port."""
        # The event loops of Python 3.11 do not derive theirs from DatagramTransport.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        """Note that a peer's port is closed: nothing to be done about a datagram."""

    def pause_writing(self) -> None:
        """Give no answers, rather than pile them up."""
        self.choked = True

    def resume_writing(self) -> None:
        """Give answers again."""
        self.choked = False

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take a datagram, or let it go."""
        gate, intake = self.gate, self._intake
        now, size, place = gate.monotonic(), len(data), place_of(addr)
        peer = self.peers.get(place)
        if not (
            0 < size <= gate.limits.frame_bytes and self._affords(peer, source_of(place[0]), now)
        ):
            intake.counters.refused += 1
            return
        peer = peer or self._newcomer(place, now)
        session = peer.session
        if not gate.has_room(session):
            intake.counters.refused += 1
            return
        self.peers[place] = peer
        self.peers.move_to_end(place)
        peer.heard_at = now
        session.bytes_in += size
        session.send = _Question(self, addr, now, size + gate.limits.udp_reply_extra_bytes).answer
        session.order = partial(self._push, addr)
        digest = blake2b(data, digest_size=16).digest()
        again, taken = digest in peer.recent, True
        session.connection.receive_data(data)
        received_at = gate.clock()
        for event in session.connection.events(received_at):
            taken = intake.take(event, session, received_at, again=again) and taken
            if session.closed:
                return
        if session.vehicle:
            gate.recognise(session)
        if not session.tracker_id:
            del self.peers[place]
            return
        if taken and not again:
            peer.recent.append(digest)
        self._trim()

    def _push(self, sender: tuple[Any, ...], word: bytes) -> None:
        """Send a command to where an accepted tracker was heard last."""
        if self.transport is not None and not self.choked:
            self.transport.sendto(word, sender)

    def _affords(self, peer: Peer | None, source: str, now: float) -> bool:
        """Whether a datagram is within its sender's budget, a stranger's also within all theirs.

        One who is loud takes from nobody: he draws on what is theirs only with what he has himself.
        """
        gate = self.gate
        if (peer is not None and peer.session.is_known) or gate.familiar.knows(source, now):
            return self._budget.draw(source, now)
        return (
            self._of_strangers.affords(STRANGERS, now)
            and not gate.bans.hold(source, now)
            and self._budget.draw(source, now)
            and self._of_strangers.draw(STRANGERS, now)
        )

    # --- sessions --------------------------------------------------------------------------------

    def _newcomer(self, place: Place, now: float) -> Peer:
        session = self.gate.session(
            "udp", place, send=lambda _: None, close=partial(self._hang_up, place)
        )
        return Peer(session, now)

    def _trim(self) -> None:
        """Where there are too many, forget whoever was not heard for longest, strangers first."""
        while len(self.peers) > self.gate.limits.udp_sessions:
            strangers = (place for place, one in self.peers.items() if not one.session.is_known)
            self._hang_up(next(strangers, None) or next(iter(self.peers)))

    def _hang_up(self, place: Place, reason: str = "") -> None:  # noqa: ARG002 - nobody is told
        peer = self.peers.pop(place, None)
        if peer is not None:
            self._intake.left(peer.session)

    def sweep(self) -> None:
        """Forget sessions that have been silent for too long."""
        now = self.gate.monotonic()
        while self.peers:
            place, peer = next(iter(self.peers.items()))
            if now - peer.heard_at <= self.gate.limits.udp_session_s:
                return
            self._hang_up(place)

    def close(self) -> None:
        """Close the port, if it is open, and forget everybody."""
        for place in list(self.peers):
            self._hang_up(place)
        if self.transport is not None:
            self.transport.close()


@dataclass(slots=True)
class _Question:
    """A datagram that may be answered: not for long, and by not much more than it was long."""

    port: DatagramPort
    sender: tuple[Any, ...]
    asked_at: float
    allowance: int

    def answer(self, reply: bytes) -> None:
        """Send a reply, or drop and count it."""
        port, gate = self.port, self.port.gate
        late = gate.monotonic() - self.asked_at > gate.limits.udp_reply_s
        if late or len(reply) > self.allowance or port.choked or port.transport is None:
            gate.intake.counters.replies_dropped += 1
            return
        self.allowance -= len(reply)
        port.transport.sendto(reply, self.sender)
