"""tk103 frames, masked by command; for the layout see `bridge.protocols.tk103`."""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_mac, mask_telemetry, mask_unknown

_FIXED = re.compile(r"([0-9A-Za-z]{12}|\d{11}|\d{15})([A-Z]{2}[0-9A-Z]{2})", re.ASCII)
_COMMAND = re.compile(r"[A-Z]{2}[0-9A-Z]{2}")

_PLACE = re.compile(
    r"(?P<time>\d{6},?[AV],?)(?P<latitude>[ \d.]{0,12})(?P<ns>[NS])(?P<gap>,?)"
    r"(?P<longitude>[ \d.]{0,13})(?P<ew>[EW])",
    re.ASCII,
)
_MEASURES = re.compile(r"[ \d.]*,?[\dA-Fa-f]*(?:L[\dA-Fa-f]{1,8})?", re.ASCII)
"""Speed, clock, course, status and odometer, run into one another."""

_TOWER = re.compile(r"\{(\d+,\d+),(\d+),(\d+)\}", re.ASCII)
_MAC = re.compile(r"[\dA-Fa-f]{2}(?::[\dA-Fa-f]{2}){5}", re.ASCII)
_HEX_WORD = re.compile(r"[\dA-Fa-f]{1,8}", re.ASCII)
_ODOMETER_DIGITS = 8

_MEASURED = {
    "ZC20": re.compile(r"[\d,]{0,64}", re.ASCII),
    "BS50": re.compile(r"[\dA-Fa-f]*", re.ASCII),
    "BS51": re.compile(r"(?:[\dA-Fa-f]{2}:[\dA-Fa-f]*,?)*", re.ASCII),
}
"""Commands whose whole body is measurements, and what these look like."""


def redact_tk103(text: str, masks: Masks) -> str:
    """Mask one frame, whole or not."""
    if text[:1] != "(":
        return mask_unknown(text, masks)
    end = len(text) - text.endswith(")")
    inner, closing = text[1:end], text[end:]
    head, _, rest = inner.partition(",")
    command = rest.partition(",")[0]
    glued = _FIXED.match(inner)
    if glued is not None and (glued.end() == len(head) or not _COMMAND.fullmatch(command)):
        device_id, command = glued.groups()
        opening, body = masks.identity(device_id) + command, inner[glued.end() :]
    elif _COMMAND.fullmatch(command):
        opening, body = f"{masks.identity(head)},{command}", rest[len(command) :]
    else:
        return mask_unknown(text, masks)
    comma = "," if body[:1] == "," else ""
    return f"({opening}{comma}{_body(command, body[len(comma) :], masks)}{closing}"


def _body(command: str, body: str, masks: Masks) -> str:
    """Mask what follows the command and its comma."""
    if command in _MEASURED and _MEASURED[command].fullmatch(body):
        return body
    if command in _TEXTS:
        return _TEXTS[command](body, masks)
    if "{" in body:
        return _towers(body, masks)
    place = _PLACE.search(body)
    if place is not None:
        return _position(body, place, masks)
    return _CELLS.get(command[:3], _unknown)(body, masks)


def _unknown(body: str, masks: Masks) -> str:
    """Mask a body without a place; the digits in front may be a date or the tracker's second id."""
    rest = body.lstrip("0123456789")
    return mask_telemetry(body[: len(body) - len(rest)], masks) + mask_unknown(rest, masks)


def _answer(body: str, masks: Masks) -> str:
    """Mask the answer to a command, behind its date and clock."""
    *stamp, text = body.split(",", 2)
    return ",".join([*(mask_telemetry(each, masks) for each in stamp), mask_free(text, masks)])


def _chassis(body: str, masks: Masks) -> str:
    return masks.alias(body)


def _position(body: str, place: re.Match[str], masks: Masks) -> str:
    latitude, ns = masks.minutes(place["latitude"], place["ns"], north=True)
    longitude, ew = masks.minutes(place["longitude"], place["ew"], north=False)
    before, after = mask_telemetry(body[: place.start()], masks), body[place.end() :]
    moved = f"{before}{place['time']}{latitude}{ns}{place['gap']}{longitude}{ew}"
    if place["gap"]:
        return moved + mask_telemetry(after, masks, longest=8)
    measures = _MEASURES.match(after)
    end = measures.end() if measures else 0
    return moved + after[:end] + mask_telemetry(after[end:], masks)


def _towers(body: str, masks: Masks) -> str:
    """Mask blocks of ``{mcc,mnc,lac,cid}``; a second id may stand before, an odometer behind."""
    before, brace, towers = body.partition("{")
    masked, found = _TOWER.subn(
        lambda tower: f"{{{tower[1]},{masks.cell(tower[2])},{masks.cell(tower[3])}}}",
        brace + towers,
    )
    if found != towers.count("{") + 1:
        return mask_unknown(body, masks)
    return mask_telemetry(before, masks) + masked


def _hex_cells(body: str, masks: Masks) -> str:
    """Mask the words behind mcc and mnc, but for signal strengths and an odometer at the end."""
    mcc_mnc, words = body.split(",")[:2], body.split(",")[2:]
    masked = [mask_telemetry(code, masks) for code in mcc_mnc]
    for at, word in enumerate(words):
        is_odometer = at == len(words) - 1 and len(word) == _ODOMETER_DIGITS
        if not _HEX_WORD.fullmatch(word):
            masked.append(mask_unknown(word, masks))
        elif is_odometer or (at > 1 and len(word) < 3):
            masked.append(word)
        else:
            masked.append(masks.hexadecimal(word))
    return ",".join(masked)


def _radio(body: str, masks: Masks) -> str:
    """Mask a cell in decimal and the WiFi stations around it."""
    column = body.split(",")
    masked = [mask_telemetry(text, masks) for text in column]
    for at, text in enumerate(column):
        if at in (2, 3) and text.isdecimal():
            masked[at] = masks.cell(text)
        elif "*" in text:
            masked[at] = _MAC.sub(lambda mac: mask_mac(mac[0], masks), text)
    return ",".join(masked)


_TEXTS: dict[str, Callable[[str, Masks], str]] = {"ZC03": _answer, "BV00": _chassis}
_CELLS: dict[str, Callable[[str, Masks], str]] = {"BZ0": _hex_cells, "DW5": _radio, "DW6": _radio}
