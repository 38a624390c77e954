"""The simulated tracker: what it says is what the decoders read, and what it obeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.model import Alarm, CommandResult
from bridge.protocols.gt06.framing import LONG, SHORT, build
from bridge.simulator import (
    AlarmAt,
    Dialect,
    Options,
    Simulator,
    Span,
    alarm_at,
    span,
    utc_offset,
)
from bridge.simulator.language import INTERVAL
from bridge.simulator.languages import LANGUAGES, language
from bridge.simulator.route import Place
from tests.bridge.simulated import DRIVING, PARKED, STANDING, decode, login, reports, tracker

GPS103, TK103 = language("gps103"), language("tk103")
EVERY = pytest.mark.parametrize("speaks", LANGUAGES, ids=lambda row: row.name)


def words(frames: list[bytes]) -> list[str]:
    return [report.keyword for report in reports(decode(frames))]


# What is said, and that the decoders read the same

PLACES = st.builds(
    Place,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    altitude_m=st.floats(-100, 5000),
    speed_kmh=st.floats(0, 250),
    course_deg=st.floats(0, 360, exclude_max=True),
    travelled_km=st.floats(0, 90_000),
    ignition=st.booleans(),
    door_open=st.booleans(),
)
SAID = st.sampled_from(
    [(row.name, alarm) for row in LANGUAGES for alarm in [None, *row.alarm_keywords]]
)


class Told(NamedTuple):
    """What the reports of a language tell beside time and place, and how finely."""

    inputs: tuple[str, ...]
    """What of the status equals what the box has."""
    alarm_inputs: tuple[str, ...] = ()
    """The same, in its alarms only."""
    speed_kmh: float = 0.2
    course_deg: float = 0.01
    repeats_place: bool = True
    """Without a fix the last place is told."""
    has_cell: bool = True


TOLD = {
    "gps103": Told(("ignition", "door_open"), repeats_place=False),
    "tk103": Told(("ignition", "door_open", "external_power", "engine_cut"), has_cell=False),
    "xexun": Told((), repeats_place=False),
    "h02": Told(("ignition", "door_open", "armed", "engine_cut"), course_deg=0.51),
    "gt06": Told(("ignition",), ("engine_cut",), speed_kmh=0.51, course_deg=0.51),
}
FLAGS = st.fixed_dictionaries(
    {name: st.booleans() for name in ("has_fix", "engine_cut", "armed", "storing")}
)


@given(
    said=SAID,
    place=PLACES,
    flags=FLAGS,
    time=st.datetimes(datetime(2001, 1, 2), datetime(2098, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    offset=st.integers(-11 * 4, 14 * 4).map(lambda quarter: quarter * 15),
)
def test_the_bridge_reads_what_the_tracker_says(said, place, flags, time, offset):
    (name, alarm), speaks, told = said, language(said[0]), TOLD[said[0]]
    box = tracker(speaks, utc_offset_minutes=offset, **flags)
    box.time = time.replace(microsecond=0)
    box.place = box.last_seen = place
    if alarm:
        box.alarms.add(alarm)
    opening = login(speaks, box)
    frame = speaks.report(box, speaks.alarm_keywords[alarm] if alarm else INTERVAL)
    received_at = box.time + timedelta(seconds=2)
    (report,) = reports(decode([frame], at=received_at, after=opening))
    assert (report.protocol, report.device_id) == (name, box.device_id[-len(report.device_id) :])
    assert report.alarms == ((alarm,) if alarm else ())
    for flag in told.inputs + (told.alarm_inputs if alarm else ()):
        assert getattr(report.status, flag) == getattr(box, flag), flag
    if told.has_cell and (speaks is not GPS103 or not box.has_fix):
        assert (report.cell.lac, report.cell.cid) == (0x1A2B, 0x3C4D)
    fix = report.fix
    if not (box.has_fix or told.repeats_place):
        assert fix is None
        return
    assert (fix.time, fix.valid) == (box.time, box.has_fix)
    assert fix.latitude == pytest.approx(place.latitude, abs=1e-5)
    assert fix.longitude == pytest.approx(place.longitude, abs=1e-5)
    assert fix.speed_kmh == pytest.approx(place.speed_kmh, abs=told.speed_kmh)
    off_deg = (fix.course_deg - place.course_deg + 180) % 360 - 180
    assert abs(off_deg) <= told.course_deg


def test_frames_of_gps103_in_full():
    box = tracker(GPS103, DRIVING, utc_offset_minutes=-210)
    assert [said.frame for said in GPS103.login(box)] == [b"##,imei:864000000000101,A;"]
    assert GPS103.heartbeat(box) == (b"864000000000101;", b"ON")
    box.place = Place(-8.5, 120.75, 31.5, 92.6, 7.25, 12.5, ignition=True, door_open=False)
    assert GPS103.report(box, "tracker") == (
        b"imei:864000000000101,tracker,260301065030,,F,102030.000,A,"
        b"0830.0000,S,12045.0000,E,50.00,7.25,31.5,1,0,79.00%,,;"
    )
    box.has_fix = False
    assert GPS103.report(box, "help me") == (
        b"imei:864000000000101,help me,260301065030,,L,,,1a2b,,3c4d,,,,,1,0,79.00%,,;"
    )


def test_frames_of_tk103_in_full():
    box = tracker(TK103, engine_cut=True)
    handshake = (b"(000000000103BP00864000000000103HSO)", b"(000000000103AP01HSO)")
    assert TK103.heartbeat(box) == handshake
    box.place = Place(8.99999999, -120.75, 0.0, 99.96, 7.25, 12.5, ignition=True, door_open=True)
    box.last_seen = box.place
    position = b"260301A0900.0000N12045.0000W100.0102030007.2501880000L000030D4)"
    assert TK103.login(box) == (
        handshake,
        (b"(000000000103BP05864000000000103" + position, b"(000000000103AP05)"),
    )
    box.has_fix = False
    box.alarms.add(Alarm.POWER_CUT)
    assert TK103.report(box, TK103.alarm_keywords[Alarm.POWER_CUT]) == (
        b"(000000000103,ZC13,010326,V,0900.0000N,12045.0000W,99.96,102030,7.25,11880000,L000030D4)"
    )


def test_a_twelve_digit_id_is_sent_as_it_is():
    assert TK103.heartbeat(tracker(TK103, device_id="138000000012")).frame == (
        b"(138000000012BP00000138000000012HSO)"
    )


# Commands


@pytest.mark.parametrize(
    ("command", "driven_s", "answer", "left"),
    [
        ("B", DRIVING, ["tracker"], {}),
        ("100", DRIVING, ["001"], {}),
        ("C,20s", DRIVING, ["tracker"], {"interval_s": 20}),
        ("C,02m", DRIVING, ["tracker"], {"interval_s": 120}),
        ("101,030s", DRIVING, ["001"], {"interval_s": 30}),
        ("C,00s", DRIVING, None, {"interval_s": 30}),
        ("C", DRIVING, None, {"interval_s": 30}),
        ("D", DRIVING, ["dt"], {"interval_s": None}),
        ("102", DRIVING, ["102"], {"interval_s": None}),
        ("E", DRIVING, ["et"], {"alarms": set()}),
        ("104", DRIVING, ["104"], {"alarms": set()}),
        ("H,080", DRIVING, ["ht"], {"speed_limit_kmh": 80}),
        ("H,x", DRIVING, None, {"speed_limit_kmh": None}),
        ("I,-3", DRIVING, ["it"], {"utc_offset_minutes": -180}),
        ("108,nan", DRIVING, None, {"utc_offset_minutes": 0}),
        ("J", STANDING, ["jt"], {"engine_cut": True}),
        ("109", STANDING, ["109"], {"engine_cut": True}),
        ("J", DRIVING, [], {"engine_cut": False, "cut_postponed": True}),
        ("109", DRIVING, ["509"], {"engine_cut": False, "cut_postponed": True}),
        ("K", DRIVING, ["kt"], {"engine_cut": False}),
        ("110", DRIVING, ["110"], {"engine_cut": False}),
        ("L", DRIVING, ["lf"], {"armed": False}),
        ("111", DRIVING, ["511"], {"armed": False}),
        ("L", PARKED, ["lt"], {"armed": True}),
        ("111", PARKED, ["111"], {"armed": True}),
        ("M", PARKED, ["mt"], {"armed": False}),
        ("112", PARKED, ["112"], {"armed": False}),
        ("T", PARKED, ["tt"], {"asleep": True}),
        ("119", PARKED, ["119"], {"asleep": False}),
        ("Q,20260301", DRIVING, ["load", "qt"], {}),
        ("A", DRIVING, [], {}),
        ("999", DRIVING, None, {}),
        ("", DRIVING, None, {}),
    ],
)
def test_gps103_obeys(command, driven_s, answer, left):
    box = tracker(GPS103, driven_s, alarms={Alarm.SOS})
    answers = GPS103.obey(box, f"**,imei:864000000000101,{command}".encode())
    assert (answers if answers is None else words(answers)) == answer
    assert {name: getattr(box, name) for name in left} == left


@pytest.mark.parametrize(
    ("command", "answer", "left"),
    [
        ("AP00", ["BP04"], {}),
        ("AR00003C0000", ["BR00"], {"interval_s": 60}),
        ("AR0000000000", ["BR00"], {"interval_s": None}),
        ("AR00zzzz0000", None, {"interval_s": 30}),
        ("AV010", ["BR00"], {"engine_cut": True}),
        ("AV011", ["BR00"], {"engine_cut": False}),
        ("AX01", ["BR00"], {"odometer_km": 0.0}),
        ("AT00", [], {}),
        ("AQ99", None, {}),
    ],
)
def test_tk103_obeys(command, answer, left):
    box = tracker(TK103, DRIVING)
    answers = TK103.obey(box, f"(000000000103{command})".encode())
    assert (answers if answers is None else words(answers)) == answer
    assert {name: getattr(box, name) for name in left} == left


def test_tk103_tells_its_version_in_words():
    ((result,),) = (
        event.messages for event in decode(TK103.obey(tracker(TK103), b"(000000000103AP07)"))
    )
    assert isinstance(result, CommandResult)
    assert result.text.startswith("Notice: Device version")


@EVERY
def test_commands_for_others_are_not_obeyed(speaks):
    box = tracker(speaks)
    for phrase in (
        b"**,imei:864000000000999,J", b"(000000000999AV010)", b"*HQ,8640000999,S20,102030,1,1#",
        b"powercar654321 11", b"LOAD", b"(", b"*HQ,8640000105,S20#", b"xx", b"",
    ):  # fmt: skip
        assert speaks.obey(box, phrase) is None
        assert not speaks.confirms(box, phrase)
    assert not box.engine_cut


@pytest.mark.parametrize(
    ("dialect", "obeyed"), [(Dialect.LETTERS, ["B"]), (Dialect.NUMBERS, ["100"])]
)
def test_a_box_of_one_dialect_is_deaf_to_the_other(dialect, obeyed):
    box = tracker(GPS103, dialect=dialect)
    answers = {
        name: GPS103.obey(box, f"**,imei:864000000000101,{name}".encode()) for name in ("B", "100")
    }
    assert [name for name, answer in answers.items() if answer] == obeyed
    assert words([GPS103.report(box, INTERVAL)]) == ["001" if obeyed == ["100"] else "tracker"]


PHRASES = {
    "gps103": [b"LOAD", b"**,imei:864000000000101,C,30s", b"ON", b"**,imei:864000000000101,E"],
    "tk103": [b"(000000000103AP01HSO)", b"(000000000103AR00003C0000)", b"(000000000103AP05)"],
    "xexun": [b"powercar123456 11", b"powercar123456 00"],
    "h02": [b"*HQ,8640000105,V4,V1,20260301102030#", b"*HQ,8640000105,V0#"],
    "gt06": [
        build(SHORT, 0x01, b"\0\1"),
        build(SHORT, 0x80, b"\0\0", b"\x0c\0\0\r\nRelay,0#"),
        build(LONG, 0x97, b"\0\0", b"\x0b\0\0\0\0NA&&NA&&0##"),
        build(SHORT, 0x12, b"\r\n"),
    ],
}


@pytest.mark.parametrize("name", PHRASES)
def test_phrases_that_come_in_one_read_are_told_apart(name):
    split, phrases = language(name).split, PHRASES[name]
    heard, rest = split(b"".join(phrases) + b";\r\n")
    assert (heard, split(rest)[0]) == (phrases, [])
    for phrase in (phrases[0], phrases[-1]):
        nothing, rest = split(phrase[:2])
        assert (nothing, split(rest + phrase[2:])[0]) == ([], [phrase])


# What can be asked for


def test_options_read_as_on_the_command_line():
    assert alarm_at("power_cut@3") == AlarmAt(Alarm.POWER_CUT, 3)
    assert (span("4-6"), span("7")) == (Span(4, 6), Span(7, 7))
    assert [utc_offset(text) for text in ("+08:00", "-3", "0530", "0")] == [480, -180, 330, 0]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (alarm_at, "help me@3"),
        (alarm_at, "sos"),
        (alarm_at, "sos@0"),
        (span, "6-4"),
        (span, "0"),
        (span, "4-"),
        (utc_offset, "+15:00"),
        (utc_offset, "Berlin"),
    ],
)
def test_options_that_make_no_sense_say_what_would(read, text):
    with pytest.raises(ConfigError, match=r"\(.+\)"):
        read(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": -1},
        {"speed_up": 0},
        {"transport": "udp", "fragment": 3},
        {"protocol": "morse"},
        {"device_id": "12"},
        {"protocol": "tk103", "device_id": "13800000001x"},
        {"route": "nowhere.gpx"},
    ],
)
def test_options_nobody_can_follow_are_refused_before_a_socket_opens(wrong):
    with pytest.raises(ConfigError):
        Simulator(Options(**wrong))


def test_an_alarm_the_protocol_has_no_word_for_is_refused_with_those_it_has():
    with pytest.raises(ConfigError, match=r"no word for the alarm idle.*accident, bonnet"):
        Simulator(Options(protocol="gps103", alarms=(AlarmAt(Alarm.IDLE, 1),)))
