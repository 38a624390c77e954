"""The MQTT sink: one connection, one pump, everything retained told again when it must be.

    rule B     ask who else serves this base topic; only then connect with the last will
    online     before anything else, so that no automation takes old news for an arrival
    retained   info, discovery, devices, each vehicle's position and state
    pump       rows of the journal, a window of publishes in flight, cursor behind the acknowledged

Reports that are old news when they are published go to `history`; position and state are always
only the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import aiomqtt

from bridge import payloads
from bridge.config import Config
from bridge.contract import OFFLINE, ONLINE, CommandResult, Owner, Response, Topics
from bridge.errors import DuplicateBridgeError, StorageError
from bridge.intake import Intake
from bridge.payloads import Place
from bridge.record import Record, Row
from bridge.registry import Vehicle
from bridge.sinks import messages
from bridge.sinks.announcements import Announcements
from bridge.sinks.base import Cursor
from bridge.sinks.broker import Broker, body_of
from bridge.sinks.early import Early
from bridge.sinks.messages import Message
from bridge.sinks.notices import Notices
from bridge.sinks.outbox import Outbox, Publication
from bridge.sinks.publisher import Publisher

_log = logging.getLogger(__name__)

SINK = "mqtt"
RETRY_S = 1.0
"""Between two attempts to read a journal that cannot be read."""
TICK_S = 5.0
TICKS_A_HEALTH = 12
SLOW = frozenset({"backup"})
"""Requests that may take minutes, so that nobody else's should wait for them."""

Answer = Callable[[str, bytes], Awaitable[Response]]
Order = Callable[[str, bytes], CommandResult | None]
Text = Callable[[bytes], None]


class MqttSink:
    """Serves one broker until cancelled. Implements `intake.Watcher` and `requests.Announcer`."""

    def __init__(self, config: Config, intake: Intake, announcements: Announcements) -> None:
        self.intake = intake
        self.topics = Topics(config.mqtt.base_topic)
        self.announcements = announcements
        self.answer: Answer | None = None
        self.order: Order | None = None
        """Takes a command from a vehicle's topic; returns what is to be answered at once."""
        self.text: Text | None = None
        """Takes a text message from a gateway."""
        self.cursor = Cursor(intake.journal, SINK)
        self._broker = Broker(config.mqtt, config.limits, announcements.identity())
        self._early = Early()
        self._outbox = Outbox(self._acknowledged)
        self._birth = f"{config.home_assistant.discovery_prefix}/status"
        self._discovery = f"{config.home_assistant.discovery_prefix}/device/"
        self._epoch = intake.journal.epoch
        self._dirty: dict[str, None] = {}
        self._told_position: dict[str, datetime | None] = {}
        self._last_alarm: dict[str, bytes] = {}
        self._notices = Notices(self.topics, announcements, self._outbox, self.health)

    # --- Watcher ----------------------------------------------------------------------------------

    def committed(self, seq: int, key: str, row: Row) -> None:
        """Wake the pump."""
        self.cursor.committed(seq, key, row)
        self._early.committed(seq, row)
        self._dirty[key] = None
        self._outbox.wake()

    def waiting(self, key: str, record: Record) -> None:
        """Tell at once of a report that cannot be journalled now (rule D)."""
        if not self._outbox.open or self._early.knows(record):
            return
        said = self._said_of(key, record, None, self.intake.clock())
        self._queue(key, said, self._early.mark(record, len(said)))
        self.changed(key)

    def _acknowledged(self, seq: int) -> None:
        if seq < 0:
            self._early.acknowledged(seq)
        else:
            self.cursor.acknowledged(seq)

    def changed(self, key: str) -> None:
        """Publish the state of a vehicle soon."""
        self._dirty[key] = None
        self._outbox.wake()

    def devices_changed(self) -> None:
        """Publish devices and discovery, once the dust has settled."""
        self._notices.soon()

    def happened(self, event: dict[str, Any]) -> None:
        """Publish an event; without a broker nobody is there to be told."""
        if self._outbox.open:
            event = {"at": self.intake.clock(), **event}
            self._outbox.send(self.topics.bridge_event, payloads.encode(event))

    def follow(self, config: Config) -> None:
        """Tell by another configuration from now on."""
        owner = self.announcements.owner
        self.announcements.follow(config)
        if self.announcements.owner != owner:
            self.owner_changed(self.announcements.owner, confirmed=False)
        self._notices.soon()

    # --- Announcer --------------------------------------------------------------------------------

    def republish(self) -> None:
        """Send everything retained once more."""
        self._outbox.tell_again()
        self._told_position.clear()
        self._notices.now()
        for topic in self.announcements.topics_to_clear():
            self._outbox.tell(topic, b"")
        for key, live in self.intake.vehicles.items():
            self._dirty[key] = None
            topic = self.topics.vehicle(key, "last_alarm")
            if key in self._last_alarm:
                self._outbox.tell(topic, self._last_alarm[key])
            elif live.vehicle.private:
                self._outbox.tell(topic, b"")
        self._outbox.wake()

    def info_changed(self) -> None:
        """Send ``bridge/info`` if it is another one."""
        self._notices.info()

    def vehicles_changed(self) -> None:
        """Send ``bridge/devices`` if it is another one."""
        self._notices.devices()

    def owner_changed(self, owner: Owner, *, confirmed: bool) -> None:
        """Hand the entities over: first let go of them, and take them away when confirmed."""
        self.announcements.letting_go = owner == "component" and not confirmed
        self._notices.now()

    def forget_vehicle(self, vehicle: Vehicle, *, clear: bool) -> None:
        """Take a removed vehicle's discovery away, and with `clear` its retained topics."""
        self._dirty.pop(vehicle.key, None)
        self._told_position.pop(vehicle.key, None)
        self._last_alarm.pop(vehicle.key, None)
        self.announcements.removed(vehicle.key, clear=clear)
        for topic in self.announcements.retained_topics(vehicle.key) if clear else ():
            self._outbox.clear(topic)
        self._notices.now()

    def hide(self, key: str) -> None:
        """Take back what the outside world knows of a vehicle's places."""
        self._last_alarm.pop(key, None)
        self._told_position.pop(key, None)
        self._outbox.withdraw(self.topics.vehicle(key, ""))
        for leaf in ("position", "last_alarm"):
            self._outbox.tell(self.topics.vehicle(key, leaf), b"")

    def info(self) -> dict[str, Any]:
        """Return the payload of ``bridge/info``."""
        return self.announcements.info()

    def health(self) -> dict[str, Any]:
        """Return the payload of ``bridge/health``."""
        journal = self.intake.journal
        return self.announcements.health(
            lag={SINK: self.cursor.lag}, overtaken=journal.overtaken(SINK)
        )

    @property
    def sees_retained(self) -> bool:
        """Whether a retained copy of a request is known as one, so that none is obeyed twice."""
        return self._broker.sees_retained

    def identity(self) -> dict[str, Any]:
        """Return who this process is."""
        return self.announcements.identity()

    # --- the connection ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and serve, again and again, until cancelled.

        Raises DuplicateBridgeError where another bridge serves the base topic at the start, and
        BrokerError where the broker refuses us and was never reached before.
        """
        attempt = 0
        while True:
            try:
                if not self._broker.served:
                    await self._broker.ask_who_else()
                async with self._client() as client:
                    _log.info("connected to the MQTT broker %s", self._broker)
                    attempt = 0
                    self._broker.served = True
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                wait = self._broker.patience_s(error, attempt)
                attempt += wait > 0
                await asyncio.sleep(wait)
            finally:
                self._outbox.open = False

    def _client(self) -> Publisher:
        return self._broker.client(self._outbox.acknowledged, self._refused)

    def _refused(self, topic: str, reason: str) -> None:
        """Tell of a message that the broker did not take; to try again would hold up the rest."""
        self.intake.counters.unpublished += 1
        if self.intake.strangers.due(f"refused {topic}", self.intake.clock()) is not None:
            _log.error(
                "the broker %s does not take %s: %s. Check its access rules",
                self._broker,
                topic,
                reason,
            )

    async def _serve(self, client: Publisher) -> None:
        """Tell what is, then pump, until the connection is lost or we are cancelled."""
        self.cursor.restart()
        self._early.restart()
        self._outbox.restart()
        for topic in (
            self.topics.request("#"),
            self.topics.response("whoami"),
            self._birth,
            self.topics.vehicle("+", "command"),
            self.topics.sms_in,
        ):
            await self._broker.subscribe(client, topic)
        if self.announcements.owner != "discovery":
            for topic in self.announcements.discovery_topics():
                await self._broker.subscribe(client, topic)
        await client.publish(self.topics.bridge_state, ONLINE, qos=1, retain=True)
        self._outbox.open = True
        self.republish()
        self._tell_overtaken()
        self._tell_vehicles()
        self._outbox.send(*self._broker.question)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client, group), name="mqtt messages")
                group.create_task(self._tick(), name="mqtt tick")
                group.create_task(self._outbox.pump(client, self._refill), name="mqtt pump")
        except* aiomqtt.MqttError as lost:
            raise _first(lost) from None
        except* asyncio.CancelledError:
            # A clean disconnect sends no last will, so we say it ourselves.
            with contextlib.suppress(aiomqtt.MqttError):
                await client.publish(self.topics.bridge_state, OFFLINE, qos=1, retain=True)
            raise asyncio.CancelledError from None  # a bare one would come as a group of itself
        finally:
            self.cursor.save()

    async def drained(self) -> None:
        """Return once every committed row is acknowledged by the broker."""
        while not self._outbox.open or self.cursor.lag or len(self._outbox):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # at the end of a bridge's life; nobody else waits so

    # --- publishing -------------------------------------------------------------------------------

    async def _refill(self) -> bool:
        """Put the next page of rows in line, and behind it the state it has led to."""
        try:
            page = await self.cursor.page()
        except StorageError as error:
            if self.intake.strangers.due("journal unread", self.intake.clock()) is not None:
                _log.error("the journal cannot be read: %s", error)
            await asyncio.sleep(RETRY_S)
            return True
        now = self.intake.clock()
        for seq, key, row in page:
            messages = 0
            if row is not None and key in self.intake.vehicles and not self._early.has_told(seq):
                messages = self._queue_row(seq, key, row, now)
            self.cursor.opened(seq, messages)
        self._early.passed(self.cursor.seq)
        changed = bool(self._dirty)
        if changed:
            self._tell_vehicles()
        return bool(page) or changed

    def _queue_row(self, seq: int, key: str, row: Row, now: datetime) -> int:
        """Put what a row says in line; return how many messages that is."""
        place = Place(self._epoch, seq)
        if isinstance(row, Record):
            return self._queue(key, self._said_of(key, row, place, now), seq)
        private = self.intake.vehicles[key].vehicle.private
        said = messages.of_act(row, place, now=now, live_age=self.intake.live_age, private=private)
        return self._queue(key, said, seq)

    def _said_of(
        self, key: str, record: Record, place: Place | None, now: datetime
    ) -> list[Message]:
        live = self.intake.vehicles[key]
        return messages.of_record(
            record,
            place,
            now=now,
            live_age=self.intake.live_age,
            newest_alarm=live.folded.rang_at,
            private=live.vehicle.private,
        )

    def _queue(self, key: str, said: list[Message], mark: int) -> int:
        """Put messages of a vehicle in line; `mark` comes back when one is acknowledged."""
        for leaf, payload, retain in said:
            if leaf == "last_alarm":
                self._last_alarm[key] = payload
            topic = self.topics.vehicle(key, leaf)
            self._outbox.queue(Publication(topic, payload, retain, mark))
        return len(said)

    def _tell_overtaken(self) -> None:
        """Say how many reports will never come, once somebody is there to hear it."""
        if missed := self.intake.journal.to_announce(SINK):
            self.happened({"type": "overtaken", "sink": SINK, "count": missed})

    def _tell_vehicles(self) -> None:
        """Publish position and state of every vehicle that has something new."""
        now = self.intake.clock()
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            live = self.intake.vehicles.get(key)
            if live is None:
                continue
            # While nothing can be written, what waits is told all the same, without a place.
            waits = self.intake.journal.failed is not None and live.folded is not live.state
            state = live.folded if waits else live.state
            if live.vehicle.private:
                self._told_position.pop(key, None)
                self._outbox.tell(self.topics.vehicle(key, "position"), b"")
            elif key not in self._told_position or self._told_position[key] != state.fix_at:
                place = None if waits else Place(self._epoch, live.position_seq)
                position = payloads.position(state, place)
                if position is not None:
                    self._told_position[key] = None if waits else state.fix_at
                    topic = self.topics.vehicle(key, "position")
                    self._outbox.tell(topic, payloads.encode(position))
            payload = payloads.state(
                state,
                name=live.vehicle.name,
                link=self.intake.link(key, now),
                transport=live.transport,
                last_seen=live.last_seen,
                now=now,
                place=None if waits else Place(self._epoch, live.seq),
                odometer_offset_km=live.rules.odometer_offset_km,
                aside=live.aside(now),
                private=live.vehicle.private,
            )
            self._outbox.tell(self.topics.vehicle(key, "state"), payloads.encode(payload))

    async def _tick(self) -> None:
        """Tell what changes by time alone: health, the end of a permission, of an alarm, a link."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self.info_changed()
            self._tell_overtaken()
            self._dirty.update(dict.fromkeys(self.intake.vehicles))
            self._outbox.wake()
            if not ticks % TICKS_A_HEALTH:
                self._notices.now()  # health, and a guest that may be gone from its slot

    # --- what comes in ----------------------------------------------------------------------------

    async def _listen(self, client: aiomqtt.Client, aside: asyncio.TaskGroup) -> None:
        """Take what comes, in its order; `aside` is for requests that may take long."""
        requests = self.topics.request("")
        whoami = self.topics.response("whoami")
        async for message in client.messages:
            topic = message.topic.value
            if topic == self._birth:
                if body_of(message) == ONLINE.encode():
                    # Many integrations answer at once; a little patience spares Home Assistant.
                    wait = random.uniform(0.2, 1.0)  # noqa: S311 - jitter
                    asyncio.get_running_loop().call_later(wait, self.republish)
            elif topic == whoami:
                self._rival(message)
            elif message.retain and body_of(message) and topic.startswith(self._discovery):
                self._notices.left_behind(topic)
            elif topic.startswith(requests):
                await self._asked(topic, topic.removeprefix(requests), message, aside)
            elif topic == self.topics.sms_in:
                if self._is_fresh(topic, message) and self.text is not None:
                    self.text(body_of(message))
            elif topic.startswith(self.topics.vehicle("", "").removesuffix("/")):
                self._command(topic, message)

    def _is_fresh(self, topic: str, message: aiomqtt.Message) -> bool:
        """Whether a message says something, now; a retained one is taken off its topic (rule R)."""
        if message.retain and body_of(message):
            _log.warning("refused a retained message on %s", topic[:80])
            self._outbox.send(topic, b"", retain=True)
        return bool(body_of(message)) and not message.retain

    def _command(self, topic: str, message: aiomqtt.Message) -> None:
        key = topic.split("/")[-2]
        if not self._is_fresh(topic, message) or self.order is None:
            return
        answer = self.order(key, body_of(message))
        if answer is not None:
            self._outbox.send(self.topics.vehicle(key, "command/result"), payloads.encode(answer))

    def post(self, number: str, text: str, order_id: str) -> bool:
        """Hand a text message to the gateway that listens; False: no broker is there."""
        if self._outbox.open:
            message = {"to": number, "text": text, "id": order_id}
            self._outbox.send(self.topics.sms_out, payloads.encode(message))
        return self._outbox.open

    async def _asked(
        self, topic: str, verb: str, message: aiomqtt.Message, aside: asyncio.TaskGroup
    ) -> None:
        request = self._request(topic, verb, message)
        if verb in SLOW:
            aside.create_task(request, name=f"request {verb}")
        else:
            await request

    async def _request(self, topic: str, verb: str, message: aiomqtt.Message) -> None:
        payload = body_of(message)
        if not self._is_fresh(topic, message) or self.answer is None:
            return
        if verb == "whoami" and self.announcements.nonce.encode() in payload:
            return
        response = await self.answer(verb, payload)
        if response["status"] == "error":
            _log.info("request %s: %s", verb[:40], response.get("error"))
        name = verb if _is_verb(verb) else "unknown"
        self._outbox.send(self.topics.response(name), payloads.encode(response))

    def _rival(self, message: aiomqtt.Message) -> None:
        """One that serves never yields; but it says so when it is not alone."""
        try:
            self._broker.weigh(message)
        except DuplicateBridgeError as error:
            now = self.intake.clock()
            if self.intake.strangers.due("rival", now) is not None:
                _log.error("%s", error)
                self.happened({"type": "duplicate_bridge"})


def _is_verb(verb: str) -> bool:
    words = verb.split("/")
    return len(verb) <= 40 and verb.isascii() and all(word.isidentifier() for word in words)


def _first(errors: BaseExceptionGroup[aiomqtt.MqttError]) -> aiomqtt.MqttError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, aiomqtt.MqttError)  # noqa: S101 - what the group was split by
    return error
