"""What a redaction may change, and that it changes it: the laws of every frame of every corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bridge.model import CommandResult, Fix, Message, Report
from bridge.protocols.connection import Connection, Event, Received, Rejected
from bridge.protocols.gt06.framing import build, sealed
from bridge.protocols.registry import PROTOCOLS

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
SECRET = b"a secret of the tests, 32 bytes."
GT06_LOGIN = build(b"xx", 0x01, b"\0\1", bytes.fromhex("0864000000000115"))

ABOUT_PEOPLE = frozenset((
    "tag", "driver_id", "name", "sensor_id", "vin", "wifi", "cells", "payload", "phone", "iccid",
    "io", "serial", "mac", "text", "files", "card", "settings", "no_place",
))  # fmt: skip
"""What of a report's `extra` may change, besides id, place, cell and free text."""

PERSONAL = frozenset({"driver_id", "vin", "phone", "iccid", "mac", "card"})
PERSONAL_LISTS = frozenset({"wifi", "cells"})
"""What of it must change."""


def decoded(*frames: bytes) -> list[Event]:
    """What frames come to, one after the other; each is detected anew, who speaks is remembered."""
    connection = Connection(PROTOCOLS, datagrams=True)
    for frame in frames:
        connection.receive_data(frame)
    return list(connection.events(AT))


def impersonal(message: Message) -> object:
    """A message without what a redaction may change."""
    if isinstance(message, CommandResult):
        return msgspec.structs.replace(message, device_id="", text="")
    if not isinstance(message, Report):
        return msgspec.structs.replace(message, device_id="")
    fix = message.fix and msgspec.structs.replace(message.fix, latitude=0.0, longitude=0.0)
    cell = message.cell and msgspec.structs.replace(message.cell, lac=0, cid=0)
    extra = {name: value for name, value in message.extra.items() if name not in ABOUT_PEOPLE}
    told = message.extra.keys() - extra.keys()
    plain = msgspec.structs.replace(message, device_id="", fix=fix, cell=cell, extra=extra)
    return plain, told


def reply(event: Received) -> bytes:
    """The reply with the id of the first message blanked, and the sum it may end with."""
    answer = event.reply + event.receipt
    if event.protocol == "gt06":
        has_sum = sealed(event.frame)
        return answer[:-4] if has_sum else answer[:4]  # without a sum, no number either
    return answer.replace(event.messages[0].device_id.encode(), b"ID") if event.messages else answer


def assert_same_but_for_whom(frames: Sequence[bytes], masked: Sequence[bytes]) -> None:
    """Assert it of frames of one conversation: who speaks may be told by the first only."""
    before, after = decoded(*frames), decoded(*masked)
    assert len(after) == len(before), masked
    for old, new in zip(before, after, strict=True):
        assert type(new) is type(old), (old, new)
        if isinstance(old, Received) and isinstance(new, Received):
            assert [impersonal(each) for each in new.messages] == [
                impersonal(each) for each in old.messages
            ], new.frame
            assert reply(new) == reply(old)
            for one, other in zip(old.messages, new.messages, strict=True):
                assert other.device_id != one.device_id
                if len(one.device_id) > 5:
                    assert one.device_id.encode() not in new.frame
                    assert one.device_id not in new.frame.hex()
                if isinstance(one, Report) and isinstance(other, Report):
                    assert_elsewhere(one.fix, other.fix)
                    assert_somebody_else(one, other)
        elif isinstance(old, Rejected) and isinstance(new, Rejected):
            assert (new.protocol, new.reason) == (old.protocol, old.reason), new.frame


def assert_somebody_else(one: Report, other: Report) -> None:
    """Assert that nothing in `extra`, and no cell, is still the same person's."""
    binary = {"payload"} if one.protocol == "gt06" else set[str]()
    for name in (PERSONAL | binary) & one.extra.keys():
        assert other.extra[name] != one.extra[name], name
    for name in PERSONAL_LISTS & one.extra.keys():
        assert not keys(one, name) & keys(other, name), name
    if one.cell is not None and other.cell is not None:
        assert (other.cell.lac, other.cell.cid) != (one.cell.lac, one.cell.cid)


def keys(report: Report, name: str) -> set[object]:
    return {each.get("mac") or (each["lac"], each["cid"]) for each in report.extra[name]}


def assert_elsewhere(fix: Fix | None, moved: Fix | None) -> None:
    if fix is not None and moved is not None:
        assert -90 <= moved.latitude <= 90
        assert -180 <= moved.longitude <= 180
        assert (moved.latitude == fix.latitude) == (fix.latitude == 0)
        assert (moved.longitude == fix.longitude) == (fix.longitude == 0)


def conversations_of(path: Path) -> Iterator[list[tuple[bytes, str | None]]]:
    """The conversations of a corpus file, ours or the shared one: frames, with who claims them."""
    for line in path.read_text("utf-8").splitlines():
        case = json.loads(line)
        in_hex = (case.get("encoding") or case.get("kind")) == "hex"
        chunks = case.get("chunks") or [case["frame"]]
        connection = Connection(PROTOCOLS, datagrams=case.get("transport", "udp") == "udp")
        for chunk in chunks:
            connection.receive_data(bytes.fromhex(chunk) if in_hex else chunk.encode("latin-1"))
        connection.receive_eof()
        yield [(event.frame, event.protocol) for event in connection.events(AT)]


def frames_of(path: Path) -> list[tuple[bytes, str | None]]:
    return [frame for conversation in conversations_of(path) for frame in conversation]
