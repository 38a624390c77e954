"""What stands in the pages to be copied works: configuration, command lines, requests, payloads."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import config
from bridge.cli.words import parser
from bridge.config import Config
from tests.reference.heard import complaints, request_check

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
SECTIONS = {field.name for field in fields(Config)}

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_ANNOUNCED = re.compile(
    r"`(tk103b/[a-z0-9_/]+)`[^`\n]*:\n\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_PROGRAM = re.compile(
    r"(?:\$ )?(?:[A-Z0-9_]+=\S+ )*(?:sudo (?:-u \w+ )?(?:[A-Z0-9_]+=\S+ )*)?"
    r"(?:docker (?:compose )?exec \S+ )?(?:\S*/)?tk103b-bridge (.+)"
)
_ENTRYPOINT = re.compile(r"docker compose run --rm bridge (.+)")
_ENDS = {"|", ">", ">>", "&&", "||", "&", ";"}


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    for name, text in PAGES.items():
        for indent, language, body in _BLOCK.findall(text):
            if language in languages:
                yield name, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)


def lines() -> Iterator[tuple[str, str]]:
    """Every line that a person may type, with the page it stands on."""
    for name, body in blocks("sh", "console"):
        for line in body.replace("\\\n", " ").splitlines():
            yield name, line.strip()
    for name, text in PAGES.items():
        for words in _INLINE.findall(_BLOCK.sub("", text)):
            yield name, " ".join(words.split())


def typed(line: str) -> list[str] | None:
    """What a line gives to our program, None where it is not called."""
    found = _PROGRAM.fullmatch(line) or _ENTRYPOINT.fullmatch(line)
    if found is None:
        return None
    lexer = shlex.shlex(found[1], posix=True, punctuation_chars=True)
    lexer.wordchars += "{}@[]:,%*#!+"
    arguments: list[str] = []
    for word in lexer:
        if word in _ENDS:
            break
        arguments.append(word)
    return arguments


TYPED = sorted({
    (name, line)
    for name, line in lines()
    if (arguments := typed(line)) and arguments[0] not in {"...", "COMMAND"}
})  # fmt: skip
CONFIGURATIONS = [
    (name, text)
    for name, text in blocks("yaml")
    if isinstance(document := yaml.compose(text), yaml.MappingNode)
    and {key.value for key, _ in document.value} <= SECTIONS
]
ASKED = [
    (name, shlex.split(line)) for name, line in lines() if line.startswith("mosquitto_pub ")
]  # fmt: skip
SAID = [(name, *found) for name, text in PAGES.items() for found in _ANNOUNCED.findall(text)]


def test_there_is_something_to_try() -> None:
    assert len(TYPED) > 60
    assert len(CONFIGURATIONS) > 3
    assert len(ASKED) > 3
    assert SAID


@pytest.mark.parametrize(("page", "line"), TYPED)
def test_command_lines_are_understood(page: str, line: str) -> None:
    arguments = typed(line)
    assert arguments
    try:
        # A command that is only named has no arguments; its help is there, if it is one.
        parser().parse_args(arguments if len(arguments) > 1 else [*arguments, "--help"])
    except SystemExit as left:
        assert left.code == 0, f"{page}: {line}"  # noqa: PT017 - --help and --version leave, too


@pytest.mark.parametrize(("page", "text"), CONFIGURATIONS)
def test_configurations_are_legal(page: str, text: str, tmp_path: Path) -> None:
    secrets = dict.fromkeys(re.findall(r"!secret (\w+)", text), "123456")
    (tmp_path / "secrets.yaml").write_text(yaml.safe_dump(secrets))
    for name in re.findall(r"(?:ca|certificate|key): (\S+\.\w+)", text):
        (tmp_path / name).touch()
        text = text.replace(name, str(tmp_path / name))
    file = tmp_path / "tk103b-bridge.yaml"
    file.write_text(text)
    assert config.load(file, {}), page


@pytest.mark.parametrize(("page", "words"), ASKED)
def test_requests_have_legal_fields(page: str, words: list[str]) -> None:
    topic, payload = words[words.index("-t") + 1], words[words.index("-m") + 1]
    wrong = request_check(topic, payload.encode())
    assert wrong is None, f"{page}: {wrong}"
    assert "-r" not in words


@pytest.mark.parametrize(("page", "topic", "text"), SAID)
def test_payloads_are_what_is_said(page: str, topic: str, text: str) -> None:
    body: Any = json.loads(text)
    assert complaints([(topic, json.dumps(body).encode())]) == [], page


def test_the_navigation_names_every_page_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def named(entry: Any) -> Iterator[str]:
        match entry:
            case str():
                yield entry
            case dict():
                for inner in entry.values():
                    yield from named(inner)
            case list():
                for inner in entry:
                    yield from named(inner)

    pages = list(named(site["nav"]))
    there = {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")}
    assert sorted(pages) == sorted(name for name in there if not name.startswith("adr/"))


def test_the_lock_of_the_site_is_pinned() -> None:
    lock = (ROOT / "docs-requirements.lock").read_text()
    assert re.search(r"^mkdocs-material==", lock, re.MULTILINE)
    pins = re.findall(r"^\S+==\S+.*\\$", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[^\s#]", lock, re.MULTILINE))
    assert "://" not in lock
