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

import msgspec

from bridge import record as rows
from bridge.errors import StorageError
from bridge.frames import FrameRecord
from bridge.journal import Entry, Journal
from bridge.model import Report
from bridge.record import Record
from bridge.registry import Vehicle
from bridge.vehicle import EMPTY, Folded, VehicleState, fold

_log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 200
"""Reports of a vehicle between two checkpoints: what a restart folds again, in a few ms."""

ASLEEP = timedelta(hours=24)
"""How long a parked vehicle may be silent before that is no sleep any more."""


class Watcher(Protocol):
    """Someone who tells the world; every method is called on the event loop and returns at once."""

    def committed(self, seq: int, key: str, record: Record) -> None:
        """A report is on disk."""

    def changed(self, key: str) -> None:
        """Something in a vehicle's state payload is new."""

    def devices_changed(self) -> None:
        """Vehicles or guests have come, gone or changed their name."""

    def happened(self, event: dict[str, Any]) -> None:
        """Something for ``bridge/event``."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What is kept of a vehicle beside its rows."""

    state: VehicleState
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""


@dataclass(slots=True)
class Live:
    """A vehicle now. `folded` runs ahead of `state`, which is committed and may be published."""

    vehicle: Vehicle
    folded: VehicleState = EMPTY
    state: VehicleState = EMPTY
    seq: int = 0
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""
    unsaved: int = 0
    deaf: bool = False
    """Removed while reports were on their way."""


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

    def __init__(self, journal: Journal, live_age: timedelta) -> None:
        self.journal = journal
        self.live_age = live_age
        self.vehicles: dict[str, Live] = {}
        self.watchers: list[Watcher] = []
        self.counters = Counters()
        self._purging: set[str] = set()
        """Keys whose history is going, and must not be read any more."""
        self._waiting_for_room: dict[Callable[[], None], None] = {}

    # --- what was ---------------------------------------------------------------------------------

    def restore(self, vehicles: Iterable[Vehicle]) -> None:
        """Fold what was committed after each vehicle's checkpoint, once, before anyone listens."""
        checkpoints = self.journal.checkpoints()
        for vehicle in vehicles:
            self.vehicles[vehicle.key] = self._restored(vehicle, checkpoints)

    def take_in(self, vehicle: Vehicle) -> Live:
        """Add a vehicle that was accepted; a key that was removed comes back with what it had."""
        if vehicle.key in self._purging:
            live = Live(vehicle)
        else:
            live = self._restored(vehicle, self.journal.checkpoints())
        self.vehicles[vehicle.key] = live
        return live

    def let_go(self, vehicle: Vehicle, *, purge: bool) -> None:
        """Forget a vehicle that was removed, and with `purge` its history."""
        live = self.vehicles.pop(vehicle.key, None)
        if live is not None:
            live.deaf = True
        if purge:
            self._purging.add(vehicle.key)
            gone = partial(self._purging.discard, vehicle.key)
            self.journal.purge(vehicle.key, vehicle.ids, gone)

    def _restored(self, vehicle: Vehicle, checkpoints: dict[str, tuple[int, bytes]]) -> Live:
        live = Live(vehicle)
        seq, body = checkpoints.get(vehicle.key, (0, b""))
        try:
            saved = msgspec.json.decode(body, type=Checkpoint) if body else Checkpoint(EMPTY)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            _log.error("%s: folded anew from its whole history: %s", vehicle.key, error)
            seq, saved = 0, Checkpoint(EMPTY)
        live.folded = live.state = saved.state
        live.position_seq, live.last_seen = saved.position_seq, saved.last_seen
        live.transport, live.seq = saved.transport, seq
        while page := self.journal.entries_of(vehicle.key, seq, 1000):
            for seq, _, _, body in page:
                try:
                    record = rows.decode(body)
                except StorageError as error:
                    _log.error("%s: row %d is left out: %s", vehicle.key, seq, error)
                    continue
                self._fold(
                    live,
                    record.report,
                    late=record.late,
                    late_alarms=record.late_alarms,
                    silent=record.silent,
                )
                if live.folded.fix is not live.state.fix:
                    live.position_seq = seq
                live.state, live.seq, live.transport = live.folded, seq, record.transport
                live.last_seen = record.report.received_at
        return live

    def checkpoint_all(self) -> None:
        """Queue the state of every vehicle, before the journal closes."""
        for live in self.vehicles.values():
            self._checkpoint(live)

    def _checkpoint(self, live: Live) -> None:
        live.unsaved = 0
        saved = Checkpoint(live.state, live.position_seq, live.last_seen, live.transport)
        self.journal.checkpoint(live.vehicle.key, live.seq, msgspec.json.encode(saved))

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
    ) -> bool:
        """Fold a report and queue it; `then` follows its commit. False: it found no place.

        `waited`: it was sent before its tracker was accepted.
        """
        self.counters.reports += 1
        before = live.folded
        late, late_alarms = self._is_late(before, report, now)
        folded = self._fold(live, report, late=late, late_alarms=late_alarms, silent=waited)
        record = Record(
            report, live.transport, folded.verdict, late, waited, folded.rings, late_alarms
        )
        entry = Entry(live.vehicle.key, report.received_at, rows.encode(record))
        done = partial(self._committed, live, record, live.folded, then)
        if not self.journal.append(entry, list(frames), done):
            live.folded = before
            self.counters.lost += 1
            return False
        return True

    def _is_late(self, state: VehicleState, report: Report, now: datetime) -> tuple[bool, bool]:
        """Return whether a report, and whether its alarms, are old news on arrival (rule L).

        A receiver without a lock may carry a stale clock, so its time proves nothing. An alarm is
        old only by a clock that has been seen right, which the last good live fix shows.
        """
        replayed = "replayed" in report.extra
        age = now - (report.device_time or report.received_at)
        old = age > self.live_age and (report.fix is None or report.fix.valid)
        return replayed or old, replayed or (old and state.fix is not None)

    def _fold(
        self, live: Live, report: Report, *, late: bool, late_alarms: bool, silent: bool
    ) -> Folded:
        folded = fold(live.folded, report, late=late, late_alarms=late_alarms, silent=silent)
        live.folded = folded.state
        return folded

    def _committed(
        self,
        live: Live,
        record: Record,
        state: VehicleState,
        then: Callable[[], None] | None,
        seq: int,
    ) -> None:
        if state.fix is not live.state.fix:
            live.position_seq = seq
        shows_more = len(state.reported) != len(live.state.reported) or (
            state.rung != live.state.rung
        )
        live.state, live.seq = state, seq
        live.unsaved += 1
        if shows_more:
            self.devices_changed()
        if live.unsaved >= CHECKPOINT_EVERY and not live.deaf:
            self._checkpoint(live)
        if then is not None:
            then()
        if not live.deaf:
            for watcher in self.watchers:
                watcher.committed(seq, live.vehicle.key, record)
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
