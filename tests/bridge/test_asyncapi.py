"""docs/asyncapi.yaml says what this bridge says.

That it is a document of AsyncAPI 3 is held in tests/node_red, where npm brings the specification.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest

from bridge import requests
from bridge.contract import Topics
from tests.reference import asyncapi
from tests.reference.heard import channel_of, complaints
from tests.reference.pages import PAGES
from tests.reference.verbs import VERBS

ROOT = Path(__file__).parents[2]
SAMPLES = json.loads((ROOT / "tests/component/samples.json").read_text())

STATE = {"name": "Golf", "link": "asleep", "private": False, "alarms": {}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_made_of_the_code_is_fresh(page: Path) -> None:
    assert page.read_text("utf-8") == PAGES[page](), "stale: make reference"


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def check(part: Any) -> None:
        for name, inner in part.items() if isinstance(part, dict) else enumerate(part):
            if name == "$ref":
                found = document
                for step in inner.removeprefix("#/").split("/"):
                    found = found[step]
            elif isinstance(inner, dict | list):
                check(inner)

    check(document)


def test_every_topic_is_in_it() -> None:
    topics = Topics(asyncapi.TOPICS.base)
    own = {
        getattr(topics, name) for name, value in vars(Topics).items() if isinstance(value, property)
    }
    addresses = {one["address"] for one in asyncapi.document()["channels"].values()}
    assert own <= addresses


# --- requests -------------------------------------------------------------------------------------


def test_every_request_is_in_it() -> None:
    known = requests.Requests(cast(Any, None), cast(Any, None))._verbs
    assert known.keys() == VERBS.keys(), "tests/reference/verbs.py has a row for each"


def fields_read(method: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The fields of a request that a method of `Requests` reads, and those it hands it to."""
    source = textwrap.dedent(inspect.getsource(getattr(requests.Requests, method)))
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="body")),
                args=[ast.Constant(value=str(field)), *_],
            ):
                found.add(field)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="self"), attr=other),
                args=[ast.Name(id="body"), *_],
            ) if other not in seen:
                found |= fields_read(other, seen | {method})
    return found


READ_ELSEWHERE = {"device/command", "sms_plan"}


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in READ_ELSEWHERE])
def test_a_request_has_the_fields_that_are_read(verb: str) -> None:
    known = requests.Requests(cast(Any, None), cast(Any, None))._verbs
    assert fields_read(known[verb].__name__) == get_type_hints(VERBS[verb].takes).keys()


# --- messages -------------------------------------------------------------------------------------


def said() -> list[tuple[str, bytes]]:
    """All that the bridge of the component's samples says."""
    scenes = [one for scene in SAMPLES["scenes"].values() for one in scene]
    answers = [
        (f"tk103b/bridge/response/{one['verb']}", one["response"])
        for one in SAMPLES["answers"].values()
    ]
    payloads = [
        *SAMPLES["retained"].items(),
        *((one["topic"], one["payload"]) for one in scenes),
        *answers,
    ]
    return [
        (topic, (payload if isinstance(payload, str) else json.dumps(payload)).encode())
        for topic, payload in payloads
    ]


def test_what_the_samples_say_is_valid() -> None:
    assert complaints(said()) == []


@pytest.mark.parametrize(
    ("topic", "payload", "complaint"),
    [
        ("vehicle/golf/state", STATE | {"link": "away"}, "link"),
        ("vehicle/golf/state", STATE | {"colour": "red"}, "colour"),
        ("vehicle/golf/state", STATE | {"speed_kmh": None}, "speed_kmh"),
        ("vehicle/golf/state", STATE | {"last_seen": "yesterday"}, "last_seen"),
        ("vehicle/golf/state", {"name": "Golf"}, "link"),
        ("vehicle/golf/position", {"latitude": 52.52, "longitude": 13.41}, "fix_time"),
        ("vehicle/golf/colour", {}, "no such topic"),
        ("bridge/state", "asleep", "must be one of"),
        ("bridge/response/device/rename", {"status": "ok", "data": {}}, "one definition"),
    ],
)
def test_what_the_contract_does_not_say_is_found(topic: str, payload: Any, complaint: str) -> None:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    (found,) = complaints([(f"tk103b/{topic}", text.encode())])
    assert complaint in found


def test_what_others_say_is_theirs() -> None:
    assert complaints([("tk103b/bridge/request/info", b"nonsense"), ("weather/rain", b"1")]) == []
    assert complaints([("tk103b/vehicle/golf/position", b"")]) == []


def test_a_topic_of_another_base_is_known() -> None:
    assert channel_of("tk103b/vehicle/golf/command/result") == "vehicleCommandResult"
    assert complaints([("home/gps/bridge/state", b"online")], base="home/gps") == []
