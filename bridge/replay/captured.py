"""A capture once more: every line is decoded, judged and folded anew, and whoever speaks is let in.

A line is JSON as `capture` prints it and the corpus has it, or a bare frame, as `decode --lines`
takes it; either is a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bridge import clock
from bridge.errors import RequestError
from bridge.explain.cases import converse, event_json
from bridge.intake import Intake
from bridge.model import Report
from bridge.protocols.connection import Connection, Event, Received, Rejected
from bridge.protocols.registry import PROTOCOLS
from bridge.replay.stage import Stage
from bridge.sessions import Session
from bridge.upkeep import Upkeep


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a capture, which is one of our corpus; further keys are ignored."""

    transport: Literal["tcp", "udp"]
    encoding: Literal["latin-1", "hex"]
    chunks: list[str]
    received_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    events: list[dict[str, Any]] | None = None

    @property
    def data(self) -> list[bytes]:
        if self.encoding == "hex":
            return [bytes.fromhex(chunk) for chunk in self.chunks]
        return [chunk.encode("latin-1") for chunk in self.chunks]


async def play(source: Path, stage: Stage) -> None:
    """Play every line of a capture."""
    sessions: dict[str, Session] = {}
    before: datetime | None = None
    for line in _lines(source):
        stage.outcome.read += 1
        at = line.received_at.astimezone(UTC) if line.received_at else _sent_at(line, before)
        before = at
        if line.events is not None:
            _, events = converse(line.data, line.transport, at)
            stage.outcome.decoded_anew += _told(events) != _as_captured(line.events)
        await stage.until(at)
        session = sessions.get(line.transport)
        connection = Connection(
            PROTOCOLS,
            datagrams=line.transport == "udp",
            utc_offset_minutes=None if session is None else _offset(stage.intake, session),
        )
        if session is None:
            session = _session(line.transport, connection, at)
            sessions[line.transport] = session
        session.connection = connection
        for chunk in line.data:
            connection.receive_data(chunk)
        connection.receive_eof()
        for event in connection.events(at):
            await stage.room()
            _take(event, session, stage, at)
    await stage.settled()
    upkeep = Upkeep(stage.fleet, stage.intake.clock)
    for live in stage.fleet.vehicles.values():
        await upkeep.count(live)


def _take(event: Event, session: Session, stage: Stage, at: datetime) -> None:
    intake = stage.intake
    if isinstance(event, Rejected):
        stage.outcome.rejected[event.reason] += 1
    elif event.messages:
        device_id = event.messages[0].device_id
        if intake.registry.match(device_id) is None and not intake.registry.is_blocked(device_id):
            with suppress(RequestError):  # no id that a vehicle could have
                intake.accept(device_id, now=at)
    intake.take(event, session, at)


def _lines(source: Path) -> Iterator[_Line]:
    """Yield the lines of a capture. Raises RequestError, naming the first that is none."""
    try:
        with source.open("rb") as file:
            for number, text in enumerate(file, 1):
                if not text.strip():
                    continue
                try:
                    yield _line(text.strip())
                except (ValueError, RecursionError) as error:
                    raise RequestError(
                        f"{source}:{number}: no line of a capture: {error}"
                    ) from None
    except OSError as error:
        raise RequestError(f"cannot read {source}: {error.strerror}") from error


def _line(text: bytes) -> _Line:
    if not text.startswith(b"{"):
        return _Line(transport="tcp", encoding="latin-1", chunks=[text.decode("latin-1")])
    line = msgspec.json.decode(text, type=_Line)
    line.data  # noqa: B018 - what is no hexadecimal is told here, with the number of its line
    return line


def _sent_at(line: _Line, before: datetime | None) -> datetime:
    """Return when a bare frame was sent, as far as it says so, and not before the one before it."""
    now = before or datetime.now(UTC)
    _, events = converse(line.data, line.transport, now)
    said = [
        message for event in events if isinstance(event, Received) for message in event.messages
    ]
    times = [one.device_time for one in said if isinstance(one, Report) and one.device_time]
    at = times[0] if times else now
    return at if before is None else max(at, before)


def _told(events: list[Event]) -> list[object]:
    return _as_captured([event_json(event) for event in events])


def _as_captured(events: list[dict[str, Any]]) -> list[object]:
    """Return what frames mean: replies are written in another way there."""
    return [(one.get("frame"), one.get("messages"), one.get("rejected")) for one in events]


def _session(transport: Literal["tcp", "udp"], connection: Connection, now: datetime) -> Session:
    return Session(
        transport=transport,
        peer="replay",
        address="replay",
        connection=connection,
        send=_nothing,
        close=_nothing,
        since=now,
        last_seen=now,
    )


def _nothing(_: object) -> None:
    """Nobody is there to hear a reply."""


def _offset(intake: Intake, session: Session) -> int | None:
    """Return the offset of a tracker's local clock, as configured or learnt so far."""
    live = intake.vehicles.get(session.vehicle)
    if live is None:
        return None
    if live.vehicle.timezone_minutes is not None:
        return live.vehicle.timezone_minutes
    known = live.folded.clocks.get(session.tracker_id)
    return clock.utc_offset_min(known) if known is not None else None
