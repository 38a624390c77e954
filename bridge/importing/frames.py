"""Raw frames as trackers sent them: lines of text or hexadecimal, captures, or one long stream.

A line of frames is read as a datagram is: claimed for itself, its closing byte may be missing, and
who speaks is remembered for frames that do not say. A line of a capture is a connection of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, BinaryIO, Literal

import msgspec

from bridge.importing.items import Bad, Found, Item, lines, too_long
from bridge.model import Report
from bridge.protocols.connection import Connection, Event, Received
from bridge.protocols.registry import PROTOCOLS

CHUNK = 65_536

OffsetOf = Callable[[str], int | None]
"""Gives the offset of a tracker's local clock in minutes, as far as that is known."""

_HEX_NOISE = re.compile(rb"0x|\\x|[\s:,;-]", re.IGNORECASE)
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){4,}")


class _Captured(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a capture; further keys are ignored."""

    transport: Literal["tcp", "udp"]
    encoding: Literal["latin-1", "hex"]
    chunks: list[str]
    received_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    @property
    def data(self) -> list[bytes]:
        if self.encoding == "hex":
            return [bytes.fromhex(chunk) for chunk in self.chunks]
        return [chunk.encode("latin-1") for chunk in self.chunks]


class FrameLines:
    """Reads a file of frames, one or some a line, or of captured lines."""

    def __init__(self, offset_of: OffsetOf, now: datetime, *, in_hex: bool = False) -> None:
        self._offset_of = offset_of
        self._now = now
        self._in_hex = in_hex
        self._peer = Connection(PROTOCOLS, datagrams=True)
        self._offset: int | None = None

    def read(self, file: BinaryIO) -> Iterator[Item]:
        """Yield what each line says; logins and heartbeats say nothing that is kept."""
        for number, line in lines(file):
            try:
                if reason := too_long(line):
                    raise ValueError(reason)
                for event in self.events(line.strip()):
                    yield from _items(number, event, line)
            except (ValueError, RecursionError) as error:  # msgspec's errors are such
                yield Bad(number, str(error), line)

    def events(self, line: bytes) -> list[Event]:
        """Return what a line comes to. Raises ValueError for what is no line of its kind."""
        if line.startswith(b"{"):
            return self._captured(line)
        data = unhexed(line) if self._in_hex else line
        events = self._heard(data)
        offset = self._offset_of(self._peer.device_id)
        if offset != self._offset:  # only the frame itself says whose clock it goes by
            self._offset = offset
            self._peer.set_utc_offset(offset)
            events = self._heard(data)
        return events

    def _heard(self, data: bytes) -> list[Event]:
        self._peer.receive_data(data)
        return list(self._peer.events(self._now))

    def _captured(self, line: bytes) -> list[Event]:
        captured = msgspec.json.decode(line, type=_Captured)
        told_at = captured.received_at
        at = self._now if told_at is None else told_at.astimezone(UTC)
        offset: int | None = None
        while True:
            peer = Connection(
                PROTOCOLS, datagrams=captured.transport == "udp", utc_offset_minutes=offset
            )
            for chunk in captured.data:
                peer.receive_data(chunk)
            peer.receive_eof()
            events = list(peer.events(at))
            known = self._offset_of(peer.device_id)
            if known == offset:
                return events if told_at is None else [_dated(event, at) for event in events]
            offset = known


def read_stream(offset_of: OffsetOf, now: datetime, file: BinaryIO) -> Iterator[Item]:
    """Yield what one long stream of frames says, each with its number instead of a line's."""
    peer = Connection(PROTOCOLS)
    number = 0
    while True:
        chunk = file.read(CHUNK)
        if chunk:
            peer.receive_data(chunk)
        else:
            peer.receive_eof()
        for event in peer.events(now):
            number += 1
            yield from _items(number, event, event.frame)
            peer.set_utc_offset(offset_of(peer.device_id))
        if not chunk:
            return


def unhexed(line: bytes) -> bytes:
    """Return the bytes of a line of hexadecimal. Raises ValueError."""
    digits = _HEX_NOISE.sub(b"", line)
    if not _HEX.fullmatch(digits):
        raise ValueError("no hexadecimal")
    return bytes.fromhex(digits.decode("ascii"))


def _items(number: int, event: Event, text: bytes) -> Iterator[Item]:
    if isinstance(event, Received):
        for message in event.messages:
            if isinstance(message, Report):
                yield Found(number, message, text)
    else:
        yield Bad(number, event.reason, text)


def _dated(event: Event, at: datetime) -> Event:
    """Return an event whose reports count for when they came, where they do not say when."""
    if not isinstance(event, Received):
        return event
    messages = tuple(
        msgspec.structs.replace(said, device_time=at)
        if isinstance(said, Report) and said.device_time is None
        else said
        for said in event.messages
    )
    return msgspec.structs.replace(event, messages=messages)
