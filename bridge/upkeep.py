"""What time alone brings about: trips that silence ends, late points counted, history that ages.

All of it goes through the journal like everything else, as acts; so a replay knows it too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from bridge import record, trips
from bridge.config import History
from bridge.errors import StorageError
from bridge.fleet import Fleet, Live
from bridge.journal import Keep, Retained
from bridge.log import bound
from bridge.record import Record
from bridge.recount import Limits, Numbered, Window, recount, window
from bridge.vehicle import Recounted, Silence, VehicleState

_log = logging.getLogger(__name__)

LOOK_S = 5.0
SETTLED = timedelta(seconds=10)
"""So long after the last late report an upload is taken to be complete."""
RETAIN_EVERY_S = 3600.0
FIRST_RETAIN_S = 60.0
"""A bridge that has just started has better things to do."""
PAGE = 1000
MOST_ROWS = 200_000
"""Counted in one go: two months of driving, half a minute of a small computer in a thread."""


class _TooManyError(StorageError):
    """There is more to count than we do."""


class Upkeep:
    """Looks after every vehicle of a fleet. `run` goes on until cancelled."""

    def __init__(self, fleet: Fleet, clock: Callable[[], datetime]) -> None:
        self._fleet = fleet
        self._journal = fleet.journal
        self._clock = clock

    async def run(self) -> None:
        """Look every few seconds, and every hour at what may go."""
        loop = asyncio.get_running_loop()
        retain_at = loop.time() + FIRST_RETAIN_S
        while True:
            await asyncio.sleep(LOOK_S)
            for live in list(self._fleet.vehicles.values()):
                await self.look(live)
            if loop.time() >= retain_at:
                retain_at = loop.time() + RETAIN_EVERY_S
                await self.retain()

    async def look(self, live: Live) -> None:
        """End a trip that is over, and count late points once they have all come."""
        now = self._clock()
        journey, trip = trips.silence(live.folded.journey, now, live.trip_limits)
        if journey is not live.folded.journey:
            self._fleet.act(live, Silence(at=now, trip=trip))
        late_at = live.state.uncounted_at
        if live.state.uncounted is not None and late_at is not None and now - late_at >= SETTLED:
            await self.count(live)

    async def count(self, live: Live) -> None:
        """Count the late points of a vehicle; nothing, where more has come meanwhile."""
        state, now, log = live.state, self._clock(), bound(_log, vehicle=live.vehicle.key)
        if state.uncounted is None or live.folded is not state:
            return
        try:
            act = await asyncio.to_thread(self._counted, live, state, now)
        except _TooManyError as error:
            log.warning("late points are not counted: %s", error)
            act = Recounted(at=now, since=now, until=now, seq=live.seq, metres=0.0)
        except StorageError as error:
            log.warning("late points are not counted yet: %s", error)
            return
        still = (
            live.folded.uncounted == state.uncounted
            if act.journey is None
            else (live.folded is state)
        )
        if still and not live.deaf:
            self._fleet.act(live, act)
            log.info(
                "counted late points: %d trips, %.1f km more", len(act.trips), act.metres / 1000
            )

    def _counted(self, live: Live, state: VehicleState, now: datetime) -> Recounted:
        key, limits = live.vehicle.key, Limits(live.limits, live.trip_limits)
        assert state.uncounted is not None  # noqa: S101 - asked before
        since = state.uncounted[0] - 24 * limits.trips.gap
        known = [record.decode_trip(body) for body in self._journal.trips(key, since, now, PAGE)]
        stretch = window(state, known, limits.trips.gap, now)
        return recount(
            state, stretch, lambda: self._rows(key, stretch), known, limits=limits, now=now
        )

    def _rows(self, key: str, stretch: Window) -> Iterator[Numbered]:
        """Yield the reports of a window, page by page: it may be weeks."""
        after: tuple[int, int] | None = None
        read = 0
        while page := self._journal.track(key, stretch.since, stretch.until, after, PAGE):
            read += len(page)
            if read > MOST_ROWS:
                raise _TooManyError(f"there are more than {MOST_ROWS} rows since {stretch.since}")
            for seq, at_ms, _, body in page:
                row = record.decode(body)
                if isinstance(row, Record):
                    yield seq, row
                after = (at_ms, seq)

    # --- what may go ------------------------------------------------------------------------------

    async def retain(self) -> None:
        """Queue what the rules let go of every vehicle's history, once its state is kept."""
        self._fleet.checkpoint_all()
        now = self._clock()
        keys = await asyncio.to_thread(self._journal.vehicles)
        for key in keys:  # those that were removed and may come back included
            self._journal.retain(key, _keep(self._fleet.rules(key).history, now), self._retained)

    def _retained(self, done: Retained) -> None:
        if done.fault is not None:
            _log.error("old history could not be removed: %s", done.fault)
        for sink, count in done.overtaken.items():
            _log.error("%d reports were removed for want of space before %s had them", count, sink)


def _keep(history: History, now: datetime) -> Keep:
    def ago(days: int) -> datetime | None:
        return now - timedelta(days=days) if days else None

    return Keep(
        before=ago(history.days),
        max_bytes=history.mb * 1_000_000 or None,
        thin_before=ago(history.thin_after_days),
        thin_s=history.thin_s,
    )
