"""Who is kept out for a while, and who never is: judged by what its connections have said.

    said nothing known     strike .. strike --ban_after in ten minutes--> banned 1, 2, 4 .. 60 min
    an accepted tracker    familiar for a day: no ban, and places that no stranger can take

An address is a poor name for a peer, so a ban needs more than strikes. It is never for an address
that many may share (`is_shared`), nor for a familiar one, nor while all who ever came from outside
came through one address: that may be the gateway before everybody. There only the connection is
closed. Strikes come from connections alone, for the sender of a datagram can be forged.

Nothing here has a clock: `now` is in seconds that never go back. All of it is bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, ip_address

from bridge import guests

WITHIN_S = 600.0
"""Strikes count together for so long: a scanner's whole visit, and not one visit a day."""

SHORTEST_BAN_S = 60.0
LONGEST_BAN_S = 3600.0
"""A dynamic address is somebody else's tomorrow, and may be a tracker's."""

FORGOTTEN_S = 86_400.0
"""A source that has given no offence for a day starts anew; an address is familiar for a day."""

MOST_SOURCES = 10_000
"""Of how many sources strikes are remembered, in a few megabytes."""

ADDRESSES_A_TRACKER = 8
"""That are familiar for one tracker. Mobile networks give new ones, from a pool; who knows an id
and forges addresses pushes out that tracker's, nobody else's."""

_CARRIER_NAT = IPv4Network("100.64.0.0/10")


@lru_cache(maxsize=1024)
def is_shared(source: str) -> bool:
    """Whether a source may stand for many peers: private, loopback, link-local, a carrier's NAT."""
    if guests.is_shared(source):
        return True
    address = ip_address(source)
    return isinstance(address, IPv4Address) and address in _CARRIER_NAT


class Familiar:
    """The addresses through which accepted trackers were heard in the last day."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, float]] = {}
        """Tracker -> address -> when; heard last is last."""
        self._heard_at: dict[str, float] = {}
        """Address -> when, the latest of any tracker."""

    def __len__(self) -> int:
        return len(self._heard_at)

    def sources(self, now: float) -> dict[str, int]:
        """Return how many trackers came, from how many addresses, and how many may be shared."""
        self.forget(now)
        return {
            "trackers": len(self._of),
            "addresses": len(self._heard_at),
            "shared": sum(map(is_shared, self._heard_at)),
        }

    def note(self, tracker_id: str, address: str, now: float) -> None:
        """Note that an accepted tracker was heard through an address."""
        own = self._of.setdefault(tracker_id, {})
        own.pop(address, None)
        own[address] = self._heard_at[address] = now
        if len(own) > ADDRESSES_A_TRACKER:
            self._drop(tracker_id, next(iter(own)))

    def knows(self, address: str, now: float) -> bool:
        """Whether an accepted tracker was heard through this address lately."""
        heard_at = self._heard_at.get(address)
        return heard_at is not None and now - heard_at < FORGOTTEN_S

    def forget(self, now: float) -> None:
        """Drop what is no longer true."""
        for tracker_id, own in list(self._of.items()):
            for address, heard_at in list(own.items()):
                if now - heard_at < FORGOTTEN_S:
                    break
                self._drop(tracker_id, address)

    def _drop(self, tracker_id: str, address: str) -> None:
        own = self._of[tracker_id]
        del own[address]
        if not own:
            del self._of[tracker_id]
        if not any(address in others for others in self._of.values()):
            del self._heard_at[address]


@dataclass(slots=True)
class _Record:
    """What is held against a source."""

    strikes: int = 0
    since: float = 0.0
    """When the first of these strikes was given."""
    ban_s: float = 0.0
    """How long its latest ban was."""
    until: float = 0.0


class Bans:
    """The sources that are kept out. `after`: so many strikes are a ban; 0: nobody is banned."""

    def __init__(self, after: int, familiar: Familiar, most: int = MOST_SOURCES) -> None:
        self._after = after
        self._familiar = familiar
        self._most = most
        self._records: dict[str, _Record] = {}
        """In the order of the last strike."""
        self._first = ""
        """The public source that came first."""
        self._several = False
        """Whether addresses tell peers apart here: more than one public source has come."""

    def __len__(self) -> int:
        return len(self._records)

    def came(self, source: str) -> None:
        """Note that a connection of a source has come."""
        if not (self._several or source == self._first or is_shared(source)):
            self._several = self._first != ""
            self._first = self._first or source

    def spares(self, source: str, now: float) -> bool:
        """Whether a source is never kept out as a whole."""
        return not self._several or self._familiar.knows(source, now) or is_shared(source)

    def hold(self, source: str, now: float) -> bool:
        """Whether a source is banned now."""
        record = self._records.get(source)
        return record is not None and now < record.until and not self.spares(source, now)

    def strike(self, source: str, now: float) -> float:
        """Note that a connection said nothing known; return the seconds of a ban, if it is one."""
        if not self._after or self.spares(source, now):
            return 0.0
        record = self._records.pop(source, None)
        if record is None or now - max(record.since, record.until) >= FORGOTTEN_S:
            record = _Record()
        self._records[source] = record
        while len(self._records) > self._most:
            del self._records[next(iter(self._records))]
        if now < record.until:  # it was connected when it was banned
            return 0.0
        if not record.strikes or now - record.since >= WITHIN_S:
            record.strikes, record.since = 0, now
        record.strikes += 1
        if record.strikes < self._after:
            return 0.0
        record.strikes = 0
        record.ban_s = min(max(2 * record.ban_s, SHORTEST_BAN_S), LONGEST_BAN_S)
        record.until = now + record.ban_s
        return record.ban_s

    def forget(self, now: float) -> None:
        """Drop sources that have given no offence for long."""
        while self._records:
            source, record = next(iter(self._records.items()))
            if now - max(record.since, record.until) < FORGOTTEN_S:
                return
            del self._records[source]
