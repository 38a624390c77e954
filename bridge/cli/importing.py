"""Files into history: what was driven before, or while nothing could be sent.

Exit codes: 0 all of it is in the journal now, 1 some of it was rejected or a file is refused,
2 a mistake in the configuration or the command, 4 the data folder cannot be used.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bridge import config, importing, schema
from bridge.acquaintance import Vehicle
from bridge.backup.archive import SPARE_BYTES
from bridge.cli.folder import check_exists, open_registry
from bridge.config import Config
from bridge.datafolder import lock_folder
from bridge.errors import RequestError, StorageError
from bridge.importing import Bad, OfFile, OfVehicle
from bridge.journal import FILE_NAME as JOURNAL
from bridge.registry import FILE_NAME as REGISTRY

MOST_TOLD = 20
"""Rejected lines of a file that are printed; all of them are kept aside."""

TELL_EVERY_S = 0.2

COPY = ".dry-run-"
"""So begins the name of a copy, in the data folder itself: no other place is as sure to hold it."""

GROWTH = 5
"""Bytes of the journal for one of a file: a line of 40 bytes becomes a row of 180."""


def bring_in(arguments: argparse.Namespace) -> int:
    """Put what stands in files into the history of vehicles."""
    settings = config.load(arguments.config, os.environ)
    check_exists(settings)
    wanted = importing.Wanted(
        files=arguments.files,
        vehicle=arguments.vehicle,
        written=importing.Written(
            kind=arguments.format,
            columns=_columns(arguments.map),
            times=importing.Times(
                zone=importing.zone(arguments.timezone) if arguments.timezone else None,
                pattern=arguments.time_format,
            ),
        ),
        rejected=arguments.rejected,
        keep=not arguments.dry_run,
        publish=arguments.publish,
    )
    progress = _Progress()
    with _copied(settings, wanted.files) if arguments.dry_run else _alone(settings) as folder:
        registry = open_registry(folder, settings)
        try:
            outcome = importing.import_files(
                wanted, folder, settings, registry, now=datetime.now(UTC), watcher=progress
            )
        finally:
            progress.clear()
    for file in outcome.files:
        print("\n".join(_of_file(file)))
    for one in outcome.vehicles:
        print("\n".join(_of_vehicle(one, settings)))
    if arguments.dry_run:
        print("That was a dry run: nothing is changed.")
    elif any(one.imported for one in outcome.vehicles) and not arguments.publish:
        print("The broker is told nothing of it.")
    return 0 if outcome.complete else 1


def _columns(given: list[str]) -> dict[str, str]:
    """Return field -> heading out of ``field=heading,field=heading``. Raises RequestError."""
    columns: dict[str, str] = {}
    for part in (part for text in given for part in text.split(",")):
        field, equals, heading = (word.strip() for word in part.partition("="))
        if not equals or not heading:
            raise RequestError(f"--map: {part!r} is not FIELD=COLUMN, as in time=Zeit")
        columns[field] = heading
    return columns


# --- the folder -----------------------------------------------------------------------------------


@contextmanager
def _alone(settings: Config) -> Iterator[Path]:
    """Have the data folder to ourselves. Raises StorageError while a bridge has it."""
    try:
        locked = lock_folder(settings.storage.path)
    except StorageError as error:
        if isinstance(error.__cause__, BlockingIOError):
            error.add_note(
                "Stop the bridge, import, and start it again: its trackers keep what they cannot"
                " send meanwhile, as far as they have a memory."
            )
            error.add_note("With --dry-run you see what would come of it while the bridge runs.")
        raise
    with locked:
        _remove_copies(locked.path)
        yield locked.path


@contextmanager
def _copied(settings: Config, files: Sequence[Path]) -> Iterator[Path]:
    """Have a copy of the data folder for a while, whoever uses the original. Raises StorageError.

    `files`: what will be imported into it.
    """
    original = settings.storage.path
    _remove_copies(original)
    _check_room(original, files)
    with ExitStack() as stack:
        try:
            copy = tempfile.TemporaryDirectory(prefix=COPY, dir=original)
            folder = Path(stack.enter_context(copy))
            stack.enter_context(lock_folder(folder))  # as long as we live it is no old one
            if (original / JOURNAL).exists():
                schema.copy(original / JOURNAL, folder / JOURNAL)
            for file in (REGISTRY, f"{REGISTRY}.1"):
                if (original / file).exists():
                    shutil.copy(original / file, folder / file)
        except OSError as error:
            raise StorageError(f"cannot copy {original}: {error.strerror}") from error
        yield folder


def _remove_copies(folder: Path) -> None:
    """Remove the copies of dry runs that were killed."""
    for copy in folder.glob(f"{COPY}*"):
        with suppress(StorageError, OSError), lock_folder(copy):
            shutil.rmtree(copy)


def _check_room(folder: Path, files: Sequence[Path]) -> None:
    """Raise StorageError where a dry run might leave a running bridge no room on its disk."""
    journal = (folder / f"{JOURNAL}{end}" for end in ("", "-wal"))
    held = sum(file.stat().st_size for file in journal if file.exists())
    new = sum(file.stat().st_size for file in files if file.is_file())
    needed = held + GROWTH * new + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"a dry run may need {needed >> 20} MB for a while, and {free >> 20} MB are free on the"
            f" disk of {folder}"
        )


# --- what is told ---------------------------------------------------------------------------------


class _Progress(importing.Watcher):
    """A line that is written over and over on a terminal, and the first rejected lines."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = self._told = time.monotonic()
        self._path: Path | None = None
        self._rejected = 0

    def reading(self, path: Path, done_bytes: int, size: int, points: int) -> None:
        """Show how far a file is read."""
        now = time.monotonic()
        if path != self._path:
            self._begin(path, now)
        rate = points / max(now - self._began, 0.001)
        share = min(done_bytes, size) / size if size else 1.0
        self._show(f"{path.name}  {_bar(share)}  {points:,} points, {rate:,.0f}/s", now)

    def counting(self, vehicle: Vehicle, done: int, of: int) -> None:
        """Show how much of a vehicle's past is counted."""
        bar = _bar(done / of if of else 1.0)
        self._show(f"{vehicle.name}: counting trips  {bar}", time.monotonic())

    def rejected(self, path: Path, bad: Bad) -> None:
        """Print a line that is none, unless there were many."""
        if path != self._path:
            self._begin(path, time.monotonic())
        self._rejected += 1
        if self._rejected > MOST_TOLD:
            return
        self.clear()
        print(f"{path}:{bad.line}: {bad.reason}", file=sys.stderr)
        if self._rejected == MOST_TOLD:
            print(f"{path}: further rejected lines are only counted here", file=sys.stderr)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _begin(self, path: Path, now: float) -> None:
        self._path, self._began, self._rejected = path, now, 0

    def _show(self, text: str, now: float) -> None:
        if self._shown and now - self._told >= TELL_EVERY_S:
            self._told = now
            columns = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: columns - 1]}", end="", file=sys.stderr, flush=True)


def _bar(share: float) -> str:
    full = round(20 * share)
    return f"[{'#' * full}{'.' * (20 - full)}] {share:4.0%}"


def _of_file(file: OfFile) -> Iterator[str]:
    duplicates = f"{file.duplicates:,} duplicate{'' if file.duplicates == 1 else 's'}"
    yield f"{file.path}: {file.imported:,} imported, {duplicates}, {file.rejected:,} rejected."
    if file.broken_off:
        yield f"{file.path}:{file.broken_off}; the rest is not imported."
    if file.empty:
        yield f"{file.path}: nothing in it is a report, or a point of a track with its time."
    if file.rejected and file.aside is not None:
        yield f"Rejected lines with their reasons: {file.aside}"


def _of_vehicle(one: OfVehicle, settings: Config) -> Iterator[str]:
    name = f"{one.vehicle.name} ({one.vehicle.key})"
    if one.driven is not None:
        trips, metres = one.driven
        count = f"{trips:,} trip{'' if trips == 1 else 's'}"
        yield f"{name}: {count} at the time of these points, {metres / 1000:,.1f} km."
    megabytes = settings.rules(one.vehicle.key).history.mb
    if megabytes and one.held_bytes > megabytes * 1_000_000:
        yield (
            f"{name} has {one.held_bytes / 1e6:,.0f} MB of history, and history.mb is {megabytes}:"
            " the bridge lets the oldest rows go soon after its start. Raise history.mb before."
        )
