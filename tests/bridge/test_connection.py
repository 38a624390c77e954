"""Connection keeps its bargain for any bytes: nothing raised, nothing lost, chunking invisible."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import DecodeError
from bridge.protocols.base import Claim, Context, Decoded, WireProtocol
from bridge.protocols.connection import (
    DEFAULT_DETECTION_BYTES,
    DEFAULT_FRAME_BYTES,
    TOO_LONG,
    TRUNCATED,
    UNRECOGNISED,
    Connection,
    Event,
    Received,
    Rejected,
)
from bridge.protocols.framing import delimited
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import FRAMES

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
LOGIN = b"##,imei:864000000001201,A;"
HEARTBEAT = b"864000000001201;"
NO_FIX = b"imei:864000000001201,tracker,2605011215,,L,,,1a2b,,3c4d,,,;"
PHOTO = b"imei:864000000001201,vr,"

PIECES = [b"imei:", b"##,imei:", b"864000000001201", b";", b"*", b"\n", b"\r\n", b" ", b"|", b",",
          b"(", b")", b"$", b"{", b"}", b"BR00", b"ZC03", b"\x00", b"\xff", b"x"]  # fmt: skip
anything = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(FRAMES), st.binary(max_size=6)), max_size=12
)


def listen(chunks: Iterable[bytes], *, datagrams: bool = False, **limits: int) -> list[Event]:
    """Return every event of a peer from its first byte to its end, checking what always holds."""
    connection = Connection(PROTOCOLS, datagrams=datagrams, **limits)
    events: list[Event] = []
    received = 0
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
        received += len(chunk)
        assert connection.unfinished_bytes < connection.frame_bytes
        if connection.undecided:
            assert connection.unfinished_bytes < connection.detection_bytes
    connection.receive_eof()
    events += connection.events(AT)
    assert connection.unfinished_bytes == 0
    assert sum(len(event.frame) for event in events) + connection.noise_bytes == received
    return events


def joined(events: list[Event]) -> list[Event]:
    """Make one event of the reads of a stream that nobody claims."""
    result: list[Event] = []
    for protocol, group in itertools.groupby(events, key=lambda event: event.protocol):
        if protocol is None:
            result.append(Rejected(b"".join(event.frame for event in group), None, UNRECOGNISED))
        else:
            result += group
    return result


# --- laws -------------------------------------------------------------------------------------


@given(anything)
@settings(deadline=None)
def test_of_a_stream_every_byte_is_told_once_and_chunking_is_invisible(pieces):
    stream = b"".join(pieces)
    whole = joined(listen([stream]))
    assert joined(listen(pieces)) == whole
    assert joined(listen(bytes([byte]) for byte in stream)) == whole


@given(anything)
@settings(max_examples=50, deadline=None)
def test_limits_do_not_show_the_chunks_either(pieces):
    # The least that can be configured. Less would be shorter than a line of xexun, whose end shows
    # only in the line behind it: where its bytes ended would decide what is wrong with it.
    limits = {"frame_bytes": 512, "detection_bytes": 32}
    pieces = 4 * pieces  # enough to get there
    stream = b"".join(pieces)
    whole = joined(listen([stream], **limits))
    assert all(len(event.frame) <= 512 for event in whole if event.protocol)
    assert joined(listen(pieces, **limits)) == whole
    assert joined(listen((bytes([byte]) for byte in stream), **limits)) == whole


@given(anything)
@settings(deadline=None)
def test_of_datagrams_every_byte_is_told_once_and_each_stands_alone(pieces):
    one_by_one = [event for piece in pieces for event in listen([piece], datagrams=True)]
    together = listen(pieces, datagrams=True)
    assert [(event.frame, event.protocol) for event in together] == [
        (event.frame, event.protocol) for event in one_by_one
    ]


@given(anything)
def test_frames_come_in_the_order_of_their_bytes(pieces):
    stream, at = b"".join(pieces), 0
    for event in listen([stream]):
        at = stream.index(event.frame, at) + len(event.frame)


# --- whose language is it? --------------------------------------------------------------------


def test_a_stream_is_claimed_once():
    connection = Connection(PROTOCOLS)
    connection.receive_data(b"\r\n ##,im")
    assert list(connection.events(AT)) == []
    assert connection.undecided
    assert (connection.noise_bytes, connection.unfinished_bytes) == (3, 5)
    connection.receive_data(b"ei:864000000001201,A;(087000000012BP00HSO);")
    login, stranger = connection.events(AT)
    assert isinstance(login, Received)
    assert (login.protocol, login.reply, login.receipt) == ("gps103", b"LOAD", b"")
    assert stranger == Rejected(b"(087000000012BP00HSO);", "gps103", "malformed id")
    assert connection.device_id == "864000000001201"


def test_what_nobody_claims_is_lost_for_good():
    connection = Connection(PROTOCOLS)
    for data in (b"GET / HTTP/1.1\r\n", LOGIN, b"\r\n"):
        connection.receive_data(data)
        assert list(connection.events(AT)) == [Rejected(data, None, UNRECOGNISED)]
    assert connection.undecided
    assert connection.device_id == ""


def _never(_data: bytes, final: bool) -> Claim:  # noqa: FBT001 - the signature of a claim
    return Claim.NO if final else Claim.UNDECIDED


def _always(_data: bytes, _final: bool) -> Claim:  # noqa: FBT001 - the same
    return Claim.YES


def _refuse(frame: bytes, _context: Context) -> Decoded:
    if frame == b"silent;":
        return Decoded(())
    if frame == b"number;":
        int(frame)
    raise DecodeError("word", frame)


HESITANT = WireProtocol(name="hesitant", claim=_never, cut=delimited(b";"), decode=_refuse)
GREEDY = WireProtocol(name="greedy", claim=_always, cut=delimited(b";"), decode=_refuse)


@pytest.mark.parametrize("given_up", [DEFAULT_DETECTION_BYTES, 16])
def test_who_cannot_decide_is_asked_for_the_last_time_at_the_limit(given_up):
    connection = Connection((HESITANT,), detection_bytes=given_up)
    connection.receive_data(b"x" * (given_up - 1))
    assert list(connection.events(AT)) == []
    connection.receive_data(b"x")
    assert list(connection.events(AT)) == [Rejected(b"x" * given_up, None, UNRECOGNISED)]


def test_a_later_protocol_waits_for_the_earlier_ones():
    connection = Connection((HESITANT, GREEDY), detection_bytes=8)
    connection.receive_data(b"silent;")
    assert list(connection.events(AT)) == []
    connection.receive_data(b"n")
    (event,) = connection.events(AT)
    assert event == Received(b"silent;", "greedy", (), b"", b"")


def test_the_end_of_the_stream_forces_a_decision():
    connection = Connection((HESITANT, GREEDY))
    connection.receive_data(b"silent;")
    connection.receive_eof()
    assert [event.protocol for event in connection.events(AT)] == ["greedy"]


def test_a_reason_is_the_decoders_own_words():
    connection = Connection((GREEDY,))
    connection.receive_data(b"number;other;")
    assert [event.reason for event in connection.events(AT)] == ["malformed", "malformed word"]


# --- ends, limits, datagrams ------------------------------------------------------------------


def test_an_unfinished_frame_waits_and_is_truncated_by_the_end():
    connection = Connection(PROTOCOLS)
    connection.receive_data(LOGIN + NO_FIX[:20])
    assert [event.frame for event in connection.events(AT)] == [LOGIN]
    assert connection.unfinished_bytes == 20
    connection.receive_eof()
    assert list(connection.events(AT)) == [Rejected(NO_FIX[:20], "gps103", TRUNCATED)]
    assert list(connection.events(AT)) == []


def test_blanks_at_the_end_are_noise():
    assert [event.frame for event in listen([LOGIN, b"\r\n", b" \r\n"])] == [LOGIN]
    assert listen([b"\r\n \r\n"]) == []
    assert listen([b"", b"\r\n"], datagrams=True) == []


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_longest_frame_is_taken_and_one_byte_more_is_not(size):
    connection = Connection((GREEDY,), frame_bytes=7)
    stream = b"silent;silently;silent;"
    events: list[Event] = []
    for at in range(0, len(stream), size):
        connection.receive_data(stream[at : at + size])
        events += connection.events(AT)
    assert events == [
        Received(b"silent;", "greedy", (), b"", b""),
        Rejected(b"silentl", "greedy", TOO_LONG),
        Rejected(b"y;", "greedy", "malformed word"),
        Received(b"silent;", "greedy", (), b"", b""),
    ]


def test_the_longest_legal_frames_are_taken():
    photo = PHOTO + b"00" * 1024 + b";"
    assert len(photo) < DEFAULT_FRAME_BYTES
    assert [type(event) for event in listen([photo])] == [Received]


def test_each_datagram_is_claimed_anew_and_the_identity_stays():
    connection = Connection(PROTOCOLS, datagrams=True)
    seen = []
    for datagram in (LOGIN, b"(087000000012BP00HSO)", b"who is this?", HEARTBEAT[:-1], NO_FIX[:-1]):
        connection.receive_data(datagram)
        seen += [(type(event), event.protocol) for event in connection.events(AT)]
        seen.append(connection.device_id)
    assert seen == [
        (Received, "gps103"), "864000000001201",
        (Received, "tk103"), "087000000012",
        (Rejected, None), "087000000012",
        (Received, "gps103"), "864000000001201",
        (Received, "gps103"), "864000000001201",
    ]  # fmt: skip


def test_datagrams_may_wait_and_keep_their_order():
    connection = Connection(PROTOCOLS, datagrams=True)
    connection.receive_data(LOGIN)
    connection.receive_data(HEARTBEAT + NO_FIX)
    assert [event.frame for event in connection.events(AT)] == [LOGIN, HEARTBEAT, NO_FIX]


def test_a_datagram_of_brackets_needs_both():
    assert listen([b"(087000000012BP00"], datagrams=True) == [
        Rejected(b"(087000000012BP00", "tk103", TRUNCATED)
    ]


def test_what_arrives_while_an_event_is_looked_at_is_not_lost():
    connection = Connection(PROTOCOLS)
    connection.receive_data(LOGIN + HEARTBEAT[:4])
    for _ in connection.events(AT):
        connection.receive_data(HEARTBEAT[4:])
    assert [event.frame for event in connection.events(AT)] == [HEARTBEAT]


def test_who_stops_looking_finds_the_rest_later():
    connection = Connection(PROTOCOLS)
    connection.receive_data(LOGIN + HEARTBEAT + NO_FIX)
    events = connection.events(AT)
    assert next(events).frame == LOGIN
    del events
    assert [event.frame for event in connection.events(AT)] == [HEARTBEAT, NO_FIX]


def test_the_offset_of_the_local_clock_reaches_the_decoder():
    connection = Connection(PROTOCOLS, utc_offset_minutes=120)
    times = []
    for offset in (120, -60, None):
        connection.set_utc_offset(offset)
        connection.receive_data(NO_FIX)
        (event,) = connection.events(AT)
        times.append(event.messages[0].device_time)
    assert times == [
        datetime(2026, 5, 1, 10, 15, tzinfo=UTC),
        datetime(2026, 5, 1, 13, 15, tzinfo=UTC),
        None,
    ]
    fresh = Connection(PROTOCOLS, utc_offset_minutes=120)
    fresh.receive_data(NO_FIX)
    (event,) = fresh.events(AT)
    assert event.messages[0].device_time == datetime(2026, 5, 1, 10, 15, tzinfo=UTC)


# --- no input is slow -------------------------------------------------------------------------

FLOODS = {
    "semicolons": (LOGIN, b";"),
    "line feeds": (LOGIN, b"\n"),
    "stars": (LOGIN, b"*"),
    "lines": (LOGIN, b"x\n"),
    "digits": (LOGIN, b"8"),
    "heartbeats": (LOGIN, HEARTBEAT),
    "brackets": (b"(087000000012BP00HSO)", b"("),
    "closed": (b"(087000000012BP00HSO)", b")"),
    "quotes": (b"(087000000012BP00HSO)", b"$"),
    "open quotes": (b"(087000000012BP00HSO)", b"($"),
    "blanks": (b"", b"\r\n"),
    "unclaimed": (b"", b"8"),
}
SIZE = 16 * 1024


@pytest.mark.parametrize("read_bytes", [512, 4 * SIZE])
@pytest.mark.parametrize("flood", FLOODS)
def test_no_flood_takes_more_than_linear_time(flood: str, read_bytes: int):
    """Four times the bytes take four times the time; quadratic work would take sixteen times."""
    opening, unit = FLOODS[flood]

    def seconds(size: int) -> float:
        data = opening + unit * (size // len(unit))
        chunks = [data[at : at + read_bytes] for at in range(0, len(data), read_bytes)]
        begin = time.thread_time()
        listen(chunks)
        return time.thread_time() - begin

    single = min(seconds(SIZE) for _ in range(3))
    quadruple = min(seconds(4 * SIZE) for _ in range(3))
    assert quadruple < 8 * single + 0.005
