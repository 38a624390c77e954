"""gt06: framing, answers, identity, and laws that hold for whatever a peer sends."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model import CommandResult, Heartbeat, Login, Message, Report
from bridge.protocols import gt06
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Connection, Event, Received, Rejected
from bridge.protocols.gt06 import framing, places
from bridge.protocols.gt06.framing import LONG, SHORT, build, checksum
from tests.bridge.corpus import every_frame
from tests.bridge.laws import AT, legal

ID = "864000000000601"

GPS = bytes((26, 5, 1, 10, 15, 30, 0xC9)) + struct.pack(">IIBH", 86625000, 20745000, 46, 0x1457)
CELL = bytes.fromhex("0106021234015678")
STATE = bytes.fromhex("4606040002")


def frame(kind: int, body: bytes = b"", serial: int = 7) -> bytes:
    return build(SHORT, kind, serial.to_bytes(2), body)


def long_frame(kind: int, body: bytes = b"", serial: int = 7) -> bytes:
    return build(LONG, kind, serial.to_bytes(2), body)


LOGIN = frame(0x01, bytes.fromhex(f"0{ID}"), 1)
POSITION = frame(0x12, GPS + CELL)
STATUS = frame(0x13, STATE)


def listen(*chunks: bytes, datagrams: bool = False, login: bool = True) -> list[Event]:
    """Return what a peer's bytes come to; `login`: it has said before who it is."""
    connection = Connection((gt06.PROTOCOL,), datagrams=datagrams)
    if login:
        connection.receive_data(LOGIN)
        list(connection.events(AT))
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    if not datagrams:
        connection.receive_eof()
        events += connection.events(AT)
    return events


def messages(events: list[Event]) -> list[Message]:
    return [
        message for event in events if isinstance(event, Received) for message in event.messages
    ]


def answer(data: bytes) -> bytes:
    (event,) = listen(data)
    assert isinstance(event, Received)
    return event.reply


# --- opening, sum, cutting --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "final", "claim"),
    [
        (b"xx", False, Claim.YES),
        (b"yy\0", False, Claim.YES),
        (b"xx", True, Claim.YES),
        (b"x", False, Claim.UNDECIDED),
        (b"y", False, Claim.UNDECIDED),
        (b"x", True, Claim.NO),
        (b"xy", False, Claim.NO),
        (b"yx", False, Claim.NO),
        (b"imei:", False, Claim.NO),
        (b"", False, Claim.UNDECIDED),
        (b"", True, Claim.NO),
    ],
)
def test_two_bytes_settle_it(data, final, claim):
    assert gt06.claim(data, final) is claim


def test_the_sum_is_that_of_x25():
    assert checksum(b"123456789") == b"\x90\x6e"  # the check value of CRC-16/X-25


def test_a_frame_is_built_as_the_maker_does():
    assert frame(0x01, serial=1).hex() == "787805010001d9dc0d0a"
    assert long_frame(0x97, b"\x0b\0\0\0\0NA&&NA&&0##", 0).hex() == (
        "79790015970b000000004e4126264e4126263023230000e61e0d0a"
    )


def frames_of(*chunks: bytes) -> list[bytes]:
    return [event.frame for event in listen(*chunks)]


SEALED_TOO_LARGE = b"\x20\x13" + STATE + b"\0\x09"
TOO_LARGE = SHORT + SEALED_TOO_LARGE + checksum(SEALED_TOO_LARGE) + b"\r\n"
SHORT_LOGIN = bytes.fromhex(f"78780d010{ID}340d0a")
CRLF_WITHIN = frame(0x12, GPS + CELL[:-2] + b"\r\n")


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (POSITION + STATUS, [POSITION, STATUS]),
        (b"\r\n" + POSITION + b"\r\n\0\0x\xff" + STATUS + b"\r\n", [POSITION, STATUS]),
        (CRLF_WITHIN + STATUS, [CRLF_WITHIN, STATUS]),
        (long_frame(0x9B, b"\3A17B\r\n") + STATUS, [long_frame(0x9B, b"\3A17B\r\n"), STATUS]),
        (TOO_LARGE + STATUS, [TOO_LARGE, STATUS]),
        (SHORT_LOGIN + STATUS, [SHORT_LOGIN, STATUS]),
        (POSITION[:9] + STATUS, [POSITION[:9], STATUS]),
        (POSITION[:-2] + STATUS, [POSITION[:-2], STATUS]),
        (b"xx\xc8\xa1\xb2" + STATUS, [b"xx\xc8\xa1\xb2", STATUS]),
        (b"yy\xff\xff\xa1\xb2" + STATUS, [b"yy\xff\xff\xa1\xb2", STATUS]),
        (b"yy\xff\xff\xa1\xb2\r\n" + STATUS, [b"yy\xff\xff\xa1\xb2\r\n", STATUS]),
        (b"xx\x02\x13\0\0\0\0\0\0\r\n" + STATUS, [b"xx\x02\x13\0\0\0\0\0\0\r\n", STATUS]),
        (b"xx", [b"xx"]),
        (b"x", []),
        (POSITION[:-1], [POSITION[:-1]]),
    ],
)
def test_where_frames_end(stream, frames):
    assert frames_of(stream) == frames
    assert frames_of(*(stream[at : at + 1] for at in range(len(stream)))) == frames


@pytest.mark.parametrize("stream", [TOO_LARGE, SHORT_LOGIN, POSITION[:9] + STATUS])
def test_a_lie_that_is_seen_through_does_not_wait(stream):
    connection = Connection((gt06.PROTOCOL,))
    connection.receive_data(stream)
    list(connection.events(AT))
    assert connection.unfinished_bytes == 0


HOSTILE = {
    "openings": b"x" * 65536,
    "long openings": b"y" * 65536,
    "both": b"xy" * 32768,
    "heads": b"xx\xff\x12" * 16384,
    "long heads": b"yy\x0f\xff" * 16384,
    "ends": b"yy\x0f\xf0" + b"\r\n" * 32768,
    "heads and ends": b"xx\xf0\x12\r\n" * 10922,
    "long heads and ends": b"yy\x0f\xf0\x12\r\n" * 9362,
    "each its own length": b"".join(b"xx" + bytes((at % 256,)) for at in range(21845)),
    "noise": b"xa" * 32768,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_cutting_is_linear(name):
    """65 KB at once and 8 KB byte by byte: some 0.1 s each; minutes if each byte cost a search."""
    data = HOSTILE[name]
    begin = process_time()
    assert sum(len(event.frame) for event in listen(data)) <= len(data)
    listen(*(data[at : at + 1] for at in range(8192)))
    assert process_time() - begin < 3.0


# --- answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (LOGIN, "787805010001d9dc0d0a"),
        (STATUS, frame(0x13).hex()),
        (frame(0x23, bytes.fromhex("46019c0402")), frame(0x23).hex()),
        (POSITION, frame(0x12).hex()),
        (frame(0x16, GPS + b"\x08" + CELL + STATE, 0xABCD), frame(0x16, serial=0xABCD).hex()),
        (frame(0x5B, b"\1"), frame(0x5B).hex()),
        (frame(0x8A), frame(0x8A, bytes((26, 5, 1, 10, 16, 0)), 0).hex()),
        (frame(0x2A, GPS), long_frame(0x97, b"\x0b\0\0\0\0NA&&NA&&0##", 0).hex()),
        (long_frame(0x33, GPS[:6] + bytes(4) + b"\xa0"), long_frame(0x33).hex()),
        (long_frame(0x70, bytes.fromhex("00180002017d")), frame(0x70).hex()),
        (long_frame(0x94, b"\0\1\2"), ""),
        (long_frame(0x5B, b"\1"), ""),
        (frame(0x94, b"\1\2"), ""),
        (frame(0x80, b"\1\2"), ""),
        (b"xx\0\x69" + bytes.fromhex("260501101530000106021234") + b"\r\n", None),
    ],
)
def test_answers_are_exact(data, reply):
    assert answer(data).hex() == ("787800692605011015300d0a" if reply is None else reply)


def test_a_rejected_frame_is_not_answered():
    (event,) = listen(frame(0x12, GPS[:-1]))
    assert event == Rejected(event.frame, "gt06", "malformed length")


# --- who is speaking --------------------------------------------------------------------------


def test_the_login_names_the_speaker_of_all_that_follows():
    events = listen(LOGIN + POSITION + STATUS, login=False)
    assert [type(message) for message in messages(events)] == [Login, Report, Report]
    assert {message.device_id for message in messages(events)} == {ID}


def test_a_session_of_datagrams_keeps_the_speaker():
    connection = Connection((gt06.PROTOCOL,), datagrams=True)
    for datagram in (LOGIN, POSITION):
        connection.receive_data(datagram)
    assert [message.device_id for message in messages(list(connection.events(AT)))] == [ID, ID]
    connection.receive_data(STATUS)
    assert [message.device_id for message in messages(list(connection.events(AT)))] == [ID]


@pytest.mark.parametrize("datagrams", [False, True])
def test_nobody_reports_for_an_unknown_speaker(datagrams):
    unheard = [Rejected(POSITION, "gt06", "no login")]
    assert listen(POSITION, login=False, datagrams=datagrams) == unheard


def test_the_zone_of_a_login_moves_its_clocks_only():
    east = frame(0x01, bytes.fromhex(f"0{ID}20033200"), 1)
    events = listen(east + POSITION + frame(0x69, b"") + LOGIN + POSITION, login=False)
    told = [message.device_time for message in messages(events) if isinstance(message, Report)]
    assert told == [
        datetime(2026, 5, 1, 2, 15, 30, tzinfo=UTC),
        datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC),
    ]


def test_a_frame_that_says_nothing_is_a_heartbeat():
    for kind in (0x12, 0x13, 0x23, 0x5B):
        (message,) = messages(listen(frame(kind)))
        assert isinstance(message, Heartbeat)


def test_an_answer_is_a_command_result():
    (message,) = messages(listen(frame(0x15, b"\x10\0\0\0\0DYD=Success!\0\2")))
    assert isinstance(message, CommandResult)
    assert message.text == "DYD=Success!"


# --- laws -------------------------------------------------------------------------------------


FRAMES = every_frame("gt06")
HONEST = [
    data
    for data in FRAMES
    if data[:2] == SHORT
    and framing.is_as_long_as_told(data)
    and data.find(b"\r\n") == len(data) - 2
]
"""As long as they say, and without a CR LF within."""


def check(event: Event) -> None:
    assert event.frame
    if isinstance(event, Rejected):
        assert re.fullmatch(
            "malformed( (frame|length|id))?|no login|truncated|too long|unrecognised", event.reason
        )
        return
    assert event.messages
    reply = event.reply
    assert reply == b"" or (reply.startswith((SHORT, LONG)) and reply.endswith(b"\r\n"))
    assert reply == b"" or framing.sealed(reply) or reply[2] == 0
    for message in event.messages:
        legal(message)
        assert isinstance(message, Login | Heartbeat) or re.fullmatch(
            "0x[0-9a-f]{2}", message.keyword
        )
        if isinstance(message, Report):
            assert len(message.extra.get("payload", "")) <= 512


def test_every_frame_and_every_beginning_of_one_is_lawful():
    for whole in FRAMES:
        for end in range(1, len(whole) + 1):
            for event in listen(whole[:end]):
                check(event)


def test_every_body_may_end_anywhere():
    for whole in HONEST:
        for end in range(4, len(whole) - 6):
            for event in listen(frame(whole[3], whole[4:end])):
                check(event)
                assert isinstance(event, Received) or event.reason in SHORTENED


SHORTENED = ("malformed length", "malformed id")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120))
def test_anything_behind_an_opening_ends_as_received_or_rejected(data):
    for opening in (SHORT, LONG):
        for event in listen(opening + data):
            check(event)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(HONEST), st.binary(max_size=40))
def test_a_whole_frame_is_heard_behind_any_garbage(whole, garbage):
    garbage = SHORT + b"\xfa" + garbage.replace(b"\n", b"")
    assert listen(garbage + whole)[-1].frame == whole
    assert listen(garbage, whole + whole)[-2:] == listen(whole, whole)


@given(st.integers(-162_000_000, 162_000_000))
def test_degrees_are_right_to_the_seventh_decimal(units):
    degrees = places.degrees(units)
    assert abs(degrees - units / 1_800_000) <= 0.51e-7
    assert round(degrees, 7) == degrees


def test_decode_takes_frames_only():
    for data in (b"", b"xx", b"yy\0\5\x94", STATUS[:-1], b"zz" + STATUS[2:]):
        with pytest.raises(ValueError, match="malformed frame"):
            gt06.decode(data, Context(received_at=AT, device_id=ID))
