"""docs/asyncapi.yaml: every topic and payload, as AsyncAPI 3, made out of `bridge.contract`.

Objects are open in the document, as new fields may come at any time. `closed` shuts them: what the
bridge says today has no field that stands nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import yaml

from bridge import __version__
from bridge.contract import OFFLINE, ONLINE, VEHICLE_LEAVES, Topics
from tests.reference import sources
from tests.reference.schemas import TRANSACTION, Schema, note_of, ref, schemas
from tests.reference.verbs import VERBS

TOPICS = Topics("tk103b")
KEY = "{key}"


class Channel(NamedTuple):
    """A topic: what stands on it, and who says it."""

    name: str
    topic: str
    payload: Schema
    says: Literal["bridge", "others"]
    retained: bool = False
    summary: str = ""
    answered_on: str = ""
    """The channel of the answer."""
    text: bool = False
    """Plain text, no JSON."""


def document() -> dict[str, Any]:
    """Return the AsyncAPI document."""
    channels = list(_channels())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "TK103B Bridge",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "localhost:1883",
                "protocol": "mqtt",
                "description": "Your broker: `mqtt` in the configuration. MQTT 5, or 3.1.1.",
            }
        },
        "channels": {channel.name: _channel(channel) for channel in channels},
        "operations": {channel.name: _operation(channel) for channel in channels},
        "components": {
            "messages": {channel.name: _message(channel) for channel in channels},
            "schemas": schemas(),
        },
    }


def render() -> str:
    """Return the document as YAML."""
    body = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"# Made by `make reference` from bridge/contract.py. Do not edit.\n{body}"


def request_name(verb: str) -> str:
    """Return the channel that a request is made on."""
    return _camel("request", *verb.split("/"))


def closed(schema: Any) -> Any:
    """Return a schema, or any part of a document, whose objects have the named fields only."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner


_DESCRIPTION = """\
What TK103B Bridge says and hears over MQTT. `tk103b` is the base topic, `mqtt.base_topic` in the
configuration. Everything is sent with QoS 1. Times are RFC 3339, UTC. What is absent is unknown; no
field is ever null. New fields may come at any time. An empty retained message means that a topic
was cleared. What the fields mean is told in topics.md.
"""


# --- topics ---------------------------------------------------------------------------------------


def _channels() -> Iterator[Channel]:
    for leaf, summary, payload in _LEAVES:
        others = leaf == "command"
        yield Channel(
            name=_camel("vehicle", *leaf.split("/")),
            topic=TOPICS.vehicle(KEY, leaf),
            payload=payload,
            says="others" if others else "bridge",
            retained=VEHICLE_LEAVES[leaf],
            summary=summary,
            answered_on="vehicleCommandResult" if others else "",
        )
    online = {"type": "string", "enum": [ONLINE, OFFLINE]}
    yield Channel("bridgeState", TOPICS.bridge_state, online, "bridge", retained=True, text=True,
                  summary="Whether the bridge is there; also its last will.")  # fmt: skip
    for name, topic, retained, summary in (
        ("Info", TOPICS.bridge_info, True, "What the bridge is and how it is set up."),
        ("Discovery", TOPICS.bridge_discovery, True, "Which bridge this is, for those who look."),
        ("Devices", TOPICS.bridge_devices, True, "The vehicles, and the trackers that wait."),
        ("Happening", TOPICS.bridge_event, False, "What happened, once."),
        ("Health", TOPICS.bridge_health, True, "How the bridge is, every minute."),
    ):
        yield Channel(f"bridge{name}", topic, ref(name), "bridge", retained, summary)
    yield Channel("smsIn", TOPICS.sms_in, ref("ReceivedText"), "others",
                  summary="A text message that a gateway has received.")  # fmt: skip
    yield Channel("smsOut", TOPICS.sms_out, ref("TextToSend"), "bridge",
                  summary="A text message for a gateway to send.")  # fmt: skip
    for verb in VERBS:
        yield from _request(verb)


_LEAVES: tuple[tuple[str, str, Schema], ...] = (
    ("position", "The last good live fix.", ref("Position")),
    ("state", "Everything known now.", ref("State")),
    ("alarm", "An alarm began.", ref("AlarmPayload")),
    ("last_alarm", "The newest alarm.", ref("AlarmPayload")),
    ("report", "Every live report, as decoded.", ref("ReportPayload")),
    (
        "history",
        "Reports and alarms that are old news.",
        {"anyOf": [ref("ReportPayload"), ref("AlarmPayload")]},
    ),
    ("trip", "A trip ended, or was counted anew.", ref("TripPayload")),
    (
        "command",
        "Give the tracker a command: its word alone, or an object.",
        {"anyOf": [ref("Order"), {"type": "string"}]},
    ),
    ("command/result", "One step of a command.", ref("CommandResult")),
)


def _request(verb: str) -> Iterator[Channel]:
    asked, answered = request_name(verb), _camel("response", *verb.split("/"))
    takes, answers, does = VERBS[verb]
    said = does or note_of(takes.__name__) or sources.words(takes.__doc__ or "")
    request = (
        {"allOf": [ref("Order"), {"properties": {"key": _KEY}, "required": ["key"]}]}
        if verb == "device/command"
        else _with({"transaction": TRANSACTION}, ref(takes.__name__))
    )
    yield Channel(
        asked, TOPICS.request(verb), request, "others", summary=said, answered_on=answered
    )
    yield Channel(answered, TOPICS.response(verb), _answer(answers), "bridge",
                  summary=f"The answer to `{verb}`.")  # fmt: skip


_KEY: Schema = {"type": "string", "description": "Of the vehicle."}


def _with(more: Schema, schema: Schema) -> Schema:
    return {"allOf": [schema, {"properties": more}]}


def _answer(answers: Any) -> Schema:
    data = ref(answers.__name__)
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "status": {"const": "ok"}, "data": data, "transaction": TRANSACTION,
                },
                "required": ["status", "data"],
            },
            ref("Failure"),
        ]
    }  # fmt: skip


def _camel(first: str, *words: str) -> str:
    return first + "".join(word.capitalize() for each in words for word in each.split("_"))


def _channel(channel: Channel) -> dict[str, Any]:
    found: dict[str, Any] = {"address": channel.topic}
    if channel.summary:
        found["summary"] = channel.summary
    if KEY in channel.topic:
        found["parameters"] = {"key": {"description": "Of the vehicle: a-z, 0-9 and _."}}
    found["messages"] = {"message": {"$ref": f"#/components/messages/{channel.name}"}}
    return found


def _operation(channel: Channel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "action": "send" if channel.says == "bridge" else "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {
            "mqtt": {"qos": 1, "retain": channel.retained, "bindingVersion": "0.2.0"},
        },
    }
    if channel.answered_on:
        found["reply"] = {"channel": {"$ref": f"#/channels/{channel.answered_on}"}}
    return found


def _message(channel: Channel) -> dict[str, Any]:
    plain = {"contentType": "text/plain"} if channel.text else {}
    return {"name": channel.name, **plain, "payload": channel.payload}


def _text_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


class _Dumper(yaml.SafeDumper):
    """Writes every value out, wherever it is repeated."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as it is called
        return True


_Dumper.add_representer(str, _text_block)
