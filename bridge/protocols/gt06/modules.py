"""Frames of modules, kind 0x70: each piece of news behind its kind and its length."""

from __future__ import annotations

import struct

import msgspec

from bridge.protocols.gt06 import information, places, states
from bridge.protocols.gt06.body import Block, Body, epoch_clock, note


def modules(body: Body) -> None:
    """Read modules; those of unknown kind, or too short for it, are kept whole."""
    while body.left >= 4:
        begin = body.at
        kind, size = body.number(2), body.number(2)
        end = body.at + size
        if end > len(body.data):
            body.at = begin
            break
        least, block = MODULES.get(kind, (size + 1, None))
        if block is not None and size >= least:
            block(body)
        else:
            body.unread += body.data[begin:end]
        body.at = end
    if body.fix is not None:
        hdop = body.extra.pop("hdop", None)
        satellites = body.extra.pop("satellites", body.fix.satellites)
        body.fix = msgspec.structs.replace(body.fix, hdop=hdop, satellites=satellites)


def _fix(body: Body) -> None:
    epoch_clock(body)
    satellites, metres, latitude, longitude, speed, flags = body.unpack(_FIX)
    places.put_fix(body, latitude, longitude, flags, speed, satellites & 15)
    places.put_altitude(body, metres)


_FIX = struct.Struct(">Bh2IBH")


def _cell(body: Body) -> None:
    places.put_towers(body, (body.number(2), body.number(2)), 1)


def _sim(body: Body) -> None:
    information.put_iccid(body, body.take(10))


def _satellites(body: Body) -> None:
    body.extra["satellites"] = body.byte()


def _hdop(body: Body) -> None:
    body.extra["hdop"] = body.byte() / 10


def _door(body: Body) -> None:
    flags = body.byte()
    body.status["door_open"] = flags & 15 != 0
    body.extra["tamper"] = flags >> 4 != 0


MODULES: dict[int, tuple[int, Block]] = {
    0x03: (10, _sim),
    0x09: (1, _satellites),
    0x0A: (1, note("satellites_in_view", 1)),
    0x11: (10, _cell),
    0x18: (2, states.value("battery_v", 2, 100)),
    0x28: (1, _hdop),
    0x2A: (1, _door),
    0x2E: (4, states.odometer),
    0x33: (18, _fix),
    0x34: (1, note("event", 1)),
}
"""The least length and the block of every module that is known."""
