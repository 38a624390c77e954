"""Damaged frames: whatever becomes of them, each grammar keeps its own promises too."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model import Report
from bridge.protocols import gps103, gt06, h02, tk103, xexun
from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import Connection, Event, Received
from bridge.protocols.gt06 import layouts
from tests.bridge import test_gt06, test_h02, test_xexun
from tests.bridge.corpus import every_frame
from tests.bridge.laws import AT, legal

REASON = re.compile("malformed( [a-z]+)?|no login|truncated|too long|unrecognised")


class Speech(NamedTuple):
    """A protocol as its law wants it."""

    protocol: WireProtocol
    openings: tuple[bytes, ...]
    """Each says whose stream it is."""
    between: tuple[bytes, ...]
    """What may stand between frames, or looks as if a frame began."""
    reply: bytes
    """What an answer looks like, as a pattern."""
    promises: Callable[[Received], None]
    forged: st.SearchStrategy[bytes] = st.nothing()
    """What damage does not make of frames by itself."""


def of_tk103(event: Received) -> None:
    assert event.messages
    for message in event.messages:
        if isinstance(message, Report):
            assert re.fullmatch("[A-Z]{2}[0-9A-Z]{2}", message.keyword)
            assert len(message.extra.get("payload", "")) <= 256


def of_any(_event: Received) -> None:
    """No more than all of them."""


SPEECHES = [
    Speech(
        gps103.PROTOCOL,
        (b"imei:", b"##,imei:864000000001301,A;"),
        (b"\r\n ;", b"imei:"),
        rb"(LOAD)?(ON)?",
        of_any,
    ),
    Speech(
        tk103.PROTOCOL,
        (b"(0870",),
        (b"\r\n x)$",),
        rb"(\([0-9A-Za-z]{1,32}AP(01HSO|05)\))?",
        of_tk103,
    ),
    Speech(xexun.PROTOCOL, (b"GPRMC,",), (b"\r\n \n",), b"", test_xexun.check),
    Speech(
        h02.PROTOCOL,
        (test_h02.RECORD, b"*HQ,"),
        (
            test_h02.TAIL,
            test_h02.RECORD + test_h02.TAIL,
            test_h02.LONG + bytes(10),
            *(b"$", b"*", b"X", b"\r\n"),
        ),
        rb"(\*HQ,\w{1,32},V4,(V1|NBR),20260501101600#|\*\w\w,\w{1,32},(V0|HTBT)#)?",
        of_any,
    ),
    Speech(
        gt06.PROTOCOL,
        (test_gt06.LOGIN,),
        (b"x\r\n\0",),
        rb"(?s:(xx|yy).*\r\n)?",
        test_gt06.check,
        st.builds(
            lambda build, kind, body: build(kind, body),
            st.sampled_from([test_gt06.frame, test_gt06.long_frame]),
            st.sampled_from(sorted({*layouts.SHORT, *layouts.LONG})),
            st.binary(max_size=70),
        ),
    ),
]
every_speech = pytest.mark.parametrize(
    "speech", SPEECHES, ids=[speech.protocol.name for speech in SPEECHES]
)


@st.composite
def damaged(draw: st.DrawFn, speech: Speech) -> bytes:
    """A frame cut short, with bits flipped, or spliced with another."""
    frames = st.sampled_from(every_frame(speech.protocol.name))
    whole, other = draw(frames), draw(frames)
    match draw(st.sampled_from(["truncated", "flipped", "spliced"])):
        case "truncated":
            return whole[: draw(st.integers(0, len(whole)))]
        case "flipped":
            data = bytearray(whole)
            for bit in draw(st.sets(st.integers(0, len(whole) * 8 - 1), max_size=4)):
                data[bit // 8] ^= 1 << bit % 8
            return bytes(data)
        case _:
            end, begin = draw(st.integers(0, len(whole))), draw(st.integers(0, len(other)))
            return whole[:end] + other[begin:]


def heard(
    speech: Speech, *chunks: bytes, claimed: bool, datagrams: bool = False
) -> tuple[list[Event], int]:
    """Return the events of what is sent, and how many bytes were noise."""
    connection = Connection((speech.protocol,), datagrams=datagrams)
    if claimed:
        connection.protocol = speech.protocol
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    connection.receive_eof()
    return [*events, *connection.events(AT)], connection.noise_bytes


@every_speech
@settings(deadline=None, max_examples=400)
@given(st.data())
def test_damaged_frames_end_as_received_or_rejected(speech: Speech, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(damaged(speech) | speech.forged, min_size=1, max_size=3))
    logged_in = data.draw(st.sampled_from([(), speech.openings]))
    for datagrams in (False, True):
        events, _ = heard(speech, *logged_in, *pieces, claimed=True, datagrams=datagrams)
        for event in events:
            assert event.frame
            if not isinstance(event, Received):
                assert REASON.fullmatch(event.reason)
                continue
            assert re.fullmatch(speech.reply, event.reply)
            for message in event.messages:
                legal(message)
                assert message.protocol == speech.protocol.name
            speech.promises(event)


@every_speech
@settings(deadline=None, max_examples=200)
@given(st.data())
def test_chunking_is_invisible(speech: Speech, data: st.DataObject) -> None:
    piece = st.sampled_from([*every_frame(speech.protocol.name), *speech.between])
    pieces = data.draw(st.lists(piece | damaged(speech) | speech.forged, max_size=6))
    stream = data.draw(st.sampled_from(speech.openings)) + b"".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[begin:end] for begin, end in pairwise([0, *cuts, len(stream)])]
    assert heard(speech, *chunks, claimed=False) == heard(speech, stream, claimed=False)


@pytest.mark.parametrize("speech", SPEECHES[:3], ids=lambda speech: speech.protocol.name)
def test_a_session_of_datagrams_is_read_as_the_stream_is(speech: Speech) -> None:
    """Of those whose frames each say who speaks."""
    whole = [
        frame
        for frame in every_frame(speech.protocol.name)
        if all(isinstance(one, Received) for one in heard(speech, frame, claimed=False)[0])
    ]
    one_by_one = [event for frame in whole for event in heard(speech, frame, claimed=True)[0]]
    assert heard(speech, *whole, claimed=True, datagrams=True)[0] == one_by_one
