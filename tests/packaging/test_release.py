"""Versions agree, the changelog can be cut, and the workflow asks for what is there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from bridge import __version__
from tests.packaging import release
from tests.packaging.release import ROOT, NotReadyError, entry

WORKFLOW = ROOT / ".github/workflows/release.yml"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_there_is_one_version() -> None:
    found = release.versions()
    assert set(found.values()) == {__version__}, found
    assert f"## [{__version__}]" in CHANGELOG


def test_a_tag_of_another_version_is_refused() -> None:
    with pytest.raises(NotReadyError, match=r"bridge/__init__\.py says"):
        release.notes("v99.0.0")


def test_the_entry_of_a_version_is_cut_out() -> None:
    newer = "## [1.1.0] - 2026-12-01\n\nNew.\n\n### Added\n\n- it\n\n"
    log = f"# C\n\n{newer}## [1.0.0] - 2026-11-01\n\nOld.\n"
    assert entry("1.1.0", log) == "New.\n\n### Added\n\n- it"
    assert entry("1.0.0", log) == "Old."
    with pytest.raises(NotReadyError, match="no entry"):
        entry("1.2.0", log)
    with pytest.raises(NotReadyError, match="no date"):
        entry("1.1.0", log.replace("2026-12-01", "Unreleased"))


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job["steps"])


def test_the_workflow_publishes_only_what_passed() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    jobs = workflow["jobs"]
    # YAML reads `on` as true.
    assert workflow[True] == {"push": {"tags": ["v*.*.*"]}}
    assert workflow["permissions"] == {"contents": "read"}

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        names = {needs} if isinstance(needs, str) else set(needs)
        return names | {one for needed in names for one in before(needed)}

    for name in jobs.keys() - {"check"}:
        assert "check" in before(name), name
    assert before("release") >= {"wheel", "image"}
    assert any(".ci/run" in step.get("run", "") for step in steps(jobs["check"]))


def test_the_wheel_comes_with_what_it_was_tested_with() -> None:
    """The page of systemd promises it; make dist begins with an empty folder."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    wheel = steps(workflow["jobs"]["wheel"])
    said = [step.get("run", "") for step in wheel]
    assert said.index("make dist") < said.index("cp requirements-run.lock dist/")
    assert wheel[-1]["with"]["path"] == "dist/*"
    (published,) = (
        step["run"]
        for step in steps(workflow["jobs"]["release"])
        if "Publish" in step.get("name", "")
    )
    assert published.endswith(" dist/*")
    page = (ROOT / "docs/install-systemd.md").read_text()
    assert "install -r requirements-run.lock --require-hashes" in page
    # The index takes wheel and sdist, nothing else.
    assert any(
        "mv all/tk103b_bridge-* dist/" in step.get("run", "")
        for step in steps(workflow["jobs"]["index"])
    )


def test_the_workflow_names_what_exists() -> None:
    text = WORKFLOW.read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for step in steps(yaml.safe_load(text)["jobs"]["image"]):
        if "platforms" in step.get("with", {}):
            assert step["with"]["platforms"] == "linux/amd64,linux/arm64"
            assert (ROOT / step["with"]["context"] / "Dockerfile").is_file()
    # What is pulled is what is pushed.
    app = yaml.safe_load((ROOT / "tk103b_bridge/config.yaml").read_text())
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    pushed = "ghcr.io/tk103b-bridge/tk103b-bridge"
    assert app["image"] == f"{pushed}-app"
    assert compose["services"]["bridge"]["image"] == f"{pushed}:{__version__}"
