"""The tracker port: TCP and UDP, asyncio, limits. It knows bytes, peers and time, no protocol.

    data_received -> Connection -> events -> Intake.take          replies come back through Session
    datagram_received -> shed floods -> Connection of (address, port) -> the same

What a stranger can make it do is bounded: connections in all and per address, bytes and seconds
until the protocol is known, datagrams a second, sessions, the size of an answer. When the journal
has no room, TCP peers are not read from (they wait), datagrams are let go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from bridge.config import Config
from bridge.errors import BridgeError
from bridge.intake import Intake
from bridge.log import bound
from bridge.protocols.connection import Connection, Event, Rejected
from bridge.protocols.registry import PROTOCOLS
from bridge.sessions import Session

_log = logging.getLogger(__name__)

SWEEP_S = 5.0
"""How often silent peers are looked for."""

REPEATS = 16
"""A datagram equal to one of the session's last so many is a repeat: its answer was lost."""

MOST_ADDRESSES = 10_000
"""Of how many senders the rate is kept; with forged senders there is no end of them."""


class Listener:
    """Both transports on one port, as long as the `async with` lasts."""

    def __init__(self, config: Config, intake: Intake) -> None:
        self.config = config
        self.limits = config.limits
        self.intake = intake
        self.clock = intake.clock
        self.tcp_peers: set[_TcpPeer] = set()
        self.per_address: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._datagrams: _DatagramPort | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Open TCP connections and UDP sessions."""
        return len(self.tcp_peers) + (len(self._datagrams.peers) if self._datagrams else 0)

    async def __aenter__(self) -> Listener:
        """Open the port. Raises BridgeError where it cannot be had."""
        listen = self.config.listen
        loop = asyncio.get_running_loop()
        try:
            if listen.tcp:
                self._server = await loop.create_server(
                    lambda: _TcpPeer(self), listen.host, listen.port, backlog=512
                )
            if listen.udp:
                _, self._datagrams = await loop.create_datagram_endpoint(
                    lambda: _DatagramPort(self), local_addr=(listen.host, listen.port)
                )
        except OSError as error:
            await self.__aexit__()
            raise BridgeError(
                f"cannot listen on {listen.host}:{listen.port}: {error.strerror or error} "
                "(is another bridge running? choose another listen.port)"
            ) from error
        self._sweeper = loop.create_task(self._sweep(), name="sweeper")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port and hang up."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for peer in list(self.tcp_peers):
            peer.hang_up("the bridge stops")
        if self._datagrams is not None:
            self._datagrams.transport.close()

    def admits(self, address: str) -> bool:
        """Whether one more connection of an address is within the limits."""
        return (
            len(self.tcp_peers) < self.limits.connections
            and self.per_address[address] < self.limits.connections_per_address
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.clock()
            for peer in list(self.tcp_peers):
                peer.look(now)
            if self._datagrams is not None:
                self._datagrams.sweep(now)

    def connection(self, *, datagrams: bool) -> Connection:
        """Return the protocol state for a new peer."""
        return Connection(
            PROTOCOLS,
            datagrams=datagrams,
            detection_bytes=self.limits.detection_bytes,
            frame_bytes=self.limits.frame_bytes,
        )


class _TcpPeer(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._intake = listener.intake
        self._events: Iterator[Event] = iter(())
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server gives
        listener, now = self._listener, self._listener.clock()
        host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
        self._transport = transport
        if not listener.admits(host):
            suppressed = self._intake.strangers.due(f"limit {host}", now)
            if suppressed is not None:
                bound(_log, peer=host).warning("too many connections, refused")
            self._intake.counters.refused += 1
            transport.abort()
            return
        listener.tcp_peers.add(self)
        listener.per_address[host] += 1
        self.session = Session(
            transport="tcp",
            peer=f"{host}:{port}",
            address=host,
            connection=listener.connection(datagrams=False),
            send=transport.write,
            close=self.hang_up,
            since=now,
            last_seen=now,
        )

    def data_received(self, data: bytes) -> None:
        session = self.session
        if session is None or session.closed:
            return
        session.bytes_in += len(data)
        session.connection.receive_data(data)
        if not self._paused:
            self._events = session.connection.events(self._listener.clock())
            self._work()

    def eof_received(self) -> bool:
        if self.session is not None and not self.session.closed:
            self.session.connection.receive_eof()
            if not self._paused:
                self._events = self.session.connection.events(self._listener.clock())
                self._work()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        session = self.session
        if session is None:
            return
        self._listener.tcp_peers.discard(self)
        self._listener.per_address[session.address] -= 1
        if not self._listener.per_address[session.address]:
            del self._listener.per_address[session.address]
        if not session.closed or session.tracker_id:
            self._intake.left(session)

    def _work(self) -> None:
        """Take events until there are none, the peer is given up, or the journal is full."""
        session, intake = self.session, self._intake
        assert session is not None  # noqa: S101 - set before any data can come
        now = self._listener.clock()
        while not session.closed:
            if not intake.has_room:
                self._pause()
                return
            event = next(self._events, None)
            if event is None:
                return
            intake.take(event, session, now)
            if isinstance(event, Rejected) and event.protocol is None:
                self.hang_up(event.reason)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
            self._intake.when_there_is_room(self._resume)

    def _resume(self) -> None:
        self._paused = False
        if self.session is None or self.session.closed or self._transport is None:
            return
        self._work()
        if not self._paused and not self._transport.is_closing():
            self._events = self.session.connection.events(self._listener.clock())
            self._work()
            if not self._paused:
                self._transport.resume_reading()

    def look(self, now: datetime) -> None:
        """Hang up on a peer that is silent for too long, or will not say what it speaks."""
        session = self.session
        if session is None:
            return
        limits = self._listener.limits
        if session.connection.undecided:
            if now - session.since > timedelta(seconds=limits.detection_s):
                self._intake.counters.refused += 1
                self.hang_up("said nothing known in time")
        elif now - session.last_seen > timedelta(seconds=limits.idle_s):
            self.hang_up("silent for too long")

    def hang_up(self, reason: str) -> None:
        """Close the connection; what has been written is still sent."""
        session = self.session
        if session is None or session.closed or self._transport is None:
            return
        if session.vehicle:
            bound(_log, vehicle=session.vehicle, peer=session.peer).info("hung up: %s", reason)
        self._intake.left(session)
        self._transport.close()


@dataclass(slots=True)
class _DatagramPeer:
    """One (address, port): its session, and what its latest datagrams were answered."""

    session: Session
    answers: OrderedDict[bytes, list[bytes]] = field(default_factory=OrderedDict)


class _DatagramPort(asyncio.DatagramProtocol):
    """All of UDP."""

    transport: asyncio.DatagramTransport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._intake = listener.intake
        self.peers: OrderedDict[tuple[str, int], _DatagramPeer] = OrderedDict()
        self._budget: dict[str, deque[datetime]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The event loops of Python 3.11 do not derive theirs from DatagramTransport.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002
        """A peer's port is closed: nothing to be done about a datagram."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now, intake = self._listener.clock(), self._intake
        if not data or not intake.has_room or not self._within_budget(addr[0], now):
            intake.counters.refused += 1
            return
        peer = self._peer(addr[:2], now)
        session = peer.session
        session.bytes_in += len(data)
        answers = peer.answers.get(data)
        if answers is not None:
            for answer in answers:
                self._answer(addr, answer)
            intake.heard_again(session, now)
            return
        answers = peer.answers[data] = []
        if len(peer.answers) > REPEATS:
            peer.answers.popitem(last=False)
        session.send = partial(self._reply, addr, answers, len(data))
        session.connection.receive_data(data)
        for event in session.connection.events(now):
            intake.take(event, session, now)
        if session.closed:
            self.peers.pop(addr[:2], None)

    def _peer(self, addr: tuple[str, int], now: datetime) -> _DatagramPeer:
        peer = self.peers.get(addr)
        if peer is not None:
            self.peers.move_to_end(addr)
            return peer
        if len(self.peers) >= self._listener.limits.udp_sessions:
            _, oldest = self.peers.popitem(last=False)
            self._intake.left(oldest.session)
        session = Session(
            transport="udp",
            peer=f"{addr[0]}:{addr[1]}",
            address=addr[0],
            connection=self._listener.connection(datagrams=True),
            send=lambda _: None,
            close=lambda _: None,
            since=now,
            last_seen=now,
            reply_within=timedelta(seconds=self._listener.limits.udp_reply_s),
        )
        session.close = partial(_close, session)
        peer = self.peers[addr] = _DatagramPeer(session)
        return peer

    def _reply(
        self, addr: tuple[str, int], answers: list[bytes], question_bytes: int, reply: bytes
    ) -> None:
        """Answer a datagram, unless the answer is so long that a forged sender would matter."""
        if len(reply) > question_bytes + self._listener.limits.udp_reply_extra_bytes:
            self._intake.counters.replies_dropped += 1
            return
        answers.append(reply)
        self._answer(addr, reply)

    def _answer(self, addr: tuple[str, int], reply: bytes) -> None:
        self.transport.sendto(reply, addr)

    def _within_budget(self, address: str, now: datetime) -> bool:
        allowed = self._listener.limits.datagrams_per_s
        recent = self._budget.get(address)
        if recent is None:
            if len(self._budget) >= MOST_ADDRESSES:
                return False
            recent = self._budget[address] = deque(maxlen=allowed)
        if len(recent) == allowed and now - recent[0] < timedelta(seconds=1):
            return False
        recent.append(now)
        return True

    def sweep(self, now: datetime) -> None:
        """Forget sessions that have been silent for too long, and budgets nobody draws on."""
        oldest = now - timedelta(seconds=self._listener.limits.udp_session_s)
        while self.peers:
            addr, peer = next(iter(self.peers.items()))
            if peer.session.last_seen > oldest:
                break
            del self.peers[addr]
            self._intake.left(peer.session)
        for address in [
            address
            for address, recent in self._budget.items()
            if not recent or now - recent[-1] > timedelta(seconds=SWEEP_S)
        ]:
            del self._budget[address]


def _close(session: Session, reason: str) -> None:  # noqa: ARG001 - a datagram peer hears nothing
    session.closed = True
