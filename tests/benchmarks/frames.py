"""What a typical tracker says on a drive, for each protocol, with made-up ids and places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class Talk(NamedTuple):
    """One protocol as a load generator needs it.

    `position(device_id, at, step)` is a fix at `at` (UTC), `step` seconds of town traffic into the
    drive. `yardstick(text)` finds latitude and longitude in that frame the cheapest way there is.
    """

    protocol: str
    device_id: Callable[[int], str]
    login: Callable[[str], bytes]
    welcome: Callable[[str], bytes]
    keep_alive: Callable[[str], bytes]
    still_here: Callable[[str], bytes]
    position: Callable[[str, datetime, int], bytes]
    yardstick: Callable[[str], tuple[float, float]]


def _gps103_position(device_id: str, at: datetime, step: int) -> bytes:
    return (
        f"imei:{device_id},tracker,{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
        f"5231.{step % 10_000:04d},N,01324.6000,E,27.00,90.50,34.5,1,0,45.16%,,;"
    ).encode()


def _gps103_yardstick(text: str) -> tuple[float, float]:
    fields = text.split(",")
    return float(fields[7]), float(fields[9])


def _tk103_position(device_id: str, at: datetime, step: int) -> bytes:
    return (
        f"({device_id}BR00{at:%y%m%d}A5231.{step % 10_000:04d}N01324.6000E050.0{at:%H%M%S}"
        "090.5001000000L00000539)"
    ).encode()


def _tk103_yardstick(text: str) -> tuple[float, float]:
    fields = text.split("N")
    return float(fields[0][24:]), float(fields[1][:10])


GPS103 = Talk(
    protocol="gps103",
    device_id=lambda number: f"8640000000{number:05d}",
    login=lambda device_id: f"##,imei:{device_id},A;".encode(),
    welcome=lambda _: b"LOAD",
    keep_alive=lambda device_id: f"{device_id};".encode(),
    still_here=lambda _: b"ON",
    position=_gps103_position,
    yardstick=_gps103_yardstick,
)

TK103 = Talk(
    protocol="tk103",
    device_id=lambda number: f"0870{number:08d}",
    login=lambda device_id: f"({device_id}BP00000{device_id}HSO)".encode(),
    welcome=lambda device_id: f"({device_id}AP01HSO)".encode(),
    keep_alive=lambda device_id: f"({device_id}BP00HSO)".encode(),
    still_here=lambda device_id: f"({device_id}AP01HSO)".encode(),
    position=_tk103_position,
    yardstick=_tk103_yardstick,
)

TALKS = (GPS103, TK103)
