"""What a person asks about: where the bytes come from, and what each frame of them came to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from bridge.errors import BridgeError
from bridge.explain.cases import Transport, converse, event_json
from bridge.explain.hints import hint
from bridge.protocols.base import WireProtocol
from bridge.protocols.connection import Event, Received, Rejected
from bridge.protocols.registry import PROTOCOLS


class Explained(msgspec.Struct, frozen=True):
    """What some bytes came to; `hint` says in a sentence what may be wrong with rejected ones."""

    event: Event
    hint: str = ""

    @property
    def understood(self) -> bool:
        """Whether the bytes were a frame that makes sense."""
        return isinstance(self.event, Received)


def explain(
    data: bytes,
    *,
    transport: Transport,
    received_at: datetime,
    protocols: Sequence[WireProtocol] = PROTOCOLS,
) -> list[Explained]:
    """Explain one whole stream (``tcp``) or one datagram (``udp``); `received_at` is aware and UTC.

    The datagram is the kinder reading of a pasted frame: its closing byte may be missing.
    """
    _, events = converse([data], transport, received_at, protocols)
    return [
        Explained(event, hint(event, protocols) if isinstance(event, Rejected) else "")
        for event in events
    ]


def render_json(explained: Iterable[Explained]) -> str:
    """Return a list of the events of ``decode --cases``, each with its protocol and its hint."""
    events = [
        {"protocol": each.event.protocol}
        | event_json(each.event)
        | ({"hint": each.hint} if each.hint else {})
        for each in explained
    ]
    return json.dumps(events, indent=2)


def read_frames(
    argument: str | None = None,
    *,
    path: Path | None = None,
    stdin: BinaryIO,
    as_hex: bool = False,
    lines: bool = False,
) -> list[bytes]:
    r"""Return the bytes of each connection to explain, blank ones left out.

    They come from the file `path`, else from `argument`, which is a frame or the name of a file,
    else from `stdin`, which ``-`` also means. They are one stream as they stand (a typed ``\r`` is
    a backslash and an r); with `lines` each line is a connection of its own, its line end included.
    With `as_hex` they are hexadecimal text, in which blanks, ``: , ; -``, ``0x`` and ``\x`` mean
    nothing. Raises BridgeError for a file that cannot be read and for what is no hexadecimal.
    """
    data = _read(argument, path, stdin)
    parts = data.splitlines(keepends=True) if lines else [data]
    if as_hex:
        parts = [_from_hex(part) for part in parts]
    return [part for part in parts if part.strip()]


def _read(argument: str | None, path: Path | None, stdin: BinaryIO) -> bytes:
    if path is None and argument not in (None, "-") and _names_file(argument):
        path = Path(argument)
    if path is not None:
        try:
            return path.read_bytes()
        except OSError as error:
            raise BridgeError(f"{path}: {error.strerror}") from None
    if argument is None or argument == "-":
        return stdin.read()
    try:
        return argument.encode("latin-1")
    except UnicodeEncodeError:
        return argument.encode("utf-8", "surrogateescape")


def _names_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except OSError:  # too long for a name
        return False


_HEX_NOISE = re.compile(rb"0x|\\x|[\s:,;-]", re.IGNORECASE)
_NO_HEX = re.compile(rb"[^0-9A-Fa-f]")


def _from_hex(text: bytes) -> bytes:
    digits = _HEX_NOISE.sub(b"", text)
    wrong = _NO_HEX.search(digits)
    if wrong:
        raise BridgeError(f"not hexadecimal: {wrong[0].decode('latin-1')!a} in the text")
    if len(digits) % 2:
        raise BridgeError(f"not hexadecimal: {len(digits)} digits, and two make a byte")
    return bytes.fromhex(digits.decode("ascii"))
