"""Putting a backup into a data folder: checked wholly before anything there is touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge import journal, registry, schema
from bridge.acquaintance import Content
from bridge.backup.archive import (
    CONFIGURATION,
    JOURNAL,
    REGISTRY,
    SECRETS,
    Archive,
    Manifest,
)
from bridge.config import Config, Storage
from bridge.datafolder import lock_folder, write_whole
from bridge.errors import RequestError, StorageError
from bridge.registry import Registry

_STAGE = "restore.part"
_NAMES = {JOURNAL: journal.FILE_NAME, REGISTRY: registry.FILE_NAME}


class Restored(NamedTuple):
    """What was done."""

    manifest: Manifest
    folder: Path
    aside: Path | None
    """Where that lies which was in the folder before; None: nothing was."""
    written: tuple[Path, ...]
    """The configuration files."""


def restore(
    source: Path, settings: Config, config_file: Path | None, *, force: bool, now: datetime
) -> Restored:
    """Put a backup into the data folder, with a new epoch, and its configuration beside ours.

    Without a configuration here, the data folder is where that of the backup wants it. Raises
    RequestError for what is no good backup, or where vehicles are known and `force` is not given,
    StorageError where the folder cannot be used, or a bridge runs on it.
    """
    with Archive(source) as archive:
        manifest = archive.manifest
        path = settings.storage.path
        if config_file is None and settings.storage == Storage() and manifest.storage_path:
            path = Path(manifest.storage_path).expanduser()
        with lock_folder(path) as locked:
            held = _held(locked.path)
            if held and not force:
                raise RequestError(
                    f"the data folder {path} {held}. With --force it is moved aside, not deleted"
                )
            try:
                written, aside = _restore(archive, locked.path, config_file, settings, now)
            except OSError as error:
                raise StorageError(f"cannot restore into {path}: {error.strerror}") from error
    return Restored(manifest, path, aside, written)


def _restore(
    archive: Archive, folder: Path, config_file: Path | None, settings: Config, now: datetime
) -> tuple[tuple[Path, ...], Path | None]:
    stage = folder / _STAGE
    shutil.rmtree(stage, ignore_errors=True)  # of one that was interrupted
    stage.mkdir(mode=0o700)
    try:
        archive.unpack(stage)
        _check(stage, settings)
        schema.renew_epoch(stage / JOURNAL)
        written = _write_configuration(stage, config_file)
        aside = _move_aside(folder, now)
        # The journal before the registry: a folder without one is known to be unfinished.
        for name in (JOURNAL, REGISTRY):
            (stage / name).replace(folder / _NAMES[name])
        _sync(folder)
        return tuple(written), aside
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _check(stage: Path, settings: Config) -> None:
    """Raise StorageError where the bridge could not start on what was unpacked."""
    Registry.open(stage, settings.mqtt.base_topic)
    path = stage / JOURNAL
    try:
        with closing(schema.connect(path)) as connection:
            (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"the journal of the backup is damaged: {error}") from error
    if fault != "ok":
        raise StorageError(f"the journal of the backup is damaged: {fault}")


def _held(folder: Path) -> str:
    """Return in words what a folder holds that is not to be replaced unasked; empty: nothing."""
    path = folder / registry.FILE_NAME
    try:
        count = len(msgspec.json.decode(path.read_bytes(), type=Content).vehicles)
    except FileNotFoundError:
        return "holds a journal" if (folder / journal.FILE_NAME).exists() else ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return "holds a registry that cannot be read"
    return f"already knows {count} vehicle{'' if count == 1 else 's'}" if count else ""


def _move_aside(folder: Path, now: datetime) -> Path | None:
    """Move what a bridge has written into a folder within: of the same disk, be it a mount."""
    stems = tuple(_NAMES.values())
    old = [one for one in folder.iterdir() if one.name.startswith(stems)]
    if not old:
        return None
    aside = folder / f"before-restore-{now:%Y%m%d-%H%M%S}"
    aside.mkdir(mode=0o700)
    for one in old:
        one.replace(aside / one.name)
    return aside


def _write_configuration(stage: Path, config_file: Path | None) -> list[Path]:
    """Write the configuration of the backup, beside ours where there is one; return its files."""
    beside = config_file.parent if config_file else Path()
    written = []
    for name in (CONFIGURATION, SECRETS):
        if not (stage / name).exists():
            continue
        target = beside / name
        if target.exists() or (name == CONFIGURATION and config_file):
            target = target.with_suffix(f".restored{target.suffix}")
        write_whole(target, (stage / name).read_bytes())
        written.append(target)
    return written


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
