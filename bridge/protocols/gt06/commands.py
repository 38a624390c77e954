"""What gt06 trackers can be told: kind 0x80 around the words of an SMS.

    78 78  LENGTH  80  COUNT(1)  MARK(4)  WORDS  SERIAL(2)  CRC(2)  0D 0A     COUNT: MARK, WORDS

Two dialects cut the engine: ``Relay,1#`` (the usual one) and ``DYD,PASSWORD#``. The answer is a
text. Source: docs/protocols.md, gt06, commands and answers.
"""

from __future__ import annotations

import re

from bridge import command as c
from bridge.model import CommandResult, Message
from bridge.protocols.cutting import cuts_in_words, unguards
from bridge.protocols.encoding import (
    ACKNOWLEDGED,
    REFUSED,
    Answerer,
    Encoder,
    Encoders,
    Outcome,
    Vocabulary,
    either,
    result,
    shown,
)
from bridge.protocols.gt06.framing import SHORT, build

RELAY = "relay"
DYD = "dyd"

_KIND = 0x80
_MARK = bytes(4)
"""Comes back with the answer; one command is on its way at a time, so it tells nothing."""


def _words(words: str) -> Encoder:
    return lambda _, target: _frame(words.format(password=target.password))


def _frame(words: str) -> bytes:
    said = _MARK + words.encode("ascii")
    return build(SHORT, _KIND, bytes(2), bytes([len(said)]) + said)


def _raw(command: c.Raw, _: object) -> bytes:
    return _frame(command.text)


_RELAY: Encoders = {
    c.StopEngine: _words("Relay,1#"),
    c.ResumeEngine: _words("Relay,0#"),
    c.Raw: _raw,
}
_DYD: Encoders = {
    c.StopEngine: _words("DYD,{password}#"),
    c.ResumeEngine: _words("HFYD,{password}#"),
    c.Raw: _raw,
}

_REFUSALS = (
    "speed limit",
    "unvalued",
    "fail",
    "error",
    "invalid",
    "not support",
    "wrong",
    "denied",
)
_SUCCESSES = ("success", "ok", "done", "already")

_OF_A_RESUME = re.compile(r"hfyd|.*(?:restor|resum)|already(?!.*cut)", re.DOTALL)
_OF_A_STOP = re.compile(r"dyd|.*cut", re.DOTALL)
"""Words that answer the other command of the two."""


def _relay(text: str) -> Outcome | None:
    """Judge what is said of the relay; words of neither kind leave it open."""
    said = text.casefold()
    if any(word in said for word in _REFUSALS):
        return REFUSED
    return ACKNOWLEDGED if any(word in said for word in _SUCCESSES) else None


def _but(others: re.Pattern[str]) -> Answerer:
    """Return an answerer that judges what is said of the relay, but for these words."""
    return result(lambda text: None if others.match(text.casefold()) else _relay(text))


def _any(text: str) -> Outcome:
    """Judge an answer to words of which only their sender knows what they do."""
    return _relay(text) or ACKNOWLEDGED


def _shows(message: Message) -> str | None:
    if not isinstance(message, CommandResult) or _relay(message.text) is None:
        return None
    said = message.text.casefold()
    if said.startswith(("dyd", "hfyd")):
        return DYD
    return RELAY if said.startswith("relay") else None


VOCABULARY = Vocabulary(
    dialects={RELAY: _RELAY, DYD: _DYD},
    answers={
        c.StopEngine: either(_but(_OF_A_RESUME), shown(engine_cut=True)),
        c.ResumeEngine: either(_but(_OF_A_STOP), shown(engine_cut=False)),
        c.Raw: result(_any),
    },
    shows=_shows,
    cuts_engine=cuts_in_words,
    forbids=unguards,
)
