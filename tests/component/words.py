"""The component's files as text and data, for the tests that read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPONENT = ROOT / "custom_components/tk103b"
LANGUAGES = ("en", "de", "es")


def read(name: str) -> Any:
    """Return a JSON or YAML file of the component."""
    text = (COMPONENT / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def translations(language: str = "en") -> dict[str, Any]:
    """Return everything the component says in a language."""
    found: dict[str, Any] = read(f"translations/{language}.json")
    return found


def flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with the keys that lead to it, joined by dots."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def sources() -> dict[str, str]:
    """Return the component's modules, by file name."""
    return {path.name: path.read_text("utf-8") for path in sorted(COMPONENT.glob("*.py"))}


def placeholders(text: str) -> frozenset[str]:
    """Return the names that stand in braces."""
    return frozenset(re.findall(r"\{(\w*)\}", text))
