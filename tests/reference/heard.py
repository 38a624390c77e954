"""Whether messages are what docs/asyncapi.yaml says of their topics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import fastjsonschema

from tests.reference import asyncapi

Message = tuple[str, bytes]
"""Topic and payload."""

_OTHERS = ("request/", "response/", "doctor/")
"""Below these may stand what the document does not name: requests that nobody knows and that are
refused, and what the doctor says to itself."""


def complaints(messages: Iterable[Message], base: str = asyncapi.TOPICS.base) -> list[str]:
    """Return what is wrong with what a bridge has said below its base topic.

    An empty payload clears a topic, and is right everywhere.
    """
    return list(dict.fromkeys(_complaints(messages, base)))


def _complaints(messages: Iterable[Message], base: str) -> Iterator[str]:
    for topic, payload in messages:
        if not topic.startswith(f"{base}/") or not payload:
            continue
        name = channel_of(asyncapi.TOPICS.base + topic.removeprefix(base))
        if name is None:
            if not topic.startswith(tuple(f"{base}/bridge/{word}" for word in _OTHERS)):
                yield f"{topic}: no such topic"
        elif _document()["operations"][name]["action"] == "send":
            try:
                _check(name)(_value(name, payload))
            except (fastjsonschema.JsonSchemaValueException, ValueError) as wrong:
                yield f"{topic}: {wrong}: {payload[:300]!r}"


def request_check(topic: str, payload: bytes) -> str | None:
    """Return what is wrong with what somebody says to the bridge, None where it is right."""
    name = channel_of(topic)
    if name is None or _document()["operations"][name]["action"] != "receive":
        return f"{topic}: nothing hears there"
    try:
        _check(name)(_heard(name, payload))
    except (fastjsonschema.JsonSchemaValueException, ValueError) as wrong:
        return f"{topic}: {wrong}"
    return None


@cache
def channel_of(topic: str) -> str | None:
    """Return the name of the channel that a topic belongs to."""
    for name, channel in _document()["channels"].items():
        pattern = re.escape(channel["address"]).replace(re.escape(asyncapi.KEY), "[a-z0-9_]+")
        if re.fullmatch(pattern, topic):
            return str(name)
    return None


@cache
def _document() -> dict[str, Any]:
    """Return the document with every object closed: a field that it does not name is a mistake."""
    document: dict[str, Any] = asyncapi.closed(asyncapi.document())
    return document


@cache
def _check(name: str) -> Callable[[Any], Any]:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "components": _document()["components"],
        "$ref": f"#/components/messages/{name}/payload",
    }
    check: Callable[[Any], Any] = fastjsonschema.compile(schema, use_default=False)
    return check


def _heard(name: str, payload: bytes) -> Any:
    """Return a payload as the bridge reads it: a command may be its word alone."""
    if name == "vehicleCommand" and not payload.startswith(b"{"):
        return payload.decode()
    return json.loads(payload)


def _value(name: str, payload: bytes) -> Any:
    plain = _document()["components"]["messages"][name].get("contentType") == "text/plain"
    return payload.decode() if plain else json.loads(payload)
