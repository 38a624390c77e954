"""The journal's file: its schema, what one transaction writes, and what a reader gets back.

    entry(seq, vehicle, received_at, body)    the log; every sink reads it after its cursor
    cursor(sink, seq)                         how far each sink has got
    vehicle_state(vehicle, seq, body)         the folded state of a vehicle as of `seq`
    frame(id, tracker, ...)                   raw bytes, a ring for each tracker, without seq
    meta(name, value)                         epoch (this journal's random id), created_at, last_seq

Plain SQLite and no threads: `bridge.journal` sees to it that one thread writes. Reading has a
connection and a lock of its own. Times are stored as milliseconds since 1970, UTC.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import StorageError
from bridge.frames import FrameRecord, Ring

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES
        ('epoch', lower(hex(randomblob(8)))),
        ('created_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        ('last_seq', 0);
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY, vehicle TEXT NOT NULL, received_at INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX entry_vehicle ON entry (vehicle);
    CREATE TABLE cursor (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE vehicle_state (
        vehicle TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL
    );
    CREATE TABLE frame (
        id INTEGER PRIMARY KEY, tracker TEXT NOT NULL, received_at INTEGER NOT NULL,
        direction TEXT NOT NULL, protocol TEXT NOT NULL, transport TEXT NOT NULL,
        note TEXT NOT NULL, data BLOB NOT NULL
    );
    CREATE INDEX frame_tracker ON frame (tracker);
    """,
)
"""``MIGRATIONS[n]`` takes a database from ``user_version`` n to n + 1."""

_BUSY_S = 1.0
"""Wait for a lock someone else holds, a backup tool for instance; then it is a failed attempt."""

_WAL_BYTES = 16_777_216
"""A burst may grow the write-ahead log; this much of the file is kept for the next one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

Row = tuple[int, str, datetime, bytes]
"""An entry as it is read: seq, vehicle, received_at (whole milliseconds, UTC), body."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row to be: the vehicle's key, an aware time, and a body only its author understands."""

    vehicle: str
    received_at: datetime
    body: bytes


@dataclass(slots=True)
class Batch:
    """What one transaction writes; the purge of a vehicle and its trackers comes last."""

    entries: list[Entry] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    checkpoints: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    purged: tuple[str, tuple[str, ...]] | None = None


class Database:
    """An open journal file. Every method raises StorageError where SQLite refuses."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        meta = dict(writer.execute("SELECT name, value FROM meta"))
        self.epoch: str = meta["epoch"]
        first, last = writer.execute("SELECT min(seq), max(seq) FROM entry").fetchone()
        self.last_seq: int = max(meta["last_seq"], last or 0)
        """Of the newest entry ever written; 0 before the first."""
        self.first_seq: int = first or self.last_seq + 1
        """Of the oldest entry still there; while there is none, what the next one will get."""
        self._writer = writer
        self._reader = reader
        self._reader_lock = threading.Lock()
        self._frame_id: int = writer.execute("SELECT max(id) FROM frame").fetchone()[0] or 0
        self._rings: dict[str, Ring[int]] = {}

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open or create a journal file, migrated to this program's schema.

        Refused: a schema newer than this program's, a damaged file, one that cannot be written.
        """
        opened: list[sqlite3.Connection] = []
        try:
            # Where a car has been is nobody else's business; SQLite gives its side files this mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            while len(opened) < 2:
                opened.append(
                    sqlite3.connect(
                        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
                    )
                )
            writer, reader = opened
            _prepare(writer, path)
            reader.execute("PRAGMA query_only = ON")
            return cls(path, writer, reader)
        except (OSError, sqlite3.Error, StorageError) as error:
            for connection in opened:
                connection.close()
            raise _in_plain_words(path, error) from error

    def write(self, batch: Batch) -> list[Row]:
        """Commit a batch, wholly or not at all; return its entries as they will be read."""
        last_seq, last_frame = self.last_seq, self._frame_id
        try:
            rows = self._write(batch)
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._writer.rollback()
            self.last_seq, self._frame_id = last_seq, last_frame
            self._rings.clear()
            raise _in_plain_words(self.path, error) from error
        return rows

    def entries(self, after_seq: int, limit: int) -> list[Row]:
        """Return entries after `after_seq`, in order."""
        return self._entries("seq > ? ORDER BY seq LIMIT ?", after_seq, limit)

    def entries_of(self, vehicle: str, after_seq: int, limit: int) -> list[Row]:
        """Return entries of one vehicle after `after_seq`, in order."""
        return self._entries(
            "vehicle = ? AND seq > ? ORDER BY seq LIMIT ?", vehicle, after_seq, limit
        )

    def cursors(self) -> dict[str, int]:
        """Return how far each sink has got."""
        return dict(self._select("SELECT sink, seq FROM cursor"))

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
                received_at=_EPOCH + ms * _MS,
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
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()

    def _write(self, batch: Batch) -> list[Row]:
        rows: list[Row] = []
        stored: list[tuple[int, str, int, bytes]] = []
        for entry in batch.entries:
            self.last_seq += 1
            ms = (entry.received_at - _EPOCH) // _MS
            stored.append((self.last_seq, entry.vehicle, ms, entry.body))
            rows.append((self.last_seq, entry.vehicle, _EPOCH + ms * _MS, entry.body))
        execute, executemany = self._writer.execute, self._writer.executemany
        first_seq = self.first_seq
        execute("BEGIN IMMEDIATE")
        if stored:
            executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", stored)
            execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (self.last_seq,))
        if batch.frames:
            self._write_frames(batch.frames)
        if batch.checkpoints:
            executemany(
                "INSERT OR REPLACE INTO vehicle_state VALUES (?, ?, ?)",
                [(vehicle, seq, body) for vehicle, (seq, body) in batch.checkpoints.items()],
            )
        if batch.cursors:
            executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", batch.cursors.items())
        if batch.purged is not None:
            vehicle, trackers = batch.purged
            execute("DELETE FROM entry WHERE vehicle = ?", (vehicle,))
            execute("DELETE FROM vehicle_state WHERE vehicle = ?", (vehicle,))
            executemany("DELETE FROM frame WHERE tracker = ?", [(one,) for one in trackers])
            for tracker in trackers:
                self._rings.pop(tracker, None)
            first = execute("SELECT min(seq) FROM entry").fetchone()[0]
            first_seq = first or self.last_seq + 1
        execute("COMMIT")
        self.first_seq = first_seq
        return rows

    def _write_frames(self, frames: list[FrameRecord]) -> None:
        rows = []
        dropped: dict[str, int] = {}
        for frame in frames:
            tracker, self._frame_id = frame.tracker_id, self._frame_id + 1
            rows.append((
                self._frame_id, tracker, (frame.received_at - _EPOCH) // _MS, frame.direction,
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
        return [(seq, vehicle, _EPOCH + ms * _MS, body) for seq, vehicle, ms, body in rows]

    def _select(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        try:
            with self._reader_lock:
                return self._reader.execute(statement, arguments).fetchall()
        except sqlite3.Error as error:
            raise _in_plain_words(self.path, error) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to this program's schema, copied first if it holds an older one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    known = len(MIGRATIONS)
    if version > known:
        raise StorageError(
            f"{path} was written by a newer version of this program (schema {version}, this one"
            f" knows {known}): install that version again, or move the file away to start anew"
        )
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only counts before the first table
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    if 0 < version < known:
        _copy(connection, path.with_name(f"{path.name}.v{version}"))
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script};\nPRAGMA user_version = {number};\nCOMMIT;"
        )
    # That it cannot be written should be known now, not at the first report.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """Copy a database to `target`, which appears whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT, 0o600))
    copy = sqlite3.connect(part)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    part.replace(target)


def _in_plain_words(path: Path, error: OSError | sqlite3.Error | StorageError) -> StorageError:
    if isinstance(error, StorageError):
        return error
    if isinstance(error, OSError):
        return StorageError(f"cannot write {path}: {error.strerror}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageError(f"{path} is damaged: {error}")
    return StorageError(f"cannot use {path}: {error}")
