"""The simulated tracker on a real socket: dials, writes, reads, waits, dials again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.errors import BridgeError
from bridge.simulator import gpx
from bridge.simulator.behaviour import Behaviour
from bridge.simulator.languages import language
from bridge.simulator.options import BUILT_IN, Event, Happened, OnEvent, Options, Summary
from bridge.simulator.route import built_in_loop
from bridge.simulator.tracker import SimulatedTracker
from bridge.simulator.wire import DatagramWire, StreamWire, Wire

Now = Callable[[], datetime]

DIAL_TIMEOUT_S = 10.0
GOODBYE_S = 2.0
"""How long the other side may take to hang up after our last byte."""

LONGEST_BACKOFF_S = 60.0


def utc_now() -> datetime:
    """Return the clock on the wall, aware and UTC."""
    return datetime.now(UTC)


def ignore(_event: Event) -> None:
    """Watch nothing."""


async def run(options: Options, *, now: Now = utc_now, on_event: OnEvent = ignore) -> Summary:
    """Run one simulated tracker until its reports are made and answered for; return what it did.

    Raises ConfigError for options it cannot follow, BridgeError when nobody answers at the address.
    """
    return await Simulator(options, now=now, on_event=on_event).run()


class Simulator:
    """One tracker that can be stopped. `now` is an aware UTC clock that never goes back."""

    def __init__(self, options: Options, *, now: Now = utc_now, on_event: OnEvent = ignore) -> None:
        on_loop = options.route == BUILT_IN
        route = built_in_loop() if on_loop else gpx.read(Path(options.route))
        self._options = options
        self._clock = now
        self._started = now()
        self._tell = on_event
        self._behaviour = Behaviour(
            options, language(options.protocol), route, self._started, on_event
        )
        self._stopping = False
        self._wake = asyncio.Event()

    @property
    def tracker(self) -> SimulatedTracker:
        """The box and its car as they are."""
        return self._behaviour.tracker

    @property
    def summary(self) -> Summary:
        """What was done so far."""
        return self._behaviour.summary

    def stop(self) -> None:
        """End the run after what is being written."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> Summary:
        """Dial, talk and dial again until the behaviour is finished or `stop` is called."""
        failures = 0
        while not self._over:
            failed = await self._call()
            failures = failures + 1 if failed else 0
            if 0 < self._options.attempts <= failures and not self._over:
                raise BridgeError(
                    f"no bridge answers at {self._options.host}:{self._options.port} "
                    f"({self._options.transport}): {failed}"
                )
            doublings = min(max(failures - 1, 0), 10)
            pause_s = min(self._options.backoff_s * 2**doublings, LONGEST_BACKOFF_S)
            until = self._time() + timedelta(seconds=pause_s)
            while not self._over and self._time() < until:
                self._behaviour.wake(self._time())
                await self._pause(min(until, self._behaviour.due))
        return self.summary

    @property
    def _over(self) -> bool:
        return self._stopping or self._behaviour.finished

    def _time(self) -> datetime:
        """The tracker's own time."""
        return self._started + (self._clock() - self._started) * self._options.speed_up

    async def _call(self) -> str:
        """Dial and talk until the connection ends; return why it came to nothing, if it did."""
        try:
            wire = await self._dial()
        except OSError as error:
            return error.strerror or str(error) or "no connection in time"
        behaviour = self._behaviour
        try:
            await self._send(wire, behaviour.connect(self._time()))
            while not self._hung_up(wire):
                await self._pause(behaviour.due)
                while wire.inbox:
                    data = wire.inbox.pop(0)
                    await self._send(wire, behaviour.receive(data, self._time()))
                if not self._hung_up(wire):
                    await self._send(wire, behaviour.wake(self._time()))
            if not behaviour.lost_patience:
                await self._say_goodbye(wire)
            logged_in = behaviour.logged_in and not behaviour.lost_patience
        finally:
            wire.close()
        behaviour.disconnect(wire.reason)
        return "" if logged_in else wire.reason or "it does not reply"

    def _hung_up(self, wire: Wire) -> bool:
        """Whether the call is over; what came in before the other side hung up is still heard."""
        lost = wire.lost and not wire.inbox
        return lost or self._behaviour.hang_up or self._over

    async def _dial(self) -> Wire:
        loop, options = asyncio.get_running_loop(), self._options
        address = options.host, options.port
        async with asyncio.timeout(DIAL_TIMEOUT_S):  # its TimeoutError is an OSError
            if options.transport == "udp":
                _, datagrams = await loop.create_datagram_endpoint(
                    lambda: DatagramWire(self._wake), remote_addr=address
                )
                return datagrams
            _, stream = await loop.create_connection(
                lambda: StreamWire(self._wake, options.fragment), *address
            )
            return stream

    async def _send(self, wire: Wire, frames: list[bytes]) -> None:
        for index, frame in enumerate(frames):
            if wire.lost:
                self._behaviour.unsent(frames[index:])
                return
            await wire.write(frame)
            self.summary.frames += 1
            self._tell(Event(Happened.SENT, frame))

    async def _pause(self, until: datetime) -> None:
        """Wait until the tracker's time comes, something is heard, or the run is stopped."""
        delay_s = (until - self._time()).total_seconds() / self._options.speed_up
        if delay_s <= 0 or self._wake.is_set():
            await asyncio.sleep(0)
        else:
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def _say_goodbye(self, wire: Wire) -> None:
        """Let the other side read to the end: closing with bytes unread would cut it off."""
        if not wire.end_writing():
            return
        try:
            async with asyncio.timeout(GOODBYE_S):
                while not wire.lost:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass
