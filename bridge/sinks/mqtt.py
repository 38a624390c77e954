"""The MQTT sink: one connection, one pump, everything retained told again when it must be.

    rule B     ask who else serves this base topic; only then connect with the last will
    online     before anything else, so that no automation takes old news for an arrival
    retained   info, discovery, devices, each vehicle's position and state
    pump       rows of the journal, a window of publishes in flight, cursor behind the acknowledged

What is told stands in `vehicles` and `notices`, what is asked of us in `inbox`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any

import aiomqtt

from bridge import payloads
from bridge.config import Config
from bridge.contract import OFFLINE, ONLINE, Owner, Topics
from bridge.errors import DuplicateBridgeError
from bridge.intake import Intake
from bridge.record import Record, Row
from bridge.registry import Vehicle
from bridge.sinks.announcements import Announcements
from bridge.sinks.base import Cursor
from bridge.sinks.broker import Broker, body_of
from bridge.sinks.early import Early
from bridge.sinks.inbox import Inbox
from bridge.sinks.notices import Notices
from bridge.sinks.outbox import Outbox
from bridge.sinks.publisher import Publisher
from bridge.sinks.vehicles import Vehicles

_log = logging.getLogger(__name__)

SINK = "mqtt"
TICK_S = 5.0
TICKS_A_HEALTH = 12


class MqttSink:
    """Serves one broker until cancelled. Implements `fleet.Watcher` and `requests.Announcer`."""

    def __init__(self, config: Config, intake: Intake, announcements: Announcements) -> None:
        self.intake = intake
        self.topics = Topics(config.mqtt.base_topic)
        self.announcements = announcements
        self.cursor = Cursor(intake.journal, SINK)
        self._broker = Broker(config.mqtt, config.limits, announcements.identity())
        self._early = Early()
        self._outbox = Outbox(self._acknowledged)
        self._birth = f"{config.home_assistant.discovery_prefix}/status"
        self._discovery = f"{config.home_assistant.discovery_prefix}/device/"
        self._vehicles = Vehicles(self.topics, intake, self._outbox, self.cursor, self._early)
        self._notices = Notices(self.topics, announcements, self._outbox, self.health)
        self.inbox = Inbox(self.topics, self._outbox, announcements.nonce)

    # --- Watcher ----------------------------------------------------------------------------------

    def committed(self, seq: int, key: str, row: Row) -> None:
        """Wake the pump."""
        self.cursor.committed(seq, key, row)
        self._early.committed(seq, row)
        self._vehicles.changed(key)

    def waiting(self, key: str, record: Record) -> None:
        """Tell at once of a report that cannot be journalled now (rule D)."""
        self._vehicles.waiting(key, record)

    def _acknowledged(self, seq: int) -> None:
        if seq < 0:
            self._early.acknowledged(seq)
        else:
            self.cursor.acknowledged(seq)

    def changed(self, key: str) -> None:
        """Publish the state of a vehicle soon."""
        self._vehicles.changed(key)

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
        self._notices.now()
        for topic in self.announcements.topics_to_clear():
            self._outbox.tell(topic, b"")
        self._vehicles.republish()

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
        self._vehicles.forget(vehicle.key)
        self.announcements.removed(vehicle.key, clear=clear)
        for topic in self.announcements.retained_topics(vehicle.key) if clear else ():
            self._outbox.clear(topic)
        self._notices.now()

    def hide(self, key: str) -> None:
        """Take back what the outside world knows of a vehicle's places."""
        self._vehicles.hide(key)

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
        self._vehicles.tell()
        self._outbox.send(*self._broker.question)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client, group), name="mqtt messages")
                group.create_task(self._tick(), name="mqtt tick")
                group.create_task(
                    self._outbox.pump(client, self._vehicles.refill), name="mqtt pump"
                )
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

    def _tell_overtaken(self) -> None:
        """Say how many reports will never come, once somebody is there to hear it."""
        if missed := self.intake.journal.to_announce(SINK):
            self.happened({"type": "overtaken", "sink": SINK, "count": missed})

    async def _tick(self) -> None:
        """Tell what changes by time alone: health, the end of a permission, of an alarm, a link."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self.info_changed()
            self._tell_overtaken()
            self._vehicles.changed(*self.intake.vehicles)
            if not ticks % TICKS_A_HEALTH:
                self._notices.now()  # health, and a guest that may be gone from its slot

    # --- what comes in ----------------------------------------------------------------------------

    async def _listen(self, client: aiomqtt.Client, aside: asyncio.TaskGroup) -> None:
        """Take what comes, in its order; `aside` is for requests that may take long."""
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
            else:
                await self.inbox.take(message, aside)

    def post(self, number: str, text: str, order_id: str) -> bool:
        """Hand a text message to the gateway that listens; False: no broker is there."""
        if self._outbox.open:
            message = {"to": number, "text": text, "id": order_id}
            self._outbox.send(self.topics.sms_out, payloads.encode(message))
        return self._outbox.open

    def _rival(self, message: aiomqtt.Message) -> None:
        """One that serves never yields; but it says so when it is not alone."""
        try:
            self._broker.weigh(message)
        except DuplicateBridgeError as error:
            now = self.intake.clock()
            if self.intake.strangers.due("rival", now) is not None:
                _log.error("%s", error)
                self.happened({"type": "duplicate_bridge"})


def _first(errors: BaseExceptionGroup[aiomqtt.MqttError]) -> aiomqtt.MqttError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, aiomqtt.MqttError)  # noqa: S101 - what the group was split by
    return error
