"""The tracker port in this process: real sockets, a real journal; disk and clock in our hand."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bridge import record as rows
from bridge.config import Access, Config, Limits, Listen, VehicleConfig
from bridge.database import Database, Row
from bridge.errors import StorageError
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.listener import Listener
from bridge.listener.port import bound_socket
from bridge.record import Record
from bridge.record import Row as Content
from bridge.registry import Registry
from tests.conftest import PATIENCE_S, eventually

GOLF = "864000000001234"
VAN = "864000000005678"
STRANGER = "864000000009999"
BOX = "087000000012"
"""The last one speaks tk103, the others gps103; nobody has accepted the stranger."""

SCAN = b"GET / HTTP/1.1\r\n\r\n"
LOAD = b"LOAD"
ON = b"ON"
BOX_LOGIN = f"({BOX}BP00000{BOX}HSO)".encode()
BOX_WELCOME = f"({BOX}AP01HSO)".encode()

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def login(device_id: str) -> bytes:
    return f"##,imei:{device_id},A;".encode()


def heartbeat(device_id: str) -> bytes:
    return f"{device_id};".encode()


def position(device_id: str, number: int = 0, keyword: str = "tracker") -> bytes:
    """A fix of some second before noon; no two numbers give the same bytes."""
    at = NOON - timedelta(minutes=5) + timedelta(seconds=number)
    return (
        f"imei:{device_id},{keyword},{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
        f"5231.{number:04d},N,01324.6000,E,27.00,90.50;"
    ).encode()


def help_me(device_id: str, number: int = 0) -> bytes:
    return position(device_id, number, "help me")


def receipt(device_id: str) -> bytes:
    return f"**,imei:{device_id},E;".encode()


class Clock:
    """The time of day, and the seconds that are never set back."""

    def __init__(self) -> None:
        self.now = NOON
        self.seconds = 1000.0

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Disk:
    """What the journal writes to: it can be held up, or be full."""

    def __init__(self, database: Database) -> None:
        self.turns = threading.Event()
        self.turns.set()
        self.full = False
        self._write = database.write
        database.write = self.write

    def write(self, batch: Any) -> list[Row]:
        assert self.turns.wait(PATIENCE_S), "the test has left the disk standing"
        if self.full:
            raise StorageError("no space left")
        return self._write(batch)


@dataclass
class World:
    """Watches what the intake tells."""

    events: list[dict[str, Any]] = field(default_factory=list)
    reports: list[tuple[int, str, Content]] = field(default_factory=list)
    unwritten: list[tuple[str, Record]] = field(default_factory=list)

    def committed(self, seq: int, key: str, row: Content) -> None:
        self.reports.append((seq, key, row))

    def waiting(self, key: str, record: Record) -> None:
        self.unwritten.append((key, record))

    def changed(self, key: str) -> None: ...

    def devices_changed(self) -> None: ...

    def happened(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def kinds(self, *kinds: str) -> list[str]:
        return [event["type"] for event in self.events if not kinds or event["type"] in kinds]


class Port:
    """A listener with all that stands behind it."""

    def __init__(self, folder: Path, config: Config, journal: Journal, registry: Registry) -> None:
        self.folder = folder
        self.number = config.listen.port
        self.clock = Clock()
        self.journal = journal
        self.disk = Disk(journal._database)
        self.intake = Intake(
            config, registry, journal, lambda: self.clock.now, lambda: self.clock.seconds
        )
        self.counters = self.intake.counters
        self.world = World()
        self.intake.watchers.append(self.world)
        self.listener = Listener(config, self.intake, lambda: self.clock.seconds)
        self.streams = self.listener.streams
        self.datagrams = self.listener.datagrams
        self.proxied = self.listener.proxied
        self._sockets: list[Wire] = []

    async def dial(self, address: str = "127.0.0.1", **options: int) -> Wire:
        """Connect over TCP from an address of this machine, and be let in or not."""
        wire = Wire(socket.socket(), address, options)
        self._sockets.append(wire)
        await asyncio.get_running_loop().sock_connect(wire.socket, ("127.0.0.1", self.number))
        return wire

    async def known(self, device_id: str, address: str = "127.0.0.1") -> Wire:
        """Connect as an accepted gps103 tracker."""
        wire = await self.dial(address)
        await wire.say(login(device_id))
        await wire.hear(LOAD)
        return wire

    def datagram(self, address: str = "127.0.0.1") -> Wire:
        """Return a UDP socket with a port of its own."""
        wire = Wire(socket.socket(type=socket.SOCK_DGRAM), address, {})
        wire.socket.connect(("127.0.0.1", self.number))
        self._sockets.append(wire)
        return wire

    async def taken(self, messages: int) -> None:
        """Wait until so many messages were taken since the start."""
        await eventually(lambda: self.counters.messages >= messages)

    def sweep_after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.listener.sweep()

    def journalled(self, key: str) -> list[str]:
        """Return the latitudes of a vehicle's rows, in order, which tell `position`s apart."""
        found = self.journal.entries_of(key, 0, 10_000)
        return [f"{rows.decode(body).report.fix.latitude:.6f}" for _, _, _, body in found]

    def hang_up_everywhere(self) -> None:
        for wire in self._sockets:
            wire.socket.close()


def latitudes(numbers: Iterable[int]) -> list[str]:
    """What `journalled` gives for these positions."""
    return [f"{52 + float(f'31.{number:04d}') / 60:.6f}" for number in numbers]


class Wire:
    """A raw socket of a peer: exact bytes out, exact bytes in."""

    def __init__(self, plain: socket.socket, address: str, options: dict[str, int]) -> None:
        self.socket = plain
        for name, value in options.items():
            plain.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        plain.settimeout(0)
        if plain.family == socket.AF_INET:
            plain.bind((address, 0))

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def hear(self, expected: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            heard = b""
            while len(heard) < len(expected):
                part = await asyncio.get_running_loop().sock_recv(self.socket, 4096)
                assert part, f"hung up after {heard!r}"
                heard += part
            assert heard == expected

    def is_silent(self) -> bool:
        """Whether nothing has come; what the bridge has written to loopback is there at once."""
        with suppress(BlockingIOError):
            return not self.socket.recv(4096, socket.MSG_PEEK)
        return True

    async def hung_up(self) -> None:
        """Wait for the end, and for nothing else."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionResetError):
                rest = await asyncio.get_running_loop().sock_recv(self.socket, 4096)
                assert rest == b""

    def end(self) -> None:
        """Say no more, but go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Be gone without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def quiet_port(host: str) -> int:
    """Return a free port that is given to no outgoing connection: those are from 32768 on."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                bound_socket(host, port, kind).close()
            return port


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    vehicles: dict[str, str] | None = None,
    access: Access | None = None,
    host: str = "127.0.0.1",
    proxies: tuple[str, ...] = (),
    cars: tuple[VehicleConfig, ...] = (),
    **limits: int,
) -> AsyncIterator[Port]:
    """Run a port with accepted trackers; nothing of anybody may be left behind at its end."""
    loop = asyncio.get_running_loop()
    mishaps: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: mishaps.append(context))
    config = Config(
        listen=Listen(
            host=host, port=quiet_port(host), proxy_protocol=tuple(map(ip_network, proxies))
        ),
        access=access or Access(),
        vehicles=cars,
        limits=Limits(**limits),
    )
    registry = Registry.open(folder, "tk103b")
    known = {GOLF: "golf", VAN: "van", BOX: "box"} if vehicles is None else vehicles
    for device_id, key in known.items():
        registry.accept(device_id, key=key)
    journal = Journal.open(folder, capacity=config.limits.journal_queue, retry_s=0.01)
    port = Port(folder, config, journal, registry)
    port.intake.restore()
    journal.start(loop)
    try:
        async with port.listener:
            yield port
            port.disk.turns.set()
            port.disk.full = False
            port.hang_up_everywhere()
            await eventually(lambda: not port.streams.peers and not port.proxied.arrivals)
            port.sweep_after(config.limits.udp_session_s + 1)
            assert not port.datagrams.peers
            assert not port.streams.per_address
            assert len(port.intake.sessions) == 0
    finally:
        port.hang_up_everywhere()
        port.disk.turns.set()
        port.disk.full = False
        await asyncio.to_thread(journal.close)
        loop.set_exception_handler(None)
    assert not mishaps
