"""The disk's share runs out before a dead broker comes back."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.conftest import BridgeProcess
from tests.e2e.faults.stage import CARS, Stage

_HASTY = (
    "import sys\n"
    "from bridge import __main__, upkeep\n"
    "upkeep.FIRST_RETAIN_S = upkeep.RETAIN_EVERY_S = upkeep.LOOK_S = 0.2\n"
    "sys.exit(__main__.main())\n"
)
"""The bridge looks at what may go each hour; nobody here waits for that."""


class HastyBridge(BridgeProcess):
    """A bridge that looks at what may go all the time."""

    def start(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _HASTY, "run", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
            )


async def overtaking(stage: Stage) -> None:
    """More is reported than may be kept, while the broker is away: the oldest go, announced."""
    reports = 30_000 if stage.long else 6000
    stage.tally.forgetting = True
    stage.bridge = HastyBridge(stage.folder, stage.mosquitto.port, TK103B__HISTORY__MB="1")
    await stage.start()
    box = await stage.box()
    await box.report(20)
    await stage.settled()
    stage.mosquitto.stop()
    (car,) = stage.cars(1, reports)
    await car.arrived()
    await stage.logs("removed for want of space before mqtt had them")
    stage.mosquitto.start()
    await stage.ear.until(lambda: stage.ear.onlines() == 2)
    await stage.settled()
    stage.tally.overtaken = (await stage.ear.ask("health_check"))["overtaken"]
    await stage.ear.until(lambda: _announced(stage) == stage.tally.overtaken)
    stage.injected = f"{stage.tally.overtaken} of {reports} reports went before they were told"
    await stage.count()
    told = [
        body["seq"] for body in stage.ear.said("report", "history", key=next(iter(CARS.values())))
    ]
    assert told == sorted(told)


def _announced(stage: Stage) -> int:
    """How many reports the bridge has said it will never publish."""
    told = [event for event in stage.ear.told("event") if event["type"] == "overtaken"]
    return sum(event["count"] for event in told)
