"""docs/reference/entities.md: every entity in Home Assistant, made out of `bridge.contract`."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.contract import BRIDGE_ENTITIES, BRIDGE_KEY, ENTITIES, Entity, device_id
from tests.reference.markdown import code, page, table

_TOPICS = {
    "position": "vehicle/<key>/position",
    "state": "vehicle/<key>/state",
    "alarm": "vehicle/<key>/alarm",
    "trip": "vehicle/<key>/trip",
    "health": "bridge/health",
    "info": "bridge/info",
    "bridge_state": "bridge/state",
    "devices": "",
}


def render() -> str:
    """Return the page."""
    return page("Home Assistant: every entity", _blocks())


def _blocks() -> Iterator[str]:
    yield (
        "What they are good for stands in [Home Assistant](../home-assistant.md). `KEY` is the"
        " vehicle's key. Ids are made when an entity first appears, and yours from then on. *Off*"
        " are those that you enable where you want them."
    )
    yield "## Of a vehicle\n"
    yield _table(ENTITIES, "KEY")
    yield "## Of the bridge\n"
    yield _table(BRIDGE_ENTITIES, device_id("tk103b", BRIDGE_KEY))
    yield (
        "For each of the first three trackers that wait there are two buttons besides, *Accept* and"
        " *Block*."
    )


def _table(entities: tuple[Entity, ...], prefix: str) -> str:
    rows = [
        (
            code(entity.default_entity_id(prefix)),
            entity.name or "",
            _source(entity),
            entity.unit or "",
            _due(entity),
        )
        for entity in entities
    ]
    return table(("entity", "name", "shows", "unit", "is there"), rows)


def _source(entity: Entity) -> str:
    topic = _TOPICS[entity.source]
    field = f"{code(entity.field)} of " if entity.field and topic else ""
    return f"{field}{code(topic)}"


def _due(entity: Entity) -> str:
    if entity.commands:
        due = f"where the tracker obeys {' and '.join(map(code, entity.commands))}"
    elif entity.always:
        due = "from the start"
    elif entity.alarm:
        due = "once it has rung"
    else:
        due = "once it was reported"
    only = ", with the component" if entity.component_only else ""
    return f"{due}{only}{'' if entity.enabled else ', off'}"
