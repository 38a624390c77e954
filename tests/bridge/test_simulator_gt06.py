"""The simulated tracker that speaks gt06."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.model import Alarm, CommandResult, Login
from bridge.protocols.gt06.framing import SHORT, build
from bridge.simulator.language import INTERVAL
from bridge.simulator.languages import language
from bridge.simulator.route import Place
from bridge.simulator.tracker import Happening
from tests.bridge.simulated import DRIVING, STANDING, START, decode, login, reports, tracker

GT06 = language("gt06")
MARK = b"\x12\x34\x56\x78"


def command(text: str, *, behind: bytes = b"") -> bytes:
    said = text.encode()
    return build(SHORT, 0x80, b"\0\0", bytes((len(MARK + said),)) + MARK + said + behind)


def said_by(box, frames: list[bytes]) -> list:
    return [
        message for event in decode(frames, after=login(GT06, box)) for message in event.messages
    ]


def test_frames_in_full():
    box = tracker(GT06, utc_offset_minutes=-210, engine_cut=True)
    (opening,) = GT06.login(box)
    assert opening == (
        bytes.fromhex("787811010864000000000106" "0701" "14aa" "0001" "f5b30d0a"),
        bytes.fromhex("78780501" "0001" "d9dc0d0a"),
    )  # fmt: skip
    box.place = Place(-8.5, -120.75, 31.5, 92.6, 7.25, 12.5, ignition=True, door_open=False)
    gps = "1a030106321ec900e975a00cf47f705dd807"
    cell = "0106011a2b003c4d"
    frame = GT06.report(box, INTERVAL).hex()
    assert (frame[:8], frame[8:60], frame[60:64], frame[-4:]) == (
        "78781f12", gps + cell, "0002", "0d0a",
    )  # fmt: skip
    frame = GT06.report(box, "01").hex()
    assert (frame[:8], frame[8:72], frame[72:76]) == (
        "78782516", f"{gps}09{cell}c606030102", "0003",
    )  # fmt: skip
    assert GT06.heartbeat(box).frame.hex()[:22] == "78780a13c6060300020004"


@pytest.mark.parametrize("minutes", [0, 480, -210, 330, 840, -720])
def test_times_are_those_of_the_zone_that_the_login_told(minutes):
    box = tracker(GT06, utc_offset_minutes=minutes)
    opening = login(GT06, box)
    frame = GT06.report(box, INTERVAL)
    local = START + timedelta(minutes=minutes)
    assert frame[4:10] == bytes((26, local.month, local.day, local.hour, local.minute, 30))
    (report,) = reports(decode([frame], after=opening))
    assert report.fix.time == START


def test_what_it_waits_for_is_what_it_gets():
    box = tracker(GT06)
    for said in (*GT06.login(box), GT06.heartbeat(box)):
        opening = [] if said.frame[3] == 1 else login(GT06, box)
        (event,) = decode([said.frame], after=opening)
        assert event.reply == said.awaits
        assert isinstance(event.messages[0], Login) is (said.frame[3] == 1)


@pytest.mark.parametrize("keyword", [INTERVAL, *GT06.alarm_keywords.values()])
def test_the_reply_to_a_report_is_known_by_kind_and_sum(keyword):
    box = tracker(GT06)
    opening = login(GT06, box)
    (event,) = decode([GT06.report(box, keyword)], after=opening)
    assert GT06.confirms(box, event.reply)
    broken = event.reply[:-4] + bytes((event.reply[-4] ^ 1,)) + event.reply[-3:]
    assert not GT06.confirms(box, broken)
    assert not GT06.confirms(box, opening[0])


def test_frames_are_numbered_one_by_one_and_over_again():
    box = tracker(GT06, numbered=0xFFFD)
    frames = [GT06.heartbeat(box).frame, GT06.report(box, "01"), GT06.report(box, INTERVAL)]
    assert [frame[-6:-4].hex() for frame in frames] == ["fffe", "ffff", "0000"]


def test_a_stored_report_is_marked_as_late():
    box = tracker(GT06)
    frames = []
    for storing in (False, True):
        box.storing = storing
        frames.append(GT06.report(box, INTERVAL))
    live, late = said_by(box, frames)
    assert (live.keyword, late.keyword) == ("0x12", "0x22")
    assert ("replayed" in live.extra, late.extra["replayed"]) == (False, True)


@pytest.mark.parametrize(
    ("happening", "told"),
    [
        (Happening.IGNITION_ON, ["0x22"]),
        (Happening.IGNITION_OFF, ["0x22"]),
        (Happening.SPEEDING, []),
    ],
)
def test_a_change_of_the_ignition_is_told_with_its_reason(happening, told):
    box = tracker(GT06)
    said = said_by(box, GT06.happened(box, happening))
    assert [report.keyword for report in said] == told
    assert all(report.extra["reason"] == 3 for report in said)
    assert all("replayed" not in report.extra for report in said)


@pytest.mark.parametrize(
    ("alarms", "level", "charging"),
    [(set(), 100.0, True), ({Alarm.LOW_BATTERY}, 16.0, True), ({Alarm.POWER_CUT}, 100.0, False)],
)
def test_the_heartbeat_tells_battery_and_supply(alarms, level, charging):
    box = tracker(GT06, alarms=alarms, engine_cut=True)
    (report,) = said_by(box, [GT06.heartbeat(box).frame])
    assert (report.alarm, report.fix, report.status.engine_cut) == (None, None, True)
    assert (report.status.battery_percent, report.status.charging) == (level, charging)


@pytest.mark.parametrize(
    ("text", "driven_s", "answer", "cut"),
    [
        ("Relay,1#", STANDING, "Relay=Success!", True),
        ("Relay,0#", DRIVING, "Relay=Success!", False),
        ("DYD,123456#", STANDING, "DYD=Success!", True),
        ("HFYD,123456#", STANDING, "HFYD=Success!", False),
        ("Relay,1#", DRIVING, "Relay=Speed Limit, Speed 55km/h", False),
    ],
)
@pytest.mark.parametrize("behind", [b"", b"\0\2"])
def test_it_obeys_and_answers_in_words(text, driven_s, answer, cut, behind):
    box = tracker(GT06, driven_s)
    frames = GT06.obey(box, command(text, behind=behind))
    assert frames[0][5:9] == MARK
    (result,) = said_by(box, frames)
    assert isinstance(result, CommandResult)
    assert (result.keyword, result.text, box.engine_cut) == ("0x15", answer, cut)


def test_without_a_fix_it_does_not_cut():
    box = tracker(GT06, has_fix=False)
    (result,) = said_by(box, GT06.obey(box, command("Relay,1#")))
    assert (result.text, box.engine_cut) == ("Relay=Unvalued Fix", False)


def test_what_it_does_not_understand_it_does_not_do():
    box = tracker(GT06)
    whole = command("Relay,1#")
    other_sum = whole[:-4] + bytes((whole[-4] ^ 1,)) + whole[-3:]
    for phrase in (command("DYD,654321#"), command("WHERE#"), other_sum, build(SHORT, 1, b"\0\1")):
        assert GT06.obey(box, phrase) is None
    assert (box.engine_cut, box.numbered) == (False, 0)


def test_what_begins_no_frame_and_what_ends_as_none_is_skipped():
    whole = command("Relay,0#")
    assert GT06.split(b"noise" + whole + b"\x78\x78\x01abcdef" + whole) == ([whole, whole], b"")
    assert GT06.split(whole[:-1]) == ([], whole[:-1])
