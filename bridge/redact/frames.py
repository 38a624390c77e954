"""One frame without its identity: by the grammar of its protocol, or blindly where there is none.

What a frame tells about a person is its id, a phone number, a card, a place, a cell, a WiFi
station, a picture, the number of a chassis, and what may stand in free text. Times, speeds, inputs,
alarms and measurements stay: the masked frame decodes to the same report from somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bridge.redact.gps103 import redact_gps103
from bridge.redact.gt06 import introduction, redact_gt06
from bridge.redact.h02 import redact_h02
from bridge.redact.masks import Masks
from bridge.redact.text import mask_unknown
from bridge.redact.tk103 import redact_tk103
from bridge.redact.xexun import redact_xexun

_TEXTS: dict[str, Callable[[str, Masks], str]] = {
    "gps103": redact_gps103,
    "tk103": redact_tk103,
    "xexun": redact_xexun,
    "h02": redact_h02,
}
"""The protocols whose frames are masked field by field, as text; h02 has binary records, too."""

_BINARIES: dict[str, Callable[[bytes, Masks], bytes]] = {"gt06": redact_gt06}
"""The same as bytes: the sum over them must come last, so nothing is masked after it."""

_INTRODUCTIONS: dict[str, Callable[[str, Masks], bytes]] = {"gt06": introduction}
"""The protocols in which only the first frame says who speaks."""

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
        binary = _BINARIES.get(protocol or "")
        if binary is not None:
            return binary(frame, self._masks)
        grammar = _TEXTS.get(protocol or "")
        if grammar is None:
            if not _TEXT.issuperset(frame):
                return self._binary(frame)
            grammar = mask_unknown
        text = grammar(frame.decode("latin-1"), self._masks)
        for real, alias in self._ids.items():
            text = text.replace(real, alias)
        return text.encode("latin-1")

    def introduction(self, tracker_id: str, protocol: str | None) -> bytes:
        """Return the masked frame with which this tracker says who it is.

        Empty in protocols whose frames all say it, and for a tracker without an id.
        """
        introduce = _INTRODUCTIONS.get(protocol or "")
        return introduce(tracker_id, self._masks) if introduce and tracker_id else b""

    def _binary(self, frame: bytes) -> bytes:
        """Keep the opening of a frame nobody can read, and of the rest whether a byte is BCD.

        Coordinates in such a frame look like any other bytes, so none may stay.
        """
        opening = _BINARY_OPENING.match(frame)
        kept = opening[0] if opening else b""
        return kept + self._masks.scrambled(frame[len(kept) :])
