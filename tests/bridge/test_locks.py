"""Both locks say the same, and the container's one holds no development tool."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

_PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; .*?)? \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)
_FIRST_LINE = re.compile(r"^[^\s#]", re.MULTILINE)


def pins(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> version and hashes."""
    return {
        name: (version, frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
        for name, version, hashes in _PIN.findall(text)
    }


def names(requirements: list[str]) -> set[str]:
    found = {re.match(r"[A-Za-z0-9_.-]+", each) for each in requirements}
    return {name[0].lower().replace("_", "-") for name in found if name}


FULL_LOCK = (ROOT / "requirements.lock").read_text()
RUN_LOCK = (ROOT / "requirements-run.lock").read_text()
EVERYTHING = pins(FULL_LOCK)
RUN = pins(RUN_LOCK)


def test_the_locks_pin_what_the_project_names() -> None:
    assert names(PROJECT["dependencies"]) <= RUN.keys()
    assert names(PROJECT["optional-dependencies"]["dev"]) <= EVERYTHING.keys()


@pytest.mark.parametrize("text", [FULL_LOCK, RUN_LOCK], ids=["full", "run"])
def test_every_line_of_a_lock_is_a_pin_with_hashes(text: str) -> None:
    assert len(_FIRST_LINE.findall(text)) == len(pins(text))
    assert all(hashes for _, hashes in pins(text).values())


def test_the_locks_agree() -> None:
    assert {name: EVERYTHING.get(name) for name in RUN} == RUN


def test_the_image_gets_no_development_tool() -> None:
    assert not names(PROJECT["optional-dependencies"]["dev"]) & RUN.keys()


def test_the_image_is_built_with_the_build_backend_of_the_lock() -> None:
    """The command that stands in the Dockerfile, run as it stands there."""
    found = re.search(r"^RUN (sed -n .*?) >", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    done = subprocess.run(
        shlex.split(found[1]), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert pins(done.stdout) == {"flit-core": EVERYTHING["flit-core"]}
