"""A finding, and how findings are told."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

State = Literal["ok", "warn", "bad"]


class Result(NamedTuple):
    """What an examination gave; `advice` is what to do about it."""

    state: State
    words: str
    advice: str = ""


class Finding(NamedTuple):
    """The result of a check, fit to be pasted into a public issue."""

    check: str
    state: State
    words: str
    advice: str

    @property
    def described(self) -> dict[str, str]:
        """Return it for programs."""
        found = {
            "check": self.check,
            "state": self.state,
            "meaning": self.words,
            "advice": self.advice,
        }
        return {name: text for name, text in found.items() if text}


def ok(words: str, advice: str = "") -> Result:
    """All is well, or cannot be known from here."""
    return Result("ok", words, advice)


def warn(words: str, advice: str = "") -> Result:
    """It works, and something about it should be known."""
    return Result("warn", words, advice)


def bad(words: str, advice: str = "") -> Result:
    """It does not work, or will not for long."""
    return Result("bad", words, advice)


def plainly(error: OSError) -> str:
    """Return what the system says of an error, without what a library says around it."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


_COLOURS = {"ok": "\x1b[32m", "warn": "\x1b[33m", "bad": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_NARROWEST = 40


def told(findings: Sequence[Finding], *, ansi: bool = False) -> Iterator[str]:
    """Yield the lines of a table: check, state, what it means, and what to do behind an arrow."""
    first = max(len(finding.check) for finding in findings) + 2
    wide = shutil.get_terminal_size((100, 24)).columns - first - 6
    for finding in findings:
        advice = f"-> {finding.advice}" if finding.advice else ""
        lines = [
            line
            for text, indent in ((finding.words, ""), (advice, "   "))
            for line in textwrap.wrap(text, max(wide, _NARROWEST), subsequent_indent=indent)
        ]
        state = f"{finding.state:6}"
        if ansi:
            state = f"{_COLOURS[finding.state]}{state}{_RESET}"
        for number, line in enumerate(lines):
            yield (f"{finding.check:{first}}{state}" if not number else " " * (first + 6)) + line
