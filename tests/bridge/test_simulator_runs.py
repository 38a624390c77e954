"""The simulated tracker in time: what it says when, on a clock of the test's own."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from bridge.model import Alarm
from bridge.simulator import AlarmAt, Event, Happened, Span
from bridge.simulator.behaviour import WINDOW
from bridge.simulator.languages import LANGUAGES
from tests.bridge.simulated import START, Talk, polite, silence, without

NAMES = [row.name for row in LANGUAGES]
TELLING_DOORS = {"gps103", "tk103", "h02"}
BEATS = {"gps103": b"0101;", "tk103": b"BP00", "h02": b",V0#", "gt06": b"\x78\x78\x0a\x13"}
SOS = AlarmAt(Alarm.SOS, 2)
ACKNOWLEDGE = b"**,imei:864000000000101,E;"


def test_nothing_is_said_before_the_login_is_answered():
    talk = Talk(silence)
    talk.connect()
    talk.wait(59)
    assert talk.said == [(at, b"##,imei:864000000000101,A;") for at in (0, 20, 40)]
    talk.tell(b"LO")
    assert len(talk.said) == 3
    talk.tell(b"AD")
    talk.wait(1)
    assert talk.said[3][1].startswith(b"imei:864000000000101,tracker,")


def test_tk103_logs_in_step_by_step():
    talk = Talk(silence, protocol="tk103")
    talk.connect()
    assert [frame[13:17] for _, frame in talk.said] == [b"BP00"]
    talk.tell(b"(000000000103AP01HSO)")
    assert [frame[13:17] for _, frame in talk.said] == [b"BP00", b"BP05"]
    talk.tell(b"(000000000103AP05)")
    talk.wait(1)
    assert [frame[13:17] for _, frame in talk.said] == [b"BP00", b"BP05", b"BR00"]


def test_a_login_that_stays_unanswered_three_times_is_dialled_anew():
    talk = Talk(silence)
    talk.connect()
    talk.wait(100)
    assert (talk.box.hang_up, talk.box.lost_patience, len(talk.said)) == (True, True, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_drive_is_reported_at_its_interval_with_growing_times(name):
    talk = Talk(protocol=name, interval_s=20)
    talk.connect()
    talk.wait(1800)
    reports = talk.timed_reports
    placed = [(at, said) for at, said in reports if said.fix]
    assert set(range(0, 1800, 20)) <= {at for at, _ in placed}
    for at, said in placed:
        assert said.fix.time == said.device_time == START + timedelta(seconds=at)
    for (_, before), (_, after) in pairwise(placed):
        assert before.device_time <= after.device_time
    assert {said.status.ignition for _, said in reports} >= {True, False}
    doors = {said.status.door_open for _, said in reports}
    assert doors == ({True, False} if name in TELLING_DOORS else {None})


def test_gps103_tells_when_the_ignition_changes():
    talk = Talk(interval_s=600)
    talk.connect()
    talk.wait(1200)
    changes = [said for said in talk.reports if said.keyword.startswith("acc")]
    assert [said.keyword for said in changes] == ["acc off", "acc on"]
    assert [said.status.ignition for said in changes] == [False, True]


@pytest.mark.parametrize(
    ("name", "others"),  # what is confirmed besides: login, handshake, position
    [("gps103", 1), ("tk103", 2), ("h02", 1), ("gt06", 2)],
)
def test_heartbeats_come_each_minute(name, others):
    talk = Talk(protocol=name, interval_s=1000)
    talk.connect()
    talk.wait(200)
    assert [at for at in talk.times(BEATS[name]) if at] == [60, 120, 180]
    assert talk.box.summary.replies == 3 + others


def test_three_heartbeats_without_answer_end_the_connection():
    talk = Talk(without(b"0101;"), interval_s=1000)
    talk.connect()
    talk.wait(239)
    assert (talk.times(b"0101;"), talk.box.hang_up) == ([60, 120, 180], False)
    talk.wait(1)
    assert talk.box.hang_up


def test_sos_is_repeated_every_three_minutes_until_it_is_acknowledged():
    talk = Talk(without(b"help me"), interval_s=30, alarms=(SOS,))
    talk.connect()
    talk.wait(500)
    assert talk.times(b"help me") == [30, 210, 390]
    talk.tell(ACKNOWLEDGE)
    talk.wait(500)
    assert talk.times(b"help me") == [30, 210, 390]
    assert talk.times(b",et,") == [500]
    assert (talk.box.summary.alarms, talk.box.summary.acknowledged) == (1, 1)
    assert Event(Happened.ACKNOWLEDGED, ACKNOWLEDGE.rstrip(b";")) in talk.events


def test_an_alarm_raised_again_while_it_lasts_is_no_second_one():
    talk = Talk(silence, wait=False, alarms=(SOS, AlarmAt(Alarm.SOS, 3)), count=3)
    talk.connect()
    talk.wait(100)
    assert (talk.times(b"help me"), talk.times(b"tracker")) == ([30], [0, 60])


def test_tk103_alarms_are_sent_once_and_leave_their_mark_on_the_inputs():
    talk = Talk(protocol="tk103", alarms=(AlarmAt(Alarm.POWER_CUT, 2),))
    talk.connect()
    talk.wait(600)
    assert [said.alarm for said in talk.reports if said.alarm] == [Alarm.POWER_CUT]
    assert [said.status.external_power for said in talk.reports][:4] == [True, True, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_in_a_tunnel_there_is_no_fix(name):
    talk = Talk(protocol=name, tunnel=Span(2, 3), count=5)
    talk.connect()
    talk.wait(300)
    reports = [said for said in talk.reports if said.keyword != "0x13"]  # a heartbeat of gt06
    locked = [bool(said.fix and said.fix.valid) for said in reports]
    assert locked[-5:] == [True, False, False, True, True]


def test_a_cut_at_speed_waits_until_the_car_is_slow_and_holds_it():
    talk = Talk(interval_s=10)
    talk.connect()
    talk.wait(60)
    talk.tell(b"**,imei:864000000000101,109")
    talk.wait(240)
    told = {said.keyword: said for said in talk.reports if said.keyword in {"509", "109"}}
    assert list(told) == ["509", "109"]
    assert told["509"].fix.speed_kmh > 20
    after = [said.fix for said in talk.reports[talk.reports.index(told["109"]) :]]
    assert {(fix.speed_kmh, fix.latitude, fix.longitude) for fix in after} == {
        (0.0, after[0].latitude, after[0].longitude)
    }
    talk.tell(b"**,imei:864000000000101,K")
    talk.wait(60)
    assert talk.reports[-1].fix.speed_kmh > 0


def test_a_speed_limit_that_is_passed_rings():
    talk = Talk()
    talk.connect()
    talk.tell(b"**,imei:864000000000101,H,080")
    talk.wait(500)
    speeding = [said for said in talk.reports if said.alarm is Alarm.OVERSPEED]
    assert speeding[0].fix.speed_kmh == pytest.approx(81, abs=1)


def test_a_new_interval_holds_from_the_command_on():
    talk = Talk(interval_s=300)
    talk.connect()
    talk.wait(100)
    talk.tell(b"**,imei:864000000000101,C,20s")
    talk.wait(50)
    assert talk.times(b"tracker") == [0, 100, 120, 140]
    talk.tell(b"**,imei:864000000000101,D")
    talk.wait(500)
    assert talk.times(b"tracker") == [0, 100, 120, 140]


def test_a_sleeping_box_is_silent_while_parked():
    talk = Talk(interval_s=30)
    talk.connect()
    talk.tell(b"**,imei:864000000000101,T")
    talk.wait(900)
    (off,), (on,) = talk.times(b"acc off"), talk.times(b"acc on")
    assert [at for at, _ in talk.said if off < at < on] == []
    assert [at for at, _ in talk.said if on <= at <= on + 30]


def test_stored_points_come_first_with_their_old_times():
    talk = Talk(late=3, interval_s=30)
    talk.connect()
    talk.wait(31)
    told = [(said.keyword, (said.fix.time - START).total_seconds()) for said in talk.reports]
    assert told == [
        ("load", 0), ("tracker", -90), ("tracker", -60), ("tracker", -30), ("qt", 0),
        ("tracker", 0), ("tracker", 30),
    ]  # fmt: skip
    assert talk.box.summary.late == 3


def test_the_card_gives_back_a_day():
    talk = Talk(interval_s=30)
    talk.connect()
    talk.wait(70)
    live = [frame for _, frame in talk.said if b"tracker" in frame]
    talk.tell(b"**,imei:864000000000101,Q,20260301")
    assert [said.keyword for said in talk.reports[-5:]] == ["load", *["tracker"] * 3, "qt"]
    assert [frame for _, frame in talk.said[-4:-1]] == live


@pytest.mark.parametrize(("keep", "stamps"), [(True, [60, 90, 120]), (False, [125])])
def test_reports_made_without_a_connection_are_kept_if_asked_for(keep, stamps):
    talk = Talk(interval_s=30, keep=keep)
    talk.connect()
    talk.wait(50)
    talk.box.disconnect()
    talk.wait(75)
    before = len(talk.reports)
    talk.connect()
    talk.wait(1)
    after = talk.timed_reports[before:]
    assert {at for at, _ in after} == {125}
    assert [(said.fix.time - START).total_seconds() for _, said in after] == stamps


def test_what_a_connection_did_not_take_is_sent_on_the_next():
    talk = Talk(keep=True)
    talk.connect()
    talk.wait(1)
    (_, last) = talk.said[-1]
    talk.box.unsent([last])
    talk.box.disconnect("reset")
    talk.connect()
    assert talk.said[-1] == (1, last)
    assert Event(Happened.DISCONNECTED, reason="reset") in talk.events


def test_an_alarm_raised_without_a_connection_is_told_with_the_next():
    talk = Talk(interval_s=30, keep=True, alarms=(AlarmAt(Alarm.SOS, 3),))
    talk.connect()
    talk.wait(50)
    talk.box.disconnect()
    talk.wait(60)
    talk.connect()
    talk.wait(1)
    assert talk.times(b"help me") == [111]


@pytest.mark.parametrize("name", NAMES)
def test_without_pause_stamps_differ_and_lie_in_the_past(name):
    talk = Talk(protocol=name, interval_s=0, count=2 * WINDOW + 5)
    talk.connect()
    talk.wait(10)
    assert talk.box.finished
    stamps = [said.fix.time for said in talk.reports if said.fix][-2 * WINDOW - 5 :]
    assert all(after - before == timedelta(seconds=1) for before, after in pairwise(stamps))
    assert stamps[-1] <= START
    if name not in BEATS:
        return
    beats = talk.times(BEATS[name])
    assert len(beats) == 3 + (name == "tk103")  # two windows, the end, tk103's handshake


def test_without_pause_the_bridge_sets_the_pace():
    talk = Talk(without(b"0101;"), interval_s=0, count=1000)
    talk.connect()
    talk.wait(5)
    assert len(talk.times(b"tracker")) == WINDOW


@pytest.mark.parametrize("name", BEATS)
def test_a_run_is_finished_when_its_last_heartbeat_is_answered(name):
    talk = Talk(protocol=name, count=2)
    talk.connect()
    answer, talk.answer = talk.answer, silence
    talk.wait(35)
    at, frame = talk.said[-1]
    assert (at, BEATS[name] in frame) == (30, True)
    assert not talk.box.finished
    talk.tell(answer(frame))
    assert talk.box.finished


def test_a_run_without_heartbeats_is_finished_with_its_last_report():
    talk = Talk(silence, protocol="xexun", count=2)
    talk.connect()
    talk.wait(29)
    assert (len(talk.said), talk.box.finished) == (1, False)
    talk.wait(2)
    assert (len(talk.said), talk.box.finished) == (2, True)


def test_a_reply_to_an_earlier_heartbeat_does_not_finish_a_run():
    talk = Talk(without(b"0101;"), count=2, interval_s=60, heartbeat_s=59)
    talk.connect()
    talk.wait(60)
    assert talk.times(b"0101;") == [59, 60]
    talk.tell(b"ON")
    assert not talk.box.finished
    talk.tell(b"ON")
    assert talk.box.finished


def test_only_the_reply_to_its_last_heartbeat_finishes_a_run_of_gt06():
    answer = polite()
    beat = BEATS["gt06"]
    talk = Talk(without(beat), protocol="gt06", count=2, interval_s=60, heartbeat_s=59)
    talk.connect()
    answer(talk.said[0][1])
    talk.wait(60)
    early, last = (frame for _, frame in talk.said if beat in frame)
    talk.tell(answer(early))
    assert not talk.box.finished
    talk.tell(answer(last))
    assert talk.box.finished


def test_a_reply_that_was_lost_does_not_hold_a_run_up():
    talk = Talk(without(b"0101;"), count=2, interval_s=60, heartbeat_s=59)
    talk.connect()
    talk.wait(80)
    assert talk.times(b"0101;") == [59, 60, 80]
    talk.tell(b"ON")
    assert talk.box.finished


def test_what_is_no_command_is_ignored():
    talk = Talk()
    talk.connect()
    talk.tell(b"**,imei:864000000000101,999")
    assert talk.events[-1] == Event(Happened.IGNORED, b"**,imei:864000000000101,999")


def test_jitter_is_random_and_repeatable():
    drives = [Talk(jitter_s=20, seed=seed) for seed in (1, 1, 2)]
    for talk in drives:
        talk.connect()
        talk.wait(900)
    first, again, other = (talk.times(b"tracker") for talk in drives)
    assert first == again != other
    assert all(30 <= after - before <= 51 for before, after in pairwise(first))


def test_a_box_sent_to_sms_leaves_for_good():
    talk = Talk()
    talk.connect()
    talk.tell(b"**,imei:864000000000101,N")
    assert (talk.times(b",nt,"), talk.box.finished) == ([0], True)


@pytest.mark.parametrize("name", ["h02", "gt06"])
def test_receipts_for_reports_are_replies_and_no_commands(name):
    talk = Talk(protocol=name, count=4, alarms=(SOS,))
    talk.connect()
    talk.wait(100)
    assert talk.box.summary.replies == len(talk.said)
    assert not [event for event in talk.events if event.kind is Happened.IGNORED]


def test_stored_reports_of_gt06_are_marked_as_late():
    talk = Talk(protocol="gt06", late=2, count=2)
    talk.connect()
    talk.wait(31)
    late = [said.extra.get("replayed", False) for said in talk.reports if said.fix]
    assert late == [True, True, False, False]


def test_every_second_report_of_h02_can_be_a_record():
    talk = Talk(protocol="h02", binary_every=2, count=4)
    talk.connect()
    talk.wait(100)
    assert [said.keyword for said in talk.reports] == ["V1", "$", "V1", "$"]


def test_a_command_to_restart_dials_anew():
    talk = Talk(protocol="tk103")
    talk.connect()
    talk.tell(b"(000000000103AT00)")
    assert (talk.box.hang_up, talk.box.lost_patience, talk.box.summary.commands) == (True, False, 1)
