"""Judging and folding: what moves the car, what is late, what is remembered."""

from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import record as rows
from bridge import trips
from bridge.assess import Verdict
from bridge.model import Alarm, Cell, Report, Status
from bridge.record import Record
from bridge.vehicle import (
    EMPTY,
    Acknowledged,
    AnyAct,
    Judgement,
    Recounted,
    Silence,
    VehicleState,
    fold,
    fold_act,
    judge,
)
from tests.bridge.sayings import HERE, LIVE_AGE, METRE, NOW, drive, fix, report, said

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LATE = Judgement(NOW, None, late=True, late_alarms=True)


def test_only_a_good_newer_fix_moves_the_car() -> None:
    state = said(EMPTY, report(fix=fix(speed_kmh=50.0))).state
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
        one = report(NOW + timedelta(seconds=later), fix=bad)
        assert judge(state, one, now=one.received_at, live_age=LIVE_AGE).verdict is not Verdict.OK
        after = said(state, one).state
        assert after.fix is moved
        assert after.good_at == NOW  # no frame without a fix makes the last one look fresh
        assert after.last_report == NOW + timedelta(seconds=later)


def test_a_parked_car_drifts_nowhere_and_is_still_known_to_be_there() -> None:
    state = said(EMPTY, report(fix=fix(), status=Status(ignition=False))).state
    assert state.parked_since == NOW
    for minute, metres in enumerate((40, -60, 90), start=1):
        at = NOW + minute * MINUTE
        drift = fix(at, latitude=HERE["latitude"] + metres * METRE, speed_kmh=7.0)
        state = said(state, report(at, fix=drift)).state
    assert state.fix == fix()
    assert (state.fix_at, state.good_at) == (NOW, NOW + 3 * MINUTE)
    assert (state.motion, state.parked_since) == (False, NOW)
    assert state.journey.odometer_m == 0


def test_a_car_that_is_towed_away_is_seen_to_move() -> None:
    state = said(EMPTY, report(fix=fix(), status=Status(ignition=False))).state
    state = drive(state, NOW + MINUTE, steps=4, north_m=150)
    assert state.fix is not None
    assert state.fix.latitude > HERE["latitude"] + 1000 * METRE
    assert state.parked_since == NOW  # its ignition is off


def test_without_ignition_it_is_parked_once_it_has_stood_long_enough() -> None:
    state = drive(EMPTY, NOW, steps=3)
    assert state.motion is True
    stop = NOW + 2 * MINUTE
    place = state.fix
    assert place is not None
    for second in (0, 60, 120, 179):
        still = fix(stop + timedelta(seconds=second), latitude=place.latitude, speed_kmh=0.0)
        state = said(state, report(still.time, fix=still)).state  # type: ignore[arg-type]
        assert state.parked_since is None
    still = fix(stop + timedelta(seconds=180), latitude=place.latitude, speed_kmh=0.0)
    state = said(state, report(still.time, fix=still)).state  # type: ignore[arg-type]
    assert state.parked_since == stop
    off = fix(stop + 5 * MINUTE, latitude=place.latitude + 50 * METRE, speed_kmh=20.0)
    state = said(state, report(off.time, fix=off)).state  # type: ignore[arg-type]
    assert (state.parked_since, state.motion) == (None, True)
    assert state.fix == off


def test_motion_is_told_by_places_where_a_tracker_gives_no_speed() -> None:
    state = said(EMPTY, report(fix=fix())).state
    assert state.motion is None
    there = fix(NOW + MINUTE, latitude=HERE["latitude"] + 500 * METRE)
    state = said(state, report(NOW + MINUTE, fix=there)).state
    assert state.motion is True
    state = said(state, report(NOW + 2 * MINUTE, fix=msgspec.structs.replace(
        there, time=NOW + 2 * MINUTE))).state  # fmt: skip
    assert state.motion is False


def test_inputs_are_kept_with_the_time_they_were_last_said() -> None:
    state = said(EMPTY, report(status=Status(ignition=True, door_open=False))).state
    later = NOW + MINUTE
    state = said(state, report(later, status=Status(ignition=False), fix=None)).state
    assert state.values == {"ignition": False, "door_open": False}
    assert state.said_at == {"ignition": later, "door_open": NOW}
    assert "door_open" in state.reported


def test_a_late_report_changes_nothing_live() -> None:
    state = said(EMPTY, report(fix=fix(), status=Status(ignition=True))).state
    old = report(
        NOW + HOUR,
        fix=fix(NOW + timedelta(seconds=1), latitude=52.521),
        status=Status(ignition=False),
        cell=Cell(lac=1, cid=2),
        alarm=Alarm.VIBRATION,
    )
    judged = judge(state, old, now=NOW + HOUR, live_age=LIVE_AGE)
    assert (judged.late, judged.late_alarms, judged.verdict) == (True, True, Verdict.HISTORICAL)
    folded = fold(state, old, judged)
    assert folded.state.values == {"ignition": True}
    assert folded.state.fix == state.fix
    assert folded.state.cell is None
    assert folded.state.episodes == {}
    assert [(ring.alarm, ring.episode) for ring in folded.rings] == [(Alarm.VIBRATION, 0)]
    assert folded.state.uncounted == (judged.at, judged.at)


def test_a_late_sos_opens_an_episode() -> None:
    folded = fold(EMPTY, report(alarm=Alarm.SOS), LATE)
    assert folded.state.episodes["sos"].count == 1
    assert folded.rings[0].episode == 1


def test_a_late_alarm_leaves_a_running_episode_alone() -> None:
    state = said(EMPTY, report(alarm=Alarm.SOS)).state
    folded = fold(state, report(NOW + MINUTE, alarm=Alarm.SOS), LATE)
    assert folded.state.episodes == state.episodes
    assert [ring.episode for ring in folded.rings] == [0]


@pytest.mark.parametrize("hours", [8, -5.5, 24 * 7168])
def test_a_wrong_clock_is_no_lateness_once_three_reports_have_shown_it(hours: float) -> None:
    """By the third the fix counts, and its time is right; alarms ring from the first."""
    skew, state = timedelta(hours=hours), EMPTY
    for number in range(4):
        at = NOW + number * MINUTE
        wrong = fix(at + skew, latitude=HERE["latitude"] + number * 600 * METRE)
        one = report(at, fix=wrong, alarm=Alarm.OVERSPEED)
        judged = judge(state, one, now=at, live_age=LIVE_AGE)
        assert judged.late_alarms is False
        assert (judged.verdict is Verdict.OK) is (number >= 2)
        assert judged.late is (hours < 0 and number < 2)
        state = fold(state, one, judged).state
    assert state.good_at == NOW + 3 * MINUTE


def test_ignition_off_ends_motion() -> None:
    state = said(EMPTY, report(fix=fix(speed_kmh=50.0))).state
    assert state.motion is True
    parked = report(NOW + timedelta(seconds=5), status=Status(ignition=False))
    assert said(state, parked).state.motion is False


def test_what_waited_for_acceptance_is_silent() -> None:
    folded = said(EMPTY, report(alarm=Alarm.SOS, fix=fix()), silent=True)
    assert folded.rings == ()
    assert folded.state.episodes == {}
    assert folded.state.fix is not None


def test_a_trip_runs_ends_and_is_remembered() -> None:
    state = drive(EMPTY, NOW, steps=11, ignition=True)
    running = trips.running(state.journey)
    assert running is not None
    assert running.distance_m == pytest.approx(5000, rel=0.01)
    folded = said(state, report(NOW + 6 * MINUTE, status=Status(ignition=False)))
    assert folded.trip is not None
    assert folded.trip.by == "ignition"
    assert folded.state.trip == folded.trip
    assert trips.running(folded.state.journey) is None
    assert folded.state.journey.odometer_m == pytest.approx(5000, rel=0.01)


def test_silence_ends_a_trip_as_the_next_report_would() -> None:
    state = drive(EMPTY, NOW, steps=11)
    folded = fold_act(state, Silence(at=NOW + 2 * HOUR))
    assert folded.trip is not None
    assert folded.trip == said(state, report(NOW + 2 * HOUR, fix=fix(NOW + 2 * HOUR))).trip


times = st.integers(min_value=0, max_value=5000).map(lambda s: NOW + timedelta(seconds=s))
fixes = st.builds(
    lambda at, valid, latitude, speed: fix(
        at, valid=valid, latitude=round(latitude, 6), speed_kmh=speed
    ),
    st.one_of(st.none(), times),
    st.booleans(),
    st.one_of(st.floats(-90, 90), st.floats(52.52, 52.6)),
    st.one_of(st.none(), st.floats(0, 200)),
)
statuses = st.builds(
    Status,
    ignition=st.one_of(st.none(), st.booleans()),
    external_power=st.one_of(st.none(), st.booleans()),
    battery_percent=st.one_of(st.none(), st.floats(0, 100)),
)
reports = st.builds(
    lambda at, one, status, alarm, cell, mark: report(
        at, fix=one, status=status, alarm=alarm, cell=cell, extra=mark,
        device_time=one.time if one else None,
    ),
    times,
    st.one_of(st.none(), fixes),
    statuses,
    st.one_of(st.none(), st.sampled_from(Alarm)),
    st.one_of(st.none(), st.builds(Cell, lac=st.integers(0, 9), cid=st.integers(0, 9))),
    st.sampled_from([{}, {}, {"replayed": True}, {"utc_offset_min": 480}]),
)  # fmt: skip
acts = st.one_of(
    st.builds(lambda at, kinds: Acknowledged(at=at, alarms=kinds), times,
              st.sampled_from([(), ("sos",)])),
    st.builds(lambda at: Silence(at=at + HOUR), times),
    st.builds(lambda at, metres: Recounted(at=at, since=at, until=at, seq=3, metres=metres),
              times, st.floats(0, 1000)),
)  # fmt: skip
arrivals = st.tuples(st.one_of(reports, acts), times, st.booleans())


@given(st.lists(arrivals, max_size=12), st.integers(min_value=0, max_value=12))
def test_the_state_equals_a_replay_of_the_journal(
    taken: list[tuple[Report | AnyAct, object, bool]], checkpoint_after: int
) -> None:
    """Also through the journal's bytes, and from a checkpoint on."""
    state, journal, checkpoint = EMPTY, [], EMPTY
    for number, (one, now, silent) in enumerate(taken, start=1):
        if isinstance(one, Report):
            judged = judge(state, one, now=now, live_age=LIVE_AGE, silent=silent)  # type: ignore[arg-type]
            folded = fold(state, one, judged)
            row: rows.Row = Record(one, "tcp", judged, folded.rings, folded.trip)
        else:
            folded, row = fold_act(state, one), one
        state = folded.state
        journal.append(rows.encode(row))
        assert rows.decode(journal[-1]) == row
        if number == checkpoint_after:
            checkpoint = state
    saved = msgspec.json.decode(msgspec.json.encode(checkpoint), type=VehicleState)
    skipped = checkpoint_after if checkpoint_after <= len(taken) else 0
    for body in itertools.islice(journal, skipped, None):
        row = rows.decode(body)
        if isinstance(row, Record):
            saved = fold(saved, row.report, row.judged).state
        else:
            saved = fold_act(saved, row).state
    assert saved == state


def test_a_row_of_another_schema_is_refused() -> None:
    body = rows.encode(Record(report(), "tcp", Judgement(NOW, None)))
    with pytest.raises(rows.StorageError):
        rows.decode(b"\x9f" + body[1:])
    with pytest.raises(rows.StorageError):
        rows.decode(msgspec.msgpack.encode([99, *msgspec.msgpack.decode(body)[1:]]))
    assert rows.moment_of(body) == NOW
    assert rows.moment_of(b"\xc1") is None


# --- what once went wrong -------------------------------------------------------------------------


def test_two_glitches_with_good_fixes_between_them_are_not_two_in_a_row() -> None:
    state = said(EMPTY, report(fix=fix(), status=Status(ignition=False))).state
    for minute in range(1, 120):
        at = NOW + minute * MINUTE
        far = fix(at, latitude=HERE["latitude"] + (0.5 if minute in (1, 111) else 0))
        state = said(state, report(at, fix=far)).state
        assert state.fix == fix()


@pytest.mark.parametrize("ahead", [8 * HOUR, 365 * 24 * HOUR])
def test_a_date_in_the_future_stops_neither_trips_nor_the_odometer(ahead: timedelta) -> None:
    state = drive(EMPTY, NOW, steps=5)
    glitch = report(NOW + 3 * MINUTE, fix=fix(NOW + ahead), alarm=Alarm.LOW_BATTERY)
    state = said(state, glitch).state
    state = drive(state, NOW + 4 * MINUTE, steps=20, north_m=4000)
    assert state.journey.odometer_m > 11_000
    assert trips.running(state.journey) is not None
    later = NOW + HOUR
    assert said(state, report(later, alarm=Alarm.SOS)).state.rang_at == later


def test_frames_without_a_lock_between_fixes_of_a_slow_clock_stop_no_trip() -> None:
    state, behind = EMPTY, timedelta(seconds=100)
    for step in range(40):
        at = NOW + step * timedelta(seconds=30)
        place = fix(
            at - behind, latitude=HERE["latitude"] + step * 300 * METRE, speed_kmh=36.0,
            valid=step % 2 == 0,
        )  # fmt: skip
        state = said(state, report(at, fix=place)).state
    assert state.journey.odometer_m == pytest.approx(38 * 300, rel=0.01)


def test_another_trackers_right_clock_makes_no_alarm_old() -> None:
    """Neither after a replacement, nor when the owner has just set a wrong clock right."""
    state = drive(EMPTY, NOW, steps=5)
    behind = fix(NOW + 5 * MINUTE - 8 * HOUR)
    new = report(NOW + 5 * MINUTE, device_id="864000000005678", fix=behind, alarm=Alarm.POWER_CUT)
    assert said(state, new).rings[0].episode == 1

    ahead = EMPTY
    for minute in range(5):
        at = NOW + minute * MINUTE
        ahead = said(ahead, report(at, fix=fix(at + 8 * HOUR))).state
    at = NOW + 6 * MINUTE
    assert said(ahead, report(at, fix=fix(at), alarm=Alarm.DOOR)).rings[0].episode == 1


def test_no_trip_parks_while_it_knows_no_place() -> None:
    """A red light, and then a tunnel: what has no fix cannot show that the car still stands."""
    state = drive(EMPTY, NOW, steps=5)
    light = report(NOW + 3 * MINUTE, fix=fix(
        NOW + 3 * MINUTE, latitude=HERE["latitude"] + 2000 * METRE, speed_kmh=0.0))  # fmt: skip
    state = said(state, light).state
    for minute in range(4, 9):
        tunnel = fix(NOW + minute * MINUTE, valid=False)
        state = said(state, report(NOW + minute * MINUTE, fix=tunnel)).state
    assert state.parked_since is None
