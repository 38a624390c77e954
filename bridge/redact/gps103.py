"""gps103 frames, masked column by column; for the layout see `bridge.protocols.gps103`."""

from __future__ import annotations

import re

from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_telemetry, mask_unknown

_OPENING = re.compile(r"(?P<mark>[\r\n ]*(?:##,)?)(?P<heartbeat>\d*)(?:imei:(?P<id>[^,;*\r\n]*))?")
_CLOCK = re.compile(r"[\d.]{0,10}", re.ASCII)
_LOCAL_TIME = re.compile(r"[\d/: ]{0,17}", re.ASCII)
_CLOCK_OR_DATE = re.compile(r"\d{6}|-+", re.ASCII)
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
    masked += "imei:" + masks.identity(opening["id"])
    body = rest.rstrip(_END)
    return masked + ",".join(_columns(body.split(","), rest, masks)) + rest[len(body) :]


def _columns(column: list[str], rest: str, masks: Masks) -> list[str]:
    """Mask the columns behind the id; the first is empty, so that they count as in the layout."""
    if len(column) > 6 and _CLOCK_OR_DATE.fullmatch(column[5]) and _CLOCK_OR_DATE.fullmatch(column[6]):
        return _alternative(column, masks)
    if len(column) < 3:
        return [mask_free(text, masks) for text in column]
    keyword, local = column[1:3]
    if keyword == "vr":
        return ["", "vr", *(_photo(text) for text in column[2:])]
    if not _LOCAL_TIME.fullmatch(local):
        local = mask_unknown(local, masks)
    if keyword == "OBD":
        return ["", keyword, local, *(mask_telemetry(text, masks) for text in column[3:])]
    tag = _tag(keyword, column[3], masks) if len(column) > 3 else ""
    head = ["", mask_telemetry(keyword, masks), local, tag]
    signal = column[4] if len(column) > 4 else ""
    body = [mask_telemetry(text, masks) for text in column]
    if signal == "F":
        if len(body) > 5 and _CLOCK.fullmatch(column[5]):
            body[5] = column[5]
        _move_place(column, body, masks)
    elif signal == "L":
        for at in (7, 9):
            if len(body) > at:
                body[at] = masks.hexadecimal(column[at])
    else:
        body = [mask_unknown(text, masks) for text in column]
    return [*head, *body[4:]][: len(column)]


def _tag(keyword: str, tag: str, masks: Masks) -> str:
    """Mask a driver's card as a whole; else what is long enough for a phone number or a card."""
    return masks.identity(tag) if keyword == "rfid" else mask_free(tag, masks)


def _move_place(column: list[str], body: list[str], masks: Masks) -> None:
    """Move what stands behind the clock: each hemisphere stands before or behind its number, or nowhere."""
    at = 7
    for sides in (("N", "S"), ("E", "W")):
        first, second = (*column[at : at + 2], "", "")[:2]
        north = sides[0] == "N"
        if first in sides:
            if at + 1 < len(body):
                body[at + 1], body[at] = masks.minutes(second, first, north=north)
        elif at < len(body):
            side = second if second in sides else ""
            body[at], side = masks.minutes(first, side, north=north)
            if side:
                body[at + 1] = side
        at += 2 if first in sides or second in sides or not second else 1


def _alternative(column: list[str], masks: Masks) -> list[str]:
    """Mask the form with decimal degrees: name, sensor and place."""
    body = [mask_telemetry(text, masks) for text in column]
    for at in (1, 3):
        body[at] = masks.alias(column[at])
    for at, north in ((9, True), (10, False)):
        if len(body) > at:
            body[at] = masks.degrees(column[at], north=north)
    return body


def _photo(part: str) -> str:
    """Blacken the picture, keep its number and length."""
    return part[:_PHOTO_HEAD] + "0" * (len(part) - _PHOTO_HEAD)
