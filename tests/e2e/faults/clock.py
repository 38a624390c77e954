"""Faults of the system's clock, as the bridge sees it: libfaketime before a real process.

The monotonic clock stays what it is; only the time of day is another.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.e2e.faults.stage import Stage


class FalseClock:
    """The bridge's time of day, that can be stepped while it runs."""

    def __init__(self, folder: Path) -> None:
        self.ahead = timedelta()
        self._file = folder / "clock"
        self._library = _library()
        self.step(timedelta())

    def environment(self) -> dict[str, str]:
        """Return what a process must be started with."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else every wait for Python's own lock goes by the false clock, and comes to a crawl.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def step(self, by: timedelta) -> None:
        """Step the clock; the next look at it sees that."""
        self.ahead += by
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.ahead.total_seconds():+.0f}s\n")
        new.replace(self._file)

    def now(self) -> datetime:
        """Return what the bridge's clock shows."""
        return datetime.now(UTC) + self.ahead


def _library() -> Path:
    """Return the path of libfaketime, or skip; where CI runs, a missing one is a failure."""
    listed = subprocess.run(
        ["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        if line.endswith("/libfaketime.so.1"):
            return Path(line)
    message = "LIBFAKETIME IS MISSING, so nothing was proven here. Try: apt install faketime"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


async def stepped(stage: Stage) -> None:
    """The clock is set an hour forth and back while cars report."""
    steps = 40 if stage.long else 4
    clock = FalseClock(stage.folder)
    stage.bridge.environment |= clock.environment()
    await stage.start()
    box = await stage.box()
    cars = stage.cars(2, 100_000)
    for number in range(steps):
        target = sum(car.sent for car in cars) + stage.random.randint(50, 300)
        await eventually(lambda target=target: sum(car.sent for car in cars) >= target)
        clock.step(timedelta(hours=(1, -1, -1, 1)[number % 4]))
        await box.report(5)
        await box.ring()
    for car in cars:
        await car.stop()
    stage.injected = f"stepped by an hour {steps} times, back and forth"
    await stage.count()
    # What is told only after the next step may be old news by then.
    told = stage.ear.said("report", "history")
    seen = [datetime.fromisoformat(one["received_at"]) for one in told]
    assert max(seen) - min(seen) > timedelta(minutes=59), "the bridge has not noticed"
