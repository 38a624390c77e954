"""Who speaks for a tracker, and what that shows beside what is said: its rhythm, data and clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from bridge import clock, rhythm
from bridge.clock import Clock
from bridge.fleet import Fleet
from bridge.live import Live, Standing
from bridge.log import Once, bound, tail
from bridge.model import Message, Report
from bridge.protocols.connection import Received
from bridge.sessions import Session, Sessions, Voice

_log = logging.getLogger(__name__)


class Speakers:
    """Settles which session speaks for which tracker of a fleet; belongs to the event loop."""

    def __init__(
        self, fleet: Fleet, sessions: Sessions, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._monotonic = monotonic
        self._often = Once()

    def speaks(
        self, live: Live, tracker_id: str, called: str, session: Session, now: datetime
    ) -> None:
        """Settle who speaks for a tracker: the newest one, but no datagram over a live one.

        `called`: what it calls itself, its id or a short form of it.
        """
        if session.vehicle != live.vehicle.key:
            session.vehicle = live.vehicle.key
            set_zone(session, live, tracker_id)
        session.tracker_id = tracker_id
        live.transport, live.last_seen = session.transport, now
        self._settle(live, tracker_id, session, now)
        voice = session.voices.setdefault(tracker_id, Voice(called, self._monotonic()))
        voice.called = called

    def _settle(self, live: Live, tracker_id: str, session: Session, now: datetime) -> None:
        key, current = live.vehicle.key, self._sessions.of(tracker_id)
        if session.closed or (current is session and session.speaks_for[tracker_id] == key):
            return
        takeover = self._sessions.identify(session, tracker_id, key, now)
        standing = live.standings.setdefault(tracker_id, Standing(session.address))
        if session.address != standing.address or (takeover is not None and takeover.alternating):
            standing.address, standing.disturbed_at = session.address, now
            self._fleet.checkpoint(live)
        protocol = session.described["protocol"]
        log = bound(
            _log, vehicle=key, tracker=tail(tracker_id), peer=session.peer, protocol=protocol
        )
        if takeover is None:
            often = self._often.due(f"connected {tracker_id}", now) is None
            log.log(
                logging.DEBUG if often else logging.INFO,
                "tracker connected over %s",
                session.transport.upper(),
            )
            self._happened("connected", key, tracker_id, session)
            return
        if takeover.alternating and self._often.due(f"duplicate {tracker_id}", now) is not None:
            log.warning("two devices report with the identity of this tracker")
            self._happened("duplicate_session", key, tracker_id, session)
        if not takeover.refused:
            takeover.older.close("a newer connection of the same tracker took over")

    def learn(self, event: Received, live: Live, session: Session, now: datetime) -> None:
        """Learn from a frame of a vehicle's tracker how it reports, and how its clock goes."""
        said = event.messages[0]
        live.rhythm = rhythm.heard(
            live.rhythm,
            now,
            "report" if isinstance(said, Report) else "heartbeat",
            parked=live.folded.parked_since is not None,
        )
        session.patience_s = rhythm.patience_s(live.rhythm)
        size, packets = len(event.frame) + len(event.reply), 1 + bool(event.reply)
        live.traffic = rhythm.carried(live.traffic, now, size, packets, session.transport)
        known = live.folded.clocks.get(said.device_id)
        if known is None:
            return
        if live.vehicle.timezone_minutes is None:
            session.connection.set_utc_offset(clock.utc_offset_min(known))
        self._advise(live, said, known)

    def _advise(self, live: Live, said: Message, known: Clock) -> None:
        """Tell once how to set a tracker's clock right."""
        zone = clock.wrong_zone(known)
        advice = clock.advice(said.protocol, zone.minutes) if zone and zone.harmful else ""
        if advice == live.advice:
            return
        live.advice = advice
        self._fleet.devices_changed()
        if zone and advice:
            key = live.vehicle.key
            bound(_log, vehicle=key, tracker=tail(said.device_id)).warning(
                "%s Until then the bridge corrects it", advice
            )
            self._fleet.happened(
                {"type": "wrong_time_zone", "vehicle": key, "minutes": str(zone.minutes)}
            )

    def left(self, session: Session) -> None:
        """Note that a peer is gone."""
        session.closed = True
        for tracker_id, key in self._sessions.leave(session).items():
            self._happened("disconnected", key, tracker_id, session)
            self._fleet.changed(key)

    def hang_up(self, tracker_ids: Iterable[str], reason: str) -> None:
        """Close the sessions that speak for these trackers."""
        for tracker_id in tracker_ids:
            session = self._sessions.of(tracker_id)
            if session is not None:
                session.close(reason)

    def _happened(self, kind: str, key: str, tracker_id: str, session: Session) -> None:
        self._fleet.happened({"type": kind, "vehicle": key, **session.described, "id": tracker_id})


def set_zone(session: Session, live: Live, tracker_id: str) -> None:
    """Tell decoders how a tracker's clock stands to UTC: as configured, or as learnt."""
    known = live.folded.clocks.get(tracker_id)
    offset = live.vehicle.timezone_minutes
    if offset is None and known is not None:
        offset = clock.utc_offset_min(known)
    session.connection.set_utc_offset(offset)
