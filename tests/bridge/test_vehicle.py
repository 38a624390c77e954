"""Verdicts and folding: what moves the car, what rings, what is remembered."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import record as rows
from bridge.assess import Sighting, Verdict, accuracy_m, assess, distance_m
from bridge.model import Alarm, Cell, Fix, Report, Status
from bridge.record import Record
from bridge.vehicle import EMPTY, EPISODE_END_DEFAULT, VehicleState, fold, running

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
HERE = {"latitude": 52.52, "longitude": 13.41}


def fix(at: datetime | None = NOW, *, valid: bool = True, **more: Any) -> Fix:
    return Fix(**{"time": at, "valid": valid, **HERE, **more})


def report(at: datetime = NOW, **more: Any) -> Report:
    fields: dict[str, Any] = {
        "device_id": "864000000001234",
        "protocol": "gps103",
        "received_at": at,
        "device_time": at,
        "keyword": "tracker",
        "status": Status(),
        "extra": {},
    }
    return Report(**{**fields, **more})


def verdict(one: Fix, **more: Any) -> Verdict:
    facts: dict[str, Any] = {
        "received_at": NOW,
        "replayed": False,
        "last_good": None,
        "doubtful": None,
    }
    return assess(one, **{**facts, **more})


BEFORE = Sighting(fix(NOW - timedelta(seconds=60)), NOW - timedelta(seconds=60))


@pytest.mark.parametrize(
    ("one", "more", "expected"),
    [
        (fix(), {}, Verdict.OK),
        (fix(None), {}, Verdict.OK),
        (fix(valid=False), {}, Verdict.NO_FIX),
        (fix(latitude=0.0, longitude=0.0), {}, Verdict.ZERO),
        (fix(latitude=0.009, longitude=-0.009), {}, Verdict.ZERO),
        (fix(latitude=0.0, longitude=13.0), {}, Verdict.OK),
        (fix(NOW + timedelta(minutes=4)), {}, Verdict.OK),
        (fix(NOW + timedelta(minutes=6)), {}, Verdict.FUTURE),
        (fix(), {"replayed": True}, Verdict.HISTORICAL),
        (fix(), {"last_good": BEFORE}, Verdict.OK),
        (BEFORE.fix, {"last_good": BEFORE}, Verdict.DUPLICATE),
        (fix(BEFORE.at, latitude=52.521), {"last_good": BEFORE}, Verdict.STALE),
        (fix(BEFORE.at - timedelta(seconds=1)), {"last_good": BEFORE}, Verdict.STALE),
        (fix(latitude=53.0), {"last_good": BEFORE}, Verdict.JUMP),
        (fix(latitude=52.53), {"last_good": BEFORE}, Verdict.OK),
    ],
)
def test_verdicts(one: Fix, more: dict[str, Any], expected: Verdict) -> None:
    assert verdict(one, **more) is expected


def test_two_jumps_in_a_row_that_agree_are_believed() -> None:
    first = fix(NOW, latitude=53.0)
    second = fix(NOW + timedelta(seconds=30), latitude=53.001)
    doubtful = Sighting(first, NOW)
    assert verdict(second, last_good=BEFORE, doubtful=doubtful) is Verdict.OK
    elsewhere = fix(NOW + timedelta(seconds=30), latitude=10.0)
    assert verdict(elsewhere, last_good=BEFORE, doubtful=doubtful) is Verdict.JUMP


def test_distance_is_that_of_a_degree_of_latitude() -> None:
    assert distance_m(fix(), fix(latitude=53.52)) == pytest.approx(111_195, rel=1e-3)
    assert distance_m(fix(longitude=179.999), fix(longitude=-179.999)) < 200


@given(
    st.one_of(st.none(), st.floats(0, 99)),
    st.one_of(st.none(), st.integers(min_value=0, max_value=40)),
)
def test_accuracy_is_never_a_point(hdop: float | None, satellites: int | None) -> None:
    assert 5 <= accuracy_m(fix(hdop=hdop, satellites=satellites)) <= 250


def test_only_a_good_newer_fix_moves_the_car() -> None:
    state = fold(EMPTY, report(fix=fix(speed_kmh=50.0))).state
    assert state.fix is not None
    assert state.motion is True
    moved = state.fix
    for later, bad in enumerate(
        (
            fix(NOW + timedelta(seconds=9), valid=False),
            fix(NOW + timedelta(seconds=9), latitude=0.0, longitude=0.0),
            fix(NOW - timedelta(seconds=9)),
        ),
        start=1,
    ):
        folded = fold(state, report(NOW + timedelta(seconds=later), fix=bad))
        assert folded.verdict is not Verdict.OK
        assert folded.state.fix is moved
        assert folded.state.last_report == NOW + timedelta(seconds=later)


def test_inputs_are_kept_with_the_time_they_were_last_said() -> None:
    state = fold(EMPTY, report(status=Status(ignition=True, door_open=False))).state
    later = NOW + timedelta(minutes=1)
    state = fold(state, report(later, status=Status(ignition=False), fix=None)).state
    assert state.values == {"ignition": False, "door_open": False}
    assert state.said_at == {"ignition": later, "door_open": NOW}
    assert "door_open" in state.reported


def test_a_late_report_changes_nothing_live() -> None:
    state = fold(EMPTY, report(fix=fix(), status=Status(ignition=True))).state
    old = report(
        NOW + timedelta(seconds=5),
        fix=fix(NOW + timedelta(seconds=1), latitude=52.521),
        status=Status(ignition=False),
        cell=Cell(lac=1, cid=2),
        alarm=Alarm.VIBRATION,
    )
    folded = fold(state, old, late=True, late_alarms=True)
    assert folded.state.values == {"ignition": True}
    assert folded.state.fix == state.fix
    assert folded.state.cell is None
    assert folded.state.episodes == {}
    assert [(ring.alarm, ring.episode) for ring in folded.rings] == [(Alarm.VIBRATION, 0)]


def test_a_late_sos_opens_an_episode() -> None:
    folded = fold(EMPTY, report(alarm=Alarm.SOS), late=True, late_alarms=True)
    assert folded.state.episodes["sos"].count == 1
    assert folded.rings[0].episode == 1


def test_a_late_alarm_leaves_a_running_episode_alone() -> None:
    state = fold(EMPTY, report(alarm=Alarm.SOS)).state
    later = report(NOW + timedelta(minutes=1), alarm=Alarm.SOS)
    folded = fold(state, later, late=True, late_alarms=True)
    assert folded.state.episodes == state.episodes
    assert [ring.episode for ring in folded.rings] == [0]


def test_ignition_off_ends_motion() -> None:
    state = fold(EMPTY, report(fix=fix(speed_kmh=50.0))).state
    assert state.motion is True
    parked = report(NOW + timedelta(seconds=5), status=Status(ignition=False))
    assert fold(state, parked).state.motion is False
    rolling = report(
        NOW + timedelta(seconds=5),
        status=Status(ignition=False),
        fix=fix(NOW + timedelta(seconds=5), speed_kmh=50.0),
    )
    assert fold(state, rolling).state.motion is True


def test_an_alarm_rings_once_an_episode() -> None:
    state, rings = EMPTY, []
    for minute in (0, 3, 6):
        at = NOW + timedelta(minutes=minute)
        folded = fold(state, report(at, alarm=Alarm.DOOR))
        state = folded.state
        rings.append(len(folded.rings))
    assert rings == [1, 0, 0]
    assert state.episodes["door"].count == 3
    after = NOW + timedelta(minutes=6) + EPISODE_END_DEFAULT
    assert running(state, after - timedelta(seconds=1))
    assert not running(state, after)
    again = fold(state, report(after, alarm=Alarm.DOOR))
    assert again.rings[0].episode == 2
    assert again.state.rung == ("door",)


def test_several_alarms_of_one_frame_are_several_episodes() -> None:
    folded = fold(EMPTY, report(alarm=Alarm.SOS, extra={"alarms": ["low_battery"]}))
    assert {ring.alarm: ring.episode for ring in folded.rings} == {
        Alarm.SOS: 1,
        Alarm.LOW_BATTERY: 2,
    }


def test_what_waited_for_acceptance_is_silent() -> None:
    folded = fold(EMPTY, report(alarm=Alarm.SOS, fix=fix()), silent=True)
    assert folded.rings == ()
    assert folded.state.episodes == {}
    assert folded.state.fix is not None


times = st.integers(min_value=0, max_value=5000).map(lambda s: NOW + timedelta(seconds=s))
fixes = st.builds(
    lambda at, valid, latitude, speed: fix(
        at, valid=valid, latitude=round(latitude, 6), speed_kmh=speed
    ),
    st.one_of(st.none(), times),
    st.booleans(),
    st.floats(-90, 90),
    st.one_of(st.none(), st.floats(0, 200)),
)
statuses = st.builds(
    Status,
    ignition=st.one_of(st.none(), st.booleans()),
    door_open=st.one_of(st.none(), st.booleans()),
    battery_percent=st.one_of(st.none(), st.floats(0, 100)),
)
reports = st.builds(
    lambda at, one, status, alarm, cell: report(
        at, fix=one, status=status, alarm=alarm, cell=cell, device_time=one.time if one else None
    ),
    times,
    st.one_of(st.none(), fixes),
    statuses,
    st.one_of(st.none(), st.sampled_from(Alarm)),
    st.one_of(st.none(), st.builds(Cell, lac=st.integers(0, 9), cid=st.integers(0, 9))),
)
arrivals = st.tuples(reports, st.booleans(), st.booleans(), st.booleans())


@given(st.lists(arrivals, max_size=12), st.integers(min_value=0, max_value=12))
def test_the_state_equals_a_replay_of_the_journal(
    said: list[tuple[Report, bool, bool, bool]], checkpoint_after: int
) -> None:
    """Also through the journal's bytes, and from a checkpoint on."""
    state, journal, checkpoint = EMPTY, [], EMPTY
    for number, (one, late, late_alarms, silent) in enumerate(said, start=1):
        folded = fold(state, one, late=late, late_alarms=late_alarms, silent=silent)
        state = folded.state
        record = Record(one, "tcp", folded.verdict, late, silent, folded.rings, late_alarms)
        journal.append(rows.encode(record))
        assert rows.decode(journal[-1]) == record
        if number == checkpoint_after:
            checkpoint = state
    saved = msgspec.json.decode(msgspec.json.encode(checkpoint), type=VehicleState)
    skipped = checkpoint_after if checkpoint_after <= len(said) else 0
    for body in itertools.islice(journal, skipped, None):
        record = rows.decode(body)
        saved = fold(
            saved,
            record.report,
            late=record.late,
            late_alarms=record.late_alarms,
            silent=record.silent,
        ).state
    assert saved == state


def test_a_row_of_another_schema_is_refused() -> None:
    body = rows.encode(Record(report(), "tcp", None, late=False, silent=False, rings=()))
    with pytest.raises(rows.StorageError):
        rows.decode(b"\x9f" + body[1:])
    with pytest.raises(rows.StorageError):
        rows.decode(msgspec.msgpack.encode([99, *msgspec.msgpack.decode(body)[1:]]))
