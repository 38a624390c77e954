"""One peer's bytes, turned into events: detect, cut, decode.

The goal is h11's bargain: whatever arrives ends as `Received` or `Rejected`, nothing is raised, and
how the bytes were chopped into reads changes nothing. Two kinds of peer:

* a stream (TCP): the protocol is claimed once, for good; the end of the stream turns an unfinished
  frame into `Rejected("truncated")`;
* a sequence of datagrams (UDP): each is claimed anew and is complete in itself, while the identity
  learnt from earlier ones is kept.

Bytes that no protocol claims are `Rejected("unrecognised")` with ``protocol=None``; a stream that
has come to that is beyond saving, each further read is the same, and a live caller hangs up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime

import msgspec

from bridge.errors import DecodeError
from bridge.model import Message
from bridge.protocols.base import Claim, Context, WireProtocol

UNRECOGNISED = "unrecognised"
TRUNCATED = "truncated"
TOO_LONG = "too long"

DEFAULT_DETECTION_BYTES = 256
"""How much of a stream may pass undecided; the longest legal opening has less than 100 bytes."""

DEFAULT_FRAME_BYTES = 4096
"""Longest frame taken; photo parts of gps103, the longest ones known, have some 2,100 bytes."""

_BLANKS = b"\r\n "


class Received(msgspec.Struct, frozen=True, gc=False):
    """A frame that was understood."""

    frame: bytes
    protocol: str
    messages: tuple[Message, ...]
    reply: bytes
    receipt: bytes


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Bytes that were not understood, and why."""

    frame: bytes
    protocol: str | None
    reason: str


Event = Received | Rejected


@dataclass(slots=True)
class Connection:
    """The protocol state of one TCP connection or one UDP session.

    Feed it with `receive_data` (one read, or one datagram) and `receive_eof`, and take all that it
    makes of it with `events`. `utc_offset_minutes` is the offset of the tracker's local clock.
    """

    protocols: Sequence[WireProtocol]
    datagrams: bool = False
    utc_offset_minutes: InitVar[int | None] = None
    detection_bytes: int = DEFAULT_DETECTION_BYTES
    frame_bytes: int = DEFAULT_FRAME_BYTES
    protocol: WireProtocol | None = field(default=None, init=False)
    """Who was claimed; with datagrams, by the latest one."""
    noise_bytes: int = field(default=0, init=False)
    """Bytes skipped between frames."""
    _context: Context = field(init=False)
    _buffer: bytes = field(default=b"", init=False)
    _queue: deque[bytes] = field(default_factory=deque, init=False)
    _ended: bool = field(default=False, init=False)
    _lost: bool = field(default=False, init=False)

    def __post_init__(self, utc_offset_minutes: int | None) -> None:
        self._context = Context(received_at=_EPOCH, utc_offset_minutes=utc_offset_minutes)

    @property
    def device_id(self) -> str:
        """The identity the peer gave last, empty before."""
        return self._context.device_id

    @property
    def undecided(self) -> bool:
        """Whether the peer still has to show what it speaks."""
        return self.protocol is None

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def set_utc_offset(self, minutes: int | None) -> None:
        """Tell decoders how the tracker's local clock stands to UTC; None: unknown."""
        self._context.utc_offset_minutes = minutes

    def receive_data(self, data: bytes) -> None:
        """Take one read of a stream, or one whole datagram."""
        if self.datagrams:
            self._queue.append(data)
        elif self._buffer:
            self._buffer += data
        else:
            self._buffer = data

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self._ended = True

    def events(self, received_at: datetime) -> Iterator[Event]:
        """Return an iterator over what the bytes so far come to. `received_at` is aware and UTC."""
        self._context.received_at = received_at
        return self._datagram_events() if self.datagrams else self._cut(self._ended)

    def _datagram_events(self) -> Iterator[Event]:
        while self._queue:
            self.protocol, self._lost, self._buffer = None, False, self._queue.popleft()
            yield from self._cut(final=True)

    def _cut(self, final: bool) -> Iterator[Event]:  # noqa: FBT001 - the end of input, as in `cut`
        protocol = self.protocol or self._detect(final)
        if protocol is None:
            if self._lost and self._buffer:
                lost, self._buffer = self._buffer, b""
                yield Rejected(lost, None, UNRECOGNISED)
            return
        cut, limit = protocol.cut, self.frame_bytes
        buffer = self._buffer
        start, end = 0, len(buffer)
        try:
            while start < end:
                piece = cut(buffer, start, final)
                consumed, frame = piece.consumed, piece.frame
                if frame is not None and consumed <= limit:
                    start += consumed
                    yield self._understand(frame, protocol)
                elif frame is None and consumed:
                    start += consumed
                    self.noise_bytes += consumed
                elif consumed or end - start >= limit:
                    # A frame that outgrows the limit is refused at the limit, whether its end has
                    # come yet or not: so the answer does not depend on how the bytes were chopped.
                    start += limit
                    yield Rejected(buffer[start - limit : start], protocol.name, TOO_LONG)
                else:
                    break
            if final and start < end:
                frame, start = buffer[start:], end
                whole = self.datagrams and protocol.bare_datagram
                yield (
                    self._understand(frame, protocol)
                    if whole
                    else Rejected(frame, protocol.name, TRUNCATED)
                )
        finally:
            # What came in while the caller held an event stands behind the bytes looked at.
            self._buffer = self._buffer[start:]

    def _understand(self, frame: bytes, protocol: WireProtocol) -> Event:
        try:
            said = protocol.decode(frame, self._context)
        except ValueError as error:
            return Rejected(frame, protocol.name, _reason(error))
        return Received(frame, protocol.name, said.messages, said.reply, said.receipt)

    def _detect(self, final: bool) -> WireProtocol | None:  # noqa: FBT001
        """Claim the buffer for one protocol, or leave it undecided, or give it up as lost.

        A later protocol wins only when every earlier one has said NO. The prefix looked at is
        bounded, so that the answer does not depend on how the bytes were chopped.
        """
        if self._lost:
            return None
        data = self._buffer.lstrip(_BLANKS)
        self.noise_bytes += len(self._buffer) - len(data)
        self._buffer = data
        if not data:
            return None
        opening = data[: self.detection_bytes]
        decided = final or len(data) >= self.detection_bytes
        for protocol in self.protocols:
            claim = protocol.claim(opening, decided)
            if claim is Claim.YES:
                self.protocol = protocol
                return protocol
            if claim is Claim.UNDECIDED and not decided:
                return None
        self._lost = True
        return None


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _reason(error: ValueError) -> str:
    """A short, stable reason: the decoder's own words, never a peer's bytes."""
    return str(error) if isinstance(error, DecodeError) else "malformed"
