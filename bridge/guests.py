"""Unknown trackers, waiting for a person to accept or block them; in memory, and bounded.

The tracker port lies open to the internet, and an id costs nothing to make up. So the few places
go to those who are most likely real: whoever comes back keeps its place, and a newcomer takes only
that of one who has not come back, the oldest first, or of one who has been gone for long. One
address gets a few places, except where many trackers must share one (a private range: the gateway
of a home or of a container shows everybody as itself).

What a guest reports waits for its acceptance, the last fifty reports of each; raw frames of guests
and of whoever was not understood stand in one ring.

Nothing here has a clock: times are arguments, aware, in UTC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

import msgspec

from bridge.contract import GUEST_SLOTS
from bridge.errors import RequestError
from bridge.frames import FrameRecord, Ring
from bridge.model import Message, Report

DEFAULT_LIMIT = 20
DEFAULT_PER_SOURCE = 3
DEFAULT_REPORTS = 50

RING_FRAMES = 1000
RING_BYTES = 262_144
"""Of all guests and rejected peers together."""

COMES_BACK = timedelta(seconds=10)
"""What follows sooner belongs to the same contact: a login, its positions, a repeated datagram."""

GONE = timedelta(minutes=10)
"""After this silence a guest no longer holds a slot, and its place may go to another."""

NEAR_ZERO_DEGREES = 0.01
"""About a kilometre around 0, 0: where receivers without a fix believe to be."""

PERMIT_SECONDS = 254
MOST_PERMIT_SECONDS = 900


class GuestChange(Enum):
    """What a message changed in what people are shown of the guests."""

    NEW = "new"
    POSITION = "position"
    """Its first plausible position: it may now be shown with buttons."""

    @property
    def is_new(self) -> bool:
        """Whether the guest has only just come."""
        return self is GuestChange.NEW


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A guest as ``bridge/devices`` shows it."""

    id: str
    first_seen: datetime
    last_seen: datetime
    protocol: str
    transport: str
    reports: int
    has_position: bool


class Waiting(NamedTuple):
    """A report of a guest and how it came."""

    report: Report
    transport: str


class Joined(NamedTuple):
    """The one tracker that `PermitJoin` lets in, and the name that was chosen for it."""

    device_id: str
    name: str


@dataclass(slots=True)
class _Guest:
    device_id: str
    source: str
    protocol: str
    transport: str
    first_seen: datetime
    last_seen: datetime
    contact_at: datetime
    waiting: deque[Waiting]
    contacts: int = 1
    reports: int = 0
    has_position: bool = False

    def worth(self) -> tuple[int, datetime]:
        """Order guests by how likely they are real: who came back most often, then who is new."""
        return self.contacts, self.contact_at


def is_plausible(message: Message) -> bool:
    """Whether a message shows that a receiver knows where it is: a valid fix, and not at 0, 0."""
    fix = message.fix if isinstance(message, Report) else None
    return (
        fix is not None
        and fix.valid
        and abs(fix.latitude) <= 90.0
        and abs(fix.longitude) <= 180.0
        and max(abs(fix.latitude), abs(fix.longitude)) >= NEAR_ZERO_DEGREES
    )


def is_shared(source: str) -> bool:
    """Whether an address may stand for many trackers: private, loopback, or none at all."""
    try:
        address = ip_address(source)
    except ValueError:
        return True
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_private


class Guests:
    """The waiting room.

    `limit` places, `per_source` of them for each address that `shared` does not exempt, `reports`
    waiting for each guest.
    """

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        per_source: int = DEFAULT_PER_SOURCE,
        reports: int = DEFAULT_REPORTS,
        *,
        shared: Callable[[str], bool] = is_shared,
    ) -> None:
        self._limit = limit
        self._per_source = per_source
        self._reports = reports
        self._shared = shared
        self._guests: dict[str, _Guest] = {}
        self._slots: list[str | None] = [None] * GUEST_SLOTS
        self._frames: Ring[tuple[str, FrameRecord]] = Ring(most=RING_FRAMES, size=RING_BYTES)

    def __len__(self) -> int:
        return len(self._guests)

    def __iter__(self) -> Iterator[str]:
        return iter(self._guests)

    def knows(self, device_id: str) -> bool:
        """Whether this is a guest now."""
        return device_id in self._guests

    def saw(  # noqa: PLR0913 - a message and all that is known of how it came
        self,
        device_id: str,
        *,
        source: str,
        protocol: str,
        transport: str,
        now: datetime,
        message: Message,
    ) -> GuestChange | None:
        """Take a message of an unknown tracker; it is a guest afterwards, if there is a place."""
        guest = self._guests.get(device_id)
        change = None
        if guest is None:
            if not self._make_room(source, now):
                return None
            waiting: deque[Waiting] = deque(maxlen=self._reports)
            guest = _Guest(device_id, source, protocol, transport, now, now, now, waiting)
            self._guests[device_id] = guest
            change = GuestChange.NEW
        elif abs(now - guest.contact_at) >= COMES_BACK:  # whichever way a clock was set
            guest.contacts += 1
            guest.contact_at = now
        guest.source, guest.protocol, guest.transport = source, protocol, transport
        guest.last_seen = now
        if isinstance(message, Report):
            guest.reports += 1
            guest.waiting.append(Waiting(message, transport))
        if not guest.has_position and is_plausible(message):
            guest.has_position = True
            change = change or GuestChange.POSITION
        return change

    def take(self, device_id: str) -> list[Waiting]:
        """Let a guest go, for it was accepted; return its waiting reports in order."""
        guest = self._guests.pop(device_id, None)
        return list(guest.waiting) if guest is not None else []

    def forget(self, device_id: str) -> None:
        """Let a guest go with all that it has sent, for it was blocked."""
        self._guests.pop(device_id, None)

    def listed(self) -> list[Guest]:
        """Return the guests in the order in which they came."""
        return [
            Guest(
                id=guest.device_id,
                first_seen=guest.first_seen,
                last_seen=guest.last_seen,
                protocol=guest.protocol,
                transport=guest.transport,
                reports=guest.reports,
                has_position=guest.has_position,
            )
            for guest in self._guests.values()
        ]

    def slots(self, now: datetime) -> list[tuple[int, str]]:
        """Return the guests shown with buttons: (slot from 1, id), the free slots left out.

        Only guests that have sent a plausible position. A slot changes hands only when its guest
        was accepted or blocked, or has been gone for ten minutes: nobody presses a button that has
        just become another's.
        """
        for slot, device_id in enumerate(self._slots):
            guest = self._guests.get(device_id or "")
            if guest is None or self._is_gone(guest, now):
                self._slots[slot] = None
        ready = sorted(
            (
                guest
                for guest in self._guests.values()
                if guest.has_position
                and guest.device_id not in self._slots
                and not self._is_gone(guest, now)
            ),
            key=lambda guest: (-guest.contacts, guest.first_seen),
        )
        for slot, device_id in enumerate(self._slots):
            if device_id is None and ready:
                self._slots[slot] = ready.pop(0).device_id
        return [(number, one) for number, one in enumerate(self._slots, 1) if one is not None]

    def keep(self, source: str, frame: FrameRecord) -> None:
        """Keep raw bytes of a guest, or of a peer that was not understood (without an id)."""
        self._frames.push((source, frame), len(frame.data))

    def frames_of(self, device_id: str) -> list[FrameRecord]:
        """Return the frames kept of an id, with what nobody understood from the same address."""
        kept = self._frames.items()
        sources = {source for source, frame in kept if frame.tracker_id == device_id}
        return [
            frame
            for source, frame in kept
            if frame.tracker_id == device_id or (not frame.tracker_id and source in sources)
        ]

    def _make_room(self, source: str, now: datetime) -> bool:
        """Whether a newcomer may come in, after somebody else has left for it if need be."""
        neighbours = [guest for guest in self._guests.values() if guest.source == source]
        if len(neighbours) >= self._per_source and not self._shared(source):
            rivals = neighbours
        elif len(self._guests) >= self._limit:
            rivals = list(self._guests.values())
        else:
            return True
        leaving = min(
            (guest for guest in rivals if self._may_leave(guest, now)),
            key=_Guest.worth,
            default=None,
        )
        if leaving is None:
            return False
        del self._guests[leaving.device_id]
        return True

    def _may_leave(self, guest: _Guest, now: datetime) -> bool:
        if self._is_gone(guest, now):
            return True
        return guest.contacts == 1 and guest.device_id not in self._slots

    def _is_gone(self, guest: _Guest, now: datetime) -> bool:
        return now - guest.last_seen >= GONE


@dataclass(slots=True)
class PermitJoin:
    """An open door, for a short time and exactly one tracker.

    It lets in the first one that was no guest when the door was opened and sends two plausible
    positions. If a second such tracker sends one before that, nobody can know which was meant: the
    door closes, neither is let in, and both are guests like any others.
    """

    guests: Guests
    until: datetime | None = field(default=None, init=False)
    """When the door closes by itself; None while it is closed."""
    name: str = field(default="", init=False)
    contested: tuple[str, str] | None = field(default=None, init=False)
    """The two that came at once; None again when the door is next opened."""
    _before: frozenset[str] = field(default=frozenset(), init=False)
    _candidate: str = field(default="", init=False)

    def open(self, now: datetime, seconds: int = PERMIT_SECONDS, name: str = "") -> None:
        """Open the door, or keep it open longer; `name` is for whoever comes in."""
        if not 1 <= seconds <= MOST_PERMIT_SECONDS:
            raise RequestError(f"joining is permitted for 1 to {MOST_PERMIT_SECONDS} seconds")
        if not self.is_open(now):
            self._before = frozenset(self.guests)
            self._candidate = ""
            self.contested = None
        self.until = now + timedelta(seconds=seconds)
        self.name = name

    def close(self) -> None:
        """Close the door."""
        self.until = None

    def is_open(self, now: datetime) -> bool:
        """Whether the door is open; it closes by itself when its time is over."""
        if self.until is not None and now >= self.until:
            self.close()
        return self.until is not None

    def saw(self, device_id: str, now: datetime, message: Message) -> Joined | None:
        """Take a message of an unknown tracker; return it if it is the one to let in."""
        if not self.is_open(now) or device_id in self._before or not is_plausible(message):
            return None
        if not self._candidate:
            self._candidate = device_id
            return None
        self.close()
        if self._candidate != device_id:
            self.contested = (self._candidate, device_id)
            return None
        return Joined(device_id, self.name)
