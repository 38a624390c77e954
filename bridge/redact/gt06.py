"""gt06 frames, masked block by block; for the layouts see `bridge.protocols.gt06.layouts`.

The decoder's own blocks say where each begins and ends, `bridge.redact.gt06_veils` how each is
masked. Frames keep their length, and a sum that was right is right again.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import DecodeError
from bridge.protocols.gt06.body import Body, Layout
from bridge.protocols.gt06.framing import (
    CLOSING,
    LEAST,
    LOGIN,
    LONG,
    SHORT,
    build,
    checksum,
    is_as_long_as_told,
    sealed,
)
from bridge.protocols.gt06.information import LAYOUTS as INFORMATION
from bridge.protocols.gt06.layouts import layout_of
from bridge.protocols.gt06.modules import MODULES
from bridge.protocols.gt06.places import GPS_BYTES
from bridge.redact.gt06_veils import (
    MODULE_VEILS,
    SHOWN,
    VEILS,
    VEILS_TO_THE_END,
    hidden,
    identity,
)
from bridge.redact.masks import Masks

_ID = slice(4, 12)
_GPS, _WIFI, _CARD = 0x10, 0x69, 0x17


def redact_gt06(frame: bytes, masks: Masks) -> bytes:
    """Mask one frame, whole or not."""
    long = frame[:2] == LONG
    whole = len(frame) >= LEAST + long and frame.endswith(CLOSING) and frame[:2] in (SHORT, LONG)
    if frame[:2] == SHORT and frame[3:4] == bytes([LOGIN]) and len(frame) >= _ID.stop:
        masked = _login(frame, masks)
        return _resealed(frame, masked) if whole and len(frame) >= 18 else masked
    head = 5 if long else 4
    if whole and (is_as_long_as_told(frame) or sealed(frame)):
        body, end = frame[head:-6], frame[-6:]
        return _resealed(frame, frame[:head] + _body(frame, body, masks) + end)
    if whole and not long and _has_no_sum(frame[3], frame[4:-2]):
        return frame[:4] + _body(frame, frame[4:-2], masks) + CLOSING
    closing = CLOSING if frame.endswith(CLOSING) else b""
    return frame[:4] + hidden(frame[4 : len(frame) - len(closing)], masks) + closing


def _has_no_sum(kind: int, data: bytes) -> bool:
    """Whether this is one of the kinds that exist without serial number and sum, too."""
    if kind in (_WIFI, _CARD):
        return data[:6].hex().isdecimal()
    return kind == _GPS and len(data) == GPS_BYTES


def introduction(device_id: str, masks: Masks) -> bytes:
    """Return the login, masked, of a tracker whose other frames do not say who it is.

    An id that gt06 cannot write is zeros.
    """
    digits = device_id if device_id.isdecimal() and len(device_id) == 15 else "0" * 15
    return redact_gt06(build(SHORT, LOGIN, b"\0\1", bytes.fromhex(f"0{digits}")), masks)


def _resealed(frame: bytes, masked: bytes) -> bytes:
    """Return the masked frame with a sum that is right if the original's was, else surely wrong.

    The sum as it was would tell sixteen bits of what it sums up.
    """
    right = checksum(masked[2:-4])
    seal = right if sealed(frame) else bytes(byte ^ 0xFF for byte in right)
    return masked[:-4] + seal + masked[-2:]


def _login(frame: bytes, masks: Masks) -> bytes:
    """Mask the id of a login and what stands behind model and zone."""
    masked = frame[:4] + identity(frame[_ID], masks)
    rest = frame[_ID.stop :]
    if is_as_long_as_told(frame) and len(rest) >= 6:
        return masked + rest[:-6][:4] + hidden(rest[:-6][4:], masks) + rest[-6:]
    end = min(len(rest), 6 if rest.endswith(CLOSING) else 0)
    return masked + hidden(rest[: len(rest) - end], masks) + rest[len(rest) - end :]


def _body(frame: bytes, data: bytes, masks: Masks) -> bytes:
    """Mask a body by the layout of its kind."""
    long = frame[:2] == LONG
    kind = frame[4 if long else 3]
    if kind == _CARD and not long and not is_as_long_as_told(frame):
        kind = _WIFI
    return _walked(Body(data, frame[2]), layout_of(kind, len(data), long=long), masks)


def _walked(body: Body, layout: Layout, masks: Masks) -> bytes:
    """Mask what is left of a body: block after block, and blindly what no block reads."""
    masked = b""
    for block in layout:
        begin, name = body.at, _name(block)
        if name in _ENDS:
            return masked + _ENDS[name](body.data[begin:], masks)
        try:
            block(body)
        except DecodeError:  # too short: its first byte may say how many follow, and still does
            body.at = begin
            kept = body.data[begin : begin + 1]
            return masked + kept + hidden(body.data[begin + 1 :], masks)
        piece = body.data[begin : body.at]
        masked += piece if name in SHOWN else VEILS.get(name, hidden)(piece, masks)
        if not body.left:
            break
    return masked + hidden(body.data[body.at :], masks)


def _name(block: Callable[[Body], None]) -> str:
    """Return the name of a block, or of the function that made it."""
    return block.__qualname__.partition(".")[0]


# --- boxes in boxes -------------------------------------------------------------------------------


def _information(piece: bytes, masks: Masks) -> bytes:
    """Mask an information packet; its kind stays."""
    body = Body(piece)
    kind = body.byte()
    return piece[:1] + _walked(body, INFORMATION.get(kind, ()), masks)


def _modules(piece: bytes, masks: Masks) -> bytes:
    """Mask modules, each behind its kind and its length; these stay, whatever they say."""
    masked = b""
    while piece:
        head, size = piece[:4], int.from_bytes(piece[2:4])
        data, piece = piece[4 : 4 + size], piece[4 + size :]
        kind = int.from_bytes(head[:2])
        least, block = MODULES.get(kind, (size + 1, None))
        if block is None or len(data) < max(least, size):
            masked += head + hidden(data, masks)
        else:
            veil = MODULE_VEILS.get(kind)
            told = data[:least]
            masked += head + (veil(told, masks) if veil else told) + hidden(data[least:], masks)
    return masked


_ENDS = VEILS_TO_THE_END | {"information": _information, "modules": _modules}
