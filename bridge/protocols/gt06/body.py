"""A gt06 body while it is read, and what it has said so far.

A body has no field names: its kind says which blocks follow each other. A block is a function that
reads what it knows, from where the one before it stopped, and notes it in the `Body`; so a kind is
a row of blocks and needs no code of its own. Bytes of unknown meaning are kept, in their order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Alarm, Cell, Fix, Status

PAYLOAD_BYTES = 256
"""How much of what is not understood is kept of one frame."""

TEXT_CHARACTERS = 1024
"""How much of a text is told."""


class ShortError(DecodeError):
    """A body that ends within a block."""

    def __init__(self) -> None:
        super().__init__("length")


class Body(msgspec.Struct):
    """What is read of `data`; `at` is where the next block begins."""

    data: bytes
    count: int = 0
    """The length that the frame's head names; WiFi frames count their networks there instead."""
    zone_minutes: int = 0
    """How the clock in the body stands to UTC."""
    at: int = 0
    device_id: str = ""
    time: datetime | None = None
    fix: Fix | None = None
    cell: Cell | None = None
    text: str | None = None
    """The answer to a command."""
    alarms: list[Alarm] = []
    status: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    unread: bytes = b""

    @property
    def left(self) -> int:
        """How many bytes no block has taken yet."""
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        """Return the next bytes; raises ShortError if there are less."""
        piece = self.data[self.at : self.at + size]
        if len(piece) < size:
            raise ShortError
        self.at += size
        return piece

    def byte(self) -> int:
        """Return the next byte; raises ShortError if there is none."""
        at = self.at
        if at == len(self.data):
            raise ShortError
        self.at = at + 1
        return self.data[at]

    def number(self, size: int) -> int:
        """Return the next bytes as an unsigned number; raises ShortError if there are less."""
        return int.from_bytes(self.take(size))

    def unpack(self, columns: struct.Struct) -> tuple[Any, ...]:
        """Return the next columns; raises ShortError if they are not all there."""
        return columns.unpack(self.take(columns.size))

    def line(self, size: int | None = None) -> str:
        """Return the next bytes, or all, as text up to the first NUL."""
        data = self.take(self.left if size is None else size)
        return data.partition(b"\0")[0].decode("latin-1").strip()[:TEXT_CHARACTERS]

    def read(self, layout: Layout) -> None:
        """Read one block after the other; what is left, or too short for its block, is kept.

        Zeros say nothing. Raises DecodeError if not even the first block is whole.
        """
        begin, size = self.at, len(self.data)
        try:
            for block in layout:
                block(self)
                begin = self.at
                if begin == size:
                    break
        except ShortError:
            if not begin:
                raise
            self.at = begin
        if begin < size or self.unread:
            unread = self.unread + self.data[begin:]
            if any(unread):
                self.extra["payload"] = unread[:PAYLOAD_BYTES].hex()

    def spoken(self) -> Status:
        """Return the status as far as it was told."""
        return Status(**self.status) if self.status else NO_STATUS


Block = Callable[[Body], None]
Layout = tuple[Block, ...]


def skip(size: int) -> Block:
    """Return a block that passes over what is of no use: lengths, the language of texts."""

    def block(body: Body) -> None:
        body.take(size)

    return block


def keep(size: int) -> Block:
    """Return a block of unknown meaning."""

    def block(body: Body) -> None:
        body.unread += body.take(size)

    return block


def note(name: str, size: int) -> Block:
    """Return a block of one whole number for `extra`, told unless it is zero."""

    def block(body: Body) -> None:
        found = body.number(size)
        if found:
            body.extra[name] = found

    return block


def moment(  # noqa: PLR0913, PLR0917 - the hands of a clock
    zone_minutes: int, year: int, month: int, day: int, hour: int, minute: int, second: int
) -> datetime | None:
    """Return the UTC time of a clock in a zone, None where there is no such time.

    Year 0 is a clock that was never set.
    """
    if not 0 < year < 99:
        return None
    try:
        time = datetime(2000 + year, month, day, hour, minute, second, 0, UTC)
    except ValueError:
        return None
    return time - timedelta(minutes=zone_minutes) if zone_minutes else time


def clock(body: Body) -> None:
    """Read a time: six bytes."""
    body.time = moment(body.zone_minutes, *body.take(6))


def decimal_clock(body: Body) -> None:
    """Read a time in decimal digits, two a byte; it is UTC."""
    digits = body.take(6).hex()
    if digits.isdecimal():
        body.time = moment(0, *(int(digits[at : at + 2]) for at in range(0, 12, 2)))


def epoch_clock(body: Body) -> None:
    """Read a time in seconds since 1970; it is UTC."""
    seconds = body.number(4)
    if seconds in _SECONDS:
        body.time = datetime.fromtimestamp(seconds, UTC)


_SECONDS = range(978_307_200, 4_102_444_800)
"""The years 2001 to 2099."""


def identity(body: Body) -> None:
    """Read the tracker's id, in the few kinds that carry it."""
    body.device_id = read_id(body.take(8))


def read_id(data: bytes) -> str:
    """Return the 15 digits of an id in 8 bytes, of which the first half byte is a filler."""
    digits = data.hex()
    if not digits.isdecimal():
        raise DecodeError("id", digits)
    return digits[1:]
