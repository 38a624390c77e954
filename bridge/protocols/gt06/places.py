"""Blocks that say where: a position of the satellites, cells, WiFi networks."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from bridge.model import Cell, Fix
from bridge.protocols import fields
from bridge.protocols.gt06.body import Block, Body, ShortError, moment

UNITS_A_DEGREE = 1_800_000
_POLE = 90 * UNITS_A_DEGREE
_DATE_LINE = 180 * UNITS_A_DEGREE
_FASTEST = 1000
"""km/h"""

NORTH, WEST, LOCKED, ACC_TOLD, ACC_ON = (1 << bit for bit in (10, 11, 12, 14, 15))
"""Flags of a course; its ten lower bits are the degrees."""

_PLACE = struct.Struct(">B2IBH")
PLACE_BYTES = _PLACE.size
GPS_BYTES = 6 + PLACE_BYTES


def gps(body: Body) -> None:
    """Read time and place: the block of every position."""
    at = body.at
    try:
        satellites, latitude, longitude, speed, flags = _PLACE.unpack_from(body.data, at + 6)
    except struct.error:
        raise ShortError from None
    body.at = at + GPS_BYTES
    body.time = moment(body.zone_minutes, *body.data[at : at + 6])
    put_fix(body, latitude, longitude, flags, speed, satellites & 15)


def place(body: Body) -> None:
    """Read the same without a time."""
    satellites, latitude, longitude, speed, flags = body.unpack(_PLACE)
    put_fix(body, latitude, longitude, flags, speed, satellites & 15)


def put_fix(  # noqa: PLR0913, PLR0917 - the columns of a position
    body: Body,
    latitude: int,
    longitude: int,
    flags: int,
    speed: int | None = None,
    satellites: int | None = None,
) -> None:
    """Note a position in thirty-thousandths of a minute, and the ACC that its flags may tell.

    A place beyond the poles is none, but what else the frame says is true all the same.
    """
    if flags & ACC_TOLD:
        body.status["ignition"] = flags & ACC_ON != 0
    if latitude > _POLE or longitude > _DATE_LINE:
        body.extra["no_place"] = f"{latitude:08x}{longitude:08x}"
        return
    course = flags & 0x3FF
    body.fix = Fix(
        time=body.time,
        valid=flags & LOCKED != 0,
        latitude=degrees(latitude if flags & NORTH else -latitude),
        longitude=degrees(-longitude if flags & WEST else longitude),
        speed_kmh=float(speed) if speed is not None and speed <= _FASTEST else None,
        course_deg=float(course) if course <= 360 else None,
        satellites=satellites,
    )


def degrees(units: int) -> float:
    """Return degrees, to the seventh decimal, of thirty-thousandths of a minute."""
    return (units * 100 + 9) // 18 / 1e7


def altitude(body: Body) -> None:
    """Read the altitude of the position before."""
    put_altitude(body, int.from_bytes(body.take(2), signed=True))


def put_altitude(body: Body, metres: int) -> None:
    """Note the altitude of the position before."""
    if body.fix is not None:
        height = fields.altitude(float(metres))
        body.fix = msgspec.structs.replace(body.fix, altitude_m=height)


def tower(lac_bytes: int, cid_bytes: int, *, wide_mnc: bool = False) -> Block:
    """Return a block of one cell whose numbers have so many bytes."""

    def block(body: Body) -> None:
        network = _network(body, wide_mnc=wide_mnc)
        body.cell = _cell(*network, body.number(lac_bytes), body.number(cid_bytes))

    return block


def usual_tower(body: Body) -> None:
    """Read one cell of the usual shape."""
    at = body.at
    try:
        mcc, mnc, lac, cid_high, cid_low = _TOWER.unpack_from(body.data, at)
    except struct.error:
        raise ShortError from None
    if mcc & _WIDE:
        _wide_tower(body)
        return
    body.at = at + _TOWER.size
    body.cell = _cell(mcc, mnc, lac, cid_high << 16 | cid_low)


_TOWER = struct.Struct(">HBHBH")


def sized_tower(body: Body) -> None:
    """Read one cell behind its length; where that is zero there may be none before the status."""
    if body.byte() or body.left > 8:
        usual_tower(body)


def towers(count: int, lac_bytes: int = 2, cid_bytes: int = 3) -> Block:
    """Return a block of so many cells of one network, each with its signal strength."""

    def block(body: Body) -> None:
        put_towers(body, _network(body), count, lac_bytes, cid_bytes)

    return block


def network_towers(body: Body) -> None:
    """Read several cells of one network, their number behind it."""
    network = _network(body)
    put_towers(body, network, body.byte())


def counted_towers(body: Body) -> None:
    """Read several cells behind their number, of two bytes each."""
    count = body.byte()
    put_towers(body, _network(body), count, 2, 2)


def put_towers(
    body: Body, network: tuple[int, int], count: int, lac_bytes: int = 2, cid_bytes: int = 3
) -> None:
    """Note cells, each with its signal in minus dBm, but for blank and repeated ones."""
    for _ in range(count):
        cell = _cell(*network, body.number(lac_bytes), body.number(cid_bytes))
        rssi = -body.byte()
        if cell is None or cell == body.cell:
            continue
        if body.cell is None:
            body.cell = cell
            body.extra["cell_rssi"] = rssi
            continue
        others = body.extra.setdefault("cells", [])
        neighbour = msgspec.to_builtins(cell) | {"rssi": rssi}
        if neighbour not in others:
            others.append(neighbour)


def _network(body: Body, *, wide_mnc: bool = False) -> tuple[int, int]:
    """Return country and network; the country's highest bit says that the network has two bytes."""
    mcc = body.number(2)
    return mcc & ~_WIDE, body.number(2 if wide_mnc or mcc & _WIDE else 1)


_WIDE = 0x8000


def _cell(mcc: int, mnc: int, lac: int, cid: int) -> Cell | None:
    """Return a cell, None for a blank or impossible one."""
    if not 0 < mcc <= 999 or mnc > 999 or lac > 0xFFFFFF or not 0 < cid < 1 << 36:
        return None
    return Cell(mcc=mcc, mnc=mnc, lac=lac, cid=cid)


_wide_tower = tower(2, 3)


def networks(body: Body) -> None:
    """Read WiFi networks behind their number."""
    put_networks(body, body.byte())


def headed_networks(body: Body) -> None:
    """Read WiFi networks whose number stands in the place of the frame's length."""
    put_networks(body, body.count)


def blank_networks(body: Body) -> None:
    """Read WiFi networks behind their number, each with two bytes, mostly blank, before it."""
    for _ in range(body.byte()):
        body.take(2)
        _put_network(body, body.take(6), 0)


def put_networks(body: Body, count: int) -> None:
    """Note WiFi networks, each an address and its signal in minus dBm."""
    for _ in range(count):
        _put_network(body, body.take(6), body.byte())


def _put_network(body: Body, address: bytes, signal: int) -> None:
    """Note a WiFi network with its signal, signed or its minus left away; blank ones are not."""
    if not any(address):
        return
    network: dict[str, Any] = {"mac": address.hex(":")}
    if signal:
        network["rssi"] = signal - 256 if signal > 127 else -signal
    body.extra.setdefault("wifi", []).append(network)
