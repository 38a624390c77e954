"""Laws over the declarations of `contract`: whoever renders them may rely on these."""

import ast
import re
import sys
from itertools import permutations
from pathlib import Path
from typing import get_args, get_origin, get_type_hints, is_typeddict

import pytest

from bridge import contract, model
from bridge.contract import (
    ALARM_ENTITIES,
    ALARM_KINDS,
    BRIDGE_ENTITIES,
    BRIDGE_KEY,
    ENTITIES,
    LINK_STATES,
    VEHICLE_LEAVES,
    Entity,
    Topics,
    device_id,
)

EVERY_ENTITY = (*ENTITIES, *BRIDGE_ENTITIES)
PAYLOADS = {
    "position": contract.Position,
    "state": contract.State,
    "alarm": contract.AlarmPayload,
    "health": contract.Health,
}
READ = [entity for entity in EVERY_ENTITY if entity.field and entity.source in PAYLOADS]
DEVICE_CLASSES = {
    "binary_sensor": {
        "battery", "battery_charging", "connectivity", "door", "heat", "motion", "moving", "power",
        "problem", "running", "safety", "tamper", "vibration",
    },
    "sensor": {
        "battery", "data_size", "distance", "duration", "enum", "speed", "temperature", "timestamp",
        "voltage",
    },
}  # fmt: skip
"""Of Home Assistant's, those that say what an entity of ours is."""
UNITS = {
    "battery": {"%"}, "distance": {"km", "m"}, "speed": {"km/h"}, "temperature": {"°C"},
    "voltage": {"V"},
}  # fmt: skip
NOT_MEASURED = {"enum", "timestamp"}
ICON = re.compile(r"mdi:[a-z0-9-]+")


def ids(entities):
    return [f"{entity.platform}.{entity.key}" for entity in entities]


def every_entity(entities=EVERY_ENTITY):
    return pytest.mark.parametrize("entity", entities, ids=ids(entities))


def field_type(entity: Entity):
    """The type at the end of an entity's path."""
    first, *rest = entity.field.split(".")
    found = get_type_hints(PAYLOADS[entity.source])[first]
    for step in rest:
        if is_typeddict(found):
            found = get_type_hints(found)[step]
        else:
            assert get_origin(found) is dict, f"{entity.field} leads into no object"
            found = get_args(found)[1]
    return found


# --- topics ---------------------------------------------------------------------------------------


def test_topics_hang_below_the_base_and_none_is_another():
    topics = Topics("home/gps")
    found = [
        topics.bridge_state,
        topics.bridge_info,
        topics.bridge_discovery,
        topics.bridge_devices,
        topics.bridge_event,
        topics.bridge_health,
        topics.request("info"),
        topics.response("info"),
        *(topics.vehicle("golf", leaf) for leaf in VEHICLE_LEAVES),
    ]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"home/gps/(bridge|vehicle/golf)/[a-z_/]+", topic) for topic in found)


def test_every_source_of_a_vehicle_is_a_topic_of_it():
    heard = {entity.source for entity in ENTITIES if entity.platform != "button"}
    assert heard <= set(VEHICLE_LEAVES)


def test_what_rings_once_is_not_retained_and_what_stands_is():
    assert VEHICLE_LEAVES["state"]
    assert VEHICLE_LEAVES["position"]
    assert not VEHICLE_LEAVES["alarm"]


# --- identity -------------------------------------------------------------------------------------


@pytest.mark.parametrize("entities", [ENTITIES, BRIDGE_ENTITIES], ids=["vehicle", "bridge"])
def test_keys_are_unique_words(entities):
    keys = [entity.key for entity in entities]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in keys)


def test_no_two_vehicles_can_meet_in_one_id():
    for one, other in permutations(EVERY_ENTITY, 2):
        assert one.platform != other.platform or not one.key.endswith(f"_{other.key}")


def test_names_are_unique_in_a_device_and_begin_with_a_capital():
    for entities in (ENTITIES, BRIDGE_ENTITIES):
        names = [entity.name for entity in entities]
        assert len(set(names)) == len(names)
        assert all(name is None or name[0].isupper() for name in names)


def test_ids_are_made_of_namespace_vehicle_and_entity():
    tracker, battery = (
        next(entity for entity in ENTITIES if entity.key == key) for key in ("tracker", "battery")
    )
    device = device_id("tk103b", "golf")
    assert (device, device_id("tk103b", BRIDGE_KEY)) == ("tk103b_golf", "tk103b_bridge")
    assert battery.unique_id(device) == "tk103b_golf_battery"
    assert battery.default_entity_id("golf") == "sensor.golf_battery"
    assert tracker.unique_id(device) == "tk103b_golf_tracker"
    assert tracker.default_entity_id("golf") == "device_tracker.golf"


def test_there_is_one_tracker_and_it_is_the_device():
    [tracker] = [entity for entity in ENTITIES if entity.platform == "device_tracker"]
    assert tracker.name is None
    assert tracker.always
    assert all(entity.name for entity in EVERY_ENTITY if entity is not tracker)


# --- fields ---------------------------------------------------------------------------------------


@every_entity(READ)
def test_its_field_is_one_of_the_payload_and_of_a_type_it_can_show(entity):
    found = field_type(entity)
    if entity.alarm:
        assert found is contract.Episode
    elif entity.platform == "binary_sensor":
        assert found is (str if entity.on else bool)
    elif entity.platform in {"switch", "event"}:
        assert found is bool
    elif entity.state_class:
        assert found in {int, float}
    else:
        assert found is str


@every_entity([entity for entity in EVERY_ENTITY if entity not in READ])
def test_without_such_a_field_it_is_made_of_the_whole_payload_or_of_the_info(entity):
    whole = {"info", "bridge_state"}
    assert entity.platform in {"device_tracker", "event", "button"} or entity.source in whole


@pytest.mark.parametrize("field", model.Status.__struct_fields__)
def test_every_status_has_an_entity(field):
    assert field in contract.State.__annotations__
    assert field in {entity.field for entity in ENTITIES}


@pytest.mark.parametrize("field", ["speed_kmh", "course_deg", "altitude_m", "satellites"])
def test_every_value_of_a_fix_has_an_entity(field):
    assert field in model.Fix.__struct_fields__
    assert field in {entity.field for entity in ENTITIES}


def test_what_an_owner_looks_for_first_is_there_from_the_start():
    always = {entity.key for entity in ENTITIES if entity.always}
    assert always >= {"tracker", "alarm", "ignition", "sos_alarm", "motion", "connectivity"}
    assert always >= {"battery", "link", "last_fix", "last_seen"}
    assert all(entity.always for entity in BRIDGE_ENTITIES)


@every_entity([entity for entity in ENTITIES if entity.always])
def test_what_is_there_from_the_start_is_enabled(entity):
    assert entity.enabled


# --- alarms ---------------------------------------------------------------------------------------


def test_each_alarm_kind_has_one_entity_in_order_of_severity():
    assert [str(kind) for kind in model.Alarm] == list(ALARM_KINDS)


def test_alarm_entities_are_named_after_their_kind():
    for entity in ALARM_ENTITIES:
        assert entity.key == f"{entity.alarm}_alarm"
        assert entity.field == f"alarms.{entity.alarm}"
        assert entity.source == "state"
        assert entity in ENTITIES
        # Automations aim at a device reach only what has no category.
        assert entity.category is None
        assert entity.enabled
        assert entity.always == (entity.alarm == "sos")


def test_the_event_knows_every_alarm_and_nothing_else():
    [event] = [entity for entity in ENTITIES if entity.source == "alarm"]
    assert event.options == ALARM_KINDS


# --- what Home Assistant asks ---------------------------------------------------------------------


@every_entity()
def test_device_class_is_one_of_its_platform(entity):
    assert entity.device_class is None or entity.device_class in DEVICE_CLASSES[entity.platform]


@every_entity([entity for entity in ENTITIES if entity.platform == "sensor"])
def test_unit_is_one_of_its_device_class(entity):
    assert entity.unit in UNITS.get(entity.device_class, {entity.unit})


@every_entity()
def test_only_measured_sensors_have_unit_state_class_and_precision(entity):
    measured = entity.platform == "sensor" and entity.device_class not in NOT_MEASURED
    assert bool(entity.state_class) == measured
    if not measured:
        assert entity.unit is None
        assert entity.precision is None


@every_entity([entity for entity in EVERY_ENTITY if entity.state_class])
def test_unit_stands_in_the_name_of_the_field(entity):
    suffix = {
        "km/h": "_kmh", "%": "_percent", "V": "_v", "°C": "_c", "km": "_km", "m": "_m", "°": "_deg",
        "rpm": "rpm", "msg/s": "_per_s", "s": "_skew_s", "MB": "_mb",
    }  # fmt: skip
    named = [unit for unit, end in suffix.items() if entity.field.endswith(end)]
    assert named == ([entity.unit] if entity.unit else [])


def test_an_angle_is_measured_as_one():
    for entity in EVERY_ENTITY:
        assert (entity.unit == "°") == (entity.state_class == "measurement_angle")


def test_options_are_those_of_an_enum_or_an_event():
    for entity in EVERY_ENTITY:
        assert bool(entity.options) == (entity.device_class == "enum" or entity.platform == "event")
    [link] = [entity for entity in ENTITIES if entity.device_class == "enum"]
    assert link.options == LINK_STATES


def test_a_text_that_means_on_is_one_the_field_can_have():
    [connectivity] = [entity for entity in ENTITIES if entity.on]
    assert connectivity.field == "link"
    assert connectivity.on in LINK_STATES


@every_entity()
def test_category_suits_the_platform(entity):
    if entity.category == "config":
        assert entity.platform in {"switch", "button"}
    if not entity.enabled:
        assert entity.category == "diagnostic"


@every_entity()
def test_it_has_a_picture(entity):
    assert entity.icon or entity.device_class
    assert entity.icon is None or ICON.fullmatch(entity.icon)


# --- the file -------------------------------------------------------------------------------------


def test_it_imports_the_standard_library_only():
    # A byte-identical copy of it lives where nothing of the bridge is installed.
    imported = set()
    for node in ast.walk(ast.parse(Path(contract.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or "").split(".")[0])
    assert imported <= sys.stdlib_module_names
