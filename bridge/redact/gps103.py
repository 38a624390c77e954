"""gps103 frames, masked column by column; for the layout see `bridge.protocols.gps103`."""

from __future__ import annotations

import re

from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_telemetry, mask_unknown

_OPENING = re.compile(r"(?P<mark>[\r\n ]*(?:##,)?)(?P<heartbeat>\d*)(?:imei:(?P<id>[^,;*\r\n]*))?")
_CLOCK = re.compile(r"\d{6}(?:\.\d{0,6})?", re.ASCII)
_LOCAL_TIME = re.compile(r"[\d/: ]{0,17}", re.ASCII)
_CLOCK_AND_DATE = re.compile(r"(?:\d{6}|-+),(?:\d{6}|-+)", re.ASCII)
_END = ";*\r\n "
_PHOTO_HEAD = 8
"""Hexadecimal digits of a photo part before its picture: index and two bytes more."""


def redact_gps103(text: str, masks: Masks) -> str:
    """Mask one frame, whole or not."""
    opening = _OPENING.match(text)
    if opening is None or not (opening["heartbeat"] or opening["id"]):
        return mask_unknown(text, masks)
    masked = opening["mark"] + masks.identity(opening["heartbeat"])
    rest = text[opening.end() :]
    if opening["id"] is None:
        return masked + mask_unknown(rest, masks)
    body = rest.rstrip(_END)
    column = _columns(body.split(","), masks)
    return f"{masked}imei:{masks.identity(opening['id'])}{','.join(column)}{rest[len(body) :]}"


def _columns(column: list[str], masks: Masks) -> list[str]:
    """Mask the columns behind the id; the first is empty, so that they count as in the layout."""
    masked = [mask_telemetry(text, masks) for text in column]
    keyword, local, tag, signal = (*column[1:5], "", "", "", "")[:4]
    if _CLOCK_AND_DATE.fullmatch(",".join(column[5:7])):
        _mask_alternative(column, masked, masks)
        return masked
    if keyword == "vr":
        return [*column[:2], *(_photo(text) for text in column[2:])]
    if len(column) > 2:
        masked[2] = local if _LOCAL_TIME.fullmatch(local) else mask_unknown(local, masks)
    if keyword == "OBD":
        return masked
    if len(column) > 3:
        masked[3] = masks.identity(tag) if keyword == "rfid" else mask_free(tag, masks)
    if signal == "F":
        if _CLOCK.fullmatch("".join(column[5:6])):
            masked[5:6] = column[5:6]
        _move_place(column, masked, masks)
    elif signal == "L":
        for at in (7, 9):
            masked[at : at + 1] = [masks.hexadecimal(word) for word in column[at : at + 1]]
    else:
        masked[4:] = [mask_unknown(text, masks) for text in column[4:]]
    return masked


def _move_place(column: list[str], masked: list[str], masks: Masks) -> None:
    """Move the place: each hemisphere stands before its number, behind it, or nowhere."""
    at = 7
    for sides in (("N", "S"), ("E", "W")):
        first, second = (*column[at : at + 2], "", "")[:2]
        before, behind = first in sides, second in sides
        number, side = (second, first) if before else (first, second if behind else "")
        number, side = masks.minutes(number, side, north="N" in sides)
        if before:
            masked[at : at + 2] = [side, number][: len(masked) - at]
        elif behind:
            masked[at : at + 2] = [number, side]
        else:
            masked[at : at + 1] = [number][: len(masked) - at]
        at += 2 if before or behind or not second else 1


def _mask_alternative(column: list[str], masked: list[str], masks: Masks) -> None:
    """Mask the form with decimal degrees: name, sensor and place."""
    for at in (1, 3):
        masked[at] = masks.alias(column[at])
    for at, north in ((9, True), (10, False)):
        masked[at : at + 1] = [masks.degrees(text, north=north) for text in column[at : at + 1]]


def _photo(part: str) -> str:
    """Blacken the picture, keep its number and length."""
    return part[:_PHOTO_HEAD] + "0" * (len(part) - _PHOTO_HEAD)
