"""The journal: what was reported is on disk before anybody is told of it.

    event loop --append--> open group --writer thread: one transaction--> journal.db
        ^                                                                    |
        +--- one call a group: last_seq moves, then done(seq), done(seq), ---+

Operations we want: durable before answered (an fsync in each commit), thousands of reports a
second, and an event loop that never waits for a disk. Group commit gives all three: while the
writer waits for the disk, whatever arrives joins the next group, so the busier the bridge, the
larger the groups and the fewer the fsyncs a report. A report costs the loop one list append: no
task, no future.

The journal is history and outbox in one: an entry is a row with a `seq`, every output is a cursor.
It knows nothing of reports; bodies are bytes. What need not be kept any longer is let go in small
steps between the groups.

Threads: what queues, `cursor` and the attributes belong to the event loop; what reads waits for
the disk and may be called from any thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bridge import schema
from bridge.database import Batch, DamagedFileError, Database, Entry, Held, Row, Told
from bridge.errors import StorageError
from bridge.frames import FrameRecord
from bridge.retention import Keep, Retained
from bridge.schema import MomentOf

__all__ = ["Entry", "FrameRecord", "Held", "Journal", "Keep", "Retained", "Row", "Told"]

FILE_NAME = "journal.db"

CAPACITY = 1000
"""Entries that may wait for the disk: some seconds of the busiest day, and bounded memory."""

RESERVED_FOR_ALARMS = 200
"""Places beyond them that only precious entries get: alarms are the last to go (rule D)."""

RETRY_S = 1.0
"""Between attempts while the disk refuses: soon enough to notice that it is free again."""

_LINGER_S = 0.02
"""Nobody waits for a group without entries: it waits for one, lest each cursor cost an fsync."""

_BREATH_S = 0.01
"""Between two steps of retention: others want the disk, too."""


@dataclass(slots=True)
class _Retention:
    """What is to be let go, and who waits to hear of it."""

    steps: Iterator[Retained]
    done: Callable[[Retained], None]
    retained: Retained = field(default_factory=Retained)


@dataclass(slots=True)
class _Group(Batch):
    """A transaction to be, and who waits for it."""

    dones: list[Callable[[int], None]] = field(default_factory=list)
    retentions: list[_Retention] = field(default_factory=list)


class Journal:
    """The log, its cursors and checkpoints in ``<data folder>/journal.db``.

    `failed` says in plain words why nothing can be written now, None while all is well; `on_fault`
    is called on the loop with each new value. Meanwhile the queue waits and is tried again.
    """

    def __init__(
        self, database: Database, *, capacity: int = CAPACITY, retry_s: float = RETRY_S
    ) -> None:
        self.epoch = database.epoch
        self.last_seq = database.last_seq
        """Of the newest committed entry; 0 before the first."""
        self.first_seq = database.first_seq
        """Of the oldest entry still there; while there is none, what the next one will get."""
        self.failed: str | None = None
        self.on_fault: Callable[[str | None], None] | None = None
        self.rescued: Path | None = None
        """Where a damaged file lies now that was found in this one's place."""

        self._capacity = capacity
        self._retry_s = retry_s
        self._cursors = database.cursors()
        self._overtaken = database.overtaken()
        self._in_flight = 0
        self._loop: asyncio.AbstractEventLoop | None = None

        self._wakeup = threading.Condition()
        self._queue: deque[_Group] = deque()
        self._open: _Group | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

        self._database = database
        self._retentions: deque[_Retention] = deque()
        self._fault: str | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        capacity: int = CAPACITY,
        retry_s: float = RETRY_S,
        moment_of: MomentOf | None = None,
        rescue: bool = False,
    ) -> Journal:
        """Open or create the journal of a data folder.

        `moment_of` dates the rows of an older schema when it is migrated; see `Database.open`.
        `rescue`: a damaged file is moved aside, which `rescued` tells, and a new one begun.
        Raises StorageError: newer schema than this program's, damaged, locked, not writable.
        """
        path = folder / FILE_NAME
        rescued = None
        try:
            database = Database.open(path, moment_of)
        except DamagedFileError:
            if not rescue:
                raise
            rescued = schema.set_aside(path, datetime.now(UTC))
            database = Database.open(path)
        journal = cls(database, capacity=capacity, retry_s=retry_s)
        journal.rescued = rescued
        return journal

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer thread; every callback is called on `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether `append` takes another entry now, be it precious or not."""
        return self._in_flight < self._capacity

    def append(
        self, entry: Entry, frames: Sequence[FrameRecord], done: Callable[[int], None]
    ) -> bool:
        """Queue an entry and the frames that belong to it; ``done(seq)`` follows its commit.

        Never waits. False: the queue is full, nothing was taken; a precious entry finds a place
        somewhat longer. `done` is called on the loop, in the order of appending.
        """
        capacity = self._capacity + RESERVED_FOR_ALARMS if entry.precious else self._capacity
        if self._in_flight >= capacity:
            return False
        self._in_flight += 1
        with self._wakeup:
            group = self._group()
            group.entries.append(entry)
            group.dones.append(done)
            group.frames.extend(frames)
        return True

    def append_frames(self, frames: Sequence[FrameRecord]) -> bool:
        """Queue frames that made no entry; False: too many wait already, these are let go."""
        with self._wakeup:
            group = self._group()
            if len(group.frames) + len(frames) > 2 * self._capacity:
                return False
            group.frames.extend(frames)
        return True

    def checkpoint(self, vehicle: str, seq: int, body: bytes) -> None:
        """Queue the folded state of a vehicle as of `seq`; only the latest one is kept."""
        with self._wakeup:
            self._group().checkpoints[vehicle] = (seq, body)

    def save_cursor(self, sink: str, seq: int) -> None:
        """Queue how far a sink has got; of many within one group only the last is written."""
        self._cursors[sink] = seq
        with self._wakeup:
            self._group().cursors[sink] = seq

    def overtaken(self, sink: str) -> int:
        """Return how many entries were let go for want of space before a sink had them, ever."""
        return self._overtaken.get(sink, (0, 0))[0]

    def to_announce(self, sink: str) -> int:
        """Return how many of them the sink's listeners have not been told of; told they are now."""
        overtaken, announced = self._overtaken.get(sink, (0, 0))
        if overtaken > announced:
            self._overtaken[sink] = (overtaken, overtaken)
            with self._wakeup:
                self._group().announced[sink] = overtaken
        return overtaken - announced

    def purge(
        self, vehicle: str, trackers: Sequence[str], done: Callable[[], None] | None = None
    ) -> None:
        """Queue the removal of all that was queued before: entries, state and frames.

        It is one transaction, so it happens wholly or not at all; others keep their seqs.
        """
        with self._wakeup:
            group = self._group()
            group.purged = (vehicle, tuple(trackers))
            if done is not None:
                group.dones.append(lambda _: done())
            self._open = None  # what comes after the purge survives it

    def retain(self, vehicle: str, keep: Keep, done: Callable[[Retained], None]) -> None:
        """Let go of what need not be kept of a vehicle, once all that was queued before is written.

        A report waits for one step of it at most. `done` is called on the loop, unless the journal
        is closed before: the next time goes on from there. To let entries go that were folded
        since its last checkpoint, queue a new one first.
        """
        steps = self._database.retain(vehicle, keep)
        with self._wakeup:
            self._group().retentions.append(_Retention(steps, done))

    def cursor(self, sink: str) -> int:
        """Return how far a sink has got, 0 for one never heard of."""
        return self._cursors.get(sink, 0)

    def read(self, after_seq: int, limit: int) -> list[Row]:
        """Return committed entries after `after_seq`, in order."""
        return self._database.entries(after_seq, limit)

    def entries_of(self, vehicle: str, after_seq: int, limit: int) -> list[Row]:
        """Return committed entries of one vehicle after `after_seq`, in order."""
        return self._database.entries_of(vehicle, after_seq, limit)

    def track(
        self,
        vehicle: str,
        since: datetime,
        until: datetime,
        after: tuple[int, int] | None,
        limit: int,
    ) -> list[Told]:
        """Return committed entries in the order of their own time; see `Database.track`."""
        return self._database.track(vehicle, since, until, after, limit)

    def trips(self, vehicle: str, since: datetime, until: datetime, limit: int) -> list[bytes]:
        """Return the bodies of trips under way at any time from `since` to `until`, in order."""
        return self._database.trips(vehicle, since, until, limit)

    def counts(self, vehicle: str) -> Held:
        """Return what is kept of a vehicle; costs nothing, however much that is."""
        return self._database.counts(vehicle)

    def vehicles(self) -> list[str]:
        """Return the keys of all vehicles that have entries, sorted."""
        return self._database.vehicles()

    def checkpoints(self) -> dict[str, tuple[int, bytes]]:
        """Return the last committed checkpoint of every vehicle: (seq, body)."""
        return self._database.checkpoints()

    def frames_of(self, tracker_id: str) -> list[FrameRecord]:
        """Return the frames kept of a tracker, oldest first."""
        return self._database.frames_of(tracker_id)

    def close(self) -> None:
        """Write what is queued and close; idempotent. Waits for the disk.

        Without `start` the caller's thread does the writing, callbacks included. Raises
        StorageError if the disk still refuses: it says how many reports are lost.
        """
        with self._wakeup:
            if self._closing:
                return
            self._closing = True
            self._wakeup.notify()
        if self._thread is None:
            self._drain()
        else:
            self._thread.join()
        self._database.close()
        if lost := sum(len(group.entries) for group in self._queue):
            raise StorageError(f"{self._fault}; {lost} reports could not be kept")

    # The event loop's side.

    def _group(self) -> _Group:
        """Return the group that takes additions and wake the writer; called under the lock."""
        if self._open is None:
            self._open = _Group()
            self._queue.append(self._open)
        self._wakeup.notify()
        return self._open

    def _committed(self, group: _Group, rows: list[Row], first_seq: int) -> None:
        self.first_seq = first_seq
        seq = self.last_seq
        if rows:
            self.last_seq = rows[-1][0]
            self._in_flight -= len(rows)
        self._tell(iter(group.dones), seq)

    def _retained(self, work: _Retention) -> None:
        for sink, missed in work.retained.overtaken.items():
            overtaken, announced = self._overtaken.get(sink, (0, 0))
            self._overtaken[sink] = (overtaken + missed, announced)
        work.done(work.retained)

    def _moved(self, first_seq: int) -> None:
        self.first_seq = first_seq

    def _tell(self, dones: Iterator[Callable[[int], None]], seq: int) -> None:
        try:
            for done in dones:
                seq += 1
                done(seq)
        except BaseException:
            # One caller's mistake must not leave the others without their answer.
            if self._loop is not None:
                self._loop.call_soon(self._tell, dones, seq)
            raise

    def _set_fault(self, fault: str | None) -> None:
        self.failed = fault
        if self.on_fault is not None:
            self.on_fault(fault)

    # The writer's side.

    def _run(self) -> None:
        try:
            self._drain()
        finally:
            if not self._closing:
                self._report_fault("the journal's writer has stopped")

    def _drain(self) -> None:
        """Write group after group until told to close and nothing is left, or nothing can be."""
        while (group := self._next()) is not None:
            while not self._commit(group):
                with self._wakeup:
                    if self._closing:
                        return
                    self._wakeup.wait_for(lambda: self._closing, self._retry_s)
            with self._wakeup:
                self._queue.popleft()
            self._retentions.extend(group.retentions)
            self._retain()  # however busy we are

    def _next(self) -> _Group | None:
        """Wait for the next group and close it to additions; None: nothing is left to do."""
        while not self._wait():
            self._retain()
        with self._wakeup:
            if not self._queue:
                return None
            group = self._queue[0]
            self._wakeup.wait_for(
                lambda: group.entries or group is not self._open or self._closing, _LINGER_S
            )
            if group is self._open:
                self._open = None
            return group

    def _wait(self) -> bool:
        """Wait for something to write, or to close; False: there is time for retention."""
        with self._wakeup:
            breath = _BREATH_S if self._retentions else None
            return self._wakeup.wait_for(lambda: bool(self._queue) or self._closing, breath)

    def _retain(self) -> None:
        """Take one step of the retention that is under way."""
        if not self._retentions or self._closing:
            return
        work = self._retentions[0]
        try:
            work.retained = next(work.steps)
        except (StopIteration, StorageError) as end:
            if isinstance(end, StorageError):
                work.retained.fault = str(end)
            self._retentions.popleft()
            self._post(self._retained, work)
        else:
            self._post(self._moved, self._database.first_seq)

    def _commit(self, group: _Group) -> bool:
        try:
            rows = self._database.write(group)
        except StorageError as error:
            self._report_fault(str(error))
            return False
        self._report_fault(None)
        self._post(self._committed, group, rows, self._database.first_seq)
        return True

    def _report_fault(self, fault: str | None) -> None:
        if fault != self._fault:
            self._fault = fault
            self._post(self._set_fault, fault)

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call `callback` on the loop, or here where the journal was never started."""
        if self._loop is None:
            callback(*arguments)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, *arguments)
