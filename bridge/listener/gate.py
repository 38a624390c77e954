"""What both transports go by: limits, two clocks, who a sender is, and whether it may come in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any

from bridge.config import Limits
from bridge.intake import Intake
from bridge.listener.bans import Bans, Familiar
from bridge.log import bound
from bridge.protocols.connection import Connection
from bridge.protocols.registry import PROTOCOLS
from bridge.sessions import Session, Transport

_log = logging.getLogger(__name__)

MOST_WAITING = 256
"""Replies of one peer that wait for the disk; with so many, nothing more is taken from it."""

MOST_SENDERS = 10_000
"""Of how many the rate is kept, in a few megabytes: only forged senders are so many."""

ARRIVALS_AT_ONCE = 20
"""Connections of one source before its rate counts: all that a bridge's restart brings back."""

_ROUNDING_S = 1e-6


class Gate:
    """The way from a transport to the intake.

    `monotonic` gives the seconds that limits are measured in; the time of day may be set back.
    """

    def __init__(self, intake: Intake, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.intake = intake
        self.clock = intake.clock
        self.monotonic = monotonic
        self.familiar = Familiar()
        self.bans = Bans(self.limits.ban_after, self.familiar)
        self._arrivals = Budget(self.limits.connects_per_min / 60, at_once=ARRIVALS_AT_ONCE)

    @property
    def limits(self) -> Limits:
        """What a peer may take, as it is configured now."""
        return self.intake.config.limits

    def opens_to(self, source: str) -> bool:
        """Whether a source may connect now, as far as that is a matter of how it has behaved."""
        now, bans = self.monotonic(), self.bans
        bans.came(source)
        if bans.hold(source, now):
            return False
        if bans.spares(source, now) or self._arrivals.draw(source, now):
            return True
        if self.intake.strangers.due(f"arrivals {source}", self.clock()) is not None:
            bound(_log, peer=source).warning("connects too often, refused")
        return False

    def recognise(self, session: Session) -> None:
        """Note the address of a session that speaks for an accepted tracker."""
        self.familiar.note(session.tracker_id, session.address, self.monotonic())

    def strike(self, session: Session) -> None:
        """Note that a connection said nothing known, or spoke for a tracker that is refused."""
        source = session.address
        ban_s = self.bans.strike(source, self.monotonic())
        if ban_s and self.intake.strangers.due(f"banned {source}", self.clock()) is not None:
            bound(_log, peer=source).warning(
                "kept out for %d s: %d connections said nothing known", ban_s, self.limits.ban_after
            )

    def forget(self) -> None:
        """Forget what is no longer held for or against anybody."""
        now = self.monotonic()
        self.familiar.forget(now)
        self.bans.forget(now)

    def has_room(self, session: Session) -> bool:
        """Whether to take more of a peer now; see `Fleet.has_room`."""
        intake = self.intake
        return intake.fleet.has_room and (
            session.waiting < MOST_WAITING or intake.journal.failed is not None
        )

    def session(
        self,
        transport: Transport,
        place: tuple[str, int],
        *,
        send: Callable[[bytes], None],
        close: Callable[[str], None],
    ) -> Session:
        """Return a session for a new peer at an address and port."""
        now = self.clock()
        connection = Connection(
            PROTOCOLS,
            datagrams=transport == "udp",
            detection_bytes=self.limits.detection_bytes,
            frame_bytes=self.limits.frame_bytes,
        )
        return Session(
            transport=transport,
            peer=peer_of(place),
            address=source_of(place[0]),
            connection=connection,
            send=send,
            close=close,
            since=now,
            last_seen=now,
        )


class Budget:
    """How often each sender may be heard: `rate` times a second, `at_once` after a pause.

    `at_once` is what a second brings where it is not given. Of a sender one number is kept: when it
    will have paid for what it has drawn. Whoever has paid is forgotten; of too many, those who drew
    longest ago. Times are in seconds.
    """

    def __init__(
        self, rate: float, most: int = MOST_SENDERS, *, at_once: int | None = None
    ) -> None:
        self._price_s = 1 / rate
        self._credit_s = 1.0 if at_once is None else at_once / rate
        self._most = most
        self._paid_at: dict[str, float] = {}
        """In the order of the last draw."""

    def __len__(self) -> int:
        return len(self._paid_at)

    def affords(self, sender: str, now: float) -> bool:
        """Whether a sender may be heard once more now, without drawing on that."""
        due = max(self._paid_at.get(sender, now), now)
        return due + self._price_s <= now + self._credit_s + _ROUNDING_S

    def draw(self, sender: str, now: float) -> bool:
        """Whether a sender may be heard once more now."""
        paid_at = self._paid_at
        due = max(paid_at.pop(sender, now), now)
        within = due + self._price_s <= now + self._credit_s + _ROUNDING_S
        paid_at[sender] = due + self._price_s if within else due
        oldest = next(iter(paid_at))
        while paid_at[oldest] <= now or len(paid_at) > self._most:
            del paid_at[oldest]
            oldest = next(iter(paid_at))
        return within


@lru_cache(maxsize=1024)
def source_of(host: str) -> str:
    """Return what stands for a sender in limits: an IPv4 address, or the /64 of an IPv6 address.

    A /64 is the least that anybody is given; whoever has one can send from each of its addresses.
    """
    if ":" not in host:
        return host
    address = IPv6Address(host)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


def peer_of(place: tuple[str, int]) -> str:
    """Return host and port as they are shown."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def place_of(addr: tuple[Any, ...] | None) -> tuple[str, int]:
    """Return host and port of a socket's address; IPv4 in IPv6's clothes is shown as IPv4."""
    if addr is None:  # gone already
        return "?", 0
    host: str = addr[0]
    return host.removeprefix("::ffff:") if "." in host else host, addr[1]
