"""h02: whose language it is, where frames end, exact answers, and laws for whatever is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.model import CommandResult, Heartbeat, Message, Report
from bridge.protocols import h02
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Connection, Event, Received, Rejected
from tests.bridge.corpus import every_frame
from tests.bridge.laws import AT

OPEN, ENDED = False, True
"""Whether more bytes can come."""

USUAL = (
    b"*HQ,864000000004111,V1,101530,A,4807.5000,N,01131.5000,E,021.60,087,"
    b"010526,FFFFFBFF,262,01,49101,1753,5#"
)
RECORD = bytes.fromhex("24 7090000411 101530 010526 48075000 06 011315000e 021087 fffffbff ff0024")
LATER = bytes.fromhex("24 7090000411 101600 010526 48075000 06 011315000e 021087 fffffbff ff0025")
LONG = bytes.fromhex("24 8640000000041110 101530 010526 48075000 06 011315000e 021087 fffffbff")
TAIL = bytes.fromhex("06 00000000 0106 02 01a2 3c4d 0a")
BLOCK = bytes.fromhex("58 0000981499 101530 010526 48075000 06 011315000e 021087 fffffbff ff0025")


def listen(*chunks: bytes, datagrams: bool = False, claimed: bool = True) -> list[Event]:
    """Return what a peer's bytes come to; `claimed`: h02 is already known to be spoken."""
    return conversation(*chunks, datagrams=datagrams, claimed=claimed)[0]


def conversation(*chunks: bytes, datagrams: bool, claimed: bool) -> tuple[list[Event], int]:
    """Return the events, and how many bytes were noise."""
    connection = Connection((h02.PROTOCOL,), datagrams=datagrams)
    if claimed:
        connection.protocol = h02.PROTOCOL
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    connection.receive_eof()
    return [*events, *connection.events(AT)], connection.noise_bytes


def messages(events: list[Event]) -> list[Message]:
    return [
        message for event in events if isinstance(event, Received) for message in event.messages
    ]


UNDERSTOOD = [frame for frame in every_frame("h02") if isinstance(listen(frame)[0], Received)]


# --- whose language it is ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "claim"),
    [
        (b"", Claim.UNDECIDED),
        (b"*", Claim.UNDECIDED),
        (b"*H", Claim.UNDECIDED),
        (b"*HQ", Claim.UNDECIDED),
        (b"*HQ,", Claim.YES),
        (b"*k9,", Claim.YES),
        (b"*HQ;", Claim.NO),
        (b"*1\r\n$4\r\n", Claim.NO),
        (b"**,imei:", Claim.NO),
        (b"$", Claim.UNDECIDED),
        (RECORD[:6], Claim.UNDECIDED),
        (RECORD[:11], Claim.UNDECIDED),
        (RECORD[:12], Claim.YES),
        (LONG[:14], Claim.UNDECIDED),
        (LONG[:15], Claim.YES),
        (BLOCK[:11], Claim.UNDECIDED),
        (BLOCK[:12], Claim.YES),
        (b"$G", Claim.UNDECIDED),
        (b"$GPRM", Claim.NO),
        (b"$GNRMC", Claim.NO),
        (b"$1,2,", Claim.NO),
        (b"$12345678901234567", Claim.NO),
        (b"$" + bytes(14), Claim.NO),
        (b"X", Claim.UNDECIDED),
        (b"XYZ", Claim.NO),
        (b"imei:", Claim.NO),
        (b"(", Claim.NO),
        (b"\x78\x78", Claim.NO),
    ],
)
def test_claim(data, claim):
    held_back = data == b"XYZ"  # it may be a block of another make: see below
    assert h02.claim(data, OPEN) is (Claim.UNDECIDED if held_back else claim)
    assert h02.claim(data, ENDED) is (Claim.YES if claim is Claim.YES else Claim.NO)


def test_what_follows_a_strange_block_decides():
    block = b"X" + bytes(range(0x80, 0x9F))
    assert h02.claim(block, OPEN) is Claim.UNDECIDED
    assert h02.claim(block + b"*H", OPEN) is Claim.UNDECIDED
    assert h02.claim(block + b"*HQ,", OPEN) is Claim.YES
    assert h02.claim(block + block + RECORD, OPEN) is Claim.YES
    assert h02.claim(block + b"GET / ", OPEN) is Claim.NO
    assert h02.claim(block, ENDED) is Claim.NO


@given(st.binary(max_size=300), st.sampled_from([b"", b"*", b"$", b"X", RECORD[:6]]))
def test_detection_is_never_long_undecided(data, start):
    assume(not data.startswith(b"X"))
    opening = (start + data).ljust(300, b"5")
    assert h02.claim(opening, OPEN) is not Claim.UNDECIDED


# --- where a frame ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (RECORD + LATER, [RECORD, LATER]),
        (RECORD + TAIL + LATER + TAIL, [RECORD, LATER]),
        (RECORD + TAIL + LATER, [RECORD, LATER]),
        (RECORD + LATER + TAIL + USUAL, [RECORD, LATER, USUAL]),
        (LONG + bytes(10) + RECORD + TAIL + LONG, [LONG, RECORD, LONG]),
        (BLOCK + RECORD, [BLOCK, RECORD]),
        (USUAL + b"\r\n" + RECORD + USUAL, [USUAL, RECORD, USUAL]),
        (RECORD + TAIL[:-1] + b"$" + LATER, [RECORD, LATER]),
        (RECORD + TAIL[:-1] + b"*" + USUAL, [RECORD, USUAL]),
        (RECORD + b"X*$,#$*X" + LATER, [RECORD, LATER]),
        (RECORD + bytes(200) + LATER, [RECORD, LATER]),
        (USUAL[:30] + USUAL, [USUAL[:30], USUAL]),
        (b"*HQ,1,SMS,a*b#" + RECORD, [b"*HQ,1,SMS,a*b#", RECORD]),
        (USUAL[:-1] + b"*", [USUAL[:-1] + b"*"]),
        (RECORD + b"*H", [RECORD]),
        (RECORD + b"$\x12\x34", [RECORD]),
        (RECORD + RECORD[:15], [RECORD, RECORD[:15]]),
        (b"", []),
    ],
)
def test_a_stream_is_cut_here(stream, told):
    assert [event.frame for event in listen(stream)] == told
    assert [event.frame for event in listen(*(bytes([byte]) for byte in stream))] == told
    assert [event.frame for event in listen(stream, datagrams=True)] == told


def test_a_record_is_told_before_anything_follows_it():
    connection = Connection((h02.PROTOCOL,))
    connection.receive_data(RECORD)
    assert [event.frame for event in connection.events(AT)] == [RECORD]
    connection.receive_data(TAIL)
    assert list(connection.events(AT)) == []
    assert connection.noise_bytes == len(TAIL)


def test_a_text_without_an_end_is_given_up():
    endless = b"*HQ,1,SMS," + b"-" * h02.LONGEST_TEXT
    first, second = listen(endless + USUAL)
    assert first == Rejected(endless[: h02.LONGEST_TEXT], "h02", "malformed frame")
    assert second.frame == USUAL


records = st.sampled_from([RECORD, LATER, LONG, USUAL, BLOCK])
tails = st.binary(max_size=20).map(lambda tail: tail.translate(None, b"*$X"))


@given(st.lists(st.tuples(records, tails, st.sampled_from([b"", b"*", b"$", b"X"])), max_size=6))
@settings(deadline=None)
def test_no_tail_costs_a_frame(stream):
    told = listen(b"".join(frame + tail + last for frame, tail, last in stream))
    assert [event.frame for event in told] == [frame for frame, _, _ in stream]


@given(
    st.lists(st.sampled_from([USUAL, USUAL[:40], b"*HQ,", b"*HQ,1,SMS,a*b#", b"*TH,", b"#", b"*"]))
)
def test_the_fast_way_to_cut_a_text_is_the_long_one(pieces):
    stream = b"".join(pieces)
    fast = listen(stream)
    with patch.object(h02, "_USUAL_OPENINGS", ()):
        assert listen(stream) == fast


# --- who says it, and what is answered -----------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        (USUAL, b"*HQ,864000000004111,V4,V1,20260501101600#"),
        (USUAL.replace(b"*HQ", b"*TH"), b"*HQ,864000000004111,V4,V1,20260501101600#"),
        (
            b"*TH,7,NBR,101530,262,2,0,1,431,17003,26,010526,FFFFFBFF#",
            b"*HQ,7,V4,NBR,20260501101600#",
        ),
        (b"*TH,7,V0#", b"*TH,7,V0#"),
        (b"*hq,7,HTBT#", b"*hq,7,HTBT#"),
        (b"*HQ,7,HTBT,88#", b"*HQ,7,HTBT#"),
        (USUAL.replace(b"V1", b"V2"), b""),
        (USUAL.replace(b"V1", b"V19"), b""),
        (b"*HQ,7,SMS,hello#", b""),
        (b"*HQ,7,V4,S71,OK#", b""),
        (b"*HQ,7,LINK,101530,15,8,84,0,0,010526,FFFFFBFF#", b""),
        (RECORD, b""),
        (BLOCK, b""),
    ],
)
def test_reply(frame, reply):
    (event,) = listen(frame)
    assert isinstance(event, Received)
    assert (event.reply, event.receipt) == (reply, b"")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)))  # noqa: DTZ001 - made UTC below
def test_the_clock_of_a_reply_is_that_of_the_frame(time):
    at = time.replace(tzinfo=UTC)
    said = h02.decode(USUAL, Context(received_at=at))
    assert said.reply == f"*HQ,864000000004111,V4,V1,{at:%Y%m%d%H%M%S}#".encode()


def test_a_blank_id_is_that_of_the_connection():
    connection = Connection((h02.PROTOCOL,))
    seen = []
    for frame in (b"*HQ,864000000004111,V0#", b"*HQ,,V0#", RECORD, b"*HQ,,V0#", BLOCK):
        connection.receive_data(frame)
        (event,) = connection.events(AT)
        assert isinstance(event, Received)
        seen.append((event.messages[0].device_id, event.reply))
    assert seen == [
        ("864000000004111", b"*HQ,864000000004111,V0#"),
        ("864000000004111", b"*HQ,864000000004111,V0#"),
        ("7090000411", b""),
        ("7090000411", b"*HQ,7090000411,V0#"),
        ("7090000411", b""),
    ]


@pytest.mark.parametrize(
    "frame", [b"*HQ,,V0#", b"*HQ,a-b,V0#", b"*HQ,\xb2,V0#", b"*HQ," + b"7" * 33 + b",V0#"]
)
def test_without_a_good_id_nothing_is_told(frame):
    assert listen(frame) == [Rejected(frame, "h02", "malformed id")]


def test_a_block_of_nobody_says_nothing():
    (event,) = listen(BLOCK)
    assert isinstance(event, Received)
    assert event.messages == ()


# --- laws ----------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_cut_to_the_end(data, final):
    start = 0
    while start < len(data):
        piece = h02.cut(data, start, final)
        assert 0 <= piece.consumed <= len(data) - start
        assert piece.frame is None or piece.frame == data[start : start + piece.consumed]
        if not piece.consumed:
            break
        start += piece.consumed


def test_every_kind_of_message_is_in_the_corpus():
    told = {type(message) for frame in UNDERSTOOD for message in messages(listen(frame))}
    assert told == {Report, Heartbeat, CommandResult}
