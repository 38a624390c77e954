"""What an h02 frame says beside its place: the status word, what is written around it, and cells.

    [BATT,][DDMMYY][,x,phone,iccid][,STATUS[,...]]

Behind STATUS stands nothing, or one of

    metres,celsius,fuel.%,altitude,LAC,CID      LAC and CID in hex
    mcc,mnc,lac,cid[,n][,iccid]                 written in one of three ways: see `_cell_in`
    anything                                    kept as ``io``

Nothing in here can cost a report its position: what is not understood is kept or left out.
Source of all facts: docs/protocols.md, section h02.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct, structs, to_builtins

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Alarm, Cell, Status, rank_alarms
from bridge.protocols import fields

ALARM_BITS: tuple[tuple[int, Alarm], ...] = (
    (0, Alarm.VIBRATION),
    (1, Alarm.SOS),
    (2, Alarm.OVERSPEED),
    (18, Alarm.SOS),
    (19, Alarm.POWER_CUT),
)
"""Bits of the status word that are alarms while they are 0."""

BATTERY_PERCENT: dict[int, float] = {
    **{level: (level - 1) * 10.0 for level in range(1, 4)},
    **{level: (level - 1) * 20.0 for level in range(4, 7)},
    **{level: float(level) for level in range(7, 101)},
    **{0xF0 + level: float(level) for level in range(1, 7)},
}
"""What the battery byte of a record means; of any other value nothing is known."""

_COUNTRIES = range(200, 800)
"""Mobile country codes in use."""

_MOST_METRES = 9_999_999_999.0
_HEX = "0123456789ABCDEFabcdef"
_DIGITS = {10: "0123456789", 16: _HEX}


class Word(Struct, frozen=True):
    """What a status word says. It is kept as it is, too: most of its bits are unproven."""

    status: Status
    alarm: Alarm | None
    extra: dict[str, Any]


class Tail(Struct, frozen=True, kw_only=True):
    """What stands behind the course of a position, or from the date on in other frames."""

    date: str
    """``yyyymmdd``; blank where there is none."""
    status: Status
    alarm: Alarm | None
    cell: Cell | None
    altitude_m: float | None
    extra: dict[str, Any]

    def at(self, clock: str) -> datetime | None:
        """Return the UTC time of that date and HHMMSS, None where either is none."""
        if len(clock) != 6 or not clock.isdecimal() or clock > "235959":
            return None
        try:
            return datetime.fromisoformat(f"{self.date}T{clock}Z")
        except ValueError:
            return None


def is_word(text: str) -> bool:
    """Whether the text is eight hex digits."""
    return len(text) == 8 and not text.strip(_HEX)


@lru_cache(maxsize=1024)
def read_word(code: str, battery: int = 0) -> Word:
    """Return what a status word says, and a battery byte beside it; raises DecodeError."""
    if not is_word(code):
        raise DecodeError("status", code)
    word = int(code, 16)
    alarm, others = rank_alarms([kind for bit, kind in ALARM_BITS if not word >> bit & 1])
    extra: dict[str, Any] = {"status_word": f"{word:08X}"}
    if others:
        extra["alarms"] = others
    status = Status(
        ignition=word >> 10 & 1 == 1,
        door_open=word >> 8 & 1 == 0,
        armed=word >> 9 & 1 == 0,
        engine_cut=word >> 27 & 1 == 0,
        battery_percent=BATTERY_PERCENT.get(battery),
    )
    return Word(status, alarm, extra)


@lru_cache(maxsize=512)
def read_tail(text: str) -> Tail:
    """Read all columns from the battery or the date on."""
    column = text.split(",")
    extra: dict[str, Any] = {}
    if column[0].isdecimal() and len(column[0]) < 4 and column[1:] and _is_date(column[1]):
        extra["battery_raw"] = int(column.pop(0))
    date = column.pop(0) if _is_date(column[0]) else ""
    sim: list[str] = []
    if not _has_word(column, 0) and (_has_word(column, 3) or len(column) == 3):
        sim, column = column[:3], column[3:]
    word = read_word(column.pop(0)) if _has_word(column, 0) else Word(NO_STATUS, None, {})
    status, altitude = word.status, None
    measured = _measured(column)
    if measured is not None:
        telemetry, altitude, cell = measured
        status, column = structs.replace(status, **telemetry), []
    else:
        cell, column = _cell_in(column)
    return Tail(
        date=f"20{date[4:6]}{date[2:4]}{date[0:2]}" if date else "",
        status=status,
        alarm=word.alarm,
        cell=cell,
        altitude_m=altitude,
        extra=extra | word.extra | _kept(sim, column),
    )


def _is_date(text: str) -> bool:
    """Whether the column is that of the date, which may be blank."""
    return not text or (len(text) == 6 and text.isdecimal())


def _has_word(column: list[str], at: int) -> bool:
    return len(column) > at and is_word(column[at])


def _measured(column: list[str]) -> tuple[dict[str, Any], float | None, Cell | None] | None:
    """Return (odometer, temperature and fuel, altitude, cell); None for any other columns."""
    if len(column) != 6 or "." not in column[2]:
        return None
    metres, celsius, fuel, altitude = (fields.number(text) for text in column[:4])
    if metres is None or celsius is None or fuel is None or altitude is None:
        return None
    telemetry = {
        "odometer_km": metres / 1000.0 if 0.0 <= metres <= _MOST_METRES else None,
        "temperature_c": fields.celsius(column[1]),
        "fuel_percent": fields.percent(column[2]),
    }
    cell = known_cell(None, None, column[4], column[5], base=16)
    return telemetry, fields.altitude(altitude), cell


def _cell_in(column: list[str]) -> tuple[Cell | None, list[str]]:
    """Return the cell that the first four columns tell, and the other columns.

    ``310,260,49101,1753``            plain numbers
    ``000106,000002,000203,004c87``   hex, six digits each
    ``cc,28,  db,d75b``               hex, only the lac padded, and the two digits of the network
                                      the other way round: 0x28 is 40, which is network 04
    """
    written = [part.lstrip() for part in column[:4]]
    if len(written) < 4 or not all(0 < len(part) < 7 for part in written):
        return None, column
    mcc, mnc, lac, cid = written
    cell: Cell | None = None
    if all(part.isdecimal() for part in column[:4]) and int(mcc) in _COUNTRIES:
        cell = known_cell(int(mcc), int(mnc), lac, cid)
    elif not "".join(written).strip(_HEX):
        country, operator = int(mcc, 16), f"{int(mnc, 16):02}"
        if all(len(part) == 6 for part in written):
            cell = known_cell(country, int(operator), lac, cid, base=16)
        elif len(column) == 4:
            turned = int(operator[::-1]) if len(operator) == 2 else None
            cell = known_cell(country, turned, lac, cid, base=16)
    return (None, column) if cell is None else (cell, column[4:])


def read_cells(mcc: str, mnc: str, towers: list[list[str]]) -> dict[str, Any]:
    """Return what (lac, cid[, rssi]) of each tower say: the first as `cell`, the rest in `extra`.

    A tower that cannot exist is left out; raises ValueError where there are no numbers at all.
    """
    country, network = fields.whole(mcc, 999), fields.whole(mnc, 999)
    if country is None or network is None:
        raise DecodeError("cell", (mcc, mnc))
    found: list[tuple[Cell, float | None]] = []
    for lac, cid, *rssi in towers:
        cell = known_cell(country, network, lac, cid)
        if cell is not None:
            found.append((cell, fields.number(rssi[0], -200.0, 200.0) if rssi else None))
    extra: dict[str, Any] = {}
    if found[1:]:
        extra["cells"] = [to_builtins(cell) for cell, _ in found[1:]]
    strengths = [int(strength) for _, strength in found if strength is not None]
    if strengths and len(strengths) == len(found):
        extra["rssi"] = strengths
    return {"cell": found[0][0] if found else None, "extra": extra}


def known_cell(
    mcc: int | None, mnc: int | None, lac: str, cid: str, *, base: int = 10
) -> Cell | None:
    """Return a cell that can exist, else None."""
    if not lac or not cid or f"{lac}{cid}".strip(_DIGITS[base]) or len(f"{lac}{cid}") > 16:
        return None
    area, tower = int(lac, base), int(cid, base)
    if mcc is not None and mcc not in _COUNTRIES:
        return None
    if not (0 < area <= 0xFFFF and 0 < tower <= 0xFFFFFFF and 0 <= (mnc or 0) <= 999):
        return None
    return Cell(mcc=mcc, mnc=mnc, lac=area, cid=tower)


def _kept(sim: list[str], column: list[str]) -> dict[str, Any]:
    """Return what is known of the SIM card, and as ``io`` whatever else there is."""
    kept: dict[str, Any] = {}
    if sim and sim[1].isdecimal():
        kept["phone"] = sim.pop(1)
    io = []
    for text in (*filter(None, sim), *(part.strip() for part in column)):
        # The last half byte is a filler, F, for the odd 20th digit: some add it to the character 0.
        if len(text) in (19, 20) and text.startswith("89") and text[:-1].isdecimal():
            kept["iccid"] = text.rstrip("Ff?")
        else:
            io.append(text)
    if any(io):
        kept["io"] = io
    return kept
