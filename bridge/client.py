"""Asking a running bridge from outside: one request over MQTT, one answer."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import aiomqtt
import msgspec

from bridge.config import Config
from bridge.contract import Topics
from bridge.errors import RequestError

PATIENCE_S = 3.0


class NoAnswerError(Exception):
    """No bridge answered: no broker there, or nobody behind it."""


async def ask(config: Config, verb: str, body: dict[str, Any]) -> Any:
    """Send a request and return the data of its answer.

    Raises RequestError with the bridge's words, NoAnswerError where none comes in `PATIENCE_S`.
    """
    topics = Topics(config.mqtt.base_topic)
    transaction = secrets.token_hex(8)
    try:
        async with asyncio.timeout(PATIENCE_S), _client(config) as client:
            await client.subscribe(topics.response(verb), qos=1)
            payload = msgspec.json.encode({**body, "transaction": transaction})
            await client.publish(topics.request(verb), payload, qos=1)
            async for message in client.messages:
                answer = msgspec.json.decode(message.payload)
                if isinstance(answer, dict) and answer.get("transaction") == transaction:
                    break
    except (aiomqtt.MqttError, TimeoutError, msgspec.DecodeError) as error:
        raise NoAnswerError(str(error)) from None
    if answer["status"] != "ok":
        raise RequestError(str(answer.get("error", "refused")))
    return answer.get("data")


async def retained(config: Config, topic: str) -> Any:
    """Return the JSON kept on a topic. Raises NoAnswerError where there is none."""
    try:
        async with asyncio.timeout(PATIENCE_S), _client(config) as client:
            await client.subscribe(topic, qos=1)
            async for message in client.messages:
                return msgspec.json.decode(message.payload)
    except (aiomqtt.MqttError, TimeoutError, msgspec.DecodeError) as error:
        raise NoAnswerError(str(error)) from None
    raise NoAnswerError(topic)


def _client(config: Config) -> aiomqtt.Client:
    mqtt = config.mqtt
    tls = mqtt.tls
    return aiomqtt.Client(
        mqtt.host or "127.0.0.1",
        mqtt.port,
        identifier=f"tk103b-cli-{secrets.token_hex(4)}",
        username=mqtt.username,
        password=mqtt.password.reveal() if mqtt.password else None,
        protocol=aiomqtt.ProtocolVersion.V311,
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
