"""xexun: whose language it is, where a line ends, and what holds for whatever a peer sends."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.model import Message, Report
from bridge.protocols import xexun
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Connection, Event, Received
from tests.bridge.corpus import every_frame
from tests.bridge.laws import AT, legal

OPEN, ENDED = False, True
"""Whether more bytes can come."""

SENTENCE = "GPRMC,101530.000,A,4807.5000,N,01131.5000,E,21.60,87.30,010526,,,A*6B"
USUAL = (
    f"260501121530,+15550100123,{SENTENCE},F,ACC on, imei:864000000003115,"
    "08,512.4,F:4.12V/ADC1=0.25V,1,137,30211,262,01,1A2B,3C4D,7.35km"
)
BASIC = f"{SENTENCE},F,,imei:864000000003222,"
NOWHERE = ",+15550100123,,L,help me!, imei:864000000003333,,,F:4.12V,1,53,30211,262,01,1A2B,3C4D"


def listen(*chunks: bytes, datagrams: bool = False, claimed: bool = True) -> list[Event]:
    """Return what a peer's bytes come to; `claimed`: xexun is already known to be spoken."""
    connection = Connection((xexun.PROTOCOL,), datagrams=datagrams)
    if claimed:
        connection.protocol = xexun.PROTOCOL
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    connection.receive_eof()
    return [*events, *connection.events(AT)]


def reports(events: list[Event]) -> list[Report]:
    return [
        message
        for event in events
        if isinstance(event, Received)
        for message in event.messages
        if isinstance(message, Report)
    ]


FRAMES = every_frame("xexun")
frames = st.sampled_from(FRAMES)
UNDERSTOOD = [frame for frame in FRAMES if frame.strip() and reports(listen(frame, claimed=False))]


# --- whose language it is ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "claim"),
    [
        (b"", Claim.UNDECIDED),
        (b"G", Claim.UNDECIDED),
        (b"GNRMC", Claim.UNDECIDED),
        (b"GPRMC,", Claim.YES),
        (b"GPGGA", Claim.NO),
        (b"GET /", Claim.NO),
        (b"$GPRMC,", Claim.NO),
        (b"26050112153012", Claim.UNDECIDED),
        (b"864000000003115", Claim.NO),
        (b"260501121530;", Claim.NO),
        (b"260501121530,+155501", Claim.UNDECIDED),
        (b"260501121530,,G", Claim.UNDECIDED),
        (b"260501121530,,GPRMC,", Claim.YES),
        (b"260501121530,,GNRMC,1", Claim.YES),
        (b"260501121530,,GPRMX", Claim.NO),
        (b"260501121530,\x00", Claim.NO),
        (b"260501121530," + b"5" * 33, Claim.NO),
        (b",+15550100123,,L,", Claim.YES),
        (b",,,F,", Claim.YES),
        (b",,,", Claim.UNDECIDED),
        (b",,,X", Claim.NO),
        (b"imei:", Claim.NO),
        (b"(", Claim.NO),
    ],
)
def test_claim(data, claim):
    assert xexun.claim(data, OPEN) is claim
    assert xexun.claim(data, ENDED) is (Claim.YES if claim is Claim.YES else Claim.NO)


@given(st.binary(max_size=80), st.sampled_from([b"", b"260501121530,", b",", b"26050112"]))
def test_detection_is_never_long_undecided(data, start):
    opening = (start + data).ljust(64, b"5")
    assert xexun.claim(opening, OPEN) is not Claim.UNDECIDED


# --- where a line ends ------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\r", "\r\n\r\n \n"])
def test_any_line_end_will_do(end):
    told = [
        report.device_id
        for report in reports(listen((end.join([USUAL, BASIC, NOWHERE]) + end).encode()))
    ]
    assert told == ["864000000003115", "864000000003222", "864000000003333"]


whole_lines = st.sampled_from(
    [
        USUAL.removesuffix(",7.35km"),
        USUAL.replace("3C4D,7.35km", "1234"),
        USUAL.replace("GPRMC", "GNRMC").replace("+15550100123", ""),
        BASIC,
        BASIC.removesuffix(","),
        BASIC.replace("*6B,", "*6B\r\n,"),
    ]
)


@given(st.lists(whole_lines, min_size=1, max_size=6))
def test_lines_without_line_ends_are_told_apart(several):
    apart = reports(listen("\n".join(several).encode()))
    assert reports(listen("".join(several).encode())) == apart
    assert len(apart) == len(several)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(frames, st.sampled_from([b"imei:", b"RMC,", b"GPRMC,", b"*6B\r\n", b"1" * 500])),
        min_size=1,
        max_size=8,
    ).map(b"".join)
)
def test_no_cut_looks_far_ahead(stream):
    near = stream[: xexun.LINE + 5]
    piece = xexun.cut(stream, 0, OPEN)
    assert piece.consumed <= xexun.LINE
    if len(stream) > len(near):
        assert piece.consumed > 0
        assert xexun.cut(near, 0, OPEN) == piece


# --- the fast way and the long way ------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(USUAL)), st.sampled_from("0123456789 .,-NSWAVLF*:\r\n")),
        max_size=3,
    )
)
def test_both_ways_agree(changes):
    characters = list(USUAL + "\r\n")
    for place, character in changes:
        characters[place] = character
    text = "".join(characters)
    assume(text.count("*") == 1)  # a stray one is only looked for on the long way
    column = text.split(",", xexun._COLUMNS - 1)
    assume(len(column) == xexun._COLUMNS and xexun._is_usual(column))
    again = xexun._usual(text)
    read = [*range(2), *range(3, 12), *range(15, 17), *range(18, 22)]
    assert [column[at] for at in read] == [again[at] for at in read]
    assert column[17].partition("imei:")[2] == again[17].removeprefix("imei:")
    assert xexun._tower(column[24]) == xexun._tower(again[24])


def test_the_usual_line_takes_the_fast_way():
    assert xexun._is_usual(f"{USUAL}\n".split(",", xexun._COLUMNS - 1))


# --- laws -------------------------------------------------------------------------------------


def check(event: Received) -> None:
    """Assert what holds for a line beside the laws of all."""
    assert (event.reply, event.receipt) == (b"", b"")
    (message,) = event.messages
    check_report(message)


def check_report(message: Message) -> None:
    assert isinstance(message, Report)
    assert re.fullmatch("[0-9]{1,20}", message.device_id)
    assert message.fix is None or message.fix.time == message.device_time
    volts = [message.status.battery_v, message.extra.get("adc1_v"), message.extra.get("adc2_v")]
    assert all(volt is None or 0 <= volt <= 100 for volt in volts)
    cell = message.cell
    if cell is not None:
        assert (cell.mcc or 0) <= 999
        assert (cell.mnc or 0) <= 999
        assert max(cell.lac, cell.cid) <= 0xFFFFFFFF
    assert message.extra["signal"] in ("F", "L")
    assert re.fullmatch("[0-9]{1,14}", message.extra.get("serial", "0"))
    assert re.fullmatch("[+]?[0-9]{3,15}", message.extra.get("phone", "000"))


@given(st.sampled_from(["4807.5000", "01131.5000", "21.60", "87.30", "512.4"]), st.integers(1, 330))
def test_a_number_of_any_length_is_read_or_refused(number, length):
    for text in ("9" * length, "0." + "1" * length):
        frame = USUAL.replace(number, text, 1).encode() + b"\n"
        try:
            (message,) = xexun.decode(frame, Context(received_at=AT)).messages
        except ValueError:
            continue
        legal(message)
        check_report(message)


@pytest.mark.parametrize("line", [USUAL, BASIC, NOWHERE])
def test_what_is_left_of_a_line_tells_nothing_else(line):
    """A line cut off anywhere is refused, or says what the whole one says, or less."""
    (whole,) = reports(listen(line.encode()))
    told = msgspec.to_builtins(whole)
    for length in range(len(line)):
        for report in reports(listen(line[:length].encode())):
            assert says_no_more(msgspec.to_builtins(report), told), line[:length]


def says_no_more(part: dict[str, Any], whole: dict[str, Any]) -> bool:
    return all(
        says_no_more(value, whole[name]) if isinstance(value, dict) else whole[name] == value
        for name, value in part.items()
    )
