"""One port, both transports: opened, swept, and closed in good order."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from bridge.config import Config, Listen
from bridge.errors import BridgeError
from bridge.intake import Intake
from bridge.listener.datagram import DatagramPort
from bridge.listener.gate import Gate
from bridge.listener.proxied import MOST_ARRIVALS, ProxiedPort
from bridge.listener.stream import StreamPort

_log = logging.getLogger(__name__)

SWEEP_S = 5.0
"""How often silent peers are looked for."""

BACKLOG = 128
"""Connections accepted at once, before the first of them can be refused."""

QUEUE = 1024
"""Connections that wait to be accepted. For whom there is no place here, the network tries again a
second later; the whole queue of a flood is worked off sooner."""

SPARE_FILES = 64
"""Open files that are no connections: journal, registry, broker, pages."""

KERNEL_BYTES = 65_536
"""What the system holds of a connection in each direction; left to itself, it gives megabytes."""

KEEPALIVE = {"TCP_KEEPIDLE": 600, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""The system asks a connection silent for ten minutes whether it is still there, five times in as
many minutes: sooner than `limits.idle_s` finds out, and not in a tunnel. Each question costs the
tracker some eighty bytes, and only those pay who send no heartbeats."""


_NOT_OURS = " (listen.host is an address of this machine; leave it out for all of them)"
HINTS: Mapping[int, str] = MappingProxyType(
    {
        errno.EADDRINUSE: " (is another bridge running? choose another listen.port)",
        errno.EACCES: " (ports below 1024 are root's: choose a higher listen.port)",
        errno.EADDRNOTAVAIL: _NOT_OURS,
        socket.EAI_NONAME: _NOT_OURS,
        socket.EAI_AGAIN: _NOT_OURS,
    }
)
"""What to do about it, where that is known, by the number of the error."""


class Listener:
    """The tracker port, as long as the `async with` lasts."""

    def __init__(
        self, config: Config, intake: Intake, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._listen = config.listen
        self._gate = Gate(intake, monotonic)
        self.streams = StreamPort(self._gate)
        self.proxied = ProxiedPort(self.streams, config.listen.proxy_protocol)
        self.datagrams = DatagramPort(self._gate)
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Open TCP connections and UDP sessions."""
        return len(self.streams.peers) + len(self.datagrams.peers)

    def counts(self) -> dict[str, Any]:
        """Return what health tells of the port: connections, and from where trackers come."""
        gate = self._gate
        return {
            "connections": self.connections,
            "sources": gate.familiar.sources(gate.monotonic()),
        }

    async def __aenter__(self) -> Self:
        """Open the port. Raises BridgeError where it cannot be had."""
        host, port = self._listen.host, self._listen.port
        loop = asyncio.get_running_loop()
        try:
            # Datagrams first: whoever sees that TCP answers may use either.
            if self._listen.udp:
                await loop.create_datagram_endpoint(
                    lambda: self.datagrams, sock=bound_socket(host, port, socket.SOCK_DGRAM)
                )
            if self._listen.tcp:
                places = self._gate.limits.connections
                newcomer: Callable[[], asyncio.BaseProtocol] = self.streams.peer
                if self._listen.proxy_protocol:
                    places += MOST_ARRIVALS
                    newcomer = self.proxied.arrival
                _allow_open_files(places + BACKLOG + SPARE_FILES)
                plain = bound_socket(host, port, socket.SOCK_STREAM)
                self._server = await loop.create_server(newcomer, sock=plain, backlog=BACKLOG)
                plain.listen(QUEUE)  # the same number to asyncio would be taken in one go
        except OSError as error:
            await self.__aexit__()
            raise _refused(self._listen, error) from error
        self._sweeper = loop.create_task(self._sweep_for_ever(), name="sweeper")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port and hang up."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        self.datagrams.close()
        self.proxied.close()
        await self.streams.close()

    def sweep(self) -> None:
        """Hang up on whoever has been silent for too long; forget what is over."""
        self.proxied.sweep()
        self.streams.sweep()
        self.datagrams.sweep()
        self._gate.forget()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()


def try_port(listen: Listen) -> None:
    """Raise BridgeError where the port cannot be had now, before anything else is begun for it."""
    wanted = ((socket.SOCK_DGRAM, listen.udp), (socket.SOCK_STREAM, listen.tcp))
    for kind in (kind for kind, is_wanted in wanted if is_wanted):
        try:
            bound_socket(listen.host, listen.port, kind).close()
        except OSError as error:
            raise _refused(listen, error) from error


def _refused(listen: Listen, error: OSError) -> BridgeError:
    hint = HINTS.get(error.errno or 0, "")
    reason = error.strerror or error
    return BridgeError(f"cannot listen on {listen.host}:{listen.port}: {reason}{hint}")


def bound_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Return a bound socket. Raises OSError. The host ``::`` stands for IPv4 as well.

    A name stands for its IPv4 address where it has one: that is what trackers speak.
    """
    found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    one = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            _keep_alive(one)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one


def _keep_alive(one: socket.socket) -> None:
    """Have the system look after the connections that this socket accepts: they inherit it."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:  # not every system has each of them
            one.setsockopt(socket.IPPROTO_TCP, option, value)


def _allow_open_files(count: int) -> None:
    """Let this process have so many files open, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        _log.warning("this system permits %d open files; limits.connections needs %d", hard, count)
        count = hard
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
