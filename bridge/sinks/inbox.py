"""What others want of the bridge: requests, commands on vehicles' topics, texts from a gateway.

What is retained wants nothing now: it is refused, and taken off its topic (rule R).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiomqtt

from bridge import payloads
from bridge.contract import CommandResult, Response, Topics
from bridge.sinks.broker import body_of
from bridge.sinks.outbox import Outbox

_log = logging.getLogger(__name__)

SLOW = frozenset({"backup"})
"""Requests that may take minutes, so that nobody else's should wait for them."""

Answer = Callable[[str, bytes], Awaitable[Response]]
Order = Callable[[str, bytes], CommandResult | None]
Text = Callable[[bytes], None]


class Inbox:
    """Hands on what comes and puts the answer in line; what nobody is there for is let go.

    `nonce` tells our own question who else is there from that of another bridge.
    """

    def __init__(self, topics: Topics, outbox: Outbox, nonce: str) -> None:
        self.answer: Answer | None = None
        self.order: Order | None = None
        """Takes a command from a vehicle's topic; returns what is to be answered at once."""
        self.text: Text | None = None
        """Takes a text message from a gateway."""
        self._topics = topics
        self._outbox = outbox
        self._nonce = nonce.encode()
        self._requests = topics.request("")
        self._vehicles = topics.vehicle("", "").removesuffix("/")

    async def take(self, message: aiomqtt.Message, aside: asyncio.TaskGroup) -> None:
        """Take a message; `aside` is for requests that may take long."""
        topic = message.topic.value
        if topic.startswith(self._requests):
            verb = topic.removeprefix(self._requests)
            request = self._request(topic, verb, message)
            if verb in SLOW:
                aside.create_task(request, name=f"request {verb}")
            else:
                await request
        elif topic == self._topics.sms_in:
            if self._is_fresh(topic, message) and self.text is not None:
                self.text(body_of(message))
        elif topic.startswith(self._vehicles):
            self._command(topic, message)

    def _is_fresh(self, topic: str, message: aiomqtt.Message) -> bool:
        """Whether a message says something, now; a retained one is taken off its topic."""
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
            self._outbox.send(self._topics.vehicle(key, "command/result"), payloads.encode(answer))

    async def _request(self, topic: str, verb: str, message: aiomqtt.Message) -> None:
        payload = body_of(message)
        if not self._is_fresh(topic, message) or self.answer is None:
            return
        if verb == "whoami" and self._nonce in payload:
            return
        response = await self.answer(verb, payload)
        if response["status"] == "error":
            _log.info("request %s: %s", verb[:40], response.get("error"))
        name = verb if _is_verb(verb) else "unknown"
        self._outbox.send(self._topics.response(name), payloads.encode(response))


def _is_verb(verb: str) -> bool:
    words = verb.split("/")
    return len(verb) <= 40 and verb.isascii() and all(word.isidentifier() for word in words)
