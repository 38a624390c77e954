"""Text without a grammar of its own: whatever in it may say who or where is masked."""

from __future__ import annotations

import re
from datetime import datetime

from bridge.redact.masks import Masks

_NUMBER = re.compile(r"\d{3,}\.\d{4,}|\d+", re.ASCII)
_TELLING_RUN = re.compile(r"\d{5,}", re.ASCII)
_DIGIT = re.compile(r"\d", re.ASCII)

_TELLING = re.compile(
    r"(?P<lead>imei:|\*[A-Za-z]{2},|\()(?P<id>[0-9A-Za-z]{4,})"
    r"|(?P<mac>(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})"
    r"|(?P<number>\d{1,5}\.\d{1,8})(?P<gap>,?)(?P<side>[NSEW])(?![A-Za-z])"
    r"|(?P<address>\d{1,3}(?:\.\d{1,3}){3})"
    r"|(?P<decimal>\d{1,3}\.\d{3,})"
    r"|(?<![\w-])(?P<host>[\w-]{1,63}(?:[.@][\w-]{1,63}){0,5}[.@][A-Za-z]{2,63})"
    r"|(?P<word>[0-9A-Za-z]{4,})",
    re.ASCII,
)
"""What may tell something; bounded, so that no text makes the search slow."""

_STAMPS = {6: ("%H%M%S", "%d%m%y", "%y%m%d"), 8: ("%Y%m%d",), 10: ("%y%m%d%H%M",)} | {
    12: ("%y%m%d%H%M%S", "%d%m%y%H%M%S"),
    14: ("%Y%m%d%H%M%S",),
}
"""The ways to write a time, by the number of digits."""


def mask_unknown(text: str, masks: Masks) -> str:
    """Mask text of which nothing is known: every word with a digit that is not short or a time."""

    def alias(word: str) -> str:
        return word if not _DIGIT.search(word) or _is_time(word) else _masked_word(word, masks)

    return _TELLING.sub(lambda found: _masked(found, masks, alias(found["word"] or "")), text)


def mask_free(text: str, masks: Masks) -> str:
    """Mask what people and trackers write: keep words, versions and short numbers."""

    def alias(word: str) -> str:
        return _masked_word(word, masks) if _TELLING_RUN.search(word) else word

    return _TELLING.sub(lambda found: _masked(found, masks, alias(found["word"] or "")), text)


def mask_telemetry(text: str, masks: Masks, longest: int = 7) -> str:
    """Mask what is no measurement: more than `longest` digits in a row, or degrees and minutes."""

    def masked(found: re.Match[str]) -> str:
        number = found[0]
        if not number.isdecimal():
            return masks.alias(number)
        return masks.identity(number) if len(number) > longest else number

    return _NUMBER.sub(masked, text)


def _masked(found: re.Match[str], masks: Masks, word: str) -> str:
    match found.lastgroup:
        case "id":
            return found["lead"] + _masked_word(found["id"], masks)
        case "side":
            side = found["side"]
            number, side = masks.minutes(found["number"], side, north=side in ("N", "S"))
            return number + found["gap"] + side
        case "mac":
            return mask_mac(found[0], masks)
        case "word":
            return word
        case _:
            return masks.alias(found[0])


def mask_mac(address: str, masks: Masks) -> str:
    """Mask a hardware address, two hexadecimal digits after the other."""
    word = masks.hexadecimal(re.sub("[:-]", "", address))
    digits = iter(word)
    return "".join(mark if mark in ":-" else next(digits) for mark in address)


def _masked_word(word: str, masks: Masks) -> str:
    return masks.identity(word) if word.isdecimal() else masks.alias(word)


def _is_time(word: str) -> bool:
    """Whether a word of digits is a time of this century's first third, or a time of day."""
    for form in _STAMPS.get(len(word), ()):
        try:
            moment = datetime.strptime(word, form)  # noqa: DTZ007 - never used as a moment
        except ValueError:
            continue
        if form == "%H%M%S" or 2005 <= moment.year <= 2040:
            return True
    return False
