"""The cutter of bracketed frames, held against a slow and obvious reading of the same rules."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.protocols import framing
from bridge.protocols.base import Cut

CUT = framing.bracketed(b"(", b")", b"$")


def pieces(data: bytes) -> list[Cut]:
    """Cut until the data is used up or more is needed."""
    found, start = [], 0
    while start < len(data):
        piece = CUT(data, start, final=False)
        found.append(piece)
        if not piece.consumed:
            break
        start += piece.consumed
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"(ab)", [b"(ab)"]),
        (b"(ab)(cd)", [b"(ab)", b"(cd)"]),
        (b"()", [b"()"]),
        (b"\r\nx)$(ab)", [b"(ab)"]),
        (b"($a)b$)(c)", [b"($a)b$)", b"(c)"]),
        (b"($(a$)(c)", [b"($(a$)", b"(c)"]),
        (b"($a)$b$)$c)", [b"($a)$b$)$c)"]),
        (b"((ab)", [b"(ab)"]),
        (b"(a(b)", [b"(a", b"(b)"]),
        (b"($a$b(c)", [b"($a$b", b"(c)"]),
        (b"(ab", []),
        (b"($a)", []),
        (b"($a$", []),
        (b"junk", []),
    ],
)
def test_brackets(data, expected):
    assert [piece.frame for piece in pieces(data) if piece.frame is not None] == expected


def test_what_is_not_in_a_frame_is_noise():
    assert pieces(b"xy(ab)\r\n(") == [Cut(2), Cut(4, b"(ab)"), Cut(2), Cut(0)]


def test_a_quote_without_a_partner_costs_one_window_at_most():
    lonely = b"(a$b)"
    good = b"(good)" * 200
    assert len(lonely + good) > framing.QUOTED_WINDOW
    assert [piece.frame for piece in pieces(lonely + good)] == [lonely] + [b"(good)"] * 200
    waiting = (lonely + good)[: framing.QUOTED_WINDOW - 1]
    assert pieces(waiting) == [Cut(0)]


def test_an_endless_quote_is_cut_off_where_no_frame_follows():
    data = b"($" + b"x" * 2 * framing.QUOTED_WINDOW
    assert pieces(data)[0] == Cut(framing.QUOTED_WINDOW, data[: framing.QUOTED_WINDOW])


def plain_reading(data: bytes, window: int) -> tuple[list[bytes], bytes]:
    """Return the frames of the data and what waits for more, read byte by byte."""
    frames, at = [], 0
    while at < len(data):
        if data[at : at + 1] != b"(":
            at += 1
            continue
        quoted, end = False, at + 1
        while end < len(data):
            byte = data[end : end + 1]
            if byte == b"$":
                quoted = not quoted or end >= at + window
            elif not quoted and byte in (b"(", b")"):
                break
            end += 1
        if end < len(data):
            end += data[end : end + 1] == b")"
        elif not quoted or len(data) < at + window:
            return frames, data[at:]
        else:
            again = data.find(b"(", at + 1, at + window)
            end = again if again >= 0 else at + window
        if end > at + 1:
            frames.append(data[at:end])
        at = end
    return frames, b""


BYTES = st.lists(st.sampled_from([b"(", b")", b"$", b"a", b"\n", b"$$", b"(b)"])).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(BYTES)
def test_it_reads_as_the_rules_say(data):
    with patch.object(framing, "QUOTED_WINDOW", 12):
        found = pieces(data)
    frames, waiting = plain_reading(data, 12)
    assert [piece.frame for piece in found if piece.frame is not None] == frames
    assert (found[-1:] == [Cut(0)]) is bool(waiting)


@settings(deadline=None, max_examples=300)
@given(BYTES, BYTES)
def test_later_bytes_change_no_frame(data, later):
    with patch.object(framing, "QUOTED_WINDOW", 12):
        before = [piece.frame for piece in pieces(data) if piece.frame is not None]
        after = [piece.frame for piece in pieces(data + later) if piece.frame is not None]
    assert after[: len(before)] == before
