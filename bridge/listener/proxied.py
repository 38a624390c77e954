"""TCP behind a proxy: whoever comes from a trusted address first says for whom it speaks.

    connection of a trusted proxy --header--> Peer with the sender's address, for all that follows
    connection of anybody else    ----------> Peer with its own; a header is garbage there

So limits, bans and what is told of a connection go by the sender. Nothing is counted for the proxy
itself: it takes no places and is never kept out. A connection in which it speaks for itself is a
question whether we are there; it is nobody's, and left alone until it ends.
"""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address
from typing import cast

from bridge.listener.gate import peer_of, place_of
from bridge.listener.proxyheader import LONGEST, Header, Place, Refused, read
from bridge.listener.stream import StreamPort
from bridge.log import bound
from bridge.options import Network

_log = logging.getLogger(__name__)

MOST_ARRIVALS = 512
"""Connections without their header yet: four times what is accepted at once. Proxies send it with
the first packet, so in a crowd who has waited longest has none."""


class ProxiedPort:
    """The way to all of TCP, where the peers of some networks are trusted proxies."""

    def __init__(self, streams: StreamPort, trusted: tuple[Network, ...]) -> None:
        self.streams = streams
        self.gate = streams.gate
        self.arrivals: dict[Arrival, None] = {}
        """Connections of proxies that are nobody's yet, in the order in which they came."""
        self._trusted = trusted

    def arrival(self) -> Arrival:
        """Return the protocol of a new connection."""
        return Arrival(self)

    def trusts(self, host: str) -> bool:
        """Whether a header that comes from here is believed."""
        try:
            address = ip_address(host)
        except ValueError:  # gone already
            return False
        return any(address in network for network in self._trusted)

    def add(self, arrival: Arrival) -> None:
        """Wait for a header; where too many do, the oldest waits no longer."""
        if len(self.arrivals) >= MOST_ARRIVALS:
            next(iter(self.arrivals)).abort()
        self.arrivals[arrival] = None

    def tell(self, proxy: Place, reason: str) -> None:
        """Log once an hour that a proxy does not do as it should."""
        suppressed = self.gate.intake.strangers.due(f"proxy {proxy[0]}", self.gate.clock())
        if suppressed is not None:
            bound(_log, peer=peer_of(proxy)).warning(
                "no PROXY header: %s%s; is send-proxy missing there, or does it not belong into "
                "listen.proxy_protocol?",
                reason,
                f" ({suppressed} more in the last hour)" if suppressed else "",
            )

    def sweep(self) -> None:
        """Hang up on whoever sends no header in time."""
        latest = self.gate.monotonic() - self.gate.limits.detection_s
        for arrival in list(self.arrivals):
            if arrival.since < latest:
                arrival.give_up()

    def close(self) -> None:
        """Hang up on everybody who is nobody's yet."""
        for arrival in list(self.arrivals):
            arrival.abort()


class Arrival(asyncio.BufferedProtocol):
    """A new TCP connection, until it is clear whose it is; then a `Peer` takes over."""

    _transport: asyncio.Transport

    def __init__(self, port: ProxiedPort) -> None:
        self._port = port
        self._proxy = ("", 0)
        self._buffer = bytearray()
        self._read = b""
        self._speaks_for_itself = False
        self.since = port.gate.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a trusted proxy's header; anybody else is a peer as it stands."""
        self._transport = cast(asyncio.Transport, transport)
        self._proxy = place_of(transport.get_extra_info("peername"))
        if self._port.trusts(self._proxy[0]):
            self._port.add(self)
        else:
            self._hand_over(self._proxy)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - never more than a header
        """Return where the next read goes."""
        self._buffer = bytearray(LONGEST - len(self._read))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take a read."""
        self._read += self._buffer[:nbytes]
        found = Refused("it speaks for nobody") if self._speaks_for_itself else read(self._read)
        if isinstance(found, Header):
            if found.place is not None:
                self._hand_over(found.place, self._read[found.length :])
                return
            self._speaks_for_itself = True
            self._read = self._read[found.length :]
            found = Refused("it speaks for nobody") if self._read else None
        if isinstance(found, Refused):
            self._refuse(found.reason)

    def eof_received(self) -> None:
        """Take the end: who has said nothing only asked whether we are there."""
        if self._read:
            self._refuse("it ends before its header does")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget the connection."""
        self._port.arrivals.pop(self, None)

    def give_up(self) -> None:
        """Hang up on a connection whose header has not come in time."""
        if self._speaks_for_itself:
            self.abort()
        else:
            self._refuse("nothing came in time" if not self._read else "it came in part only")

    def abort(self) -> None:
        """Close the connection at once: nothing was ever sent to it."""
        self._port.arrivals.pop(self, None)
        self._transport.abort()

    def _refuse(self, reason: str) -> None:
        self._port.gate.intake.counters.refused += 1
        self._port.tell(self._proxy, reason)
        self.abort()

    def _hand_over(self, place: Place, first: bytes = b"") -> None:
        """Make the connection a peer's, with what it has said behind the header."""
        self._port.arrivals.pop(self, None)
        peer = self._port.streams.peer(place)
        self._transport.set_protocol(peer)
        peer.connection_made(self._transport)
        if first and not self._transport.is_closing():
            peer.receive(first)
