"""What a battery-management system tells its tracker, as two commands of tk103 pass it on.

BS50 is one block in hex, words little-endian:

    00 64 FF  COUNT  24 x CELL mV  CHARGE  A*10 (2)  V*100 (2)  %  HOT  STOPS (2)  -- --
    CYCLES (2)  FAULT  -- x 6  SENSORS  POWER STAGE  BALANCER  7 x SENSOR  Ah*100 (4)  ...

BS51 is ``NUMBER:HEX,NUMBER:HEX,...``, each block with eight bytes, words big-endian:

    90  V*10 (2)  gathered V*10 (2)  A*10 + 30000 (2)  %*10 (2)
    91  highest cell mV (2)  its number  lowest cell mV (2)  its number
    92  highest temperature  its number  lowest temperature  its number
    96  part of the list  7 x SENSOR, 0 where there is none

A temperature is a byte, degrees Celsius plus 40. Source: docs/protocols.md, section tk103.
"""

from __future__ import annotations

import struct
from typing import Any

from bridge.errors import DecodeError
from bridge.model import NO_STATUS, Status

_CELLS = struct.Struct("<3xB24H")
_STATE = struct.Struct("<BHHB3B2xHB6xB9BHI")


def read_pack(body: str) -> tuple[Status, dict[str, Any]]:
    """Return what BS50 says: the status, and the battery's own measurements by name.

    Raises DecodeError for what is no hex, or too short.
    """
    block = _block(body, _CELLS.size + _STATE.size)
    count, *cells = _CELLS.unpack_from(block)
    (
        charge, current, volt, percent, hot, charge_stop, discharge_stop, cycles, fault,
        sensors, power_stage, balancer, *temperatures, capacity, discharged,
    ) = _STATE.unpack_from(block, _CELLS.size)  # fmt: skip
    bms = {
        "cells_v": [cell / 1000 for cell in cells[:count]],
        "current_a": current / 10,
        "overheated": hot > 0,
        "charge_protection": charge_stop > 0,
        "discharge_protection": discharge_stop > 0,
        "cycles": cycles,
        "fault": fault,
        "power_stage_c": power_stage - 40,
        "balancer_c": balancer - 40,
        "temperatures_c": [celsius - 40 for celsius in temperatures[:sensors]],
        "capacity_ah": capacity / 100,
        "discharged_raw": discharged,
    }
    return Status(
        charging=charge == 0, battery_v=volt / 100, battery_percent=_percent(percent)
    ), bms


def read_blocks(body: str) -> tuple[Status, dict[str, Any]]:
    """Return what BS51 says, as `read_pack`; blocks of unknown meaning stay in hex, by number."""
    status, bms = NO_STATUS, dict[str, Any]()
    for part in body.split(","):
        number, _, text = part.partition(":")
        block = _block(text, 8)
        if number == "90":
            volt, gathered, current, percent = struct.unpack_from(">4H", block)
            status = Status(battery_v=volt / 10, battery_percent=_percent(percent / 10))
            bms |= {"gathered_v": gathered / 10, "current_a": (current - 30000) / 10}
        elif number == "91":
            high, highest, low, lowest = struct.unpack_from(">HBHB", block)
            bms |= {"cell_max_v": high / 1000, "cell_max": highest}
            bms |= {"cell_min_v": low / 1000, "cell_min": lowest}
        elif number == "92":
            bms |= {"temperature_max_c": block[0] - 40, "temperature_max": block[1]}
            bms |= {"temperature_min_c": block[2] - 40, "temperature_min": block[3]}
        elif number == "96":
            bms["temperatures_c"] = [celsius - 40 for celsius in block[1:8] if celsius]
        else:
            bms.setdefault("blocks", {})[number] = text
    return status, bms


def _block(text: str, size: int) -> bytes:
    try:
        block = bytes.fromhex(text)
    except ValueError:
        block = b""
    if len(block) < size:
        raise DecodeError("battery", text)
    return block


def _percent(value: float) -> float | None:
    return float(value) if 0 <= value <= 100 else None
