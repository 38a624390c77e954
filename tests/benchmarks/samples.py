"""A typical position frame of each protocol, and the least any program must do with it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from bridge.protocols.gt06.framing import SHORT, build
from tests.benchmarks.frames import TALKS, Talk


class Sample(NamedTuple):
    """`opening` is what a peer says first, where its frames do not name it."""

    name: str
    opening: bytes
    frame: bytes
    yardstick: Callable[[], object]
    of: str


def _talk(talk: Talk, now: datetime) -> Sample:
    frame = talk.position(talk.device_id(1), now, 1234)
    text = frame.decode()
    return Sample(talk.protocol, b"", frame, lambda: talk.yardstick(text), "split")


def _text(name: str, frame: bytes, *columns: int) -> Sample:
    text = frame.decode()
    latitude, longitude = columns

    def yardstick() -> tuple[float, float]:
        fields = text.split(",")
        return float(fields[latitude]), float(fields[longitude])

    return Sample(name, b"", frame, yardstick, "split")


def _binary(name: str, opening: bytes, frame: bytes, layout: str, unit: float) -> Sample:
    unpack = struct.Struct(layout).unpack_from

    def yardstick() -> tuple[float, float]:
        latitude, longitude = unpack(frame, 11)
        return latitude / unit, longitude / unit

    return Sample(name, opening, frame, yardstick, "unpack")


def samples() -> list[Sample]:
    """Return the frames to be decoded, all of this minute."""
    now = datetime.now(UTC)
    day, clock = f"{now:%d%m%y}", f"{now:%H%M%S}"
    line = (
        f"{now:%y%m%d%H%M%S},,GPRMC,{clock}.000,A,5231.2000,N,01324.6000,E,27.00,90.50,{day},,,"
        "A*6B,F,, imei:864000000003115,08,34.5,F:4.12V,1,137,30211,262,01,1A2B,3C4D\n"
    )
    text = f"*HQ,864000000004111,V1,{clock},A,5231.2000,N,01324.6000,E,027.00,090,{day},FFFFFBFF#"
    record = bytes.fromhex(
        f"24{'8640000041'}{clock}{day}{'52312000'}06{'0132460000'[:9]}e{'027'}{'090'}fffffbff000000"
    )
    login = build(SHORT, 0x01, b"\0\1", bytes.fromhex("0864000000001234"))
    block = bytes((now.year - 2000, now.month, now.day, now.hour, now.minute, now.second, 0xC8))
    block += struct.pack(">IIBH", int(52.52 * 1.8e6), int(13.41 * 1.8e6), 50, 0x145A)
    cell = struct.pack(">HBH", 262, 1, 0x1A2B) + b"\0\x3c\x4d"
    position = build(SHORT, 0x12, b"\0\2", block + cell)
    return [
        *(_talk(talk, now) for talk in TALKS),
        _text("xexun", line.encode(), 5, 7),
        _text("h02 text", text.encode(), 5, 7),
        _binary("h02 binary", b"", record, ">II", 1e6),
        _binary("gt06", login, position, ">II", 1.8e6),
    ]
