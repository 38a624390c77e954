"""What gps103 trackers can be told: ``**,imei:ID,WORD[,ARGUMENT]``, no terminator, no password.

Two dialects say the same with other words: letters (the default, older) and numbers. Which one a
tracker speaks shows in its keywords: ``tracker`` or ``001``, and in its answers, which are reports
with a keyword of their own. Source: docs/protocols.md, gps103, commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from bridge import command as c
from bridge.model import Message, Report
from bridge.protocols.cutting import cuts_in_words, unguards
from bridge.protocols.encoding import (
    ACKNOWLEDGED,
    POSTPONED,
    REFUSED,
    Answerer,
    Encoder,
    Encoders,
    Outcome,
    Target,
    UnsupportedCommandError,
    Vocabulary,
)

LETTERS = "letters"
NUMBERS = "numbers"

Argument = Callable[[Any], str]

_SHORTEST_INTERVAL_S = 10
"""Over GPRS; docs/protocols.md, gps103, commands."""


# --- what is said ---------------------------------------------------------------------------------


def _interval(command: c.SetInterval) -> str:
    """Write an interval in a unit that loses nothing; two digits is all there are."""
    seconds = command.seconds
    if seconds < _SHORTEST_INTERVAL_S:
        raise UnsupportedCommandError(
            "gps103", f"set_interval below {_SHORTEST_INTERVAL_S} seconds"
        )
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(seconds, length)
        if not rest and count <= 99:
            return f"{count:02d}{unit}"
    raise UnsupportedCommandError(
        "gps103", "set_interval that is neither up to 99 seconds or minutes, nor whole hours"
    )


def _corners(command: c.Fence) -> str:
    return f"{command.north:.6f},{command.west:.6f};{command.south:.6f},{command.east:.6f}"


def _hours(command: c.SetTimeZone) -> str:
    hours, minutes = divmod(abs(command.offset_minutes), 60)
    if minutes:
        raise UnsupportedCommandError("gps103", "time_zone with half an hour")
    return f"-{hours}" if command.offset_minutes < 0 else f"{hours}"


def _limit(command: c.SpeedLimit) -> str:
    if not command.kmh:
        raise UnsupportedCommandError("gps103", "speed_limit of 0, which means none")
    return f"{command.kmh:03d}"


def _nothing(_: object) -> str:
    return ""


def _word(word: str, argument: Argument = _nothing) -> Encoder:
    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        said = argument(command)
        return f"**,imei:{target.device_id},{word}{f',{said}' if said else ''}".encode()

    return encode


def _switched(on: Encoder, off: Encoder) -> Encoder:
    """Return an encoder for a command that is switched on or off."""

    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        return (on if command.enabled else off)(command, target)

    return encode


def _day(command: c.UploadLog) -> str:
    return f"{command.day:%Y%m%d}"


def _receipt(_: object, target: Target) -> bytes:
    return f"**,imei:{target.device_id},E;".encode()


def _raw(command: c.Raw, target: Target) -> bytes:
    return f"**,imei:{target.device_id},{command.text}".encode()


_LETTERS: Encoders = {
    c.RequestPosition: _word("B"),
    c.SetInterval: _word("C", _interval),
    c.StopReporting: _word("D"),
    c.AcknowledgeAlarm: _receipt,
    c.StopEngine: _word("J"),
    c.ResumeEngine: _word("K"),
    c.Arm: _word("L"),
    c.Disarm: _word("M"),
    c.SpeedLimit: _word("H", _limit),
    c.MovementAlarm: _switched(_word("G"), _word("106")),  # no letter switches it off
    c.Fence: _word("O", _corners),
    c.ClearFence: _word("P"),
    c.SetTimeZone: _word("I", _hours),
    c.LessGprs: _switched(_word("T"), _word("X")),
    c.UploadLog: _word("Q", _day),
    c.TakePhoto: _word("160"),
    c.Raw: _raw,
}

_NUMBERS: Encoders = {
    c.RequestPosition: _word("100"),
    c.SetInterval: _word("101", _interval),
    c.StopReporting: _word("102"),
    c.AcknowledgeAlarm: _receipt,  # 104 would clear every alarm setting: the letter serves both
    c.StopEngine: _word("109"),
    c.ResumeEngine: _word("110"),
    c.Arm: _word("111"),
    c.Disarm: _word("112"),
    c.SpeedLimit: _word("107", _limit),
    c.MovementAlarm: _switched(_word("105"), _word("106")),
    c.Fence: _word("114", _corners),
    c.ClearFence: _word("115"),
    c.SetTimeZone: _word("108", _hours),
    c.LessGprs: _switched(_word("118"), _word("119")),
    c.UploadLog: _word("116", _day),
    c.TakePhoto: _word("160"),
    c.Raw: _raw,
}


# --- what is answered -----------------------------------------------------------------------------

_POSITIONS = ("tracker", "001")
_SAYS: dict[type[c.Command], dict[str, Outcome]] = {
    c.RequestPosition: dict.fromkeys(_POSITIONS, ACKNOWLEDGED),
    c.SetInterval: dict.fromkeys(_POSITIONS, ACKNOWLEDGED),
    c.StopReporting: {"dt": ACKNOWLEDGED, "102": ACKNOWLEDGED},
    c.AcknowledgeAlarm: {"et": ACKNOWLEDGED, "104": ACKNOWLEDGED},
    c.StopEngine: {"jt": ACKNOWLEDGED, "109": ACKNOWLEDGED, "509": POSTPONED},
    c.ResumeEngine: {"kt": ACKNOWLEDGED, "110": ACKNOWLEDGED},
    c.Arm: {"lt": ACKNOWLEDGED, "111": ACKNOWLEDGED, "lf": REFUSED, "511": REFUSED},
    c.Disarm: {"mt": ACKNOWLEDGED, "112": ACKNOWLEDGED},
    c.SpeedLimit: {"ht": ACKNOWLEDGED, "107": ACKNOWLEDGED},
    c.MovementAlarm: {"gt": ACKNOWLEDGED, "105": ACKNOWLEDGED, "106": ACKNOWLEDGED},
    c.Fence: {"ot": ACKNOWLEDGED, "114": ACKNOWLEDGED},
    c.ClearFence: {"pt": ACKNOWLEDGED, "115": ACKNOWLEDGED},
    c.SetTimeZone: {"it": ACKNOWLEDGED, "108": ACKNOWLEDGED},
    c.LessGprs: dict.fromkeys(("tt", "xt", "118", "119"), ACKNOWLEDGED),
    # These end an upload, which may take long; `load` opens it.
    c.UploadLog: {"qt": ACKNOWLEDGED, "116": ACKNOWLEDGED},
}
"""The keywords of the reports that answer a command, and what they say."""

_RAW_SAYS = {
    word: outcome
    for says in _SAYS.values()
    for word, outcome in says.items()
    if word not in _POSITIONS
} | {
    # Of commands that are only ever raw.
    **dict.fromkeys(("nt", "113", "117", "120", "121", "123", "124", "125"), ACKNOWLEDGED),
    **dict.fromkeys(("525", "526"), REFUSED),
}
ANSWERS = frozenset(_RAW_SAYS)
"""The keywords that nothing but an answer has."""


def _keyword(message: Message) -> str:
    """Return the keyword of a report that is not an old one out of an upload."""
    if not isinstance(message, Report) or "replayed" in message.extra:
        return ""
    return message.keyword


def _answer(says: dict[str, Outcome]) -> Answerer:
    return lambda message: says.get(_keyword(message))


def _photo(message: Message) -> Outcome | None:
    return ACKNOWLEDGED if re.fullmatch(r"vt\d+", _keyword(message)) else None


_DIALECT_OF = {
    word: NUMBERS if word.isdecimal() else LETTERS
    for word in ANSWERS.union(_POSITIONS).difference(("qt", "106"))
}
"""What a keyword gives away. An upload ends in letters, and 106 is said in both."""


def _shows(message: Message) -> str | None:
    return _DIALECT_OF.get(_keyword(message))


# --- what is dangerous ----------------------------------------------------------------------------

_COMMANDS = re.compile(rb"\*\*|[;|\r\n]")
_TOKENS = re.compile(rb"[,\s]+")
_HEAD = re.compile(rb"IMEI:\s*\d*")
_STOPS = re.compile(rb"[^0-9A-Z]*(?:J|0*(?:109|150|152)(?!\d))")
"""Words that cut an engine, or set the limiter that may: a letter, or numbers."""
_SPEEDS = (b"H", b"107")


def _words(data: bytes) -> Iterator[list[bytes]]:
    """Yield the words of each command, in capitals; boxes are not strict, so an id may be missing.

    What stands behind a semicolon may be half a fence, and counts as a command of its own.
    """
    for said in _COMMANDS.split(data.upper()):
        words = [word for word in _TOKENS.split(_HEAD.sub(b"", said)) if word]
        if words:
            yield words


def _cuts(data: bytes) -> bool:
    for word, *arguments in _words(data):
        if _STOPS.match(word):
            return True
        if any(each == b"J" or (each == b"109" and word not in _SPEEDS) for each in arguments):
            return True
    return cuts_in_words(data)


def _forbids(data: bytes) -> bool:
    """Whether a number 104 is in it, which is said to erase the setting of every alarm."""
    return unguards(data) or any(words[0].lstrip(b"0") == b"104" for words in _words(data))


VOCABULARY = Vocabulary(
    dialects={LETTERS: _LETTERS, NUMBERS: _NUMBERS},
    answers={
        **{kind: _answer(says) for kind, says in _SAYS.items()},
        c.TakePhoto: _photo,
        c.Raw: _answer(_RAW_SAYS),
    },
    shows=_shows,
    cuts_engine=_cuts,
    forbids=_forbids,
)
