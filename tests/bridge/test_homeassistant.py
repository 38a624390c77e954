"""The payloads by which Home Assistant discovers vehicles and the bridge."""

import json
import re

import pytest

from bridge.contract import (
    ALARM_KINDS,
    BRIDGE_ENTITIES,
    ENTITIES,
    GUEST_SLOTS,
    PROJECT_URL,
    Topics,
)
from bridge.homeassistant import (
    bridge_payload,
    device_topic,
    migrate_payload,
    shown,
    vehicle_payload,
)

TOPICS = Topics("tk103b")
NAMESPACE = "tk103b"
FIELDS = [entity.field for entity in ENTITIES]
COMMANDS = [command for entity in ENTITIES for command in entity.commands]
GUEST = "864000000000123"
OTHER_GUEST = "864000000000987"
BODY = "(value_json | default({}, true))"


def vehicle(key="golf", reported=(), rung=(), *, icon=None, name="Golf", commands=()):
    return vehicle_payload(
        topics=TOPICS,
        namespace=NAMESPACE,
        version="1.2.3",
        key=key,
        name=name,
        icon=icon,
        reported=reported,
        rung=rung,
        commands=commands,
        model="TK103 family (gps103)",
    )


def bridge(*guests):
    return bridge_payload(topics=TOPICS, namespace=NAMESPACE, version="1.2.3", guests=guests)


def full_vehicle(key="golf"):
    return vehicle(key, FIELDS, ALARM_KINDS, commands=COMMANDS)


def full_bridge():
    return bridge((1, GUEST), (2, OTHER_GUEST), (3, "10000000321"))


PAYLOADS = {
    "new vehicle": vehicle(),
    "vehicle": full_vehicle(),
    "bridge": bridge(),
    "bridge with guests": full_bridge(),
}
every_payload = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)

# --- the device -----------------------------------------------------------------------------------


def test_topic():
    assert device_topic("homeassistant", NAMESPACE, "golf") == (
        "homeassistant/device/tk103b_golf/config"
    )


def test_vehicle_device_hangs_on_the_bridge():
    assert vehicle()["device"] == {
        "identifiers": ["tk103b_golf"],
        "name": "Golf",
        "manufacturer": "TK103B Bridge",
        "model": "TK103 family (gps103)",
        "via_device": "tk103b_bridge",
    }
    assert bridge()["device"]["identifiers"] == ["tk103b_bridge"]


@every_payload
def test_root(payload):
    assert {
        key: value for key, value in payload.items() if key not in {"device", "components"}
    } == {
        "origin": {"name": "TK103B Bridge", "sw_version": "1.2.3", "support_url": PROJECT_URL},
        "availability": [
            {
                "topic": "tk103b/bridge/state",
                "payload_available": "online",
                "payload_not_available": "offline",
            }
        ],
        "availability_mode": "all",
        "qos": 1,
    }


@every_payload
def test_payload_is_json_and_the_same_each_time(payload):
    assert json.loads(json.dumps(payload)) == payload


# --- which entities -------------------------------------------------------------------------------


def test_a_new_vehicle_has_what_is_always_there():
    expected = [entity.key for entity in ENTITIES if entity.always and not entity.component_only]
    assert list(vehicle()["components"]) == expected


def test_a_reported_field_brings_its_entity():
    always = set(vehicle()["components"])
    assert set(vehicle(reported=["door_open"])["components"]) - always == {"door"}
    assert set(vehicle(reported=["battery_v", "rpm"])["components"]) - always == {
        "battery_voltage",
        "rpm",
    }


def test_an_alarm_that_rang_brings_its_entity():
    always = set(vehicle()["components"])
    assert set(vehicle(rung=["vibration"])["components"]) - always == {"vibration_alarm"}


def test_names_nobody_knows_bring_nothing():
    assert vehicle(reported=["", "epoch", "alarms", "name"], rung=["", "boredom"]) == vehicle()


def test_order_is_that_of_the_table_whatever_came_first():
    one = vehicle(reported=["rpm", "door_open"], rung=["idle", "door"])
    other = vehicle(reported=["door_open", "rpm"], rung=["door", "idle"])
    assert json.dumps(one) == json.dumps(other)
    assert list(one["components"]) == [
        entity.key for entity in shown(["rpm", "door_open"], ["idle", "door"])
    ]


def test_everything_reported_shows_every_entity():
    assert list(full_vehicle()["components"]) == [
        entity.key for entity in ENTITIES if not entity.component_only
    ]


def test_what_a_tracker_obeys_shows_what_gives_the_command():
    components = vehicle(commands=("arm", "disarm", "request_position"))["components"]
    told = "tk103b/vehicle/golf/command"
    assert components["locate"]["command_topic"] == told
    assert components["locate"]["payload_press"] == "request_position"
    guard = components["guard"]
    assert (guard["command_topic"], guard["payload_on"], guard["payload_off"]) == (
        told, "arm", "disarm",
    )  # fmt: skip
    assert "armed" in guard["value_template"]
    assert "resume_engine" not in components
    assert "guard" not in vehicle(reported=["armed"], commands=("arm",))["components"]


# --- components -----------------------------------------------------------------------------------


def test_tracker():
    assert vehicle()["components"]["tracker"] == {
        "platform": "device_tracker",
        "unique_id": "tk103b_golf_tracker",
        "default_entity_id": "device_tracker.golf",
        "name": None,
        "icon": "mdi:car",
        "source_type": "gps",
        "json_attributes_topic": "tk103b/vehicle/golf/position",
        "json_attributes_template": (
            f"{{{{ dict({BODY}.items()"
            " | selectattr(0, 'in', ['latitude', 'longitude', 'gps_accuracy'])) | to_json }}"
        ),
    }


def test_icon_of_a_vehicle_is_that_of_its_tracker_alone():
    plain, adorned = vehicle()["components"], vehicle(icon="mdi:van-utility")["components"]
    assert adorned.pop("tracker") == plain.pop("tracker") | {"icon": "mdi:van-utility"}
    assert adorned == plain


def test_event_hears_the_live_alarms():
    alarm = vehicle()["components"]["alarm"]
    assert "'place'" in alarm.pop("value_template")
    assert alarm == {
        "platform": "event",
        "unique_id": "tk103b_golf_alarm",
        "default_entity_id": "event.golf_alarm",
        "name": "Alarm",
        "icon": "mdi:alarm-light",
        "state_topic": "tk103b/vehicle/golf/alarm",
        "event_types": list(ALARM_KINDS),
    }


def test_input():
    assert vehicle()["components"]["ignition"] == {
        "platform": "binary_sensor",
        "unique_id": "tk103b_golf_ignition",
        "default_entity_id": "binary_sensor.golf_ignition",
        "name": "Ignition",
        "device_class": "running",
        "icon": "mdi:engine",
        "state_topic": "tk103b/vehicle/golf/state",
        "value_template": f"{{{{ {BODY}.get('ignition') }}}}",
        "payload_on": "True",
        "payload_off": "False",
    }


def test_connectivity_is_on_for_one_link_state():
    assert vehicle()["components"]["connectivity"] == {
        "platform": "binary_sensor",
        "unique_id": "tk103b_golf_connectivity",
        "default_entity_id": "binary_sensor.golf_connectivity",
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": "tk103b/vehicle/golf/state",
        "value_template": (
            f"{{% set it = {BODY}.get('link') %}}{{{{ it if it is none else it == 'connected' }}}}"
        ),
        "payload_on": "True",
        "payload_off": "False",
    }


def test_latched_alarm():
    sos = vehicle()["components"]["sos_alarm"]
    assert sos["device_class"] == "safety"
    assert sos["value_template"] == (
        f"{{% set it = {BODY}.get('alarms') %}}{{{{ it if it is none else 'sos' in it }}}}"
    )


def test_measured_sensor():
    assert vehicle(reported=["battery_v"])["components"]["battery_voltage"] == {
        "platform": "sensor",
        "unique_id": "tk103b_golf_battery_voltage",
        "default_entity_id": "sensor.golf_battery_voltage",
        "name": "Tracker battery voltage",
        "device_class": "voltage",
        "unit_of_measurement": "V",
        "state_class": "measurement",
        "suggested_display_precision": 2,
        "entity_category": "diagnostic",
        "enabled_by_default": False,
        "state_topic": "tk103b/vehicle/golf/state",
        "value_template": f"{{{{ {BODY}.get('battery_v') }}}}",
    }


def test_precision_of_zero_is_said():
    assert vehicle()["components"]["battery"]["suggested_display_precision"] == 0


def test_enum_names_its_options():
    link = vehicle()["components"]["link"]
    assert (link["device_class"], link["options"]) == ("enum", ["connected", "asleep", "lost"])


def test_sensor_deep_in_a_payload():
    assert bridge()["components"]["journal_lag"]["value_template"] == (
        f"{{{{ {BODY}.get('journal_lag', {{}}).get('mqtt') }}}}"
    )


def test_permit_join_is_a_request_and_shows_what_the_bridge_says():
    assert bridge()["components"]["permit_join"] == {
        "platform": "switch",
        "unique_id": "tk103b_bridge_permit_join",
        "default_entity_id": "switch.tk103b_bridge_permit_join",
        "name": "Accept the next new tracker",
        "entity_category": "config",
        "icon": "mdi:account-plus",
        "state_topic": "tk103b/bridge/info",
        "value_template": f"{{{{ {BODY}.get('permit_join') }}}}",
        "state_on": "True",
        "state_off": "False",
        "command_topic": "tk103b/bridge/request/permit_join",
        "payload_on": '{"time": 254}',
        "payload_off": '{"time": 0}',
    }


def test_permit_join_lasts_as_long_as_configured():
    payload = bridge_payload(
        topics=TOPICS, namespace=NAMESPACE, version="1", guests=[], permit_join_s=60
    )
    assert json.loads(payload["components"]["permit_join"]["payload_on"]) == {"time": 60}


def test_only_the_switch_and_the_buttons_of_a_bridge_send():
    for name, component in full_bridge()["components"].items():
        sends = name == "permit_join" or component["platform"] == "button"
        assert ("command_topic" in component) == sends


# --- guests ---------------------------------------------------------------------------------------


def test_a_guest_has_a_button_to_accept_and_one_to_block():
    components = bridge((2, GUEST))["components"]
    assert components["accept_2"] == {
        "platform": "button",
        "unique_id": "tk103b_bridge_accept_2",
        "default_entity_id": "button.tk103b_bridge_accept_2",
        "name": "Accept tracker …0123",
        "entity_category": "config",
        "icon": "mdi:check-circle",
        "command_topic": "tk103b/bridge/request/device/accept",
        "payload_press": f'{{"id": "{GUEST}", "waiting": true}}',
    }
    assert components["block_2"] == components["accept_2"] | {
        "unique_id": "tk103b_bridge_block_2",
        "default_entity_id": "button.tk103b_bridge_block_2",
        "name": "Block tracker …0123",
        "icon": "mdi:cancel",
        "command_topic": "tk103b/bridge/request/device/block",
    }


def test_a_free_slot_takes_its_buttons_away():
    components = bridge((2, GUEST))["components"]
    for name in ("accept_1", "block_1", "accept_3", "block_3"):
        assert components[name] == {"platform": "button"}


def test_every_payload_of_the_bridge_speaks_of_every_slot():
    names = {f"{verb}_{slot}" for verb in ("accept", "block") for slot in range(1, GUEST_SLOTS + 1)}
    for payload in (bridge(), bridge((1, GUEST)), full_bridge()):
        components = payload["components"]
        assert (
            set(components)
            == {entity.key for entity in BRIDGE_ENTITIES if not entity.component_only} | names
        )
        assert {name for name in components if components[name]["platform"] == "button"} == names


# --- taking away ----------------------------------------------------------------------------------


def test_migration():
    assert migrate_payload() == {"migrate_discovery": True}


# --- identity over everything ---------------------------------------------------------------------


@every_payload
def test_component_names_are_safe_in_a_topic(payload):
    for name in payload["components"]:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)


def test_no_id_stands_twice():
    # Keys chosen to be mistaken for one another's entities.
    payloads = [full_bridge()]
    keys = ["golf", "golf_door", "golf_sos", "golf_battery", "golf_obd", "bridge_x"]
    payloads += [full_vehicle(key) for key in keys]
    for option in ("unique_id", "default_entity_id"):
        found = [
            f"{component['platform']} {component[option]}"
            for payload in payloads
            for component in payload["components"].values()
        ]
        assert len(set(found)) == len(found)


@every_payload
def test_entity_ids_are_of_their_platform(payload):
    for component in payload["components"].values():
        if component != {"platform": "button"}:
            platform, _, name = component["default_entity_id"].partition(".")
            assert platform == component["platform"]
            assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name)


def test_ids_do_not_follow_the_display_name():
    golf, renamed = vehicle()["components"], vehicle(name="Käfer grün")["components"]
    assert golf == renamed
