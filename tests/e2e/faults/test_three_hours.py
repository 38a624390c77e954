"""Rule L as somebody sees it who comes home: what three hours without a broker leave behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.database import SKIPPED
from tests.e2e.faults.clock import FalseClock
from tests.e2e.faults.ear import Ear
from tests.e2e.faults.stage import Stage, staged
from tests.e2e.faults.trackers import Box

INTERVAL = timedelta(seconds=30)
OUTAGE = timedelta(hours=3)
LIVE_AGE = timedelta(minutes=10)
NORTH = 2249
"""At 50 km/h for 30 s, in ten thousandths of a minute."""


class Drive:
    """A box that reports every 30 s of the bridge's own time."""

    def __init__(self, clock: FalseClock, box: Box) -> None:
        self._clock = clock
        self._box = box

    async def report(self, keyword: str = "tracker") -> datetime:
        """Let 30 s pass, say something, and wait until it is committed; return when that was."""
        self._clock.step(INTERVAL)
        at = self._clock.now()
        await self._box.say(self._box.frame(keyword, at=at))
        if keyword == "help me":
            await self._box.receipt()
        await self._box.beat()
        return at

    async def reports(self, count: int) -> None:
        for _ in range(count):
            await self.report()


@pytest.fixture
async def stage(tmp_path: Path):
    async with staged(tmp_path, long=False, seed=0) as stage:
        yield stage


@pytest.mark.parametrize("restarted", [False, True], ids=["", "and the bridge restarted"])
async def test_three_hours_without_a_broker_in_the_middle_of_a_trip(
    stage: Stage,
    restarted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    clock = FalseClock(stage.folder)
    stage.bridge.environment |= clock.environment()
    stage.now = clock.now
    await stage.start()
    ear = stage.ear
    drive = Drive(clock, await stage.box(north=NORTH))
    await drive.report("acc on")
    await drive.reports(10)
    await stage.settled()
    assert ear.said("state")[-1]["seq"] == 11
    assert not ear.said("alarm", "history")

    stage.mosquitto.stop()
    missed = OUTAGE // INTERVAL
    await drive.reports(missed // 2)
    await drive.report("help me")
    await drive.reports(5)
    await drive.report("stockade")
    await drive.report("door alarm")
    if restarted:
        stage.kill_bridge()
        stage.bridge.start()
        await stage.bridge.listening()
        drive = Drive(clock, await stage.box())
    await drive.report("acc off")
    await drive.report("acc on")
    await drive.reports(missed - missed // 2 - 10)
    newest = 11 + missed
    before = len(ear.heard)
    stage.mosquitto.start()
    await ear.until(lambda: ear.onlines() == 2)
    await stage.settled()

    _check_now(ear, before, newest)
    _check_then(ear, before, newest)
    tally = await stage.count()
    tally.check()
    assert len(tally.rows) == newest


def _check_now(ear: Ear, before: int, newest: int) -> None:
    # The car stands where it is, and was nowhere else.
    assert {_number(body) for body in ear.said("position", after=before)} == {newest}
    states = ear.said("state", after=before)
    assert {_number(body) for body in states} == {newest}
    assert {body["ignition"] for body in states} == {True}
    assert all("sos" in body["alarms"] for body in states)

    # The SOS is told, once and as what it is; of the others there is no burst.
    (sos,) = ear.said("alarm", after=before)
    assert (sos["event_type"], sos["late"]) == ("sos", True)
    (last,) = ear.said("last_alarm", after=before)[-1:]
    assert last["late"] is True


def _number(body: dict[str, Any]) -> int:
    """Which report it is; a kill leaves a hole in the seqs, and they go on from there."""
    seq: int = body["seq"]
    return seq % SKIPPED


def _check_then(ear: Ear, before: int, newest: int) -> None:
    # Everything else is history, in its order; what is news is told as such.
    told = {
        leaf: [body for body in ear.said(leaf, after=before) if body.get("type") == "report"]
        for leaf in ("report", "history")
    }
    assert all(body["late"] for body in told["history"])
    assert not any(body["late"] for body in told["report"])
    old, news = ([_number(body) for body in told[leaf]] for leaf in ("history", "report"))
    live = LIVE_AGE // INTERVAL
    assert news == list(range(newest - len(news) + 1, newest + 1))
    assert live - 2 <= len(news) <= live
    assert old == list(range(12, news[0]))
