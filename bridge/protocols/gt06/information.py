"""Information packets, kind 0x94: what is rarely told, in kinds of its own."""

from __future__ import annotations

import re
import struct

from bridge.protocols.gt06 import states
from bridge.protocols.gt06.body import Body, Layout, clock


def information(body: Body) -> None:
    """Read an information packet; an unknown one is kept whole."""
    layout = LAYOUTS.get(body.byte())
    if layout is None:
        body.at = 0
    body.read(layout or ())


def _settings(body: Body) -> None:
    """Read settings as ``NAME=text;``."""
    pairs = (pair.partition("=") for pair in body.line().split(";"))
    body.extra["settings"] = {name: text for name, equals, text in pairs if equals}
    body.take(body.left)


def _door(body: Body) -> None:
    """Read the door and an input, with or without a time before."""
    if body.left > 6:
        clock(body)
    flags = body.byte()
    body.status["door_open"] = flags & 1 == 1
    body.extra["io1"] = flags >> 2 & 1 == 1


def _sim(body: Body) -> None:
    """Read the number of the SIM card, behind IMEI and IMSI."""
    body.take(16)
    put_iccid(body, body.take(10))


def put_iccid(body: Body, number: bytes) -> None:
    """Note the number of a SIM card; some units swap the digits of a byte, as the card does."""
    digits = number.hex()
    if digits.startswith("98"):
        digits = "".join(digits[at + 1] + digits[at] for at in range(0, len(digits), 2))
    body.extra["iccid"] = digits.rstrip("f")


def _network(body: Body) -> None:
    """Read the supply, if there are two bytes, or else the generation of the mobile network."""
    if body.left == 2:
        states.external_v(body)
    elif body.take(1) == b"\1":
        body.extra["network"] = "4G"


def _fuel(body: Body) -> None:
    """Read the line of an ultrasonic fuel sensor, with or without a time before."""
    if body.data[body.at : body.at + 1] != b"!":
        clock(body)
    found = _AIOIL.match(body.line())
    if found is None:
        body.at = 1
        return
    states.put_celsius(body, float(found["celsius"]))
    body.extra["fuel_raw"] = float(found["fuel"])


_AIOIL = re.compile(
    r"!AIOIL,\d+,[\d.]*,(?P<celsius>-?\d{1,4}\.\d{1,6}),[^,]*,[^,]*,(?P<fuel>\d{1,6}\.\d{1,6}),",
    re.ASCII,
)


def _card(body: Body) -> None:
    """Read a driver's card: as text, or four bytes with two before and two behind."""
    if body.data[body.at : body.at + 1].isalpha():
        body.extra["driver_id"] = body.line().removeprefix("RFID:")
        return
    body.take(2)
    body.extra["driver_id"] = body.take(4).hex()
    body.take(2)


def _climate(body: Body) -> None:
    """Read temperature and humidity, in tenths."""
    celsius, humidity = body.unpack(_CLIMATE)
    states.put_celsius(body, celsius / 10)
    states.put_humidity(body, humidity / 10)


_CLIMATE = struct.Struct(">iI")

LAYOUTS: dict[int, Layout] = {
    0x00: (states.external_v,),
    0x04: (_settings,),
    0x05: (_door,),
    0x0A: (_sim,),
    0x0B: (_network,),
    0x0D: (_fuel,),
    0x1B: (_card,),
    0x1E: (_climate,),
}
