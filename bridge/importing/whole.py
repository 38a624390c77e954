"""From files to history: what each is, whose its points are, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bridge import clock
from bridge.config import Config
from bridge.database import Database
from bridge.errors import RequestError
from bridge.importing import counting
from bridge.importing.counting import Driven
from bridge.importing.items import Bad, BrokenOffError, Found
from bridge.importing.opening import Source, Written, opened
from bridge.importing.rejected import Aside
from bridge.importing.writing import Archive
from bridge.journal import FILE_NAME
from bridge.model import Report
from bridge.program import called
from bridge.record import moment_of
from bridge.registry import Registry, Vehicle
from bridge.sinks.mqtt import SINK

BATCH = 2000
"""Points of one transaction: what a crash may take, and what is in memory at a time."""

BATCH_BYTES = 1024 * 1024
"""Of a file, where its lines are so long that fewer points of it are one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for. `vehicle`: whose points those are that nobody's tracker says."""

    files: Sequence[Path]
    vehicle: str = ""
    written: Written = field(default_factory=Written)
    rejected: Path | None = None
    """Where all that is rejected is kept; None: beside each file."""
    keep: bool = True
    """Whether it is kept at all."""
    publish: bool = False
    """Whether the bridge shall tell the broker of it when it starts."""


@dataclass(slots=True)
class OfFile:
    """What became of a file."""

    path: Path
    imported: int = 0
    duplicates: int = 0
    rejected: int = 0
    aside: Path | None = None
    broken_off: str = ""
    """From where on, and why, it could not be read."""

    @property
    def empty(self) -> bool:
        """Whether it was read to its end, and nothing in it was a point or a report."""
        return not (self.imported or self.duplicates or self.rejected or self.broken_off)


@dataclass(slots=True)
class OfVehicle:
    """What became of a vehicle's past; `held_bytes`: what is kept of it now."""

    vehicle: Vehicle
    imported: int
    driven: Driven | None
    """Trips at the time of its points; None: all of them were counted before."""
    held_bytes: int


@dataclass(slots=True)
class Outcome:
    """What an import came to."""

    files: list[OfFile] = field(default_factory=list)
    vehicles: list[OfVehicle] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every point is in the journal now."""
        return not any(one.rejected or one.broken_off or one.empty for one in self.files)


class Watcher:
    """Who is told how it goes on; of itself it says nothing."""

    def reading(self, path: Path, done_bytes: int, size: int, points: int) -> None:
        """So far a file is read, and so many points of it are taken."""

    def counting(self, vehicle: Vehicle, done: int, of: int) -> None:
        """So many stretches of a vehicle's past are counted."""

    def rejected(self, path: Path, bad: Bad) -> None:
        """A line is none."""


def import_files(  # noqa: PLR0913 - what is wanted, into what, and who is told
    wanted: Wanted,
    folder: Path,
    config: Config,
    registry: Registry,
    *,
    now: datetime,
    watcher: Watcher,
) -> Outcome:
    """Put what stands in files into the history of a data folder that is ours.

    Every file is looked at before anything is written. Raises RequestError for a file that is none
    of those we read, that names no vehicle where none was named, or while something is yet to be
    told to the broker; StorageError.
    """
    whose = _Whose(registry, wanted.vehicle)
    if not wanted.keep and wanted.rejected:
        raise RequestError("--rejected: nothing is kept aside by a dry run")
    _check_asides(wanted)
    with closing(Database.open(folder / FILE_NAME, moment_of)) as database:
        sinks = () if wanted.publish else _sinks(database)
        archive = Archive(database, config, sinks, now)

        def offset_of(device_id: str) -> int | None:
            vehicle = registry.match(device_id)
            if vehicle is None or vehicle.timezone_minutes is not None:
                return None if vehicle is None else vehicle.timezone_minutes
            known = archive.live(vehicle).folded.clocks.get(device_id)
            return None if known is None else clock.utc_offset_min(known)

        sources = [opened(path, wanted.written, offset_of, now) for path in wanted.files]
        for source in sources:
            whose.check(source)
        outcome = Outcome()
        reading = _Reading(archive, whose, watcher, outcome)
        if wanted.rejected is not None:
            with Aside(wanted.rejected) as aside:
                for source in sources:
                    reading.read(source, aside)
        else:
            for source in sources:
                with Aside(_beside(source.path) if wanted.keep else None) as aside:
                    reading.read(source, aside)
        _count(archive, outcome, watcher)
    return outcome


def _check_asides(wanted: Wanted) -> None:
    """Raise RequestError where what is rejected would overwrite what has yet to be read."""
    named = wanted.rejected
    asides = [_beside(path) for path in wanted.files] if named is None else [named]
    for aside in asides:
        if any(_is_same(aside, path) for path in wanted.files):
            if named is not None:
                raise RequestError(f"--rejected: {aside} is to be imported itself")
            raise RequestError(
                f"rejected lines would be kept in {aside}, and that is to be imported itself:"
                " say --rejected FILE"
            )


def _beside(path: Path) -> Path:
    """Return where the rejected lines of a file are kept, unless it is said."""
    return path.with_name(f"{path.name}.rejected")


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are those of one file; a link is."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return one.resolve() == other.resolve()


def _sinks(database: Database) -> tuple[str, ...]:
    """Return who would tell of what is imported. Raises RequestError while they are behind."""
    cursors = database.cursors()
    if not cursors and not database.last_seq:
        return (SINK,)  # a bridge that never ran has told all
    for sink, seq in cursors.items():
        if database.entries(seq, 1):
            raise RequestError(
                f"not all of the journal is told to {sink} yet, and what is imported now would"
                " be told after the rest. Start the bridge until its"
                " broker has them, or import with --publish, which tells everything"
            )
    return tuple(cursors)


class _Whose:
    """Finds the vehicle of what was found."""

    def __init__(self, registry: Registry, key: str) -> None:
        self._registry = registry
        self._named: Vehicle | None = None
        if key:
            try:
                self._named = registry.vehicle(key)
            except RequestError as error:
                raise RequestError(f"{error}; {self._known()}") from None

    def check(self, source: Source) -> None:
        """Raise RequestError for a file that does not say whose it is."""
        if source.kind != "frames" and self._named is None:
            raise RequestError(
                f"{source.path} does not say whose points these are: say --vehicle KEY;"
                f" {self._known()}"
            )

    def vehicle(self, found: Found) -> Vehicle:
        """Return whose this is. Raises ValueError where it is nobody's."""
        named = self._named
        if not isinstance(found.said, Report):
            assert named is not None  # noqa: S101 - checked before
            return named
        device_id = found.said.device_id
        vehicle = self._registry.match(device_id)
        if vehicle is None and named is not None:
            return named
        if vehicle is None and self._registry.is_blocked(device_id):
            raise ValueError(f"tracker {device_id} is blocked")
        if vehicle is None:
            raise ValueError(
                f"tracker {device_id} is of no vehicle: {called()} accept {device_id}, or --vehicle"
            )
        if named is not None and vehicle.key != named.key:
            raise ValueError(f"tracker {device_id} belongs to {vehicle.key}, not to {named.key}")
        return vehicle

    def _known(self) -> str:
        keys = sorted(vehicle.key for vehicle in self._registry.accepted())
        if keys:
            return f"known are {', '.join(keys)}"
        return f"none is known: {called()} accept ID --name NAME"


class _Reading:
    """Reads one file after the other, in batches."""

    def __init__(self, archive: Archive, whose: _Whose, watcher: Watcher, outcome: Outcome) -> None:
        self._archive = archive
        self._whose = whose
        self._watcher = watcher
        self._outcome = outcome

    def read(self, source: Source, aside: Aside) -> None:
        """Take a file in; what cannot be is kept aside."""
        told = OfFile(source.path, aside=aside.path)
        self._outcome.files.append(told)
        before = self._sums()
        pending: dict[str, tuple[Vehicle, list[Found]]] = {}
        points = waiting = held_bytes = 0

        def reject(bad: Bad) -> None:
            told.rejected += 1
            aside.keep(source.path, bad, source.heading)
            self._watcher.rejected(source.path, bad)

        def write() -> None:
            for bad in self._archive.take(pending):
                reject(bad)
            pending.clear()

        try:
            with source.path.open("rb") as file:
                try:
                    for item in source.read(file):
                        if isinstance(item, Bad):
                            reject(item)
                            continue
                        try:
                            vehicle = self._whose.vehicle(item)
                        except ValueError as error:
                            reject(Bad(item.line, str(error), item.text))
                            continue
                        pending.setdefault(vehicle.key, (vehicle, []))[1].append(item)
                        waiting += 1
                        held_bytes += len(item.text)
                        if waiting >= BATCH or held_bytes >= BATCH_BYTES:
                            write()
                            points, waiting, held_bytes = points + waiting, 0, 0
                            self._watcher.reading(source.path, file.tell(), source.size, points)
                except BrokenOffError as error:
                    told.broken_off = str(error)
        except OSError as error:
            told.broken_off = f"cannot be read any further: {error.strerror}"
        write()
        after = self._sums()
        told.imported, told.duplicates = after[0] - before[0], after[1] - before[1]

    def _sums(self) -> tuple[int, int]:
        imported = self._archive.imported.values()
        return sum(one.new for one in imported), sum(one.duplicates for one in imported)


def _count(archive: Archive, outcome: Outcome, watcher: Watcher) -> None:
    """Count the trips of every vehicle that got points."""
    for live in archive.lives():
        vehicle, imported = live.vehicle, archive.imported[live.vehicle.key]

        def tell(done: int, of: int, vehicle: Vehicle = vehicle) -> None:
            watcher.counting(vehicle, done, of)

        driven = counting.count(archive, live, imported, tell) if imported.touched else None
        held = archive.journal.counts(vehicle.key)
        outcome.vehicles.append(OfVehicle(vehicle, imported.new, driven, held.size))
