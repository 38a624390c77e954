"""tk103: laws that hold for whatever a peer sends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.model import Message
from bridge.protocols import tk103
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Connection, Event, Received

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
CORPUS = Path(__file__).parents[1] / "corpus" / "tk103"
REFERENCE = Path(__file__).parents[2] / "../shared/corpus"

USUAL = b"(087000000012BR00260501A4807.5000N01131.5000E046.0101530087.3101000000L0000A1B2)"


def listen(*chunks: bytes, datagrams: bool = False, claimed: bool = True) -> list[Event]:
    """Return what a peer's bytes come to; `claimed`: tk103 is already known to be spoken."""
    connection = Connection((tk103.PROTOCOL,), datagrams=datagrams)
    if claimed:
        connection.protocol = tk103.PROTOCOL
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    connection.receive_eof()
    return [*events, *connection.events(AT)]


def messages(events: list[Event]) -> list[Message]:
    return [
        message for event in events if isinstance(event, Received) for message in event.messages
    ]


# --- the opening, the fast way and the long way ---------------------------------------------


@pytest.mark.parametrize(
    ("data", "final", "claim"),
    [
        (b"(", False, Claim.UNDECIDED),
        (b"(087", False, Claim.UNDECIDED),
        (b"(0870", False, Claim.YES),
        (b"((087", False, Claim.YES),
        (b"(1)", False, Claim.YES),
        (b"(", True, Claim.YES),
        (b"(\x00", False, Claim.NO),
        (b"(0{1}", False, Claim.NO),
        (b"imei:", False, Claim.NO),
        (b")", False, Claim.NO),
        (b"", False, Claim.UNDECIDED),
        (b"", True, Claim.NO),
    ],
)
def test_five_bytes_settle_it(data, final, claim):
    assert tk103.claim(data, final) is claim


def test_the_identity_stays_with_the_connection():
    connection = Connection((tk103.PROTOCOL,))
    connection.receive_data(b"(864000000002345,ZC20,010526,101530,6,402,65535,255)" + USUAL)
    seen = [connection.device_id for _event in connection.events(AT)]
    assert seen == ["864000000002345", "087000000012"]


def both_ways(frame: bytes) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return a BR body as the fast way reads it, and as the long way does; None: not at all."""
    text = frame.decode("latin-1")
    report = tk103._interval(frame, text, Context(received_at=AT))
    said = tk103._position(text[13:17], text[17:-1], year_first=True)
    names = tk103._Said.__struct_fields__
    fast = report and {name: getattr(report, name) for name in names}
    return fast, said and msgspec.structs.asdict(said)


def test_the_usual_frame_takes_the_fast_way():
    fast, slow = both_ways(USUAL)
    assert fast == slow is not None


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(17, len(USUAL) - 2), st.sampled_from("0123456789 .NSWAVLF")),
        max_size=3,
    ),
    st.sampled_from(["", "T113", "+021.5", ",260501,101530"]),
)
def test_both_ways_agree(changes, tail):
    text = bytearray(USUAL)
    for place, character in changes:
        text[place] = ord(character)
    frame = bytes(text[:-1]) + tail.encode() + b")"
    try:
        fast, slow = both_ways(frame)
    except ValueError:
        assume(False)  # noqa: FBT003 - the long way refuses a value, as the fast way must have
    if fast is not None:
        assert fast == slow
