"""The vehicles as they are now: folded state, the journal behind it, and who is told of changes.

    append: fold -> journal .. commit -> state may be published -> watchers

`Live.folded` runs ahead with what is on its way to the disk; `Live.state` is what is committed. The
fleet belongs to the event loop; only the journal's writer works elsewhere and comes back through
callbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from bridge import live as lives
from bridge import record as rows
from bridge.config import Rules
from bridge.frames import FrameRecord
from bridge.journal import Entry, Journal
from bridge.live import Live
from bridge.model import Report
from bridge.record import Record, Row
from bridge.registry import Vehicle
from bridge.trips import Trip
from bridge.vehicle import AnyAct, Judgement, Recounted, VehicleState, judge

__all__ = ["Counters", "Fleet", "Live", "Watcher"]

_log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 200
"""Reports of a vehicle between two checkpoints: what a restart folds again, in a few ms."""

RulesOf = Callable[[str], Rules]
"""What holds for a vehicle, by its key."""


class Watcher(Protocol):
    """Someone who tells the world; every method is called on the event loop and returns at once."""

    def committed(self, seq: int, key: str, row: Row) -> None:
        """A row is on disk."""

    def waiting(self, key: str, record: Record) -> None:
        """A report has come that cannot be put on disk now, and waits for that in memory."""

    def changed(self, key: str) -> None:
        """Something in a vehicle's state payload is new."""

    def devices_changed(self) -> None:
        """Vehicles or guests have come, gone or changed their name."""

    def happened(self, event: dict[str, Any]) -> None:
        """Something for ``bridge/event``."""


@dataclass(slots=True)
class Counters:
    """What has passed since the start."""

    messages: int = 0
    reports: int = 0
    rejected: int = 0
    refused: int = 0
    replies_dropped: int = 0
    unpublished: int = 0
    """Messages that the broker refused."""
    lost: int = 0
    """Reports the full queue of a journal that cannot be written did not take."""


class Fleet:
    """Every accepted vehicle, by its key. `live_age`: an older report is old news when it comes."""

    def __init__(self, journal: Journal, live_age: timedelta, rules: RulesOf) -> None:
        self.journal = journal
        self.live_age = live_age
        self.rules = rules
        self.vehicles: dict[str, Live] = {}
        self.watchers: list[Watcher] = []
        self.counters = Counters()
        self._leaving: dict[str, Live] = {}
        """Removed with reports on their way to the disk: a new start would miss these."""
        self._purging: set[str] = set()
        """Keys whose history is going, and must not be read any more."""
        self._waiting_for_room: dict[Callable[[], None], None] = {}
        self._unwritten: dict[int, tuple[str, Record]] = {}
        """Reports on their way to the disk, by a number of their own, in the order they came."""
        self._number = 0

    # --- what was ---------------------------------------------------------------------------------

    def restore(self, vehicles: Iterable[Vehicle]) -> None:
        """Fold what was committed after each vehicle's checkpoint, once, before anyone listens."""
        checkpoints = self.journal.checkpoints()
        for vehicle in vehicles:
            self.vehicles[vehicle.key] = self._restored(vehicle, checkpoints)

    def take_in(self, vehicle: Vehicle) -> Live:
        """Add a vehicle that was accepted; a key that was removed comes back with what it had."""
        leaving = self._leaving.pop(vehicle.key, None)
        if vehicle.key in self._purging:
            live = Live(vehicle, self.rules(vehicle.key))
        elif leaving is not None and leaving.folded is not leaving.state:
            live, live.vehicle, live.deaf = leaving, vehicle, False
            live.follow(self.rules(vehicle.key))
        else:
            live = self._restored(vehicle, self.journal.checkpoints())
        self.vehicles[vehicle.key] = live
        return live

    def let_go(self, vehicle: Vehicle, *, purge: bool) -> None:
        """Forget a vehicle that was removed, and with `purge` its history."""
        live = self.vehicles.pop(vehicle.key, None)
        if live is not None:
            self.checkpoint(live)
            live.deaf = True
            if live.folded is not live.state:
                self._leaving[vehicle.key] = live
        if purge:
            self._purging.add(vehicle.key)
            gone = partial(self._purging.discard, vehicle.key)
            self.journal.purge(vehicle.key, vehicle.ids, gone)

    def _restored(self, vehicle: Vehicle, checkpoints: dict[str, tuple[int, bytes]]) -> Live:
        saved = checkpoints.get(vehicle.key, (0, b""))
        return lives.restored(vehicle, self.rules(vehicle.key), self.journal, saved)

    def checkpoint_all(self) -> None:
        """Queue the state of every vehicle, before the journal closes."""
        for live in self.vehicles.values():
            self.checkpoint(live)

    def checkpoint(self, live: Live) -> None:
        """Queue the state of a vehicle: a restart must know what has just changed."""
        live.unsaved = 0
        self.journal.checkpoint(live.vehicle.key, live.seq, lives.checkpoint(live))

    # --- what comes -------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether to go on reading; if not, what comes would find no place in the journal.

        While that cannot be written we read on: heartbeats want their answer, and a report that
        finds no place is let go, unconfirmed (rule D).
        """
        return self.journal.failed is not None or self.journal.has_room

    def when_there_is_room(self, resume: Callable[[], None]) -> None:
        """Have `resume` called once after a commit."""
        self._waiting_for_room[resume] = None

    def append(  # noqa: PLR0913 - a report and what is to be done with it
        self,
        live: Live,
        report: Report,
        frames: Iterable[FrameRecord] = (),
        *,
        now: datetime,
        waited: bool = False,
        then: Callable[[], None] | None = None,
    ) -> Judgement | None:
        """Fold a report and queue it; `then` follows its commit. None: it found no place.

        `waited`: it was sent before its tracker was accepted.
        """
        self.counters.reports += 1
        before = live.folded
        judged = judge(
            before, report, now=now, live_age=self.live_age, silent=waited, limits=live.limits
        )
        folded = live.fold(Record(report, live.transport, judged))
        record = Record(report, live.transport, judged, folded.rings, folded.trip)
        entry = Entry(
            live.vehicle.key,
            report.received_at,
            rows.encode(record),
            at=judged.at,
            precious=report.alarm is not None,
            plain=_is_plain(before, record, folded.state),
            trips=_as_stored(folded.trip),
        )
        self._number += 1
        number = self._number
        self._unwritten[number] = (live.vehicle.key, record)

        def written() -> None:
            del self._unwritten[number]
            if then is not None:
                then()

        if not self._queue(live, record, entry, list(frames), written):
            del self._unwritten[number]
            live.folded = before
            self.counters.lost += 1
            return None
        if self.journal.failed is not None and not waited:
            self._tell_unwritten(live.vehicle.key, record)
        return judged

    def faulted(self) -> None:
        """Note that the journal cannot be written: what waits for it is told all the same."""
        for key, record in list(self._unwritten.values()):
            if not record.judged.silent:
                self._tell_unwritten(key, record)

    def _tell_unwritten(self, key: str, record: Record) -> None:
        if key in self.vehicles:
            for watcher in self.watchers:
                watcher.waiting(key, record)

    def act(
        self,
        live: Live,
        act: AnyAct,
        then: Callable[[], None] | None = None,
        *,
        precious: bool = True,
    ) -> bool:
        """Fold what is no report and queue it. False: it found no place."""
        before = live.folded
        folded = live.fold(act)
        recounted = act if isinstance(act, Recounted) else None
        entry = Entry(
            live.vehicle.key,
            act.at,
            rows.encode(act),
            at=act.at,
            precious=precious,
            trips=_as_stored(folded.trip, *(recounted.trips if recounted else ())),
            recounted=(recounted.since, recounted.until) if recounted else None,
        )
        if self._queue(live, act, entry, [], then):
            return True
        live.folded = before
        return False

    def _queue(
        self,
        live: Live,
        row: Row,
        entry: Entry,
        frames: list[FrameRecord],
        then: Callable[[], None] | None,
    ) -> bool:
        done = partial(self._committed, live, row, live.folded, then)
        return self.journal.append(entry, frames, done)

    def _committed(
        self,
        live: Live,
        row: Row,
        state: VehicleState,
        then: Callable[[], None] | None,
        seq: int,
    ) -> None:
        shows_more = len(state.reported) != len(live.state.reported) or (
            state.rung != live.state.rung
        )
        live.settle(seq, state)
        if shows_more:
            self.devices_changed()
        if live.unsaved >= CHECKPOINT_EVERY and not live.deaf:
            self.checkpoint(live)
        if then is not None:
            then()
        if not live.deaf:
            for watcher in self.watchers:
                watcher.committed(seq, live.vehicle.key, row)
        if self._waiting_for_room and self.has_room:
            waiting, self._waiting_for_room = self._waiting_for_room, {}
            for resume in waiting:
                resume()

    # --- who is told ------------------------------------------------------------------------------

    def changed(self, key: str) -> None:
        """Tell that a vehicle's state payload is another one."""
        for watcher in self.watchers:
            watcher.changed(key)

    def devices_changed(self) -> None:
        """Tell that vehicles or guests are others."""
        for watcher in self.watchers:
            watcher.devices_changed()

    def happened(self, event: dict[str, Any]) -> None:
        """Tell what happened."""
        for watcher in self.watchers:
            watcher.happened(event)


def _is_plain(before: VehicleState, record: Record, after: VehicleState) -> bool:
    """Whether a row is only one more point, which thinning may take away."""
    return (
        record.report.alarm is None
        and record.trip is None
        and (before.values == after.values or record.judged.late)
        and record.report.fix is not None
    )


def _as_stored(*ended: Trip | None) -> tuple[tuple[datetime, datetime, bytes], ...]:
    return tuple(
        (trip.started_at, trip.ended_at, rows.encode_trip(trip))
        for trip in ended
        if trip is not None
    )
