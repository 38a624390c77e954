"""The MQTT broker: one connection, one pump, everything retained told again when it must be.

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
import math
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiomqtt
import msgspec
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge import payloads
from bridge.config import Config
from bridge.contract import OFFLINE, ONLINE, Owner, Response, Topics
from bridge.errors import BrokerError, DuplicateBridgeError
from bridge.intake import Intake
from bridge.model import Alarm
from bridge.payloads import Place
from bridge.record import Record
from bridge.registry import Vehicle
from bridge.sinks.announcements import Announcements
from bridge.sinks.base import Cursor
from bridge.sinks.publisher import Publisher

_log = logging.getLogger(__name__)

SINK = "mqtt"
DEBOUNCE_S = 1.0
"""Home Assistant drops components of a discovery payload that another one overtakes."""
TICK_S = 5.0
TICKS_A_HEALTH = 12
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

_REFUSALS = frozenset({4, 5, 134, 135, 0x8C})
"""CONNACK codes of a broker that knows us and will not have us: 3.1.1 and 5, user or rights."""
_WRONG_VERSION = frozenset({1, 132})

Answer = Callable[[str, bytes], Awaitable[Response]]


@dataclass(slots=True)
class _Publication:
    topic: str
    payload: bytes
    retain: bool = False
    seq: int = 0
    """The row it belongs to, 0 for none."""


class MqttSink:
    """Serves one broker until cancelled. Implements `intake.Watcher` and `requests.Announcer`."""

    def __init__(self, config: Config, intake: Intake, announcements: Announcements) -> None:
        self.config = config
        self.intake = intake
        self.host = config.mqtt.host or "127.0.0.1"
        self.topics = Topics(config.mqtt.base_topic)
        self.announcements = announcements
        self.answer: Answer | None = None
        self.connected = False
        self.cursor = Cursor(intake.journal, SINK)
        self._epoch = intake.journal.epoch
        self._nonce = announcements.nonce
        self._protocols = deque(_VERSIONS[config.mqtt.protocol])
        self._wake = asyncio.Event()
        self._urgent: deque[_Publication] = deque()
        self._rows: deque[_Publication] = deque()
        self._dirty: dict[str, None] = {}
        self._told_position: dict[str, int] = {}
        self._last_alarm: dict[str, tuple[datetime, bytes]] = {}
        self._told: dict[str, bytes] = {}
        self._announce_at: float | None = None
        self._discovered_at: dict[str, float] = {}
        """When each discovery topic last got a payload, by the loop's clock."""
        self._serving = False
        """A broker has had us once: from then on we never give way and never give up."""

    # --- Watcher ------------------------------------------------------------------------------------

    def committed(self, seq: int, key: str, record: Record) -> None:
        """Wake the pump."""
        self.cursor.committed(seq, key, record)
        self._dirty[key] = None
        self._wake.set()

    def changed(self, key: str) -> None:
        """Publish the state of a vehicle soon."""
        self._dirty[key] = None
        self._wake.set()

    def devices_changed(self) -> None:
        """Publish devices and discovery, once the dust has settled."""
        self._announce_in(DEBOUNCE_S)

    def happened(self, event: dict[str, Any]) -> None:
        """Publish an event; without a broker nobody is there to be told."""
        if self.connected:
            event = {"at": self.intake.clock(), **event}
            self._send(self.topics.bridge_event, payloads.encode(event), retain=False)

    # --- Announcer ----------------------------------------------------------------------------------

    def republish(self) -> None:
        """Send everything retained once more."""
        self._told.clear()
        self._told_position.clear()
        self._announce()
        for key in self.intake.vehicles:
            self._dirty[key] = None
            if key in self._last_alarm:
                self._tell(self.topics.vehicle(key, "last_alarm"), self._last_alarm[key][1])
        self._wake.set()

    def info_changed(self) -> None:
        """Send ``bridge/info`` if it is another one."""
        self._tell(self.topics.bridge_info, payloads.encode(self.info()))

    def vehicles_changed(self) -> None:
        """Send ``bridge/devices`` if it is another one."""
        self._tell(self.topics.bridge_devices, payloads.encode(self.announcements.devices()))

    def owner_changed(self, owner: Owner, *, confirmed: bool) -> None:
        """Hand the entities over: first let go of them, and take them away when confirmed."""
        self.announcements.letting_go = owner == "component" and not confirmed
        self._announce()

    def forget_vehicle(self, vehicle: Vehicle, *, clear: bool) -> None:
        """Take a removed vehicle's discovery away, and with `clear` its retained topics."""
        self._dirty.pop(vehicle.key, None)
        self._told_position.pop(vehicle.key, None)
        self._last_alarm.pop(vehicle.key, None)
        self.announcements.removed(vehicle.key)
        for topic in self.announcements.retained_topics(vehicle.key) if clear else ():
            self._told.pop(topic, None)
            # In line behind its rows: an alarm among them must not come after this.
            self._rows.append(_Publication(topic, b"", retain=True))
        self._announce()

    def info(self) -> Any:
        """Return the payload of ``bridge/info``."""
        return self.announcements.info()

    def health(self) -> Any:
        """Return the payload of ``bridge/health``."""
        return self.announcements.health({SINK: self.cursor.lag})

    def identity(self) -> dict[str, Any]:
        """Return who this process is."""
        return self.announcements.identity()

    # --- the connection -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and serve, again and again, until cancelled.

        Raises DuplicateBridgeError where another bridge serves the base topic at the start, and
        BrokerError where the broker refuses us and was never reached before.
        """
        attempt = 0
        while True:
            try:
                if not self._serving:
                    await self._ask_who_else()
                async with self._client(will=True) as client:
                    _log.info("connected to the MQTT broker %s", self._where())
                    attempt = 0
                    self._serving = True
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                wait = self._after(error, attempt)
                attempt += 1
                await asyncio.sleep(wait)
            finally:
                self.connected = False

    def _after(self, error: aiomqtt.MqttError, attempt: int) -> float:
        """Return how long to wait after a failure, or raise where waiting does not help."""
        code = getattr(getattr(error, "rc", None), "value", getattr(error, "rc", None))
        if code in _WRONG_VERSION and len(self._protocols) > 1:
            self._protocols.popleft()
            _log.info("the broker does not speak MQTT 5, trying 3.1.1")
            return 0.0
        if code in _REFUSALS and not self._serving:
            raise BrokerError(
                f"the MQTT broker {self._where()} refuses us: {error}. "
                "Set mqtt.username and mqtt.password; if this is not your broker, set mqtt.host"
            ) from error
        base = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
        if attempt in (0, len(BACKOFF_S)):
            _log.warning(
                "no MQTT broker %s: %s; reports are kept and published when it is back",
                self._where(),
                error,
            )
        return base * random.uniform(0.7, 1.3)  # noqa: S311 - jitter

    def _where(self) -> str:
        return f"{self.host}:{self.config.mqtt.port}"

    def _client(self, *, will: bool) -> Publisher:
        mqtt = self.config.mqtt
        tls = mqtt.tls
        version = self._protocols[0]
        identifier = f"{mqtt.base_topic}-{self.announcements.instance[:8]}-{secrets.token_hex(4)}"
        return Publisher(
            self.host,
            mqtt.port,
            identifier=identifier.replace("/", "-"),
            username=mqtt.username,
            password=mqtt.password.reveal() if mqtt.password else None,
            protocol=version,
            keepalive=mqtt.keepalive,
            timeout=10.0,
            will=(
                aiomqtt.Will(self.topics.bridge_state, OFFLINE, qos=1, retain=True)
                if will
                else None
            ),
            tls_params=(
                aiomqtt.TLSParameters(
                    ca_certs=str(tls.ca) if tls.ca else None,
                    certfile=str(tls.certificate) if tls.certificate else None,
                    keyfile=str(tls.key) if tls.key else None,
                )
                if tls
                else None
            ),
            tls_insecure=tls.insecure if tls else None,
            max_queued_outgoing_messages=0,
            window=self.config.limits.publishes_in_flight,
            acknowledged=self._acknowledged,
        )

    @property
    def _mqtt5(self) -> bool:
        return self._protocols[0] == aiomqtt.ProtocolVersion.V5

    async def _subscribe(self, client: aiomqtt.Client, topic: str) -> None:
        if self._mqtt5:
            # Retained copies stay marked, also while we run (rule R).
            options = SubscribeOptions(qos=1, retainAsPublished=True)
            await client.subscribe(topic, options=options)
        else:
            await client.subscribe(topic, qos=1)

    async def _ask_who_else(self) -> None:
        """Rule B: publish nothing but the question, and give way to a bridge that is there."""
        request, response = self.topics.request("whoami"), self.topics.response("whoami")
        wait = self.config.limits.whoami_s
        async with self._client(will=False) as client:
            await self._subscribe(client, request)
            await self._subscribe(client, response)
            await client.publish(request, payloads.encode(self.identity()), qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    async for message in client.messages:
                        if self._weigh(message, response):
                            # It may have begun to listen only after our question.
                            await client.publish(request, payloads.encode(self.identity()), qos=1)

    def _weigh(self, message: aiomqtt.Message, response: str) -> bool:
        """Whether another bridge asks who is to give way to us; raises where we are to."""
        try:
            body = msgspec.json.decode(_bytes(message))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if message.topic.value == response and isinstance(body, dict):
            body = body.get("data")
        nonce = body.get("nonce") if isinstance(body, dict) else None
        if not isinstance(nonce, str) or nonce == self._nonce or message.retain:
            return False
        serves = message.topic.value == response
        if serves or nonce < self._nonce:
            raise DuplicateBridgeError(
                f"another bridge already serves the topic {self.topics.base!r} on "
                f"{self._where()}. Stop it, or give this one another mqtt.base_topic"
            )
        return True

    async def _serve(self, client: Publisher) -> None:
        """Tell what is, then pump, until the connection is lost or we are cancelled."""
        self.cursor.restart()
        self._rows.clear()
        self._urgent.clear()
        birth = f"{self.config.home_assistant.discovery_prefix}/status"
        for topic in (self.topics.request("#"), self.topics.response("whoami"), birth):
            await self._subscribe(client, topic)
        await client.publish(self.topics.bridge_state, ONLINE, qos=1, retain=True)
        self.connected = True
        self.republish()
        self._tell_vehicles()
        self._send(self.topics.request("whoami"), payloads.encode(self.identity()), retain=False)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client, birth), name="mqtt messages")
                group.create_task(self._tick(), name="mqtt tick")
                group.create_task(self._pump(client), name="mqtt pump")
        except* aiomqtt.MqttError as lost:
            raise _first(lost) from None
        except* asyncio.CancelledError:
            # A clean disconnect sends no last will, so we say it ourselves.
            with contextlib.suppress(aiomqtt.MqttError):
                await client.publish(self.topics.bridge_state, OFFLINE, qos=1, retain=True)
            raise
        finally:
            self.cursor.save()

    async def drained(self) -> None:
        """Return once every committed row is acknowledged by the broker."""
        while not self.connected or self.cursor.lag or self._rows or self._urgent:
            await asyncio.sleep(0.02)

    # --- publishing ---------------------------------------------------------------------------------

    async def _pump(self, client: Publisher) -> None:
        """Keep the window of messages in flight full, in the order of the lines."""
        while True:
            while client.has_room and (self._urgent or self._rows):
                publication = (self._urgent or self._rows).popleft()
                client.post(
                    publication.topic,
                    publication.payload,
                    retain=publication.retain,
                    mark=publication.seq,
                )
            if client.has_room:
                await self._refill()
            else:
                await self._woken()

    def _acknowledged(self, seq: int) -> None:
        """Note that a message of a row (0: of none) has arrived: there is room for another."""
        if seq:
            self.cursor.acknowledged(seq)
        self._wake.set()

    async def _woken(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def _refill(self) -> None:
        """Put the next page of rows in line, and behind it the state it has led to; or wait."""
        page = await self.cursor.page()
        now = self.intake.clock()
        for seq, key, record in page:
            before = len(self._rows)
            if key in self.intake.vehicles:
                self._queue_row(seq, key, record, now)
            self.cursor.opened(seq, len(self._rows) - before)
        if self._dirty:
            self._tell_vehicles()
        elif not page and not self._urgent:
            await self._woken()

    def _queue_row(self, seq: int, key: str, record: Record, now: datetime) -> None:
        place = Place(self._epoch, seq)
        late = payloads.is_late(record, now, self.intake.live_age)
        self._queue(
            key, "history" if late else "report", payloads.report(record, place, late=late), seq
        )
        late_alarm = payloads.is_late_alarm(record, now, self.intake.live_age)
        for ring in record.rings:
            payload = payloads.alarm(record, ring, place, late=late_alarm)
            encoded = payloads.encode(payload)
            if late_alarm:
                self._queue(key, "history", encoded, seq)
            if not late_alarm or ring.alarm is Alarm.SOS:
                self._queue(key, "alarm", encoded, seq)
            rang_at = record.report.device_time or record.report.received_at
            if not late_alarm or rang_at >= self._last_alarm.get(key, (rang_at,))[0]:
                self._last_alarm[key] = (rang_at, encoded)
                self._queue(key, "last_alarm", encoded, seq, retain=True)

    def _queue(
        self, key: str, leaf: str, payload: bytes, seq: int, *, retain: bool = False
    ) -> None:
        self._rows.append(_Publication(self.topics.vehicle(key, leaf), payload, retain, seq))

    def _tell_vehicles(self) -> None:
        """Publish position and state of every vehicle that has something new."""
        now = self.intake.clock()
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            live = self.intake.vehicles.get(key)
            if live is None:
                continue
            place = Place(self._epoch, live.position_seq)
            if self._told_position.get(key) != live.position_seq:
                position = payloads.position(live.state, place)
                if position is not None:
                    self._told_position[key] = live.position_seq
                    self._tell(self.topics.vehicle(key, "position"), payloads.encode(position))
            state = payloads.state(
                live.state,
                name=live.vehicle.name,
                link=self.intake.link(key, now),
                transport=live.transport,
                last_seen=live.last_seen,
                now=now,
                place=Place(self._epoch, live.seq),
            )
            self._tell(self.topics.vehicle(key, "state"), payloads.encode(state))

    def _tell(self, topic: str, payload: bytes) -> None:
        """Publish something retained, if it is not what the broker already has from us."""
        if self.connected and self._told.get(topic) != payload:
            self._told[topic] = payload
            self._send(topic, payload, retain=True)

    def _send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self._urgent.append(_Publication(topic, payload, retain))
        self._wake.set()

    def _announce_in(self, seconds: float) -> None:
        if self._announce_at is None:
            loop = asyncio.get_running_loop()
            self._announce_at = loop.time() + seconds
            loop.call_at(self._announce_at, self._announce_due)

    def _announce_due(self) -> None:
        self._announce_at = None
        self._announce()

    def _announce(self) -> None:
        """Publish info, devices and Home Assistant discovery where they have changed."""
        if not self.connected:
            return
        self.info_changed()
        self._tell(self.topics.bridge_discovery, payloads.encode(self.announcements.discovery()))
        self.vehicles_changed()
        self._tell(self.topics.bridge_health, payloads.encode(self.health()))
        for topic, payload in self.announcements.entities():
            self._discover(topic, payload)

    def _discover(self, topic: str, payload: bytes) -> None:
        """Publish a discovery payload, once Home Assistant has had time for the one before it."""
        if self._told.get(topic) == payload:
            return
        now = asyncio.get_running_loop().time()
        wait = self._discovered_at.get(topic, -math.inf) + DEBOUNCE_S - now
        if wait > 0:
            self._announce_in(wait)
            return
        self._discovered_at[topic] = now
        self._tell(topic, payload)

    async def _tick(self) -> None:
        """Tell what changes by time alone: health, the end of a permission, of an alarm, a link."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self.info_changed()
            self._dirty.update(dict.fromkeys(self.intake.vehicles))
            self._wake.set()
            if not ticks % TICKS_A_HEALTH:
                self._announce()  # health, and a guest that may be gone from its slot

    # --- what comes in ------------------------------------------------------------------------------

    async def _listen(self, client: aiomqtt.Client, birth: str) -> None:
        requests = self.topics.request("")
        whoami = self.topics.response("whoami")
        async for message in client.messages:
            topic = message.topic.value
            if topic == birth:
                if _bytes(message) == ONLINE.encode():
                    # Many integrations answer at once; a little patience spares Home Assistant.
                    asyncio.get_running_loop().call_later(random.uniform(0.2, 1.0), self.republish)  # noqa: S311
            elif topic == whoami:
                self._rival(message)
            elif topic.startswith(requests):
                await self._request(topic, topic.removeprefix(requests), message)

    async def _request(self, topic: str, verb: str, message: aiomqtt.Message) -> None:
        payload = _bytes(message)
        if not payload or self.answer is None:
            return
        if message.retain:
            _log.warning("refused a retained request: %s", verb[:40])
            self._send(topic, b"", retain=True)
            return
        if verb == "whoami" and self._nonce.encode() in payload:
            return
        response = await self.answer(verb, payload)
        if response["status"] == "error":
            _log.info("request %s: %s", verb[:40], response.get("error"))
        name = verb if _is_verb(verb) else "unknown"
        self._send(self.topics.response(name), payloads.encode(response), retain=False)

    def _rival(self, message: aiomqtt.Message) -> None:
        """One that serves never yields; but it says so when it is not alone."""
        try:
            self._weigh(message, self.topics.response("whoami"))
        except DuplicateBridgeError as error:
            now = self.intake.clock()
            if self.intake.strangers.due("rival", now) is not None:
                _log.error("%s", error)
                self.happened({"type": "duplicate_bridge"})


def _is_verb(verb: str) -> bool:
    words = verb.split("/")
    return len(verb) <= 40 and verb.isascii() and all(word.isidentifier() for word in words)


def _bytes(message: aiomqtt.Message) -> bytes:
    payload = message.payload
    return payload if isinstance(payload, bytes) else str(payload).encode()


def _first(errors: BaseExceptionGroup[aiomqtt.MqttError]) -> aiomqtt.MqttError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, aiomqtt.MqttError)  # noqa: S101 - what the group was split by
    return error


_V5, _V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
_VERSIONS = {"auto": (_V5, _V311), "5": (_V5,), "3.1.1": (_V311,)}
