"""Made-up values in the place of real ones: the same text gets the same alias, nobody else's.

Aliases come from a keyed hash, so nothing is remembered and nothing can be undone without the
secret, which lives as long as one capture. Every alias keeps the shape of what it stands for.

Places are moved, all by the same angles: any angle to the east, and one to three degrees to the
north or the south, which leaves distances that way as they are and those across it nearly so
(within a tenth up to 60 degrees of latitude). A 0 is no place and stays.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase, digits

_SHORT_FORM = 11
"""tk103 names a tracker by a 0 and the last eleven digits of its IMEI or phone number."""

_UNITS = 600_000
"""Units of an offset in a degree: ten-thousandths of a minute, as fine as most trackers tell."""

_DEGREES_MINUTES = re.compile(r"(\s*)(\d{1,16})(\.?)(\d{0,16})", re.ASCII)
_DECIMAL_DEGREES = re.compile(r"([+-]?)(\d{1,16})(\.?)(\d{0,16})", re.ASCII)
_HEXADECIMAL = re.compile(r"0*([0-9A-Fa-f]*)")

_OTHER_SIDE = {"N": "S", "S": "N", "E": "W", "W": "E"}


class Masks:
    """The aliases and the move of one capture."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(secret).digest()
        noise = self._noise("place")
        north = _UNITS + next(noise) % (2 * _UNITS)
        self._north = north if next(noise) % 2 else -north
        self._east = 10 * _UNITS + next(noise) % (340 * _UNITS)

    def alias(self, text: str) -> str:
        """Return other letters for letters and other digits for digits; the rest stands."""
        return self._other(text, _ALPHABETS)

    def identity(self, text: str) -> str:
        """Return an alias that keeps how the long and short forms of an id or phone number relate.

        Leading zeros stay, and the last eleven digits have the same alias in every form.
        """
        if not text.isdecimal() or len(text) <= _SHORT_FORM:
            return self.alias(text)
        head, tail = text[:-_SHORT_FORM], text[-_SHORT_FORM:]
        return (self.alias(head) if head.strip("0") else head) + self.alias(tail)

    def hexadecimal(self, word: str) -> str:
        """Return another word of as many hexadecimal digits, letters for letters, 0 for 0."""
        found = _HEXADECIMAL.fullmatch(word)
        if found is None:
            return self.alias(word)
        kept = word[: found.start(1)]
        return kept + self._other(found[1], _HEX_ALPHABETS, leading="123456789")

    def scrambled(self, data: bytes) -> bytes:
        """Return other bytes; a decimal half of a byte stays one."""
        return bytes.fromhex(self._other(data.hex(), _HEX_ALPHABETS))

    def cell(self, number: str) -> str:
        """Return another decimal cell number of the same width and size class, 0 for 0."""
        value = int(number)
        sizes = [(least, most) for least, most in _CELL_SIZES if least <= value <= most]
        if not sizes:
            return self.alias(number) if value else number
        ((least, most),) = sizes
        lowest = max(least, 10 ** (len(str(value)) - 1))
        choices = min(most, 10 ** len(str(value)) - 1) - lowest + 1
        aliases = (lowest + noise % choices for noise in self._noise(f"cell {value}"))
        return str(next(alias for alias in aliases if alias != value)).zfill(len(number))

    def minutes(self, number: str, letter: str, *, north: bool) -> tuple[str, str]:
        """Move ``dddmm.mmmm`` and its hemisphere; without a `letter` the number stays positive.

        The decimals stay as many, the width at least the same. What is no place on earth is nines.
        """
        found = _DEGREES_MINUTES.fullmatch(number)
        if found is None:
            return self.alias(number), letter
        blanks, whole, point, fraction = found.groups()
        one = 10 ** len(fraction)
        value = (int(whole[:-2] or 0) * 60 + int(whole[-2:])) * one + int(fraction or 0)
        limit = (90 if north else 180) * 60 * one
        if not value:
            return number, letter
        if value > limit:
            return blanks + re.sub(r"\d", "9", number[len(blanks) :]), letter
        moved = self._moved(
            -value if letter in ("S", "W") else value,
            60 * one,
            limit,
            north=north,
            signed=bool(letter),
        )
        positive = letter if letter in ("", "N", "E") else _OTHER_SIDE[letter]
        degrees, rest = divmod(abs(moved), 60 * one)
        minute, rest = divmod(rest, one)
        text = f"{degrees * 100 + minute:0{len(whole) + len(blanks)}d}"
        if point:
            text += f".{rest:0{len(fraction)}d}" if fraction else "."
        return text, _OTHER_SIDE[positive] if moved < 0 else positive

    def degrees(self, number: str, *, north: bool) -> str:
        """Move signed decimal degrees, with as many decimals as before."""
        found = _DECIMAL_DEGREES.fullmatch(number)
        if found is None:
            return self.alias(number)
        sign, whole, point, fraction = found.groups()
        one = 10 ** len(fraction)
        value = int(whole) * one + int(fraction or 0)
        limit = (90 if north else 180) * one
        if not value:
            return number
        if value > limit:
            return re.sub(r"\d", "9", number)
        moved = self._moved(-value if sign == "-" else value, one, limit, north=north, signed=True)
        degrees, rest = divmod(abs(moved), one)
        text = f"{degrees:0{len(whole)}d}"
        if point:
            text += f".{rest:0{len(fraction)}d}" if fraction else "."
        return ("-" if moved < 0 else "+" if sign == "+" else "") + text

    def angle(self, value: int, degree: int, *, north: bool) -> int:
        """Move a signed angle of `degree` units a degree that is a place on earth."""
        limit = (90 if north else 180) * degree
        return self._moved(value, degree, limit, north=north, signed=True)

    def _moved(self, value: int, degree: int, limit: int, *, north: bool, signed: bool) -> int:
        """Move a value of `degree` units a degree; past `limit` it goes on at the other end.

        The offset is rounded before it is added, so that all values of one precision move alike.
        """
        offset = (self._north if north else self._east) * degree // _UNITS
        if not signed:
            return (value + offset) % limit
        return (value + offset + limit) % (2 * limit) - limit

    def _other(self, text: str, alphabets: tuple[str, ...], leading: str = digits) -> str:
        choices = [
            next((each for each in alphabets if character in each), "") for character in text
        ]
        if choices and choices[0] == digits:
            choices[0] = leading
        noise = self._noise(text)
        alias = text
        while alias == text and any(choices):
            alias = "".join(
                each[next(noise) % len(each)] if each else character
                for character, each in zip(text, choices, strict=True)
            )
        return alias

    def _noise(self, text: str) -> Iterator[int]:
        """Return an endless row of 32-bit numbers that nobody can tell without the secret."""
        for block in itertools.count():
            seed = f"{block} {text}".encode("utf-8", "replace")
            digest = hashlib.blake2b(seed, key=self._secret).digest()
            for at in range(0, len(digest), 4):
                yield int.from_bytes(digest[at : at + 4], "big")


_ALPHABETS = (digits, ascii_lowercase, ascii_uppercase)
_HEX_ALPHABETS = (digits, "abcdef", "ABCDEF")
_CELL_SIZES = ((1, 0xFFFF), (0x10000, 0xFFFFFFF))
