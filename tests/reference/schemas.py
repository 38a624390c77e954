"""The JSON schemas of every payload, as the AsyncAPI document has them.

contract, model, command, verbs --msgspec--> types --values, times, notes--> schemas
"""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints, is_typeddict

import msgspec
from msgspec import Meta

from bridge import contract, history
from bridge.assess import Verdict
from bridge.command import AnyCommand
from bridge.contract import ALARM_KINDS, LINK_STATES
from bridge.model import SMS, Report
from bridge.orders import LONGEST_TTL_S
from bridge.smsplan import wish
from tests.reference import sources, verbs
from tests.reference.verbs import VERBS

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_TIMES = frozenset({
    "at", "time", "since", "until", "last", "first_seen", "last_seen", "started_at", "ended_at",
    "fix_time", "received_at", "device_time", "parked_since", "permit_join_end",
})  # fmt: skip
"""Fields that hold a time, wherever they stand; a gateway's own words aside."""
_VALUES: dict[str, Schema] = {
    "latitude": {"minimum": -90, "maximum": 90},
    "longitude": {"minimum": -180, "maximum": 180},
    "course_deg": {"minimum": 0, "maximum": 360},
    "gps_accuracy": {"minimum": 1},
    "accuracy_m": {"minimum": 1},
    "speed_kmh": {"minimum": 0},
    "battery_percent": {"minimum": 0, "maximum": 100},
    "fuel_percent": {"minimum": 0, "maximum": 100},
    "gsm_percent": {"minimum": 0, "maximum": 100},
    "count": {"minimum": 1},
    "seq": {"minimum": 0},
    "event_type": {"enum": [*ALARM_KINDS]},
    "link": {"enum": [*LINK_STATES]},
    "by": {"enum": ["ignition", "motion"]},
    "transport": {"enum": ["tcp", "udp", SMS]},
    "via": {"enum": ["tcp", "udp", SMS]},
}
"""What a field can be, wherever it stands in what the bridge says."""


_ALWAYS: dict[str, str] = {
    "Position": "latitude longitude gps_accuracy fix_time received_at",
    "AlarmPayload": "event_type time received_at keyword count late",
    "TripPayload": "started_at ended_at duration_s distance_km start end by",
    "CommandResult": "status final",
    "State": "name link private alarms",
    "Info": "version schema instance namespace epoch listen protocols entities permit_join config",
    "Happening": "type at",
    "Guest": "id first_seen last_seen protocol transport reports has_position",
    "VehicleRow": "key name",
    "Health": "at uptime_s rss_mb messages_per_s journal_lag rejected refused replies_dropped lost"
    " overtaken unpublished connections sources vehicles_connected guests",
}  # fmt: skip
"""Fields that are never left out, of payloads whose types let any be: whoever reads them may have
none yet."""


class Marks(msgspec.Struct):
    """What stands beside a report: how it came, what is thought of it, its place."""

    transport: str
    late: bool
    verdict: Verdict | msgspec.UnsetType = msgspec.UNSET
    journalled: bool | msgspec.UnsetType = msgspec.UNSET
    epoch: str | msgspec.UnsetType = msgspec.UNSET
    seq: int | msgspec.UnsetType = msgspec.UNSET


class Attendants(msgspec.Struct):
    """What may stand beside the arguments of a command."""

    transaction: str | float | msgspec.UnsetType = msgspec.UNSET
    by: str | msgspec.UnsetType = msgspec.UNSET
    ttl_s: Annotated[int, Meta(ge=1, le=LONGEST_TTL_S)] | msgspec.UnsetType = msgspec.UNSET


def ref(name: str) -> Schema:
    """Return a reference to a schema."""
    return {"$ref": _SCHEMAS + name}


TRANSACTION: Schema = {"description": "Any JSON of your own; it comes back in the answer."}


def schemas() -> dict[str, Schema]:
    """Return the schemas by name, in the order of their names."""
    asked = [each for verb in VERBS.values() for each in (verb.takes, verb.answers)]
    kinds: list[Any] = [
        contract.Position, contract.State, contract.AlarmPayload, contract.TripPayload,
        contract.CommandResult, contract.Info, contract.Discovery, contract.Devices,
        contract.Happening, contract.Health, contract.TextMessage, Report, *asked,
    ]  # fmt: skip
    _, found = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS + "{name}")
    spoken = {name: _tidy(name, schema) for name, schema in found.items()}
    marks = _own_schema(Marks)
    report = spoken.pop("Report")
    spoken["ReportPayload"] = {
        **report,
        "title": "ReportPayload",
        "properties": report["properties"] | marks["properties"],
        "required": report["required"] + marks["required"],
    }
    text = spoken.pop("TextMessage")
    spoken["ReceivedText"] = _text(text, "ReceivedText", ["from", "text"], ["time"])
    spoken["TextToSend"] = _text(text, "TextToSend", ["to", "text", "id"], [])
    spoken["Failure"] = {
        "title": "Failure",
        "type": "object",
        "properties": {
            "status": {"const": "error"},
            "error": {"type": "string", "description": "In a sentence."},
            "transaction": TRANSACTION,
        },
        "required": ["status", "error"],
    }
    return dict(sorted((spoken | _orders()).items()))


def _orders() -> dict[str, Schema]:
    """Return the schemas of every command, each with what may stand beside its arguments."""
    (union,), found = msgspec.json.schema_components([AnyCommand], ref_template=_SCHEMAS + "{name}")
    beside = _own_schema(Attendants)["properties"]
    orders = {
        name: {**_plain(schema), "properties": _plain(schema)["properties"] | beside}
        for name, schema in found.items()
    }
    return orders | {"Order": {"title": "Order", "anyOf": union["anyOf"]}}


def _own_schema(kind: type[msgspec.Struct]) -> Schema:
    _, found = msgspec.json.schema_components([kind], ref_template=_SCHEMAS + "{name}")
    return _tidy(kind.__name__, found[kind.__name__])


def _text(schema: Schema, name: str, required: list[str], optional: list[str]) -> Schema:
    fields = {field: schema["properties"][field] for field in (*required, *optional)}
    return {"title": name, "type": "object", "properties": fields, "required": required}


_KINDS: dict[str, Any] = {
    name: kind
    for module in (contract, verbs)
    for name, kind in vars(module).items()
    if is_typeddict(kind)
}
_HEARD = {"TextMessage", *(verb.takes.__name__ for verb in VERBS.values())}
"""Payloads of others: their values are theirs."""
_NOTES = {
    **sources.notes(contract),
    **sources.notes(verbs),
    **sources.notes(history),
    **sources.notes(wish),
}


def note_of(name: str) -> str | None:
    """Return what is said of a type or a field, ``Type.field``, outside of its docstring."""
    return _NOTES.get(name)


def _tidy(name: str, schema: Schema) -> Schema:
    """Return what msgspec made of a type: in the order of its fields, with what is said of them."""
    tidy = _plain(schema)
    if "properties" not in tidy:
        return tidy
    order = get_type_hints(_KINDS[name]) if name in _KINDS else tidy["properties"]
    said_by_us = name not in _HEARD
    fields = {
        field: _field(field, tidy["properties"][field], _NOTES.get(f"{name}.{field}"), said_by_us)
        for field in order
    }
    always = {*tidy.get("required", ()), *_ALWAYS.get(name, "").split()}
    required = [field for field in fields if field in always]
    return {**tidy, "properties": fields, **({"required": required} if required else {})}


def _field(name: str, schema: Schema, note: str | None, said_by_us: bool) -> Schema:  # noqa: FBT001
    if "$ref" in schema:
        return schema
    found = {**schema}
    if said_by_us and found.get("type") not in {"object", "array"}:
        found |= _VALUES.get(name, {})
        found |= {"format": "date-time"} if name in _TIMES and found["type"] == "string" else {}
    return {**found, **({"description": note} if note else {})}


def _plain(schema: Any) -> Any:
    """Return a schema without what is only Python's: null for what is left out, wrapped lines."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    options = schema.get("anyOf", ())
    if "default" in schema and isinstance(options, list) and {"type": "null"} in options:
        rest = [each for each in options if each != {"type": "null"}]
        schema = {**schema, **(rest[0] if len(rest) == 1 else {"anyOf": rest})}
        if len(rest) == 1:
            del schema["anyOf"]
        schema.pop("default", None)
    plain = {name: _plain(each) for name, each in schema.items()}
    if isinstance(schema.get("description"), str):
        plain["description"] = sources.words(schema["description"])
        if plain["description"].startswith("dict()"):
            del plain["description"]
    return plain
