"""The way in: an event of a peer becomes a row of the journal, and only then a reply.

    event -> whose is it? -> Fleet: fold, journal .. commit -> reply, and word to the watchers
                  |
                  +-- nobody's: Reception, where it is a guest until somebody accepts it

What people decide about trackers and vehicles comes in here too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from bridge import abilities, episodes, rhythm
from bridge.assess import Verdict
from bridge.command import AcknowledgeAlarm
from bridge.config import Config
from bridge.danger import Heard
from bridge.downlink import Downlink
from bridge.errors import RequestError, StorageError
from bridge.fleet import Fleet, Live
from bridge.frames import FrameRecord
from bridge.journal import Journal
from bridge.log import Once, bound
from bridge.model import Report
from bridge.orders import Order, Wish
from bridge.protocols.connection import Event, Received, Rejected
from bridge.reception import Reception, tell_rejected
from bridge.registry import Registry, Vehicle
from bridge.sessions import Session, Sessions
from bridge.speakers import Speakers, set_zone
from bridge.vehicle import Acknowledged

Clock = Callable[[], datetime]
"""Returns the time, aware and UTC."""

_log = logging.getLogger(__name__)


class Intake:
    """One bridge's way in; belongs to the event loop."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        journal: Journal,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.config = config
        self.registry = registry
        self.journal = journal
        self.live_age = timedelta(seconds=config.limits.live_age_s)
        self.sessions = Sessions(idle=timedelta(seconds=config.limits.idle_s))
        self.fleet = Fleet(journal, self.live_age, config.rules)
        self.vehicles = self.fleet.vehicles
        self.watchers = self.fleet.watchers
        self.counters = self.fleet.counters
        self._reception = Reception(config, registry, self.fleet, self._accepted)
        self.downlink = Downlink(config.commands, self.fleet, self.sessions, clock, monotonic)
        self.guests = self._reception.guests
        self.permit_join = self._reception.permit_join
        self.strangers = self._reception.strangers
        self._speakers = Speakers(self.fleet, self.sessions, monotonic)
        self._rejections = Once()

    def restore(self) -> None:
        """Bring every vehicle to where its history left it, once, before anything listens."""
        self.fleet.restore(self.registry.accepted())

    def follow(self, config: Config) -> None:
        """Go by another configuration; the registry has its vehicles already.

        Nobody is hung up on but a tracker that is no vehicle's any more.
        """
        self.config = self._reception.config = config
        self.downlink.config = config.commands
        self.live_age = self.fleet.live_age = timedelta(seconds=config.limits.live_age_s)
        self.sessions.idle = timedelta(seconds=config.limits.idle_s)
        self.fleet.rules = config.rules
        for device_id in config.access.block:
            self.guests.forget(device_id)
        trackers = {one for live in self.vehicles.values() for one in live.vehicle.trackers}
        for vehicle in self.registry.accepted():
            self._follow(vehicle)
        gone = {one for one in trackers if self.registry.match(one) is None}
        self._speakers.hang_up(gone, "its vehicle has it no longer")
        self.fleet.devices_changed()

    def _follow(self, vehicle: Vehicle) -> None:
        """Show a vehicle as the registry and the configuration have it now."""
        live = self.vehicles.get(vehicle.key)
        try:
            live = live or self.fleet.take_in(vehicle)
        except StorageError as error:  # its first report tries again
            bound(_log, vehicle=vehicle.key).error("its history cannot be read: %s", error)
            return
        zone, live.vehicle = live.vehicle.timezone_minutes, vehicle
        live.follow(self.config.rules(vehicle.key))
        for tracker_id in vehicle.trackers:
            session = self.sessions.of(tracker_id)
            if session is not None and vehicle.timezone_minutes != zone:
                set_zone(session, live, tracker_id)
            self._let_in(live, tracker_id, self.clock())
        self.fleet.changed(vehicle.key)

    # --- events of peers --------------------------------------------------------------------------

    def take(self, event: Event, session: Session, now: datetime, *, again: bool = False) -> bool:
        """Take one event of a peer; its reply goes out in its turn.

        `again`: it repeats one that was taken, and is answered, not journalled. False: the journal
        had no place for its report, which is lost unless the tracker repeats it.
        """
        session.last_seen = now
        if isinstance(event, Rejected):
            self._rejected(event, session, now)
            return True
        if not event.messages:  # understood, but nobody has said yet who is speaking
            self._answer(session, event.reply, confirms=False)
            return True
        self.counters.messages += 1
        device_id = event.messages[0].device_id
        vehicle = self.registry.match(device_id) or self._reception.accepted_by_rule(device_id, now)
        if vehicle is None:
            frame = _frame(device_id, event, session, now)
            self._reception.stranger(event, frame, session, again=again)
            return True
        live = self.vehicles.get(vehicle.key)
        if live is None:  # accepted while its history could not be read
            live = self.fleet.take_in(vehicle)
        tracker_id = full_id(vehicle, device_id)
        self._speakers.speaks(live, tracker_id, device_id, session, now)
        taken = self._take_known(event, live, tracker_id, session, now, again=again)
        self._speakers.learn(event, live, session, now)
        return taken

    def _take_known(  # noqa: PLR0913 - an event and all that is known of how it came
        self,
        event: Received,
        live: Live,
        tracker_id: str,
        session: Session,
        now: datetime,
        *,
        again: bool,
    ) -> bool:
        """Journal what an accepted tracker says, and answer in its turn."""
        reply = event.reply
        if event.receipt and self.config.alarms.auto_receipt:
            reply += event.receipt
        frames = [_frame(tracker_id, event, session, now)]
        if reply:
            frames.append(_frame(tracker_id, event, session, now, reply=reply))
        report = next((said for said in event.messages if isinstance(said, Report)), None)
        if report is None or again:
            if not again:
                self.journal.append_frames(frames)
            self._answer(session, reply, confirms=report is not None)
            self.fleet.changed(live.vehicle.key)
            for message in () if again else event.messages:
                self.downlink.heard(live, message, tracker_id, session, late=False)
            return True
        pending = session.hold(reply, ready=False)

        def committed() -> None:
            pending.ready = True
            session.flush()

        judged = self.fleet.append(live, report, frames, now=now, then=committed)
        if judged is None:
            session.withdraw(pending)
            return False
        if report.fix is not None and not judged.late:
            believed = judged.verdict in (Verdict.OK, Verdict.PARKED, Verdict.DUPLICATE)
            heard = Heard(judged.at, now, report.fix, believed)
            session.voices[tracker_id].fixes.append(heard)
        for message in event.messages:
            self.downlink.heard(live, message, tracker_id, session, late=judged.late)
        return True

    def left(self, session: Session) -> None:
        """Note that a peer is gone."""
        self._speakers.left(session)

    def _answer(self, session: Session, reply: bytes, *, confirms: bool) -> None:
        """Give a reply whose own frame needs no commit; `confirms`: it speaks of a report."""
        if not self.journal.failed:
            session.hold(reply, ready=True)
            session.flush()
        elif reply and not confirms:
            # Without it the tracker hangs up; it promises nothing about any report.
            session.send(reply)

    def _rejected(self, event: Rejected, session: Session, now: datetime) -> None:
        self.counters.rejected += 1
        frame = _frame(session.tracker_id, event, session, now)
        if not session.vehicle:
            self._reception.rejected(event, frame, session)
            return
        self.journal.append_frames([frame])
        suppressed = self._rejections.due(session.tracker_id, now)
        if suppressed is not None:
            tell_rejected(event, session, suppressed)

    # --- what people decide -----------------------------------------------------------------------

    def accept(
        self, device_id: str, *, now: datetime, name: str = "", key: str = "", owner: str = ""
    ) -> Live:
        """Make a tracker a vehicle's; its waiting reports become history. Raises RequestError."""
        vehicle = self.registry.accept(device_id, name=name, key=key, owner=owner)
        live = self.fleet.take_in(vehicle)
        self._let_in(live, device_id, now)
        self._happened("tracker_accepted", vehicle.key, id=device_id)
        self.fleet.devices_changed()
        self.fleet.changed(vehicle.key)
        return live

    def acknowledge(self, key: str, alarms: tuple[str, ...], now: datetime) -> tuple[str, ...]:
        """Close the episodes of these alarms, or of all, for a person has seen them.

        A tracker that is connected and still repeats one is told to stop, where its protocol has a
        word for that. Returns the kinds that were going on; raises RequestError where none was.
        """
        live = self.vehicles[key]
        lasting = episodes.shown(live.folded.episodes, now)
        seen = self._close_episodes(live, alarms, now)
        repeats = any(lasting[kind].count > 1 for kind in seen)
        cancel = AcknowledgeAlarm()
        if (repeats or not self.config.alarms.auto_receipt) and (
            cancel.name in abilities.commands(live)
        ):
            self.downlink.order(live, Wish(cancel, own=True))
        return seen

    def _close_episodes(
        self, live: Live, alarms: tuple[str, ...], now: datetime
    ) -> tuple[str, ...]:
        lasting = episodes.shown(live.folded.episodes, now)
        seen = tuple(kind for kind in lasting if not alarms or kind in alarms)
        key = live.vehicle.key
        if not seen:
            raise RequestError(f"no such alarm of {key} is going on")
        if not self.fleet.act(live, Acknowledged(at=now, alarms=seen)):
            raise RequestError("the journal cannot be written now; try again later")
        self._happened("alarm_acknowledged", key, alarms=", ".join(seen))
        return seen

    def command(self, key: str, wish: Wish) -> Order:
        """Give a vehicle a command; return how far it has come. Raises RequestError.

        To acknowledge an alarm is the bridge's own business first, and then the tracker's.
        """
        live, settled = self.vehicles[key], False
        if isinstance(wish.command, AcknowledgeAlarm) and self.downlink.repeats(live, wish) is None:
            with suppress(RequestError):
                self._close_episodes(live, (), self.clock())
                settled = wish.command.name not in abilities.commands(live)
        return self.downlink.order(live, wish, settled=settled)

    def _accepted(self, device_id: str, name: str, now: datetime) -> Vehicle:
        return self.accept(device_id, name=name, now=now).vehicle

    def _let_in(self, live: Live, device_id: str, now: datetime) -> None:
        for waiting in self.guests.take(device_id):
            live.last_seen, live.transport = waiting.report.received_at, waiting.transport
            self.fleet.append(live, waiting.report, now=now, waited=True)

    def block(self, device_id: str) -> None:
        """Refuse a tracker from now on."""
        self.registry.block(device_id)
        self.guests.forget(device_id)
        self._speakers.hang_up({device_id}, "blocked")
        self.fleet.devices_changed()

    def remove(self, key: str, *, block: bool, purge: bool) -> Vehicle:
        """Take a vehicle away; with `purge` its history and its reserved key too."""
        vehicle = self.registry.remove(key, block=block)
        self.fleet.let_go(vehicle, purge=purge)
        if purge:
            self.registry.forget(key)
        self._speakers.hang_up(set(vehicle.trackers), "its vehicle was removed")
        self._happened("vehicle_removed", key)
        self.fleet.devices_changed()
        return vehicle

    def changed(self, vehicle: Vehicle) -> None:
        """Show a vehicle that was changed in the registry everywhere."""
        self.vehicles[vehicle.key].vehicle = vehicle
        self.fleet.devices_changed()
        self.fleet.changed(vehicle.key)

    def replaced(self, vehicle: Vehicle, new_id: str) -> None:
        """Show a vehicle that got another tracker; what that one sent as a guest is its history."""
        live = self.vehicles[vehicle.key]
        gone = set(live.vehicle.trackers) - set(vehicle.trackers)
        self.changed(vehicle)
        self._speakers.hang_up(gone, "replaced by another tracker")
        self._let_in(live, new_id, self.clock())

    # --- what can be seen -------------------------------------------------------------------------

    def link(self, key: str, now: datetime) -> str:
        """Return connected, asleep (parked and silent, which is well) or lost."""
        live = self.vehicles[key]
        return rhythm.link(
            connected=any(self.sessions.of(one) is not None for one in live.vehicle.trackers),
            last_seen=live.last_seen,
            parked=live.state.parked_since is not None,
            rhythm=live.rhythm,
            now=now,
        )

    def _happened(self, kind: str, key: str, **more: str) -> None:
        self.fleet.happened({"type": kind, "vehicle": key, **more})


def full_id(vehicle: Vehicle, device_id: str) -> str:
    """Return the accepted id that a short form stands for."""
    if device_id in vehicle.trackers:
        return device_id
    return next(full for full in vehicle.trackers if full.endswith(device_id[-11:]))


def _frame(
    tracker_id: str, event: Event, session: Session, now: datetime, *, reply: bytes = b""
) -> FrameRecord:
    """Return the frame of an event as it is kept, or the reply to it."""
    direction: Literal["in", "out"] = "out" if reply else "in"
    return FrameRecord(
        tracker_id=tracker_id,
        received_at=now,
        direction=direction,
        protocol=event.protocol or "",
        transport=session.transport,
        note=event.reason if isinstance(event, Rejected) else "",
        data=reply or event.frame,
    )
