"""Commands as exact bytes, for each protocol and dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge import command as c
from bridge import orders
from bridge.protocols.encoding import Target, UnsupportedCommandError, encode
from bridge.protocols.registry import PROTOCOLS, VOCABULARIES

ID = "864000000001234"
NOW = datetime(2026, 5, 1, 1, 2, 3, tzinfo=UTC)

FENCE = c.Fence(north=52.5, west=13.25, south=52.0, east=13.5)

WIRE: list[tuple[str, str, c.Command, str]] = [
    ("gps103", "letters", c.RequestPosition(), f"**,imei:{ID},B"),
    ("gps103", "numbers", c.RequestPosition(), f"**,imei:{ID},100"),
    ("gps103", "letters", c.SetInterval(seconds=10), f"**,imei:{ID},C,10s"),
    ("gps103", "letters", c.SetInterval(seconds=30), f"**,imei:{ID},C,30s"),
    ("gps103", "letters", c.SetInterval(seconds=90), f"**,imei:{ID},C,90s"),
    ("gps103", "letters", c.SetInterval(seconds=5940), f"**,imei:{ID},C,99m"),
    ("gps103", "letters", c.SetInterval(seconds=120), f"**,imei:{ID},C,02m"),
    ("gps103", "letters", c.SetInterval(seconds=86400), f"**,imei:{ID},C,24h"),
    ("gps103", "numbers", c.SetInterval(seconds=30), f"**,imei:{ID},101,30s"),
    ("gps103", "numbers", c.SetInterval(seconds=3600), f"**,imei:{ID},101,01h"),
    ("gps103", "letters", c.StopReporting(), f"**,imei:{ID},D"),
    ("gps103", "numbers", c.StopReporting(), f"**,imei:{ID},102"),
    ("gps103", "letters", c.AcknowledgeAlarm(), f"**,imei:{ID},E;"),
    ("gps103", "numbers", c.AcknowledgeAlarm(), f"**,imei:{ID},E;"),
    ("gps103", "letters", c.StopEngine(), f"**,imei:{ID},J"),
    ("gps103", "numbers", c.StopEngine(), f"**,imei:{ID},109"),
    ("gps103", "letters", c.ResumeEngine(), f"**,imei:{ID},K"),
    ("gps103", "numbers", c.ResumeEngine(), f"**,imei:{ID},110"),
    ("gps103", "letters", c.Arm(), f"**,imei:{ID},L"),
    ("gps103", "numbers", c.Arm(), f"**,imei:{ID},111"),
    ("gps103", "letters", c.Disarm(), f"**,imei:{ID},M"),
    ("gps103", "numbers", c.Disarm(), f"**,imei:{ID},112"),
    ("gps103", "letters", c.SpeedLimit(kmh=80), f"**,imei:{ID},H,080"),
    ("gps103", "numbers", c.SpeedLimit(kmh=120), f"**,imei:{ID},107,120"),
    ("gps103", "letters", c.MovementAlarm(), f"**,imei:{ID},G"),
    ("gps103", "letters", c.MovementAlarm(enabled=False), f"**,imei:{ID},106"),
    ("gps103", "numbers", c.MovementAlarm(), f"**,imei:{ID},105"),
    ("gps103", "numbers", c.MovementAlarm(enabled=False), f"**,imei:{ID},106"),
    ("gps103", "letters", FENCE, f"**,imei:{ID},O,52.500000,13.250000;52.000000,13.500000"),
    ("gps103", "numbers", FENCE, f"**,imei:{ID},114,52.500000,13.250000;52.000000,13.500000"),
    ("gps103", "letters", c.ClearFence(), f"**,imei:{ID},P"),
    ("gps103", "numbers", c.ClearFence(), f"**,imei:{ID},115"),
    ("gps103", "letters", c.SetTimeZone(), f"**,imei:{ID},I,0"),
    ("gps103", "numbers", c.SetTimeZone(offset_minutes=-180), f"**,imei:{ID},108,-3"),
    ("gps103", "letters", c.LessGprs(), f"**,imei:{ID},T"),
    ("gps103", "letters", c.LessGprs(enabled=False), f"**,imei:{ID},X"),
    ("gps103", "numbers", c.LessGprs(), f"**,imei:{ID},118"),
    ("gps103", "numbers", c.LessGprs(enabled=False), f"**,imei:{ID},119"),
    ("gps103", "letters", c.UploadLog(day=date(2026, 4, 30)), f"**,imei:{ID},Q,20260430"),
    ("gps103", "numbers", c.UploadLog(day=date(2026, 4, 30)), f"**,imei:{ID},116,20260430"),
    ("gps103", "letters", c.TakePhoto(), f"**,imei:{ID},160"),
    ("gps103", "numbers", c.TakePhoto(), f"**,imei:{ID},160"),
    ("gps103", "letters", c.Raw(text="H,080"), f"**,imei:{ID},H,080"),
    ("gps103", "numbers", c.Raw(text="123"), f"**,imei:{ID},123"),
    ("tk103", "frames", c.RequestPosition(), f"({ID}AP00)"),
    ("tk103", "frames", c.SetInterval(seconds=60), f"({ID}AR00003C0000)"),
    ("tk103", "frames", c.StopReporting(), f"({ID}AR0000000000)"),
    ("tk103", "frames", c.StopEngine(), f"({ID}AV010)"),
    ("tk103", "frames", c.ResumeEngine(), f"({ID}AV011)"),
    ("tk103", "frames", c.SwitchOutput(data="1"), f"({ID}AV001)"),
    ("tk103", "frames", c.RequestVersion(), f"({ID}AP07)"),
    ("tk103", "frames", c.Reboot(), f"({ID}AT00)"),
    ("tk103", "frames", c.ResetOdometer(), f"({ID}AX01)"),
    ("tk103", "frames", c.Raw(text="AA00"), f"({ID}AA00)"),
    ("tk103", "sms", c.RequestPosition(), "[begin]sms2,*getposl*,[end]"),
    ("tk103", "sms", c.SetInterval(seconds=60), "[begin]sms2,*routetrack*99*,[end]"),
    ("tk103", "sms", c.StopReporting(), "[begin]sms2,*routetrackoff*,[end]"),
    ("tk103", "sms", c.RequestVersion(), "[begin]sms2,*about*,[end]"),
    ("tk103", "sms", c.Reboot(), "[begin]sms2,88888888,[end]"),
    ("tk103", "sms", c.Identify(), "[begin]sms2,999999,[end]"),
    ("tk103", "sms", c.SosAlarm(), "[begin]sms2,*soson*,[end]"),
    ("tk103", "sms", c.SosAlarm(enabled=False), "[begin]sms2,*sosoff*,[end]"),
    (
        "tk103",
        "sms",
        c.SosNumber(phone="+4915100000000"),
        "[begin]sms2,*master*123456*+4915100000000*,[end]",
    ),
    (
        "tk103",
        "sms",
        c.SetServer(address="192.0.2.7", port=8888),
        "[begin]sms2,*setip*192*0*2*7*8888*,[end]",
    ),
    ("tk103", "sms", c.Raw(text="any text"), "[begin]sms2,any text,[end]"),
    ("xexun", "powercar", c.StopEngine(), "powercar123456 11"),
    ("xexun", "powercar", c.ResumeEngine(), "powercar123456 00"),
    ("h02", "s71", c.SetInterval(seconds=10), f"*HQ,{ID},S71,010203,22,10#"),
    ("h02", "d1", c.SetInterval(seconds=10), f"*HQ,{ID},D1,010203,10#"),
    ("h02", "s71", c.Arm(), f"*HQ,{ID},SCF,010203,0,0#"),
    ("h02", "s71", c.Disarm(), f"*HQ,{ID},SCF,010203,1,1#"),
    ("h02", "s71", c.StopEngine(), f"*HQ,{ID},S20,010203,1,1#"),
    ("h02", "s71", c.ResumeEngine(), f"*HQ,{ID},S20,010203,1,0#"),
    ("h02", "s71", c.Raw(text="*HQ,1,S17,010203#"), "*HQ,1,S17,010203#"),
    ("xexun", "powercar", c.Raw(text="powercar123456 11"), "powercar123456 11"),
    ("h02", "d1", c.Arm(), f"*HQ,{ID},SCF,010203,0,0#"),
    ("h02", "d1", c.Disarm(), f"*HQ,{ID},SCF,010203,1,1#"),
    ("h02", "d1", c.StopEngine(), f"*HQ,{ID},S20,010203,1,1#"),
    ("h02", "d1", c.ResumeEngine(), f"*HQ,{ID},S20,010203,1,0#"),
    ("h02", "d1", c.Raw(text="*HQ,1,S17,010203#"), "*HQ,1,S17,010203#"),
]

BINARY: list[tuple[str, c.Command, str]] = [
    ("relay", c.StopEngine(), "787812800c0000000052656c61792c312300009dee0d0a"),
    ("relay", c.ResumeEngine(), "787812800c0000000052656c61792c3023000081550d0a"),
    ("relay", c.Raw(text="STATUS#"), "787811800b0000000053544154555323000073120d0a"),
    ("dyd", c.StopEngine(), "787815800f000000004459442c313233343536230000755a0d0a"),
    ("dyd", c.ResumeEngine(), "787816801000000000484659442c313233343536230000e2920d0a"),
    ("dyd", c.Raw(text="STATUS#"), "787811800b0000000053544154555323000073120d0a"),
]
"""Checksums by an implementation of CRC-16/X-25 that is not ours."""


def _bytes(protocol: str, dialect: str, command: c.Command, **more: Any) -> bytes:
    target = Target(**{"device_id": ID, "now": NOW, "dialect": dialect, **more})
    return encode(protocol, VOCABULARIES[protocol], command, target)


@pytest.mark.parametrize(("protocol", "dialect", "command", "wire"), WIRE)
def test_a_command_is_these_bytes(
    protocol: str, dialect: str, command: c.Command, wire: str
) -> None:
    assert _bytes(protocol, dialect, command) == wire.encode()


@pytest.mark.parametrize(("dialect", "command", "wire"), BINARY)
def test_a_binary_command_is_these_bytes(dialect: str, command: c.Command, wire: str) -> None:
    assert _bytes("gt06", dialect, command).hex() == wire


def test_every_encoder_of_every_dialect_is_shown() -> None:
    shown = {(protocol, dialect, type(command)) for protocol, dialect, command, _ in WIRE}
    shown |= {("gt06", dialect, type(command)) for dialect, command, _ in BINARY}
    assert shown == {
        (protocol.name, dialect, kind)
        for protocol in PROTOCOLS
        for dialect, table in VOCABULARIES[protocol.name].dialects.items()
        for kind in table
    }


@pytest.mark.parametrize("name", [protocol.name for protocol in PROTOCOLS])
def test_a_dialect_nobody_speaks_is_the_usual_one(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    usual = next(iter(vocabulary.dialects))
    for dialect in ("", "morse"):
        assert _bytes(name, dialect, c.StopEngine()) == _bytes(name, usual, c.StopEngine())
        assert vocabulary.words(dialect) == vocabulary.words(usual)
    assert {"engine_stop", "engine_resume", "raw"} <= set(vocabulary.words())


@pytest.mark.parametrize(
    ("protocol", "dialect", "command"),
    [
        ("xexun", "", c.RequestPosition()),
        ("tk103", "", c.Identify()),
        ("tk103", "sms", c.StopEngine()),
        ("gps103", "", c.SetTimeZone(offset_minutes=330)),
        ("gps103", "", c.SetInterval(seconds=9)),
        ("gps103", "numbers", c.SpeedLimit(kmh=0)),
        ("gt06", "dyd", c.Arm()),
        ("h02", "d1", c.RequestPosition()),
    ],
)
def test_what_a_tracker_has_no_word_for_is_refused(
    protocol: str, dialect: str, command: c.Command
) -> None:
    with pytest.raises(UnsupportedCommandError, match=command.name):
        _bytes(protocol, dialect, command)


@pytest.mark.parametrize("command", [row[2] for row in WIRE], ids=lambda command: command.name)
def test_a_command_survives_json(command: c.Command) -> None:
    assert orders.read_wish(msgspec.json.encode(command)).command == command


@pytest.mark.parametrize(
    "payload",
    [
        '{"command": "set_interval"}',
        '{"command": "set_interval", "seconds": 1}',
        '{"command": "set_interval", "seconds": "30"}',
        '{"command": "quickstop"}',
        '{"command": "raw", "text": "a\\r\\nb"}',
        '{"command": "raw", "text": "a\\n"}',
        '{"command": "sos_number", "phone": "0123\\n"}',
        '{"command": "output", "data": "1\\n"}',
        '{"command": "set_server", "address": "example.org", "port": 1}',
        '{"command": "set_server", "address": "192.0.2.1\\n", "port": 1}',
        '{"command": "set_server", "address": "192.0.2.256", "port": 1}',
        '{"command": "time_zone", "offset_minutes": 900}',
        "{}",
        "[]",
    ],
)
def test_a_command_that_is_none_is_refused(payload: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        orders.read_wish(payload.encode())


REFERENCE = Path(__file__).parents[2] / "../shared/corpus/commands.jsonl"


def _reference() -> Iterator[tuple[str, str, c.Command, dict[str, Any], bytes]]:
    names: dict[str, Any] = {
        "TYPE_POSITION_SINGLE": lambda _: c.RequestPosition(),
        "TYPE_POSITION_PERIODIC": lambda a: c.SetInterval(seconds=int(a.get("FREQUENCY", 60))),
        "TYPE_POSITION_STOP": lambda _: c.StopReporting(),
        "TYPE_ENGINE_STOP": lambda _: c.StopEngine(),
        "TYPE_ENGINE_RESUME": lambda _: c.ResumeEngine(),
        "TYPE_ALARM_ARM": lambda _: c.Arm(),
        "TYPE_ALARM_DISARM": lambda _: c.Disarm(),
        "TYPE_OUTPUT_CONTROL": lambda a: c.SwitchOutput(data=a["DATA"]),
        "TYPE_GET_VERSION": lambda _: c.RequestVersion(),
        "TYPE_REBOOT_DEVICE": lambda _: c.Reboot(),
        "TYPE_SET_ODOMETER": lambda _: c.ResetOdometer(),
        "TYPE_IDENTIFICATION": lambda _: c.Identify(),
        "TYPE_ALARM_SOS": lambda a: c.SosAlarm(enabled=a["ENABLE"] == "true"),
        "TYPE_SET_CONNECTION": lambda a: c.SetServer(address=a["SERVER"], port=int(a["PORT"])),
        "TYPE_SOS_NUMBER": lambda a: c.SosNumber(phone=a["PHONE"]),
        "TYPE_CUSTOM": lambda a: c.Raw(text=a["DATA"]),
    }
    if not REFERENCE.exists():
        return
    for line in REFERENCE.read_text().splitlines():
        case = json.loads(line)
        expected = case["expect"]
        wire = bytes.fromhex(expected) if case["kind"] == "hex" else expected.encode()
        target = {"device_id": case["unique_id"]}
        if "DEVICE_PASSWORD" in case["args"]:
            target["password"] = case["args"]["DEVICE_PASSWORD"]
        dialect = "sms" if case["alternative"] and case["protocol"] == "tk103" else ""
        yield case["protocol"], dialect, names[case["command"]](case["args"]), target, wire


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference corpus is not at hand")
def test_the_reference_agrees_byte_for_byte() -> None:
    compared = 0
    for protocol, dialect, command, target, wire in _reference():
        if protocol in VOCABULARIES:
            assert _bytes(protocol, dialect, command, **target) == wire, (protocol, command)
            compared += 1
    assert compared >= 25
