"""The broker: whether it is there, lets us in, keeps what is retained, and loses nothing.

Each examination has a connection of its own, made as the bridge makes its own: one that the broker
hangs up on takes no other with it. What is published lies below ``<base>/bridge/doctor/``.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import aiomqtt

from bridge.config import Mqtt, ProtocolVersion
from bridge.contract import OFFLINE, ONLINE, Topics
from bridge.doctor.finding import Result, bad, ok, plainly, warn
from bridge.doctor.patient import Patient
from bridge.sinks.broker import Broker
from bridge.sinks.publisher import Publisher

LOOPBACK = "127.0.0.1"
PATIENCE_S = 3.0
LONGEST_S = 12.0
"""For one examination."""
BURST = 200
"""Some cars' unsent reports after a blind spot, at once; brokers' usual limit is a thousand."""
ROUNDS = 20
_SLOW_MS = 500.0


@dataclass(slots=True)
class Visit:
    """A patient's broker. `version` is what we were let in with, empty before that."""

    patient: Patient
    version: ProtocolVersion | None = None

    @property
    def topics(self) -> Topics:
        """The bridge's topics."""
        return Topics(self.patient.settings.mqtt.base_topic)

    def line(self, version: ProtocolVersion) -> Line:
        """Return a connection to be."""
        settings = self.patient.settings
        identity = {"instance": "doctor", "nonce": secrets.token_hex(8)}
        broker = Broker(replace(settings.mqtt, protocol=version), settings.limits, identity)
        room = asyncio.Event()
        client = broker.client(lambda _: room.set(), lambda *_: None, will=False)
        return Line(client, self.topics, room)


@dataclass(slots=True)
class Line:
    """One connection, the topic that is its alone, and what has been heard."""

    client: Publisher
    topics: Topics
    room: asyncio.Event
    """Set whenever the broker has acknowledged something."""
    heard: asyncio.Queue[aiomqtt.Message] = field(default_factory=asyncio.Queue)
    probe: str = ""

    def __post_init__(self) -> None:
        self.probe = f"{self.topics.base}/bridge/doctor/{secrets.token_hex(4)}"

    async def subscribe(self, topic: str) -> None:
        """Hear a topic from now on. Raises NotAllowedError."""
        granted = await self.client.subscribe(topic, qos=1)
        if any(getattr(code, "value", code) >= 0x80 for code in granted):
            raise NotAllowedError

    async def next(self, within_s: float = PATIENCE_S) -> aiomqtt.Message | None:
        """Return the next message, None where none comes."""
        try:
            async with asyncio.timeout(within_s):
                return await self.heard.get()
        except TimeoutError:
            return None

    async def hear(self) -> None:
        """Fill `heard` until the broker hangs up, which is raised."""
        async for message in self.client.messages:
            self.heard.put_nowait(message)


class NotAllowedError(Exception):
    """The broker does not let us read a topic."""


async def reach(visit: Visit) -> Result:
    """Whether the broker is there and lets us in, as the bridge would come."""
    mqtt = visit.patient.settings.mqtt
    place = f"{mqtt.host or LOOPBACK}:{mqtt.port}"
    both: tuple[ProtocolVersion, ...] = ("5", "3.1.1")
    faults: dict[str, None] = {}
    for each in both if mqtt.protocol == "auto" else (mqtt.protocol,):
        try:
            async with asyncio.timeout(PATIENCE_S), visit.line(each).client:
                visit.version = each
                who = "as the configured user" if mqtt.username else "without a user"
                return ok(f"{place} lets us in {who}{', over TLS' if mqtt.tls else ''}")
        except TimeoutError as error:
            faults[plainly(error)] = None
        except aiomqtt.MqttError as error:
            faults[str(error)] = None
    if (absence := await _absence(mqtt)) is None:
        return bad(
            f"{place} takes connections, but does not let us in: {'; '.join(faults)}",
            "set mqtt.username and mqtt.password, or mqtt.tls where it wants encryption",
        )
    if mqtt.host is None and not visit.patient.runs:
        return warn(
            f"none is configured and none runs on {place}: the bridge would start a small one that"
            " forgets everything when it stops",
            "install Mosquitto, and name it with mqtt.host",
        )
    return bad(
        f"nobody answers on {place}: {absence}",
        "start it, or set mqtt.host and mqtt.port; reports are kept until it is there",
    )


async def _absence(mqtt: Mqtt) -> str | None:
    """Return why nobody takes connections there, None where somebody does."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(mqtt.host or LOOPBACK, mqtt.port)
    except OSError as error:  # which a timeout is too
        return plainly(error)
    writer.close()
    return None


def spoken(visit: Visit) -> Result:
    """Which MQTT is spoken."""
    if visit.version == "5":
        return ok("MQTT 5")
    chosen = visit.patient.settings.mqtt.protocol == "3.1.1"
    return warn(
        f"MQTT 3.1.1{', as mqtt.protocol says' if chosen else ' only'}: a command that lies"
        " retained cannot be told from one that is meant now, so the dangerous ones are refused",
        "let mqtt.protocol be auto" if chosen else "take a broker with MQTT 5: Mosquitto 2 has it",
    )


async def retained(line: Line) -> Result:
    """Whether what is retained is there for whoever comes later."""
    await line.client.publish(line.probe, b"kept", qos=1, retain=True)
    try:
        await line.subscribe(line.probe)
        found = await line.next()
    finally:
        await line.client.publish(line.probe, b"", qos=1, retain=True)
    if found is None:
        return bad(
            "what is retained does not come back: after its restart Home Assistant would know"
            " nothing of your vehicles",
            f"let the broker retain messages, and its user write {line.topics.base}/#",
        )
    return ok("is kept, and was cleared again")


async def queue(line: Line) -> Result:
    """Whether a burst arrives whole at a listener that does not take it at once."""
    # What we do not acknowledge fills the window, and then the broker's queue for us.
    paho = line.client._client  # noqa: SLF001 - aiomqtt acknowledges by itself and cannot be told
    paho.manual_ack_set(on=True)
    await line.subscribe(line.probe)
    for number in range(BURST):
        while not line.client.has_room:
            line.room.clear()
            await line.room.wait()
        line.client.post(line.probe, b"%d" % number, retain=False, mark=number)
    arrived: set[bytes] = set()
    while len(arrived) < BURST and (message := await line.next(within_s=1.0)) is not None:
        arrived.add(_payload(message))
        paho.ack(message.mid, message.qos)
    if len(arrived) < BURST:
        return warn(
            f"of a burst of {BURST} messages {len(arrived)} arrived: the broker drops what a"
            " listener does not take at once, so Home Assistant may miss reports and alarms",
            "let max_queued_messages (Mosquitto), or what your broker calls it, be 1000 or more",
        )
    return ok(f"a burst of {BURST} messages arrived whole, though it was not taken at once")


async def delay(line: Line) -> Result:
    """How long a message takes to the broker and back."""
    await line.subscribe(line.probe)
    took_ms = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        await line.client.publish(line.probe, b"?", qos=1)
        if await line.next() is None:
            return bad(f"a message did not come back within {PATIENCE_S:g} s", "see its log")
        took_ms.append((time.monotonic() - start) * 1000)
    median, most = statistics.median(took_ms), max(took_ms)
    words = f"to the broker and back in {median:.1f} ms, {most:.1f} ms at most"
    if median > _SLOW_MS:
        return warn(f"{words}: slow", "every alarm is that late; see network and broker")
    return ok(words)


async def told_online(line: Line) -> Result:
    """Whether the base topic says that our bridge is there."""
    return await _bridge_state(
        line,
        right=ONLINE,
        wrong=bad(
            "though a bridge runs here: it does not reach the broker with these settings, or"
            " another one with its base topic was stopped",
            "see its log; give each bridge a mqtt.base_topic of its own",
        ),
    )


async def told_offline(line: Line) -> Result:
    """Whether the base topic says that no bridge is there, as ours is not."""
    return await _bridge_state(
        line,
        right=OFFLINE,
        wrong=warn(
            "though no bridge runs on this data folder: another one uses this base topic, or ours"
            " has died in the last minutes",
            "where another one runs, this one will not start: see mqtt.base_topic",
        ),
    )


async def _bridge_state(line: Line, *, right: str, wrong: Result) -> Result:
    topic = line.topics.bridge_state
    await line.subscribe(topic)
    message = await line.next(within_s=1.0)
    said = _payload(message).decode("utf-8", "replace")[:20] if message is not None else "nothing"
    words = f"{topic} says {said}"
    if said == right or (message is None and right == OFFLINE):
        return ok(words)
    return wrong._replace(words=f"{words}, {wrong.words}")


def _payload(message: aiomqtt.Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""


def on_a_line(examine: Callable[[Line], Awaitable[Result]]) -> Callable[[Visit], Awaitable[Result]]:
    """Return an examination of a visit that is done on a connection of its own."""

    async def examined(visit: Visit) -> Result:
        assert visit.version is not None  # noqa: S101 - examined once we were let in
        base = visit.topics.base
        line = visit.line(visit.version)
        result = bad("the broker hung up")
        try:
            async with asyncio.timeout(LONGEST_S), line.client, asyncio.TaskGroup() as group:
                hearing = group.create_task(line.hear())
                result = await examine(line)
                hearing.cancel()
        except* aiomqtt.MqttError as faults:
            fault = faults.exceptions[0]
            result = bad(
                f"the broker hung up: {fault.__cause__ or fault}",
                "let it allow what is examined here; its log says more",
            )
        except* TimeoutError:
            result = bad(f"no answer within {LONGEST_S:g} s", "see the broker's log")
        except* NotAllowedError:
            result = bad(
                f"the broker does not let us read below {base}/",
                f"allow its user to read and write {base}/#",
            )
        return result

    return examined
