"""What reading a file gives, line by line: a point or a report, or what is none and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from bridge.errors import RequestError
from bridge.model import Fix, Report

BOM = b"\xef\xbb\xbf"
"""Some programs begin a text in UTF-8 with it."""

MOST_LINE = 65_536
"""Bytes of a line; a longer one is none of ours."""

COMMENT = b"// "
"""So begins what stands above a line that was kept aside; no frame and no table does."""


class Found(NamedTuple):
    """A point, or what a tracker's frame says, and the bytes in which it stands."""

    line: int
    said: Fix | Report
    text: bytes


class Bad(NamedTuple):
    """A line of which nothing can be made, or nothing may."""

    line: int
    reason: str
    text: bytes


Item = Found | Bad

Reader = Callable[[BinaryIO], Iterator[Item]]
"""Reads a file that was opened at its begin. Raises BrokenOffError."""


class BrokenOffError(RequestError):
    """What stands from here on in a file cannot be read; what stood before was given."""


def lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each line that says something.

    Of one that is longer than `MOST_LINE` so much is given, and a byte more.
    """
    number = 0
    while line := file.readline(MOST_LINE + 1):
        number += 1
        rest = line
        while len(rest) > MOST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(MOST_LINE + 1)
        if not line.isspace() and not line.startswith(COMMENT):
            yield number, line


def too_long(line: bytes) -> str:
    """Return why a line is not looked at, empty where it is."""
    return f"longer than {MOST_LINE} bytes" if len(line) > MOST_LINE else ""
