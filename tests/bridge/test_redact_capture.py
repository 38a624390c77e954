"""A capture: a tracker's last frames, all under one alias and moved alike, as lines of a corpus."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

from bridge.model import Report
from bridge.protocols.connection import Received
from bridge.protocols.gt06.framing import build
from bridge.redact import Redactor, capture_lines
from tests.bridge.redaction import AT, SECRET, decoded

LONG, PLACE = "864000000000115", "4807.5000,N,01131.5000,E"
RECEIVED_AT = "2026-05-01T10:16:00Z"


@dataclass
class Kept:
    """What the journal keeps of a frame."""

    data: bytes
    tracker_id: str = "864000000000115"
    received_at: datetime = AT
    direction: str = "in"
    protocol: str = "gps103"
    transport: str = "tcp"


def said(frame: bytes) -> Report:
    """What a frame reports; it must be understood."""
    event = decoded(frame)[-1]
    assert isinstance(event, Received), event
    report = event.messages[-1]
    assert isinstance(report, Report)
    return report


# --- one capture ----------------------------------------------------------------------------------


def test_the_forms_of_one_id_stay_related() -> None:
    redactor = Redactor(SECRET)
    long = redactor.redact(b"imei:864000000000115,A;", "gps103").decode()[5:20]
    short = redactor.redact(b"(000000000115BP00000000000000115HSO)", "tk103").decode()
    assert short == f"(0{long[-11:]}BP00000{'0' + long[-11:]}HSO)"
    assert redactor.redact(b"864000000000115;", "gps103").decode() == f"{long};"
    assert redactor.redact(b"(00000000115BP00HSO)", "tk103").decode()[1:12] == long[-11:]


def test_a_known_id_is_found_wherever_it_stands() -> None:
    frame = b"imei:864000000000115,VAN0MUNICH7,260501121530,,L,;"
    masked = Redactor(SECRET, ["VAN0MUNICH7"]).redact(frame, "gps103")
    assert b"MUNICH" not in masked
    assert b"MUNICH" in Redactor(SECRET).redact(frame, "gps103")


def test_two_captures_share_nothing() -> None:
    frame = (
        b"imei:864000000000115,tracker,260501121530,,F,101530.000,A,4807.2400,N,01131.5000,E,0.00;"
    )
    one, other = (Redactor(secret).redact(frame, "gps103") for secret in (b"one", b"other"))
    assert one[5:20] != other[5:20]
    assert said(one).fix != said(other).fix
    assert one == Redactor(b"one").redact(frame, "gps103")


# --- lines ----------------------------------------------------------------------------------------


def test_a_capture_is_lines_of_a_corpus() -> None:
    frames = [
        Kept(b"##,imei:864000000000115,A;"),
        Kept(b"LOAD", direction="out"),
        Kept(f"imei:{LONG},help me,260501121530,,F,101530.000,A,{PLACE},0.00;".encode()),
        Kept(b"imei:864000000000115,help"),
        Kept(b"(000000000115BP00HSO)", protocol="tk103", transport="udp"),
        Kept(bytes.fromhex("010d010864000000000115000100000d0a"), protocol="", tracker_id=""),
    ]
    lines = list(capture_lines(frames, secret=SECRET))
    cases = [json.loads(line) for line in lines]
    assert [case["id"] for case in cases] == [
        "capture/gps103-001", "capture/gps103-002", "capture/gps103-003", "capture/tk103-004",
        "capture/unknown-005",
    ]  # fmt: skip
    assert [case["encoding"] for case in cases] == [*["latin-1"] * 4, "hex"]
    assert [case["transport"] for case in cases] == ["tcp", "tcp", "tcp", "udp", "tcp"]
    assert {(case["received_at"], case["source"]) for case in cases} == {(RECEIVED_AT, "capture")}
    assert not re.search("864000000000115|000000000115|4807.5|01131.5", "".join(lines))

    login, alarm, broken, short, binary = (case["events"] for case in cases)
    assert login[0]["reply"] == "LOAD"
    assert bytes.fromhex(login[0]["frame"]).decode() == cases[0]["chunks"][0]
    device_id = alarm[0]["messages"][0]["device_id"]
    assert alarm[0]["reply"] == f"**,imei:{device_id},E;"
    assert alarm[0]["messages"][0]["alarm"] == "sos"
    assert login[0]["messages"][0]["device_id"] == device_id
    assert broken[0]["rejected"] == "truncated"
    assert short[0]["messages"][0]["device_id"] == f"0{device_id[-11:]}"
    assert binary[0]["rejected"] == "unrecognised"
    assert binary[0]["frame"] == cases[4]["chunks"][0]


def test_a_capture_of_a_tracker_that_is_known_by_its_login_only() -> None:
    zoned = build(b"xx", 0x01, b"\0\1", bytes.fromhex("0864000000000115 0801 3200"))
    place = bytes.fromhex("1a05010c0f1e c8 05295aa0 013c4780 1f 3457")
    position = build(b"xx", 0x10, b"\0\2", place)
    frames = [Kept(data, protocol="gt06") for data in (position, zoned, position, position[:9])]
    lines = list(capture_lines(frames, secret=SECRET))
    first, login, later, cut = (json.loads(line) for line in lines)
    assert not re.search("864000000000115|05295aa0|013c4780", "".join(lines))
    assert {line["encoding"] for line in (first, login, later, cut)} == {"hex"}
    assert [len(line["chunks"]) for line in (first, login, later, cut)] == [2, 1, 2, 2]
    assert later["chunks"] == [login["chunks"][0], first["chunks"][1]]
    (opening,) = login["events"]
    assert opening["reply"] == build(b"xx", 0x01, b"\0\1").hex()
    for line, hour in ((first, "12"), (later, "04")):
        (said_hello, report) = line["events"]
        assert said_hello["messages"][0]["device_id"] == opening["messages"][0]["device_id"]
        assert report["messages"][0]["fix"]["time"] == f"2026-05-01T{hour}:15:30Z"
        assert report["reply"] == build(b"xx", 0x10, b"\0\2").hex()
    assert cut["events"][1]["rejected"] == "truncated"


def test_each_capture_draws_its_own_secret() -> None:
    frame = Kept(b"##,imei:864000000000115,A;")
    assert list(capture_lines([frame])) != list(capture_lines([frame]))
    assert list(capture_lines([])) == []
