"""The journal's file as a file: created, migrated, copied, found damaged and set aside.

    entry(seq, vehicle, received_at, body, at, plain)    the log; every sink reads it by its cursor
    trip(vehicle, started_at, ended_at, body)            finished trips; they outlive the entries
    cursor(sink, seq, overtaken, announced)              how far each sink has got; what it missed
    vehicle_state(vehicle, seq, body)                    the folded state of a vehicle as of `seq`
    frame(id, tracker, ...)                              raw bytes, a ring a tracker, without seq
    held(vehicle, rows, bytes)                           what its entries add up to, kept by SQLite
    meta(name, value)          epoch (this journal's random id), created_at, last_seq, clean

Times are milliseconds since 1970, UTC. `clean` is 1 from an orderly close to the next write: only
a file without it is examined as a whole when it is opened.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from bridge.errors import StorageError

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
    """
    INSERT INTO meta VALUES ('clean', 0);
    ALTER TABLE entry ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entry ADD COLUMN plain INTEGER NOT NULL DEFAULT 0;
    UPDATE entry SET at = coalesce(moment_of(body), received_at);
    CREATE INDEX entry_at ON entry (vehicle, at);
    CREATE TABLE trip (
        vehicle TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
        body BLOB NOT NULL, PRIMARY KEY (vehicle, started_at)
    ) WITHOUT ROWID;
    ALTER TABLE cursor ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cursor ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE held (
        vehicle TEXT PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO held SELECT vehicle, count(*), sum(length(body) + 60) FROM entry GROUP BY vehicle;
    CREATE TRIGGER entry_comes AFTER INSERT ON entry BEGIN
        INSERT INTO held VALUES (NEW.vehicle, 1, length(NEW.body) + 60)
        ON CONFLICT (vehicle) DO UPDATE SET rows = rows + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER entry_goes AFTER DELETE ON entry BEGIN
        UPDATE held SET rows = rows - 1, bytes = bytes - (length(OLD.body) + 60)
        WHERE vehicle = OLD.vehicle;
    END;
    """,
)
"""``MIGRATIONS[n]`` takes a database from ``user_version`` n to n + 1."""

ROW_BYTES = 60
"""What an entry takes beside its body, its three indexes included; the triggers count the same."""

_BUSY_S = 1.0
"""Wait for a lock someone else holds, a backup tool for instance; then it is a failed attempt."""

_WAL_BYTES = 16_777_216
"""A burst may grow the write-ahead log; this much of the file is kept for the next one."""

_LEAST_FREE_BYTES = 262_144
"""With less, SQLite may not even open a file: it makes two more beside it."""

_COPY_PAGES = 256
"""Of one step of a copy: a megabyte, after which others get their turn."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_TABLES = {"meta", "entry", "cursor", "vehicle_state", "frame"}
"""Of every schema so far."""

MomentOf = Callable[[bytes], datetime | None]
"""Returns the moment an entry counts for out of its body. None or a StorageError: it says none."""


class DamagedFileError(StorageError):
    """The file is there and can be read, but what stands in it is no whole journal."""


def milliseconds(moment: datetime) -> int:
    """Return an aware time as it is stored."""
    return (moment - _EPOCH) // _MS


def moment(ms: int) -> datetime:
    """Return a stored time, UTC."""
    return _EPOCH + ms * _MS


def connect(path: Path, *, mode: Literal["rw", "ro"] = "rw") -> sqlite3.Connection:
    """Connect to a file that exists; any thread may use it, and transactions are the caller's.

    With "ro" it refuses to change anything; the file is opened for writing all the same, as what
    SQLite opens for reading only leaves its side files behind.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    if mode == "ro":
        connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def opening(path: Path) -> Iterator[list[sqlite3.Connection]]:
    """Collect what is opened; where that fails, close it again and raise StorageError."""
    opened: list[sqlite3.Connection] = []
    try:
        yield opened
    except (OSError, sqlite3.Error, StorageError) as error:
        for connection in opened:
            connection.close()
        raise in_plain_words(path, error) from error


def prepare(connection: sqlite3.Connection, path: Path, moment_of: MomentOf | None) -> bool:
    """Bring a file to this program's schema, copied first if it holds an older one.

    Returns whether it was closed in an orderly way. Raises StorageError for a newer schema,
    DamagedFileError where what was not closed so is found damaged.
    """
    known = len(MIGRATIONS)
    version = _version(connection, path)
    clean = _examined(connection, path, version)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only counts before the first table
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    if 0 < version < known:
        _copy(connection, path.with_name(f"{path.name}.v{version}"))
    connection.create_function("moment_of", 1, lambda body: _moment_of(body, moment_of))
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script};\nPRAGMA user_version = {number};\nCOMMIT;"
        )
    # That it cannot be written should be known now, not at the first report.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    return clean


def check_current(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StorageError for a file that cannot be read as it is: its schema is another one."""
    version = _version(connection, path)
    if version == 0:
        raise DamagedFileError(f"{path} is damaged: it holds no journal of this program")
    if version < len(MIGRATIONS):
        raise StorageError(
            f"{path} was written by an older version of this program: start the bridge once, which"
            " brings it up to date"
        )


def copy(source: Path, target: Path) -> None:
    """Copy a journal's file as it is at one moment, while it may be written to.

    `target` appears whole or not at all, readable by its owner only. Raises StorageError.
    """
    try:
        with closing(connect(source, mode="ro")) as connection:
            _copy(connection, target)
    except (OSError, sqlite3.Error) as error:
        raise in_plain_words(source, error) from error


def renew_epoch(path: Path) -> str:
    """Give a journal's file a new random id and return it; seq goes on. Raises StorageError."""
    epoch = secrets.token_hex(8)
    try:
        with closing(connect(path)) as connection:
            change = "UPDATE meta SET value = ? WHERE name = 'epoch'"
            if not connection.execute(change, (epoch,)).rowcount:
                raise DamagedFileError(f"{path} is damaged: it does not say which journal it is")
    except sqlite3.Error as error:
        raise in_plain_words(path, error) from error
    return epoch


def set_aside(path: Path, now: datetime) -> Path:
    """Move a damaged file away with its side files; return where it lies. Raises StorageError."""
    target = path
    while target.exists():
        target = path.with_name(f"{path.name}.damaged-{now:%Y%m%d-%H%M%S}")
        now += timedelta(seconds=1)
    try:
        # The file itself is last: until it is gone, the next start tries again.
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).replace(target.with_name(target.name + suffix))
    except OSError as error:
        raise in_plain_words(path, error) from error
    return target


def in_plain_words(path: Path, error: OSError | sqlite3.Error | StorageError) -> StorageError:
    """Return what SQLite or the system says as something a person can act on."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, OSError):
        return StorageError(f"cannot write {path}: {error.strerror}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedFileError(f"{path} is damaged: {error}")
    # SQLite calls a disk that is full while it opens a file an error of the disk.
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) and _is_full(path.parent):
        return StorageError(f"cannot use {path}: the disk is full")
    return StorageError(f"cannot use {path}: {error}")


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
    except OSError:
        return False


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema of a file; raises StorageError for one newer than this program's."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} was written by a newer version of this program (schema {version}, this one"
            f" knows {len(MIGRATIONS)}): install that version again, or move the file away to"
            " start anew"
        )
    return version


def _examined(connection: sqlite3.Connection, path: Path, version: int) -> bool:
    """Return whether a file was closed in an orderly way; one that was not is read as a whole."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if version == 0 and not tables:
        return False
    if version <= 0 or not tables >= _TABLES:
        raise DamagedFileError(f"{path} is damaged: it holds no journal of this program")
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if not meta.keys() >= {"epoch", "last_seq"}:
        raise DamagedFileError(f"{path} is damaged: it does not say which journal it is")
    clean = meta.get("clean") == 1
    if not clean:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise DamagedFileError(f"{path} is damaged: {said}")
    return clean


def _moment_of(body: bytes, moment_of: MomentOf | None) -> int | None:
    with suppress(StorageError):
        if moment_of is not None and (found := moment_of(body)) is not None:
            return milliseconds(found)
    return None


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT, 0o600))
    # One reading transaction around all steps: SQLite would begin anew after each write between.
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(connect(part)) as copied:
            connection.backup(copied, pages=_COPY_PAGES, sleep=0)
        part.replace(target)
    finally:
        connection.rollback()
        part.unlink(missing_ok=True)
