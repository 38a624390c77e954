"""A capture: a tracker's last frames as lines of our corpus, with nobody's name on them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from bridge.model import Login
from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import Connection, Event, Received, Rejected
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
    true as it stands; what we sent is left out, because it follows from them. Where only a login
    says who speaks, the latest one, or one made up, comes before the frame. `secret` is drawn anew
    for each capture: two captures of one tracker do not betray that they are.
    """
    ids = {frame.tracker_id for frame in frames if frame.tracker_id}
    redactor = Redactor(secret or secrets.token_bytes(), ids)
    logins: dict[str, bytes] = {}
    came_in = (frame for frame in frames if frame.direction == "in")
    for number, frame in enumerate(came_in, 1):
        data = redactor.redact(frame.data, frame.protocol)
        chunks, events = [data], _events([data], frame, protocols)
        if any(_is_login(event) for event in events):
            logins[frame.tracker_id] = data
        elif all(isinstance(event, Rejected) for event in events):
            login = redactor.introduction(frame.tracker_id, frame.protocol)
            if login:
                chunks.insert(0, logins.get(frame.tracker_id, login))
                events = _events(chunks, frame, protocols)
        in_hex = any(_CONTROL.search(chunk) for chunk in chunks)
        line = {
            "id": f"capture/{frame.protocol or 'unknown'}-{number:03d}",
            "transport": frame.transport,
            "encoding": "hex" if in_hex else "latin-1",
            "chunks": [_text(chunk, in_hex=in_hex) for chunk in chunks],
            "received_at": msgspec.to_builtins(frame.received_at),
            "events": [_event(event, in_hex=in_hex) for event in events],
            "source": "capture",
        }
        yield json.dumps(line, separators=(",", ":"))


_CONTROL = re.compile(rb"[^\t\r\n\x20-\x7e\xa0-\xff]")


def _events(
    chunks: Iterable[bytes], frame: CapturedFrame, protocols: Sequence[WireProtocol]
) -> list[Event]:
    connection = Connection(protocols, datagrams=frame.transport == "udp")
    for chunk in chunks:
        connection.receive_data(chunk)
    connection.receive_eof()
    return list(connection.events(frame.received_at))


def _is_login(event: Event) -> bool:
    return isinstance(event, Received) and any(isinstance(each, Login) for each in event.messages)


def _event(event: Event, *, in_hex: bool) -> dict[str, Any]:
    if isinstance(event, Received):
        reply = _text(event.reply + event.receipt, in_hex=in_hex)
        messages = msgspec.to_builtins(event.messages)
        return {"frame": event.frame.hex(), "reply": reply, "messages": messages}
    return {"frame": event.frame.hex(), "rejected": event.reason}


def _text(data: bytes, *, in_hex: bool) -> str:
    return data.hex() if in_hex else data.decode("latin-1")
