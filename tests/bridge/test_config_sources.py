"""Where values come from besides the file: secrets, files of their own, the environment."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from pathlib import Path

import msgspec
import pytest

from bridge.config import Config, Tls, VehicleConfig, load
from bridge.errors import ConfigError
from bridge.options import Secret

SESAME = "hunter2 & more"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def reading(text, environ=None, name="car.yaml"):
    """Load a file of this text from the working directory, so that errors name it shortly."""
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return load(Path(name), environ or {})


def mistake(text, environ=None):
    with pytest.raises(ConfigError) as caught:
        reading(text, environ)
    return str(caught.value)


def golden(text):
    """Take cases apart: what is written, then ``=>`` and what is said about it."""
    cases = (case.split("\n=> ") for case in text.strip("\n").split("\n\n"))
    return [(written, re.sub(r"\n *", " ", said)) for written, said in cases]


# --- secrets ---


def test_secret_and_env_are_read_from_beside_the_file_and_from_the_environment():
    folder = Path("etc")
    folder.mkdir()
    (folder / "secrets.yaml").write_text(
        f"broker: 'broker.lan'\npassword: {SESAME}\nlist: [1]\n", encoding="utf-8"
    )
    loaded = reading(
        """
        mqtt: {host: !secret broker, username: !env WHO, password: !secret password}
        listen: {host: !env LISTEN 127.0.0.1, port: !env PORT 5000}
        log: {level: !env LEVEL info}
        """,
        {"WHO": "ada", "PORT": "5001", "LEVEL": ""},
        name="etc/car.yaml",
    )
    assert loaded.mqtt.host == "broker.lan"
    assert loaded.mqtt.username == "ada"
    assert loaded.mqtt.password == Secret(SESAME)
    assert (loaded.listen.host, loaded.listen.port) == ("127.0.0.1", 5001)
    assert loaded.log.level == "info"


def test_missing_secrets_are_explained():
    text = "mqtt:\n  username: ada\n  password: !secret mqtt_pasword"
    assert mistake(text) == (
        "car.yaml:3: !secret mqtt_pasword: there is no secrets.yaml"
        " (write it beside car.yaml, with a line: mqtt_pasword: ...)"
    )
    Path("secrets.yaml").write_text("mqtt_password: a", encoding="utf-8")
    assert mistake(text) == (
        "car.yaml:3: !secret mqtt_pasword: secrets.yaml has no such name"
        " (did you mean mqtt_password?)"
    )
    Path("secrets.yaml").write_text("", encoding="utf-8")
    assert mistake(text) == (
        "car.yaml:3: !secret mqtt_pasword: secrets.yaml has no such name"
        " (add a line there: mqtt_pasword: ...)"
    )
    Path("secrets.yaml").write_text("a: 1\na: 2", encoding="utf-8")
    assert mistake(text) == (
        "secrets.yaml:2: a stands here twice (first in line 1; put both together)"
    )
    Path("secrets.yaml").write_text("- a", encoding="utf-8")
    assert mistake(text) == "secrets.yaml:1: must hold `name: value` lines"


def test_a_missing_environment_variable_is_explained():
    assert mistake("listen:\n  port: !env PORT", {"PORT": ""}) == (
        "car.yaml:2: !env PORT: the environment variable is not set"
        " (set it, or give a default: !env PORT DEFAULT)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "listen: {port: !secret password}",
        "listen: {port: !env SECRET}",
        "log: {level: !secret password}",
        "storage: {path: [!secret password]}",
        "mqtt: {password: [hunter2]}",
        "mqtt: {password: {hunter2: }}",
        "mqtt: {password: *hunter2}",
        "mqtt: {password: !hunter2}",
        "mqtt: {password: !hunter2!x y}",
        "mqtt: {host: 'mqtt://ada:hunter2@broker'}",
        "mqtt: {password: &hunter2 a, username: &hunter2 b}",
        "mqtt: {username: a, password: hunter2: x}",
        'mqtt: {username: a, password: "hunter2\\n\\0x"}',
    ],
)
def test_no_error_tells_a_secret(text):
    Path("secrets.yaml").write_text(f"password: {SESAME}", encoding="utf-8")
    Path("car.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(Path("car.yaml"), {"SECRET": SESAME})
    told = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    assert not any("hunter2" in line for line in told)
    assert all(re.match(r"car\.yaml:1: ", line) for line in told)


def test_a_secret_prints_as_stars_and_goes_through_no_serialiser():
    secret = Secret(SESAME)
    assert secret.reveal() == SESAME
    assert f"{secret} {secret!r} %s" % secret == "*** *** ***"
    assert secret == Secret(SESAME) != Secret("other")
    assert len({secret, Secret(SESAME)}) == 1
    assert secret != SESAME
    loaded = reading(f"mqtt: {{username: ada, password: '{SESAME}'}}")
    assert "hunter2" not in repr(loaded) + str(dataclasses.asdict(loaded))
    assert loaded.secrets == (secret,)
    assert Config().secrets == ()
    for encode in (json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            encode(secret)


def test_a_password_keeps_its_blanks_but_no_line_end():
    text = "mqtt:\n  username: ada\n  password: {}\n"
    assert reading(text.format("' a b '")).mqtt.password == Secret(" a b ")
    assert reading(text.format("|\n    a b")).mqtt.password == Secret("a b")


# --- what no YAML reader expects ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r'mqtt: {host: "\UFFFFFFFF"}', "car.yaml: this is no YAML: no character"),
        (r'mqtt: {host: "\U00110000"}', "car.yaml: this is no YAML: no character"),
        (f"%YAML {'9' * 5000}.1\n--- {{}}", "car.yaml: this is no YAML: no character or version"),
        (f"a: {'[' * 600}", "car.yaml: nested too deeply"),
        (f"a: {'{b: ' * 600}", "car.yaml: nested too deeply"),
    ],
)
def test_what_stumbles_the_reader_is_a_mistake_like_another(text, told):
    assert mistake(text).startswith(told)
    Path("secrets.yaml").write_text(text, encoding="utf-8")
    told = told.replace("car.yaml", "secrets.yaml")
    assert mistake("mqtt: {host: !secret broker}").startswith(told)


# --- the environment ---


def test_the_environment_wins_over_the_file():
    Path("password").write_text(f"{SESAME}\r\n", encoding="utf-8")
    loaded = reading(
        "mqtt: {host: a, username: ada, password: [not even text]}\nlisten: {port: 1}",
        {
            "TK103B__MQTT__HOST": "b",
            "TK103B__MQTT__PASSWORD_FILE": "password",
            "TK103B__MQTT__TLS": "true",
            "TK103B__LISTEN__PORT": "5000",
            "TK103B__LISTEN__UDP": "0",
            "TK103B__LOG__LEVEL": "",
            "TK103B__ACCESS__ALLOW": "864000000000101, 012345670123",
            "TK103B__HOME_ASSISTANT__ENTITIES": "off",
            "TK103B": "other programs",
            "PATH": "x",
        },
    )
    assert (loaded.mqtt.host, loaded.mqtt.port, loaded.mqtt.username) == ("b", 8883, "ada")
    assert loaded.mqtt.password == Secret(SESAME)
    assert (loaded.listen.port, loaded.listen.udp) == (5000, False)
    assert loaded.log.level == "info"
    assert loaded.access.allow == ("864000000000101", "012345670123")
    assert loaded.home_assistant.entities == "off"


def test_the_environment_alone_is_enough_and_may_name_vehicles():
    loaded = load(
        None,
        {
            "TK103B__VEHICLES__GOLF__TRACKERS": "864000000000101",
            "TK103B__VEHICLES__GOLF__NAME": "Golf",
        },
    )
    assert loaded.vehicles == (
        VehicleConfig(
            key="golf",
            name="Golf",
            trackers=("864000000000101",),
            where="TK103B__VEHICLES__GOLF__NAME",
            given=frozenset({"name", "trackers"}),
        ),
    )


def test_a_password_of_the_environment_is_taken_as_it_is():
    awkward = "*a: #b' {!"
    environ = {"TK103B__MQTT__USERNAME": "ada", "TK103B__MQTT__PASSWORD": awkward}
    assert load(None, environ).mqtt.password == Secret(awkward)


def test_a_switch_of_the_file_may_become_a_block():
    Path("ca.pem").touch()
    loaded = reading("mqtt: {tls: true}", {"TK103B__MQTT__TLS__CA": "ca.pem"})
    assert loaded.mqtt.tls == Tls(ca=Path("ca.pem"))


def test_a_secret_overridden_by_the_environment_is_none_any_more():
    Path("secrets.yaml").write_text("host: a", encoding="utf-8")
    loaded = reading("mqtt: {host: !secret host}", {"TK103B__MQTT__HOST": "b"})
    assert loaded.public()["mqtt"]["host"] == "b"


ENVIRONMENTS = r"""
TK103B__MQTT__HOTS=a
=> TK103B__MQTT__HOTS: mqtt.hots is no option (did you mean host?)

TK103B__MQT__HOST=a
=> TK103B__MQT__HOST: mqt is no option (did you mean mqtt?)

TK103B__MQTT__PORT=0
=> TK103B__MQTT__PORT: mqtt.port must be a whole number from 1 to 65535, not '0'

TK103B__MQTT=a
TK103B__MQTT__HOST=b
=> TK103B__MQTT__HOST: mqtt is a value and cannot hold host (the value stands in TK103B__MQTT)

TK103B__VEHICLES__GOLF__TRACKERS=864000000000101,x
=> TK103B__VEHICLES__GOLF__TRACKERS: vehicles.golf.trackers[1] must be a tracker id of 4 to 20
   digits, mostly its IMEI, not 'x'

TK103B__VEHICLES__GOLF__TRACKERS=864000000000101
TK103B__ACCESS__BLOCK=1234,864000000000101
=> TK103B__VEHICLES__GOLF__TRACKERS: tracker 864000000000101 stands in vehicles.golf.trackers and
   in access.block (the other is TK103B__ACCESS__BLOCK; keep one of the two)

TK103B__MQTT__PASSWORD_FILE=missing
=> TK103B__MQTT__PASSWORD_FILE: missing cannot be read: No such file or directory

TK103B__MQTT__PASSWORD_FILE=empty
=> TK103B__MQTT__PASSWORD_FILE: empty is empty

TK103B__LISTEN__PORT_FILE=word
=> TK103B__LISTEN__PORT_FILE: listen.port must be a whole number from 1 to 65535

TK103B__MQTT__PASSWORD_FILE=word
TK103B__MQTT__PASSWORD=hunter2
=> TK103B__MQTT__PASSWORD_FILE: TK103B__MQTT__PASSWORD is set too (keep one of the two)

TK103B__=a
=> TK103B__: names no option (TK103B__MQTT__HOST is mqtt.host)
"""


@pytest.mark.parametrize(("text", "error"), golden(ENVIRONMENTS))
def test_mistakes_of_the_environment_name_the_variable(text, error):
    environ = dict(line.split("=", 1) for line in text.splitlines())
    Path("empty").write_text("\n", encoding="utf-8")
    Path("word").write_text("hunter2", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(None, environ)
    assert str(caught.value) == error


def test_a_list_cannot_hold_an_option_of_the_environment():
    error = mistake("mqtt: [a]", {"TK103B__MQTT__HOST": "b"})
    assert error == (
        "TK103B__MQTT__HOST: mqtt is a value and cannot hold host (the value stands in car.yaml:1)"
    )


def test_an_environment_variable_replaces_a_file_that_holds_no_options():
    assert reading("- a", {"TK103B__LISTEN__PORT": "5000"}).listen.port == 5000
