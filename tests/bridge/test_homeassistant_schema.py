"""Home Assistant's own word on our discovery payloads: its schemas, its templates."""

import json
import os
import subprocess
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from bridge.contract import ALARM_KINDS, ENTITIES, Topics
from bridge.homeassistant import bridge_payload, device_topic, vehicle_payload

TOPICS = Topics("tk103b")
NAMESPACE = "tk103b"


def vehicle(key, reported=(), rung=(), commands=()):
    return vehicle_payload(
        topics=TOPICS,
        namespace=NAMESPACE,
        version="1.2.3",
        key=key,
        name="Golf",
        icon="mdi:van-utility",
        reported=reported,
        rung=rung,
        commands=commands,
        model="TK103 family (gps103)",
    )


def full_vehicle(key):
    commands = [command for entity in ENTITIES for command in entity.commands]
    return vehicle(key, [entity.field for entity in ENTITIES], ALARM_KINDS, commands)


def full_bridge():
    guests = [(1, "864000000000123"), (2, "864000000000987")]
    return bridge_payload(topics=TOPICS, namespace=NAMESPACE, version="1.2.3", guests=guests)


HOME_ASSISTANT_PYTHON = os.environ.get("TK103B_HA_PYTHON")
needs_home_assistant = pytest.mark.skipif(
    not HOME_ASSISTANT_PYTHON,
    reason=(
        "NOT CHECKED against Home Assistant's schemas: set TK103B_HA_PYTHON to the Python of an "
        "environment that has homeassistant installed"
    ),
)

STATE = {
    "name": "Golf",
    "link": "connected",
    "ignition": True,
    "door_open": False,
    "external_power": True,
    "charging": False,
    "armed": True,
    "engine_cut": False,
    "motion": True,
    "battery_percent": 80.0,
    "battery_v": 4.05,
    "external_v": 13.8,
    "fuel_percent": 51.6,
    "temperature_c": -4.5,
    "odometer_km": 123456.7,
    "gsm_percent": 60,
    "obd_speed_kmh": 48.0,
    "rpm": 2100,
    "speed_kmh": 47.2,
    "course_deg": 271.0,
    "altitude_m": -3.0,
    "satellites": 9,
    "hdop": 0.9,
    "last_seen": "2026-11-05T10:15:02Z",
    "fix_time": "2026-11-05T10:15:00.250000Z",
    "protocol": "gps103",
    "transport": "tcp",
    "alarms": {
        "sos": {
            "since": "2026-11-05T10:14:00Z",
            "last": "2026-11-05T10:15:00Z",
            "count": 3,
            "episode": 7,
        }
    },
    "epoch": "6f1c",
    "seq": 42,
    "trip": {"distance_km": 12.5},
    "clock_skew_s": -28799,
    "month_mb": 4.2,
    "parked_since": "2026-05-01T09:00:00Z",
}
POSITION = {
    "latitude": 0.25,
    "longitude": -0.125,
    "gps_accuracy": 12,
    "altitude_m": -3.0,
    "speed_kmh": 47.2,
    "fix_time": "2026-11-05T10:15:00Z",
    "received_at": "2026-11-05T10:15:01Z",
    "epoch": "6f1c",
    "seq": 42,
}
HEALTH = {
    "at": "2026-11-05T10:15:00Z",
    "uptime_s": 60,
    "rss_mb": 41.5,
    "messages_per_s": 0.45,
    "journal_lag": {"mqtt": 2},
    "rejected": 17,
    "connections": 3,
    "vehicles_connected": 2,
    "guests": 1,
}
UNHEARD = ["{}", "", "null"]
"""A payload without any field, a cleared topic, and JSON that is no object."""


def texts(*payloads):
    return [json.dumps(payload) for payload in payloads] + UNHEARD


def samples(key):
    asleep = STATE | {"link": "asleep", "ignition": False, "alarms": {}}
    alarms = [json.dumps({"event_type": kind, "late": False}) for kind in ALARM_KINDS]
    alarms.append(json.dumps({"event_type": "sos", "late": False, **POSITION}))
    bare = {"latitude": 1, "longitude": 2}
    return {
        TOPICS.vehicle(key, "state"): texts(STATE, asleep),
        TOPICS.vehicle(key, "position"): texts(POSITION, bare),
        TOPICS.vehicle(key, "alarm"): [*alarms, ""],
        TOPICS.bridge_health: texts(HEALTH),
        TOPICS.bridge_info: texts({"permit_join": True}, {"permit_join": False}),
    }


def ask_home_assistant(*devices):
    """Return the answers of ``ha_schema.py`` about (key, payload) pairs."""
    lines = [
        {
            "topic": device_topic("homeassistant", NAMESPACE, key),
            "payload": payload,
            "samples": samples(key),
        }
        for key, payload in devices
    ]
    answer = subprocess.run(
        [HOME_ASSISTANT_PYTHON, Path(__file__).with_name("ha_schema.py")],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


@needs_home_assistant
def test_home_assistant_takes_every_payload_and_every_template_tells_the_value():
    answers = ask_home_assistant(
        ("golf", full_vehicle("golf")),
        ("bridge", full_bridge()),
    )
    assert [answer["errors"] for answer in answers] == [[], []]

    rendered = answers[0]["rendered"]
    unknown = ["None"] * len(UNHEARD)
    assert rendered["ignition"] == ["True", "False", *unknown]
    assert rendered["connectivity"] == ["True", "False", *unknown]
    assert rendered["sos_alarm"] == ["True", "False", *unknown]
    assert rendered["idle_alarm"] == ["False", "False", *unknown]
    assert rendered["link"] == ["connected", "asleep", *unknown]
    for entity in ENTITIES:
        if entity.platform == "sensor":
            assert rendered[entity.key][0] == str(reduce(getitem, entity.field.split("."), STATE))
            assert rendered[entity.key][2:] == unknown
    bare = ("latitude", "longitude")
    assert [json.loads(text) for text in rendered["tracker"]] == [
        {"latitude": 0.25, "longitude": -0.125, "gps_accuracy": 12},
        {"latitude": 1, "longitude": 2},
        {},
        {},
        {},
    ]
    heard = {
        entity.key
        for entity in ENTITIES
        if not entity.component_only and entity.platform != "button"
    }
    assert set(rendered) == heard
    assert [json.loads(text) for text in rendered["alarm"][-2:]] == [
        {
            **{name: POSITION[name] for name in POSITION if name not in bare},
            "event_type": "sos",
            "late": False,
            "place": {name: POSITION[name] for name in bare},
        },
        {},
    ]

    rendered = answers[1]["rendered"]
    assert rendered["permit_join"] == ["True", "False", *unknown]
    assert rendered["journal_lag"] == ["2", *unknown]
    assert rendered["message_rate"] == ["0.45", *unknown]


@needs_home_assistant
def test_home_assistant_is_heard_when_it_refuses():
    spoilt = full_vehicle("golf")
    components = spoilt["components"]
    components["battery"]["unit_of_measurement"] = "km"
    components["speed"]["state_class"] = "total"
    components["door"]["device_klass"] = "door"
    components["ignition"]["value_template"] = "{{ value_json.ignition.on }}"
    components["motion"]["value_template"] = "{{ value_json.motion }}"
    components["fuel"]["unique_id"] = components["rpm"]["unique_id"]
    components["charging"]["default_entity_id"] = "sensor.golf_charging"
    components["link"]["value_template"] = "{{ 'gone' }}"
    components["alarm"]["event_types"] = list(ALARM_KINDS[1:])
    components["tracker"]["json_attributes_template"] = '{"latitude": null}'
    with_unknown_root_key = vehicle("bus") | {"retain": True}
    golf, bus = ask_home_assistant(("golf", spoilt), ("bus", with_unknown_root_key))
    for component in (
        "battery: ",
        "speed: total is impossible",
        "door: device_klass is dropped",
        "ignition: ERROR",
        "motion: WARNING",
        "rpm: sensor tk103b_golf_rpm is that of fuel",
        "charging: 'sensor.golf_charging' is no entity id",
        "link: 'gone' is nothing",
        "alarm: ",
        "tracker: ",
    ):
        assert any(error.startswith(component) for error in golf["errors"]), component
    assert bus["errors"]
