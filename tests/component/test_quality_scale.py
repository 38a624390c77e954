"""The Integration Quality Scale: every rule is kept, or need not be and says why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from custom_components.tk103b.services import ACTIONS

from .words import COMPONENT, ROOT, read, translations

BRONZE = [
    "action-setup", "appropriate-polling", "brands", "common-modules", "config-flow-test-coverage",
    "config-flow", "dependency-transparency", "docs-actions", "docs-triggers", "docs-conditions",
    "docs-high-level-description", "docs-installation-instructions", "docs-removal-instructions",
    "entity-event-setup", "entity-unique-id", "has-entity-name", "runtime-data",
    "test-before-configure", "test-before-setup", "unique-config-entry",
]  # fmt: skip
SILVER = [
    "action-exceptions", "config-entry-unloading", "docs-configuration-parameters",
    "docs-installation-parameters", "entity-unavailable", "integration-owner",
    "log-when-unavailable", "parallel-updates", "reauthentication-flow", "test-coverage",
]  # fmt: skip
GOLD = [
    "devices", "diagnostics", "discovery-update-info", "discovery", "docs-data-update",
    "docs-examples", "docs-known-limitations", "docs-supported-devices", "docs-supported-functions",
    "docs-troubleshooting", "docs-use-cases", "dynamic-devices", "entity-category",
    "entity-device-class", "entity-disabled-by-default", "entity-translations",
    "exception-translations", "icon-translations", "reconfiguration-flow", "repair-issues",
    "stale-devices",
]  # fmt: skip
PLATINUM = ["async-dependency", "inject-websession", "strict-typing"]
NEED_NOT = {
    "appropriate-polling", "docs-triggers", "docs-conditions", "reauthentication-flow",
    "async-dependency", "inject-websession",
}  # fmt: skip
"""Rules about what the component does not have."""

RULES: dict[str, Any] = read("quality_scale.yaml")["rules"]


def test_every_rule_is_there_once_tier_by_tier() -> None:
    expected = [*BRONZE, *SILVER, *GOLD, *PLATINUM]
    assert len(expected) == len(set(expected)) == 54
    assert list(RULES) == expected


@pytest.mark.parametrize("rule", RULES)
def test_it_is_done_or_need_not_be(rule: str) -> None:
    kept = RULES[rule]
    status = kept if isinstance(kept, str) else kept["status"]
    assert status == ("exempt" if rule in NEED_NOT else "done")
    if status == "exempt":
        assert len(kept["comment"]) > 20


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.startswith("docs-")])
def test_what_is_documented_stands_where_it_says(rule: str) -> None:
    kept = RULES[rule]
    if kept["status"] == "exempt":
        return
    page, _, heading = kept["comment"].partition(", ")
    text = (ROOT / page).read_text("utf-8")
    section = re.search(
        rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert section is not None, f"{page} has no section {heading!r}"
    assert len(section[1].split()) > 20, f"{page}, {heading}: says hardly anything"


def test_the_page_names_every_action_field_option_and_blueprint() -> None:
    page = (ROOT / "docs/component.md").read_text("utf-8")
    code = {word for one in re.findall(r"`([^`\n]+)`", page) for word in re.split(r"[^\w.]", one)}
    for name, action in ACTIONS.items():
        assert f"tk103b.{name}" in code
        assert {str(marker) for marker in action.fields} <= code, name
    english = translations()
    for option in english["options"]["step"]["init"]["data"].values():
        assert f"\n| {option} |" in page
    for field in english["config"]["step"]["user"]["data"].values():
        assert f"\n| {field} |" in page
    for blueprint in (ROOT / "examples/blueprints").glob("*.yaml"):
        assert f"(../examples/blueprints/{blueprint.name})" in page


def test_the_manifest_claims_what_is_kept() -> None:
    assert read("manifest.json")["quality_scale"] == "platinum"


@pytest.mark.parametrize(
    "platform", ["binary_sensor", "button", "device_tracker", "event", "sensor", "switch"]
)
def test_parallel_updates_are_said(platform: str) -> None:
    """What only shows has no limit; what is told a tracker, the bridge puts in its order."""
    source = (COMPONENT / f"{platform}.py").read_text("utf-8")
    assert "\nPARALLEL_UPDATES = 0\n" in source
