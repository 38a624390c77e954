"""One frame without its identity: by the grammar of its protocol, or blindly where there is none.

What a frame tells about a person is its id, a phone number, a card, a place, a cell, a WiFi
station, a picture, the number of a chassis, and what may stand in free text. Times, speeds, inputs,
alarms and measurements stay: the masked frame decodes to the same report from somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bridge.redact.gps103 import redact_gps103
from bridge.redact.masks import Masks
from bridge.redact.text import mask_unknown
from bridge.redact.tk103 import redact_tk103

_GRAMMARS: dict[str, Callable[[str, Masks], str]] = {
    "gps103": redact_gps103,
    "tk103": redact_tk103,
}
"""The protocols whose frames are masked field by field."""

_TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
_BINARY_OPENING = re.compile(rb"xx..|yy...|..?", re.DOTALL)
"""What a binary frame is known by: start bytes, length and type of gt06, else two bytes."""

_SHORT_FORM = 11
_SHORTEST_ID = 6
"""Shorter ids may be any number; the grammars find these, a search would find too much."""


class Redactor:
    """Masks the frames of one capture: the same `secret`, the same aliases and the same move.

    `ids` are those known to be the tracker's: they are masked wherever they stand.
    """

    def __init__(self, secret: bytes, ids: Iterable[str] = ()) -> None:
        self._masks = Masks(secret)
        forms = {form for each in ids for form in (each, each[-_SHORT_FORM:])}
        self._ids = {
            form: self._masks.identity(form)
            for form in sorted(forms, key=len, reverse=True)
            if len(form) >= _SHORTEST_ID
        }

    def redact(self, frame: bytes, protocol: str | None) -> bytes:
        """Return the frame as somebody else's, of the same length or nearly so.

        `protocol` is who claimed it, empty or None if nobody did. Raises nothing.
        """
        grammar = _GRAMMARS.get(protocol or "")
        if grammar is None:
            if not _TEXT.issuperset(frame):
                return self._binary(frame)
            grammar = mask_unknown
        text = grammar(frame.decode("latin-1"), self._masks)
        for real, alias in self._ids.items():
            text = text.replace(real, alias)
        return text.encode("latin-1")

    def _binary(self, frame: bytes) -> bytes:
        """Keep the opening of a frame nobody can read, and of the rest whether a byte is BCD.

        Coordinates in such a frame look like any other bytes, so none may stay.
        """
        opening = _BINARY_OPENING.match(frame)
        kept = opening[0] if opening else b""
        return kept + self._masks.scrambled(frame[len(kept) :])
