"""xexun lines, masked column by column; for the layout see `bridge.protocols.xexun`.

The serial number in front is the unit's clock and stays, if it is one. The sum of the sentence is
made right again where it was, and hidden where it was not; so is the one at the end, of which
nobody knows what it is taken of: either would tell something of what it sums up.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

from bridge.redact.masks import Masks
from bridge.redact.text import mask_free, mask_unknown

_DIGITS = re.compile(r"\d+", re.ASCII)
_HEX_WORD = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)
_SUM = re.compile(r"[0-9A-Fa-f]{0,2}", re.ASCII)
_CLOCK = re.compile(r"\d{0,6}(?:\.\d{0,3})?", re.ASCII)
_PACE = re.compile(r"\d{0,3}(?:\.\d{0,3})?", re.ASCII)
_MEASURE = re.compile(r"-?\d{0,5}(?:\.\d{0,2})?", re.ASCII)
_VOLTS = re.compile(r"[FL]:(?!.*\d{4})[^,]{0,160}", re.ASCII)
_DISTANCE = re.compile(r"\d{0,7}(?:\.\d{0,3})?(?:km?)?", re.ASCII)
_CLOSING = "\r\n "

_SENTENCE = (_CLOCK, re.compile("[AV]?"))
_BEHIND_PLACE = (_PACE, _PACE, _CLOCK)
_MEASURED = {
    1: _MEASURE, 2: _MEASURE, 3: _VOLTS, 4: _MEASURE, 5: _MEASURE, 7: _MEASURE, 8: _MEASURE,
    11: _DISTANCE,
}  # fmt: skip
"""Columns behind the id that are measurements, and what these look like."""
_SUM_OF_LINE, _CELL = 6, (9, 10)


def redact_xexun(text: str, masks: Masks) -> str:
    """Mask one line, whole or not."""
    head, mark, tail = text.partition("imei:")
    return _head(head, masks) + mark + _tail(tail, masks)


def _head(head: str, masks: Masks) -> str:
    """Mask what stands before the id: serial number, phone, sentence and words."""
    at = head.find("RMC,")
    if at < 0:
        *sender, words = head.split(",", 2)
        return _sender("".join(f"{column}," for column in sender), masks) + mask_free(words, masks)
    begin = max(0, at - 2)
    opening, talker = _sender(head[:begin], masks), head[begin : at + 4]
    sentence, star, words = head[at + 4 :].partition("*")
    column = sentence.split(",")
    masked = talker + ",".join(_sentence(column, masks)) + star
    if not star:
        return opening + masked
    told = _SUM.match(words)
    sum_told = told[0] if told else ""
    was_right = sum_told.upper() == _sum(talker + sentence)
    sum_now = _sum(masked[:-1]) if was_right else masks.hexadecimal(sum_told)
    return opening + masked + sum_now + mask_free(words[len(sum_told) :], masks)


def _sender(text: str, masks: Masks) -> str:
    """Mask ``SERIAL,PHONE,``; a piece of another line may stand before it."""
    column = text.split(",")
    if len(column) < 3:
        return mask_unknown(text, masks)
    before, phone = mask_unknown(",".join(column[:-2]), masks), column[-2]
    phone = _DIGITS.sub(lambda digits: masks.identity(digits[0]), phone)
    return f"{before},{phone},{column[-1]}"


def _sum(sentence: str) -> str:
    """Return the sum of an NMEA sentence: its bytes, one exclusive-or the other."""
    return f"{reduce(xor, sentence.encode('latin-1'), 0):02X}"


def _sentence(column: list[str], masks: Masks) -> list[str]:
    """Move the place of a sentence; a hemisphere may be blank, or missing with its comma."""
    masked = [_kept(text, shape, masks) for text, shape in zip(column, _SENTENCE, strict=False)]
    rest = column[2:]
    for sides in ("NS", "EW"):
        number, letter = (*rest, "", "")[:2]
        spaced = letter in ("", *sides)
        number, letter = masks.minutes(number, letter if spaced else "", north=sides == "NS")
        masked += [number, letter][: min(len(rest), 1 + spaced)]
        rest = rest[1 + spaced :]
    masked += [_kept(text, shape, masks) for text, shape in zip(rest, _BEHIND_PLACE, strict=False)]
    return masked + [mask_unknown(text, masks) for text in rest[len(_BEHIND_PLACE) :]]


def _tail(tail: str, masks: Masks) -> str:
    """Mask what begins with the id."""
    body = tail.rstrip(_CLOSING)
    device_id, *column = body.split(",", 12)
    masked = [_DIGITS.sub(lambda digits: masks.identity(digits[0]), device_id)]
    for at, text in enumerate(column, 1):
        if at == _SUM_OF_LINE and text.isdecimal():
            masked.append(masks.alias(text))
        elif at in _CELL and _HEX_WORD.fullmatch(text):
            masked.append(masks.hexadecimal(text))
        else:
            masked.append(_kept(text, _MEASURED.get(at), masks))
    return ",".join(masked) + tail[len(body) :]


def _kept(text: str, shape: re.Pattern[str] | None, masks: Masks) -> str:
    """Return a measurement as it is, and anything else masked."""
    return text if shape is not None and shape.fullmatch(text) else mask_unknown(text, masks)
