"""docs/commands.md has the table that the vocabularies make, and every dialect by its name."""

from __future__ import annotations

from typing import get_args

from bridge import command as c
from bridge.protocols.registry import VOCABULARIES
from tests.reference.capabilities import PAGE, render


def test_the_table_is_what_the_vocabularies_make_of_it() -> None:
    page = PAGE.read_text("utf-8")
    assert page == render(page), "docs/commands.md is stale: make supported"


def test_every_command_has_a_row() -> None:
    page = PAGE.read_text("utf-8")
    for kind in get_args(c.AnyCommand):
        assert f"\n| `{kind.__struct_config__.tag}` |" in page


def test_every_dialect_is_named() -> None:
    page = PAGE.read_text("utf-8")
    for name, vocabulary in VOCABULARIES.items():
        for dialect in vocabulary.dialects:
            assert f"`{dialect}`" in page, f"{name} {dialect}"


def test_a_command_that_is_not_answered_is_told_apart() -> None:
    rows = {
        cells[1].strip("` "): [cell.strip() for cell in cells[2:-1]]
        for line in render(PAGE.read_text("utf-8")).split("<!--")[1].splitlines()
        if (cells := line.split("|")) and len(cells) > 3
    }
    columns = list(VOCABULARIES)
    assert rows["engine_stop"][columns.index("xexun")] == "sent"
    assert rows["engine_stop"][columns.index("gps103")] == "answered"
    assert rows["arm"][columns.index("gt06")] == ""
    assert rows["sos_alarm"][columns.index("tk103")] == "sent (`sms`)"
