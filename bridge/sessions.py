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

from bridge.protocols.connection import Connection

Transport = Literal["tcp", "udp"]

ALTERNATING = timedelta(minutes=10)
"""Within this time a peer that comes back after having been taken over from is a second tracker."""


_MOST_REPLACED = 1000


@dataclass(slots=True)
class Pending:
    """A reply in its turn: it goes out once its own frame and all earlier ones are on disk."""

    reply: bytes
    ready: bool
    send: Callable[[bytes], None]
    expires_at: datetime | None


@dataclass(slots=True, eq=False)
class Session:
    """One peer. `send` writes bytes to it, `close` ends it with a reason for the log."""

    transport: Transport
    peer: str
    address: str
    connection: Connection
    send: Callable[[bytes], None]
    close: Callable[[str], None]
    since: datetime
    last_seen: datetime
    reply_within: timedelta | None = None
    """A reply that becomes ready later is not sent any more."""
    bytes_in: int = 0
    tracker_id: str = ""
    vehicle: str = ""
    closed: bool = False
    expired_replies: int = 0
    _outbox: deque[Pending] = field(default_factory=deque)

    def hold(self, reply: bytes, now: datetime, *, ready: bool) -> Pending:
        """Put a reply (or none, as a barrier) in line, to be sent the way `send` is now."""
        expires_at = now + self.reply_within if self.reply_within is not None else None
        pending = Pending(reply, ready, self.send, expires_at)
        self._outbox.append(pending)
        return pending

    def flush(self, now: datetime) -> None:
        """Send what is ready, up to the first reply that still waits for its commit."""
        outbox = self._outbox
        while outbox and outbox[0].ready:
            pending = outbox.popleft()
            if not pending.reply or self.closed:
                continue
            if pending.expires_at is not None and now > pending.expires_at:
                self.expired_replies += 1
            else:
                pending.send(pending.reply)


@dataclass(frozen=True, slots=True)
class Takeover:
    """A newer session of the same tracker; `alternating`: two devices with one identity."""

    older: Session
    refused: bool
    alternating: bool


@dataclass(slots=True)
class Sessions:
    """The sessions that have said who they are, newest of each tracker."""

    idle: timedelta
    """A TCP session that spoke within this time is not taken over by a datagram."""
    _current: dict[str, Session] = field(default_factory=dict)
    _replaced: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def identify(self, session: Session, tracker_id: str, now: datetime) -> Takeover | None:
        """Note which tracker a session speaks for; return what that did to an older session."""
        if session.tracker_id and session.tracker_id != tracker_id:
            self.leave(session)
        session.tracker_id = tracker_id
        older = self._current.get(tracker_id)
        if older is session:
            return None
        if older is None or older.closed:
            self._current[tracker_id] = session
            return None
        spoke_lately = now - older.last_seen < self.idle
        if session.transport == "udp" and older.transport == "tcp" and spoke_lately:
            return Takeover(older, refused=True, alternating=True)
        address, at = self._replaced.get(tracker_id, ("", now))
        self._current[tracker_id] = session
        self._replaced[tracker_id] = (older.address, now)
        while len(self._replaced) > _MOST_REPLACED:
            del self._replaced[next(iter(self._replaced))]
        back_again = address == session.address != older.address and now - at <= ALTERNATING
        return Takeover(older, refused=False, alternating=back_again)

    def leave(self, session: Session) -> bool:
        """Forget a session; True if it was the current one of its tracker."""
        if self._current.get(session.tracker_id) is not session:
            return False
        del self._current[session.tracker_id]
        return True

    def of(self, tracker_id: str) -> Session | None:
        """Return the session that speaks for a tracker now."""
        return self._current.get(tracker_id)

    def all(self) -> list[Session]:
        """Return every identified session."""
        return list(self._current.values())
