"""What gps103 trackers can be told: ``**,imei:ID,WORD[,ARGUMENT]``, no terminator, no password.

Two dialects say the same with other words: letters (the default, older) and numbers. Which one a
tracker speaks shows in its keywords: ``tracker`` or ``001``. Source: docs/protocols.md, gps103,
commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge import command as c
from bridge.protocols.encoding import Encoder, Encoders, Target, UnsupportedCommandError

LETTERS = "letters"
NUMBERS = "numbers"
DIALECTS = (LETTERS, NUMBERS)

Argument = Callable[[Any], str]


def _interval(command: c.SetInterval) -> str:
    """Write an interval in the largest unit that loses nothing; two digits is all there are."""
    seconds = command.seconds
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length:02d}{unit}"
    if seconds <= 99:
        return f"{seconds:02d}s"
    return f"{min(round(seconds / 60), 99):02d}m"


def _corners(command: c.Fence) -> str:
    return f"{command.north:.6f},{command.west:.6f};{command.south:.6f},{command.east:.6f}"


def _hours(command: c.SetTimeZone) -> str:
    hours, minutes = divmod(abs(command.offset_minutes), 60)
    if minutes:
        raise UnsupportedCommandError("gps103", "time_zone with half an hour")
    return f"-{hours}" if command.offset_minutes < 0 else f"{hours}"


def _nothing(_: object) -> str:
    return ""


def _words(letters: str, numbers: str, argument: Argument = _nothing) -> Encoder:
    """Return an encoder for a word in both dialects; an empty word: the other one is used."""

    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        word = (numbers or letters) if target.dialect == NUMBERS else (letters or numbers)
        said = argument(command)
        return f"**,imei:{target.device_id},{word}{f',{said}' if said else ''}".encode()

    return encode


def _either(yes: Encoder, no: Encoder) -> Encoder:
    """Return an encoder for a command that is switched on or off."""

    def encode(command: Any, target: Target) -> bytes:  # noqa: ANN401 - any command has a row
        return (yes if command.enabled else no)(command, target)

    return encode


COMMANDS: Encoders = {
    c.RequestPosition: _words("B", "100"),
    c.SetInterval: _words("C", "101", _interval),
    c.StopReporting: _words("D", "102"),
    # Number 104 would clear every alarm setting, so the letter serves both dialects.
    c.AcknowledgeAlarm: lambda _, target: f"**,imei:{target.device_id},E;".encode(),
    c.StopEngine: _words("J", "109"),
    c.ResumeEngine: _words("K", "110"),
    c.Arm: _words("L", "111"),
    c.Disarm: _words("M", "112"),
    c.SpeedLimit: _words("H", "107", lambda command: f"{command.kmh:03d}"),
    c.MovementAlarm: _either(_words("G", "105"), _words("", "106")),
    c.Fence: _words("O", "114", _corners),
    c.ClearFence: _words("P", "115"),
    c.SetTimeZone: _words("I", "108", _hours),
    c.LessGprs: _either(_words("T", "118"), _words("X", "119")),
    c.UploadLog: _words("Q", "116", lambda command: f"{command.day:%Y%m%d}"),
    c.TakePhoto: _words("160", "160"),
    c.Raw: lambda command, target: f"**,imei:{target.device_id},{command.text}".encode(),
}
