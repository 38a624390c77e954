"""What h02 trackers can be told: ``*HQ,ID,WORD,HHMMSS,ARGUMENTS#``, no password.

The clock is UTC. Source: docs/protocols.md, h02, commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge import command as c
from bridge.protocols.encoding import Encoder, Encoders, Target

D1 = "d1"
"""The dialect that sets the interval with ``D1`` instead of ``S71``."""
DIALECTS = ("", D1)


def _words(word: str, arguments: str | Callable[[Any], str]) -> Encoder:
    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        said = arguments if isinstance(arguments, str) else arguments(command)
        return f"*HQ,{target.device_id},{word},{target.now:%H%M%S},{said}#".encode()

    return encode


def _interval(command: c.SetInterval, target: Target) -> bytes:
    if target.dialect == D1:
        return _words("D1", str(command.seconds))(command, target)
    return _words("S71", f"22,{command.seconds}")(command, target)


COMMANDS: Encoders = {
    c.SetInterval: _interval,
    c.Arm: _words("SCF", "0,0"),
    c.Disarm: _words("SCF", "1,1"),
    c.StopEngine: _words("S20", "1,1"),
    c.ResumeEngine: _words("S20", "1,0"),
    c.Raw: lambda command, _: command.text.encode(),
}
