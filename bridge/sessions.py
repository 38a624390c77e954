"""Who is connected: one session a peer, its replies in order, and who took over from whom.

A session is a TCP connection or the datagrams of one (address, port). It outlives no restart; what
it knows (peer, bytes, when it last spoke) is no part of a vehicle's journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from bridge.danger import MOST_HEARD, Heard
from bridge.protocols.connection import Connection

Transport = Literal["tcp", "udp"]

ALTERNATING = timedelta(minutes=10)
"""Within this time a peer that comes back after having been taken over from is a second tracker."""

_MOST_REPLACED = 1000


@dataclass(slots=True, eq=False)
class Pending:
    """A reply in its turn: it goes out once its own frame and all earlier ones are on disk."""

    reply: bytes
    ready: bool
    send: Callable[[bytes], None]


@dataclass(slots=True)
class Voice:
    """A tracker as it speaks on one session."""

    called: str
    """What it calls itself there: its id, or a short form of it."""
    since_s: float
    """When it spoke first, by a clock that is never set."""
    fixes: deque[Heard] = field(default_factory=lambda: deque(maxlen=MOST_HEARD))
    """The latest live ones, believed or not."""


@dataclass(slots=True, eq=False)
class Session:
    """One peer. `send` writes bytes to it, `close` ends it with a reason for the log.

    `tracker_id` is who spoke last, `vehicle` whose tracker that is, empty while it is nobody's.
    """

    transport: Transport
    peer: str
    address: str
    """Its sender as limits see it, as `listener.gate.source_of` gives it."""
    connection: Connection
    send: Callable[[bytes], None]
    close: Callable[[str], None]
    since: datetime
    last_seen: datetime
    bytes_in: int = 0
    tracker_id: str = ""
    vehicle: str = ""
    speaks_for: dict[str, str] = field(default_factory=dict)
    """Vehicle by tracker id, of every accepted tracker heard here: a gateway carries several."""
    voices: dict[str, Voice] = field(default_factory=dict)
    """How each of them speaks here, by its id."""
    order: Callable[[bytes], None] | None = None
    """Writes what is no answer, where that is not `send`'s way."""
    patience_s: float | None = None
    """Silent for so long it is half open: three signs of life are missing; None: unknown."""
    closed: bool = False
    ending: bool = False
    _outbox: deque[Pending] = field(default_factory=deque)

    @property
    def is_known(self) -> bool:
        """Whether it speaks for an accepted tracker, or has."""
        return bool(self.vehicle or self.speaks_for)

    @property
    def described(self) -> dict[str, str]:
        """How it speaks, as events tell it."""
        protocol = self.connection.protocol
        return {
            "transport": self.transport,
            "protocol": protocol.name if protocol is not None else "",
        }

    @property
    def waiting(self) -> int:
        """How many replies wait for a commit, or for their turn."""
        return len(self._outbox)

    def hold(self, reply: bytes, *, ready: bool) -> Pending:
        """Put a reply (or none, as a barrier) in line, to be sent the way `send` is now."""
        pending = Pending(reply, ready, self.send)
        self._outbox.append(pending)
        return pending

    def push(self, word: bytes) -> None:
        """Send what is no answer, at once."""
        (self.order or self.send)(word)

    def withdraw(self, pending: Pending) -> None:
        """Take a reply out of the line: its report found no place, so it must not be confirmed."""
        self._outbox.remove(pending)
        self.flush()

    def flush(self) -> None:
        """Send what is ready, up to the first reply that still waits for its commit."""
        outbox = self._outbox
        while outbox and outbox[0].ready:
            self._send(outbox.popleft())
        if self.ending and not outbox and not self.closed:
            self.close("")

    def release(self) -> None:
        """Send what is ready past what waits, for a journal that cannot be written (rule D)."""
        ready = [pending for pending in self._outbox if pending.ready]
        self._outbox = deque(pending for pending in self._outbox if not pending.ready)
        for pending in ready:
            self._send(pending)

    def finish(self) -> None:
        """Close once the last reply is out: the peer has nothing more to say, but still listens."""
        self.ending = True
        self.flush()

    def _send(self, pending: Pending) -> None:
        if pending.reply and not self.closed:
            pending.send(pending.reply)


@dataclass(frozen=True, slots=True)
class Takeover:
    """A newer session of the same tracker; `alternating`: two devices with one identity."""

    older: Session
    refused: bool
    alternating: bool


@dataclass(slots=True)
class Sessions:
    """The sessions that speak for accepted trackers, the newest of each."""

    idle: timedelta
    """A TCP session that spoke within this time is not taken over by a datagram."""
    _current: dict[str, Session] = field(default_factory=dict)
    _replaced: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._current)

    def identify(
        self, session: Session, tracker_id: str, vehicle: str, now: datetime
    ) -> Takeover | None:
        """Note which tracker a session speaks for; return what that did to an older session."""
        older = self._current.get(tracker_id)
        if older is None or older.closed or older is session:
            self._put(session, tracker_id, vehicle)
            return None
        spoke_lately = abs(now - older.last_seen) < self.idle
        if session.transport == "udp" and older.transport == "tcp" and spoke_lately:
            return Takeover(older, refused=True, alternating=True)
        address, at = self._replaced.pop(tracker_id, ("", now))
        self._replaced[tracker_id] = (older.address, now)
        while len(self._replaced) > _MOST_REPLACED:
            del self._replaced[next(iter(self._replaced))]
        self._put(session, tracker_id, vehicle)
        back_again = address == session.address != older.address and abs(now - at) <= ALTERNATING
        return Takeover(older, refused=False, alternating=back_again)

    def _put(self, session: Session, tracker_id: str, vehicle: str) -> None:
        self._current[tracker_id] = session
        session.speaks_for[tracker_id] = vehicle

    def leave(self, session: Session) -> dict[str, str]:
        """Forget a session; return vehicle by tracker id of those it was the current one of."""
        left = {
            tracker_id: vehicle
            for tracker_id, vehicle in session.speaks_for.items()
            if self._current.get(tracker_id) is session
        }
        for tracker_id in left:
            del self._current[tracker_id]
        return left

    def of(self, tracker_id: str) -> Session | None:
        """Return the session that speaks for a tracker now."""
        return self._current.get(tracker_id)
