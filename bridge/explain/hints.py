"""Why bytes were rejected, in a sentence a person can act on.

Openings and endings are those of docs/protocols.md, also of a family member this bridge does not
read: a person who sees "begins like tk102" knows what to look for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import TOO_LONG, TRUNCATED, UNRECOGNISED, Rejected


class _Shape(NamedTuple):
    """How the frames of a protocol look from outside."""

    protocol: str
    opening: re.Pattern[bytes]
    begins: str
    ends: str


_SHAPES = (
    _Shape(
        "gps103",
        re.compile(rb"(?:##,)?imei:|(?<!\d)\d{15}(?:[;\r\n]|$|imei:)"),
        "imei: or ##,imei: or a 15-digit id",
        "; or * or a line feed",
    ),
    _Shape("tk103", re.compile(rb"\([0-9A-Za-z]{3}"), "(", ")"),
    _Shape(
        "xexun",
        re.compile(rb"(?:\d{6,14},[^,]{0,32},)?G[PN]RMC,|\d{10,14},[^,]{0,32},,[FL],"),
        "GPRMC, or twelve digits, a phone number and GPRMC,",
        "a line feed",
    ),
    _Shape(
        "h02",
        re.compile(rb"\*[0-9A-Za-z]{2},"),
        "*HQ, or its like, or $ and a packed id",
        "#, or has 32 bytes from a $ on",
    ),
    _Shape("gt06", re.compile(rb"xx[\x05-\x7f]|yy\x00"), "bytes 78 78 or 79 79", "bytes 0d 0a"),
    _Shape("tk102", re.compile(rb"\[[\x80\xf0!]\d{10}"), "[", "]"),
)

_STRANGERS = (
    (re.compile(rb"(?:GET|POST|HEAD|PUT|OPTIONS|CONNECT|PRI) "), "an HTTP request"),
    (re.compile(rb"\x16\x03[\x00-\x04]"), "the opening of a TLS connection"),
    (re.compile(rb"SSH-"), "an SSH client"),
    (re.compile(rb"\x03\x00\x00"), "a remote desktop client"),
    (re.compile(rb"(?:OPTIONS|REGISTER|INVITE) sip:"), "a SIP client"),
    (re.compile(rb"\x10.{1,2}\x00\x04MQTT", re.DOTALL), "an MQTT client (wrong port?)"),
)  # fmt: skip

_REASONS = {
    ("gt06", "no login"): (
        "in gt06 only the login says who speaks, and no other frame is told without one:"
        " put the login before it, as the tracker does when it connects"
    ),
    ("gt06", "malformed length"): (
        "the frame has fewer or more bytes than its length or its kind asks for"
    ),
}
"""What can be said of some reasons of some protocols."""

_DIGITS = re.compile(rb"\d+[;\s]*")
_HEX_BLANKS = b" \r\n\t:"
_LOOK_BYTES = 512
"""How far into the bytes an opening is searched for."""


def hint(rejected: Rejected, protocols: Sequence[WireProtocol]) -> str:
    """Return what may be wrong with the bytes, in one sentence; empty if nothing can be said."""
    if rejected.reason == UNRECOGNISED:
        return _unrecognised(rejected.frame[:_LOOK_BYTES], {each.name for each in protocols})
    if rejected.reason == TRUNCATED:
        ends = next((shape.ends for shape in _SHAPES if shape.protocol == rejected.protocol), "")
        return f"the bytes end before the frame does{f': it closes with {ends}' if ends else ''}"
    if rejected.reason == TOO_LONG:
        return f"no end of a frame within {len(rejected.frame)} bytes"
    told = _REASONS.get((rejected.protocol or "", rejected.reason))
    return told or f"the frame is whole, but not as {rejected.protocol} writes it"


def _unrecognised(data: bytes, known: set[str]) -> str:
    for opening, words in _STRANGERS:
        if opening.match(data):
            return f"this is {words}, no tracker"
    for shape in _SHAPES:
        found = shape.opening.search(data)
        if found is None:
            continue
        if not found.start():
            unread = "" if shape.protocol in known else ", which this version does not read"
            return f"begins like {shape.protocol}{unread}"
        if shape.protocol in known:
            return (
                f"a {shape.protocol} frame seems to begin at byte {found.start()}:"
                " leave out what stands before it"
            )
    if _is_hex_text(data):
        return "this is hexadecimal text: --hex reads it as bytes"
    if _DIGITS.fullmatch(data):
        digits = len(data.rstrip(b"; \r\n"))
        return f"a lone number is a heartbeat if it has 15 digits; this one has {digits}"
    return "; ".join(
        f"{shape.protocol} begins with {shape.begins}"
        for shape in _SHAPES
        if shape.protocol in known
    )


def _is_hex_text(data: bytes) -> bool:
    """Whether the bytes are hexadecimal digits that spell the opening of a frame."""
    digits = data.translate(None, _HEX_BLANKS)
    try:
        spelt = bytes.fromhex(digits[: len(digits) & ~1].decode("latin-1"))
    except ValueError:
        return False
    return any(shape.opening.match(spelt) for shape in _SHAPES)
