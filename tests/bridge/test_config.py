"""The configuration: what may be written and what it becomes."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from bridge import config
from bridge.config import SECTIONS, Config, Limits, Mqtt, Permits, Tls, VehicleConfig, blocks, load
from bridge.errors import ConfigError
from bridge.model import SMS
from bridge.options import HIDDEN, Check, Mistake, Secret
from bridge.protocols.registry import VOCABULARIES

EXAMPLE = Path(__file__).parents[2] / "tk103b-bridge.example.yaml"
SESAME = "hunter2 & more"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def reading(text, environ=None, name="car.yaml"):
    """Load a file of this text from the working directory, so that errors name it shortly."""
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return load(Path(name), environ or {})


# --- where it is read from ---


def test_nothing_at_all_is_all_defaults():
    assert load(None, {}) == Config()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "mqtt:\nvehicles:\nlog: ~\n"])
def test_an_empty_file_and_empty_blocks_are_all_defaults(text):
    assert reading(text) == Config()


def test_the_file_of_the_working_directory_is_found():
    Path("tk103b-bridge.yaml").write_text("listen: {port: 5000}", encoding="utf-8")
    assert load(None, {}).listen.port == 5000


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_none():
    """Not allowed to search the folder, for example; a link to itself fails for everybody."""
    Path("tk103b-bridge.yaml").symlink_to("tk103b-bridge.yaml")
    with pytest.raises(ConfigError, match=r"^cannot look for tk103b-bridge.yaml .*--config"):
        load(None, {})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+49 151 00000042", "+4915100000042"),
        ("+49 (0) 151 / 000-000-42", "+4915100000042"),
        ("(0151) 000.000.42", "015100000042"),
        ("(0) 151 00000042", "015100000042"),
    ],
)
def test_a_phone_number_is_what_is_dialled(written, number):
    (car,) = reading(f"vehicles: {{golf: {{phone: '{written}'}}}}").vehicles
    assert car.phone is not None
    assert car.phone.reveal() == number


def test_a_file_asked_for_must_be_there():
    with pytest.raises(ConfigError, match=r"^missing.yaml: cannot be read: No such file"):
        load(Path("missing.yaml"), {})


def test_a_folder_in_its_place_is_explained():
    Path("tk103b-bridge.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"^tk103b-bridge.yaml: is a folder.*Docker"):
        load(None, {})


def test_a_file_in_another_encoding_is_explained():
    Path("car.yaml").write_bytes("vehicles: {golf: {name: Käfer}}".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^car.yaml: is no UTF-8 text \(save it as UTF-8\)"):
        load(Path("car.yaml"), {})


def test_a_byte_order_mark_is_no_part_of_the_text():
    Path("car.yaml").write_bytes("listen: {port: 5000}".encode("utf-8-sig"))
    assert load(Path("car.yaml"), {}).listen.port == 5000


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().listen.port = 1


# --- the example file ---


def uncommented():
    """The example with every option in force: `# key: value` and `# - item` lose their mark."""
    option = re.compile(r"^( *)# ( *(?:[a-z0-9_]+:(?: |$)|- |# ))", re.MULTILINE)
    return option.sub(r"\1\2", EXAMPLE.read_text(encoding="utf-8"))


def load_example():
    Path("secrets.yaml").write_text(
        "mqtt_password: sesame\ngolf_phone: +49 151 00000042\ngolf_password: 246810",
        encoding="utf-8",
    )
    for name in ("ca.pem", "client.pem", "client.key"):
        Path(name).touch()
    return reading(uncommented())


def test_the_example_as_it_stands_changes_nothing():
    assert reading(EXAMPLE.read_text(encoding="utf-8")) == Config()


def test_the_example_with_every_option_in_force_is_valid_and_tells_the_defaults():
    loaded, default = load_example(), Config()
    for section in ("listen", "home_assistant", "alarms", "limits", "storage", "log"):
        assert getattr(loaded, section) == getattr(default, section)
    own = {"host", "username", "password", "tls"}
    for option in dataclasses.fields(Mqtt):
        same = getattr(loaded.mqtt, option.name) == getattr(default.mqtt, option.name)
        assert same is (option.name not in own), option.name
    assert loaded.access.unknown == default.access.unknown
    assert [car.trackers for car in loaded.vehicles] == [
        ("864000000001234",),
        ("864000000000102", "012345678901"),
    ]


def test_the_example_shows_every_option():
    text = uncommented()
    sections = [type(section) for section in vars_of(Config()).values() if is_section(section)]
    for section in (*sections, Tls, VehicleConfig):
        for option in dataclasses.fields(section):
            if option.name not in {"key", "where", "given"} or section is Tls:
                name = option.name.removesuffix("_minutes")
                assert re.search(rf"^ +{name}:", text, re.MULTILINE), name


def test_the_configuration_knows_every_dialect():
    dialects = {name: one for name, one in VOCABULARIES.items() if name != SMS}
    known = {dialect for one in dialects.values() for dialect in one.dialects}
    assert known == set(get_args(config.Dialect))
    assert set(VOCABULARIES[SMS].dialects) == set(get_args(config.SmsFamily))


def vars_of(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def is_section(value):
    return dataclasses.is_dataclass(value)


def test_every_limit_has_a_range_that_holds_its_default():
    for name, default in vars_of(Limits()).items():
        assert getattr(reading(f"limits: {{{name}: {default}}}").limits, name) == default
        with pytest.raises(ConfigError, match=rf"limits.{name} must be a"):
            reading(f"limits: {{{name}: 99999999999}}")


def bounded() -> Iterator[tuple[str, Check, float, float]]:
    """Every option that is a number: where it stands, its check, its least and its most."""
    for block in (*SECTIONS.values(), VehicleConfig, Permits):
        for name, hint in get_type_hints(block, include_extras=True).items():
            for check in getattr(hint, "__metadata__", ()):
                if inspect.isfunction(check):
                    ends = inspect.getclosurevars(check).nonlocals
                    if ends.keys() == {"low", "high"}:
                        yield f"{block.__name__}.{name}", check, ends["low"], ends["high"]


@pytest.mark.parametrize(
    ("check", "low", "high"), [one[1:] for one in bounded()], ids=[one[0] for one in bounded()]
)
def test_what_stands_at_the_ends_of_a_range_can_be_written(check, low, high):
    assert [check(str(low)), check(str(high))] == [low, high]
    for beyond in (low - 1, high + 1):
        with pytest.raises(Mistake, match=re.escape(f"from {low} to {high}")):
            check(str(beyond))


def test_every_limit_says_why():
    source = Path(blocks.__file__).read_text(encoding="utf-8")
    body = source.partition("class Limits:")[2].partition("\n@dataclass")[0]
    for name in vars_of(Limits()):
        assert re.search(rf'^    {name}: .*\n    """\w', body, re.MULTILINE), name


# --- what is written and what it becomes ---


def test_every_section():
    loaded = reading(
        """
        listen: {host: "::1", port: 5001, tcp: on, udp: No}
        mqtt:
          host: broker.lan
          port: 1884
          username: 007
          password: 0123
          protocol: 5
          base_topic: home/cars-1
          keepalive: 30
        home_assistant: {entities: off, discovery_prefix: ha}
        access: {unknown: IGNORE, allow: [864000000000103], block: 864000000000104}
        alarms: {auto_receipt: false}
        limits: {whoami_s: 0.5}
        storage: {path: ~/cars}
        log: {level: debug, format: json}
        """
    )
    assert vars_of(loaded.listen) == {
        "host": "::1",
        "port": 5001,
        "tcp": True,
        "udp": False,
        "proxy_protocol": (),
    }
    assert loaded.mqtt == Mqtt(
        host="broker.lan",
        port=1884,
        username="007",
        password=Secret("0123"),
        protocol="5",
        base_topic="home/cars-1",
        keepalive=30,
    )
    assert vars_of(loaded.home_assistant) == {"entities": "off", "discovery_prefix": "ha"}
    assert loaded.access.unknown == "ignore"
    assert loaded.access.allow == ("864000000000103",)
    assert loaded.access.block == ("864000000000104",)
    assert loaded.alarms.auto_receipt is False
    assert loaded.limits.whoami_s == 0.5
    assert loaded.storage.path == Path.home() / "cars"
    assert (loaded.log.level, loaded.log.format) == ("debug", "json")


@pytest.mark.parametrize(
    ("mqtt", "host", "port"),
    [
        ("{}", None, 1883),
        ("{port: 1884}", None, 1884),
        ("{tls: false}", None, 1883),
        ("{username: ada}", "127.0.0.1", 1883),
        ("{tls: true}", "127.0.0.1", 8883),
        ("{tls: {insecure: true}, host: broker.lan}", "broker.lan", 8883),
        ("{tls: true, port: 1883}", "127.0.0.1", 1883),
    ],
)
def test_host_and_port_follow_from_what_else_is_said_of_the_broker(mqtt, host, port):
    loaded = reading(f"mqtt: {mqtt}").mqtt
    assert (loaded.host, loaded.port) == (host, port)


def test_tls():
    Path("ca.pem").touch()
    assert reading("mqtt: {tls: false}").mqtt.tls is None
    assert reading("mqtt: {tls: yes}").mqtt.tls == Tls()
    assert reading("mqtt: {tls: {ca: ca.pem, insecure: true}}").mqtt.tls == Tls(
        ca=Path("ca.pem"), insecure=True
    )


def test_a_vehicle_knows_where_it_stands_and_what_was_given():
    loaded = reading(
        """
        vehicles:
          golf:
            name: Golf
            owner: Ada
            icon: mdi:car
            trackers: [864000000001234, "864000000000102"]
            timezone: +05:45
          van:
            name:
          empty:
        """
    )
    assert loaded.vehicles == (
        VehicleConfig(
            key="golf",
            name="Golf",
            owner="Ada",
            icon="mdi:car",
            trackers=("864000000001234", "864000000000102"),
            timezone_minutes=345,
            where="car.yaml:3",
            given=frozenset({"name", "owner", "icon", "trackers", "timezone_minutes"}),
        ),
        VehicleConfig(key="van", where="car.yaml:9"),
        VehicleConfig(key="empty", where="car.yaml:11"),
    )
    names = {field.name for field in dataclasses.fields(VehicleConfig)}
    assert all(car.given <= names for car in loaded.vehicles)


@pytest.mark.parametrize(
    "tracker",
    ["012345670123", "864000000001234", "0x10203040".replace("x", ""), "1234567890", "00000000"],
)
def test_an_unquoted_tracker_id_keeps_its_digits(tracker):
    text = f"vehicles: {{golf: {{trackers: [{tracker}]}}}}"
    assert reading(text).vehicles[0].trackers == (tracker,)
    assert reading(f"access: {{allow: {tracker}}}").access.allow == (tracker,)


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("+02:00", 120),
        ("-03:30", -210),
        ("+5:45", 345),
        ("UTC", 0),
        ("z", 0),
        ("UTC+2", 120),
        ("-12:00", -720),
        ("+14", 840),
        ("+12:45", 765),
    ],
)
def test_timezone(written, minutes):
    loaded = reading(f"vehicles:\n  golf:\n    timezone: {written}\n")
    assert loaded.vehicles[0].timezone_minutes == minutes


@pytest.mark.parametrize(
    ("written", "networks"),
    [
        ("10.8.0.1", ["10.8.0.1/32"]),
        ("'10.8.0.1, 10.9.0.0/24'", ["10.8.0.1/32", "10.9.0.0/24"]),
        ("[10.8.0.1, '2001:DB8:0::1', 'fd00::/8']", ["10.8.0.1/32", "2001:db8::1/128", "fd00::/8"]),
        ("[]", []),
        ("", []),
    ],
)
def test_trusted_proxies(written, networks):
    loaded = reading(f"listen:\n  proxy_protocol: {written}\n")
    assert [str(network) for network in loaded.listen.proxy_protocol] == networks
    assert loaded.public()["listen"]["proxy_protocol"] == networks


def test_trusted_proxies_from_the_environment():
    loaded = load(None, {"TK103B__LISTEN__PROXY_PROTOCOL": "10.8.0.1 10.9.0.0/24"})
    assert [str(one) for one in loaded.listen.proxy_protocol] == ["10.8.0.1/32", "10.9.0.0/24"]


def test_a_value_may_be_used_again_by_its_anchor():
    loaded = reading("vehicles: {golf: {owner: &ada Ada}, van: {owner: *ada}}")
    assert [car.owner for car in loaded.vehicles] == ["Ada", "Ada"]


def test_public_is_json_without_secrets_ids_people_or_accounts():
    Path("secrets.yaml").write_text(
        f"password: {SESAME}\nbroker: broker.lan\nport: 1884\ncert: ca.pem\nyes: true",
        encoding="utf-8",
    )
    Path("ca.pem").touch()
    loaded = reading(
        """
        mqtt:
          host: !secret broker
          port: !secret port
          username: ada
          password: !secret password
          tls: {ca: !secret cert, insecure: !secret yes}
          base_topic: cars
        vehicles: {golf: {name: Golf, owner: Grace, trackers: [864000000001234]}}
        access: {allow: [864000000000102], block: [864000000000103]}
        """
    )
    public = loaded.public()
    text = json.dumps(public)
    assert not re.search(r"hunter2|broker\.lan|1884|ada|ca\.pem|Golf|Grace|8640", text)
    assert public["mqtt"] == {
        "host": "***",
        "port": "***",
        "password": "***",
        "tls": {"ca": "***", "certificate": None, "key": None, "insecure": "***"},
        "protocol": "auto",
        "base_topic": "cars",
        "keepalive": 60,
    }
    assert public["access"] == {"unknown": "pending"}
    assert public["limits"] == vars_of(Limits())
    assert public["storage"] == {"path": "tk103b-data"}


def test_public_shows_a_password_given_openly_as_stars_and_none_as_none():
    loaded = reading(f"mqtt: {{username: ada, password: '{SESAME}'}}")
    assert loaded.public()["mqtt"]["password"] == HIDDEN
    assert Config().public()["mqtt"]["password"] is None
    assert json.loads(json.dumps(Config().public())) == Config().public()
