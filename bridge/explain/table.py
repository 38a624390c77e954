"""The table a person reads: every field with its unit, in plain words, one frame after another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from bridge.explain.frames import Explained
from bridge.model import Cell, CommandResult, Fix, Heartbeat, Login, Message, Report, Status
from bridge.protocols.connection import Received, Rejected

Row = tuple[str, str]

FIX_WORDS: dict[str, tuple[str, str]] = {
    "speed_kmh": ("speed", "km/h"),
    "course_deg": ("course", "°"),
    "altitude_m": ("altitude", "m"),
    "hdop": ("hdop", ""),
    "satellites": ("satellites", ""),
}
"""Label and unit of a fix's numbers."""

STATUS_WORDS: dict[str, tuple[str, str]] = {
    "battery_percent": ("battery", "%"),
    "battery_v": ("battery", "V"),
    "external_v": ("external power", "V"),
    "fuel_percent": ("fuel", "%"),
    "temperature_c": ("temperature", "°C"),
    "odometer_km": ("odometer", "km"),
    "gsm_percent": ("GSM signal", "%"),
    "obd_speed_kmh": ("speed (OBD)", "km/h"),
    "rpm": ("engine", "rpm"),
}
"""Label and unit of a status's numbers."""

SWITCH_WORDS: dict[str, tuple[str, str, str]] = {
    "ignition": ("ignition", "on", "off"),
    "door_open": ("door", "open", "closed"),
    "external_power": ("external power", "connected", "cut"),
    "charging": ("charging", "yes", "no"),
    "armed": ("armed", "yes", "no"),
    "engine_cut": ("engine", "cut", "not cut"),
}
"""Label and the words for True and False."""

_COMPASS = (
    "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west",
)  # fmt: skip
_SHOWN_CHARACTERS = 200
_SHOWN_BYTES = 32
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def render_table(explained: Sequence[Explained], *, ansi: bool = False) -> str:
    """Return readable text without a last line end; headings in bold with `ansi`.

    Whatever a tracker wrote is shown with its control characters escaped.
    """
    if not explained:
        return "Nothing to explain: no bytes but blanks and what stands between frames."
    sections = [list(_rows(each)) for each in explained]
    width = max(len(label) for rows in sections for label, _ in rows)
    blocks = []
    for number, (each, rows) in enumerate(zip(explained, sections, strict=True), 1):
        heading = f"Frame {number} of {len(explained)}: {_heading(each)}"
        lines = [f"{_BOLD}{heading}{_PLAIN}" if ansi else heading]
        lines += [f"  {label:<{width}}  {value}" for label, value in rows]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _heading(each: Explained) -> str:
    event = each.event
    size = f"{len(event.frame)} byte{'' if len(event.frame) == 1 else 's'}"
    if isinstance(event, Received):
        return f"{event.protocol}, {size}, understood"
    return f"{event.protocol or 'no known protocol'}, {size}, rejected"


def _rows(each: Explained) -> Iterator[Row]:
    event = each.event
    yield "frame", _visible(event.frame)
    if isinstance(event, Rejected):
        yield "rejected", event.reason
        if each.hint:
            yield "hint", each.hint
        return
    for message in event.messages:
        yield from _message(message)
    if event.reply or not event.receipt:
        yield "reply", _visible(event.reply) if event.reply else "none"
    if event.receipt:
        yield "receipt", f"{_visible(event.receipt)} (stops the alarm; to accepted trackers only)"


def _message(message: Message) -> Iterator[Row]:
    match message:
        case Login():
            yield "says", "login"
            yield "device id", _text(message.device_id)
        case Heartbeat():
            yield "says", "heartbeat"
            yield "device id", _text(message.device_id)
        case CommandResult():
            yield "says", f"answer to a command, {_text(message.keyword)}"
            yield "device id", _text(message.device_id)
            if message.device_time is not None:
                yield "time", _time(message.device_time)
            yield "text", _text(message.text)
        case Report():
            yield from _report(message)


def _report(report: Report) -> Iterator[Row]:
    yield "says", f"report, {_text(report.keyword)}" if report.keyword else "report"
    yield "device id", _text(report.device_id)
    if report.alarms:
        yield "alarm", ", ".join(kind.replace("_", " ") for kind in report.alarms)
    extra = dict(report.extra)
    offset = extra.pop("utc_offset_min", None)
    if report.device_time is not None:
        local = f" (local clock {_offset(offset)})" if isinstance(offset, int) else ""
        yield "time", _time(report.device_time) + local
    if report.fix is not None:
        yield from _fix(report.fix, report.device_time)
    yield from _status(report.status)
    if report.cell is not None:
        yield "cell", _cell(report.cell)
    extra.pop("alarms", None)
    for name, value in extra.items():
        yield name, _text(value) if isinstance(value, str) else json.dumps(value)


def _fix(fix: Fix, device_time: datetime | None) -> Iterator[Row]:
    lock = "" if fix.valid else " (no satellite lock)"
    yield "position", f"{fix.latitude:.6f}, {fix.longitude:.6f}{lock}"
    if fix.time is not None and fix.time != device_time:
        yield "fix time", _time(fix.time)
    for name, (label, unit) in FIX_WORDS.items():
        value = getattr(fix, name)
        if value is not None:
            words = f" ({_COMPASS[round(value / 45) % 8]})" if name == "course_deg" else ""
            yield label, _number(value, unit) + words


def _status(status: Status) -> Iterator[Row]:
    for name, (label, on, off) in SWITCH_WORDS.items():
        value = getattr(status, name)
        if value is not None:
            yield label, on if value else off
    for name, (label, unit) in STATUS_WORDS.items():
        value = getattr(status, name)
        if value is not None:
            yield label, _number(value, unit)


def _cell(cell: Cell) -> str:
    known = msgspec.structs.asdict(cell).items()
    return ", ".join(f"{name} {value}" for name, value in known if value is not None)


def _number(value: float, unit: str) -> str:
    digits = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{digits}{'' if unit in ('', '°') else ' '}{unit}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def _visible(data: bytes) -> str:
    """Return bytes as text where most of them are text, else in hexadecimal; cut short if long."""
    printable = sum(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in data)
    if printable * 4 >= len(data) * 3:
        shown = _text(data[:_SHOWN_CHARACTERS].decode("latin-1"))
        more = len(data) - _SHOWN_CHARACTERS
    else:
        shown = data[:_SHOWN_BYTES].hex(" ")
        more = len(data) - _SHOWN_BYTES
    return f"{shown} ... {more} more" if more > 0 else shown


def _text(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
