"""h02 frames, masked by type; for the layouts see `bridge.protocols.h02` and its two neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from bridge.protocols import fields, h02_binary
from bridge.protocols.base import Context
from bridge.protocols.h02_status import is_word
from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_telemetry, mask_unknown

_OPENING = re.compile(r"\*[0-9A-Za-z]{2}")
_CLOCK = re.compile(r"\d{0,6}", re.ASCII)
_SHORT = re.compile(r"[0-9A-Za-z]{0,4}", re.ASCII)
_VALIDITY = re.compile(r"[A-Z]?|\d{1,3}", re.ASCII)
_PACE = re.compile(r" *\d{0,3}(?:\.(?:\d{0,3}|0+))? *", re.ASCII)
_DEGREES_DASH = re.compile(r"( *-?)(\d{1,3})-(\d{1,2})\.(\d{1,8})( *)", re.ASCII)
_NO_POINT = re.compile(r" *-?\d{7,9} *", re.ASCII)
_MEASURES = (
    re.compile(r"-?\d{1,10}(?:\.\d{0,3})?", re.ASCII),
    re.compile(r"-?\d{1,3}(?:\.\d{0,2})?", re.ASCII),
    re.compile(r"\d{1,3}\.\d{0,2}%?", re.ASCII),
    re.compile(r"-?\d{1,5}(?:\.\d{0,2})?", re.ASCII),
)
"""Metres, degrees Celsius, fuel and altitude, as they stand before LAC and CID."""
_ICCID = re.compile(r"( *89)(\d{16,17})([\dFf?]? *)", re.ASCII)
_HEX_WORD = re.compile(r"( *)([0-9A-Fa-f]{1,6})", re.ASCII)
_COUNTRIES = range(200, 800)
_PLACE_COLUMNS = 8
"""From the clock to the course."""

_TIME_ENDS = {10: 24, 15: 30}
"""Where the time ends in the hex digits of a record: by the digits of the id before it."""
_PLACE_TO_STATUS = 34
_NORTH, _EAST = 4, 8
_AT = datetime(2000, 1, 1, tzinfo=UTC)


def redact_h02(text: str, masks: Masks) -> str:
    """Mask one frame, a text or a record, whole or not."""
    if text[:1] in ("$", "X"):
        return _record(text.encode("latin-1"), masks).decode("latin-1")
    body = text.removesuffix("#")
    column = body.split(",")
    if len(column) < 3 or not _OPENING.fullmatch(column[0]):
        return mask_unknown(text, masks)
    opening, device_id, kind, *rest = column
    is_place = kind.startswith("V") or _is_place(rest[:6])
    masked = _TYPES.get(kind, _position if is_place else _unknown)(rest, masks)
    name = kind if len(kind) < 6 else mask_free(kind, masks)
    return ",".join([opening, masks.identity(device_id), name, *masked]) + text[len(body) :]


# --- text -----------------------------------------------------------------------------------------


def _position(column: list[str], masks: Masks) -> list[str]:
    """Mask columns from the clock on."""
    shapes = (_CLOCK, _VALIDITY)
    masked = [_kept(text, shape, masks) for text, shape in zip(column, shapes, strict=False)]
    for at, sides in ((2, "NS"), (4, "EW")):
        number, side = (*column[at : at + 2], "", "")[:2]
        placed = side != "" and side in sides
        if placed:
            masked += _moved(number, side, masks, north=sides == "NS")
        else:
            masked += [masks.alias(number) if number.strip("0. ") else number, side][
                : len(column[at : at + 2])
            ]
    masked += [_kept(text, _PACE, masks) for text in column[6:_PLACE_COLUMNS]]
    return masked + _tail(column[_PLACE_COLUMNS:], masks)


def _moved(number: str, side: str, masks: Masks, *, north: bool) -> list[str]:
    """Move a coordinate of one of three forms: ddmm.mmmm, -dd-mm.mmmm, ddmmmmmm."""
    dashed = _DEGREES_DASH.fullmatch(number)
    if dashed is not None:
        sign, degree, minute, decimals, blanks = dashed.groups()
        moved, side = masks.minutes(f"{degree}{minute:0>2}.{decimals}", side, north=north)
        whole, _, decimals = moved.partition(".")
        return [f"{sign}{whole[:-2]}-{whole[-2:]}.{decimals}{blanks}", side]
    plain = number.strip().removeprefix("-")
    lead, trail = number[: number.find(plain)], number[number.find(plain) + len(plain) :]
    if _NO_POINT.fullmatch(number):
        moved, side = masks.minutes(f"{plain[:-4]}.{plain[-4:]}", side, north=north)
        moved = moved.replace(".", "")
    else:
        moved, side = masks.minutes(plain, side, north=north)
    return [lead + moved + trail, side]


def _tail(column: list[str], masks: Masks) -> list[str]:
    """Mask columns from the battery or the date on: SIM card, cell, and what is not known."""
    masked: list[str] = []
    rest = list(column)
    if len(rest) > 1 and _is_date(rest[1]) and rest[0].isdecimal() and len(rest[0]) < 4:
        masked.append(rest.pop(0))
    if rest and _is_date(rest[0]):
        masked.append(rest.pop(0))
    if not _has_word(rest, 0) and (_has_word(rest, 3) or len(rest) == 3):
        masked += [_of_card(text, masks) for text in rest[:3]]
        rest = rest[3:]
    if _has_word(rest, 0):
        masked.append(rest.pop(0))
    if len(rest) == 6 and all(
        shape.fullmatch(text) for shape, text in zip(_MEASURES, rest, strict=False)
    ):
        masked += rest[:4]
        return masked + [_hexadecimal(text, masks) for text in rest[4:]]
    if _is_cell(rest):
        masked += [*rest[:2], *_cell(rest[:4], masks)]
        rest = rest[4:]
    return masked + [_of_card(text, masks) for text in rest]


def _is_date(text: str) -> bool:
    return not text or (len(text) == 6 and text.isdecimal())


def _has_word(column: list[str], at: int) -> bool:
    return len(column) > at and is_word(column[at])


def _of_card(text: str, masks: Masks) -> str:
    """Mask the number of a SIM card, its issuer's industry left, or of a phone, or whatever."""
    card = _ICCID.fullmatch(text)
    if card is not None:
        filler = masks.alias(card[3]) if card[3].strip().isdecimal() else card[3]
        return card[1] + masks.alias(card[2]) + filler
    return masks.identity(text) if text.isdecimal() and len(text) > 4 else mask_unknown(text, masks)


def _is_cell(column: list[str]) -> bool:
    """Whether four columns may be country, network, area and cell."""
    return len(column) > 3 and all(_HEX_WORD.fullmatch(text) for text in column[:4])


def _cell(column: list[str], masks: Masks) -> list[str]:
    """Mask area and cell of a cell, in decimal or in hex."""
    in_decimal = all(text.isdecimal() for text in column) and int(column[0]) in _COUNTRIES
    mask = _decimal if in_decimal else _hexadecimal
    return [mask(text, masks) for text in column[2:4]]


def _decimal(text: str, masks: Masks) -> str:
    return masks.cell(text) if text.isdecimal() else mask_unknown(text, masks)


def _hexadecimal(text: str, masks: Masks) -> str:
    found = _HEX_WORD.fullmatch(text)
    return found[1] + masks.hexadecimal(found[2]) if found else mask_unknown(text, masks)


def _neighbours(column: list[str], masks: Masks) -> list[str]:
    """Mask NBR: triples of area, cell and signal up to the date."""
    masked, rest = [mask_telemetry(text, masks) for text in column[:5]], column[5:]
    while len(rest) > 2 and 0 < len(rest[0]) < 6:
        masked += [_decimal(rest[0], masks), _decimal(rest[1], masks), mask_unknown(rest[2], masks)]
        rest = rest[3:]
    return masked + _tail(rest, masks)


def _towers(column: list[str], masks: Masks) -> list[str]:
    """Mask V3: as many fours of area, cell and two more as announced."""
    masked, rest = [mask_telemetry(text, masks) for text in column[:3]], column[3:]
    count = int(column[2]) if len(column) > 2 and re.fullmatch(r"\d{1,2}", column[2]) else 0
    towers, rest = rest[: 4 * count], rest[4 * count :]
    for at, text in enumerate(towers):
        masked.append(_decimal(text, masks) if at % 4 < 2 else mask_unknown(text, masks))
    return masked + [_kept(text, _SHORT, masks) for text in rest[:3]] + _tail(rest[3:], masks)


def _satellites_or_cells(column: list[str], masks: Masks) -> list[str]:
    """Mask VP1: a place without a clock, or cells between Y."""
    if column[:1] != ["V"] or not "".join(column[1:3]).isdecimal():
        return _position(["", *column], masks)[1:]
    towers = [tower.split(",") for tower in ",".join(column[3:]).split("Y")]
    texts = [
        ",".join(
            _decimal(text, masks) if at < 2 else mask_unknown(text, masks)
            for at, text in enumerate(tower)
        )
        for tower in towers
    ]
    return [*column[:1], *(mask_telemetry(text, masks) for text in column[1:3]), "Y".join(texts)]


def _measures(column: list[str], masks: Masks) -> list[str]:
    """Mask V0, HTBT and LINK: small numbers, then a date and a tail."""
    masked = [_kept(text, _CLOCK, masks) for text in column[:6]]
    return masked + _tail(column[6:], masks)


def _text(column: list[str], masks: Masks) -> list[str]:
    return [mask_free(",".join(column), masks)]


def _answer(column: list[str], masks: Masks) -> list[str]:
    """Mask V4: a text, and mostly a position behind it."""
    for at in range(len(column) - 6, -1, -1):
        if _is_place(column[at : at + 6]):
            masked = _position(column[at:], masks)
            return [mask_free(",".join(column[:at]), masks), *masked] if at else masked
    return _text(column, masks)


def _is_place(column: list[str]) -> bool:
    """Whether the columns begin with HHMMSS,A|V|B|n,LAT,N|S,LON,E|W."""
    return (
        len(column) == 6
        and column[3] in ("N", "S")
        and column[5] in ("E", "W")
        and _CLOCK.fullmatch(column[0]) is not None
        and _VALIDITY.fullmatch(column[1]) is not None
    )


def _unknown(column: list[str], masks: Masks) -> list[str]:
    return [mask_unknown(",".join(column), masks)]


_TYPES: dict[str, Callable[[list[str], Masks], list[str]]] = {
    "V0": _measures,
    "V3": _towers,
    "V4": _answer,
    "NBR": _neighbours,
    "LINK": _measures,
    "VP1": _satellites_or_cells,
    "HTBT": _measures,
    "SMS": _text,
}


def _kept(text: str, shape: re.Pattern[str], masks: Masks) -> str:
    """Return a measurement as it is, and anything else masked."""
    return text if shape.fullmatch(text) else mask_unknown(text, masks)


# --- records --------------------------------------------------------------------------------------


def _record(frame: bytes, masks: Masks) -> bytes:
    """Mask a record, or blindly what is none; the mark in front stays."""
    size = _id_digits(frame)
    if size:
        masked = bytes.fromhex(_masked_record(frame.hex(), size, masks))
        if _id_digits(masked) == size:
            return masked
    return frame[:1] + masks.scrambled(frame[1:])


def _id_digits(frame: bytes) -> int:
    """Return how many digits the id of a record has, 0 if none can be told.

    The decoder knows; where it refuses a record, the time behind the id does.
    """
    context = Context(received_at=_AT)
    try:
        h02_binary.decode(b"$" + frame[1:], context)
    except ValueError:
        digits = frame.hex()
        sizes = (size for size, end in _TIME_ENDS.items() if _is_time(digits[end - 12 : end]))
        return next(sizes, 0)
    return len(context.device_id)


def _is_time(digits: str) -> bool:
    day, month, year = digits[6:8], digits[8:10], digits[10:12]
    return fields.utc(year, month, day, digits[:6]) is not None


def _masked_record(digits: str, size: int, masks: Masks) -> str:
    """Mask id, place, and what stands behind the status; a place that is none stays none."""
    at = _TIME_ENDS[size]
    device_id = digits[2 : 2 + size]
    mask = masks.identity if device_id.isdecimal() else masks.hexadecimal
    opening = digits[:2] + mask(device_id) + digits[2 + size : at]
    latitude, battery, longitude = digits[at : at + 8], digits[at + 8 : at + 10], digits[at + 10 :]
    longitude, flags, end = longitude[:9], digits[at + 19 : at + 20], at + _PLACE_TO_STATUS
    if len(digits) < end or not f"{latitude}{longitude}".isdecimal():
        return opening + masks.hexadecimal(digits[at:])
    told = int(flags, 16)
    latitude, ns = masks.minutes(
        f"{latitude[:4]}.{latitude[4:]}", "N" if told & _NORTH else "S", north=True
    )
    longitude, ew = masks.minutes(
        f"{longitude[:5]}.{longitude[5:]}", "E" if told & _EAST else "W", north=False
    )
    told = told & ~(_NORTH | _EAST) | (ns == "N") * _NORTH | (ew == "E") * _EAST
    place = f"{latitude}{battery}{longitude}{told:x}".replace(".", "")
    return opening + place + digits[at + 20 : end] + masks.hexadecimal(digits[end:])
