"""Vehicles as they come back and as they grow: late or live, and what damage does not stop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Config
from bridge.fleet import Fleet, Live
from bridge.journal import Entry, Journal
from bridge.model import NO_STATUS, Alarm, Fix, Report, Status
from bridge.registry import Vehicle
from tests.conftest import eventually

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOLF = Vehicle(key="golf", name="Golf", trackers=("864000000001234",), accepted_at=NOW)


def said(device_time: datetime | None, *, valid: bool | None = None, **more: Any) -> Report:
    fix = None
    if valid is not None:
        fix = Fix(time=device_time, valid=valid, latitude=52.52, longitude=13.41)
    fields: dict[str, Any] = {"status": NO_STATUS, "extra": {}, **more}
    return Report(
        device_id=GOLF.trackers[0],
        protocol="h02",
        received_at=NOW,
        device_time=device_time,
        keyword="V1",
        fix=fix,
        **fields,
    )


@pytest.fixture
async def fleet(tmp_path: Path):
    journal = Journal.open(tmp_path)
    journal.start(asyncio.get_running_loop())
    opened = Fleet(journal, timedelta(minutes=10), Config().rules)
    opened.take_in(GOLF)
    yield opened
    await asyncio.to_thread(journal.close)


async def add(fleet: Fleet, *reports: Report) -> Live:
    live = fleet.vehicles["golf"]
    wanted = fleet.journal.last_seq + len(reports)
    for report in reports:
        assert fleet.append(live, report, now=NOW)
    await eventually(lambda: live.seq == wanted)
    return live


@pytest.mark.parametrize("ago", [timedelta(0), 20 * 365 * 24 * HOUR])
async def test_a_clock_that_was_lost_without_a_lock_makes_nothing_old(
    fleet: Fleet, ago: timedelta
) -> None:
    """It stands still at the last fix, or begins years ago."""
    garage = said(NOW - ago, valid=False, alarm=Alarm.VIBRATION, status=Status(ignition=True))
    live = await add(fleet, said(NOW, valid=True), garage)
    assert list(live.state.episodes) == ["vibration"]
    assert live.state.values == {"ignition": True}


async def test_stored_frames_without_a_lock_change_no_input_but_their_alarms_ring(
    fleet: Fleet,
) -> None:
    stored = said(NOW - HOUR, valid=False, alarm=Alarm.VIBRATION, status=Status(ignition=True))
    live = await add(fleet, said(NOW, valid=True), stored)
    assert list(live.state.episodes) == ["vibration"]
    assert live.state.values == {}


async def test_an_alarm_is_old_only_by_a_clock_that_has_been_seen_right(fleet: Fleet) -> None:
    old = said(NOW - HOUR, valid=True, alarm=Alarm.DOOR, status=Status(door_open=True))
    live = await add(fleet, old)
    assert list(live.state.episodes) == ["door"]  # nobody knows yet that this clock is right
    assert live.state.values == {}
    assert live.state.fix is None


async def test_stored_points_with_a_right_clock_change_nothing_live(fleet: Fleet) -> None:
    old = said(NOW - HOUR, valid=True, alarm=Alarm.DOOR, status=Status(door_open=True))
    live = await add(fleet, said(NOW, valid=True), old)
    assert live.state.episodes == {}
    assert live.state.values == {}
    assert live.state.fix_at == NOW


async def test_a_replayed_report_is_old_whatever_its_time(fleet: Fleet) -> None:
    live = await add(fleet, said(NOW, valid=True, alarm=Alarm.DOOR, extra={"replayed": True}))
    assert live.state.episodes == {}
    assert live.state.fix is None


async def test_a_restart_brings_back_the_same_state(fleet: Fleet) -> None:
    live = await add(fleet, said(NOW, valid=True), said(NOW - HOUR, valid=True, alarm=Alarm.SOS))
    for saved in (False, True):
        if saved:
            fleet.checkpoint_all()
            await eventually(fleet.journal.checkpoints)
        again = Fleet(fleet.journal, fleet.live_age, fleet.rules)
        again.restore([GOLF])
        assert again.vehicles["golf"].state == live.state
        assert again.vehicles["golf"].position_seq == live.position_seq == 1


async def test_a_damaged_row_or_checkpoint_is_left_out_and_told(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    await add(fleet, said(NOW, valid=True))
    written = asyncio.Event()
    fleet.journal.append(Entry("golf", NOW, b"\xff\xff"), (), lambda _: written.set())
    await written.wait()
    await add(fleet, said(NOW, alarm=Alarm.SOS))
    fleet.journal.checkpoint("golf", 1, b"{}")
    await eventually(fleet.journal.checkpoints)
    again = Fleet(fleet.journal, fleet.live_age, fleet.rules)
    again.restore([GOLF])
    state = again.vehicles["golf"].state
    assert state.fix is not None
    assert list(state.episodes) == ["sos"]
    assert "row 2 is left out" in caplog.text
    assert "folded anew" in caplog.text


async def test_ok_fixes_move_the_position(fleet: Fleet) -> None:
    live = await add(fleet, said(NOW, valid=True))
    assert live.position_seq == 1
    assert live.state.fix is not None
