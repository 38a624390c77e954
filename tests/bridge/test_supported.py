"""SUPPORTED.md says what the corpus and the encoders prove, and leaves none of them out."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from bridge import command as c
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import LINES
from tests.supported import ENCODERS, PAGE, SAMPLES, render

ENCODING = Path(__file__).parents[2] / "bridge" / "protocols"


def test_the_page_is_what_the_corpus_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == render(), "SUPPORTED.md is stale: make supported"


def test_the_page_has_every_protocol_and_every_pinned_case() -> None:
    page = render()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")][
        -len(PROTOCOLS) :
    ] == [protocol.name for protocol in PROTOCOLS]
    for line in LINES:
        if "why" in line.row:
            assert f"| `{line.id.partition('/')[2]}` |" in page, line.id


def test_every_table_of_encoders_is_shown() -> None:
    written = {
        path.relative_to(ENCODING).with_suffix("").as_posix().replace("/", ".")
        for path in ENCODING.rglob("*commands.py")
    }
    assert {module.__name__.removeprefix("bridge.protocols.") for module in ENCODERS.values()} == (
        written
    )


def test_every_command_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(c.AnyCommand))
