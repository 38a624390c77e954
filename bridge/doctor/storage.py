"""The data folder: whether it can be written, what lies in it, what waits, and the disk below."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bridge import journal as journals
from bridge import registry as registries
from bridge import schema
from bridge.acquaintance import Content
from bridge.datafolder import predecessor
from bridge.doctor.finding import Result, bad, ok, warn
from bridge.doctor.patient import Patient

_MB = 1_048_576
_SCARCE_MB = 500
_LITTLE_MB = 50
_FEW_INODES = 1000
_CHECK_S = 20.0
"""A journal of a gigabyte takes about as long on a small computer."""
_LATE = timedelta(minutes=5)

_MOUNTS = Path("/proc/self/mountinfo")
_PASSING = {
    "tmpfs": "in memory: all is gone when this machine restarts",
    "ramfs": "in memory: all is gone when this machine restarts",
    "overlay": "inside of a container: all is gone when the container is made anew",
}
_REMOTE = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "glusterfs")


def folder(patient: Patient) -> Result:
    """Whether the bridge can write there, and nobody else can look."""
    path = patient.folder
    if not path.exists():
        return ok(f"{path}: there is none yet, the bridge makes it at its first start")
    if not path.is_dir():
        return bad(f"{path} is no folder", "move it away, or name another as storage.path")
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"?")
    except OSError as error:
        return bad(
            f"{path} cannot be written: {error.strerror}. No report can be kept",
            "give it to the user the bridge runs as; if it is mounted, mount it writable",
        )
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warn(
            f"{path}: can be written, but others on this machine may look into it",
            f"chmod 700 {path}",
        )
    return ok(f"{path}: can be written, closed to others")


def disk(patient: Patient) -> Result:
    """Whether there is room, and whether what is written there stays."""
    path = patient.folder.absolute()
    while not path.exists():
        path = path.parent
    held = os.statvfs(path)
    free_mb = held.f_bavail * held.f_frsize // _MB
    kind = _file_system(path)
    words = f"{free_mb} MB free" + (f", {kind}" if kind else "")
    few = held.f_files and held.f_favail < _FEW_INODES
    faults: tuple[tuple[object, Result], ...] = (
        (
            held.f_flag & os.ST_RDONLY,
            bad(f"{words}: mounted read-only", "mount it writable; a failing disk looks so too"),
        ),
        (
            free_mb < _LITTLE_MB,
            bad(f"{words}: too little", "make room; else reports must wait in memory before long"),
        ),
        (few, bad(f"{words}, but only {held.f_favail} more files fit", "delete small files")),
        (
            kind in _PASSING,
            warn(f"{words}: {_PASSING.get(kind)}", "let storage.path be on a disk, or a volume"),
        ),
        (
            kind.startswith(_REMOTE),
            warn(
                f"{words}: over the network, where locks and flushing cannot be relied on",
                "let storage.path be on a disk of this machine",
            ),
        ),
        (free_mb < _SCARCE_MB, warn(f"{words}: not much", "make room, or keep less history")),
    )
    return next((result for is_so, result in faults if is_so), ok(words))


def registry(patient: Patient) -> Result:
    """Whether the list of vehicles can be read, and the one before it."""
    path = patient.folder / registries.FILE_NAME
    older = predecessor(path)
    kept = older.exists() and isinstance(_read(older), Content)
    found = _read(path)
    if isinstance(found, Content):
        if found.schema > registries.SCHEMA:
            return bad(
                f"written by a newer version of this program (schema {found.schema}, this one"
                f" knows {registries.SCHEMA})",
                "install that version again",
            )
        count = sum(not vehicle.removed for vehicle in found.vehicles)
        words = f"{count} vehicle{'' if count == 1 else 's'}"
        return ok(f"{words}; {'its predecessor is kept' if kept else 'it has no predecessor'}")
    if found is None and not older.exists():
        if (patient.folder / journals.FILE_NAME).exists():
            return bad(
                "is missing: the bridge would start as a new one that knows no vehicle",
                "restore a backup before it is started",
            )
        return ok("there is none yet")
    if kept:
        return warn(
            f"{found or 'is missing'}; its predecessor is good and is used at the next start",
            "the last change of a vehicle may be lost: look at `vehicles` then",
        )
    return bad(f"{found or 'is missing'}, and its predecessor is of no use", "restore a backup")


def _read(path: Path) -> Content | str | None:
    """Return a registry, in words why it cannot be read, or None where it is not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Content)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "is damaged"


def journal(patient: Patient) -> Result:
    """Whether the journal is whole, how large it is, how far back it goes."""
    path = patient.folder / journals.FILE_NAME
    if not path.exists():
        return ok("there is none yet")
    try:
        with closing(schema.connect(path, mode="ro")) as connection:
            result = _examined(connection, path)
    except sqlite3.Error as error:
        fault = schema.in_plain_words(path, error)
        if not isinstance(fault, schema.DamagedFileError):
            return bad(str(fault), "see data folder and disk here; does another program use it?")
        result = _damaged(str(error))
    aside = sorted(one.name for one in patient.folder.glob(f"{path.name}.damaged-*[0-9]"))
    if aside and result.state == "ok":
        return warn(
            f"{result.words}. Damaged ones were set aside: {', '.join(aside)}",
            "delete them when you do not need them; see whether the disk is failing",
        )
    return result


def _examined(connection: sqlite3.Connection, path: Path) -> Result:
    known = len(schema.MIGRATIONS)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > known:
        return bad(
            f"written by a newer version of this program (schema {version}, this one knows"
            f" {known})",
            "install that version again",
        )
    rows = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    oldest = connection.execute("SELECT received_at FROM entry ORDER BY seq LIMIT 1").fetchone()
    words = f"{rows} rows, {_size(path)}, schema {version}"
    if version < known:
        words += f" (migrated to {known} at the next start)"
    if oldest is not None:
        words += f", since {schema.moment(oldest[0]):%Y-%m-%d}"
    fault = _fault(connection)
    if fault is None:
        return ok(f"{words}, too large to be examined within {_CHECK_S:g} s")
    return _damaged(fault) if fault else ok(f"{words}, whole")


def _fault(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with a file, empty if nothing is; None: that took too long."""
    deadline = time.monotonic() + _CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
    try:
        said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    return "" if said == "ok" else said


def _damaged(fault: str) -> Result:
    return bad(
        f"is damaged: {fault}",
        "stop the bridge and restore a backup, or move journal.db, journal.db-wal and"
        " journal.db-shm away: it begins a new one and knows all vehicles, but not their history",
    )


def _size(path: Path) -> str:
    """Return what a database takes on the disk, its write-ahead log included."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return f"{sum(one.stat().st_size for one in files if one.exists()) / 1e6:.1f} MB"


def waiting(patient: Patient) -> Result:
    """How far each output is behind."""
    path = patient.folder / journals.FILE_NAME
    if not path.exists():
        return ok("none: there is no journal yet")
    try:
        told, behind = _lags(path)
    except sqlite3.Error:
        return ok("not known, as the journal cannot be read")
    words = "; ".join(told) or "nothing was published from this journal yet"
    if behind and patient.runs:
        return warn(
            words, "the broker is away or slow; all of it is published in order, in its time"
        )
    return ok(words)


def _lags(path: Path) -> tuple[list[str], bool]:
    """Return how far each sink is behind, in words, and whether one is for long."""
    told = []
    behind = False
    with closing(schema.connect(path, mode="ro")) as connection:
        for sink, seq in connection.execute("SELECT sink, seq FROM cursor ORDER BY sink"):
            count = connection.execute("SELECT count(*) FROM entry WHERE seq > ?", (seq,))
            lag = count.fetchone()[0]
            words = f"{sink}: {lag}"
            first = connection.execute(
                "SELECT received_at FROM entry WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
            ).fetchone()
            if first is not None:
                since = schema.moment(first[0])
                behind = behind or datetime.now(UTC) - since > _LATE
                words += f", the oldest since {since:%Y-%m-%d %H:%M} UTC"
            told.append(words)
    return told, behind


def _file_system(path: Path) -> str:
    """Return the kind of file system a path is on, empty where the system does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        fields, _, after = line.partition(" - ")
        # The fifth word is the mount point, its blanks in octal; later mounts hide earlier ones.
        point = fields.split()[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind
