"""The simulated tracker that speaks h02, in text and in records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.model import Alarm, CommandResult, Heartbeat, Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.h02 import PROTOCOL
from bridge.simulator import Options
from bridge.simulator.language import INTERVAL
from bridge.simulator.languages import language
from bridge.simulator.route import Place
from tests.bridge.simulated import DRIVING, START, decode, reports, tracker

H02 = language("h02")
LONG_ID = "864000000077105"
"""Its last digits are no time of day, else a record's place could be read at that of a short id."""

PLACES = st.builds(
    Place,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    altitude_m=st.just(0.0),
    speed_kmh=st.floats(0, 250),
    course_deg=st.floats(0, 360, exclude_max=True),
    travelled_km=st.just(0.0),
    ignition=st.booleans(),
    door_open=st.booleans(),
)


def test_frames_in_full():
    box = tracker(H02, alarms={Alarm.SOS}, armed=True, engine_cut=True)
    box.place = Place(-8.5, 120.75, 31.5, 92.6, 7.25, 12.5, ignition=False, door_open=True)
    assert H02.report(box, "FFFFFFFD") == (
        b"*HQ,8640000105,V1,102030,A,0830.0000,S,12045.0000,E,050.00,007,010326,F7FFF8FD,"
        b"262,01,6699,15437#"
    )
    box.binary_every = 2
    assert H02.report(box, INTERVAL).hex() == (
        "24" "8640000105" "102030" "010326" "08300000" "5f" "120450000" "a" "050007" "f7fff8ff"
        + "00" * 15 + "02"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("device_id", "frame", "echo", "said"),
    [
        ("8640000105", b"*HQ,8640000105,V0#", b"*HQ,8640000105,V0#", Heartbeat),
        (LONG_ID, b"*HQ,864000000077105,HTBT,95#", b"*HQ,864000000077105,HTBT#", Report),
    ],
)
def test_the_heartbeat_waits_for_the_echo_it_gets(device_id, frame, echo, said):
    assert H02.heartbeat(tracker(H02, device_id=device_id)) == (frame, echo)
    (event,) = decode([frame])
    assert (event.reply, type(event.messages[0])) == (echo, said)


def test_the_server_s_receipt_is_known():
    box = tracker(H02)
    (event,) = decode([H02.report(box, INTERVAL)])
    assert event.reply == b"*HQ,8640000105,V4,V1,20260301102030#"
    assert H02.confirms(box, event.reply)
    assert not H02.confirms(box, b"*HQ,8640000999,V4,V1,20260301102030#")


@given(
    drive=st.lists(st.tuples(PLACES, st.booleans(), st.sampled_from([None, *H02.alarm_keywords]))),
    device_id=st.sampled_from([H02.device_id, LONG_ID]),
    binary_every=st.integers(0, 3),
    numbered=st.integers(0, 300),
    time=st.datetimes(datetime(2001, 1, 2), datetime(2098, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    piece=st.integers(1, 60),
)
def test_text_and_records_on_one_connection_read_back(  # noqa: PLR0917 - drawn
    drive, device_id, binary_every, numbered, time, piece
):
    """However they are chopped; the counter of a record is now and then the mark of a next one."""
    box = tracker(H02, device_id=device_id, binary_every=binary_every, numbered=numbered)
    box.time = time.replace(microsecond=0)
    connection, events, frames = Connection([PROTOCOL]), [], []
    for place, has_fix, alarm in drive:
        box.place = box.last_seen = place
        box.has_fix, box.alarms = has_fix, {alarm} - {None}
        frames.append(H02.report(box, H02.alarm_keywords.get(alarm, INTERVAL)))
    wire = b"".join(frames)
    for start in range(0, len(wire), piece):
        connection.receive_data(wire[start : start + piece])
        events += connection.events(START)
    assert all(isinstance(event, Received) for event in events)
    for frame, report, (place, has_fix, alarm) in zip(frames, reports(events), drive, strict=True):
        binary = frame.startswith(b"$")
        assert (report.device_id, report.fix.time, report.fix.valid) == (
            device_id, box.time, has_fix,
        )  # fmt: skip
        assert report.fix.latitude == pytest.approx(place.latitude, abs=1e-5)
        assert report.fix.longitude == pytest.approx(place.longitude, abs=1e-5)
        assert report.fix.speed_kmh == pytest.approx(place.speed_kmh, abs=0.95 if binary else 0.2)
        assert abs((report.fix.course_deg - place.course_deg + 180) % 360 - 180) <= 0.51
        assert report.alarms == ((alarm,) if alarm else ())
        assert report.status.ignition == place.ignition
        assert report.status.door_open == place.door_open
        assert report.status.battery_percent == (95.0 if binary else None)


@pytest.mark.parametrize(
    ("binary_every", "kinds"), [(0, "****"), (1, "$$$$"), (2, "*$*$"), (3, "**$*")]
)
def test_every_nth_report_is_a_record(binary_every, kinds):
    box = tracker(H02, binary_every=binary_every)
    said = b"".join(H02.report(box, INTERVAL)[:1] for _ in kinds)
    assert said.decode() == kinds


@pytest.mark.parametrize(("device_id", "size"), [("8640000105", 45), (LONG_ID, 42)])
def test_a_record_is_as_long_as_its_id_wants(device_id, size):
    assert len(H02.report(tracker(H02, device_id=device_id, binary_every=1), INTERVAL)) == size


def test_there_is_no_record_in_minus_so_many_reports():
    with pytest.raises(ConfigError, match="binary_every"):
        Options(protocol="h02", binary_every=-1)


def test_a_cut_of_power_stays_in_the_status():
    box = tracker(H02, alarms={Alarm.POWER_CUT})
    said = reports(decode([H02.report(box, "FFFFFFFD"), H02.report(box, INTERVAL)]))
    assert [report.alarms for report in said] == [(Alarm.SOS, Alarm.POWER_CUT), (Alarm.POWER_CUT,)]


@pytest.mark.parametrize(
    ("name", "arguments", "left"),
    [
        ("S20", "1,1", {"engine_cut": True}),
        ("S20", "1,0", {"engine_cut": False}),
        ("SCF", "0,0", {"armed": True}),
        ("SCF", "1,1", {"armed": False}),
        ("S71", "22,60", {"interval_s": 60.0}),
        ("D1", "20", {"interval_s": 20.0}),
    ],
)
def test_it_obeys_and_says_so_with_its_place(name, arguments, left):
    box = tracker(H02, DRIVING, armed=name == "SCF" and arguments == "1,1")
    (event,) = decode(H02.obey(box, f"*HQ,8640000105,{name},101500,{arguments}#".encode()))
    result, report = event.messages
    assert isinstance(result, CommandResult)
    assert result.text == f"{name},DONE,101500"
    assert (report.keyword, report.fix.time) == ("V4", START)
    assert (report.status.engine_cut, report.status.armed) == (box.engine_cut, box.armed)
    assert {field: getattr(box, field) for field in left} == left


@pytest.mark.parametrize(
    "command", ["S20,101500,1,2", "S20", "SCF,101500,0,1", "S71,101500,22,0", "D1,101500,x", "R8,1"]
)
def test_what_it_does_not_understand_it_does_not_do(command):
    box = tracker(H02)
    assert H02.obey(box, f"*HQ,8640000105,{command}#".encode()) is None
    assert (box.engine_cut, box.armed, box.interval_s) == (False, False, 30.0)
