"""Who is not known: strangers, guests that wait to be accepted, and bytes nobody understands.

A guest is answered so that its owner can see that it works, without a commit, and nothing of it
reaches a vehicle before a person accepts it. What a stranger does costs at most a line an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from bridge.config import Config
from bridge.errors import BridgeError
from bridge.fleet import Fleet
from bridge.frames import FrameRecord
from bridge.guests import Guests, PermitJoin
from bridge.log import Once, bound, tail
from bridge.model import Message, Report
from bridge.program import called
from bridge.protocols.connection import Received, Rejected
from bridge.registry import Registry, Vehicle
from bridge.sessions import Session

AUTO_ACCEPT_LIMIT = 20
"""`access.unknown: accept` takes no more vehicles than this; it is an open door."""

Accept = Callable[[str, str, datetime], Vehicle]
"""Makes a tracker a vehicle's: its id, a name or nothing, the time. Raises BridgeError."""

_log = logging.getLogger(__name__)


class Reception:
    """Receives whoever is not known. `accept` is how one of them becomes a vehicle."""

    def __init__(self, config: Config, registry: Registry, fleet: Fleet, accept: Accept) -> None:
        limits = config.limits
        self.guests = Guests(limit=limits.guests, per_source=limits.guests_per_address)
        self.permit_join = PermitJoin(self.guests)
        self.strangers = Once()
        self._newcomers = Once()
        self._acceptances = Once()
        """Three kinds of lines, so that no flood of one holds back another."""
        self.config = config
        self._registry = registry
        self._fleet = fleet
        self._accept = accept

    def accepted_by_rule(self, device_id: str, now: datetime) -> Vehicle | None:
        """Accept an unknown tracker that the configuration lets in, None for any other."""
        access = self.config.access
        room = len(self._registry.accepted()) < AUTO_ACCEPT_LIMIT
        if device_id not in access.allow and not (access.unknown == "accept" and room):
            return None
        if self._registry.is_blocked(device_id):
            return None
        return self._try_to_accept(device_id, "", now)

    def stranger(
        self, event: Received, frame: FrameRecord, session: Session, *, again: bool
    ) -> None:
        """Receive a frame of an unknown tracker; `again`: it repeats one that was received."""
        device_id, now = frame.tracker_id, frame.received_at
        session.tracker_id = device_id
        if session.vehicle:
            session.vehicle = ""
            session.connection.set_utc_offset(None)
        blocked = self._registry.is_blocked(device_id)
        if blocked or self.config.access.unknown == "ignore":
            self._fleet.counters.refused += 1
            if self.strangers.due(f"refused {session.address}", now) is not None:
                bound(_log, peer=session.peer, tracker=tail(device_id)).info(
                    "refused a tracker that is %s", "blocked" if blocked else "unknown"
                )
            if not session.is_known:  # a gateway's other trackers stay
                session.close("not accepted")
            return
        session.hold(event.reply, ready=True)
        session.flush()
        self.guests.keep(session.address, frame)
        for message in event.messages:
            if not (again and isinstance(message, Report)):
                self._receive(message, session, now)

    def rejected(self, event: Rejected, frame: FrameRecord, session: Session) -> None:
        """Receive bytes that nobody understands, from a peer of no vehicle."""
        self.guests.keep(session.address, frame)
        suppressed = self.strangers.due(f"rejected {session.address}", frame.received_at)
        if suppressed is not None:
            tell_rejected(event, session, suppressed)

    def _receive(self, message: Message, session: Session, now: datetime) -> None:
        device_id = message.device_id
        change = self.guests.saw(
            device_id,
            source=session.address,
            protocol=message.protocol,
            transport=session.transport,
            now=now,
            message=message,
        )
        contested = self.permit_join.contested
        joined = self.permit_join.saw(device_id, now=now, message=message)
        if self.permit_join.contested not in (contested, None):
            _log.warning("two trackers came while joining was permitted: neither was accepted")
            self._fleet.happened(
                {"type": "join_contested", "ids": self.permit_join.contested, **session.described}
            )
        if joined is not None:
            vehicle = self._try_to_accept(device_id, joined.name, now)
            if vehicle is not None:
                bound(_log, vehicle=vehicle.key).info("accepted: joining was permitted")
            return
        if change is None:
            return
        self._fleet.devices_changed()
        if change.is_new and self._introduces(session.address, now):
            bound(_log, peer=session.peer, protocol=message.protocol).warning(
                "unknown tracker %s waits to be accepted: %s accept %s --name NAME",
                device_id,
                called(),
                device_id,
            )
            self._fleet.happened({"type": "tracker_pending", "id": device_id, **session.described})

    def _try_to_accept(self, device_id: str, name: str, now: datetime) -> Vehicle | None:
        """Accept a tracker that nobody has asked about; None, and a log line, if that fails."""
        try:
            return self._accept(device_id, name, now)
        except BridgeError as error:
            if self._acceptances.due("cannot accept", now) is not None:
                bound(_log, tracker=tail(device_id)).error("cannot be accepted: %s", error)
            return None

    def _introduces(self, address: str, now: datetime) -> bool:
        """Whether one more guest of an address is told of: as many an hour as it has places."""
        places = range(self.config.limits.guests_per_address)
        return any(self._newcomers.due((address, place), now) is not None for place in places)


def tell_rejected(event: Rejected, session: Session, suppressed: int) -> None:
    """Log that bytes were rejected, and how often that was not said in the last hour."""
    bound(
        _log, vehicle=session.vehicle or None, peer=session.peer, protocol=event.protocol
    ).warning(
        "rejected %d bytes: %s%s",
        len(event.frame),
        event.reason,
        f" ({suppressed} more in the last hour)" if suppressed else "",
    )
