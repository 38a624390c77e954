"""The journal's file in use: what one transaction writes, and what a reader gets back.

Plain SQLite and no threads: `bridge.journal` sees to it that one thread writes. Reading has a
connection and a lock of its own. `bridge.schema` says what the tables are, and how a file is
opened, migrated and copied; `bridge.retention` what is let go again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bridge import schema
from bridge.errors import StorageError
from bridge.frames import FrameRecord, Ring
from bridge.retention import Keep, Retained, Retention
from bridge.schema import DamagedFileError, MomentOf, copy, milliseconds, moment, renew_epoch

__all__ = [
    "Batch",
    "DamagedFileError",
    "Database",
    "Entry",
    "Held",
    "Row",
    "Told",
    "copy",
    "renew_epoch",
]

Row = tuple[int, str, datetime, bytes]
"""An entry as it is read: seq, vehicle, received_at (whole milliseconds, UTC), body."""

Told = tuple[int, int, datetime, bytes]
"""An entry of a track: seq, at (milliseconds since 1970), received_at, body."""


_INSERT_ENTRY = (
    "INSERT INTO entry (seq, vehicle, received_at, body, at, plain) VALUES (?, ?, ?, ?, ?, ?)"
)
_FIRST_AND_LAST = "SELECT (SELECT min(seq) FROM entry), (SELECT max(seq) FROM entry)"
_VEHICLES = "SELECT vehicle FROM held WHERE rows > 0 ORDER BY vehicle"
_SET_CURSOR = (
    "INSERT INTO cursor (sink, seq) VALUES (?, ?)"
    " ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq"
)
_SET_ANNOUNCED = "UPDATE cursor SET announced = ? WHERE sink = ?"
_SET_CLEAN = "UPDATE meta SET value = ? WHERE name = 'clean'"

SKIPPED = 1_000_000_000
"""Seqs left out after an end that was not orderly: more than a journal ever has rows.

The end of that log may never have reached the disk. Nothing shows it, and what stood there may have
been told; so its seqs are not given again.
"""

_SKIP = (
    "UPDATE meta SET value = max(value, (SELECT coalesce(max(seq), 0) FROM entry)) + ?"
    " WHERE name = 'last_seq' AND value > 0"
)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row to be: the vehicle's key, an aware time, and a body only its author understands."""

    vehicle: str
    received_at: datetime
    body: bytes
    at: datetime | None = None
    """The moment it counts for, by which a track is ordered; None: `received_at`."""
    precious: bool = False
    """An alarm: the last to be refused while the disk is."""
    plain: bool = False
    """One more point and nothing else: what thinning may take."""
    trips: tuple[tuple[datetime, datetime, bytes], ...] = ()
    """Trips that ended with it: started_at, ended_at, body."""
    recounted: tuple[datetime, datetime] | None = None
    """From, until: its trips stand for all of the vehicle that start then, both ends included."""


class Held(NamedTuple):
    """What is kept of a vehicle: `size` in bytes, `at` of its oldest and newest row."""

    rows: int
    size: int
    oldest_at: datetime | None
    newest_at: datetime | None


@dataclass(slots=True)
class Batch:
    """What one transaction writes; the purge of a vehicle and its trackers comes last."""

    entries: list[Entry] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    checkpoints: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    purged: tuple[str, tuple[str, ...]] | None = None


class Database:
    """An open journal file. Every method raises StorageError where SQLite refuses."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        *,
        clean: bool = False,
    ) -> None:
        self.path = path
        meta = dict(writer.execute("SELECT name, value FROM meta"))
        self.epoch: str = meta["epoch"]
        first, last = writer.execute(_FIRST_AND_LAST).fetchone()
        self.last_seq: int = max(meta["last_seq"], last or 0)
        """Of the newest entry ever written; 0 before the first."""
        self.first_seq: int = first or self.last_seq + 1
        """Of the oldest entry still there; while there is none, what the next one will get."""
        self._writer = writer
        self._reader = reader
        self._reader_lock = threading.Lock()
        self._clean = clean
        self._damaged = False
        self._frame_id: int = writer.execute("SELECT max(id) FROM frame").fetchone()[0] or 0
        self._rings: dict[str, Ring[int]] = {}
        self._thinned: dict[str, tuple[int, int]] = {}

    @classmethod
    def open(cls, path: Path, moment_of: MomentOf | None = None) -> Database:
        """Open or create a journal file, migrated to this program's schema.

        `moment_of` dates the rows of a schema that did not; without it they count for when they
        were received. Refused: a schema newer than this program's, a damaged file
        (DamagedFileError), one that cannot be written.
        """
        with schema.opening(path) as opened:
            # Where a car has been is nobody else's business; SQLite gives its side files this mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            opened.append(writer := schema.connect(path))
            opened.append(reader := schema.connect(path, mode="ro"))
            clean = schema.prepare(writer, path, moment_of)
            if not clean:
                writer.execute(_SKIP, (SKIPPED,))
            return cls(path, writer, reader, clean=clean)

    @classmethod
    def look(cls, path: Path) -> Database:
        """Open a journal file that is there, only to read it, whoever writes to it meanwhile.

        Refused: another schema than this program's, a damaged file, one that cannot be read.
        """
        with schema.opening(path) as opened:
            opened.append(reader := schema.connect(path, mode="ro"))
            schema.check_current(reader, path)
            return cls(path, reader, reader)

    def write(self, batch: Batch) -> list[Row]:
        """Commit a batch, wholly or not at all; return its entries as they will be read."""
        last_seq, last_frame = self.last_seq, self._frame_id
        try:
            return self._write(batch)
        except StorageError:
            self.last_seq, self._frame_id = last_seq, last_frame
            self._rings.clear()
            raise

    def retain(self, vehicle: str, keep: Keep) -> Iterator[Retained]:
        """Let go of what need not be kept of a vehicle: one small transaction a step.

        Each step gives the same object, counted up.
        """
        yield from Retention(self._transaction, vehicle, keep, self._thinned).steps()
        with suppress(sqlite3.Error):  # the file is shortened by moving the log into it
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def entries(self, after_seq: int, limit: int) -> list[Row]:
        """Return entries after `after_seq`, in order."""
        return self._entries("seq > ? ORDER BY seq LIMIT ?", after_seq, limit)

    def entries_of(self, vehicle: str, after_seq: int, limit: int) -> list[Row]:
        """Return entries of one vehicle after `after_seq`, in order."""
        return self._entries(
            "vehicle = ? AND seq > ? ORDER BY seq LIMIT ?", vehicle, after_seq, limit
        )

    def track(
        self,
        vehicle: str,
        since: datetime,
        until: datetime,
        after: tuple[int, int] | None,
        limit: int,
    ) -> list[Told]:
        """Return entries that count for a moment from `since` to `until`, both included.

        They come in the order of (at, seq); `after` is that of the last one read.
        """
        start = (milliseconds(since), 0)
        first, seq = max(after or start, start)
        rows = self._select(
            "SELECT seq, at, received_at, body FROM entry WHERE vehicle = ?"
            " AND at BETWEEN ? AND ? AND (at, seq) > (?, ?) ORDER BY at, seq LIMIT ?",
            *(vehicle, first, milliseconds(until), first, seq, limit),
        )
        return [(seq, at, moment(ms), body) for seq, at, ms, body in rows]

    def trips(self, vehicle: str, since: datetime, until: datetime, limit: int) -> list[bytes]:
        """Return the bodies of trips under way at any time from `since` to `until`, in order."""
        rows = self._select(
            "SELECT body FROM trip WHERE vehicle = ? AND started_at <= ? AND ended_at >= ?"
            " ORDER BY started_at LIMIT ?",
            *(vehicle, milliseconds(until), milliseconds(since), limit),
        )
        return [body for (body,) in rows]

    def counts(self, vehicle: str) -> Held:
        """Return what is kept of a vehicle."""
        rows = self._select(
            "SELECT rows, bytes, (SELECT min(at) FROM entry WHERE vehicle = ?1),"
            " (SELECT max(at) FROM entry WHERE vehicle = ?1) FROM held"
            " WHERE vehicle = ?1 AND rows > 0",
            vehicle,
        )
        for number, size, oldest, newest in rows:
            return Held(number, size, moment(oldest), moment(newest))
        return Held(0, 0, None, None)

    def vehicles(self) -> list[str]:
        """Return the keys of all vehicles that have entries, sorted."""
        return [key for (key,) in self._select(_VEHICLES)]

    def cursors(self) -> dict[str, int]:
        """Return how far each sink has got."""
        return dict(self._select("SELECT sink, seq FROM cursor"))

    def overtaken(self) -> dict[str, tuple[int, int]]:
        """Return of each sink how many entries went before it had them, and how many were told."""
        rows = self._select("SELECT sink, overtaken, announced FROM cursor")
        return {sink: (overtaken, announced) for sink, overtaken, announced in rows}

    def checkpoints(self) -> dict[str, tuple[int, bytes]]:
        """Return the last checkpoint of every vehicle: (seq, body)."""
        rows = self._select("SELECT vehicle, seq, body FROM vehicle_state")
        return {vehicle: (seq, body) for vehicle, seq, body in rows}

    def frames_of(self, tracker_id: str) -> list[FrameRecord]:
        """Return the frames kept of a tracker, oldest first."""
        rows = self._select(
            "SELECT received_at, direction, protocol, transport, note, data FROM frame"
            " WHERE tracker = ? ORDER BY id",
            tracker_id,
        )
        return [
            FrameRecord(
                tracker_id=tracker_id,
                received_at=moment(ms),
                direction=direction,
                protocol=protocol,
                transport=transport,
                note=note,
                data=data,
            )
            for ms, direction, protocol, transport, note, data in rows
        ]

    def close(self) -> None:
        """Move the write-ahead log into the file where possible, and close."""
        with self._reader_lock:
            self._reader.close()
        with suppress(sqlite3.Error):  # what is in the write-ahead log is safe there
            if self._damaged or not self._clean:
                self._writer.execute(_SET_CLEAN, (int(not self._damaged),))
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what is done within, and know what the oldest entry is then; or undo it all."""
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            if self._clean:
                writer.execute(_SET_CLEAN, (0,))
            yield writer
            first = writer.execute("SELECT min(seq) FROM entry").fetchone()[0]
            writer.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                writer.rollback()
            raise self._refused(error) from error
        self._clean = False
        self.first_seq = first or self.last_seq + 1

    def _write(self, batch: Batch) -> list[Row]:
        rows: list[Row] = []
        stored: list[tuple[int, str, int, bytes, int, bool]] = []
        travelled: list[Entry] = []
        for entry in batch.entries:
            self.last_seq += 1
            ms = milliseconds(entry.received_at)
            at = ms if entry.at is None else milliseconds(entry.at)
            stored.append((self.last_seq, entry.vehicle, ms, entry.body, at, entry.plain))
            rows.append((self.last_seq, entry.vehicle, moment(ms), entry.body))
            if entry.trips or entry.recounted:
                travelled.append(entry)
        with self._transaction() as connection:
            execute, executemany = connection.execute, connection.executemany
            if stored:
                executemany(_INSERT_ENTRY, stored)
                execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (self.last_seq,))
            for entry in travelled:
                self._write_trips(entry)
            if batch.frames:
                self._write_frames(batch.frames)
            if batch.checkpoints:
                executemany(
                    "INSERT OR REPLACE INTO vehicle_state VALUES (?, ?, ?)",
                    [(vehicle, seq, body) for vehicle, (seq, body) in batch.checkpoints.items()],
                )
            if batch.cursors:
                executemany(_SET_CURSOR, batch.cursors.items())
            if batch.announced:
                executemany(
                    _SET_ANNOUNCED, [(count, sink) for sink, count in batch.announced.items()]
                )
            if batch.purged is not None:
                self._purge(*batch.purged)
        return rows

    def _write_trips(self, entry: Entry) -> None:
        if entry.recounted is not None:
            since, until = map(milliseconds, entry.recounted)
            self._writer.execute(
                "DELETE FROM trip WHERE vehicle = ? AND started_at BETWEEN ? AND ?",
                (entry.vehicle, since, until),
            )
        self._writer.executemany(
            "INSERT OR REPLACE INTO trip VALUES (?, ?, ?, ?)",
            [
                (entry.vehicle, milliseconds(started), milliseconds(ended), body)
                for started, ended, body in entry.trips
            ],
        )

    def _purge(self, vehicle: str, trackers: tuple[str, ...]) -> None:
        for table in ("entry", "trip", "vehicle_state", "held"):
            self._writer.execute(f"DELETE FROM {table} WHERE vehicle = ?", (vehicle,))  # noqa: S608 - ours
        self._writer.executemany(
            "DELETE FROM frame WHERE tracker = ?", [(one,) for one in trackers]
        )
        self._thinned.pop(vehicle, None)
        for tracker in trackers:
            self._rings.pop(tracker, None)

    def _write_frames(self, frames: list[FrameRecord]) -> None:
        rows = []
        dropped: dict[str, int] = {}
        for frame in frames:
            tracker, self._frame_id = frame.tracker_id, self._frame_id + 1
            rows.append((
                self._frame_id, tracker, milliseconds(frame.received_at), frame.direction,
                frame.protocol, frame.transport, frame.note, frame.data,
            ))  # fmt: skip
            ring = self._rings.get(tracker) or self._load_ring(tracker)
            last = ring.push(self._frame_id, len(frame.data))
            if last is not None:
                dropped[tracker] = last
        self._writer.executemany("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._writer.executemany("DELETE FROM frame WHERE tracker = ? AND id <= ?", dropped.items())

    def _load_ring(self, tracker: str) -> Ring[int]:
        rows = self._writer.execute(
            "SELECT id, length(data) FROM frame WHERE tracker = ? ORDER BY id", (tracker,)
        ).fetchall()
        ring: Ring[int] = Ring(rows)
        self._rings[tracker] = ring
        return ring

    def _entries(self, where: str, *arguments: object) -> list[Row]:
        rows = self._select(
            f"SELECT seq, vehicle, received_at, body FROM entry WHERE {where}",  # noqa: S608 - ours
            *arguments,
        )
        return [(seq, vehicle, moment(ms), body) for seq, vehicle, ms, body in rows]

    def _select(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        try:
            with self._reader_lock:
                return self._reader.execute(statement, arguments).fetchall()
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.Error) -> StorageError:
        """Return the reason in words; damage is remembered until the file is closed."""
        refused = schema.in_plain_words(self.path, error)
        if not isinstance(refused, DamagedFileError):
            return refused
        self._damaged = True
        return DamagedFileError(f"{refused}; the bridge sets it aside when it starts again")
