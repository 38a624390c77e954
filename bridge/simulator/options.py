"""What can be asked of a simulated tracker, and what it has to tell at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from bridge.errors import ConfigError
from bridge.model import Alarm
from bridge.simulator.tracker import FACTORY_PASSWORD, Dialect, Obedience

BUILT_IN = "built-in"

FACTORY_UTC_OFFSET_MINUTES = 8 * 60
"""Boxes leave the factory with the clock of Shenzhen, and most stay so."""


class AlarmAt(NamedTuple):
    """An alarm that begins with the Nth report, counted from 1."""

    kind: Alarm
    report: int


class Span(NamedTuple):
    """Reports from one number to another, both included, counted from 1."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of one tracker. Raises ConfigError for values that make no sense together."""

    protocol: str = "gps103"
    transport: Literal["tcp", "udp"] = "tcp"
    host: str = "127.0.0.1"
    port: int = 8888
    device_id: str = ""
    """Empty: a made-up one of the protocol."""
    count: int = 0
    """Reports until the run ends; 0: it never does."""
    interval_s: float = 30.0
    """Between reports. 0: as fast as the bridge answers; with a `count` the drive then lies in the
    seconds before the start, a report a second, so that no time stamp is in the future."""
    heartbeat_s: float = 60.0
    repeat_s: float = 180.0
    """Between repetitions of an alarm that nobody acknowledged."""
    reply_timeout_s: float = 20.0
    """How long a reply is waited for before a login or heartbeat is repeated."""
    route: str = BUILT_IN
    """`BUILT_IN`, or the path of a GPX file."""
    start_s: float = 0.0
    """How far into the route's time the car is at the start."""
    alarms: tuple[AlarmAt, ...] = ()
    tunnel: Span | None = None
    """Reports made without a fix."""
    late: int = 0
    """Reports stored before the start, uploaded with their old times after the first login."""
    keep: bool = False
    """Store the reports made without a connection and send them after the next login."""
    card: bool = False
    """Write the reports made without a connection to the memory card, to be uploaded on command."""
    utc_offset_minutes: int = FACTORY_UTC_OFFSET_MINUTES
    dialect: Dialect = Dialect.BOTH
    commands: Obedience = Obedience.OBEY
    password: str = FACTORY_PASSWORD
    binary_every: int = 0
    """Every so many reports one is a binary record, where the protocol has such (h02); 0: none."""
    wait: bool = True
    """Wait for replies. Without, nothing the bridge says or leaves unsaid holds the tracker up."""
    fragment: int = 0
    """Write at most so many bytes at a time (TCP); 0: whole frames."""
    jitter_s: float = 0.0
    """Each report is up to so much later, at random."""
    seed: int | None = None
    """Makes the randomness repeatable."""
    backoff_s: float = 1.0
    """Pause after a lost connection; doubles up to a minute while it stays lost."""
    attempts: int = 10
    """Failed connections in a row after which the run is given up; 0: never."""
    speed_up: float = 1.0
    """How much faster than the clock the tracker's time runs, its time stamps included."""

    def __post_init__(self) -> None:
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} cannot be negative")
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be more than 0")
        if self.fragment and self.transport == "udp":
            raise ConfigError("a datagram is never sent in fragments", hint="use tcp")


_NOT_NEGATIVE = (
    "count",
    "start_s",
    "interval_s",
    "late",
    "fragment",
    "jitter_s",
    "attempts",
    "binary_every",
)
_POSITIVE = ("heartbeat_s", "repeat_s", "reply_timeout_s", "backoff_s", "speed_up")


@dataclass(slots=True)
class Summary:
    """What a run came to."""

    frames: int = 0
    """Frames written, of any kind."""
    reports: int = 0
    """Reports at the interval, the alarms that took the place of one included."""
    late: int = 0
    """Reports sent later than they were made."""
    replies: int = 0
    alarms: int = 0
    acknowledged: int = 0
    commands: int = 0
    connections: int = 0

    def __str__(self) -> str:
        return (
            f"frames sent: {self.frames}, reports: {self.reports}, late: {self.late}, "
            f"replies seen: {self.replies}, alarms acknowledged: {self.acknowledged} of "
            f"{self.alarms}, commands obeyed: {self.commands}, connections: {self.connections}"
        )


class Happened(StrEnum):
    """What `Event` is about."""

    CONNECTED = "connected"
    LOGGED_IN = "logged in"
    SENT = "sent"
    REPLY = "reply"
    ACKNOWLEDGED = "acknowledged"
    OBEYED = "obeyed"
    IGNORED = "ignored"
    DISCONNECTED = "disconnected"


class Event(NamedTuple):
    """Something a watcher may want to see, with the bytes it is about or a word on why."""

    kind: Happened
    data: bytes = b""
    reason: str = ""


OnEvent = Callable[[Event], None]


def alarm_at(text: str) -> AlarmAt:
    """Read ``KIND@N``; ConfigError names the kinds."""
    kind, _, number = text.partition("@")
    if kind not in Alarm._value2member_map_:
        raise ConfigError(f"no alarm is called {kind!r}", hint=f"there is {', '.join(Alarm)}")
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{text!r} does not say with which report", hint=f"as in {kind}@3")
    return AlarmAt(Alarm(kind), int(number))


def span(text: str) -> Span:
    """Read ``N-M`` or ``N``, numbers of reports counted from 1; else ConfigError."""
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        found = Span(int(first), int(last or first))
        if 1 <= found.first <= found.last:
            return found
    raise ConfigError(f"{text!r} is no span of reports", hint="as in 4-6")


_OFFSET = re.compile(r"([+-]?)(\d{1,2})(?::?([0-5]\d))?")


def utc_offset(text: str) -> int:
    """Read ``+08:00``, ``-3`` or ``+0530`` as minutes, -12:00 to +14:00; else ConfigError."""
    found = _OFFSET.fullmatch(text)
    if found:
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        minutes = -minutes if found[1] == "-" else minutes
        if -12 * 60 <= minutes <= 14 * 60:
            return minutes
    raise ConfigError(f"{text!r} is no offset from UTC", hint="as in +08:00")
