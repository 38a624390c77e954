"""From a gt06 frame to what it says, and to what it wants to hear."""

from __future__ import annotations

import msgspec

from bridge.errors import DecodeError
from bridge.model import CommandResult, Heartbeat, Login, Message, Report, rank_alarms
from bridge.protocols.base import Context, Decoded
from bridge.protocols.gt06.body import Body, read_id
from bridge.protocols.gt06.framing import (
    CLOSING,
    LEAST,
    LOGIN,
    LONG,
    SHORT,
    build,
    is_as_long_as_told,
    sealed,
)
from bridge.protocols.gt06.layouts import layout_of
from bridge.protocols.gt06.places import GPS_BYTES

NAME = "gt06"

GPS, WIFI, CARD = 0x10, 0x69, 0x17
ADDRESS, TIME = 0x2A, 0x8A
"""Kinds that ask for something."""
ADDRESS_ANSWER = 0x97

_KEYWORDS = tuple(f"0x{kind:02x}" for kind in range(256))

_SILENT = frozenset((0x34, 0x80, 0x81, 0x82, 0x94, 0xF3))
"""Short kinds that get no answer."""

_LONG_ANSWERED = {0x32: LONG, 0x33: LONG, 0x70: SHORT, 0xF2: SHORT}
"""Long kinds that get one, and how it opens."""

_NO_SERIAL = bytes(2)
_NO_ADDRESS = b"\x0b\0\0\0\0NA&&NA&&0##"
_FURTHEST_ZONE_MINUTES = 14 * 60


class UnknownSenderError(DecodeError):
    """A frame of a tracker that has not said who it is."""

    def __str__(self) -> str:
        return "no login"


class _Parts(msgspec.Struct, frozen=True, gc=False):
    """A frame taken apart."""

    long: bool
    kind: int
    layout: int
    """The kind whose layout the body has."""
    data: bytes
    serial: bytes
    crc_ok: bool | None
    """None: a frame without a sum."""


def decode(frame: bytes, context: Context) -> Decoded:
    """Decode one frame, from its opening to its CR LF."""
    long = frame[:2] == LONG
    if not (long or frame[:2] == SHORT) or len(frame) < LEAST + long or frame[-2:] != CLOSING:
        raise DecodeError("frame")
    if frame[3] == LOGIN and not long:
        return _login(frame, context)
    parts = _take_apart(frame, long=long)
    body = Body(parts.data, frame[2], context.zone_minutes)
    if parts.data:
        body.read(layout_of(parts.layout, len(parts.data), long=long))
    context.device_id = context.device_id or body.device_id
    if not context.device_id:
        raise UnknownSenderError("id")
    return Decoded((_message(parts, body, context),), _reply(parts, context))


def _take_apart(frame: bytes, *, long: bool) -> _Parts:
    """Return the parts of a frame; raises DecodeError for one that nothing vouches for."""
    head = 5 if long else 4
    kind, serial = frame[head - 1], frame[-6:-4]
    crc_ok = sealed(frame)
    if is_as_long_as_told(frame):
        return _Parts(long, kind, kind, frame[head:-6], serial, crc_ok)
    layout = WIFI if kind == CARD and not long else kind
    if crc_ok:
        return _Parts(long, kind, layout, frame[head:-6], serial, crc_ok)
    data = frame[head:-2]
    if long or not _has_no_sum(layout, data):
        raise DecodeError("length")
    return _Parts(long, kind, layout, data, serial, None)


def _has_no_sum(layout: int, data: bytes) -> bool:
    """Whether this is one of the two kinds that exist without serial number and sum, too."""
    if layout == WIFI:
        return data[:6].hex().isdecimal()
    return layout == GPS and len(data) == GPS_BYTES


def _reply(parts: _Parts, context: Context) -> bytes:
    kind = parts.kind
    if parts.long:
        opening = _LONG_ANSWERED.get(kind)
        return build(opening, kind, parts.serial) if opening else b""
    if kind in _SILENT:
        return b""
    if parts.layout == WIFI:
        return SHORT + bytes((0, kind)) + parts.data[:6] + CLOSING
    if kind == TIME:
        at = context.received_at
        now = bytes((at.year % 100, at.month, at.day, at.hour, at.minute, at.second))
        return build(SHORT, kind, _NO_SERIAL, now)
    if kind == ADDRESS:
        return build(LONG, ADDRESS_ANSWER, _NO_SERIAL, _NO_ADDRESS)
    return build(SHORT, kind, parts.serial)


def _login(frame: bytes, context: Context) -> Decoded:
    """Decode a login: the id and, perhaps, two bytes of model and the zone of the clock."""
    if len(frame) < 14:
        raise DecodeError("id")
    context.device_id = read_id(frame[4:12])
    zoned = len(frame) >= 22 and is_as_long_as_told(frame)
    context.zone_minutes = _zone(int.from_bytes(frame[14:16])) if zoned else 0
    login = Login(device_id=context.device_id, protocol=NAME, received_at=context.received_at)
    return Decoded((login,), build(SHORT, LOGIN, frame[-6:-4]))


def _zone(word: int) -> int:
    """Return the minutes of a zone: HHMM in twelve bits, then a bit that is set in the west."""
    hours, minutes = divmod(word >> 4, 100)
    offset = hours * 60 + minutes
    if minutes >= 60 or offset > _FURTHEST_ZONE_MINUTES:
        return 0
    return -offset if word & 8 else offset


def _message(parts: _Parts, body: Body, context: Context) -> Message:
    keyword = _KEYWORDS[parts.kind]
    if body.text is not None:
        return CommandResult(
            device_id=context.device_id,
            protocol=NAME,
            received_at=context.received_at,
            keyword=keyword,
            text=body.text,
        )
    if not (body.time or body.fix or body.cell or body.alarms or body.status or body.extra):
        return Heartbeat(
            device_id=context.device_id, protocol=NAME, received_at=context.received_at
        )
    alarm, others = rank_alarms(body.alarms)
    if others:
        body.extra["alarms"] = others
    if parts.crc_ok is False:
        body.extra["crc_ok"] = False
    return Report(
        device_id=context.device_id,
        protocol=NAME,
        received_at=context.received_at,
        device_time=body.time,
        keyword=keyword,
        fix=body.fix,
        alarm=alarm,
        status=body.spoken(),
        cell=body.cell,
        extra=body.extra,
    )
