"""What a protocol is: how it is claimed, cut and decoded.

    bytes --claim--> YES | NO | UNDECIDED        whose language is this?
    bytes --cut----> Cut(consumed, frame|None)   where does one frame end?
    frame --decode-> Decoded(messages, reply)    what does it say, what does it want to hear?

Three functions over bytes and one frozen row that names them. A decoder never writes to a socket:
it returns the reply, so that the caller chooses when it is safe to send it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import msgspec

from bridge.model import Message


class Claim(Enum):
    """The answer to "is this yours?"; UNDECIDED asks for more bytes."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


class Cut(msgspec.Struct, frozen=True, gc=False):
    """One step of framing at a place in the buffer.

    ``consumed == 0``: the frame is not complete, more bytes are needed. ``frame is None`` with
    bytes consumed: noise between frames, skipped. Else `frame` with its delimiter, as received.
    """

    consumed: int
    frame: bytes | None = None


MORE = Cut(0)


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one frame says.

    `reply` is what the protocol answers; `receipt` what it answers to an alarm, which is sent for
    accepted vehicles only (it makes the tracker stop repeating the alarm).
    """

    messages: tuple[Message, ...]
    reply: bytes = b""
    receipt: bytes = b""


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Context:
    """What a decoder may remember or must be told between the frames of one connection."""

    received_at: datetime
    """UTC, set anew before each frame."""
    device_id: str = ""
    """The identity of the connection, for protocols whose frames carry none after the login."""
    utc_offset_minutes: int | None = None
    """Offset of the tracker's local clock, configured or learnt; None while unknown."""
    replaying: bool = False
    """The tracker is uploading its stored log: what it sends is old."""
    replayed_at: datetime = _LONG_AGO
    """When the latest frame of such an upload came."""
    zone_minutes: int = 0
    """Zone of the tracker's clock, in minutes east of UTC, as its login told it."""


ClaimFunction = Callable[[bytes, bool], Claim]
CutFunction = Callable[[bytes, int, bool], Cut]
DecodeFunction = Callable[[bytes, Context], Decoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProtocol:
    """One protocol as a row of functions; instances stand in `bridge.protocols.registry`.

    `claim(data, final)` sees the first bytes of a stream or datagram without leading blanks.
    `cut(data, start, final)` cuts at `start`; `final` says that no byte follows.
    `decode(frame, context)` returns `Decoded` and raises ValueError for a frame that breaks the
    grammar, nothing else.
    """

    name: str
    claim: ClaimFunction
    cut: CutFunction
    decode: DecodeFunction
    bare_datagram: bool = False
    """A datagram without the closing delimiter is still a whole frame."""
