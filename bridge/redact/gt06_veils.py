"""What a block of a gt06 body tells of a person, masked: a veil takes its bytes, returns as many.

A block is named like its function in `bridge.protocols.gt06`, or like the one that makes it. What
has no veil tells nothing that is known, and is `hidden`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.protocols.gt06.places import NORTH, PLACE_BYTES, UNITS_A_DEGREE, WEST
from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_unknown

Veil = Callable[[bytes, Masks], bytes]

_NO_PLACE = b"\xff" * 8
_NOT_TEXT = re.compile(r"[^\x00-\x7e]")
_DIGITS = re.compile(r"\d+", re.ASCII)
_RFID = re.compile(r"((?:RFID:)?)(.*)", re.DOTALL)
_OBD_PAIR = re.compile(r"(?P<code>[^=,]{0,8}=)(?P<text>[^,]*)")
_OBD_NUMBER = re.compile(r"[0-9A-Fa-f]{0,8}")
_VIN = re.compile(r"4A.=")
_SETTING = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]{0,15}=)?(?P<text>[^;]*)")


# --- bytes ----------------------------------------------------------------------------------------


def hidden(piece: bytes, masks: Masks) -> bytes:
    """Return other bytes; zeros in front stay, as nothing but zeros says nothing."""
    return bytes.fromhex(masks.hexadecimal(piece.hex()))


def _passed(piece: bytes, masks: Masks) -> bytes:
    """Show what is passed over, unless it is long enough to name somebody."""
    return piece if len(piece) < 4 else hidden(piece, masks)


def identity(piece: bytes, masks: Masks) -> bytes:
    """Mask the 15 digits of an id behind its filler."""
    digits = piece.hex()
    if not digits.isdecimal():
        return hidden(piece, masks)
    return bytes.fromhex(digits[0] + masks.identity(digits[1:]))


def _card_number(piece: bytes, masks: Masks) -> bytes:
    """Mask ids and, in the last ten bytes, the number of a SIM card: 89, swapped or not, stays."""
    *ids, card = [piece[at : at + 8] for at in range(0, len(piece) - 10, 8)] + [piece[-10:]]
    digits = card.hex()
    kept = 2 if digits[:2] in ("89", "98") else 0
    others = _DIGITS.sub(lambda found: masks.alias(found[0]), digits[kept:])
    return b"".join(identity(each, masks) for each in ids) + bytes.fromhex(digits[:kept] + others)


def _columns(piece: bytes, masks: Masks, *sizes: int) -> bytes:
    """Mask numbers that follow each other; a negative size is a number that stays."""
    masked, at = b"", 0
    for size in sizes:
        part = piece[at : at + abs(size)]
        masked += hidden(part, masks) if size > 0 else part
        at += abs(size)
    return masked + hidden(piece[at:], masks)


# --- places ---------------------------------------------------------------------------------------


def _moved(piece: bytes, at: int, flags_at: int, masks: Masks) -> bytes:
    """Move the place at `at`, latitude before longitude; its hemispheres are bits of the flags."""
    if len(piece) < max(at + 8, flags_at + 2):
        return hidden(piece, masks)
    latitude, longitude = (int.from_bytes(piece[at + i : at + i + 4]) for i in (0, 4))
    flags = int.from_bytes(piece[flags_at : flags_at + 2])
    masked = bytearray(piece)
    if latitude > 90 * UNITS_A_DEGREE or longitude > 180 * UNITS_A_DEGREE:
        masked[at : at + 8] = _NO_PLACE
        return bytes(masked)
    if latitude:
        north = masks.angle(latitude if flags & NORTH else -latitude, UNITS_A_DEGREE, north=True)
        flags = flags | NORTH if north >= 0 else flags & ~NORTH
        masked[at : at + 4] = abs(north).to_bytes(4)
    if longitude:
        east = masks.angle(-longitude if flags & WEST else longitude, UNITS_A_DEGREE, north=False)
        flags = flags | WEST if east < 0 else flags & ~WEST
        masked[at + 4 : at + 8] = abs(east).to_bytes(4)
    masked[flags_at : flags_at + 2] = flags.to_bytes(2)
    return bytes(masked)


def _gps(piece: bytes, masks: Masks) -> bytes:
    return _moved(piece, 7, 16, masks)


def _place(piece: bytes, masks: Masks) -> bytes:
    return _moved(piece, 1, 10, masks)


def _tower(piece: bytes, masks: Masks) -> bytes:
    """Mask one cell: the country stays, and the network, whose size the length tells."""
    network = 4 if len(piece) in (10, 16) or (len(piece) == 9 and piece[0] & 0x80) else 3
    lac = 4 if len(piece) > 10 else 2
    return _columns(piece, masks, -network, lac, len(piece) - network - lac)


def _sized_tower(piece: bytes, masks: Masks) -> bytes:
    return piece[:1] + (_tower(piece[1:], masks) if len(piece) > 1 else b"")


def _towers(piece: bytes, masks: Masks) -> bytes:
    """Mask the cells of one network, each with its signal, of six bytes or of thirteen."""
    network = 4 if piece[0] & 0x80 else 3
    each = (2, 3, -1) if (len(piece) - network) % 13 else (4, 8, -1)
    return _columns(piece, masks, -network, *each * (len(piece) // 6))


def _network_towers(piece: bytes, masks: Masks) -> bytes:
    network = 5 if piece[0] & 0x80 else 4
    return _columns(piece, masks, -network, *(2, 3, -1) * ((len(piece) - network) // 6))


def _counted_towers(piece: bytes, masks: Masks) -> bytes:
    network = 5 if piece[1:2] > b"\x7f" else 4
    return _columns(piece, masks, -network, *(2, 2, -1) * piece[0])


def _networks(piece: bytes, masks: Masks) -> bytes:
    """Mask WiFi networks behind their number."""
    return piece[:1] + _headed_networks(piece[1:], masks)


def _headed_networks(piece: bytes, masks: Masks) -> bytes:
    return _columns(piece, masks, *(6, -1) * (len(piece) // 7))


def _blank_networks(piece: bytes, masks: Masks) -> bytes:
    return piece[:1] + _columns(piece[1:], masks, *(2, 6) * (len(piece) // 8))


def _surroundings(piece: bytes, masks: Masks) -> bytes:
    """Mask place, cell, cells and WiFi networks, each behind its length."""
    masked, at = piece[:7], 7
    if piece[6:7] > b"\0":
        masked, at = masked + _place(piece[at : at + PLACE_BYTES], masks), at + PLACE_BYTES
    told = piece[at : at + 1]
    masked, at = masked + told, at + 1
    if told > b"\0":
        size = 9 if piece[at : at + 1] > b"\x7f" else 8
        masked += _tower(piece[at : at + size], masks) + piece[at + size : at + size + 1]
        at += size + 1
    count = piece[at] if at < len(piece) else 0
    rest = piece[at + 1 :]
    masked += piece[at : at + 1] + _columns(rest[:count], masks, *(2, 3, -1) * (count // 6))
    rest = rest[count:]
    count = rest[0] // 7 if rest else 0
    return masked + rest[:1] + _columns(rest[1:], masks, *(6, -1) * count, -1)


# --- texts ----------------------------------------------------------------------------------------


def _said(piece: bytes, masks: Masks, mask: Callable[[str, Masks], str] = mask_free) -> bytes:
    """Mask a text; what is not ASCII may be an address in any language and is hidden."""
    text = _NOT_TEXT.sub("?", piece.decode("latin-1"))
    masked = mask(text, masks)
    return (masked if len(masked) == len(text) else masks.alias(text)).encode("latin-1")


def _answer(piece: bytes, masks: Masks) -> bytes:
    """Mask the answer to a command, behind its length and the command's mark."""
    size = max(piece[0] - 4, 0) if piece else 0
    end = 5 + size
    return piece[:5] + _said(piece[5:end], masks) + _passed(piece[end:], masks)


def _long_answer(piece: bytes, masks: Masks) -> bytes:
    head, text = piece[:5], piece[5:]
    if head[4:] != b"\2":
        return head + _said(text, masks)
    high, low = text[::2], text[1::2]
    plain = bytes(two if not one else 0x3F for one, two in zip(high, low, strict=False))
    said = _said(plain, masks)
    return head + b"".join(bytes((0, byte)) for byte in said) + bytes(len(text) % 2)


def _phone(piece: bytes, masks: Masks) -> bytes:
    return _said(piece[:21], masks, _every_digit) + piece[21:]


def _every_digit(text: str, masks: Masks) -> str:
    return _DIGITS.sub(lambda found: masks.identity(found[0]), text)


def _swiped_card(piece: bytes, masks: Masks) -> bytes:
    if len(piece) < 5:
        return hidden(piece, masks)
    end = 5 + piece[4]
    return piece[:5] + _said(piece[5:end], masks, _every_letter) + piece[end:]


def _every_letter(text: str, masks: Masks) -> str:
    return masks.alias(text)


def _camera(piece: bytes, masks: Masks) -> bytes:
    """Mask the place of a camera and the names of its films."""
    if piece.startswith(b"\xff\xff"):
        place, end = _moved(piece[:29], 10, 18, masks), 29
    elif len(piece) >= 19:
        place, end = _moved(piece[:19], 6, 14, masks), 19
    else:
        return piece[:7] + hidden(piece[7:], masks)
    return place + _said(piece[end:], masks)


def _diagnosis(piece: bytes, masks: Masks) -> bytes:
    """Mask the number of the chassis and the place; what the engine says in numbers stays."""
    end = max(len(piece) - PLACE_BYTES, 7)
    place = piece[end:]
    return (
        piece[:7]
        + _said(piece[7:end], masks, _engine)
        + (_place(place, masks) if len(place) == PLACE_BYTES else hidden(place, masks))
    )


def _engine(text: str, masks: Masks) -> str:
    def masked(found: re.Match[str]) -> str:
        code, value = found["code"], found["text"]
        if not _VIN.fullmatch(code) and _OBD_NUMBER.fullmatch(value):
            return found[0]
        return code + masks.alias(value)

    rest = _OBD_PAIR.sub("", text)
    return _OBD_PAIR.sub(masked, text) if not rest.strip(",\0 ") else masks.alias(text)


def _serial_port(piece: bytes, masks: Masks) -> bytes:
    text = piece[1:].strip(b"\r\n\0").decode("latin-1")
    if text.isascii() and text.isprintable():
        return piece[:1] + _said(piece[1:], masks, mask_unknown)
    return piece[:1] + b"\x80" * len(piece[1:])


def _button(piece: bytes, masks: Masks) -> bytes:
    return _columns(piece[:31], masks, -4, 18, 6, 3) + _said(piece[31:], masks)


def _settings(piece: bytes, masks: Masks) -> bytes:
    return _said(piece, masks, _each_setting)


def _each_setting(text: str, masks: Masks) -> str:
    """Mask the values of ``NAME=text;``, whatever they are, but for short numbers and words."""
    return _SETTING.sub(
        lambda found: (found["name"] or "") + mask_unknown(found["text"], masks), text
    )


def _driver(piece: bytes, masks: Masks) -> bytes:
    """Mask a driver's card: a text, or a number between two bytes before and two behind."""
    if piece[:1].isalpha():
        found = _RFID.fullmatch(piece.decode("latin-1"))
        kept = len(found[1]) if found else 0
        return piece[:kept] + _said(piece[kept:], masks, _every_letter)
    return bytes(2) + hidden(piece[2:6], masks) + bytes(len(piece[6:]))


def _module_place(piece: bytes, masks: Masks) -> bytes:
    return _moved(piece, 7, 16, masks)


def _module_tower(piece: bytes, masks: Masks) -> bytes:
    return _columns(piece, masks, -4, 2, 3, -1)


VEILS: dict[str, Veil] = {
    "gps": _gps,
    "usual_tower": _tower,
    "tower": _tower,
    "sized_tower": _sized_tower,
    "towers": _towers,
    "network_towers": _network_towers,
    "counted_towers": _counted_towers,
    "networks": _networks,
    "headed_networks": _headed_networks,
    "blank_networks": _blank_networks,
    "identity": identity,
    "phone": _phone,
    "swiped_card": _swiped_card,
    "skip": _passed,
    "_settings": _settings,
    "_sim": _card_number,
    "_card": _driver,
}
"""The veils of blocks."""

SHOWN = frozenset((
    "clock", "decimal_clock", "heartbeat", "supply_tenths", "flags", "armed_flags", "reception",
    "alarm", "percent", "level", "gsm", "geofence", "ignition", "reason", "replayed", "value",
    "temperature", "humidity", "engine_hours", "battery_v", "altitude", "inputs", "ports", "note",
    "lock_state", "_door", "_network", "_fuel", "_climate",
))  # fmt: skip
"""Blocks that tell of the vehicle only."""

VEILS_TO_THE_END: dict[str, Veil] = {
    "answer": _answer,
    "long_answer": _long_answer,
    "camera": _camera,
    "surroundings": _surroundings,
    "diagnosis": _diagnosis,
    "serial_port": _serial_port,
    "button": _button,
}
"""The same of blocks that read whatever is left."""

MODULE_VEILS: dict[int, Veil] = {0x03: _card_number, 0x11: _module_tower, 0x33: _module_place}
"""Those of modules; all others that are known are measurements."""
