"""Blocks that say how: the status byte, alarms, battery, supply, signal, distance."""

from __future__ import annotations

from bridge.model import Alarm
from bridge.protocols.gt06.body import Block, Body, Layout, skip

IGNITION, CHARGING, CUT = 0x02, 0x04, 0x80
"""Flags of a status byte."""

STATUS_ALARMS: dict[int, Alarm] = {
    1: Alarm.VIBRATION,
    2: Alarm.POWER_CUT,
    3: Alarm.LOW_BATTERY,
    4: Alarm.SOS,
    6: Alarm.GEOFENCE,
    7: Alarm.REMOVING,
}
"""Bits 3 to 5 of a status byte."""

_CODES = {
    Alarm.SOS: "01",
    Alarm.POWER_CUT: "02",
    Alarm.VIBRATION: "03 09",
    Alarm.GEOFENCE_ENTER: "04",
    Alarm.GEOFENCE_EXIT: "05",
    Alarm.OVERSPEED: "06",
    Alarm.TAMPERING: "0c 13 25 32",
    Alarm.LOW_BATTERY: "0e 0f 19",
    Alarm.POWER_OFF: "11",
    Alarm.DOOR: "14",
    Alarm.REMOVING: "18",
    Alarm.FALL_DOWN: "23",
    Alarm.HARD_ACCELERATION: "26 29 f0",
    Alarm.HARD_BRAKING: "1a 27 28 30 f1",
    Alarm.HARD_CORNERING: "1b 2a 2b 2e",
    Alarm.ACCIDENT: "2c f2",
    Alarm.IDLE: "c9",
}
ALARM_CODES = {code: alarm for alarm, codes in _CODES.items() for code in bytes.fromhex(codes)}
"""The byte that names an alarm. There are lists that have jamming for 30, met on the road it was
hard braking."""

CAMERA_ALARMS: dict[int, Alarm] = {
    0x80: Alarm.VIBRATION,
    0x87: Alarm.OVERSPEED,
    0x88: Alarm.POWER_CUT,
    0x90: Alarm.HARD_ACCELERATION,
    0x91: Alarm.HARD_BRAKING,
    0x92: Alarm.HARD_CORNERING,
    0x93: Alarm.ACCIDENT,
}
"""The same of cameras, which count differently."""

_NO_ALARM = frozenset((0x00, 0xFF))


def flags(body: Body) -> None:
    """Read the status byte: ignition, charging, engine cut, and an alarm in three bits."""
    status = body.byte()
    body.status["ignition"] = status & IGNITION != 0
    body.status["charging"] = status & CHARGING != 0
    body.status["engine_cut"] = status & CUT != 0
    kind = STATUS_ALARMS.get(status >> 3 & 7)
    if kind is not None:
        body.alarms.append(kind)


def armed_flags(body: Body) -> None:
    """Read the status byte of kind 0x23: armed, ignition, charging."""
    status = body.byte()
    body.status["armed"] = status & 1 != 0
    body.status["ignition"] = status & IGNITION != 0
    body.status["charging"] = status & CHARGING != 0


def alarm(body: Body) -> None:
    """Read the byte that names an alarm; one that is not known is kept."""
    put_alarm(body, body.byte(), ALARM_CODES)


def put_alarm(body: Body, code: int, codes: dict[int, Alarm]) -> None:
    """Note an alarm, or its code where that is not known."""
    kind = codes.get(code)
    if kind is not None:
        body.alarms.append(kind)
    elif code not in _NO_ALARM:
        body.extra["alarm_code"] = f"0x{code:02x}"


def level(body: Body) -> None:
    """Read the battery: a level of 0 to 6, or else percent."""
    value = body.byte()
    _put_percent(body, value * 100 // 6 if value <= 6 else value)


def percent(body: Body) -> None:
    """Read the battery in percent."""
    _put_percent(body, body.byte())


def _put_percent(body: Body, value: int) -> None:
    if value <= 100:
        body.status["battery_percent"] = float(value)


def gsm(body: Body) -> None:
    """Read the signal: a level of 0 to 4, or an RSSI of up to 31, or else percent."""
    put_signal(body, body.byte())


def put_signal(body: Body, value: int) -> None:
    """Note a signal strength, if it is one."""
    if value <= 4:
        body.status["gsm_percent"] = value * 25
    elif value <= 100:
        body.status["gsm_percent"] = _rssi_percent(value) if value <= 31 else value


def _rssi_percent(rssi: int) -> int:
    return round(rssi * 100 / 31)


def reception(body: Body) -> None:
    """Read the satellites of two systems and the RSSI, five bits each."""
    word = body.number(2)
    body.extra["satellites"] = (word >> 10 & 31) + (word >> 5 & 31)
    body.status["gsm_percent"] = _rssi_percent(word & 31)


def geofence(body: Body) -> None:
    """Read which fence was crossed; 255 is none."""
    number = body.byte()
    if number != 255:
        body.extra["geofence"] = number


def ignition(body: Body) -> None:
    """Read the ACC line, a byte of its own."""
    body.status["ignition"] = body.byte() != 0


def reason(body: Body) -> None:
    """Read why the position was sent; 0 is the interval."""
    value = body.byte()
    if value:
        body.extra["reason"] = value


def replayed(body: Body) -> None:
    """Read whether the position is told late."""
    if body.byte():
        body.extra["replayed"] = True


def value(name: str, size: int, steps: int) -> Block:
    """Return a block of a number of `Status` that has so many steps to its unit."""

    def block(body: Body) -> None:
        body.status[name] = body.number(size) / steps

    return block


def temperature(size: int, steps: int, *, positive: int) -> Block:
    """Return a block of a temperature, its highest bit equal to `positive` above zero."""
    sign = 1 << size * 8 - 1

    def block(body: Body) -> None:
        number = body.number(size)
        celsius = (number & sign - 1) / steps
        put_celsius(body, celsius if number // sign == positive else -celsius)

    return block


def put_celsius(body: Body, celsius: float) -> None:
    """Note a temperature that a vehicle can have."""
    if -100 <= celsius <= 300:
        body.status["temperature_c"] = celsius


def humidity(body: Body) -> None:
    """Read a humidity in hundredths of a percent."""
    put_humidity(body, body.number(2) / 100)


def put_humidity(body: Body, percents: float) -> None:
    """Note a humidity that air can have."""
    if percents <= 100:
        body.extra["humidity_percent"] = percents


def engine_hours(size: int) -> Block:
    """Return a block of a running time in minutes."""

    def block(body: Body) -> None:
        body.extra["engine_hours"] = round(body.number(size) / 60, 2)

    return block


def card(body: Body) -> None:
    """Read the driver's card in hex digits, zeros for none."""
    number = body.take(8)
    if any(number):
        body.extra["driver_id"] = number.hex()


def battery_v(size: int, steps: int) -> Block:
    """Return a block of the battery's voltage; zero is not measured."""
    volt = value("battery_v", size, steps)

    def block(body: Body) -> None:
        volt(body)
        if not body.status["battery_v"]:
            del body.status["battery_v"]

    return block


external_v = value("external_v", 2, 100)
odometer = value("odometer_km", 4, 1000)

STATE: Layout = (flags, level, gsm, alarm, skip(1))
"""The usual status; the last byte is the language of texts."""

SUPPLY: Layout = (flags, external_v, gsm, alarm)
"""The status of units that measure what feeds them."""

UPLOAD: Layout = (ignition, reason, replayed)
