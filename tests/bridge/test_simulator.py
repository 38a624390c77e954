"""The simulated tracker: what it says is what the decoders read, and what it obeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.model import Alarm, CommandResult, Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
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
from bridge.simulator.language import INTERVAL, Language
from bridge.simulator.languages import LANGUAGES, language
from bridge.simulator.route import PARKED_S, Place, built_in_loop
from bridge.simulator.tracker import SimulatedTracker

START = datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)
GPS103, TK103 = language("gps103"), language("tk103")
STANDING = 0.0  # seconds into the built-in loop
DRIVING = 100.0
PARKED = next(leg.start_s for leg in built_in_loop().legs if leg.parked) + PARKED_S / 2
BOTH = pytest.mark.parametrize("speaks", LANGUAGES, ids=lambda row: row.name)


def tracker(speaks: Language, driven_s: float = STANDING, **fields) -> SimulatedTracker:
    device_id = fields.pop("device_id", speaks.device_id)
    return SimulatedTracker(
        device_id=device_id, route=built_in_loop(), time=START, driven_s=driven_s, **fields
    )


def decode(frames: list[bytes], *, at: datetime = START) -> list[Received]:
    """What the bridge makes of frames; each of them must be understood."""
    connection = Connection(PROTOCOLS)
    connection.receive_data(b"".join(frames))
    connection.receive_eof()
    events = list(connection.events(at))
    assert [event.frame for event in events] == frames
    assert all(isinstance(event, Received) for event in events), events
    return events


def reports(events: list[Received]) -> list[Report]:
    messages = [message for event in events for message in event.messages]
    return [message for message in messages if isinstance(message, Report)]


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


@given(
    said=SAID,
    place=PLACES,
    flags=st.tuples(st.booleans(), st.booleans()),
    time=st.datetimes(datetime(2001, 1, 2), datetime(2098, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    offset=st.integers(-11 * 4, 14 * 4).map(lambda quarter: quarter * 15),
)
def test_the_bridge_reads_what_the_tracker_says(said, place, flags, time, offset):
    (name, alarm), (has_fix, cut) = said, flags
    speaks = language(name)
    box = tracker(speaks, utc_offset_minutes=offset, has_fix=has_fix, engine_cut=cut)
    box.time = time.replace(microsecond=0)
    box.place = box.last_seen = place
    if alarm:
        box.alarms.add(alarm)
    frame = speaks.report(box, speaks.alarm_keywords[alarm] if alarm else INTERVAL)
    (report,) = reports(decode([frame], at=box.time + timedelta(seconds=2)))
    assert report.protocol == speaks.name
    assert report.alarms == ((alarm,) if alarm else ())
    assert (report.status.ignition, report.status.door_open) == (box.ignition, box.door_open)
    if speaks is TK103:
        assert (report.status.external_power, report.status.engine_cut) == (
            box.external_power,
            cut,
        )
    if speaks is GPS103 and not has_fix:
        assert (report.fix, report.cell.lac, report.cell.cid) == (None, 0x1A2B, 0x3C4D)
        return
    fix = report.fix
    assert (fix.time, fix.valid) == (box.time, has_fix)
    assert fix.latitude == pytest.approx(place.latitude, abs=1e-5)
    assert fix.longitude == pytest.approx(place.longitude, abs=1e-5)
    assert fix.speed_kmh == pytest.approx(place.speed_kmh, abs=0.2)
    assert fix.course_deg == pytest.approx(place.course_deg, abs=0.01)


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


@BOTH
def test_commands_for_others_are_not_obeyed(speaks):
    box = tracker(speaks)
    for phrase in (b"**,imei:864000000000999,J", b"(000000000999AV010)", b"LOAD", b"(", b""):
        assert speaks.obey(box, phrase) is None
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
