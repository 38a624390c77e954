"""Commands as bytes: what every protocol's encoder table is made of.

A table maps a type of command to a function of the command and its `Target`; a command that stands
in no table of a protocol is one its trackers have no word for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.command import Command
from bridge.errors import BridgeError

DEFAULT_PASSWORD = "123456"  # noqa: S105 - the one of every box as it leaves the factory


class UnsupportedCommandError(BridgeError):
    """The protocol, or this dialect of it, has no word for a command."""

    def __init__(self, protocol: str, command: str) -> None:
        self.protocol = protocol
        self.command = command
        super().__init__(f"{protocol} trackers have no command {command}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a command goes to. `device_id` as on the wire; `now` is aware, for clock stamps."""

    device_id: str
    now: datetime
    password: str = DEFAULT_PASSWORD
    dialect: str = ""
    """Empty: the protocol's usual one."""


Encoder = Callable[[Any, Target], bytes]
Encoders = Mapping[type[Command], Encoder]


def encode(protocol: str, table: Encoders, command: Command, target: Target) -> bytes:
    """Return the bytes that go on the wire. Raises UnsupportedCommandError."""
    encoder = table.get(type(command))
    if encoder is None:
        raise UnsupportedCommandError(protocol, command.name)
    return encoder(command, target)
