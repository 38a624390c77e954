"""What holds for the events of any bytes at all: every value is legal, and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from bridge.model import Message, Report
from bridge.protocols.connection import Event, Received, Rejected
from bridge.protocols.registry import PROTOCOLS

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
"""When what a test sends comes in."""

NAMES = [protocol.name for protocol in PROTOCOLS]

PLACE_BOUNDS: dict[str, tuple[float, float]] = {
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "speed_kmh": (0, 1000),
    "course_deg": (0, 360),
    "altitude_m": (-1000, 20000),
    "hdop": (0, 1e15),
    "satellites": (0, 255),
}
BOUNDS: dict[str, tuple[float, float]] = {
    "battery_percent": (0, 100),
    "battery_v": (0, 1000),
    "external_v": (0, 10000),
    "fuel_percent": (0, 100),
    "temperature_c": (-1000, 1000),
    "odometer_km": (0, 1e8),
    "gsm_percent": (0, 100),
    "obd_speed_kmh": (0, 1000),
    "rpm": (0, 100_000),
}
FLAG = (False, True)

ODD_NUMBERS = [
    "", "-", "+", ".", "+.", "--1", "+-1", "1-", "1 ", " 1", "1_0", "1e3", "1E3", "nan", "inf",
    "-inf", "0x10", "1,5", "1.2.3", "1.-2", "\xb2", "\xbd", "1\xa0", "\xa01", "1\x85", "\t1", "1\n",
    "9" * 17, "abc",
]  # fmt: skip
"""What Python's float or int might take, or a person might think of, and no tracker may write."""


def lawful(events: Iterable[Event], data: bytes) -> None:
    """Assert what holds for the events of `data`."""
    told = 0
    for event in events:
        told += len(event.frame)
        if isinstance(event, Received):
            assert event.protocol in NAMES
            for message in event.messages:
                legal(message)
        else:
            assert isinstance(event, Rejected)
            assert event.reason
            assert event.reason.isascii()
    assert told <= len(data)


def legal(message: Message) -> None:
    """Assert that a message keeps its promises and survives its own JSON."""
    assert 1 <= len(message.device_id) <= 32
    assert message.device_id.isascii()
    assert message.device_id.isalnum()
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message
    if isinstance(message, Report):
        _legal_report(message)


def _legal_report(report: Report) -> None:
    _legal_time(report.device_time)
    for name, value in msgspec.structs.asdict(report.status).items():
        low, high = BOUNDS.get(name, FLAG)
        assert value is None or low <= value <= high, (name, value)
    if report.fix is not None:
        _legal_time(report.fix.time)
        for name, (low, high) in PLACE_BOUNDS.items():
            value = getattr(report.fix, name)
            assert value is None or low <= value <= high, (name, value)
    if report.cell is not None:
        assert report.cell.lac >= 0
        assert report.cell.cid >= 0


def _legal_time(time: datetime | None) -> None:
    assert time is None or (2000 <= time.year <= 2099 and time.tzinfo is UTC)
