"""What tk103 trackers can be told: ``(ID`` + four characters + data ``)``, no password.

The other dialect wraps the words of an SMS: ``[begin]sms2,TEXT,[end]``. Source: docs/protocols.md,
tk103, commands.
"""

from __future__ import annotations

import re

from bridge import command as c
from bridge.model import Message, Report
from bridge.protocols.cutting import cuts_in_words, unguards
from bridge.protocols.encoding import (
    ACKNOWLEDGED,
    Encoder,
    Encoders,
    Outcome,
    Target,
    UnsupportedCommandError,
    Vocabulary,
    result,
    shown,
)

_LONGEST_INTERVAL_S = 0xFFFF
"""Four hexadecimal digits."""

FRAMES = "frames"
SMS = "sms"


def _frame(word: str) -> Encoder:
    return lambda _, target: f"({target.device_id}{word})".encode()


def _interval(seconds: int, target: Target) -> bytes:
    if seconds > _LONGEST_INTERVAL_S:
        raise UnsupportedCommandError("tk103", f"set_interval above {_LONGEST_INTERVAL_S} seconds")
    return f"({target.device_id}AR00{seconds:04X}0000)".encode()


def _sms(text: str) -> bytes:
    return f"[begin]sms2,{text},[end]".encode()


def _number(command: c.SosNumber, target: Target) -> str:
    return f"*master*{target.password}*{command.phone}*"


def _server(command: c.SetServer, _: Target) -> str:
    return f"*setip*{command.address.replace('.', '*')}*{command.port}*"


_FRAMES: Encoders = {
    c.RequestPosition: _frame("AP00"),
    c.SetInterval: lambda command, target: _interval(command.seconds, target),
    c.StopReporting: _frame("AR0000000000"),
    c.StopEngine: _frame("AV010"),
    c.ResumeEngine: _frame("AV011"),
    c.SwitchOutput: lambda command, target: _frame(f"AV00{command.data}")(command, target),
    c.RequestVersion: _frame("AP07"),
    c.Reboot: _frame("AT00"),
    c.ResetOdometer: _frame("AX01"),
    c.Raw: lambda command, target: _frame(command.text)(command, target),
}

_TEXTS: Encoders = {
    c.RequestPosition: lambda *_: _sms("*getposl*"),
    c.SetInterval: lambda *_: _sms("*routetrack*99*"),
    c.StopReporting: lambda *_: _sms("*routetrackoff*"),
    c.RequestVersion: lambda *_: _sms("*about*"),
    c.Reboot: lambda *_: _sms("88888888"),
    c.Identify: lambda *_: _sms("999999"),
    c.SosAlarm: lambda command, _: _sms("*soson*" if command.enabled else "*sosoff*"),
    c.SosNumber: lambda command, target: _sms(_number(command, target)),
    c.SetServer: lambda command, target: _sms(_server(command, target)),
    c.Raw: lambda command, _: _sms(command.text),
}

_POSITIONS = ("BP04", "BR00", "BR01", "BR02")
"""BP04 is the single one; a box that reports anyway says where it is, too."""


def _position(message: Message) -> Outcome | None:
    told = isinstance(message, Report) and message.keyword in _POSITIONS and message.fix is not None
    return ACKNOWLEDGED if told else None


def _text(_: str) -> Outcome:
    return ACKNOWLEDGED


_NO_WORDS = re.compile(rb"[^0-9A-Z]+")
_STOP = re.compile(rb"AV01(?!1)|AV00")


def _cuts(data: bytes) -> bool:
    """Look for AV01 and anything but the 1 that restores, and for outputs, wherever they stand."""
    return bool(_STOP.search(_NO_WORDS.sub(b"", data.upper()))) or cuts_in_words(data)


VOCABULARY = Vocabulary(
    dialects={FRAMES: _FRAMES, SMS: _TEXTS},
    answers={
        c.RequestPosition: _position,
        c.StopEngine: shown(engine_cut=True),
        c.ResumeEngine: shown(engine_cut=False),
        c.RequestVersion: result(_text),
        c.Identify: result(_text),
        c.Raw: result(_text),
    },
    cuts_engine=_cuts,
    forbids=unguards,
)
