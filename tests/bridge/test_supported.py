"""SUPPORTED.md says what the corpus and the encoders prove, and leaves none of them out."""

from __future__ import annotations

from typing import get_args

from bridge import command as c
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import LINES
from tests.supported import PAGE, SAMPLES, render


def test_the_page_is_what_the_corpus_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == render(), "SUPPORTED.md is stale: make supported"


def test_the_page_has_every_protocol_and_every_pinned_case() -> None:
    page = render()
    for protocol in PROTOCOLS:
        assert f"\n## {protocol.name}\n" in page
    for line in LINES:
        if "why" in line.row:
            assert f"| `{line.id.partition('/')[2]}` |" in page, line.id


def test_every_command_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(c.AnyCommand))
