"""Making a backup, while a bridge runs or not: nothing in the data folder is changed or locked."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from bridge import __version__, journal, registry, schema
from bridge.acquaintance import Content
from bridge.backup.archive import (
    CONFIGURATION,
    JOURNAL,
    REGISTRY,
    SECRETS,
    Manifest,
    pack,
)
from bridge.backup.configuration import ConfigurationFile, left_out
from bridge.config import Config
from bridge.datafolder import predecessor
from bridge.errors import RequestError, StorageError


def default_name(now: datetime) -> str:
    """Return what a backup made now is called."""
    return f"tk103b-backup-{now:%Y%m%d-%H%M%S}.zip"


def back_up(  # noqa: PLR0913 - what is saved, from where, to where
    settings: Config,
    config_file: Path | None,
    environ: Mapping[str, str],
    target: Path,
    *,
    with_secrets: bool,
    now: datetime,
) -> Manifest:
    """Write a backup to `target`, which must not exist yet: it is there whole or not at all.

    `settings` is what `config_file` and `environ` gave. Raises RequestError where the target
    cannot be, StorageError where the data folder cannot be read.
    """
    try:
        if target.exists():
            raise RequestError(f"{target} is there already: name another file, or move it away")
        with tempfile.TemporaryDirectory(prefix=".tk103b-backup-", dir=target.parent) as folder:
            part = Path(folder) / "part.zip"
            manifest = _collect(
                settings,
                ConfigurationFile(config_file, settings, environ) if config_file else None,
                environ,
                part,
                with_secrets=with_secrets,
                now=now,
            )
            part.replace(target)
    except OSError as error:
        raise RequestError(f"cannot write {target}: {error.strerror}") from error
    _sync(target.parent)
    return manifest


def _collect(  # noqa: PLR0913 - as above
    settings: Config,
    configuration: ConfigurationFile | None,
    environ: Mapping[str, str],
    part: Path,
    *,
    with_secrets: bool,
    now: datetime,
) -> Manifest:
    data, stage = settings.storage.path, part.parent
    # The journal first: what is accepted meanwhile is then known and has no rows yet, and never
    # the other way round.
    files = {JOURNAL: stage / JOURNAL, REGISTRY: stage / REGISTRY}
    if not (data / journal.FILE_NAME).exists():
        raise StorageError(f"{data}: there is no journal yet: start the bridge once")
    schema.copy(data / journal.FILE_NAME, files[JOURNAL])
    version, epoch, last_seq = _journal_facts(files[JOURNAL])
    content, found = _registry(data / registry.FILE_NAME)
    files[REGISTRY].write_bytes(found)
    if configuration:
        text = configuration.text if with_secrets else configuration.without_secrets()
        named = configuration.named_secrets() if with_secrets else ""
        for name, member in ((CONFIGURATION, text), (SECRETS, named)):
            if member:
                files[name] = stage / name
                files[name].write_text(member, encoding="utf-8", newline="")
    manifest = Manifest(
        version=__version__,
        created_at=now,
        registry_schema=content.schema,
        journal_schema=version,
        epoch=epoch,
        last_seq=last_seq,
        vehicles=sum(not vehicle.removed for vehicle in content.vehicles),
        with_secrets=with_secrets,
        storage_path=configuration.storage_path if configuration else "",
        left_out=tuple(left_out(settings, environ, configuration)),
    )
    return pack(part, manifest, files)


def _journal_facts(path: Path) -> tuple[int, str, int]:
    """Return schema, epoch and the newest seq of a journal file."""
    try:
        with closing(schema.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            meta = dict(connection.execute("SELECT name, value FROM meta"))
            return version, meta["epoch"], meta["last_seq"]
    except sqlite3.Error as error:
        raise schema.in_plain_words(path, error) from error


def _registry(path: Path) -> tuple[Content, bytes]:
    """Return the registry as value and as bytes.

    While a running bridge writes it, for a moment only its predecessor is there.
    """
    fault = "is not there"
    for one in (path, path, predecessor(path)):
        try:
            data = one.read_bytes()
            return msgspec.json.decode(data, type=Content), data
        except FileNotFoundError:
            continue
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            fault = f"cannot be read ({error})"
            break
    raise StorageError(
        f"{path} {fault}: a backup without it would know no vehicle. "
        "Start the bridge once, which mends what can be mended"
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
