"""Faults of the bridge's own process, and of those who talk to it."""

from __future__ import annotations

import asyncio

from tests.conftest import eventually
from tests.e2e.conftest import BASE, BridgeProcess
from tests.e2e.faults.stage import Stage


async def killed(stage: Stage) -> None:
    """`kill -9` at random moments, while cars report as fast as they are answered."""
    rounds = 20 if stage.long else 4
    await stage.start()
    cars = stage.cars(3, 100_000)
    for number in range(rounds):
        target = sum(car.sent for car in cars) + stage.random.randint(50, 600)
        await eventually(lambda target=target: sum(car.sent for car in cars) >= target)
        if number % 2:
            box = await stage.box()
            await box.report(stage.random.randint(1, 200))  # and no moment after the answer
        else:
            await asyncio.sleep(stage.random.uniform(0.0, 0.02))  # between commits, or in one
        stage.kill_bridge()
        await stage.start_bridge()
    for car in cars:
        await car.stop()
    stage.injected = f"kill -9 {rounds} times under load"
    await stage.count()


async def torn_frame(stage: Stage) -> None:
    """A tracker is cut off in mid-frame and comes back from another address."""
    rounds = 200 if stage.long else 20
    await stage.start()
    for number in range(rounds):
        torn = await stage.box(f"127.0.0.{number % 2 + 2}")
        await torn.report(3)
        frame = torn.frame()
        end = stage.random.randrange(1, len(frame) - 1)
        await torn.write(frame[:end])
        again = await stage.box(f"127.0.0.{(number + 1) % 2 + 2}")
        await again.report(3)
        await torn.write(frame[end:])  # too late: this connection speaks for nobody any more
        await torn.leave()
        await again.leave()
    stage.injected = f"torn in mid-frame {rounds} times, back from another address"
    await stage.count()


async def rival(stage: Stage) -> None:
    """A second bridge is started by mistake on the same base topic, with a folder of its own."""
    rounds = 5 if stage.long else 1
    await stage.start()
    await stage.wire.open()
    cars = stage.cars(2, 100_000)
    for number in range(rounds):
        await eventually(lambda: all(car.sent > 100 for car in cars))
        folder = stage.folder / f"second{number}"
        folder.mkdir()
        second = BridgeProcess(folder, stage.wire.port, TK103B__LIMITS__WHOAMI_S="60")
        second.start()
        assert await stage.ends(second) == 3
        told = second.log.read_text()
        assert f"another bridge already serves the topic '{BASE}'" in told
    for car in cars:
        await car.stop()
    stage.injected = f"a second bridge {rounds} times"
    await stage.count()
    assert set(stage.wire.published) == {f"{BASE}/bridge/request/whoami"}
    states = [one.payload for one in stage.ear.heard if one.topic == f"{BASE}/bridge/state"]
    assert states == [b"online", b"offline"], states
