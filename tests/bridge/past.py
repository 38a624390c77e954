"""A day of a made-up car in a real journal: what tests of its past read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.config import Config
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.model import Alarm, Report, Status
from bridge.registry import Registry
from bridge.upkeep import Upkeep
from tests.bridge.sayings import HERE, METRE, fix, report
from tests.conftest import eventually

GOLF = "864000000001234"
VAN = "864000000005678"
MORNING = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
EVENING = MORNING + timedelta(hours=12)
STEP_M = 500.0


def at(minutes: float) -> datetime:
    return MORNING + timedelta(minutes=minutes)


def place(metres: float) -> dict[str, float]:
    """So many metres north of where the car stood in the morning."""
    return {**HERE, "latitude": HERE["latitude"] + metres * METRE}


class Diary:
    """Two vehicles, and who writes down what they say."""

    def __init__(self, folder: Path, journal: Journal, registry: Registry) -> None:
        self.folder = folder
        self.now = MORNING
        self.journal = journal
        self.intake = Intake(Config(), registry, journal, lambda: self.now)
        self.intake.restore()
        self.golf = self.intake.vehicles["golf"]
        self.van = self.intake.vehicles["van"]

    async def say(self, *reports: Report, key: str = "golf") -> None:
        """Take reports, each when it was received."""
        live = self.intake.vehicles[key]
        for one in reports:
            self.now = max(self.now, one.received_at)
            live.transport, live.last_seen = "tcp", one.received_at
            assert self.intake.fleet.append(live, one, now=one.received_at)
        await self.written()

    async def written(self) -> None:
        lives = self.intake.vehicles.values()
        await eventually(lambda: all(live.folded is live.state for live in lives))

    async def count_late_points(self) -> None:
        """Do what upkeep does of itself some seconds after an upload."""
        self.now += timedelta(minutes=1)
        await Upkeep(self.intake.fleet, lambda: self.now).look(self.golf)
        await self.written()


@asynccontextmanager
async def diary(folder: Path) -> AsyncIterator[Diary]:
    """Open a diary in a data folder; afterwards it lies there as a bridge leaves it."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - nobody waits for this loop
    registry = Registry.open(folder, "tk103b")
    for device_id, key in ((GOLF, "golf"), (VAN, "van")):
        if registry.match(device_id) is None:
            registry.accept(device_id, key=key, name=f"My {key.title()}")
    journal = Journal.open(folder)
    journal.start(asyncio.get_running_loop())
    opened = Diary(folder, journal, registry)
    yield opened
    opened.intake.fleet.checkpoint_all()
    await asyncio.to_thread(journal.close)


def drive(
    start: float, north_m: float = 0.0, *, steps: int = 8, received: float | None = None
) -> list[Report]:
    """Key in, a report each half minute for `STEP_M`, key out; `received`: all only then."""
    said = []
    for step in range(steps + 1):
        moment = at(start + step / 2)
        driving = step < steps
        where = place(north_m + min(step, steps - 1) * STEP_M)
        said.append(
            report(
                at(received) + timedelta(seconds=step) if received is not None else moment,
                fix=fix(moment, speed_kmh=60.0 if driving else 0.0, satellites=8, **where),
                status=Status(ignition=driving),
            )
        )
    return said


def whole_day() -> Iterable[Report]:
    """Two drives, an SOS, drift, a fix far away, one without satellites, and a late drive."""
    yield from drive(0)
    sos = fix(at(10), speed_kmh=0.0, **place(7 * STEP_M))
    yield report(at(10), fix=sos, alarm=Alarm.SOS, keyword="help me")
    yield report(at(20), fix=fix(at(20), speed_kmh=1.0, **place(7 * STEP_M + 40)))
    yield report(at(21), fix=fix(at(21), valid=False, **place(0)))
    yield report(at(22), status=Status(battery_percent=80))
    yield from drive(60, 8 * STEP_M)
    yield report(at(66), fix=fix(at(66), latitude=-33.0, longitude=151.0))
    yield from drive(180, 24 * STEP_M)
    # Sent only then: what was driven in a valley where the net does not reach.
    yield from drive(120, 16 * STEP_M, received=200)


async def fill(folder: Path) -> None:
    """Write the whole day into a data folder, with the late drive counted."""
    async with diary(folder) as book:
        await book.say(*whole_day())
        await book.say(report(at(1), device_id=VAN, fix=fix(at(1))), key="van")
        book.intake.acknowledge("golf", (), book.now)
        await book.written()
        await book.count_late_points()
