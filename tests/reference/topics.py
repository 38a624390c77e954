"""docs/reference/topics.md: every topic and field as tables, made out of the AsyncAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bridge import contract
from tests.reference import asyncapi, verbs
from tests.reference.markdown import code, page, sentence, table
from tests.reference.verbs import VERBS


def render() -> str:
    """Return the page."""
    return page("MQTT: every topic and field", _blocks(asyncapi.document()))


def _blocks(document: dict[str, Any]) -> Iterator[str]:
    yield (
        "What the fields mean, and how to use them, stands in [topics](../topics.md). The same for"
        " programs, as AsyncAPI 3: [asyncapi.yaml](../asyncapi.yaml). Fields with a star are always"
        " there."
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    messages = document["components"]["messages"]
    channels = document["channels"]
    told = {name for name in channels if not name.startswith(("request", "response"))}
    for title, action in (("The bridge says", "send"), ("The bridge hears", "receive")):
        yield f"## {title}\n"
        rows = [
            (
                _address(channels[name]),
                sentence(channels[name].get("summary", "")),
                "yes" if operation["bindings"]["mqtt"]["retain"] else "",
                _type(messages[name]["payload"]),
            )
            for name, operation in document["operations"].items()
            if name in told and operation["action"] == action
        ]
        yield table(("topic", "", "retained", "payload"), rows)
    yield "## Requests\n"
    yield (
        "To `bridge/request/VERB`; the answer comes on `bridge/response/VERB`, with `status`,"
        " `data` or `error`, and your `transaction`."
    )
    yield table(("verb", "", "fields", "data"), _requests(document))
    yield "## Payloads\n"
    small = {kind.takes.__name__ for kind in VERBS.values()} | {
        kind.answers.__name__ for kind in VERBS.values() if _is_small(kind.answers)
    }
    for name, schema in schemas.items():
        if schema.get("properties") and name not in small and not _is_command(schema):
            yield f"### {name}\n"
            yield sentence(schema.get("description", ""))
            yield _fields(schema)
    yield "### Order\n"
    yield "A command and its arguments; beside them `transaction`, `by` and `ttl_s`."
    yield _orders(schemas)


def _requests(document: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    schemas = document["components"]["schemas"]
    for verb, (takes, answers, _) in VERBS.items():
        channel = document["channels"][asyncapi.request_name(verb)]
        yield (
            code(verb),
            sentence(channel.get("summary", "")),
            "`key` *, and as [Order](#order)"
            if verb == "device/command"
            else _inline(schemas[takes.__name__]),
            _inline(schemas[answers.__name__])
            if _is_small(answers)
            else _type({"$ref": answers.__name__}),
        )


def _is_small(kind: type[Any]) -> bool:
    """Whether it stands in the table of the requests: it is nobody else's."""
    return kind.__module__ == verbs.__name__


def _inline(schema: dict[str, Any]) -> str:
    """Return the fields of a small object, each with what it can be and what is said of it."""
    required = schema.get("required", ())
    said = []
    for name, field in schema["properties"].items():
        note = field.get("description", "").rstrip(".")
        said.append(
            f"{code(name)}{' *' if name in required else ''}: {_type(field)}"
            f"{f' ({note[:1].lower()}{note[1:]})' if note else ''}"
        )
    return "<br>".join(said)


def _orders(schemas: dict[str, Any]) -> str:
    rows = []
    for schema in schemas.values():
        if not _is_command(schema):
            continue
        (word,) = schema["properties"]["command"]["enum"]
        own = {
            name: field
            for name, field in schema["properties"].items()
            if name not in {"command", "transaction", "by", "ttl_s"}
        }
        arguments = [f"{code(name)} {_type(field)}".strip() for name, field in own.items()]
        rows.append((code(word), sentence(schema["description"]), "; ".join(arguments)))
    return table(("command", "", "arguments"), rows)


def _is_command(schema: dict[str, Any]) -> bool:
    return "ttl_s" in schema.get("properties", ())


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"{code(name)}{' *' if name in required else ''}",
            _type(field),
            sentence(field.get("description", "")),
        )
        for name, field in schema["properties"].items()
    ]
    return table(("field", "is", ""), rows)


def _address(channel: dict[str, Any]) -> str:
    address = channel["address"].removeprefix(f"{asyncapi.TOPICS.base}/")
    return code(address.replace(asyncapi.KEY, "<key>"))


def _type(schema: dict[str, Any]) -> str:
    match schema:
        case {"$ref": target}:
            name = target.rpartition("/")[2]
            words = _ELSEWHERE.get(name) or f"[{name}](#{name.lower()})"
        case {"enum": values}:
            words = ", ".join(code(str(value)) for value in values)
            words = _ALARM if values == [*contract.ALARM_KINDS] else words
        case {"const": value}:
            words = code(str(value))
        case {"anyOf": options} | {"oneOf": options}:
            words = " or ".join(_type(option) for option in options)
        case {"format": "date-time"}:
            words = "time"
        case {"type": "array", "items": items}:
            words = f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(inner)}:
            words = f"by name: {_type(inner)}"
        case {"type": kind}:
            words = _WORDS[kind] + _bounds(schema)
        case _:
            words = "anything"
    return words


_ALARM = "[kind of alarm](../topics.md#alarm-last_alarm)"
_ELSEWHERE = {"Alarm": _ALARM, "Verdict": "[verdict](../topics.md#report-history)"}
"""What is explained on another page."""
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
    "null": "null",
}


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        return re.sub(r"\.0\b", "", f", {low} to {high}")
    return f", {low} or more" if low is not None else ""
