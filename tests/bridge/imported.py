"""Files brought into a real journal, and what stands there afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridge import history, live
from bridge.config import Config
from bridge.history import Span
from bridge.importing import Bad, Outcome, Wanted, Watcher, Written, import_files
from bridge.registry import Registry
from bridge.trips import Trip
from bridge.vehicle import VehicleState

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVER = Span(datetime(2000, 1, 1, tzinfo=UTC), NOW + timedelta(days=365))
GOLF = "864000000001234"
BEGIN = datetime(2024, 3, 1, 7, 0, tzinfo=UTC)

Told = tuple[datetime, float | None, float | None, float | None, str | None, str | None]


def folder(path: Path, *keys: str) -> Path:
    """A data folder with vehicles that have said nothing yet."""
    path.mkdir()
    registry = Registry.open(path, "tk103b")
    for number, key in enumerate(keys or ("golf",)):
        registry.accept(f"{int(GOLF) + number}", key=key, name=f"My {key.title()}")
    return path


class Heard(Watcher):
    """Remembers what an import tells."""

    def __init__(self) -> None:
        self.bad: list[Bad] = []

    def rejected(self, path: Path, bad: Bad) -> None:
        del path
        self.bad.append(bad)


def bring(
    into: Path,
    *files: Path,
    vehicle: str = "golf",
    now: datetime = NOW,
    watcher: Watcher | None = None,
    config: Config | None = None,
    **written: Any,
) -> Outcome:
    """Import files into a data folder."""
    wanted = {name: written.pop(name) for name in ("publish", "rejected") if name in written}
    registry = Registry.open(into, "tk103b")
    return import_files(
        Wanted(files=files, vehicle=vehicle, written=Written(**written), **wanted),
        into,
        config or Config(),
        registry,
        now=now,
        watcher=watcher or Watcher(),
    )


def track(at: Path, key: str = "golf", *, everything: bool = True) -> list[Told]:
    """What is known of where a vehicle was, without the numbers of its rows."""
    with history.opened(at) as journal:
        return [
            (one.time, one.latitude, one.longitude, one.speed_kmh, one.verdict, one.alarm)
            for one in history.every_point(journal, key, EVER, everything=everything)
        ]


def trips(at: Path, key: str = "golf") -> list[Trip]:
    with history.opened(at) as journal:
        return history.every_trip(journal, key, EVER).trips


def state(at: Path, key: str = "golf") -> VehicleState:
    """A vehicle as a bridge that starts now finds it."""
    vehicle = Registry.open(at, "tk103b").vehicle(key)
    with history.opened(at) as journal:
        saved = journal.checkpoints().get(key, (0, b""))
        return live.restored(vehicle, Config().rules(key), journal, saved).state


def last_seq(at: Path) -> int:
    with history.opened(at) as journal:
        return journal.last_seq


def drive(start: datetime = BEGIN, points: int = 40, *, north: float = 0.0) -> list[str]:
    """Lines of a CSV file: some minutes northwards, then a halt."""
    lines = []
    for step in range(points):
        at = start + timedelta(seconds=10 * step)
        moving = step < points - 5
        latitude = 52.5 + north + min(step, points - 5) * 0.001
        lines.append(f"{at.isoformat()},{latitude:.5f},13.40000,{40 if moving else 0}")
    return lines


HEADING = "time,latitude,longitude,speed_kmh"


def written(path: Path, lines: Iterable[str], heading: str = HEADING) -> Path:
    path.write_text("\n".join([heading, *lines, ""]), encoding="utf-8")
    return path
