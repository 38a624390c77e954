"""docs/asyncapi.yaml, held against the specification that AsyncAPI's own package brings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from tests.node_red.conftest import installed

PAGE = Path(__file__).parents[2] / "docs/asyncapi.yaml"

Document = dict[str, Any]


def without_examples(part: Any) -> Any:
    """Return a schema without its lists of examples, whose references lead nowhere in it."""
    if isinstance(part, dict):
        return {
            name: without_examples(inner)
            for name, inner in part.items()
            if not (name == "examples" and isinstance(inner, list))
        }
    return [*map(without_examples, part)] if isinstance(part, list) else part


@pytest.fixture(scope="session")
def is_asyncapi() -> Callable[[Document], object]:
    """Raises JsonSchemaValueException for what is no document of AsyncAPI."""
    version = yaml.safe_load(PAGE.read_text("utf-8"))["asyncapi"]
    schemas = installed() / "node_modules/@asyncapi/specs/schemas"
    specification = json.loads((schemas / f"{version}-without-$id.json").read_text("utf-8"))
    compiled = fastjsonschema.compile(without_examples(specification), use_default=False)
    assert callable(compiled)
    return compiled


@pytest.fixture
def document() -> Document:
    found: Document = yaml.safe_load(PAGE.read_text("utf-8"))
    return found


def test_it_is_a_document_of_asyncapi_3(
    document: Document, is_asyncapi: Callable[[Document], object]
) -> None:
    assert document["asyncapi"].startswith("3.")
    is_asyncapi(document)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: page.pop("info"),
        lambda page: page["channels"]["bridgeState"].update(adress="tk103b"),
        lambda page: page["operations"]["bridgeState"].update(action="publish"),
        lambda page: page["operations"]["bridgeState"]["bindings"]["mqtt"].update(qos=3),
        lambda page: page["components"]["schemas"]["Position"].update(type="struct"),
    ],
)
def test_the_specification_would_find_a_mistake(
    spoil: Callable[[Document], object],
    document: Document,
    is_asyncapi: Callable[[Document], object],
) -> None:
    spoil(document)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        is_asyncapi(document)
