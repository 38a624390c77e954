"""Faults of the broker, and of the way to it."""

from __future__ import annotations

from tests.conftest import eventually
from tests.e2e.faults.stage import Stage
from tests.e2e.faults.wire import PUBACK, PUBLISH


async def down(stage: Stage) -> None:
    """It is away while more reports come than the bridge keeps in memory for it."""
    reports = 3000 if stage.long else 900
    await stage.start()
    box = await stage.box()
    await box.report(20)
    stage.mosquitto.stop()
    await box.ring()
    for car in stage.cars(5 if stage.long else 3, reports):
        await car.arrived()
    await box.ring()
    stage.mosquitto.start()
    await stage.ear.until(lambda: stage.ear.onlines() >= 2)
    stage.injected = f"away for {stage.tally.sent.total() - 20} reports"
    await stage.count()


async def slow(stage: Stage) -> None:
    """Every word of it and to it takes its time."""
    await stage.start(wired=True)
    stage.wire.delay_s = 0.15 if stage.long else 0.05
    stage.injected = f"{stage.wire.delay_s * 2:.1f} s a round trip"
    for car in stage.cars(3, 500 if stage.long else 100):
        await car.arrived()
    await stage.settled(120.0)
    stage.wire.delay_s = 0.0
    await stage.count()


async def cut_before_puback(stage: Stage) -> None:
    """The connection is gone before the word arrives that a publish has, or before that itself."""
    rounds = 20 if stage.long else 4
    await stage.start(wired=True)
    for number in range(rounds):
        # What a bridge tells of itself when it comes on line is no report, and fills a window, too:
        # it is acknowledged before the second answer, if not before the first.
        await stage.settled()
        await stage.settled()
        box = await stage.box()
        if number % 2:
            stage.wire.swallow_then_cut(stage.random.randint(8, 20), PUBLISH)
        else:  # a whole window, for fewer might all speak of states
            stage.wire.swallow_then_cut(20, PUBACK)
        await box.ring()
        await box.report(60)
        await eventually(lambda cuts=number + 1: stage.wire.cuts == cuts)
        await stage.ear.until(lambda seen=number + 2: stage.ear.onlines() >= seen)
    stage.injected = f"{rounds} cuts, {stage.wire.swallowed} PUBACKs or PUBLISHes swallowed"
    await stage.count()
    assert stage.tally.repeated, "nothing was told again, so no acknowledgement was missing"


async def forgetful(stage: Stage) -> None:
    """It forgets what it was to keep and to deliver; the bridge tells everything again."""
    await stage.start(wired=True)
    box = await stage.box()
    await box.report(20)
    await box.ring()
    await stage.settled()
    kept = {topic for topic in stage.ear.topics() if topic.endswith(_RETAINED)}
    for round_ in range(5 if stage.long else 1):
        stage.wire.is_open = False
        arrivals = stage.ear.arrivals
        stage.mosquitto.stop()
        await box.report(40)
        (stage.folder / "mosquitto.db").unlink()
        stage.mosquitto.start()
        await stage.ear.until(lambda seen=arrivals: stage.ear.arrivals > seen)
        before = len(stage.ear.heard)
        stage.wire.is_open = True
        await stage.ear.until(lambda seen=round_ + 2: stage.ear.onlines() >= seen)
        await stage.ear.until(lambda since=before: kept <= stage.ear.topics(since))
        await stage.settled()
    stage.injected = f"retained and queued messages gone {round_ + 1} times"
    await stage.count()
    newest = stage.ear.said("position")[-1]
    assert newest["seq"] == max(seq for _, seq in stage.tally.rows)


_RETAINED = ("/info", "/discovery", "/devices", "/config", "/state", "/position", "/last_alarm")
