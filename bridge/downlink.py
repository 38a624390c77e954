"""The way back: what people want of a tracker, sent when it can be, and what became of it.

    order -> journal .. commit -> gates -> bytes -> session | text message
                                                       |
    heard: the tracker's answer, or time alone --------+--> the next step, into the journal

One command at a time is on its way to a vehicle, as no tracker says which one it answers; to
resume an engine waits for nobody. A dangerous command never waits: it is sent at once or refused,
and asked about again when it is written. Everything here belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from bridge import abilities, danger, orders
from bridge.abilities import ENGINE_WORDS, RAW_WORDS
from bridge.command import Command, ResumeEngine, UploadLog
from bridge.config import Commands
from bridge.danger import MOST_HEARD, Heard, Scene
from bridge.errors import RequestError
from bridge.fleet import Fleet, Live
from bridge.frames import FrameRecord
from bridge.log import Once, bound
from bridge.model import SMS, CommandResult, Message, Report
from bridge.orders import Order, Status, Wish
from bridge.protocols.encoding import (
    DEFAULT_PASSWORD,
    Target,
    UnsupportedCommandError,
    Vocabulary,
    encode,
)
from bridge.protocols.registry import VOCABULARIES
from bridge.sessions import Session, Sessions
from bridge.uploads import Uploads
from bridge.vehicle import Ordered

_log = logging.getLogger(__name__)

LOOK_S = 1.0
NAT_FRESH = timedelta(seconds=30)
"""For so long at least a mobile network remembers where a datagram came from."""
AT_ONCE = timedelta(seconds=10)
"""A dangerous command that the journal has held up for longer is of another moment."""
SMS_AFTER = timedelta(minutes=2)
"""So long a tracker has time to come back by itself before a text message is paid for."""
_ANSWER_LENGTH = 200

_ADVICE = {
    "gps103": "Nothing has answered. Some boxes obey the other dialect: set dialect to letters or"
    " numbers for this vehicle, or send the box the SMS 'protocol<password> 18 out', after which"
    " it obeys numbers",
}
"""What to try where a tracker of a protocol does not answer."""

Post = Callable[[str, str, str], bool]
"""Hands a text to an SMS gateway: number, text, the command's id; False: none can be reached."""


class Downlink:
    """Gives commands to the vehicles of a fleet. `post` is how texts go out, None: they do not."""

    def __init__(
        self,
        config: Commands,
        fleet: Fleet,
        sessions: Sessions,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.post: Post | None = None
        self.config = config
        self._fleet = fleet
        self._sessions = sessions
        self._clock = clock
        self._monotonic = monotonic
        self._uploads = Uploads(fleet.happened)
        self._lately: dict[str, deque[Heard]] = {}
        """The latest live fixes of each vehicle, of all its trackers and over whatever way."""
        self._shown: dict[str, str] = {}
        """The dialect that each tracker has shown last, by its id."""
        self._often = Once()

    # --- what people want -------------------------------------------------------------------------

    def repeats(self, live: Live, wish: Wish) -> Order | None:
        """Return the order that a wish is a repeat of."""
        return orders.repeated(live.folded.orders, wish.command, wish.transaction, self._clock())

    def order(self, live: Live, wish: Wish, *, settled: bool = False) -> Order:
        """Take a command; return how far it has come at once. A repeat returns what it repeats.

        `settled`: it is carried out already, without the tracker. Raises RequestError where it
        cannot even be noted down.
        """
        known = self.repeats(live, wish)
        if known is not None:
            return known
        now = self._clock()
        ttl = timedelta(seconds=self.config.ttl_s if wish.ttl_s is None else wish.ttl_s)
        order = Order(
            id=secrets.token_hex(4),
            command=wish.command,  # type: ignore[arg-type] # every Command is one of AnyCommand
            asked_at=now,
            until=now + ttl,
            transaction=wish.transaction,
            by=wish.by,
            own=wish.own,
            at=now,
        )
        reason = "" if settled else self._objection(live, wish)
        self._log_use(live, wish, reason)
        if settled or reason:
            taken = self._end(
                live, order, Status.REFUSED if reason else Status.ACKNOWLEDGED, reason
            )
        else:
            if isinstance(wish.command, ResumeEngine):
                self._withdraw_stops(live)
            taken = self._step(live, order, lambda: self._pump(live))
        if not taken:
            raise RequestError("the journal cannot be written now; try again later")
        if self._fleet.journal.failed is not None:  # what helps now must not wait for a disk
            self._pump(live)
        return next((one for one in live.folded.orders if one.id == order.id), order)

    def _withdraw_stops(self, live: Live) -> None:
        """End the stops that are not sent yet: they must not follow what takes them back."""
        for one in live.folded.orders:
            if one.waits and abilities.is_dangerous(one.command):
                self._end(live, one, Status.REFUSED, "busy")

    def has_own(self, live: Live, kind: type[Command]) -> bool:
        """Whether the bridge itself has given such a command already, which waits."""
        return any(
            one.own and not one.final and isinstance(one.command, kind)
            for one in live.folded.orders
        )

    def _log_use(self, live: Live, wish: Wish, reason: str) -> None:
        """Log who wants what; what is refused again and again, once an hour."""
        key, name = live.vehicle.key, wish.command.name
        if reason and self._often.due(f"{key} {name} {reason}", self._clock()) is None:
            return
        level = logging.WARNING if abilities.is_dangerous(wish.command) else logging.INFO
        who = "the bridge itself" if wish.own else wish.by or "an unknown client"
        refused = f": refused, {reason}" if reason else ""
        bound(_log, vehicle=key).log(level, "command %s, asked for by %s%s", name, who, refused)

    def _objection(self, live: Live, wish: Wish) -> str:
        """Return why a command is refused at once, empty where it is not."""
        command, permits = wish.command, live.rules.commands
        under_way = [one for one in live.folded.orders if not one.final]
        if command.name in RAW_WORDS and not permits.raw:
            return "raw_not_enabled"
        if abilities.is_forbidden(command):
            return "forbidden"
        if abilities.is_dangerous(command):
            closed = danger.refusal(self._scene(live, *self._session(live)))
            if closed or any(_blocks(one) for one in under_way):
                return closed or "busy"
        elif live.state.protocol and command.name not in abilities.commands(live):
            return "unsupported"
        if command.name in ENGINE_WORDS | RAW_WORDS and not wish.sure:
            return "needs_mqtt_5"
        many = len(under_way) >= orders.MOST_OPEN and not isinstance(command, ResumeEngine)
        return "too_many" if many else ""

    # --- what trackers say ------------------------------------------------------------------------

    def heard(
        self, live: Live, message: Message, tracker_id: str, session: Session | None, *, late: bool
    ) -> None:
        """Take a message of a tracker, which may be an answer; send what has waited for it.

        `session` None: it came as a text. `late`: it is old news, and answers nothing but the
        upload it is a part of.
        """
        if isinstance(message, Report) and message.fix is not None and not late:
            now = self._clock()
            lately = self._lately.setdefault(live.vehicle.key, deque(maxlen=MOST_HEARD))
            lately.append(Heard(now, now, message.fix, believed=False))
        current = session is None or self._sessions.of(tracker_id) is session
        vocabulary = VOCABULARIES.get(message.protocol)
        if vocabulary is None or not current:
            return
        if session is not None:
            self._learn_dialect(live, tracker_id, vocabulary.shows(message))
        if any(one.is_open for one in live.folded.orders):
            self._answered(live, message, tracker_id, vocabulary, late=late)
            self._pump(live)

    def _learn_dialect(self, live: Live, tracker_id: str, shown: str | None) -> None:
        """Believe what a tracker has shown twice in a row: some boxes answer in the other one."""
        if shown is None:
            return
        before = self._shown.get(tracker_id)
        self._shown[tracker_id] = shown
        known = live.dialects.get(tracker_id)
        if shown != known and (known is None or shown == before):
            live.dialects[tracker_id] = shown
            self._fleet.devices_changed()

    def _answered(
        self,
        live: Live,
        message: Message,
        tracker_id: str,
        vocabulary: Vocabulary,
        *,
        late: bool,
    ) -> None:
        over_sms = message.protocol == SMS
        awaited = [one for one in live.folded.orders if one.is_on_its_way]
        awaited += [one for one in live.folded.orders if one.status is Status.POSTPONED]
        for order in awaited:
            is_upload = isinstance(order.command, UploadLog)
            if order.tracker != tracker_id or (order.via == SMS) is not over_sms:
                continue
            if is_upload:
                self._uploads.count(order, message, self._clock(), late=late)
            elif late:
                continue
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
            if order.is_on_its_way:
                self._uploads.progress(live.vehicle.key, order, now)
                if abs(now - self._uploads.heard_at(order)) > self._patience(order):
                    self._give_up(live, order)
        if any(one.waits for one in live.folded.orders):
            self._pump(live)

    def _give_up(self, live: Live, order: Order) -> None:
        advice = "" if order.via == SMS else _ADVICE.get(live.state.protocol, "")
        if self._end(live, order, Status.TIMED_OUT, "no_answer", advice=advice) and advice:
            bound(_log, vehicle=live.vehicle.key).info("%s", advice)

    def _patience(self, order: Order) -> timedelta:
        config = self.config
        return timedelta(seconds=config.sms_answer_s if order.via == SMS else config.answer_s)

    # --- sending ----------------------------------------------------------------------------------

    def _pump(self, live: Live) -> None:
        """Send what waits, in its order, up to the first whose answer must be waited for."""
        if live.deaf:
            return
        now = self._clock()
        waiting = [one for one in live.folded.orders if one.waits]
        waiting.sort(key=lambda one: not isinstance(one.command, ResumeEngine))
        for order in waiting:
            if _is_late(order, now):
                self._end(live, order, Status.TIMED_OUT, self._why_unsent(live))
            elif isinstance(order.command, ResumeEngine) or not _is_blocked(live):
                self._send(live, order)

    def _why_unsent(self, live: Live) -> str:
        """Return what has kept a command from being sent, as a word."""
        session, tracker_id = self._session(live)
        if session is None:
            return "not_connected"
        trusted = _may_hear_passwords(self._scene(live, session, tracker_id))
        return "busy" if _is_blocked(live) or trusted else "session_not_trusted"

    def _send(self, live: Live, order: Order) -> None:
        session, tracker_id = self._session(live)
        scene = self._scene(live, session, tracker_id)
        reason = ""
        if order.command.name in RAW_WORDS and not live.rules.commands.raw:
            reason = "raw_not_enabled"
        elif abilities.is_dangerous(order.command):
            reason = danger.refusal(scene)
        if reason:
            self._end(live, order, Status.REFUSED, reason)
            return
        try:
            sent = session is not None and self._send_live(live, order, session, tracker_id, scene)
            if not sent and self._may_text(live, session):
                self._send_text(live, order)
        except UnsupportedCommandError as error:
            self._end(live, order, Status.REFUSED, "unsupported", advice=str(error))

    def _send_live(
        self, live: Live, order: Order, session: Session, tracker_id: str, scene: Scene
    ) -> bool:
        """Send a command on a session; False: it has to wait for a better moment."""
        now, protocol = self._clock(), session.described["protocol"]
        stale = session.transport == "udp" and abs(now - session.last_seen) > NAT_FRESH
        if not protocol or stale:  # it goes with the next datagram
            return False
        vocabulary = VOCABULARIES[protocol]
        called = session.voices[tracker_id].called
        target = self._target(live, called, abilities.dialect(live, (tracker_id,)))
        word = encode(protocol, vocabulary, order.command, target)
        secret = _tells_password(word, target)
        if secret and not _may_hear_passwords(scene):
            return False
        if self._sent(live, order, session.transport, tracker_id, vocabulary):
            session.push(word)
            hidden = b"*" * len(target.password)
            kept = word.replace(target.password.encode(), hidden) if secret else word
            frame = FrameRecord(
                tracker_id=tracker_id, received_at=now, direction="out", protocol=protocol,
                transport=session.transport, note="", data=kept,
            )  # fmt: skip
            self._fleet.journal.append_frames([frame])
        return True

    def _may_text(self, live: Live, session: Session | None) -> bool:
        """Whether a text may be paid for: the tracker texts itself, or has been silent a while."""
        if session is not None and session.transport == "tcp":
            return False
        seen = live.last_seen
        return live.transport == SMS or seen is None or abs(self._clock() - seen) > SMS_AFTER

    def _send_text(self, live: Live, order: Order) -> None:
        number, family = abilities.phone(live), abilities.family(live)
        unsafe = abilities.is_dangerous(order.command) or order.command.name in RAW_WORDS
        if number is None or not family or self.post is None or unsafe:
            return
        vocabulary, tracker_id = VOCABULARIES[SMS], live.vehicle.trackers[0]
        target = self._target(live, tracker_id, family)
        text = encode(SMS, vocabulary, order.command, target).decode("ascii")
        if self.post(number, text, order.id):
            self._sent(live, order, SMS, tracker_id, vocabulary)

    def _session(self, live: Live) -> tuple[Session | None, str]:
        """Return the session of a vehicle's tracker that was heard last, and that tracker's id."""
        open_ones = [
            (session, tracker_id)
            for tracker_id in live.vehicle.trackers
            if (session := self._sessions.of(tracker_id)) is not None and not session.closed
        ]
        return max(open_ones, key=lambda one: one[0].last_seen, default=(None, ""))

    def _scene(self, live: Live, session: Session | None, tracker_id: str) -> Scene:
        permits = live.rules.commands
        voice = session.voices.get(tracker_id) if session is not None else None
        return Scene(
            now=self._clock(),
            allowed=permits.engine_stop,
            max_speed_kmh=permits.max_speed_kmh,
            min_session_s=permits.min_session_s,
            transport=session.transport if session is not None else "",
            session_s=self._monotonic() - voice.since_s if voice is not None else None,
            fixes=tuple(voice.fixes) if voice is not None else (),
            others=self._lately.get(live.vehicle.key, ()),
            disturbed_at=[
                standing.disturbed_at
                for standing in live.standings.values()
                if standing.disturbed_at is not None
            ],
        )

    def _target(self, live: Live, device_id: str, dialect: str) -> Target:
        password = live.rules.contact.password
        return Target(
            device_id=device_id,
            now=self._clock(),
            password=password.reveal() if password is not None else DEFAULT_PASSWORD,
            dialect=dialect,
        )

    # --- steps ------------------------------------------------------------------------------------

    def _sent(
        self, live: Live, order: Order, via: str, tracker_id: str, vocabulary: Vocabulary
    ) -> bool:
        """Note that a command goes out; nothing follows where nobody knows or wants an answer."""
        awaited = type(order.command) in vocabulary.answers and not order.own
        step = msgspec.structs.replace(
            order,
            status=Status.SENT,
            at=self._clock(),
            via=via,
            tracker=tracker_id,
            final=not awaited,
        )
        return self._step(live, step)

    def _end(  # noqa: PLR0913 - a step, and what is said of it
        self,
        live: Live,
        order: Order,
        status: Status,
        reason: str = "",
        *,
        answer: str = "",
        advice: str = "",
    ) -> bool:
        step = msgspec.structs.replace(
            order,
            status=status,
            at=self._clock(),
            final=True,
            reason=reason,
            answer=answer,
            advice=advice,
        )
        if not self._step(live, step):
            return False
        self._uploads.ended(live.vehicle.key, order, done=status is Status.ACKNOWLEDGED)
        return True

    def _step(self, live: Live, order: Order, then: Callable[[], None] | None = None) -> bool:
        """Note a step down. False: the journal has no place; it is tried again at the next look."""
        # Of what was refused nothing is lost that alarms should make room for.
        precious = order.status is not Status.REFUSED
        act = Ordered(at=order.at, order=order)
        return self._fleet.act(live, act, then, precious=precious)


def _is_blocked(live: Live) -> bool:
    """Whether a command is on its way whose answer others wait for."""
    return any(one.is_on_its_way and _blocks(one) for one in live.folded.orders)


def _blocks(order: Order) -> bool:
    """Whether others wait for the answer to a command: an upload takes hours, and tells itself."""
    return not isinstance(order.command, UploadLog)


def _is_late(order: Order, now: datetime) -> bool:
    """Whether a command must not be sent any more."""
    until = order.asked_at + AT_ONCE if abilities.is_dangerous(order.command) else order.until
    return not order.asked_at <= now <= until


def _may_hear_passwords(scene: Scene) -> bool:
    return scene.transport == "tcp" and danger.is_trusted(scene)


def _tells_password(word: bytes, target: Target) -> bool:
    """Whether a word tells a password that is the owner's own."""
    return target.password != DEFAULT_PASSWORD and target.password.encode() in word


def _words_of(message: Message) -> str:
    """Return what an answer says, as one short line."""
    text = getattr(message, "keyword", "")
    if isinstance(message, CommandResult) and message.text:
        text = message.text
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_ANSWER_LENGTH]
