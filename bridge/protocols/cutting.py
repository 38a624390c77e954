"""Words that cut an engine or take a guard away, as text messages and relays of any family do.

Whoever may send raw words may hide these in them: in capitals, between blanks, behind a password of
any kind, as the second of two. So what is known to be harmless is taken out first, and a word that
is left with the root of a dangerous one counts as dangerous. Source: docs/commands.md, section
"What cuts the engine".
"""

from __future__ import annotations

import re

_HARMLESS = re.compile(rb"powercar\d{0,10} 00(?!\d)|relay,0(?=#|\Z)")
"""The words that restore an engine and have a dangerous root."""

_ROOTS = re.compile(rb"stop|powercar|relay|dyd|turnoff|cutoff|cutoil|cutengine")
_CODES = re.compile(rb"(?:\A|\0|sms\d?,|[)#;])\s*(?:940|941|555|666)(?:\d{4}|\d{6})?(?![0-9a-z.])")
"""Text messages of digits that switch a relay: a code and a password of 4 or 6 digits, or none.

Which of them cuts is not known for sure."""

_BLANKS = re.compile(rb"\s+")
_NO_LETTERS = re.compile(rb"[^a-z]+")


def cuts_in_words(data: bytes) -> bool:
    """Whether there is a word in it, of whatever family, that may cut an engine."""
    text = _HARMLESS.sub(b" ", data.lower())
    return bool(_ROOTS.search(_BLANKS.sub(b"", text)) or _CODES.search(text))


def unguards(data: bytes) -> bool:
    """Whether ``quickstop`` is in it, which lets an engine be cut at any speed. Never sent."""
    return b"quickstop" in _NO_LETTERS.sub(b"", data.lower())
