"""What trackers can be told by SMS: ``WORD`` + password + `` ARGUMENTS``, in the words of a family.

    coban      TK103A/B, GPS103, 303, 403 and most boxes that speak gps103
    xexun      Xexun and the first TK102/TK103, which send GPRMC lines
    kxtech     the vehicle TK103 in parentheses
    h02        CanTrack, SinoTrack and other boxes that speak h02: no word of theirs is sure

Where a box has no word there is no row. A text goes as it stands: ASCII, no line end. The words of
a plan for setting up stand in `bridge.smsplan`. Source: docs/sms.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bridge import command as c
from bridge.model import Message, Report
from bridge.protocols.cutting import cuts_in_words, unguards
from bridge.protocols.encoding import (
    Answerer,
    Encoder,
    Encoders,
    Outcome,
    Target,
    UnsupportedCommandError,
    Vocabulary,
)

COBAN = "coban"
XEXUN = "xexun"
KXTECH = "kxtech"
H02 = "h02"

SHORTEST_INTERVAL_S = 10
"""Over the network; by SMS boxes take no less than 20 s."""
LONGEST_NUMBER = 999
"""Three digits is what an interval has."""
_UNITS = (("s", 1), ("m", 60), ("h", 3600))

Argument = Callable[[Any], str]


def interval(seconds: int) -> str:
    """Return ``030s``: in the first of s, m, h that three digits are enough for and loses nothing.

    What none of them tells exactly is rounded. Raises UnsupportedCommandError below ten seconds,
    which no box takes.
    """
    if seconds < SHORTEST_INTERVAL_S:
        raise UnsupportedCommandError("sms", f"set_interval below {SHORTEST_INTERVAL_S} seconds")
    fitting = [each for each in _UNITS if round(seconds / each[1]) <= LONGEST_NUMBER]
    exact = (each for each in fitting if seconds % each[1] == 0)
    unit, length = next(exact, fitting[0])
    return f"{round(seconds / length):03d}{unit}"


def _hours(command: c.SetTimeZone) -> str:
    hours, minutes = divmod(abs(command.offset_minutes), 60)
    if minutes:
        raise UnsupportedCommandError("sms", "time_zone with half an hour")
    return f"-{hours}" if command.offset_minutes < 0 else f"{hours}"


def _corners(command: c.Fence) -> str:
    return f"{command.north:.6f},{command.west:.6f}; {command.south:.6f},{command.east:.6f}"


def _nothing(_: object) -> str:
    return ""


def _words(word: str, argument: Argument = _nothing) -> Encoder:
    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        return f"{word}{target.password} {argument(command)}".rstrip().encode()

    return encode


def _either(yes: Encoder, no: Encoder, wanted: Callable[[Any], bool]) -> Encoder:
    """Return an encoder for a command that has a word for "no" as well."""

    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        return (yes if wanted(command) else no)(command, target)

    return encode


def _every(word: str) -> Encoder:
    """Return an encoder for "report every so often, for ever"."""
    return lambda command, target: (
        f"{word}{interval(command.seconds)}***n{target.password}".encode()
    )


_RAW: Encoders = {c.Raw: lambda command, _: command.text.encode()}

_COBAN: Encoders = {
    # The documents have a number of times where *** stands for ever; once is one time.
    c.RequestPosition: _words("fix030s001n"),
    c.SetInterval: _every("fix"),
    c.StopReporting: _words("nofix"),
    c.Arm: _words("arm"),
    c.Disarm: _words("disarm"),
    c.AcknowledgeAlarm: _words("help me"),
    c.StopEngine: _words("stop"),
    c.ResumeEngine: _words("resume"),
    c.SpeedLimit: _either(
        _words("speed", lambda command: f"{command.kmh:03d}"),
        _words("nospeed"),
        lambda command: command.kmh > 0,
    ),
    c.MovementAlarm: _either(_words("move"), _words("nomove"), lambda command: command.enabled),
    c.Fence: _words("stockade", _corners),
    c.ClearFence: _words("nostockade"),
    c.SetTimeZone: _words("time zone", _hours),
    c.LessGprs: _words("less gprs", lambda command: "on" if command.enabled else "off"),
    c.UploadLog: _words("load", lambda command: f"{command.day:%Y%m%d}"),
    c.Reboot: _words("reset"),
    c.Identify: _words("imei"),
    **_RAW,
}

_XEXUN: Encoders = {
    c.RequestPosition: _words("t030s001n"),
    c.SetInterval: _every("t"),
    c.StopReporting: _words("notn"),
    c.StopEngine: _words("powercar", lambda _: "11"),
    c.ResumeEngine: _words("powercar", lambda _: "00"),
    **_RAW,
}

_KXTECH: Encoders = {
    c.StopEngine: _words("stopelec"),
    c.ResumeEngine: _words("supplyelec"),
    **_RAW,
}


def _says(*words: str) -> Answerer:
    """Return an answerer for ``WORD ok`` and ``WORD fail``; a wrong password refuses anything."""
    outcomes = {
        **{f"{word} ok": Outcome.ACKNOWLEDGED for word in words},
        **{f"{word} fail": Outcome.REFUSED for word in (*words, "password")},
    }
    return lambda message: outcomes.get(_keyword(message))


def _keyword(message: Message) -> str:
    return getattr(message, "keyword", "")


def _located(message: Message) -> Outcome | None:
    """Judge the answer to "where are you?": a place, the last one known, or a cell."""
    if isinstance(message, Report):
        told = (message.fix or message.cell) and message.alarm is None
        return Outcome.ACKNOWLEDGED if told else None
    return _says("fix", "t")(message) if _keyword(message).endswith("fail") else None


def _put_off(answerer: Answerer) -> Answerer:
    """Return an answerer that knows of "executed when it is slow enough" besides."""
    return lambda message: (
        Outcome.POSTPONED if _keyword(message) == "postponed" else answerer(message)
    )


def _identity(message: Message) -> Outcome | None:
    return Outcome.ACKNOWLEDGED if _keyword(message) == "imei" else _says("imei")(message)


_RELAY_CODES = re.compile(rb"\s*(?:940|941|555|666)")
"""The numbers that switch relays of h02 boxes; which of them cuts is not known for sure."""


def _cuts_engine(text: bytes) -> bool:
    return cuts_in_words(text) or _RELAY_CODES.match(text) is not None


VOCABULARY = Vocabulary(
    dialects={COBAN: _COBAN, XEXUN: _XEXUN, KXTECH: _KXTECH, H02: _RAW},
    # Of arm, disarm, nostockade and load no answer is known for sure: that they were sent is all.
    answers={
        c.RequestPosition: _located,
        c.SetInterval: _says("fix", "t"),
        c.StopReporting: _says("nofix", "notn"),
        c.AcknowledgeAlarm: _says("help me"),
        c.StopEngine: _put_off(_says("stop engine")),
        c.ResumeEngine: _says("resume engine"),
        c.SpeedLimit: _says("speed", "nospeed"),
        c.MovementAlarm: _says("move", "nomove"),
        c.Fence: _says("stockade"),
        c.SetTimeZone: _says("time", "time zone"),
        c.LessGprs: _says("less gprs"),
        c.Reboot: _says("reset"),
        c.Identify: _identity,
    },
    cuts_engine=_cuts_engine,
    forbids=unguards,
)
