"""``decode``: a table, JSON and hints for a person, from a frame, a file or standard input."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError
from bridge.explain import explain, read_frames, render_json, render_table
from bridge.explain.cases import converse, event_json
from bridge.explain.hints import hint
from bridge.explain.table import FIX_WORDS, STATUS_WORDS, SWITCH_WORDS
from bridge.model import Fix, Status
from bridge.protocols import tk103
from bridge.protocols.connection import TOO_LONG, Rejected
from bridge.protocols.gt06.framing import build
from bridge.protocols.registry import PROTOCOLS

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)

LONG = "864000000000115"
LOGIN = f"##,imei:{LONG},A;"
HEARTBEAT = f"{LONG};"
PLACE = "F,101530.000,A,4807.2400,N,01131.5000,E,31.21,123.45,512.3,1,0,45.10%,,21"
POSITION = f"imei:{LONG},tracker,260501121530,,{PLACE};"
SOS = f"imei:{LONG},help me,260501121530,,{PLACE};"
TK103 = "(087000000012BR00260501A4807.2400N01131.5000E046.0101530087.3101000000L0000A1B2)"


# --- the table ----------------------------------------------------------------------------------


def table(data: str | bytes, transport: str = "udp") -> dict[str, str]:
    """The rows of one frame by their labels."""
    data = data.encode() if isinstance(data, str) else data
    lines = render_table(explain(data, transport=transport, received_at=AT)).splitlines()
    assert lines[0].startswith("Frame 1 of 1: ")
    return {label.strip(): value for label, _, value in (row[2:].partition("  ") for row in lines)}


def test_a_position_in_plain_words() -> None:
    text = render_table(explain(SOS.encode(), transport="tcp", received_at=AT))
    assert (
        text
        == f"""\
Frame 1 of 1: gps103, {len(SOS)} bytes, understood
  frame        {SOS}
  says         report, help me
  device id    864000000000115
  alarm        sos
  time         2026-05-01 10:15:30 UTC (local clock +02:00)
  position     48.120667, 11.525000
  speed        57.8 km/h
  course       123.45° (south-east)
  altitude     512.3 m
  ignition     on
  door         closed
  fuel         45.1 %
  temperature  21 °C
  receipt      **,imei:864000000000115,E; (stops the alarm; to accepted trackers only)"""
    )


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (HEARTBEAT, {"says": "heartbeat", "device id": LONG, "reply": "ON"}),
        (LOGIN, {"says": "login", "device id": LONG, "reply": "LOAD"}),
        (POSITION.replace(",A,", ",V,"), {"position": "48.120667, 11.525000 (no satellite lock)"}),
        (TK103, {"external power": "connected", "engine": "not cut", "odometer": "41.394 km",
                 "reply": "none", "course": "87.31° (east)"}),
        (f"({LONG},DW51,262,2,4660,22136,0,010526,101530)",
         {"cell": "mcc 262, mnc 2, lac 4660, cid 22136", "alarm": "movement"}),
        (f"({LONG},ZC20,010526,101530,6,394,125,255)",
         {"battery": "3.94 V", "external power": "12.5 V"}),
        (f"({LONG},ZC03,010526,101530,$a\r\n\x1b[31mb$)",
         {"says": "answer to a command, ZC03", "text": r"a\r\n\x1b[31mb",
          "time": "2026-05-01 10:15:30 UTC"}),
        ("(087000000012BV00WTK103B0TEST00017)", {"vin": "WTK103B0TEST00017"}),
        (POSITION.replace("121530", "054530"),
         {"time": "2026-05-01 10:15:30 UTC (local clock -04:30)"}),
    ],
)  # fmt: skip
def test_rows(frame: str, rows: dict[str, str]) -> None:
    found = table(frame)
    assert {label: value.strip() for label, value in found.items() if label in rows} == rows


def test_every_number_and_switch_has_a_row_and_a_word() -> None:
    assert FIX_WORDS.keys() | {"time", "valid", "latitude", "longitude"} == set(
        Fix.__struct_fields__
    )
    assert STATUS_WORDS.keys() | SWITCH_WORDS.keys() == set(Status.__struct_fields__)
    assert not STATUS_WORDS.keys() & SWITCH_WORDS.keys()
    kinds = msgspec.structs.fields(Status)
    assert {each.name for each in kinds if each.type == bool | None} == SWITCH_WORDS.keys()


def test_several_frames_are_numbered_and_bold_where_wanted() -> None:
    explained = explain((LOGIN + TK103).encode(), transport="udp", received_at=AT)
    text = render_table(explained, ansi=True)
    assert "\x1b[1mFrame 1 of 2: gps103" in text
    assert "\x1b" not in render_table(explained)
    assert [each.understood for each in explained] == [True, False]


def test_long_and_binary_frames_are_cut_short() -> None:
    photo = f"imei:{LONG},vr,0100fa01{'00' * 500};"
    assert f"... {len(photo) - 200} more" in table(photo)["frame"]
    assert table(bytes(range(0x80, 0xC0)))["frame"].strip() == (
        bytes(range(0x80, 0xA0)).hex(" ") + " ... 32 more"
    )
    assert table(b"hello \xff w\x1brld")["frame"].strip() == r"hello \xff w\x1brld"


def test_nothing_is_said_to_be_nothing() -> None:
    assert render_table([]).startswith("Nothing to explain")
    assert render_json([]) == "[]"


def test_json_is_the_events_with_their_protocols() -> None:
    explained = explain(f"{LOGIN}imei:".encode(), transport="tcp", received_at=AT)
    login, rest = json.loads(render_json(explained))
    _, (event,) = converse([LOGIN.encode()], "tcp", AT)
    assert login == {"protocol": "gps103"} | event_json(event)
    assert rest["rejected"] == "truncated"
    assert rest["hint"] == explained[1].hint != ""
    (stranger,) = json.loads(render_json(explain(b"GET /", transport="tcp", received_at=AT)))
    assert stranger["protocol"] is None


# --- hints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n", "an HTTP request"),
        (b"\x16\x03\x01\x02\x00", "a TLS connection"),
        (b"SSH-2.0-Go\r\n", "an SSH client"),
        (b"\x10\x11\x00\x04MQTT\x04", "an MQTT client"),
        (b"[\x801234567890", "begins like tk102, which this version does not read"),
        (b"$GPRMC,101530.000,A", "xexun frame seems to begin at byte 1"),
        (b"\n0: *HQ,8640000001,V1", "h02 frame seems to begin at byte 3"),
        (b"at 10:15 xx\x0d\x01\x08\x64", "gt06 frame seems to begin at byte 9"),
        (b"10:16 imei:864000000000115,L,;", "gps103 frame seems to begin at byte 6"),
        (b"got (087000000012BP00HSO)", "tk103 frame seems to begin at byte 4"),
        (b"86400000000011;", "has 15 digits; this one has 14"),
        (b"8640000000001155;", "has 15 digits; this one has 16"),
        (LOGIN.encode().hex().encode(), "--hex"),
        (b"28:30:38:37:30:30", "--hex"),
        (b"hello", "tk103 begins with ("),
    ],
)
def test_hints_for_what_nobody_claims(data: bytes, words: str) -> None:
    (explained,) = explain(data, transport="udp", received_at=AT)
    assert words in explained.hint
    assert explained.hint in render_table([explained])


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (build(b"xx", 0x13, b"\0\1", bytes(5)), "no login", "put the login before it"),
        (b"xx\x20\x12\x00\x00\x00\x00\x00\x00\x00\r\n", "malformed length", "fewer or more bytes"),
        (b"*HQ,8640000001,V1,101530,A,4807", "truncated", "closes with #, or has 32 bytes"),
        (b"GPRMC,101530.000,A,4807", "truncated", "closes with a line feed"),
        (b"xx\x0d\x01\x08", "truncated", "closes with bytes 0d 0a"),
        (b"*HQ,8640000001,?!#", "malformed type", "not as h02 writes it"),
    ],
)
def test_hints_for_frames_that_are_refused(data: bytes, reason: str, words: str) -> None:
    (explained,) = explain(data, transport="udp", received_at=AT)
    assert isinstance(explained.event, Rejected)
    assert explained.event.reason == reason
    assert words in explained.hint


def test_hints_for_what_is_claimed() -> None:
    assert "; or * or a line feed" in hint(Rejected(b"imei:", "gps103", "truncated"), PROTOCOLS)
    assert "closes with )" in hint(Rejected(b"(", "tk103", "truncated"), PROTOCOLS)
    assert "within 4096 bytes" in hint(Rejected(b"(" * 4096, "tk103", TOO_LONG), PROTOCOLS)
    assert "tk103" in hint(Rejected(b"()", "tk103", "malformed command"), PROTOCOLS)
    assert hint(Rejected(b"hello", None, "unrecognised"), [tk103.PROTOCOL]) == (
        "tk103 begins with ("
    )


@given(st.binary(max_size=80))
def test_any_bytes_can_be_explained(data: bytes) -> None:
    for transport in ("tcp", "udp"):
        explained = explain(data, transport=transport, received_at=AT)
        lines = render_table(explained).splitlines()
        assert not [line for line in lines if not line.replace("°", "").isprintable()]
        assert len(json.loads(render_json(explained))) == len(explained)
        assert all(each.understood or each.hint for each in explained)


# --- input ----------------------------------------------------------------------------------------


def read(argument: str | None = None, stdin: bytes = b"", **options) -> list[bytes]:
    return read_frames(argument, stdin=io.BytesIO(stdin), **options)


def test_a_pasted_frame_is_taken_as_it_stands() -> None:
    assert read(TK103) == [TK103.encode()]
    assert read(r"imei:1;\r\n") == [rb"imei:1;\r\n"]
    assert read("\xe9") == [b"\xe9"]
    assert read("€") == ["€".encode()]
    assert read("x" * 5000) == [b"x" * 5000]


def test_standard_input_and_files(tmp_path: Path) -> None:
    file = tmp_path / "trace.log"
    file.write_bytes(b"one\ntwo\r\n\n")
    assert read(stdin=b"one\ntwo") == read("-", stdin=b"one\ntwo") == [b"one\ntwo"]
    assert read(str(file)) == read(path=file) == [b"one\ntwo\r\n\n"]
    assert read(path=file, lines=True) == [b"one\n", b"two\r\n"]
    assert read("  ") == []
    with pytest.raises(BridgeError, match="No such file"):
        read(path=tmp_path / "absent")


@pytest.mark.parametrize(
    "text",
    ["78780d01", "78 78 0D 01\n", "78:78:0d:01", r"\x78\x78\x0d\x01", "0x78, 0x78,0x0d,0x01"],
)
def test_hexadecimal_in_many_hands(text: str) -> None:
    assert read(text, as_hex=True) == [b"xx\x0d\x01"]
    assert read(stdin=f"{text}\n\n{text}".encode(), as_hex=True, lines=True) == [b"xx\x0d\x01"] * 2


def test_what_is_no_hexadecimal_is_said() -> None:
    with pytest.raises(BridgeError, match="'g' in the text"):
        read("0g", as_hex=True)
    with pytest.raises(BridgeError, match="3 digits"):
        read("787", as_hex=True)
