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
_CLOSING = "\r\n "
_MEASURE = re.compile(r" *-?\d{0,5}(?:\.\d{0,3})? *", re.ASCII)
_VOLTS = re.compile(r"[FL]:\d{0,3}(?:\.\d{0,3})?V?(?:/ADC\d=-?\d{0,3}(?:\.\d{0,3})?V?)*", re.ASCII)
_CLOCK_OR_DATE = re.compile(r"\d{0,6}(?:\.\d{0,3})?", re.ASCII)
_DISTANCE = re.compile(r"\d{0,7}(?:\.\d{0,3})?(?:km?)?", re.ASCII)
_SUM = re.compile(r"[0-9A-Fa-f]{0,2}", re.ASCII)


def redact_xexun(text: str, masks: Masks) -> str:
    """Mask one line, whole or not."""
    head, mark, tail = text.partition("imei:")
    return _head(head, masks) + mark + _tail(tail, masks)


def _head(head: str, masks: Masks) -> str:
    """Mask what stands before the id: serial number, phone, sentence and words."""
    begin = head.find("RMC,")
    if begin < 0:
        *opening, words = head.split(",", 3)
        return ",".join([*_opening(opening, masks), mask_unknown(words, masks)])
    sender = head[: max(0, begin - 2)].split(",")
    talker, rest = head[max(0, begin - 2) : begin + 4], head[begin + 4 :]
    sentence, star, words = rest.partition("*")
    masked = ",".join(_sentence(sentence.split(","), masks))
    opening = ",".join(_opening(sender, masks)) + talker + masked + star
    if not star:
        return opening
    found = _SUM.match(words)
    told = found[0] if found else ""
    was_right = told.upper() == _sum(talker + sentence)
    return (
        opening
        + (_sum(talker + masked) if was_right else masks.alias(told))
        + mask_free(words[len(told) :], masks)
    )


def _opening(column: list[str], masks: Masks) -> list[str]:
    """Mask serial number and phone, or the left-overs of another line before them."""
    *others, serial, phone, last = ("", "", *column) if len(column) == 1 else ("", *column)[-4:]
    if len(column) > 3 or (len(column) == 3 and last):
        return mask_unknown(",".join(column), masks).split(",")
    del others
    masked = [
        mask_unknown(serial, masks),
        _DIGITS.sub(lambda digits: masks.identity(digits[0]), phone),
        mask_unknown(last, masks),
    ]
    return masked[-len(column) :] if column else []
