"""How the broker is reached: options, the fall-back to MQTT 3.1.1, patience, and rule B.

Rule B: two bridges on one base topic would tell every car twice. So a newcomer asks, on a
connection without a will, who serves the topic already, and gives way to whoever answers; of two
that ask at once the one with the lower nonce stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import aiomqtt
import msgspec
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge import payloads
from bridge.config import Limits, Mqtt
from bridge.contract import OFFLINE, Topics
from bridge.errors import BrokerError, DuplicateBridgeError
from bridge.sinks.publisher import Publisher

_log = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

_REFUSALS = frozenset({4, 5, 134, 135, 0x8C})
"""CONNACK codes of a broker that knows us and will not have us: 3.1.1 and 5, user or rights."""
_WRONG_VERSION = frozenset({1, 132})

_V5, _V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
_VERSIONS = {"auto": (_V5, _V311), "5": (_V5,), "3.1.1": (_V311,)}


class Broker:
    """One broker, as `mqtt` names it. `identity` says who this process is, its nonce included."""

    def __init__(self, mqtt: Mqtt, limits: Limits, identity: dict[str, Any]) -> None:
        self.topics = Topics(mqtt.base_topic)
        self.host = mqtt.host or "127.0.0.1"
        self.served = False
        """It has had us once: from then on we never give way and never give up."""
        self._mqtt = mqtt
        self._limits = limits
        self._identity = identity
        self._protocols = deque(_VERSIONS[mqtt.protocol])

    def __str__(self) -> str:
        return f"{self.host}:{self._mqtt.port}"

    @property
    def question(self) -> tuple[str, bytes]:
        """Topic and payload that ask who serves the base topic."""
        return self.topics.request("whoami"), payloads.encode(self._identity)

    @property
    def sees_retained(self) -> bool:
        """Whether a retained message is told from a live one also while we run."""
        return self._protocols[0] is _V5

    def client(
        self,
        acknowledged: Callable[[int], None],
        refused: Callable[[str, str], None],
        *,
        will: bool = True,
    ) -> Publisher:
        """Return a client for one connection, to be entered."""
        mqtt, tls = self._mqtt, self._mqtt.tls
        instance = str(self._identity["instance"])[:8]
        identifier = f"{mqtt.base_topic}-{instance}-{secrets.token_hex(4)}"
        last_will = aiomqtt.Will(self.topics.bridge_state, OFFLINE, qos=1, retain=True)
        return Publisher(
            self.host,
            mqtt.port,
            identifier=identifier.replace("/", "-"),
            username=mqtt.username,
            password=mqtt.password.reveal() if mqtt.password else None,
            protocol=self._protocols[0],
            keepalive=mqtt.keepalive,
            timeout=10.0,
            will=last_will if will else None,
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
            # Else an acknowledgement of ours may hold the next message back for 40 ms.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
            window=self._limits.publishes_in_flight,
            acknowledged=acknowledged,
            refused=refused,
        )

    async def subscribe(self, client: aiomqtt.Client, topic: str) -> None:
        """Subscribe at QoS 1; with MQTT 5 retained copies stay marked while we run (rule R)."""
        if self._protocols[0] is _V5:
            options = SubscribeOptions(qos=1, retainAsPublished=True)
            granted = await client.subscribe(topic, options=options)
        else:
            granted = await client.subscribe(topic, qos=1)
        if any(getattr(code, "value", code) >= 0x80 for code in granted):
            _log.error("the broker %s does not let us read %s: check its access rules", self, topic)

    def patience_s(self, error: aiomqtt.MqttError, attempt: int) -> float:
        """Return how long to wait after a failure, or raise where waiting does not help."""
        code = getattr(getattr(error, "rc", None), "value", getattr(error, "rc", None))
        if code in _WRONG_VERSION and len(self._protocols) > 1:
            self._protocols.popleft()
            _log.info("the broker does not speak MQTT 5, trying 3.1.1")
            return 0.0
        if code in _REFUSALS and not self.served:
            raise BrokerError(
                f"the MQTT broker {self} refuses us: {error}. "
                "Set mqtt.username and mqtt.password; if this is not your broker, set mqtt.host"
            ) from error
        if attempt in (0, len(BACKOFF_S)):
            _log.warning(
                "no MQTT broker %s: %s; reports are kept and published when it is back", self, error
            )
        base = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
        return base * random.uniform(0.7, 1.3)  # noqa: S311 - jitter

    async def ask_who_else(self) -> None:
        """Publish nothing but the question; raise DuplicateBridgeError where we must give way."""
        topic, question = self.question
        async with self.client(_nothing, _nothing, will=False) as client:
            await self.subscribe(client, topic)
            await self.subscribe(client, self.topics.response("whoami"))
            await client.publish(topic, question, qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.whoami_s):
                    async for message in client.messages:
                        if self.weigh(message):
                            # It may have begun to listen only after our question.
                            await client.publish(topic, question, qos=1)

    def weigh(self, message: aiomqtt.Message) -> bool:
        """Whether another bridge asks who is to give way to us; raises where we are to."""
        try:
            body = msgspec.json.decode(body_of(message))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        serves = message.topic.value == self.topics.response("whoami")
        if serves and isinstance(body, dict):
            body = body.get("data")
        nonce = body.get("nonce") if isinstance(body, dict) else None
        if not isinstance(nonce, str) or message.retain or nonce == self._identity["nonce"]:
            return False
        if serves or nonce < self._identity["nonce"]:
            raise DuplicateBridgeError(
                f"another bridge already serves the topic {self.topics.base!r} on {self}. "
                "Stop it, or give this one another mqtt.base_topic"
            )
        return True


def _nothing(*_: object) -> None:
    """Nothing is posted where this is called back."""


def body_of(message: aiomqtt.Message) -> bytes:
    """Return the payload of a message as bytes."""
    payload = message.payload
    return payload if isinstance(payload, bytes) else str(payload).encode()
