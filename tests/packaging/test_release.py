"""Versions agree, the changelog can be cut, and the workflow asks for what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
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
    assert before("image") >= {"wheel"}, "no image of what could not be built"
    assert any(".ci/run" in step.get("run", "") for step in steps(jobs["check"]))
    checked = (ROOT / ".ci/run").read_text().splitlines()
    assert {"make check", "make test", "make docs"} <= set(checked)


def test_ci_installs_what_tests_look_for() -> None:
    listed = (ROOT / ".ci/run").read_text().split("<<'PROGRAMS'\n")[1].split("PROGRAMS\n")[0]
    tests = ROOT / "tests"
    files = [tests / "conftest.py", *tests.glob("e2e/**/*.py"), *tests.glob("packaging/**/*.py")]
    sought = {
        program for file in files for program in re.findall(r'which\("([\w-]+)"', file.read_text())
    }
    # Every Debian has the one, and the broker's package the other.
    assert sought - {"setpriv", "mosquitto_passwd"} <= {
        line.split()[0] for line in listed.splitlines()
    }


def test_only_a_release_is_the_latest() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    naming = [name for name, job in jobs.items() if ":latest" in yaml.safe_dump(job)]
    assert naming == ["release"]
    said = [step.get("run", "") for step in steps(jobs["release"])]
    (tagged,) = [number for number, run in enumerate(said) if ":latest" in run]
    (published,) = [number for number, run in enumerate(said) if "gh release create" in run]
    assert published < tagged


def test_actions_are_pinned_to_a_release() -> None:
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", one)] == []
    assert len(set(used)) == len({one.partition("@")[0] for one in used}), "one version of each"


def test_hacs_asks_for_what_a_release_has(tmp_path: Path) -> None:
    """The file of that name, with the manifest at its top: HACS unpacks it into the folder."""
    told = json.loads((ROOT / "hacs.json").read_text())
    assert told["zip_release"] is True
    (packing,) = (
        step["run"]
        for step in steps(yaml.safe_load(WORKFLOW.read_text())["jobs"]["wheel"])
        if "HACS" in step.get("name", "")
    )
    if shutil.which("zip") is None:
        pytest.skip("zip is not here, so nothing was packed. Try: apt install zip")
    shutil.copytree(ROOT / "custom_components", tmp_path / "custom_components")
    (tmp_path / "dist").mkdir()
    subprocess.run(["sh", "-c", packing], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(tmp_path / "dist" / told["filename"]) as packed:
        names = set(packed.namelist())
    assert {"manifest.json", "__init__.py", "translations/en.json"} <= names
    assert not any("__pycache__" in name for name in names)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_no_page_names_a_version_of_ours(page: Path) -> None:
    """Nobody would think of it when the version changes."""
    assert not re.search(r"tk103b[_-]bridge[-:_]v?\d+\.\d+", page.read_text(encoding="utf-8"))


def test_the_checks_find_both_pythons() -> None:
    """No mirror of Ubuntu has the component's; the later one is `python3`."""
    versions = [
        step["with"]["python-version"]
        for step in steps(yaml.safe_load(WORKFLOW.read_text())["jobs"]["check"])
        if step.get("uses", "").startswith("actions/setup-python@")
    ]
    assert versions == ["3.14", "3.13"]


def test_the_wheel_comes_with_what_the_page_of_systemd_wants() -> None:
    """Make dist begins with an empty folder."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    wheel = steps(workflow["jobs"]["wheel"])
    said = [step.get("run", "") for step in wheel]
    page = (ROOT / "docs/install-systemd.md").read_text()
    (copying,) = [run for run in said if run.startswith("cp ")]
    _, *files, folder = copying.split()
    assert folder == "dist/"
    assert said.index("make dist") < said.index(copying)
    assert [file for file in files if not (ROOT / file).is_file() or file not in page] == []
    assert {Path(file).suffix for file in files} == {".lock", ".yaml", ".service"}
    assert wheel[-1]["with"]["path"] == "dist/*"
    (published,) = (
        step["run"]
        for step in steps(workflow["jobs"]["release"])
        if "Publish" in step.get("name", "")
    )
    assert published.endswith(" dist/*")
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
