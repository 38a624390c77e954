"""The data folder: one process at a time, and small files that are whole or not there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from bridge.errors import StorageError

LOCK_NAME = "lock"


class LockedFolder:
    """A data folder that is ours until `close`; the system lets go of it too when we die."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Let others have the folder; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lock_folder(path: Path) -> LockedFolder:
    """Create the data folder where it is missing, and keep every other process out of it.

    Raises StorageError: another process holds it (the text says which), or it cannot be used.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"cannot use the data folder {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise StorageError(
            f"the data folder {path} is in use by process {holder or 'unknown'}"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise StorageError(f"cannot lock the data folder {path}: {error.strerror}") from error
    return LockedFolder(path, descriptor)


def predecessor(path: Path) -> Path:
    """Return where `write_whole` keeps what a file was before."""
    return path.with_name(f"{path.name}.1")


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file, readable by us alone, and keep its predecessor. On disk when this returns.

    Raises StorageError. Whatever happens, what was there before is there under one of both names.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(predecessor(path))
        new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
