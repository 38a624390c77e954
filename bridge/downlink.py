"""The way back: what people want of a tracker, sent when it can be, and what became of it.

    order -> journal .. commit -> gates -> bytes -> session | text message
                                                       |
    heard: the tracker's answer, or time alone --------+--> the next step, into the journal

One command at a time is on its way to a vehicle, as no tracker says which one it answers. A
dangerous command never waits: it is sent at once or refused, and asked about again when it is
written. Everything here belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bridge import danger, orders
from bridge.command import Command, Raw, UploadLog
from bridge.config import Commands
from bridge.danger import Scene
from bridge.errors import RequestError
from bridge.fleet import Fleet, Live
from bridge.frames import FrameRecord
from bridge.log import bound
from bridge.model import SMS, CommandResult, Message, Report
from bridge.orders import BRIDGE, Order, Status, Wish
from bridge.protocols.encoding import (
    DEFAULT_PASSWORD,
    Target,
    UnsupportedCommandError,
    Vocabulary,
    encode,
)
from bridge.protocols.registry import VOCABULARIES
from bridge.sessions import Session, Sessions
from bridge.vehicle import Ordered

_log = logging.getLogger(__name__)

LOOK_S = 1.0
NAT_FRESH = timedelta(seconds=30)
"""For so long at least a mobile network remembers where a datagram came from."""
SMS_AFTER = timedelta(minutes=2)
"""So long a tracker has time to come back by itself before a text message is paid for."""
PROGRESS_EVERY = timedelta(seconds=5)
_ANSWER_LENGTH = 200

ENGINE_WORDS = frozenset({"engine_stop", "output"})
"""An output may drive the relay of the fuel pump: the tracker's own facts do not say."""
RAW_WORDS = frozenset({"raw", "set_server"})
"""What can make a tracker unreachable: for those who know what they do."""

_FAMILIES = {
    "": "coban",
    "gps103": "coban",
    "tk103": "kxtech",
    "xexun": "xexun",
    "h02": "h02",
}
"""Which words the trackers of a protocol obey as texts; those that are not here: nobody knows."""

Post = Callable[[str, str, str], bool]
"""Hands a text to an SMS gateway: number, text, the command's id; False: none can be reached."""


@dataclass(slots=True)
class _Upload:
    """How far the upload of a tracker's memory has come."""

    heard_at: datetime
    told_at: datetime
    points: int = 0
    told: int = 0


class Downlink:
    """Gives commands to the vehicles of a fleet. `post` is how texts go out, None: they do not."""

    def __init__(
        self, config: Commands, fleet: Fleet, sessions: Sessions, clock: Callable[[], datetime]
    ) -> None:
        self.post: Post | None = None
        self.config = config
        self._fleet = fleet
        self._sessions = sessions
        self._clock = clock
        self._uploads: dict[str, _Upload] = {}

    # --- what people want -------------------------------------------------------------------------

    def order(self, live: Live, wish: Wish, *, settled: bool = False) -> Order:
        """Take a command; return how far it has come at once. A repeat returns what it repeats.

        `settled`: it is carried out already, without the tracker. Raises RequestError where it
        cannot even be noted down.
        """
        now, command = self._clock(), wish.command
        known = orders.repeated(live.folded.orders, command, wish.transaction, now)
        if known is not None:
            return known
        ttl = timedelta(seconds=self.config.ttl_s if wish.ttl_s is None else wish.ttl_s)
        order = Order(
            id=secrets.token_hex(4),
            command=command,  # type: ignore[arg-type] # every Command is one of AnyCommand
            asked_at=now,
            until=now + ttl,
            transaction=wish.transaction,
            by=wish.by,
            at=now,
        )
        log = bound(_log, vehicle=live.vehicle.key)
        level = logging.WARNING if is_dangerous(command) else logging.INFO
        log.log(level, "command %s, asked for by %s", command.name, wish.by or "an unknown client")
        reason = "" if settled else self._objection(live, command, now)
        if not (reason or wish.sure) and command.name in ENGINE_WORDS | RAW_WORDS:
            reason = "needs_mqtt_5"
        if settled or reason:
            self._end(live, order, Status.REFUSED if reason else Status.ACKNOWLEDGED, reason)
            return live.folded.orders[-1]

        def committed() -> None:
            self._pump(live)

        self._step(live, order, committed)
        if self._fleet.journal.failed is not None:  # what helps now must not wait for a disk
            self._pump(live)
        return next(one for one in live.folded.orders if one.id == order.id)

    def commands(self, live: Live) -> tuple[str, ...]:
        """Return the names of what a vehicle's tracker obeys and its owner allows, sorted."""
        permits = live.rules.commands
        words: set[str] = set()
        vocabulary = VOCABULARIES.get(live.state.protocol)
        if vocabulary is not None:
            words.update(vocabulary.words(self._dialect(live, live.vehicle.trackers)))
        family = self._family(live)
        if self._sms_number(live) is not None and family:
            # What is dangerous needs a live connection.
            words.update({*VOCABULARIES[SMS].words(family)} - ENGINE_WORDS - RAW_WORDS)
        words.difference_update(
            () if permits.engine_stop else ENGINE_WORDS, () if permits.raw else RAW_WORDS
        )
        return tuple(sorted(words))

    def _objection(self, live: Live, command: Command, now: datetime) -> str:
        """Return why a command is refused at once, empty where it is not."""
        under_way = [one for one in live.folded.orders if not one.final]
        if command.name in RAW_WORDS and not live.rules.commands.raw:
            return "raw_not_enabled"
        if isinstance(command, Raw) and _is_forbidden(command):
            return "forbidden"
        if is_dangerous(command):
            session, tracker_id = self._session(live)
            refused = danger.refusal(self._scene(live, session, tracker_id, now))
            return refused or ("busy" if under_way else "")
        if live.state.protocol and command.name not in self.commands(live):
            return "unsupported"
        return "too_many" if len(under_way) >= orders.MOST_OPEN else ""

    # --- what trackers say ------------------------------------------------------------------------

    def heard(self, live: Live, message: Message, tracker_id: str) -> None:
        """Take a message of a tracker, which may be an answer; send what has waited for it."""
        vocabulary = VOCABULARIES.get(message.protocol)
        shown = vocabulary.shows(message) if vocabulary is not None else None
        if shown is not None and live.dialects.get(tracker_id) != shown:
            live.dialects[tracker_id] = shown
            self._fleet.devices_changed()
        if not live.folded.orders:
            return
        if vocabulary is not None:
            self._answered(live, message, vocabulary)
        self._pump(live)

    def _answered(self, live: Live, message: Message, vocabulary: Vocabulary) -> None:
        replayed = isinstance(message, Report) and "replayed" in message.extra
        awaited = [one for one in live.folded.orders if one.is_on_its_way]
        awaited += [one for one in live.folded.orders if one.status is Status.POSTPONED]
        for order in awaited:
            if replayed and not isinstance(order.command, UploadLog):
                continue
            if isinstance(order.command, UploadLog):
                upload = self._uploads.setdefault(order.id, _Upload(order.at, order.at))
                upload.heard_at = self._clock()
                upload.points += replayed
            judge = vocabulary.answers.get(type(order.command))
            outcome = judge(message) if judge is not None else None
            status = Status(outcome) if outcome is not None else order.status
            if status is not order.status:
                self._end(live, order, status, answer=_words_of(message))
                return

    # --- time -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after what is under way, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for live in list(self._fleet.vehicles.values()):
                self.look(live)

    def look(self, live: Live) -> None:
        """Give up what has waited for too long; send what could not be sent before."""
        now = self._clock()
        for order in live.folded.orders:
            if order.waits and now > order.until:
                self._end(live, order, Status.TIMED_OUT, "not_connected")
            elif order.is_on_its_way:
                self._tell_progress(live, order, now)
                if now - self._heard_at(order) > self._patience(order):
                    self._end(live, order, Status.TIMED_OUT, "no_answer")
        if any(one.waits for one in live.folded.orders):
            self._pump(live)

    def _heard_at(self, order: Order) -> datetime:
        upload = self._uploads.get(order.id)
        return order.at if upload is None else upload.heard_at

    def _patience(self, order: Order) -> timedelta:
        config = self.config
        return timedelta(seconds=config.sms_answer_s if order.via == SMS else config.answer_s)

    def _tell_progress(self, live: Live, order: Order, now: datetime) -> None:
        upload = self._uploads.get(order.id)
        if (
            upload is not None
            and upload.points > upload.told
            and (now - upload.told_at >= PROGRESS_EVERY)
        ):
            self._tell_upload(live, order, done=False)

    def _tell_upload(self, live: Live, order: Order, *, done: bool) -> None:
        upload = self._uploads.get(order.id)
        if upload is None or not isinstance(order.command, UploadLog):
            return
        upload.told, upload.told_at = upload.points, self._clock()
        event: dict[str, Any] = {
            "type": "upload",
            "vehicle": live.vehicle.key,
            "day": order.command.day,
            "points": upload.points,
            "done": done,
        }
        self._fleet.happened(event)

    # --- sending ----------------------------------------------------------------------------------

    def _pump(self, live: Live) -> None:
        """Send what waits, in its order, up to the first whose answer must be waited for."""
        if live.deaf:
            return
        for order in live.folded.orders:
            if any(one.is_on_its_way for one in live.folded.orders):
                return
            if order.waits:
                self._send(live, order)

    def _send(self, live: Live, order: Order) -> None:
        now = self._clock()
        session, tracker_id = self._session(live)
        if is_dangerous(order.command):
            refused = danger.refusal(self._scene(live, session, tracker_id, now))
            if refused:
                self._end(live, order, Status.REFUSED, refused)
                return
        try:
            if session is not None and session.connection.protocol is not None:
                self._send_live(live, order, session, tracker_id)
            elif live.transport == SMS or not live.last_seen or now - live.last_seen > SMS_AFTER:
                self._send_text(live, order)
        except UnsupportedCommandError:
            self._end(live, order, Status.REFUSED, "unsupported")

    def _send_live(self, live: Live, order: Order, session: Session, tracker_id: str) -> None:
        now, protocol = self._clock(), session.described["protocol"]
        if session.transport == "udp" and now - session.last_seen > NAT_FRESH:
            return  # it goes with the next datagram
        vocabulary = VOCABULARIES[protocol]
        called, dialect = session.voices[tracker_id].called, self._dialect(live, (tracker_id,))
        word = encode(protocol, vocabulary, order.command, self._target(live, called, dialect))
        frame = FrameRecord(
            tracker_id=tracker_id, received_at=now, direction="out", protocol=protocol,
            transport=session.transport, note="", data=word,
        )  # fmt: skip
        self._sent(live, order, session.transport, tracker_id, vocabulary)
        session.push(word)
        self._fleet.journal.append_frames([frame])

    def _send_text(self, live: Live, order: Order) -> None:
        number, family = self._sms_number(live), self._family(live)
        if number is None or not family or self.post is None or isinstance(order.command, Raw):
            return
        vocabulary = VOCABULARIES[SMS]
        target = self._target(live, live.vehicle.trackers[0], family)
        text = encode(SMS, vocabulary, order.command, target).decode("ascii")
        if self.post(number, text, order.id):
            self._sent(live, order, SMS, live.vehicle.trackers[0], vocabulary)

    def _session(self, live: Live) -> tuple[Session | None, str]:
        """Return the session of a vehicle's tracker that was heard last, and that tracker's id."""
        open_ones = [
            (session, tracker_id)
            for tracker_id in live.vehicle.trackers
            if (session := self._sessions.of(tracker_id)) is not None and not session.closed
        ]
        return max(open_ones, key=lambda one: one[0].last_seen, default=(None, ""))

    def _scene(self, live: Live, session: Session | None, tracker_id: str, now: datetime) -> Scene:
        permits = live.rules.commands
        voice = session.voices.get(tracker_id) if session is not None else None
        standing = live.standings.get(tracker_id)
        return Scene(
            now=now,
            allowed=permits.engine_stop,
            max_speed_kmh=permits.max_speed_kmh,
            min_session_s=permits.min_session_s,
            transport=session.transport if session is not None else "",
            since=voice.since if voice is not None else None,
            fixes=tuple(voice.fixes) if voice is not None else (),
            disturbed_at=standing.disturbed_at if standing is not None else None,
        )

    def _target(self, live: Live, device_id: str, dialect: str) -> Target:
        password = live.rules.contact.password
        return Target(
            device_id=device_id,
            now=self._clock(),
            password=password.reveal() if password is not None else DEFAULT_PASSWORD,
            dialect=dialect,
        )

    def _dialect(self, live: Live, tracker_ids: tuple[str, ...]) -> str:
        shown = (live.dialects[one] for one in tracker_ids if one in live.dialects)
        return live.rules.contact.dialect or next(shown, "")

    def _family(self, live: Live) -> str | None:
        return live.rules.contact.sms_family or _FAMILIES.get(live.state.protocol)

    def _sms_number(self, live: Live) -> str | None:
        phone = live.rules.contact.phone
        return phone.reveal() if phone is not None and live.rules.commands.sms else None

    # --- steps ------------------------------------------------------------------------------------

    def _sent(
        self, live: Live, order: Order, via: str, tracker_id: str, vocabulary: Vocabulary
    ) -> None:
        """Note that a command goes out; nothing follows where nobody knows or wants an answer."""
        awaited = type(order.command) in vocabulary.answers and order.by != BRIDGE
        step = msgspec.structs.replace(
            order,
            status=Status.SENT,
            at=self._clock(),
            via=via,
            tracker=tracker_id,
            final=not awaited,
        )
        self._step(live, step)

    def _end(
        self, live: Live, order: Order, status: Status, reason: str = "", *, answer: str = ""
    ) -> None:
        if reason:
            bound(_log, vehicle=live.vehicle.key).info(
                "command %s: %s, %s", order.command.name, status, reason
            )
        self._step(
            live,
            msgspec.structs.replace(
                order, status=status, at=self._clock(), final=True, reason=reason, answer=answer
            ),
        )
        self._tell_upload(live, order, done=status is Status.ACKNOWLEDGED)
        self._uploads.pop(order.id, None)

    def _step(self, live: Live, order: Order, then: Callable[[], None] | None = None) -> None:
        if not self._fleet.act(live, Ordered(at=order.at, order=order), then):
            raise RequestError("the journal cannot be written now; try again later")


def is_dangerous(command: Command) -> bool:
    """Whether a command can stop an engine, whichever tracker it goes to."""
    if isinstance(command, Raw):
        return any(one.cuts_engine(command.text.encode()) for one in VOCABULARIES.values())
    return command.name in ENGINE_WORDS


def _is_forbidden(command: Raw) -> bool:
    return any(one.forbids(command.text.encode()) for one in VOCABULARIES.values())


def _words_of(message: Message) -> str:
    """Return what an answer says, as one short line."""
    text = getattr(message, "keyword", "")
    if isinstance(message, CommandResult) and message.text:
        text = message.text
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_ANSWER_LENGTH]
