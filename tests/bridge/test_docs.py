"""The pages say what is so: links lead somewhere, and no topic, entity or module is left out."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from bridge.assess import Verdict
from bridge.config import Config
from bridge.contract import (
    ALARM_KINDS,
    BRIDGE_ENTITIES,
    ENTITIES,
    VEHICLE_LEAVES,
    AlarmPayload,
    Position,
    State,
)
from bridge.protocols.registry import PROTOCOLS
from bridge.requests import Requests
from tests.bridge.corpus import LINES

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that headings get where such pages are shown."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def page(name: str) -> str:
    return PAGES[name]


def unnamed(names: object, text: str) -> list[str]:
    """The names that stand nowhere in a page as a word in code."""
    words = {
        word for code in re.findall(r"`([^`\n]+)`", text) for word in re.split(r"[^\w/]", code)
    }
    return [name for name in cast(Any, names) if name not in words]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for file, anchor in _LINK.findall(page(name)):
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target.read_text()), f"{file}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_examples_are_well_formed(name: str) -> None:
    for _, language, text in _BLOCK.findall(page(name)):
        if language == "json":
            json.loads(text)
        elif language == "yaml":
            yaml.compose(text)


def test_every_topic_and_payload_field_is_documented() -> None:
    text = page("docs/topics.md")
    for leaf in VEHICLE_LEAVES:
        assert f"`vehicle/<key>/{leaf}`" in text
    for payload in (Position, State, AlarmPayload):
        assert not unnamed(payload.__annotations__, text)
    assert not unnamed(Verdict, text)


def test_every_request_is_documented() -> None:
    verbs = Requests(cast(Any, None), cast(Any, None))._verbs
    assert not unnamed(verbs, page("docs/topics.md"))


def test_every_entity_and_alarm_is_documented() -> None:
    text = page("docs/home-assistant.md")
    words = set(re.findall(r"\w+", text.replace("my_golf_", "").replace("tk103b_bridge_", "")))
    named = {entity.key for entity in (*ENTITIES, *BRIDGE_ENTITIES) if not entity.alarm}
    assert named - {"tracker"} <= words
    assert set(ALARM_KINDS) <= words
    assert set(ALARM_KINDS) <= set(re.findall(r"\w+", page("docs/topics.md")))


def test_every_block_of_the_configuration_is_documented() -> None:
    blocks = {option.name for option in fields(Config)} - {"hidden", "named", "waiting"}
    assert not unnamed(blocks, page("docs/configuration.md"))


def test_the_tree_and_the_layers_are_those_that_imports_are_held_to() -> None:
    text = page("ARCHITECTURE.md")
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [set(re.findall(r"\w+", layer)) for layer in rules["contracts"][0]["layers"]]

    told = text.split("\n```\n__main__ >")[1].split("\n```\n")[0]
    assert [set(re.findall(r"\w+", layer)) for layer in f"__main__ >{told}".split(">")] == layers

    drawn = text.split("\nbridge/\n")[1].split("\ntests/\n")[0].splitlines()
    rooms = [re.split(r" {3,}", line[2:])[0] for line in drawn if line[2:3] != " "]
    named = {word for room in rooms for word in re.findall(r"(\w+)(?:\.py|/)", room)}
    assert named == set().union(*layers)


def test_what_corpus_lines_cite_is_there() -> None:
    """`docs/protocols.md, tk103, cells` is a heading below that protocol that begins so."""
    sections = {
        name: [heading.lower() for heading in _HEADING.findall(text)]
        for name, text in re.findall(
            r"^## (\S+)\n(.*?)(?=^## |\Z)", page("docs/protocols.md"), re.MULTILINE | re.DOTALL
        )
    }
    known = {protocol.name for protocol in PROTOCOLS}
    sources = {line.row["source"] for line in LINES if line.protocol in known} - {"capture"}
    for source in sources:
        file, name, section = source.split(", ")
        assert file == "docs/protocols.md"
        assert any(each.startswith(section.lower()) for each in sections[name]), source
