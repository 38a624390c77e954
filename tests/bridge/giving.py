"""Commands given on the tracker port, and what a golf says to them."""

from __future__ import annotations

from typing import Any

from bridge import command as c
from bridge.config import Permits, VehicleConfig
from bridge.orders import Order, Status, Wish
from bridge.vehicle import Ordered
from tests.bridge.port import GOLF, Port, Wire
from tests.conftest import eventually

ALLOWED = VehicleConfig(key="golf", commands=Permits(engine_stop=True))


def golf(word: str) -> bytes:
    """Return a word as the golf hears it."""
    return f"**,imei:{GOLF},{word}".encode()


def fix(
    port: Port, *, speed_kmh: float = 0.0, minutes: float = 31.1, keyword: str = "tracker"
) -> bytes:
    """A report of this moment."""
    now = port.clock.now
    knots = speed_kmh / 1.852
    return (
        f"imei:{GOLF},{keyword},{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
        f"52{minutes:07.4f},N,01324.6000,E,{knots:.2f},90.50;"
    ).encode()


def steps(port: Port, key: str = "golf") -> list[tuple[str, str]]:
    """What the journal tells of commands: status and reason, in order."""
    return [
        (str(row.order.status), row.order.reason)
        for _, vehicle, row in port.world.reports
        if vehicle == key and isinstance(row, Ordered)
    ]


def give(port: Port, command: c.Command, key: str = "golf", **more: Any) -> Order:
    """Give a vehicle a command."""
    return port.intake.command(key, Wish(command, **more))


def refused(port: Port, command: c.Command | None = None) -> str:
    """Return why a command is refused at once."""
    order = give(port, command or c.StopEngine())
    assert (order.status, order.final) == (Status.REFUSED, True)
    return order.reason


def look(port: Port, seconds: float) -> None:
    """Let time pass, and have the bridge look after what is under way."""
    port.clock.advance(seconds)
    for live in port.intake.vehicles.values():
        port.intake.downlink.look(live)


async def said(port: Port, wire: Wire, *frames: bytes) -> None:
    """Have a tracker say something, and wait until it is taken."""
    before = port.counters.messages
    for frame in frames:
        await wire.say(frame)
    await port.taken(before + len(frames))


async def told(port: Port, *expected: tuple[str, str], key: str = "golf") -> None:
    """Wait for these steps, and no others."""
    await eventually(lambda: len(steps(port, key)) >= len(expected))
    assert tuple(steps(port, key)) == expected


async def standing(port: Port, *, speed_kmh: float = 0.0, address: str = "127.0.0.1") -> Wire:
    """Connect as the golf and report twice, so that all gates are open (if it stands)."""
    wire = await port.known(GOLF, address)
    for seconds in (50, 11):
        port.clock.advance(seconds)
        before = port.counters.messages
        await wire.say(fix(port, speed_kmh=speed_kmh))
        await port.taken(before + 1)
    return wire
