"""What tk103 trackers can be told: ``(ID`` + four characters + data ``)``, no password.

The other dialect wraps the words of an SMS: ``[begin]sms2,TEXT,[end]``. Source: docs/protocols.md,
tk103, commands.
"""

from __future__ import annotations

from typing import Any

from bridge import command as c
from bridge.protocols.encoding import Encoder, Encoders, Target, UnsupportedCommandError

SMS = "sms"
DIALECTS = ("", SMS)


def _frame(word: str) -> Encoder:
    return lambda _, target: f"({target.device_id}{word})".encode()


def _sms(text: str) -> bytes:
    return f"[begin]sms2,{text},[end]".encode()


def _number(command: c.SosNumber, target: Target) -> str:
    return f"*master*{target.password}*{command.phone}*"


def _server(command: c.SetServer, _: Target) -> str:
    return f"*setip*{command.address.replace('.', '*')}*{command.port}*"


_FRAMES: Encoders = {
    c.RequestPosition: _frame("AP00"),
    c.SetInterval: lambda command, target: _frame(f"AR00{command.seconds:04X}0000")(
        command, target
    ),
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


def _in_dialect(kind: type[c.Command]) -> Encoder:
    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        encoder = (_TEXTS if target.dialect == SMS else _FRAMES).get(kind)
        if encoder is None:
            raise UnsupportedCommandError("tk103", command.name)
        return encoder(command, target)

    return encode


COMMANDS: Encoders = {kind: _in_dialect(kind) for kind in {**_FRAMES, **_TEXTS}}
