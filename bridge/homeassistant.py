"""Home Assistant discovery: the entities of a vehicle, or of the bridge, in one device payload.

Pure: values in, dictionaries ready for JSON out. A payload is published retained on its
`device_topic`; an empty one there takes the device and all its entities away. Written for Home
Assistant 2026.10, whose MQTT integration has these ways:

- An unknown key at the root rejects the whole payload; one in a component is dropped silently.
- A component that a later payload leaves out stays until Home Assistant restarts, and then waits
  for its owner to delete it, with the name and area it was given. It could be ordered away, but
  not where it is disabled: then Home Assistant clears the topic of the whole device.
- Of a payload that comes while components of the one before it are still being set up, the rest
  may be lost: whoever publishes waits a second or more between two different payloads of a device.
- A template that fails is an error in the owner's log at every message. Ours cannot: what is
  absent, a whole payload included (a cleared topic), renders as ``None``, which means unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from bridge.contract import (
    BRIDGE_ENTITIES,
    BRIDGE_KEY,
    ENTITIES,
    GUEST_SLOTS,
    MANUFACTURER,
    OFFLINE,
    ONLINE,
    PROJECT_URL,
    TRIP_EVENTS,
    Entity,
    Platform,
    Topics,
    device_id,
)

Payload = dict[str, Any]

BRIDGE_NAME = "TK103B Bridge"

_GUEST_BUTTONS = (("accept", "Accept", "mdi:check-circle"), ("block", "Block", "mdi:cancel"))
"""For each: the verb of its request about a device, the word on it, its icon."""

_BODY = "(value_json | default({}, true))"
_PLACE = (
    f"{{{{ dict({_BODY}.items()"
    " | selectattr(0, 'in', ['latitude', 'longitude', 'gps_accuracy'])) | to_json }}"
)
"""Of a position only what a tracker in Home Assistant needs, for every other value that changes
would be a row in its database. Without coordinates an empty object, which keeps the place."""

_TRIP_EVENT = (
    f"{{{{ dict({_BODY}, event_type='{TRIP_EVENTS[1]}' if {_BODY}.get('late')"
    f" else '{TRIP_EVENTS[0]}') | to_json }}}}"
)
"""A trip says of itself only whether late points have changed it."""

_ALARM_EVENT = (
    f"{{{{ dict(dict({_BODY}.items() | rejectattr(0, 'in', ['latitude', 'longitude'])),"
    f" **({{'place': dict({_BODY}.items() | selectattr(0, 'in', ['latitude', 'longitude']))}}"
    f" if 'latitude' in {_BODY} else {{}})) | to_json }}}}"
)
"""With coordinates of its own the alarm would be on the map, beside its vehicle."""

_EVENTS = {"trip": _TRIP_EVENT, "alarm": _ALARM_EVENT}


def device_topic(prefix: str, namespace: str, key: str) -> str:
    """Return where the payload of a device is published; `prefix` is Home Assistant's own."""
    return f"{prefix}/device/{device_id(namespace, key)}/config"


def shown(
    reported: Collection[str], rung: Collection[str], commands: Collection[str] = ()
) -> tuple[Entity, ...]:
    """Return the entities of a vehicle, in the order of the table.

    `reported` names the fields of state and position its tracker has ever fed, `rung` the kinds of
    alarm it has ever sent, `commands` what it obeys.
    """

    def is_due(entity: Entity) -> bool:
        if entity.alarm:
            return entity.always or entity.alarm in rung
        if entity.commands:
            return all(command in commands for command in entity.commands)
        return entity.always or entity.field in reported

    return tuple(entity for entity in ENTITIES if not entity.component_only and is_due(entity))


def vehicle_payload(  # noqa: PLR0913 - named facts of one payload, no behaviour among them
    *,
    topics: Topics,
    namespace: str,
    version: str,
    key: str,
    name: str,
    icon: str | None,
    reported: Collection[str],
    rung: Collection[str],
    commands: Collection[str] = (),
    model: str,
) -> Payload:
    """Return the discovery payload of one vehicle.

    Its entities are those of `shown`. `icon` (``mdi:van-utility``) is that of its tracker.
    """
    identifier = device_id(namespace, key)
    device = {
        "identifiers": [identifier],
        "name": name,
        "manufacturer": MANUFACTURER,
        "model": model,
        "via_device": device_id(namespace, BRIDGE_KEY),
    }
    components = {
        entity.key: _component(entity, identifier, key, topics.vehicle(key, entity.source))
        for entity in shown(reported, rung, commands)
    }
    for entity in ENTITIES:
        if entity.key in components and entity.commands:
            components[entity.key] |= _orders(entity, topics.vehicle(key, "command"))
    components["acknowledge"] |= {
        "command_topic": topics.request("device/acknowledge"),
        "payload_press": json.dumps({"key": key}),
    }
    components["private"] |= {
        "command_topic": topics.request("device/private"),
        "payload_on": json.dumps({"key": key, "enabled": True}),
        "payload_off": json.dumps({"key": key, "enabled": False}),
    }
    if icon:
        components["tracker"]["icon"] = icon
    return _payload(topics, version, device, components)


def bridge_payload(
    *,
    topics: Topics,
    namespace: str,
    version: str,
    guests: Sequence[tuple[int, str]],
    permit_join_s: int = 254,
) -> Payload:
    """Return the discovery payload of the bridge itself.

    `guests` are pairs of slot (1 to `GUEST_SLOTS`) and tracker id; each gets an Accept and a Block
    button. The payload takes the buttons of a free slot away by itself, so any may follow any.
    `permit_join_s`: for how long its switch lets a new tracker join.
    """
    identifier = device_id(namespace, BRIDGE_KEY)
    device = {
        "identifiers": [identifier],
        "name": BRIDGE_NAME,
        "manufacturer": MANUFACTURER,
        "model": BRIDGE_NAME,
        "sw_version": version,
    }
    sources = {"health": topics.bridge_health, "info": topics.bridge_info}
    components = {
        entity.key: _component(entity, identifier, identifier, sources[entity.source])
        for entity in BRIDGE_ENTITIES
        if not entity.component_only
    }
    components["permit_join"] |= {
        "command_topic": topics.request("permit_join"),
        "payload_on": json.dumps({"time": permit_join_s}),
        "payload_off": json.dumps({"time": 0}),
    }
    waiting = dict(guests)
    for slot in range(1, GUEST_SLOTS + 1):
        components |= _guest_buttons(topics, identifier, slot, waiting.get(slot))
    return _payload(topics, version, device, components)


def migrate_payload() -> Payload:
    """Return what lets go of a device's entities and keeps what Home Assistant knows of them.

    Published on the device's topic before somebody else takes them over; then it is cleared.
    """
    return {"migrate_discovery": True}


def _payload(
    topics: Topics, version: str, device: Payload, components: dict[str, Payload]
) -> Payload:
    return {
        "device": device,
        "origin": {"name": BRIDGE_NAME, "sw_version": version, "support_url": PROJECT_URL},
        "availability": [
            {
                "topic": topics.bridge_state,
                "payload_available": ONLINE,
                "payload_not_available": OFFLINE,
            }
        ],
        "availability_mode": "all",
        "qos": 1,
        "components": components,
    }


def _component(entity: Entity, device: str, prefix: str, topic: str) -> Payload:
    """Return one component; `prefix` begins its entity id, `topic` is what it hears, or sends to.

    A name of None is the device's own. Options that stand at their default are left out.
    """
    options = {
        "device_class": entity.device_class,
        "unit_of_measurement": entity.unit,
        "state_class": entity.state_class,
        "suggested_display_precision": entity.precision,
        "entity_category": entity.category,
        "enabled_by_default": None if entity.enabled else False,
        "icon": entity.icon,
    }
    return {
        "platform": entity.platform,
        "unique_id": entity.unique_id(device),
        "default_entity_id": entity.default_entity_id(prefix),
        "name": entity.name,
        **{option: value for option, value in options.items() if value is not None},
        **_FEEDS[entity.platform](entity, topic),
    }


def _orders(entity: Entity, topic: str) -> Payload:
    """Return where an entity sends its commands, and their words."""
    words = ("payload_press",) if entity.platform == "button" else ("payload_on", "payload_off")
    return {"command_topic": topic, **dict(zip(words, entity.commands, strict=True))}


def _removal(platform: str) -> Payload:
    """Return the component that removes its predecessor, and harms nothing where there is none."""
    return {"platform": platform}


def _guest_buttons(topics: Topics, device: str, slot: int, guest: str | None) -> Payload:
    """Return the buttons of a slot: its guest's last digits to be seen, its whole id to be sent."""
    buttons: Payload = {}
    for verb, word, icon in _GUEST_BUTTONS:
        key = f"{verb}_{slot}"
        if guest is None:
            buttons[key] = _removal("button")
            continue
        name = f"{word} tracker …{guest[-4:]}"
        button = Entity(
            key=key, platform="button", name=name, source="devices", category="config", icon=icon
        )
        buttons[key] = _component(button, device, device, topics.request(f"device/{verb}"))
        # Refused when it waits no longer: the button may be older than the decision.
        buttons[key]["payload_press"] = json.dumps({"id": guest, "waiting": True})
    return buttons


def _lookup(path: str) -> str:
    """Return the expression for a dotted path in the payload, none where it leads nowhere."""
    *steps, leaf = path.split(".")
    return _BODY + "".join(f".get('{step}', {{}})" for step in steps) + f".get('{leaf}')"


def _where_known(path: str, test: str) -> str:
    """Return the template of a test on `it`, the value at a path, unknown where that is."""
    return f"{{% set it = {_lookup(path)} %}}{{{{ it if it is none else {test} }}}}"


def _value_template(entity: Entity) -> str:
    if entity.alarm:
        return _where_known(
            entity.field.removesuffix(f".{entity.alarm}"), f"'{entity.alarm}' in it"
        )
    if entity.on:
        return _where_known(entity.field, f"it == '{entity.on}'")
    return f"{{{{ {_lookup(entity.field)} }}}}"


def _read(entity: Entity, topic: str) -> Payload:
    return {"state_topic": topic, "value_template": _value_template(entity)}


def _tracker(_entity: Entity, topic: str) -> Payload:
    # No state_topic: what comes there would win over the zone the coordinates lie in.
    return {
        "source_type": "gps",
        "json_attributes_topic": topic,
        "json_attributes_template": _PLACE,
    }


def _event(entity: Entity, topic: str) -> Payload:
    heard = {"state_topic": topic, "event_types": list(entity.options)}
    return heard | {"value_template": _EVENTS[entity.source]}


def _sensor(entity: Entity, topic: str) -> Payload:
    options = {"options": list(entity.options)} if entity.options else {}
    return {**_read(entity, topic), **options}


def _binary_sensor(entity: Entity, topic: str) -> Payload:
    # As a template writes JSON's true and false.
    return {**_read(entity, topic), "payload_on": "True", "payload_off": "False"}


def _switch(entity: Entity, topic: str) -> Payload:
    return {**_read(entity, topic), "state_on": "True", "state_off": "False"}


def _button(_entity: Entity, topic: str) -> Payload:
    return {"command_topic": topic}


_FEEDS: dict[Platform, Callable[[Entity, str], Payload]] = {
    "device_tracker": _tracker,
    "event": _event,
    "sensor": _sensor,
    "binary_sensor": _binary_sensor,
    "switch": _switch,
    "button": _button,
}
"""What the entities of a platform make of their topic."""
