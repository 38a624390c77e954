"""The load: trackers on real sockets, each waiting now and then for its bridge like real ones.

A position of these protocols is never answered, but a keep-alive is, and only when everything
before it is on disk. So a tracker that waits for that answer after every few positions runs ahead
of the journal by no more than those, and the reports of all arrive interleaved, as on any day.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tests.benchmarks.frames import TALKS, Talk

TRACKERS = 20
POSITIONS_A_KEEP_ALIVE = 5
"""As of a tracker that reports every ten seconds or so and says each minute that it is there."""


class Tracker:
    """One tracker at the wheel."""

    def __init__(self, talk: Talk, number: int) -> None:
        self._talk = talk
        self._id = talk.device_id(number)

    async def dial(self, port: int) -> None:
        """Connect and log in."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        await self._ask(self._talk.login(self._id), self._talk.welcome(self._id))

    def positions(self, start: datetime, first: int, count: int) -> list[bytes]:
        """Return `count` positions, a second apart on its own clock, from the `first` step on."""
        return [
            self._talk.position(self._id, start + timedelta(seconds=step), step)
            for step in range(first, first + count)
        ]

    async def drive(self, positions: list[bytes]) -> None:
        """Report positions, one frame a segment where the network sees to it."""
        keep_alive, still_here = self._talk.keep_alive(self._id), self._talk.still_here(self._id)
        for number, position in enumerate(positions, 1):
            self._writer.write(position)
            if number % POSITIONS_A_KEEP_ALIVE:
                await asyncio.sleep(0)  # the next one is another tracker's
            else:
                await self._ask(keep_alive, still_here)

    async def leave(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()

    async def _ask(self, question: bytes, answer: bytes) -> None:
        self._writer.write(question)
        assert await self._reader.readexactly(len(answer)) == answer


class Fleet:
    """Trackers of every protocol, half and half, that drive at the same time."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._driven = 0
        self._trackers = [Tracker(TALKS[n % len(TALKS)], n) for n in range(TRACKERS)]

    async def dial(self, port: int) -> None:
        """Connect them all."""
        for tracker in self._trackers:
            await tracker.dial(port)

    def positions(self, count: int) -> list[list[bytes]]:
        """Return the next `count` positions of each, ready to be sent."""
        ready = [tracker.positions(self._start, self._driven, count) for tracker in self._trackers]
        self._driven += count
        return ready

    async def drive(self, positions: list[list[bytes]]) -> None:
        """Let each report its positions."""
        async with asyncio.TaskGroup() as group:
            for tracker, ready in zip(self._trackers, positions, strict=True):
                group.create_task(tracker.drive(ready))

    async def leave(self) -> None:
        """Disconnect them all."""
        for tracker in self._trackers:
            await tracker.leave()
