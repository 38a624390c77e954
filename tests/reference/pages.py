"""Which files of the documentation are made, and of what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.reference import asyncapi, commandline, configuration, entities, topics

DOCS = Path(__file__).parents[2] / "docs"

PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "asyncapi.yaml": asyncapi.render,
    DOCS / "reference/configuration.md": configuration.render,
    DOCS / "reference/topics.md": topics.render,
    DOCS / "reference/entities.md": entities.render,
    DOCS / "reference/command-line.md": commandline.render,
}
