"""tk103 frames, masked by command; for the layout see `bridge.protocols.tk103`."""

from __future__ import annotations

import re

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
"""Speed, clock, course, status and odometer without separators."""

_TOWER = re.compile(r"\{(\d+,\d+),(\d+),(\d+)\}", re.ASCII)
_WIFI = re.compile(r"[\dA-Fa-f]{2}(?::[\dA-Fa-f]{2}){5}(?=\*)", re.ASCII)
_DECIMAL = re.compile(r"\d{1,9}", re.ASCII)
_HEXADECIMAL = re.compile(r"[\dA-Fa-f]{1,8}", re.ASCII)

_MEASURED = {
    "ZC20": re.compile(r"[\d,]{0,64}", re.ASCII),
    "BS50": _HEXADECIMAL_BLOCKS,
    "BS51": _HEXADECIMAL_BLOCKS,
}
"""Commands whose whole body is measurements, and what these look like."""


def redact_tk103(text: str, masks: Masks) -> str:
    """Mask one frame, whole or not."""
    end = len(text) - text.endswith(")")
    if text[:1] != "(":
        return mask_unknown(text, masks)
    inner, closing = text[1:end], text[end:]
    head, comma, rest = inner.partition(",")
    command, separator, body = rest.partition(",")
    glued = _FIXED.match(inner)
    if glued is not None and (glued.end() == len(head) or not _COMMAND.fullmatch(command)):
        masked = masks.identity(glued[1]) + glued[2]
        return f"({masked}{_body(glued[2], inner[glued.end() :], masks)}{closing}"
    if not _COMMAND.fullmatch(command):
        return mask_unknown(text, masks)
    masked = masks.identity(head) + comma + command + separator
    return f"({masked}{_body(command, body, masks)}{closing}"


def _body(command: str, body: str, masks: Masks) -> str:
    if body[:1] == ",":
        return "," + _body(command, body[1:], masks)
    if command in _MEASURED and _MEASURED[command].fullmatch(body):
        return body
    if command == "BV00":
        return masks.alias(body)
    if command == "ZC03":
        *stamp, text = body.split(",", 2)
        return ",".join([*(mask_telemetry(each, masks) for each in stamp), mask_free(text, masks)])
    if "{" in body:
        return _towers(body, masks)
    place = _PLACE.search(body)
    if place is not None:
        return _position(body, place, masks)
    if command == "BZ00":
        return _hex_cells(body, masks)
    if command[:3] in ("DW5", "DW6"):
        return _radio(body, masks)
    rest = body.lstrip("0123456789")
    return mask_telemetry(body[: len(body) - len(rest)], masks) + mask_unknown(rest, masks)


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
    """Mask blocks of ``{mcc,mnc,lac,cid}``; what follows the last is the odometer."""
    if len(_TOWER.findall(body)) != body.count("{"):
        return mask_unknown(body, masks)
    before, brace, towers = body.partition("{")
    return mask_telemetry(before, masks) + _TOWER.sub(
        lambda tower: f"{{{tower[1]},{masks.cell(tower[2])},{masks.cell(tower[3])}}}",
        brace + towers,
    )


def _hex_cells(body: str, masks: Masks) -> str:
    """Mask the words behind mcc and mnc; short ones are signal strengths, long ones the odometer."""
    mcc, mnc, *words = (*body.split(","), "", "")[: max(2, body.count(",") + 1)]
    ...


def _radio(body: str, masks: Masks) -> str:
    ...
