"""Backups that a running bridge makes of itself: a few of them, in its own data folder."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge import journal
from bridge.backup.archive import SPARE_BYTES
from bridge.backup.saving import back_up, default_name
from bridge.config import Storage
from bridge.errors import RequestError
from bridge.reload import Source

FOLDER = "backups"
KEPT = 5
"""Older ones are removed, so that asking often does not fill the disk."""


class Shelf:
    """The backups in a data folder: ``<data folder>/backups``, without secrets."""

    def __init__(self, data: Path, source: Source, clock: Callable[[], datetime]) -> None:
        self._data = data
        self._source = source
        self._clock = clock
        self._under_way: asyncio.Task[dict[str, Any]] | None = None

    async def add(self) -> dict[str, Any]:
        """Make a backup; return its path in the data folder, bytes and sha256.

        Whoever asks while one is being made gets that. Raises BridgeError.
        """
        if self._under_way is None or self._under_way.done():
            work = asyncio.to_thread(self._add, self._clock())
            self._under_way = asyncio.create_task(work, name="backup")
        return await asyncio.shield(self._under_way)

    def _add(self, now: datetime) -> dict[str, Any]:
        # As it is written now: what was added since the start may be a secret too.
        settings = replace(self._source.read(), storage=Storage(path=self._data))
        folder = self._data / FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for unfinished in folder.glob(".tk103b-backup-*"):
                shutil.rmtree(unfinished)
            self._check_room()
            target = folder / default_name(now)
            back_up(
                settings,
                self._source.found,
                self._source.environ,
                target,
                with_secrets=False,
                now=now,
            )
            for old in sorted(folder.glob("tk103b-backup-*.zip"))[:-KEPT]:
                old.unlink()
            with target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = target.stat().st_size
        except OSError as error:
            raise RequestError(f"cannot keep a backup in {folder}: {error.strerror}") from error
        return {"path": f"{FOLDER}/{target.name}", "bytes": size, "sha256": digest}

    def _check_room(self) -> None:
        """Raise RequestError where the disk might be full before the backup is whole.

        For a moment there are a copy of the journal and, at worst, as much again in the archive;
        and what trackers report meanwhile needs its room.
        """
        files = (self._data / f"{journal.FILE_NAME}{end}" for end in ("", "-wal"))
        needed = 2 * sum(file.stat().st_size for file in files if file.exists()) + SPARE_BYTES
        free = shutil.disk_usage(self._data).free
        if needed > free:
            raise RequestError(
                f"a backup may need {needed >> 20} MB for a while, and {free >> 20} MB are free"
            )
