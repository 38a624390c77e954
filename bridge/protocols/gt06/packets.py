"""Blocks of the rarer kinds: texts, cards, ports, cameras, wearables, diagnosis, buttons."""

from __future__ import annotations

import re
import struct

from bridge.model import Alarm
from bridge.protocols.gt06 import places, states
from bridge.protocols.gt06.body import Body, clock, epoch_clock


def answer(body: Body) -> None:
    """Read the answer to a command: its length, the command's mark, text, the text's language."""
    size = body.byte() - 4
    body.take(4)
    body.text = body.line(min(size, body.left) if size > 0 else None)
    body.take(body.left)


def long_answer(body: Body) -> None:
    """Read the answer to a command: the command's mark, the encoding, text."""
    body.take(4)
    encoding = "utf-16-be" if body.byte() == 2 else "latin-1"
    text = body.take(body.left).decode(encoding, "replace")
    body.text = text.partition("\0")[0].strip()


def phone(body: Body) -> None:
    """Read the number of a person who wants to hear the address of the place; then 2 bytes."""
    number = body.line(21)
    if number:
        body.extra["phone"] = number
    body.take(2)


def inputs(body: Body) -> None:
    """Read ACC, an input, and a temperature, a voltage or a raw value, all in two bytes."""
    word = body.number(2)
    body.status["ignition"] = word >> 15 == 1
    body.extra["input2"] = word >> 14 & 1 == 1
    if word >> 12 & 1:
        celsius = word & 0x1FF
        states.put_celsius(body, float(-celsius if word >> 9 & 1 else celsius))
    elif word >> 13 & 1:
        body.extra["adc_raw"] = word & 0x3FF
    else:
        body.extra["adc_v"] = [(word & 0x3FF) / 10]


def ports(body: Body) -> None:
    """Read inputs, outputs, and as many voltages as the first word says."""
    count = body.number(4) >> 20 & 15
    body.extra["input"], body.extra["output"] = body.byte(), body.byte()
    body.extra["adc_v"] = [body.number(2) / 100 for _ in range(count)]


def swiped_card(body: Body) -> None:
    """Read an odometer, the text of a card behind its length, and what came of it.

    That is two bytes, or an alarm and three. Nothing is read if the length does not fit.
    """
    behind = body.left - 5 - body.data[body.at + 4] if body.left > 5 else 0
    if behind not in (2, 4):
        return
    states.odometer(body)
    text = body.line(body.byte())
    if text:
        body.extra["card"] = text
    if behind == 4:
        states.put_alarm(body, body.byte(), {})


def driver_number(body: Body) -> None:
    """Read a driver's number, 0 for none."""
    number = body.number(4)
    if number:
        body.extra["driver_id"] = str(number)


def camera(body: Body) -> None:
    """Read the event of a camera, with a place or without, and the names of its films."""
    if body.data.startswith(b"\xff\xff"):
        body.take(3)
        clock(body)
        satellites, latitude, longitude, flags, speed, volts, code, _ = body.unpack(_CAMERA)
        places.put_fix(body, latitude, longitude, flags, speed, satellites & 15)
        body.status["external_v"] = volts / 10
    else:
        clock(body)
        if body.left < _EVENT.size:
            states.put_alarm(body, body.byte(), states.CAMERA_ALARMS)
            return
        latitude, longitude, flags, code, _ = body.unpack(_EVENT)
        places.put_fix(body, latitude, longitude, flags)
    states.put_alarm(body, code, states.CAMERA_ALARMS)
    if body.left:
        body.extra["files"] = body.line().split(",")


_CAMERA = struct.Struct(">B2I3HBH")
_EVENT = struct.Struct(">2IHBH")


def surroundings(body: Body) -> None:
    """Read a time and, each behind its length, place, cell with signal, cells, WiFi networks."""
    clock(body)
    if body.byte():
        places.place(body)
    if body.byte():
        places.usual_tower(body)
        states.put_signal(body, body.byte())
    size = body.byte()
    if body.cell is not None:
        places.put_towers(body, (body.cell.mcc or 0, body.cell.mnc or 0), size // 6)
        size %= 6
    body.take(size)
    places.put_networks(body, body.byte() // 7)


def lock_state(body: Body) -> None:
    """Read what a lock has to say of itself."""
    code = body.byte()
    if code in _ARMED:
        body.status["armed"] = _ARMED[code]
    else:
        states.put_alarm(body, code, _LOCK_ALARMS)


_ARMED = {0xA0: True, 0xA1: False}
_LOCK_ALARMS = {0xA2: Alarm.LOW_BATTERY, 0xA3: Alarm.LOW_BATTERY, 0xA5: Alarm.DOOR}


def diagnosis(body: Body) -> None:
    """Read a time, the ignition, pairs ``code=value`` in hex with commas between, and a place."""
    clock(body)
    states.ignition(body)
    pairs = body.line(max(body.left - places.PLACE_BYTES, 0)).split(",")
    for code, _, text in (pair.partition("=") for pair in pairs):
        number = int(text, 16) / 100 if _HEX.fullmatch(text) else None
        match code[:2] if len(code) == 3 else "":
            case "35" if number is not None and number <= 1000:
                body.status["obd_speed_kmh"] = number
            case "36" if number is not None and number <= 0xFFFF:
                body.status["rpm"] = int(number)
            case "2B" if number is not None and number <= 100:
                body.status["fuel_percent"] = number
            case "2D" if number is not None:
                body.extra["coolant_c"] = number
            case "4A":
                body.extra["vin"] = text
            case _ if text:
                body.extra.setdefault("obd", {})[code] = text
    places.place(body)


_HEX = re.compile("[0-9A-Fa-f]{1,8}")


def serial_port(body: Body) -> None:
    """Read what a device at a serial port says, if it is text."""
    body.extra["port"] = body.byte()
    text = body.data[body.at :].strip(b"\r\n\0").decode("latin-1")
    if text.isascii() and text.isprintable():
        body.extra["serial"] = body.line()


def button(body: Body) -> None:
    """Read what a wireless button says."""
    epoch_clock(body)
    body.unread += body.take(18)
    body.extra["mac"] = body.take(6).hex(":")
    body.unread += body.take(3)
    body.extra["text"] = body.line()
