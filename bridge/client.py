"""Asking a running bridge from outside: requests over MQTT, and what it keeps retained there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiomqtt
import msgspec

from bridge.config import Config
from bridge.contract import OFFLINE, ONLINE, Topics
from bridge.errors import RequestError

PATIENCE_S = 3.0

Body = dict[str, Any]


class NoAnswerError(Exception):
    """No bridge answered: no broker there, or nobody behind it."""


class Notice(NamedTuple):
    """What was published: a JSON object, and whether it was retained when we came to listen."""

    topic: str
    body: Body
    kept: bool


class Bridge:
    """A running bridge, reached through its broker; made by `reached`."""

    def __init__(self, client: aiomqtt.Client, topics: Topics) -> None:
        self._client = client
        self._topics = topics
        self._online = False

    async def ask(self, verb: str, body: Body) -> Body:
        """Send a request and return the data of its answer.

        Raises RequestError with the bridge's words, NoAnswerError where none come.
        """
        transaction = secrets.token_hex(8)
        response = self._topics.response(verb)
        async with _patience():
            await self._client.subscribe(response, qos=1)
            payload = msgspec.json.encode({**body, "transaction": transaction})
            await self._client.publish(self._topics.request(verb), payload, qos=1)
            answer: Body = {}
            while answer.get("transaction") != transaction:
                answer = await self._next(response)
        if answer.get("status") != "ok":
            raise RequestError(str(answer.get("error", "refused")))
        data: Body = answer["data"]
        return data

    async def command(self, key: str, body: Body) -> AsyncIterator[Body]:
        """Give a vehicle a command; yield each of its steps up to the final one.

        Raises RequestError with the bridge's words, NoAnswerError where none come.
        """
        transaction = secrets.token_hex(8)
        response = self._topics.response("device/command")
        result = self._topics.vehicle(key, "command/result")
        steps: list[Body] = []
        async with _patience():
            for topic in (response, result):
                await self._client.subscribe(topic, qos=1)
            payload = msgspec.json.encode({**body, "key": key, "transaction": transaction})
            await self._client.publish(self._topics.request("device/command"), payload, qos=1)
            # What a quick tracker has brought about may be told before the answer is.
            while True:
                topic, said = await self._said(response, result)
                if said.get("transaction") != transaction:
                    continue
                if topic == result:
                    steps.append(said)
                elif said.get("status") == "ok":
                    steps = steps or [said["data"]]
                    break
                else:
                    raise RequestError(str(said.get("error", "refused")))
        told = ""
        while True:
            for step in steps:
                if step["status"] != told:  # the answer may tell of what is told on the topic, too
                    told = step["status"]
                    yield step
                if step.get("final"):
                    return
            _, said = await self._said(result)
            steps = [said] if said.get("transaction") == transaction else []

    async def retained(self, topic: str) -> Body:
        """Return the JSON object that a bridge which is there keeps on a topic.

        Raises NoAnswerError where there is none: what one that has stopped left behind may be old.
        """
        async with _patience():
            await self._client.subscribe(topic, qos=1)
            found = await self._next(topic)
            while not self._online:
                await self._hear(self._topics.bridge_state)
            return found

    async def listen(self, topics: Iterable[str]) -> AsyncIterator[Notice]:
        """Yield what is said on topics, first what is retained; by then all of them are heard.

        Raises NoAnswerError once the bridge or its broker goes away.
        """
        wanted = (self._topics.bridge_state, *topics)
        async with _patience():
            for topic in wanted:
                await self._client.subscribe(topic, qos=1)
        try:
            async for message in self._client.messages:
                topic, payload = message.topic.value, message.payload
                if topic == self._topics.bridge_state and payload == OFFLINE.encode():
                    raise NoAnswerError("the bridge was stopped")
                body = _object(payload) if topic in wanted else None
                if body is not None:
                    yield Notice(topic, body, kept=message.retain)
        except aiomqtt.MqttError as error:
            raise NoAnswerError(str(error)) from None
        raise NoAnswerError("the broker hung up")

    async def _said(self, *topics: str) -> tuple[str, Body]:
        """Return what is said next on one of these topics, and on which."""
        try:
            async for message in self._client.messages:
                topic, payload = message.topic.value, message.payload
                if topic == self._topics.bridge_state and payload == OFFLINE.encode():
                    raise NoAnswerError("no bridge runs")
                body = _object(payload) if topic in topics else None
                if body is not None:
                    return topic, body
        except aiomqtt.MqttError as error:
            raise NoAnswerError(str(error)) from None
        raise NoAnswerError("the broker hung up")

    async def _next(self, topic: str) -> Body:
        """Return the next JSON object of a topic."""
        while True:
            found = msgspec.json.decode(await self._hear(topic))
            if isinstance(found, dict):
                return found

    async def _hear(self, topic: str) -> bytes:
        """Return the next payload of a topic; raise once the bridge says that it is not there."""
        async for message in self._client.messages:
            payload = message.payload
            if message.topic.value == self._topics.bridge_state:
                if payload == OFFLINE.encode():
                    raise NoAnswerError("no bridge runs")
                self._online = payload == ONLINE.encode()
            if message.topic.value == topic and isinstance(payload, bytes):
                return payload
        raise NoAnswerError("the broker hung up")


def _object(payload: object) -> Body | None:
    """Return a JSON object, None for anything else, as a state in plain text or a cleared topic."""
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(payload, type=Body) if isinstance(payload, bytes) else None
    return None


@asynccontextmanager
async def reached(config: Config) -> AsyncIterator[Bridge]:
    """Connect to the broker as configured. Raises NoAnswerError where it does not let us."""
    topics = Topics(config.mqtt.base_topic)
    async with AsyncExitStack() as stack:
        async with _patience():
            client = await stack.enter_async_context(_client(config))
            await client.subscribe(topics.bridge_state, qos=1)
        yield Bridge(client, topics)


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    """Raise NoAnswerError where the body takes too long or the broker is lost."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except TimeoutError:
        raise NoAnswerError(f"no answer within {PATIENCE_S:g} s") from None
    except (aiomqtt.MqttError, msgspec.DecodeError) as error:
        raise NoAnswerError(str(error)) from None


def _client(config: Config) -> aiomqtt.Client:
    mqtt = config.mqtt
    tls = mqtt.tls
    return aiomqtt.Client(
        mqtt.host or "127.0.0.1",
        mqtt.port,
        identifier=f"tk103b-cli-{secrets.token_hex(4)}",
        username=mqtt.username,
        password=mqtt.password.reveal() if mqtt.password else None,
        # What every broker speaks, unless somebody says that theirs does not.
        protocol=aiomqtt.ProtocolVersion.V5 if mqtt.protocol == "5" else None,
        timeout=PATIENCE_S,
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
    )
