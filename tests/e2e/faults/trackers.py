"""Who reports while the fault happens: simulated cars for load, and one box that does as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bridge.model import Alarm
from bridge.simulator import AlarmAt, Event, Happened, Options, Simulator
from tests.conftest import PATIENCE_S
from tests.e2e.faults.tally import Content, Tally, content, said

Now = Callable[[], datetime]

_ON = b"ON"
_DEGREE = 60_0000
_BEHIND = timedelta(minutes=8)
"""Room for a second between any two reports of a box, and still news."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Confirmations:
    """Which reports of one connection are confirmed, by what the bridge has answered on it.

    ``ON`` answers a heartbeat once everything before it is committed; ``E`` answers the oldest SOS.
    """

    def __init__(self, tally: Tally, now: Now = utc_now) -> None:
        self._tally = tally
        self._now = now
        self._said: list[Content | None] = []
        """What was said and is not confirmed, in order; None: a heartbeat."""

    def connected(self) -> None:
        """Begin anew: what the last connection left open stays open."""
        self._said.clear()

    def sent(self, frame: bytes) -> None:
        """Note a frame on its way."""
        if frame.startswith(b"imei:"):
            report = said(frame, self._now())
            assert report is not None, frame
            known = content(report)
            self._tally.sent[known] += 1
            self._said.append(known)
        elif not frame.startswith(b"##"):
            self._said.append(None)

    def replied(self, phrase: bytes) -> None:
        """Note what the bridge has answered."""
        if phrase == _ON and None in self._said:
            end = self._said.index(None)
            self._confirm(self._said[:end])
            del self._said[: end + 1]
        elif phrase.endswith((b",E", b",E;")):
            rung = [known for known in self._said if known is not None and known[1] == "help me"]
            if rung:
                # Receipts come in their turn, so all that was said before is committed too.
                end = self._said.index(rung[0]) + 1
                self._confirm(self._said[:end])
                self._said[:end] = [None] * self._said[:end].count(None)

    def _confirm(self, said: list[Content | None]) -> None:
        self._tally.answered.update(known for known in said if known is not None)


class Car:
    """A simulated gps103 tracker on its drive, as fast as the bridge answers."""

    def __init__(self, tally: Tally, options: Options, now: Now = utc_now) -> None:
        self.sent = 0
        """Reports written, on whatever connection."""
        self._tally = tally
        self._confirmations = Confirmations(tally, now)
        self._simulator = Simulator(options, now=now, on_event=self._happened)
        self._task: asyncio.Task[object] | None = None

    def start(self) -> None:
        """Drive off."""
        self._task = asyncio.create_task(self._simulator.run())

    async def arrived(self) -> None:
        """Return when every report is made and the last heartbeat answered."""
        assert self._task is not None
        await self._task

    async def stop(self) -> None:
        """End the drive here."""
        self._simulator.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _happened(self, event: Event) -> None:
        if event.kind is Happened.CONNECTED:
            self._confirmations.connected()
        elif event.kind is Happened.SENT:
            self.sent += event.data.startswith(b"imei:")
            self._confirmations.sent(event.data)
        elif event.kind in {Happened.REPLY, Happened.ACKNOWLEDGED}:
            self._confirmations.replied(event.data)


def drive(port: int, device_id: str, count: int, seed: int) -> Options:
    """Return a drive of so many reports, an SOS half way, that outlives a bridge's restarts."""
    return Options(
        port=port,
        device_id=device_id,
        count=count,
        interval_s=0.0,
        reply_timeout_s=2.0,
        backoff_s=0.1,
        attempts=0,
        utc_offset_minutes=0,
        alarms=(AlarmAt(Alarm.SOS, max(1, count // 2)),),
        seed=seed,
    )


class Way:
    """Where a box is: a little further north with each report, a second later, never the same.

    It begins eight minutes ago; `north` is in ten thousandths of a minute (18 cm).
    """

    def __init__(self, now: Now, north: int = 1) -> None:
        self._now = now
        self._begun = now() - _BEHIND
        self._north = north
        self._number = 0

    def next(self, at: datetime | None) -> tuple[datetime, str]:
        """Return time and latitude of the next report."""
        at = at or min(self._begun + timedelta(seconds=self._number), self._now())
        degrees, minutes = divmod(52 * _DEGREE + 31_0000 + self._number * self._north, _DEGREE)
        self._number += 1
        return at, f"{degrees}{minutes // 10_000:02d}.{minutes % 10_000:04d}"


class Box:
    """A gps103 tracker of which every byte is ours: it says when, from where, and waits when told.

    Several may be on one way: the same box on connections of its own.
    """

    def __init__(self, tally: Tally, port: int, device_id: str, way: Way, now: Now) -> None:
        self.device_id = device_id
        self._port = port
        self._way = way
        self._confirmations = Confirmations(tally, now)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._heard = b""

    async def dial(self, address: str = "127.0.0.1") -> None:
        """Connect from an address of this machine; an earlier connection is left as it is."""
        self._heard = b""
        self._confirmations.connected()
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(address, 0)
        )

    def frame(self, keyword: str = "tracker", *, at: datetime | None = None) -> bytes:
        """Return the next report."""
        at, latitude = self._way.next(at)
        return (
            f"imei:{self.device_id},{keyword},{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
            f"{latitude},N,01324.6000,E,27.00,90.50;"
        ).encode()

    async def say(self, *frames: bytes) -> None:
        """Write whole frames."""
        for frame in frames:
            self._confirmations.sent(frame)
        await self.write(b"".join(frames))

    async def write(self, data: bytes) -> None:
        """Write bytes that are counted nowhere."""
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def report(self, count: int) -> None:
        """Write so many reports and wait until they are confirmed."""
        await self.say(*(self.frame() for _ in range(count)))
        await self.beat()

    async def beat(self) -> None:
        """Send a heartbeat and wait for its answer."""
        await self.say(f"{self.device_id};".encode())
        await self._hear(_ON)

    async def pulse(self) -> None:
        """Send a heartbeat whose answer, by rule D, promises nothing about any report."""
        await self.write(f"{self.device_id};".encode())
        await self._await(_ON)

    async def ring(self) -> None:
        """Send an SOS and wait for its receipt."""
        await self.say(self.frame("help me"))
        await self.receipt()

    async def receipt(self) -> None:
        """Wait for the receipt of an SOS."""
        await self._hear(f"**,imei:{self.device_id},E;".encode())

    async def leave(self) -> None:
        """Hang up; idempotent."""
        if self._writer is not None:
            self._writer.close()
            await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
            self._writer = None

    async def _hear(self, expected: bytes) -> None:
        """Read until this was said, and count what it confirms."""
        await self._await(expected)
        self._confirmations.replied(expected)

    async def _await(self, expected: bytes) -> None:
        """Read until this was said; nothing else may come before it."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self._heard) < len(expected):
                read = await self._reader.read(4096)
                assert read, f"hung up before {expected!r}"
                self._heard += read
        assert self._heard.startswith(expected), self._heard
        self._heard = self._heard[len(expected) :]
