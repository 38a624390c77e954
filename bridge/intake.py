"""The way in: an event of a peer becomes a row of the journal, and only then a reply.

    event -> whose is it? -> fold -> journal.append .. commit -> reply, and word to the watchers
                  |
                  +-- nobody's: a guest, answered without a commit, waiting to be accepted

One Intake holds what is known now: vehicles with their folded state, sessions, guests. It belongs to
the event loop; only the journal's writer works elsewhere and comes back through callbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec

from bridge import record as rows
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.frames import FrameRecord
from bridge.guests import Guests, PermitJoin
from bridge.journal import Entry, Journal
from bridge.log import Once, bound, tail
from bridge.model import Message, Report
from bridge.protocols.connection import Event, Received, Rejected
from bridge.record import Record
from bridge.registry import Registry, Vehicle
from bridge.sessions import Session, Sessions
from bridge.vehicle import EMPTY, VehicleState, fold

CHECKPOINT_EVERY = 200
"""Reports of a vehicle between two checkpoints: what a restart folds again, in a few ms."""

AUTO_ACCEPT_LIMIT = 20
"""`access.unknown: accept` takes no more vehicles than this; it is an open door."""

ASLEEP = timedelta(hours=24)

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
"""Returns the time, aware and UTC."""


class Watcher(Protocol):
    """Someone who tells the world; every method is called on the event loop and returns at once."""

    def committed(self, seq: int, key: str, record: Record) -> None:
        """A report is on disk."""

    def changed(self, key: str) -> None:
        """Something in a vehicle's state payload is new."""

    def devices_changed(self) -> None:
        """Vehicles or guests have come, gone or changed their name."""

    def happened(self, event: dict[str, Any]) -> None:
        """Something for ``bridge/event``."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What is kept of a vehicle beside its rows."""

    state: VehicleState
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""


@dataclass(slots=True)
class Live:
    """A vehicle now. `folded` runs ahead of `state`, which is committed and may be published."""

    vehicle: Vehicle
    folded: VehicleState = EMPTY
    state: VehicleState = EMPTY
    seq: int = 0
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""
    unsaved: int = 0
    deaf: bool = False
    """Removed while reports were on their way."""


@dataclass(slots=True)
class Counters:
    """What has passed since the start."""

    messages: int = 0
    reports: int = 0
    rejected: int = 0
    refused: int = 0
    replies_dropped: int = 0
    lost: int = 0
    """Reports the full queue of a journal that cannot be written did not take."""


class Intake:
    """See the module."""

    def __init__(
        self, config: Config, registry: Registry, journal: Journal, clock: Clock
    ) -> None:
        self.clock = clock
        self.config = config
        self.registry = registry
        self.journal = journal
        limits = config.limits
        self.live_age = timedelta(seconds=limits.live_age_s)
        self.sessions = Sessions(idle=timedelta(seconds=limits.idle_s))
        self.guests = Guests(limit=limits.guests, per_source=limits.guests_per_address)
        self.permit_join = PermitJoin(self.guests)
        self.counters = Counters()
        self.watchers: list[Watcher] = []
        self.vehicles: dict[str, Live] = {}
        self.strangers = Once()
        self.newcomers = Once()
        self.acquaintances = Once()
        """Lines about guests, and about accepted trackers: no flood of others holds them back."""
        self._purging: set[str] = set()
        """Keys whose history is going, and must not be read any more."""
        self._waiting_for_room: dict[Callable[[], None], None] = {}

    # --- coming up ----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Fold what was committed after each vehicle's checkpoint, once, before anything listens."""
        checkpoints = self.journal.checkpoints()
        for vehicle in self.registry.accepted():
            self.vehicles[vehicle.key] = self._restored(vehicle, checkpoints)

    def _restored(self, vehicle: Vehicle, checkpoints: dict[str, tuple[int, bytes]]) -> Live:
        """Return a vehicle as its history has made it."""
        live = Live(vehicle)
        seq, body = checkpoints.get(vehicle.key, (0, b""))
        if body:
            saved = msgspec.json.decode(body, type=Checkpoint)
            live.folded = live.state = saved.state
            live.position_seq, live.last_seen = saved.position_seq, saved.last_seen
            live.transport, live.seq = saved.transport, seq
        self._replay(live, seq)
        return live

    def _replay(self, live: Live, after_seq: int) -> None:
        key = live.vehicle.key
        while page := self.journal.entries_of(key, after_seq, 1000):
            for seq, _, _, body in page:
                record = rows.decode(body)
                self._fold(live, record.report, late=record.late, silent=record.silent)
                if live.folded.fix is not live.state.fix:
                    live.position_seq = seq
                live.state, live.seq, live.transport = live.folded, seq, record.transport
                live.last_seen = record.report.received_at
                after_seq = seq

    def checkpoint_all(self) -> None:
        """Queue the state of every vehicle, before the journal closes."""
        for live in self.vehicles.values():
            self._checkpoint(live)

    def _checkpoint(self, live: Live) -> None:
        live.unsaved = 0
        saved = Checkpoint(live.state, live.position_seq, live.last_seen, live.transport)
        self.journal.checkpoint(live.vehicle.key, live.seq, msgspec.json.encode(saved))

    # --- events of peers ----------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether to go on reading; if not, what comes would find no place in the journal.

        While that cannot be written we read on: heartbeats want their answer, and a report that
        finds no place is let go, unconfirmed (rule D).
        """
        return self.journal.failed is not None or self.journal.has_room

    def when_there_is_room(self, resume: Callable[[], None]) -> None:
        """Have `resume` called once after a commit."""
        self._waiting_for_room[resume] = None

    def take(self, event: Event, session: Session, now: datetime, *, again: bool = False) -> bool:
        """Take one event of a peer; its reply goes out in its turn.

        `again`: it repeats one that was taken, and is answered, not journalled. False: the journal
        had no place for its report, which is lost unless the tracker repeats it.
        """
        session.last_seen = now
        if isinstance(event, Rejected):
            self._rejected(event, session, now)
            return True
        self.counters.messages += 1
        device_id = event.messages[0].device_id
        vehicle = self.registry.match(device_id) or self._accepted_by_rule(device_id, now)
        if vehicle is None:
            self._stranger(event, device_id, session, now, again=again)
            return True
        live = self.vehicles.get(vehicle.key)
        if live is None:  # came with a reloaded registry
            live = self.vehicles[vehicle.key] = Live(vehicle)
        tracker_id = full_id(vehicle, device_id)
        self._speaks(live, tracker_id, session, now)
        live.transport = session.transport
        live.last_seen = now
        reply = event.reply
        if event.receipt and self.config.alarms.auto_receipt:
            reply += event.receipt
        frames = [
            _frame(tracker_id, event, session, now, event.frame, "in"),
            *([_frame(tracker_id, event, session, now, reply, "out")] if reply else []),
        ]
        report = next((said for said in event.messages if isinstance(said, Report)), None)
        if report is None or again:
            if not again:
                self.journal.append_frames(frames)
            self._answer(session, reply, confirms=report is not None)
            self._tell_changed(vehicle.key)
            return True
        pending = session.hold(reply, ready=False)

        def committed() -> None:
            pending.ready = True
            session.flush()

        if self._append(live, report, session.transport, frames, committed, now):
            return True
        session.withdraw(pending)
        return False

    def _answer(self, session: Session, reply: bytes, *, confirms: bool) -> None:
        """Give a reply whose own frame needs no commit; `confirms`: it speaks of a report."""
        if not self.journal.failed:
            session.hold(reply, ready=True)
            session.flush()
        elif reply and not confirms:
            # Without it the tracker hangs up; it promises nothing about any report.
            session.send(reply)

    def left(self, session: Session) -> None:
        """Note that a peer is gone."""
        session.closed = True
        for tracker_id, key in self.sessions.leave(session).items():
            self._happened("disconnected", key, session, id=tracker_id)
            self._tell_changed(key)

    def _append(
        self,
        live: Live,
        report: Report,
        transport: str,
        frames: Iterable[FrameRecord],
        committed: Callable[[], None] | None,
        now: datetime,
        *,
        waited: bool = False,
    ) -> bool:
        """Fold a report and queue it; `_committed` follows. False: the journal had no place."""
        self.counters.reports += 1
        age = now - (report.device_time or report.received_at)
        late = age > self.live_age or "replayed" in report.extra
        before = live.folded
        verdict, rings = self._fold(live, report, late=late, silent=waited)
        record = Record(report, transport, verdict, late, waited, rings)
        entry = Entry(live.vehicle.key, report.received_at, rows.encode(record))
        done = partial(self._committed, live, record, live.folded, committed)
        if not self.journal.append(entry, list(frames), done):
            live.folded = before
            self.counters.lost += 1
            return False
        return True

    def _fold(self, live: Live, report: Report, *, late: bool, silent: bool) -> tuple[Any, Any]:
        folded = fold(live.folded, report, late=late, silent=silent)
        live.folded = folded.state
        return folded.verdict, folded.rings

    def _committed(
        self,
        live: Live,
        record: Record,
        state: VehicleState,
        then: Callable[[], None] | None,
        seq: int,
    ) -> None:
        if state.fix is not live.state.fix:
            live.position_seq = seq
        if len(state.reported) != len(live.state.reported) or state.rung != live.state.rung:
            self._tell_devices()
        live.state, live.seq = state, seq
        live.unsaved += 1
        if live.unsaved >= CHECKPOINT_EVERY and not live.deaf:
            self._checkpoint(live)
        if then is not None:
            then()
        if not live.deaf:
            for watcher in self.watchers:
                watcher.committed(seq, live.vehicle.key, record)
        if self._waiting_for_room and self.has_room:
            waiting, self._waiting_for_room = self._waiting_for_room, {}
            for resume in waiting:
                resume()

    def _speaks(self, live: Live, tracker_id: str, session: Session, now: datetime) -> None:
        """Settle who speaks for a tracker: the newest one, but no datagram over a live one."""
        key = live.vehicle.key
        if session.vehicle != key:
            session.vehicle = key
            session.connection.set_utc_offset(live.vehicle.timezone_minutes)
        session.tracker_id = tracker_id
        current = self.sessions.of(tracker_id)
        if session.closed or (current is session and session.speaks_for[tracker_id] == key):
            return
        takeover = self.sessions.identify(session, tracker_id, key, now)
        log = bound(
            _log, vehicle=key, tracker=tail(tracker_id), peer=session.peer,
            protocol=_protocol(session),
        )  # fmt: skip
        if takeover is None:
            often = self.acquaintances.due(f"connected {tracker_id}", now) is None
            log.log(
                logging.DEBUG if often else logging.INFO,
                "tracker connected over %s",
                session.transport.upper(),
            )
            self._happened("connected", key, session, id=tracker_id)
            return
        if (
            takeover.alternating
            and self.acquaintances.due(f"duplicate {tracker_id}", now) is not None
        ):
            log.warning("two devices report with the identity of this tracker")
            self._happened("duplicate_session", key, session, id=tracker_id)
        if not takeover.refused:
            takeover.older.close("a newer connection of the same tracker took over")

    # --- strangers ----------------------------------------------------------------------------------

    def _accepted_by_rule(self, device_id: str, now: datetime) -> Vehicle | None:
        """Accept an unknown tracker that the configuration lets in, None for any other."""
        access = self.config.access
        if device_id not in access.allow and (
            access.unknown != "accept" or len(self.registry.accepted()) >= AUTO_ACCEPT_LIMIT
        ):
            return None
        if self.registry.is_blocked(device_id):
            return None
        return self._try_to_accept(device_id, "", now)

    def _try_to_accept(self, device_id: str, name: str, now: datetime) -> Vehicle | None:
        """Accept a tracker that nobody has asked about; None, and a log line, if that fails."""
        try:
            return self.accept(device_id, name=name, now=now).vehicle
        except BridgeError as error:
            if self.acquaintances.due("cannot accept", now) is not None:
                bound(_log, tracker=tail(device_id)).error("cannot be accepted: %s", error)
            return None

    def _stranger(
        self, event: Received, device_id: str, session: Session, now: datetime, *, again: bool
    ) -> None:
        session.tracker_id = device_id
        if session.vehicle:
            session.vehicle = ""
            session.connection.set_utc_offset(None)
        blocked = self.registry.is_blocked(device_id)
        if blocked or self.config.access.unknown == "ignore":
            self.counters.refused += 1
            if self.strangers.due(f"refused {session.address}", now) is not None:
                bound(_log, peer=session.peer, tracker=tail(device_id)).info(
                    "refused a tracker that is %s", "blocked" if blocked else "unknown"
                )
            session.close("not accepted")
            return
        session.hold(event.reply, ready=True)
        session.flush()
        self.guests.keep(
            session.address, _frame(device_id, event, session, now, event.frame, "in")
        )
        for message in event.messages:
            if not (again and isinstance(message, Report)):
                self._guest(message, device_id, session, now)

    def _guest(self, message: Message, device_id: str, session: Session, now: datetime) -> None:
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
            self._happened("join_contested", "", session, ids=self.permit_join.contested)
        if joined is not None:
            vehicle = self._try_to_accept(device_id, joined.name, now)
            if vehicle is not None:
                bound(_log, vehicle=vehicle.key).info("accepted: joining was permitted")
            return
        if change is None:
            return
        self._tell_devices()
        if change.is_new and self._introduces(session.address, now):
            bound(_log, peer=session.peer, protocol=message.protocol).warning(
                "unknown tracker %s waits to be accepted: tk103b-bridge accept %s --name NAME",
                device_id,
                device_id,
            )
            self._happened("tracker_pending", "", session, id=device_id)

    def _introduces(self, address: str, now: datetime) -> bool:
        """Whether one more guest of an address is told of: as many an hour as it has places."""
        places = range(self.config.limits.guests_per_address)
        return any(
            self.newcomers.due((address, place), now) is not None for place in places
        )

    def _rejected(self, event: Rejected, session: Session, now: datetime) -> None:
        self.counters.rejected += 1
        if session.vehicle:
            self.journal.append_frames(
                [
                    _frame(
                        session.tracker_id, event, session, now, event.frame, "in", event.reason
                    )
                ]
            )
        else:
            self.guests.keep(
                session.address,
                _frame(session.tracker_id, event, session, now, event.frame, "in", event.reason),
            )
        suppressed = (
            self.acquaintances.due(f"rejected {session.tracker_id}", now)
            if session.vehicle
            else self.strangers.due(f"rejected {session.address}", now)
        )
        if suppressed is not None:
            bound(
                _log, vehicle=session.vehicle or None, peer=session.peer, protocol=event.protocol
            ).warning(
                "rejected %d bytes: %s%s", len(event.frame), event.reason,
                f" ({suppressed} more in the last hour)" if suppressed else "",
            )  # fmt: skip

    # --- what people decide -------------------------------------------------------------------------

    def accept(
        self, device_id: str, *, now: datetime, name: str = "", key: str = "", owner: str = ""
    ) -> Live:
        """Make a tracker a vehicle's; its waiting reports become history. Raises RequestError."""
        vehicle = self.registry.accept(device_id, name=name, key=key, owner=owner)
        if vehicle.key in self._purging:
            live = Live(vehicle)
        else:  # a key that was removed comes back with what it had
            live = self._restored(vehicle, self.journal.checkpoints())
        self.vehicles[vehicle.key] = live
        self._let_in(live, device_id, now)
        self._happened("tracker_accepted", vehicle.key, None, id=device_id)
        self._tell_devices()
        self._tell_changed(vehicle.key)
        return live

    def _let_in(self, live: Live, device_id: str, now: datetime) -> None:
        for waiting in self.guests.take(device_id):
            live.last_seen, live.transport = waiting.report.received_at, waiting.transport
            self._append(live, waiting.report, waiting.transport, (), None, now, waited=True)

    def block(self, device_id: str) -> None:
        """Refuse a tracker from now on."""
        self.registry.block(device_id)
        self.guests.forget(device_id)
        self._hang_up({device_id}, "blocked")
        self._tell_devices()

    def remove(self, key: str, *, block: bool, purge: bool) -> Vehicle:
        """Take a vehicle away; with `purge` its history and its reserved key too."""
        vehicle = self.registry.remove(key, block=block)
        live = self.vehicles.pop(key, None)
        if live is not None:
            live.deaf = True
        if purge:
            self.journal.purge(key, vehicle.ids)
            self.registry.forget(key)
        self._hang_up(set(vehicle.trackers), "its vehicle was removed")
        self._happened("vehicle_removed", key, None)
        self._tell_devices()
        return vehicle

    def changed(self, vehicle: Vehicle) -> None:
        """Show a vehicle that was changed in the registry everywhere."""
        self.vehicles[vehicle.key].vehicle = vehicle
        self._tell_devices()
        self._tell_changed(vehicle.key)

    def replaced(self, vehicle: Vehicle, new_id: str) -> None:
        """Show a vehicle that got another tracker; what that one sent as a guest is its history."""
        live = self.vehicles[vehicle.key]
        gone = set(live.vehicle.trackers) - set(vehicle.trackers)
        self.changed(vehicle)
        self._hang_up(gone, "replaced by another tracker")
        self._let_in(live, new_id, self.clock())

    def _hang_up(self, tracker_ids: set[str], reason: str) -> None:
        for tracker_id in tracker_ids:
            session = self.sessions.of(tracker_id)
            if session is not None:
                session.close(reason)

    # --- what can be seen ---------------------------------------------------------------------------

    def link(self, key: str, now: datetime) -> str:
        """Return connected, asleep (parked and silent, which is well) or lost."""
        live = self.vehicles[key]
        if any(self.sessions.of(tracker_id) is not None for tracker_id in live.vehicle.trackers):
            return "connected"
        parked = live.state.values.get("ignition") is False or live.state.motion is False
        if live.last_seen is not None and parked and now - live.last_seen < ASLEEP:
            return "asleep"
        return "lost"

    def _tell_changed(self, key: str) -> None:
        for watcher in self.watchers:
            watcher.changed(key)

    def _tell_devices(self) -> None:
        for watcher in self.watchers:
            watcher.devices_changed()

    def _happened(self, kind: str, key: str, session: Session | None, **more: Any) -> None:
        event: dict[str, Any] = {"type": kind}
        if key:
            event["vehicle"] = key
        if session is not None:
            event.update(transport=session.transport, protocol=_protocol(session))
        event.update(more)
        for watcher in self.watchers:
            watcher.happened(event)


def full_id(vehicle: Vehicle, device_id: str) -> str:
    """Return the accepted id that a short form stands for."""
    if device_id in vehicle.trackers:
        return device_id
    return next(full for full in vehicle.trackers if full.endswith(device_id[-11:]))


def _protocol(session: Session) -> str:
    protocol = session.connection.protocol
    return protocol.name if protocol is not None else ""


def _frame(
    tracker_id: str,
    event: Event,
    session: Session,
    now: datetime,
    data: bytes,
    direction: Any,
    note: str = "",
) -> FrameRecord:
    return FrameRecord(
        tracker_id=tracker_id,
        received_at=now,
        direction=direction,
        protocol=event.protocol or "",
        transport=session.transport,
        note=note,
        data=data,
    )
