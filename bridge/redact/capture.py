"""A capture: a tracker's last frames as lines of our corpus, with nobody's name on them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import Connection, Event, Received
from bridge.protocols.registry import PROTOCOLS
from bridge.redact.frames import Redactor


class CapturedFrame(Protocol):
    """What a capture needs of a kept frame; the journal's record is one."""

    @property
    def tracker_id(self) -> str:
        """Empty where it was not known."""

    @property
    def received_at(self) -> datetime:
        """Aware and UTC."""

    @property
    def direction(self) -> str:
        """``in`` or ``out``."""

    @property
    def protocol(self) -> str:
        """Empty for bytes that nobody claimed."""

    @property
    def transport(self) -> str:
        """``tcp`` or ``udp``."""

    @property
    def data(self) -> bytes:
        """One frame, with its delimiter."""


def capture_lines(
    frames: Sequence[CapturedFrame],
    *,
    secret: bytes | None = None,
    protocols: Sequence[WireProtocol] = PROTOCOLS,
) -> Iterator[str]:
    """Return one corpus line (JSON, without line end) for each frame that came in, masked.

    The events are what the masked frame decodes to on a connection of its own, so that the line is
    true as it stands; what we sent is left out, because it follows from them. `secret` is drawn
    anew for each capture: two captures of one tracker do not betray that they are.
    """
    ids = {frame.tracker_id for frame in frames if frame.tracker_id}
    redactor = Redactor(secret or secrets.token_bytes(), ids)
    came_in = (frame for frame in frames if frame.direction == "in")
    for number, frame in enumerate(came_in, 1):
        data = redactor.redact(frame.data, frame.protocol)
        encoding = "hex" if _CONTROL.search(data) else "latin-1"
        line = {
            "id": f"capture/{frame.protocol or 'unknown'}-{number:03d}",
            "transport": frame.transport,
            "encoding": encoding,
            "chunks": [data.hex() if encoding == "hex" else data.decode("latin-1")],
            "received_at": msgspec.to_builtins(frame.received_at),
            "events": [_event(event) for event in _events(data, frame, protocols)],
            "source": "capture",
        }
        yield json.dumps(line, separators=(",", ":"))


_CONTROL = re.compile(rb"[^\t\r\n\x20-\x7e\xa0-\xff]")


def _events(
    data: bytes, frame: CapturedFrame, protocols: Sequence[WireProtocol]
) -> Iterator[Event]:
    connection = Connection(protocols, datagrams=frame.transport == "udp")
    connection.receive_data(data)
    connection.receive_eof()
    return connection.events(frame.received_at)


def _event(event: Event) -> dict[str, Any]:
    if isinstance(event, Received):
        reply = (event.reply + event.receipt).decode("latin-1")
        messages = msgspec.to_builtins(event.messages)
        return {"frame": event.frame.hex(), "reply": reply, "messages": messages}
    return {"frame": event.frame.hex(), "rejected": event.reason}
