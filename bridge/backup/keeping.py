"""Backups that a running bridge makes of itself: a few of them, in its own data folder."""

from __future__ import annotations

import asyncio
import hashlib
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bridge import journal
from bridge.backup.archive import SPARE_BYTES
from bridge.backup.saving import back_up, default_name
from bridge.config import Storage
from bridge.errors import RequestError
from bridge.reload import Source

FOLDER = "backups"
KEPT = 5
"""Older ones are removed, so that asking often does not fill the disk."""
PAUSE_S = 60.0
"""From one backup to the next: each reads the whole journal, and takes an older one's place."""


class Shelf:
    """The backups in a data folder: ``<data folder>/backups``, without secrets."""

    def __init__(
        self,
        data: Path,
        source: Source,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = data
        self._source = source
        self._clock = clock
        self._monotonic = monotonic
        self._next_at: float | None = None
        self._under_way: asyncio.Task[dict[str, Any]] | None = None

    async def add(self) -> dict[str, Any]:
        """Make a backup; return its path in the data folder, bytes and sha256.

        Whoever asks while one is being made gets that. Raises BridgeError, also within `PAUSE_S`
        of the last one.
        """
        if self._under_way is None or self._under_way.done():
            wait_s = self._next_at - self._monotonic() if self._next_at is not None else 0
            if wait_s > 0:
                raise RequestError(
                    f"a backup was made just now: ask for another in {math.ceil(wait_s)} s"
                )
            self._under_way = asyncio.create_task(self._made(), name="backup")
        return await asyncio.shield(self._under_way)

    async def _made(self) -> dict[str, Any]:
        made = await asyncio.to_thread(self._add, self._clock())
        self._next_at = self._monotonic() + PAUSE_S
        return made

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
            _remove_oldest(folder, target)
            with target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = target.stat().st_size
        except OSError as error:
            raise RequestError(f"cannot keep a backup in {folder}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            # It was good a moment ago, when we read it.
            raise RequestError("the configuration is being written: ask again") from error
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


def _remove_oldest(folder: Path, newest: Path) -> None:
    """Keep `KEPT` backups, `newest` among them.

    What seems to be of later than that is older than everything: the clock was set back since.
    """
    written = newest.stat().st_mtime_ns
    others = [
        (of <= written, of, path)
        for path in folder.glob("tk103b-backup-*.zip")
        if path != newest
        for of in (path.stat().st_mtime_ns,)
    ]
    for _, _, old in sorted(others)[: 1 - KEPT]:
        old.unlink()
