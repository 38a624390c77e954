"""The configuration's mistakes: each names file, line and the likely fix."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import Config, load
from bridge.errors import ConfigError


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


# --- mistakes: file, line, fix ---


MISTAKES = r"""
mqt:
  host: a
=> car.yaml:1: mqt is no option (did you mean mqtt?)

# a comment
mqtt:
  hots: a
=> car.yaml:3: mqtt.hots is no option (did you mean host?)

port: 1
=> car.yaml:1: port is no option (it belongs under listen or mqtt)

listen:
  port: 1
  mqtt: {}
=> car.yaml:3: listen.mqtt is no option (it belongs at the left margin)

mqtt: {ca: a.pem}
=> car.yaml:1: mqtt.ca is no option (it belongs under mqtt.tls)

mqtt: {key: a.pem}
=> car.yaml:1: mqtt.key is no option (it belongs under mqtt.tls)

alarms: {zzz: }
=> car.yaml:1: alarms.zzz is no option (known here: auto_receipt)

vehicles:
  golf:
    tracker: 1
=> car.yaml:3: vehicles.golf.tracker is no option (did you mean trackers?)

mqtt: 127.0.0.1
=> car.yaml:1: mqtt must be a block of options (such as host: ...)

- listen
=> car.yaml:1: the configuration must be a block of options (such as listen: ...)

listen:
  port: 99999
=> car.yaml:2: listen.port must be a whole number from 1 to 65535, not '99999'

limits:
  idle_s: 30 min
=> car.yaml:2: limits.idle_s must be a whole number from 60 to 86400, not '30 min'

limits:
  whoami_s: -1
=> car.yaml:2: limits.whoami_s must be a number from 0.1 to 60, not '-1'

limits:
  guests: 9999999999999999999999
=> car.yaml:2: limits.guests must be a whole number from 1 to 1000, not '9999999999999999999999'

listen: {tcp: maybe}
=> car.yaml:1: listen.tcp must be true or false, not 'maybe'

listen:
  tcp: false
  udp: false
=> car.yaml:3: listen.udp must be on where tcp is off

listen: {port: [1]}
=> car.yaml:1: listen.port must be a single value (here stands a block or a list)

listen: {proxy_protocol: true}
=> car.yaml:1: listen.proxy_protocol[0] must be an address or a network, not 'true' (such as
   10.8.0.1 or 10.8.0.0/24)

listen:
  proxy_protocol:
    - 10.8.0.1
    - vps.example.org
=> car.yaml:4: listen.proxy_protocol[1] must be an address or a network, not 'vps.example.org'
   (such as 10.8.0.1 or 10.8.0.0/24)

listen: {proxy_protocol: [10.8.0.1/24]}
=> car.yaml:1: listen.proxy_protocol[0] must be an address or a network, not '10.8.0.1/24' (did you
   mean 10.8.0.0/24?)

listen: {proxy_protocol: 0.0.0.0/0}
=> car.yaml:1: listen.proxy_protocol[0] must leave somebody out, not '0.0.0.0/0' (name the proxy's
   own address)

listen: {proxy_protocol: ["::ffff:10.8.0.1"]}
=> car.yaml:1: listen.proxy_protocol[0] must be written as IPv4, not '::ffff:10.8.0.1'

listen: {proxy_protocol: {a: b}}
=> car.yaml:1: listen.proxy_protocol must be a list of addresses (as in [10.8.0.1])

log: {level: " "}
=> car.yaml:1: log.level must be one line of printable text

log:
  level: warn
=> car.yaml:2: log.level must be debug, info, warning or error, not 'warn' (did you mean
   warning?)

mqtt: {protocol: 4}
=> car.yaml:1: mqtt.protocol must be auto, 5 or 3.1.1, not '4'

mqtt:
  host: mqtt://ada:hunter2@broker.lan
=> car.yaml:2: mqtt.host must be a host name or an address, nothing else (no mqtt://, account or
   port: they are options of their own)

mqtt:
  host: broker:1883
=> car.yaml:2: mqtt.host must be a host name or an address, nothing else (no mqtt://, account or
   port: they are options of their own)

mqtt:
  password: a
=> car.yaml:2: mqtt.password needs a username beside it

mqtt: {tls: perhaps}
=> car.yaml:1: mqtt.tls must be true or false, not 'perhaps'

mqtt: {tls: [ca.pem]}
=> car.yaml:1: mqtt.tls must be true, false or a block of options (such as ca: ...)

mqtt:
  tls:
    ca: missing.pem
=> car.yaml:3: mqtt.tls.ca must be a file that exists and that we may read, not 'missing.pem'

mqtt:
  tls:
    key: car.yaml
=> car.yaml:3: mqtt.tls.key needs a certificate beside it

storage: {path: ~nobody-of-that-name/x}
=> car.yaml:1: storage.path begins with the home folder of nobody, not '~nobody-of-that-name/x'

vehicles: [golf]
=> car.yaml:1: vehicles must hold vehicles by their keys (as in golf: {name: My Golf})

vehicles:
  My Golf!: {}
=> car.yaml:2: vehicles.My Golf! must have a key of a-z, 0-9 and _, 40 characters at most (write
   my_golf, and the rest as its name)

vehicles:
  '!': {}
=> car.yaml:2: vehicles.! must have a key of a-z, 0-9 and _, 40 characters at most

vehicles:
  bridge: {}
=> car.yaml:2: vehicles.bridge has a key that topics need for themselves (write bridge_1)

vehicles:
  golf:
    icon: car
=> car.yaml:3: vehicles.golf.icon must be an icon of Home Assistant, not 'car' (such as mdi:car)

vehicles:
  golf:
    timezone: Europe/Berlin
=> car.yaml:3: vehicles.golf.timezone must be UTC or an offset from -12:00 to +14:00, not
   'Europe/Berlin' (a tracker's clock knows neither places nor summer time: write +02:00)

vehicles:
  golf:
    trackers:
      - 864000000000101
      - 8.64e14
=> car.yaml:5: vehicles.golf.trackers[1] must be a tracker id of 4 to 20 digits, mostly its IMEI,
   not '8.64e14'

vehicles:
  golf:
    trackers:
      -
=> car.yaml:4: vehicles.golf.trackers[0] must not be empty

vehicles:
  golf:
    trackers: {a: b}
=> car.yaml:3: vehicles.golf.trackers must be a list of tracker ids (as in [ID, ID])

vehicles:
  golf:
    trackers: [864000000000101, 864000000000101]
=> car.yaml:3: vehicles.golf.trackers holds 864000000000101 twice (was another tracker meant?)
"""


@pytest.mark.parametrize(("text", "error"), golden(MISTAKES))
def test_mistakes_name_file_line_and_fix(text, error):
    assert mistake(text) == error


@pytest.mark.parametrize(
    "topic",
    ["a/", "/a", "a//b", "a b", "a.b", "a/+", "#", "$SYS", "süd", "_", "a/b/c/d/e/f", "x" * 41],
)
@pytest.mark.parametrize("option", ["mqtt: {base_topic", "home_assistant: {discovery_prefix"])
def test_topics_that_some_broker_would_not_take(option, topic):
    error = mistake(f"{option}: '{topic}'}}")
    assert error.startswith(f"car.yaml:1: {option.replace(': {', '.')} must be words of letters")
    assert "some brokers hang up" in error


@pytest.mark.parametrize("offset", ["+14:15", "-12:15", "+02:10", "2", "120", "UTC+", "+99"])
def test_no_timezone(offset):
    assert "must be UTC or an offset" in mistake(f"vehicles: {{golf: {{timezone: '{offset}'}}}}")


def test_two_vehicles_cannot_have_one_tracker():
    assert mistake(
        """
        vehicles:
          golf:
            trackers: [864000000000101]
          van:
            trackers:
              - 864000000000102
              - 864000000000101
        """
    ) == (
        "car.yaml:8: tracker 864000000000101 stands in vehicles.van.trackers and in"
        " vehicles.golf.trackers (the other is car.yaml:4; keep one of the two)"
    )


def test_a_vehicles_tracker_cannot_be_blocked():
    assert mistake(
        """
        vehicles:
          golf:
            trackers: 864000000000101
        access:
          block:
            - 864000000000101
        """
    ) == (
        "car.yaml:4: tracker 864000000000101 stands in vehicles.golf.trackers and in"
        " access.block (the other is car.yaml:7; keep one of the two)"
    )


def test_a_tracker_cannot_be_allowed_and_blocked():
    assert mistake("access:\n  block: [864000000000101]\n  allow: [864000000000101]") == (
        "car.yaml:3: tracker 864000000000101 stands in access.allow and in access.block"
        " (the other is car.yaml:2; keep one of the two)"
    )


def test_a_tracker_may_be_allowed_and_have_a_vehicle_but_not_two():
    allow = "access: {allow: [864000000000101]}\n"
    golf = "vehicles:\n  golf: {trackers: [864000000000101]}\n"
    assert reading(allow + golf).vehicles[0].trackers == ("864000000000101",)
    error = mistake(f"{allow}{golf}  van: {{trackers: [864000000000101]}}")
    assert "vehicles.van.trackers and in vehicles.golf.trackers" in error


def test_all_mistakes_are_told_in_the_files_order():
    with pytest.raises(ConfigError) as caught:
        reading("log: {level: loud}\nmqtt:\n  hots: a\n  port: b\nzzz: 1\n")
    assert caught.value.line == 1
    assert [note.split(" ")[:2] for note in caught.value.__notes__] == [
        ["car.yaml:3:", "mqtt.hots"],
        ["car.yaml:4:", "mqtt.port"],
        ["car.yaml:5:", "zzz"],
    ]


NO_YAML = r"""
listen:
  port: 1
mqtt:
listen:
  port: 2
=> car.yaml:4: listen stands here twice (first in line 1; put both together)

mqtt:
  username: a: b
=> car.yaml:2: this is no YAML: mapping values are not allowed here (check the indentation; a
   text with `: ` needs quotes)

listen:
  port: 1
 tcp: on
=> car.yaml:3: this is no YAML: expected <block end>, but found '<block mapping start>' (this
   line is indented differently from those around it)

mqtt: {password: 'a
=> car.yaml:1: this is no YAML: found unexpected end of stream (a quote is not closed)

a: 1
---
b: 1
=> car.yaml:2: this is no YAML (one file, one document: remove the line `---`)

? [a]
: b
=> car.yaml:1: a key must be one word

a: &a [*a]
=> car.yaml:1: nested too deeply

mqtt:
  password: !hunter2
=> car.yaml:2: this tag means nothing here (only `!secret NAME` and `!env NAME` are known; a text
   that begins with ! needs quotes)

mqtt: !secret [a]
=> car.yaml:1: this tag means nothing here (only `!secret NAME` and `!env NAME` are known; a text
   that begins with ! needs quotes)
"""


@pytest.mark.parametrize(("text", "error"), golden(NO_YAML))
def test_what_is_no_yaml(text, error):
    assert mistake(text) == error


def test_tabs_and_control_characters_are_explained():
    assert mistake("mqtt:\n\thost: a") == (
        r"car.yaml:2: this is no YAML: found character '\t' that cannot start any token"
        " (indent with spaces, never with a tab)"
    )
    assert mistake("a: 1\nb: \x01") == "car.yaml:2: a character that YAML does not allow"


def test_names_are_bounded():
    assert mistake(f"vehicles: {{golf: {{name: {'x' * 81}}}}}") == (
        "car.yaml:1: vehicles.golf.name must have at most 80 characters"
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text("ab:-[]{}!&*#?|>'\"\n\t ,0", max_size=40),
        st.sampled_from(["listen", "mqtt", "vehicles", "access", "limits", "log"]).flatmap(
            lambda section: st.text("abt:-[]{}!~'\n ,0", max_size=30).map(
                lambda rest: f"{section}: {rest}"
            )
        ),
    )
)
def test_whatever_stands_in_the_file_it_is_a_config_or_a_config_error(text):
    Path("any.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = load(Path("any.yaml"), {})
    except ConfigError as error:
        assert str(error).startswith("any.yaml:")  # noqa: PT017 - one of two outcomes
    else:
        assert isinstance(loaded, Config)
