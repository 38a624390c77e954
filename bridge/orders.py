"""The life of a command, as values. Pure: orders' = step(orders, order).

    queued -> sent -> acknowledged | refused | postponed | timed_out
       |        `--> (the last step, where the tracker's protocol has no answer to it)
       `--> refused by us | timed_out before it could be sent

Each step is a row of the journal. So a command waits across a restart, and a repeat of one is known
as such, and the fold of a vehicle's rows says what it was told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
from msgspec import Meta

from bridge.command import AnyCommand, Arm, Command, Disarm, ResumeEngine, StopEngine

REPEAT_WITHIN = timedelta(minutes=10)
"""A command with the transaction of one that is no older is that one (rule R)."""

MOST_OPEN = 20
"""Commands of a vehicle that wait: more than a person gives, fewer than a mistaken automation."""

MOST_ENDED = 200
"""That are remembered for the sake of a repeat: bounded, whatever a mistaken automation does."""

Transaction = (
    Annotated[str, Meta(max_length=80)]
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | float
    | None
)
"""What a sender knows a command by again; the journal holds no longer numbers."""


class Status(StrEnum):
    """How far a command has come."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    POSTPONED = "postponed"
    TIMED_OUT = "timed_out"


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that somebody gave a vehicle, and how far it has come."""

    id: str
    command: AnyCommand
    asked_at: datetime
    until: datetime
    """Not sent by then it is not sent any more."""
    transaction: Transaction = None
    by: str = ""
    """Who asked, as far as known."""
    own: bool = False
    """The bridge gave it of itself, and nobody waits for the answer."""
    status: Status = Status.QUEUED
    at: datetime
    """When it came so far."""
    final: bool = False
    """No other step follows; a postponed one may still be acknowledged."""
    reason: str = ""
    """Why it was refused or timed out: a word of `docs/commands.md`."""
    via: str = ""
    """How it was sent: tcp, udp or sms."""
    tracker: str = ""
    answer: str = ""
    """The tracker's own words."""
    advice: str = ""
    """What to try, where nothing has answered, or the tracker has no word for it."""

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it."""
        return not self.final or self.status is Status.POSTPONED

    @property
    def waits(self) -> bool:
        """Whether it is yet to be sent."""
        return self.status is Status.QUEUED

    @property
    def is_on_its_way(self) -> bool:
        """Whether it was sent and its answer is still expected."""
        return self.status is Status.SENT and not self.final


def step(orders: tuple[Order, ...], order: Order) -> tuple[Order, ...]:
    """Return the orders of a vehicle after one more step of one of them.

    One that has ended is remembered for as long as a repeat of it would count as one, a postponed
    one for as long as it was to wait.
    """
    others = [one for one in orders if one.id != order.id and _matters(one, order.at)]
    ended = [one.id for one in others if one.final]
    dropped = frozenset(ended[: max(0, len(ended) - MOST_ENDED)])
    return (*(one for one in others if one.id not in dropped), order)


def _matters(order: Order, now: datetime) -> bool:
    if not order.final:
        return True
    if order.status is Status.POSTPONED and now < order.until:
        return True
    return order.transaction is not None and abs(now - order.asked_at) < REPEAT_WITHIN


def repeated(
    orders: tuple[Order, ...], command: Command, transaction: Transaction, now: datetime
) -> Order | None:
    """Return the order that a command with this transaction is a repeat of."""
    if transaction is None:
        return None
    same = (
        one
        for one in orders
        if one.transaction == transaction
        and one.command == command
        and (not one.final or abs(now - one.asked_at) < REPEAT_WITHIN)
    )
    return next(same, None)


def obeyed(order: Order) -> dict[str, bool]:
    """Return what a command that was acknowledged has made of its vehicle, by names of `Status`."""
    if order.status is not Status.ACKNOWLEDGED:
        return {}
    return _EFFECTS.get(type(order.command), {})


_EFFECTS: dict[type[Command], dict[str, bool]] = {
    Arm: {"armed": True},
    Disarm: {"armed": False},
    StopEngine: {"engine_cut": True},
    ResumeEngine: {"engine_cut": False},
}


class Wish(NamedTuple):
    """A command as somebody asks for it; `ttl_s` None: as the configuration has it."""

    command: Command
    transaction: Transaction = None
    by: str = ""
    ttl_s: int | None = None
    sure: bool = True
    """False: it may be a retained copy of one that was given long ago (rule R)."""
    own: bool = False
    """The bridge gives it of itself."""


LONGEST_TTL_S = 604_800

_Seconds = Annotated[int, Meta(ge=1, le=LONGEST_TTL_S)] | None

NAMES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyCommand))
"""The words of all commands."""


def read_wish(payload: bytes) -> Wish:
    """Return what a payload asks for: a command's word alone, or a JSON object.

    Raises ValueError in words fit for whoever asked, and for the log: nothing of what was typed
    stands in them, as it may hold a password.
    """
    text = payload.strip()
    if not text.startswith(b"{"):
        return wish({"command": text.decode("ascii", "replace")})
    try:
        body = msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("no UTF-8") from None
    return wish(body)


def wish(body: dict[str, Any], *, strict: bool = True) -> Wish:
    """Return what a JSON object asks for. Raises ValueError as `read_wish` does.

    Not `strict`: numbers and truth values may be given as texts, as somebody has typed them.
    """
    said = dict(body)
    transaction, by, ttl_s = (said.pop(name, None) for name in ("transaction", "by", "ttl_s"))
    name = said.get("command")
    if not (isinstance(name, str) and name in NAMES):
        raise ValueError(f"there is no such command; there are {', '.join(sorted(NAMES))}")
    try:
        transaction = msgspec.convert(transaction, Transaction)
    except ValueError:
        raise ValueError(
            "transaction must be a text of at most 80 characters, or a number of 64 bits"
        ) from None
    if by is not None and not (isinstance(by, str) and len(by) <= 80 and by.isprintable()):
        raise ValueError("by must be a text of at most 80 characters")
    try:
        ttl_s = msgspec.convert(ttl_s, _Seconds, strict=strict)
    except ValueError:
        raise ValueError(f"ttl_s must be a whole number from 1 to {LONGEST_TTL_S}") from None
    try:
        command = msgspec.convert(said, AnyCommand, strict=strict)
    except ValueError as error:
        raise ValueError(f"{name}: {_plain(error)}") from None
    return Wish(command, transaction, by or "", ttl_s)


def _plain(error: ValueError) -> str:
    """Return what is wrong with which argument, without what validators add for programmers."""
    what, _, argument = str(error).removeprefix("Object ").partition(" - at `$.")
    what = "not written as it must be" if " matching regex " in what else what
    return f"{argument.rstrip('`')}: {what}" if argument else what
