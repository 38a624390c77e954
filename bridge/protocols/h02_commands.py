"""What h02 trackers can be told: ``*HQ,ID,WORD,HHMMSS,ARGUMENTS#``, no password.

The clock is UTC. The answer is a V4: the word, what became of it, and the clock of the command.
Source: docs/protocols.md, h02, commands and answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

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
    Target,
    Vocabulary,
    result,
)

S71 = "s71"
D1 = "d1"
"""The dialects differ in the word that sets the interval."""


def _word(word: str, arguments: str | Callable[[Any], str]) -> Encoder:
    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        said = arguments if isinstance(arguments, str) else arguments(command)
        return f"*HQ,{target.device_id},{word},{target.now:%H%M%S},{said}#".encode()

    return encode


_COMMON: Encoders = {
    c.Arm: _word("SCF", "0,0"),
    c.Disarm: _word("SCF", "1,1"),
    c.StopEngine: _word("S20", "1,1"),
    c.ResumeEngine: _word("S20", "1,0"),
    c.Raw: lambda command, _: command.text.encode(),
}

_DIALECTS: dict[str, Encoders] = {
    S71: {c.SetInterval: _word("S71", lambda command: f"22,{command.seconds}"), **_COMMON},
    D1: {c.SetInterval: _word("D1", lambda command: f"{command.seconds}"), **_COMMON},
}

_REFUSALS = ("ERROR", "FAIL", "REFUSED", "NO")


def _outcome(said: list[str]) -> Outcome:
    return REFUSED if said and said[0].strip().upper().startswith(_REFUSALS) else ACKNOWLEDGED


def _answer(*words: str) -> Answerer:
    """Return an answerer for results that repeat one of these words."""

    def judge(text: str) -> Outcome | None:
        word, *said = text.split(",")
        return _outcome(said) if word.strip().upper() in words else None

    return result(judge)


def _shows(message: Message) -> str | None:
    if not isinstance(message, CommandResult) or _answer("D1", "S71")(message) is not ACKNOWLEDGED:
        return None
    return D1 if message.text.strip().upper().startswith("D1") else S71


_STOP = re.compile(rb"(?<![0-9A-Z])S20(?![0-9A-Z])")
_RESUME = re.compile(rb"S20,[^,*#]*,1,0#")


def _cuts(data: bytes) -> bool:
    """An S20 with other arguments than those that restore is a stop: they are a pattern of cuts."""
    said = data.upper()
    return bool(_STOP.search(_RESUME.sub(b"", said))) or cuts_in_words(data)


VOCABULARY = Vocabulary(
    dialects=_DIALECTS,
    answers={
        c.SetInterval: _answer("S71", "D1"),
        c.Arm: _answer("SCF"),
        c.Disarm: _answer("SCF"),
        c.StopEngine: _answer("S20"),
        c.ResumeEngine: _answer("S20"),
        c.Raw: result(lambda text: _outcome(text.split(",")[1:])),
    },
    shows=_shows,
    cuts_engine=_cuts,
    forbids=unguards,
)
