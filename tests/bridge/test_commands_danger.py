"""What cuts an engine is found in whatever is sent, and what does not is let through."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import command as c
from bridge.protocols.encoding import Target, UnsupportedCommandError, encode
from bridge.protocols.gt06.framing import SHORT, build
from bridge.protocols.registry import PROTOCOLS, VOCABULARIES

ID = "864000000001234"
NAMES = [protocol.name for protocol in PROTOCOLS]
WAYS = [(name, dialect) for name in NAMES for dialect in VOCABULARIES[name].dialects]

_ids = st.text("0123456789", min_size=10, max_size=15)
_passwords = st.text("0123456789", min_size=4, max_size=6)
_targets = st.builds(
    Target,
    device_id=_ids,
    password=_passwords,
    now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made aware
        lambda at: at.replace(tzinfo=UTC)
    ),
    dialect=st.just(""),
)
_latitudes, _longitudes = st.floats(-90, 90), st.floats(-180, 180)
_harmless: dict[type[c.Command], st.SearchStrategy[Any]] = {
    c.RequestPosition: st.just(c.RequestPosition()),
    c.SetInterval: st.builds(c.SetInterval, seconds=st.integers(5, 24 * 3600)),
    c.StopReporting: st.just(c.StopReporting()),
    c.Arm: st.just(c.Arm()),
    c.Disarm: st.just(c.Disarm()),
    c.AcknowledgeAlarm: st.just(c.AcknowledgeAlarm()),
    c.ResumeEngine: st.just(c.ResumeEngine()),
    c.SpeedLimit: st.builds(c.SpeedLimit, kmh=st.integers(0, 300)),
    c.MovementAlarm: st.builds(c.MovementAlarm, enabled=st.booleans()),
    c.Fence: st.builds(
        c.Fence, north=_latitudes, west=_longitudes, south=_latitudes, east=_longitudes
    ),
    c.ClearFence: st.just(c.ClearFence()),
    c.SetTimeZone: st.builds(c.SetTimeZone, offset_minutes=st.integers(-720, 840)),
    c.LessGprs: st.builds(c.LessGprs, enabled=st.booleans()),
    c.UploadLog: st.builds(c.UploadLog, day=st.dates(date(2000, 1, 1), date(2100, 1, 1))),
    c.Reboot: st.just(c.Reboot()),
    c.RequestVersion: st.just(c.RequestVersion()),
    c.ResetOdometer: st.just(c.ResetOdometer()),
    c.SwitchOutput: st.builds(c.SwitchOutput, data=st.text("0123456789", min_size=1, max_size=8)),
    c.TakePhoto: st.just(c.TakePhoto()),
    c.Identify: st.just(c.Identify()),
    c.SosAlarm: st.builds(c.SosAlarm, enabled=st.booleans()),
    c.SetServer: st.builds(
        c.SetServer, address=st.ip_addresses(v=4).map(str), port=st.integers(1, 65535)
    ),
    c.SosNumber: st.builds(c.SosNumber, phone=st.from_regex(r"\+?[0-9]{3,20}", fullmatch=True)),
}


def _in(dialect: str, target: Target) -> Target:
    return Target(
        device_id=target.device_id, now=target.now, password=target.password, dialect=dialect
    )


@pytest.mark.parametrize(("name", "dialect"), WAYS)
@given(target=_targets)
def test_every_engine_stop_is_found(name: str, dialect: str, target: Target) -> None:
    vocabulary = VOCABULARIES[name]
    if c.StopEngine not in vocabulary.dialects[dialect]:
        return
    assert vocabulary.cuts_engine(encode(name, vocabulary, c.StopEngine(), _in(dialect, target)))


@pytest.mark.parametrize(
    ("name", "dialect", "kind"),
    [
        (name, dialect, kind)
        for name, dialect in WAYS
        for kind in VOCABULARIES[name].dialects[dialect]
        if kind not in (c.StopEngine, c.SwitchOutput, c.Raw)
    ],
)
@settings(max_examples=25)
@given(data=st.data())
def test_no_other_command_is_taken_for_one(
    name: str, dialect: str, kind: type[c.Command], data: st.DataObject
) -> None:
    vocabulary = VOCABULARIES[name]
    target = _in(dialect, data.draw(_targets))
    try:
        said = encode(name, vocabulary, data.draw(_harmless[kind]), target)
    except UnsupportedCommandError:
        return
    assert not vocabulary.cuts_engine(said)
    assert not vocabulary.forbids(said)


def test_every_kind_of_command_is_tried() -> None:
    kinds = {kind for name in NAMES for kind in VOCABULARIES[name].kinds()}
    assert set(_harmless) | {c.StopEngine, c.Raw} == kinds


def _raw(name: str, dialect: str, text: str) -> bytes:
    target = Target(device_id=ID, now=datetime(2026, 5, 1, tzinfo=UTC), dialect=dialect)
    return encode(name, VOCABULARIES[name], c.Raw(text=text), target)


TRICKS = {
    "gps103": [
        "J", "j", " J ", "J;", "J,1", "109", " 109", "0109", "109;", "B,J", "B;J",
        f"B;**,imei:{ID},J", f"B**,imei:{ID},109", f"B**,imei:{ID} J", "B J", "H,080;109",
        f"**,IMEI:{ID},j;", "150", "152,080", "stop123456", "STOP 654321", "stop", "U,109",
    ],
    "tk103": [
        "AV010", "av010", "AV01 0", "AV01", "AV012", f"AP00)({ID}AV010", f"AP00)({ID},AV010",
        "[begin]sms2,stopelec123456,[end]", "stopelec000000", "StopElec", "*turnoff*",
    ],
    "xexun": [
        "powercar123456 11", "POWERCAR123456 11", "powercar 11", "powercar123456  11",
        "powercar123456 00powercar123456 11", "powercar123456 01", "powercar9999 11", "stop123456",
    ],
    "h02": [
        f"*HQ,{ID},S20,010203,1,1#", f"*hq,{ID},s20,010203,1,1#", f"*TH,{ID},S20,,1,3,10,3,5#",
        f"*HQ,{ID},S20,010203,1,0#*HQ,{ID},S20,010203,1,1#", f"*HQ,{ID}, S20 ,010203,1,1#",
        f"*HQ,{ID},S20,010203,1,0,1#", f"*HQ,{ID},S20,010203,2,0#", f"*HQ,{ID},SMS,9401234#",
        "940123456", "555",
    ],
    "gt06": [
        "Relay,1#", "RELAY,1#", "relay, 1 #", "Relay,2#", "Relay,0,1#", "DYD,123456#", "dyd#",
        "DYD,000000#", "STATUS#Relay,1#", "stop123456", "Relay,0#DYD,1#",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dialect", "text"),
    [(name, dialect, text) for name, dialect in WAYS for text in TRICKS[name]],
)
def test_an_engine_stop_in_raw_words_is_found(name: str, dialect: str, text: str) -> None:
    cuts = VOCABULARIES[name].cuts_engine
    assert cuts(_raw(name, dialect, text))
    assert cuts(text.encode())  # before it is dressed for a protocol, too


PLAIN = {
    "gps103": ["B", "H,109", "107,109", "F,0050m", "100", "U,045", "T", "123", "K", "110"],
    "tk103": ["AP00", "AV011", "AA00", "*status*", "*getposl*"],
    "xexun": ["powercar123456 00", "begin123456", "supplyelec123456"],
    "h02": [
        f"*HQ,{ID},S20,010203,1,0#",
        f"*HQ,{ID},S17,010203#",
        f"*HQ,{ID},D1,010203,940#",
        f"*HQ,{ID},S71,010203,22,555#",
    ],
    "gt06": ["STATUS#", "WHERE#", "Relay,0#", "HFYD,123456#"],
}


@pytest.mark.parametrize(
    ("name", "dialect", "text"),
    [(name, dialect, text) for name, dialect in WAYS for text in PLAIN[name]],
)
def test_raw_words_that_are_known_to_be_harmless_pass(name: str, dialect: str, text: str) -> None:
    said = _raw(name, dialect, text)
    assert not VOCABULARIES[name].cuts_engine(said)
    assert not VOCABULARIES[name].forbids(said)


def test_a_second_frame_behind_a_whole_one_is_found() -> None:
    words = build(SHORT, 0x80, bytes(2), b"\x0b\0\0\0\0STATUS#")
    stop = encode(
        "gt06",
        VOCABULARIES["gt06"],
        c.StopEngine(),
        Target(device_id=ID, now=datetime(2026, 5, 1, tzinfo=UTC)),
    )
    assert not VOCABULARIES["gt06"].cuts_engine(words)
    assert VOCABULARIES["gt06"].cuts_engine(words + stop)


@pytest.mark.parametrize(("name", "dialect"), WAYS)
@pytest.mark.parametrize("text", ["quickstop123456", "QuickStop", "quick stop 1", "x;quickstop"])
def test_the_guard_against_cutting_at_speed_is_never_taken_away(
    name: str, dialect: str, text: str
) -> None:
    said = _raw(name, dialect, text)
    assert VOCABULARIES[name].forbids(said)
    assert VOCABULARIES[name].cuts_engine(said)


@pytest.mark.parametrize("text", ["104", " 104", "0104", "104;", f"B;**,imei:{ID},104"])
def test_the_number_that_erases_every_alarm_is_never_sent(text: str) -> None:
    assert VOCABULARIES["gps103"].forbids(_raw("gps103", "letters", text))
    assert not VOCABULARIES["gps103"].forbids(_raw("gps103", "letters", "H,104"))
