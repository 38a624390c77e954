"""Cases: JSON lines in, JSON lines out, each line one fresh connection.

    {"id","transport":"tcp"|"udp","encoding":"latin-1"|"hex","chunks":[...],"received_at":RFC 3339}
    {"id","protocol":NAME|null,"events":[{"frame":hex,"reply":hex,"messages":[...]}, ...]}

A rejected frame is the event ``{"frame":hex,"rejected":reason}``; of bytes that no protocol claims
it says ``"protocol": null`` besides. A line that is no case is answered ``{"id","error"}``.

The JSON is ASCII: a stranger's bytes may hold control characters that a terminal would obey.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TextIO

import msgspec

from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import UNRECOGNISED, Connection, Event, Received, Rejected
from bridge.protocols.registry import PROTOCOLS

Transport = Literal["tcp", "udp"]


class _Case(msgspec.Struct, frozen=True):
    """A line's content; further keys are somebody else's and ignored."""

    id: str | int
    transport: Transport
    encoding: Literal["latin-1", "hex"]
    chunks: list[str]
    received_at: Annotated[datetime, msgspec.Meta(tz=True)]


def run_cases(
    lines: Iterable[str | bytes], out: TextIO, protocols: Sequence[WireProtocol] = PROTOCOLS
) -> int:
    """Answer each line that is not blank, and return how many were no valid case.

    Lines of bytes are the safer input: text that is no UTF-8 is then one line's error. Each answer
    is flushed, and nothing is kept between lines.
    """
    invalid = 0
    for line in lines:
        if not line.strip():
            continue
        answer = _answer(line, protocols)
        invalid += "error" in answer
        out.write(json.dumps(answer, separators=(",", ":")) + "\n")
        out.flush()
    return invalid


def converse(
    chunks: Iterable[bytes],
    transport: Transport,
    received_at: datetime,
    protocols: Sequence[WireProtocol] = PROTOCOLS,
) -> tuple[str | None, list[Event]]:
    """Return the protocol claimed first, and the events of one connection from start to end.

    Each chunk is one read of a stream or one datagram; `received_at` is aware and UTC. What nobody
    claims of a stream is one event, however it was chopped.
    """
    connection = Connection(protocols, datagrams=transport == "udp")
    first: str | None = None
    events: list[Event] = []
    for chunk in (*chunks, None):
        if chunk is None:
            connection.receive_eof()
        else:
            connection.receive_data(chunk)
        events += connection.events(received_at)
        if first is None and connection.protocol is not None:
            first = connection.protocol.name
    return first, events if connection.datagrams else list(_joined(events))


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON values. The reply is an accepted tracker's: with the receipt."""
    if isinstance(event, Received):
        reply = event.reply + event.receipt
        messages = [msgspec.to_builtins(message) for message in event.messages]
        return {"frame": event.frame.hex(), "reply": reply.hex(), "messages": messages}
    rejected = {"frame": event.frame.hex(), "rejected": event.reason}
    return rejected if event.protocol is not None else rejected | {"protocol": None}


def _answer(line: str | bytes, protocols: Sequence[WireProtocol]) -> dict[str, Any]:
    case_id: str | int | None = None
    try:
        content = msgspec.json.decode(line)
        if isinstance(content, dict) and type(content.get("id")) in (str, int):
            case_id = content["id"]
        case = msgspec.convert(content, _Case)
        chunks = [_bytes(chunk, case.encoding) for chunk in case.chunks]
        received_at = case.received_at.astimezone(UTC)
    except RecursionError:
        return {"id": case_id, "error": "nested too deeply"}
    except OverflowError:  # the first and the last day of the calendar, in another zone
        return {"id": case_id, "error": "received_at out of range"}
    except ValueError as error:  # msgspec's errors are such
        return {"id": case_id, "error": str(error)}
    protocol, events = converse(chunks, case.transport, received_at, protocols)
    return {
        "id": case.id,
        "protocol": protocol,
        "events": [event_json(event) for event in events],
    }


def _bytes(chunk: str, encoding: Literal["latin-1", "hex"]) -> bytes:
    return bytes.fromhex(chunk) if encoding == "hex" else chunk.encode("latin-1")


def _joined(events: Iterable[Event]) -> Iterator[Event]:
    """Make one event of the reads of a stream that nobody claims."""
    for lost, group in itertools.groupby(events, key=_is_lost):
        if lost:
            yield Rejected(b"".join(event.frame for event in group), None, UNRECOGNISED)
        else:
            yield from group


def _is_lost(event: Event) -> bool:
    return event.protocol is None
