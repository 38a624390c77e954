"""What is let go of a vehicle's entries: by days, by size, thinned; and its space given back.

Everything happens in steps of one small transaction each, between which reports are written. Trips
stay, and so do entries that a sink has not acknowledged, except for size: a sink that is gone for
good must not fill the disk. An entry behind the vehicle's checkpoint stays in any case: it has not
been folded into a state that outlives it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from bridge.schema import ROW_BYTES, milliseconds

STEP_ROWS = 500
"""Looked at in one step, and at most so many deleted: some milliseconds."""

STEP_PAGES = 64
"""Given back in one step."""

_LONG_AGO = -(2**62)

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is to be kept of a vehicle; None: no limit."""

    before: datetime | None = None
    """Entries received earlier go, once every sink has acknowledged them."""
    max_bytes: int | None = None
    """The oldest go until the rest fits, acknowledged or not."""
    thin_before: datetime | None = None
    thin_s: int = 0
    """Of the plain entries that count for an earlier moment, one in so many seconds stays."""


@dataclass(slots=True)
class Retained:
    """What was let go so far."""

    deleted: int = 0
    """Entries, the thinned ones included."""
    thinned: int = 0
    freed_bytes: int = 0
    overtaken: dict[str, int] = field(default_factory=dict)
    """By sink: deleted entries that it had not acknowledged, and never will."""
    fault: str | None = None
    """Why it was broken off."""


Doomed = Sequence[tuple[int, int]]
"""Entries to delete: seq and length of the body."""


@dataclass(slots=True)
class Retention:
    """What is being let go of one vehicle.

    `thinned` is kept from one retention to the next: how far each vehicle is thinned (distance,
    time of an entry that stays, both in ms), lest all of its past is read every time.
    """

    transaction: Transaction
    vehicle: str
    keep: Keep
    thinned: dict[str, tuple[int, int]] = field(default_factory=dict)
    retained: Retained = field(default_factory=Retained)

    def steps(self) -> Iterator[Retained]:
        """Let go of what need not be kept, one transaction a step."""
        keep = self.keep
        if keep.before is not None:
            yield from self._by_days(milliseconds(keep.before))
        if keep.max_bytes is not None:
            yield from self._by_size(keep.max_bytes)
        if keep.thin_before is not None and keep.thin_s:
            yield from self._thin(milliseconds(keep.thin_before), keep.thin_s * 1000)
        yield from self._give_back()

    def _by_days(self, before: int) -> Iterator[Retained]:
        after = 0
        while True:
            with self.transaction() as connection:
                page = connection.execute(
                    "SELECT seq, length(body), received_at FROM entry"
                    " WHERE vehicle = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                    (self.vehicle, after, _settled(connection, self.vehicle), STEP_ROWS),
                ).fetchall()
                doomed = [(seq, size) for seq, size, received_at in page if received_at < before]
                _delete(connection, doomed)
            if not doomed:
                return  # times rise with seq, but for clocks that were set
            yield self._counted(doomed)
            after = page[-1][0]

    def _by_size(self, max_bytes: int) -> Iterator[Retained]:
        with self.transaction() as connection:
            held = connection.execute("SELECT bytes FROM held WHERE vehicle = ?", (self.vehicle,))
            # What is too much now: what comes meanwhile is the next run's, or this one had no end.
            excess = sum(size for (size,) in held) - max_bytes
        while excess > 0:
            doomed: list[tuple[int, int]] = []
            with self.transaction() as connection:
                oldest = connection.execute(
                    "SELECT seq, length(body) FROM entry WHERE vehicle = ? AND seq <= ?"
                    " ORDER BY seq LIMIT ?",
                    (self.vehicle, _folded(connection, self.vehicle), STEP_ROWS),
                ).fetchall()
                for seq, size in oldest:
                    if excess <= 0:
                        break
                    doomed.append((seq, size))
                    excess -= size + ROW_BYTES
                _delete(connection, doomed)
                missed = _overtaken(connection, doomed)
            if not doomed:
                return
            overtaken = self.retained.overtaken
            for sink, count in missed.items():
                overtaken[sink] = overtaken.get(sink, 0) + count
            yield self._counted(doomed)

    def _thin(self, before: int, apart: int) -> Iterator[Retained]:
        known, since = self.thinned.get(self.vehicle, (apart, _LONG_AGO))
        last = (since if known == apart else _LONG_AGO, 0)
        kept, resume, final = _LONG_AGO, None, True
        while True:
            with self.transaction() as connection:
                page = connection.execute(
                    "SELECT seq, length(body), at, plain FROM entry WHERE vehicle = ?"
                    " AND at >= ? AND at < ? AND (at, seq) > (?, ?) ORDER BY at, seq LIMIT ?",
                    (self.vehicle, last[0], before, *last, STEP_ROWS),
                ).fetchall()
                settled = _settled(connection, self.vehicle)
                doomed = []
                for seq, size, at, plain in page:
                    if not plain:
                        continue
                    final = final and seq <= settled  # from the first that may yet go, we go on
                    if at - kept < apart and seq <= settled:
                        doomed.append((seq, size))
                        continue
                    kept = at
                    resume = kept if final else resume
                _delete(connection, doomed)
            if resume is not None:
                self.thinned[self.vehicle] = (apart, resume)
            if not page:
                return
            self.retained.thinned += len(doomed)
            yield self._counted(doomed)
            seq, _, at, _ = page[-1]
            last = (at, seq)

    def _give_back(self) -> Iterator[Retained]:
        """Shorten the file by its free pages, which are moved to its end for that."""
        while True:
            with self.transaction() as connection:
                free = connection.execute("PRAGMA freelist_count").fetchone()[0]
                for _ in range(min(free, STEP_PAGES)):
                    # One result, as Python asks for here, is one page, whatever number it says.
                    connection.execute("PRAGMA incremental_vacuum(1)").fetchall()
                left = connection.execute("PRAGMA freelist_count").fetchone()[0]
            if left == free:
                return
            yield self.retained

    def _counted(self, doomed: Doomed) -> Retained:
        self.retained.deleted += len(doomed)
        self.retained.freed_bytes += sum(size + ROW_BYTES for _, size in doomed)
        return self.retained


def _settled(connection: sqlite3.Connection, vehicle: str) -> int:
    """Return up to which seq every sink has acknowledged, and the vehicle's state has it."""
    slowest = connection.execute("SELECT min(seq) FROM cursor").fetchone()[0]
    folded = _folded(connection, vehicle)
    return folded if slowest is None else min(folded, slowest)


def _folded(connection: sqlite3.Connection, vehicle: str) -> int:
    """Return what the checkpoint of a vehicle stands for; without one, all there is."""
    found = connection.execute("SELECT seq FROM vehicle_state WHERE vehicle = ?", (vehicle,))
    return int((found.fetchone() or (2**63 - 1,))[0])


def _delete(connection: sqlite3.Connection, doomed: Doomed) -> None:
    connection.executemany("DELETE FROM entry WHERE seq = ?", [(seq,) for seq, _ in doomed])


def _overtaken(connection: sqlite3.Connection, doomed: Doomed) -> dict[str, int]:
    """Note how many of these each sink had not acknowledged, and return it."""
    cursors = connection.execute("SELECT sink, seq FROM cursor").fetchall()
    missed = {sink: sum(seq > cursor for seq, _ in doomed) for sink, cursor in cursors}
    connection.executemany(
        "UPDATE cursor SET overtaken = overtaken + ? WHERE sink = ?",
        [(count, sink) for sink, count in missed.items()],
    )
    return {sink: count for sink, count in missed.items() if count}
