"""Commands as bytes, and their answers: what every protocol's vocabulary is made of.

An encoder maps a command and its `Target` to the bytes on the wire. A table holds one for each type
of command a dialect has a word for; a vocabulary holds a protocol's dialects, which messages answer
which command, and which bytes are dangerous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bridge.command import Command
from bridge.errors import BridgeError
from bridge.model import CommandResult, Message, Report

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
    """Empty, or a name this protocol does not have: its usual one."""


class Outcome(StrEnum):
    """What a tracker's answer says of a command."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    POSTPONED = "postponed"
    """It will be carried out by itself, later; another answer may come then."""


Encoder = Callable[[Any, Target], bytes]
Encoders = Mapping[type[Command], Encoder]
Answerer = Callable[[Message], Outcome | None]
"""What a message says of a command that is on its way; None: it is no answer to that command."""


def _tells_nothing(_: Message) -> None:
    return None


def _forbids_nothing(_: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What the trackers of one protocol can be told, and how they answer."""

    dialects: Mapping[str, Encoders]
    """By name; the first one is the usual."""
    answers: Mapping[type[Command], Answerer]
    """No answer is known to a command that is absent here: that it was sent is all there is."""
    cuts_engine: Callable[[bytes], bool]
    """Whether bytes on the wire hold an engine stop, of any dialect, in any case, with any
    password or none; true when in doubt."""
    shows: Callable[[Message], str | None] = _tells_nothing
    """The dialect a message gives away; None: it tells nothing."""
    forbids: Callable[[bytes], bool] = _forbids_nothing
    """Whether bytes must never be sent, whoever asks."""

    @property
    def usual(self) -> str:
        """The name of the dialect that is spoken where nothing is known."""
        return next(iter(self.dialects))

    def of(self, dialect: str) -> Encoders:
        """Return the table of a dialect; one this protocol does not have: the usual one's."""
        return self.dialects.get(dialect) or self.dialects[self.usual]

    def words(self, dialect: str = "") -> tuple[str, ...]:
        """Return the names of the commands a dialect has, sorted."""
        return tuple(sorted(str(kind.__struct_config__.tag) for kind in self.of(dialect)))

    def kinds(self) -> frozenset[type[Command]]:
        """Return the types of command any dialect has."""
        return frozenset(kind for table in self.dialects.values() for kind in table)


def encode(protocol: str, vocabulary: Vocabulary, command: Command, target: Target) -> bytes:
    """Return the bytes that go on the wire. Raises UnsupportedCommandError."""
    encoder = vocabulary.of(target.dialect).get(type(command))
    if encoder is None:
        raise UnsupportedCommandError(protocol, command.name)
    return encoder(command, target)


# --- answers --------------------------------------------------------------------------------------

ACKNOWLEDGED, REFUSED, POSTPONED = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.POSTPONED


def result(judge: Callable[[str], Outcome | None]) -> Answerer:
    """Return an answerer that judges the text of a command's result, and nothing else."""

    def answer(message: Message) -> Outcome | None:
        return judge(message.text) if isinstance(message, CommandResult) else None

    return answer


def shown(*, engine_cut: bool) -> Answerer:
    """Return an answerer for which a report of the engine in this state is the answer."""

    def answer(message: Message) -> Outcome | None:
        told = isinstance(message, Report) and message.status.engine_cut is engine_cut
        return ACKNOWLEDGED if told else None

    return answer


def either(*answerers: Answerer) -> Answerer:
    """Return an answerer that asks these in order and takes the first outcome."""

    def answer(message: Message) -> Outcome | None:
        outcomes = (ask(message) for ask in answerers)
        return next((outcome for outcome in outcomes if outcome is not None), None)

    return answer
