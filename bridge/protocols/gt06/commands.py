"""What gt06 trackers can be told: kind 0x80 around the words of an SMS.

    78 78  LENGTH  80  COUNT(1)  MARK(4)  WORDS  SERIAL(2)  CRC(2)  0D 0A     COUNT: MARK, WORDS

Two dialects cut the engine: ``Relay,1#`` (the usual one) and ``DYD,PASSWORD#``. Source:
docs/protocols.md, gt06, commands.
"""

from __future__ import annotations

from bridge import command as c
from bridge.protocols.encoding import Encoder, Encoders, Target
from bridge.protocols.gt06.framing import SHORT, build

DYD = "dyd"
DIALECTS = ("", DYD)

_KIND = 0x80
_MARK = bytes(4)
"""Comes back with the answer; one command is on its way at a time, so it tells nothing."""


def _words(usual: str, other: str = "") -> Encoder:
    def encode(_: object, target: Target) -> bytes:
        words = other if other and target.dialect == DYD else usual
        return _frame(words.format(password=target.password))

    return encode


def _frame(words: str) -> bytes:
    said = _MARK + words.encode("ascii")
    return build(SHORT, _KIND, bytes(2), bytes([len(said)]) + said)


COMMANDS: Encoders = {
    c.StopEngine: _words("Relay,1#", "DYD,{password}#"),
    c.ResumeEngine: _words("Relay,0#", "HFYD,{password}#"),
    c.Raw: lambda command, _: _frame(command.text),
}
