"""Which blocks each kind of frame is made of.

A kind is the byte behind the length; what a firmware adds or changes is told from the length of the
body, and nothing else. Source: docs/protocols.md, section gt06.
"""

from __future__ import annotations

from bridge.protocols.gt06.body import (
    Body,
    Layout,
    clock,
    decimal_clock,
    identity,
    keep,
    note,
    skip,
)
from bridge.protocols.gt06.information import information
from bridge.protocols.gt06.modules import modules
from bridge.protocols.gt06.packets import (
    answer,
    button,
    camera,
    diagnosis,
    driver_number,
    inputs,
    lock_state,
    long_answer,
    phone,
    ports,
    serial_port,
    surroundings,
    swiped_card,
)
from bridge.protocols.gt06.places import (
    altitude,
    blank_networks,
    counted_towers,
    gps,
    headed_networks,
    network_towers,
    networks,
    sized_tower,
    tower,
    towers,
    usual_tower,
)
from bridge.protocols.gt06.states import (
    STATE,
    SUPPLY,
    UPLOAD,
    alarm,
    armed_flags,
    battery_v,
    card,
    engine_hours,
    external_v,
    flags,
    geofence,
    gsm,
    humidity,
    level,
    odometer,
    percent,
    reception,
    temperature,
    value,
)

hundredths_v = battery_v(2, 100)
tenths_v = battery_v(1, 10)
tower_4 = tower(2, 4)
tower_8 = tower(4, 8)


def heartbeat(body: Body) -> None:
    """Read a status whose firmware may have put the supply in it: before the signal, or behind.

    Behind the signal it is in tenths of a volt under a leading F. Before the signal there are its
    hundredths where no levels can be, and then a signal where no alarm would be without a language.
    """
    data = body.data
    layout = STATE
    if len(data) == 5:
        supply = int.from_bytes(data[1:3])
        levels = data[1] <= 6 and data[2] <= 4
        if not levels and 600 < supply < 6000 and 1 <= data[3] <= 4 and not data[4]:
            layout = SUPPLY
        elif data[3] >> 4 == 15 and 50 <= int.from_bytes(data[3:]) & 0xFFF <= 600:
            layout = (flags, level, gsm, supply_tenths)
    body.read(layout)


def supply_tenths(body: Body) -> None:
    """Read the supply in tenths of a volt, in the lower twelve bits."""
    body.status["external_v"] = (body.number(2) & 0xFFF) / 10


SHORT: dict[int, Layout] = {
    0x10: (gps,),
    0x11: (gps, usual_tower),
    0x12: (gps, usual_tower, swiped_card),
    0x13: (heartbeat,),
    0x15: (answer,),
    0x16: (gps, sized_tower, *STATE),
    0x17: (gps, usual_tower, card, skip(1)),
    0x18: (clock, towers(7), skip(3)),
    0x19: (clock,),
    0x1A: (gps, phone),
    0x1E: (gps, towers(7), skip(3)),
    0x21: (long_answer,),
    0x22: (gps, usual_tower, *UPLOAD),
    0x23: (armed_flags, hundredths_v, gsm, skip(1), skip(1)),
    0x24: (clock, towers(7), skip(1), networks),
    0x26: (gps, sized_tower, *STATE),
    0x27: (gps, sized_tower, *STATE, geofence),
    0x28: (clock, towers(7), skip(3)),
    0x2A: (gps, phone),
    0x2C: (clock, towers(7), skip(1), networks),
    0x2D: (gps, usual_tower, *UPLOAD),
    0x2E: (clock, towers(7), skip(3)),
    0x31: (gps, tower(2, 4, wide_mnc=True), *UPLOAD, keep(4), altitude),
    0x33: (clock, towers(6, 4, 8), skip(1), networks),
    0x34: (
        keep(4), gps, keep(2), odometer, tower_4, driver_number, external_v, hundredths_v, ports,
    ),
    0x36: (gps, tower_4, *UPLOAD, odometer, external_v, tenths_v, engine_hours(3), card),
    0x37: (gps, usual_tower, *UPLOAD),
    0x61: (identity, gps, tower_4, skip(2), driver_number),
    0x69: (decimal_clock, headed_networks, counted_towers),
    0x94: (external_v,),
    0x95: (camera,),
    0xA0: (gps, tower_8, *UPLOAD),
    0xA1: (clock, towers(7, 4, 8), skip(3)),
    0xA2: (clock, towers(7, 4, 8), skip(1), networks),
    0xA3: (gps, skip(1), tower_8, *STATE),
    0xA4: (gps, skip(1), tower_8, *STATE, geofence),
    0xA5: (tower_8, *STATE),
    0xF3: (clock, blank_networks),
}  # fmt: skip
"""Frames that begin with 78 78."""

VARIANTS: dict[tuple[int, int], Layout] = {
    (0x11, 28): (gps, tower(2, 4, wide_mnc=True)),
    (0x12, 28): (gps, usual_tower, inputs),
    (0x12, 30): (gps, usual_tower, odometer),
    (0x12, 31): (gps, usual_tower, *SUPPLY),
    (0x12, 34): (identity, gps, usual_tower),
    (0x12, 38): (
        gps, usual_tower, *SUPPLY, note("fuel_raw", 2), temperature(1, 1, positive=0),
        value("odometer_km", 4, 100),
    ),
    (0x13, 14): (flags, reception, alarm, skip(1), percent, keep(1), hundredths_v, keep(5)),
    (0x13, 16): (
        keep(3), alarm, skip(1), percent, keep(1), hundredths_v, keep(5),
        temperature(2, 10, positive=1),
    ),
    (0x16, 31): (gps, usual_tower, *SUPPLY),
    (0x16, 33): (gps, skip(1), tower_4, *STATE),
    (0x16, 40): (gps, skip(1), usual_tower, *STATE, card),
    (0x19, 13): (usual_tower, *STATE),
    (0x22, 42): (
        gps, tower_4, *UPLOAD, odometer, keep(4), temperature(2, 100, positive=0), humidity,
    ),
    (0x22, 55): (
        skip(1), identity, skip(6), gps, sized_tower, flags, external_v, tenths_v, gsm,
        alarm, skip(1), value("odometer_km", 3, 1000), engine_hours(3),
    ),
    (0x24, 44): (clock, network_towers, networks),
    (0xA2, 59): (
        gps, tower_8, keep(1), flags, external_v, level, gsm, keep(2), odometer, keep(4), identity,
        note("input", 2),
    ),
    (0xA3, 19): (flags, keep(3), gsm, keep(4), note("steps", 4), percent, keep(5)),
}  # fmt: skip
"""The same, of a firmware that is known by the length of its body."""

LONG: dict[int, Layout] = {
    0x21: (long_answer,),
    0x32: (surroundings, keep(1)),
    0x33: (surroundings, lock_state),
    0x38: (gps, keep(3), tower_8),
    0x65: (diagnosis,),
    0x66: (diagnosis,),
    0x70: (modules,),
    0x8C: (diagnosis,),
    0x94: (information,),
    0x9B: (serial_port,),
    0xF2: (button,),
}
"""Frames that begin with 79 79."""


def layout_of(kind: int, size: int, *, long: bool) -> Layout:
    """Return the blocks of a kind whose body has `size` bytes, none for an unknown kind."""
    if long:
        return LONG.get(kind, ())
    return VARIANTS.get((kind, size)) or SHORT.get(kind, ())
