"""The app for Home Assistant, held against what its Supervisor takes in 2026."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import journal, registry, supervisor
from bridge.backup import keeping
from tests.packaging.release import ROOT

APP = ROOT / "tk103b_bridge"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text())
LANGUAGES = sorted(APP.glob("translations/*.yaml"))

KEYS = {
    "name", "version", "slug", "description", "url", "image", "arch", "homeassistant", "stage",
    "startup", "boot", "init", "services", "ports", "map", "backup", "backup_exclude", "timeout",
    "options", "schema",
}  # fmt: skip
"""Those that we use; none that would lower the app's rating, such as host_network."""


def test_its_keys() -> None:
    assert CONFIG.keys() == KEYS
    assert CONFIG["slug"] == APP.name
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert CONFIG["arch"] == ["aarch64", "amd64"], "the others are gone since 2025"
    assert CONFIG["startup"] == "services"
    assert CONFIG["boot"] == "auto"
    assert CONFIG["stage"] in {"stable", "experimental"}
    assert "{arch}" not in CONFIG["image"], "one manifest for both"
    assert not (APP / "build.yaml").exists(), "obsolete since Supervisor 2026.04"
    assert CONFIG["services"] == ["mqtt:need"]
    assert CONFIG["ports"] == {"8888/tcp": 8888, "8888/udp": 8888}
    # addon_config and the like are of old since 2026.07.
    assert CONFIG["map"] == [{"type": "app_config", "read_only": True}]


def test_its_data_is_copied_while_nobody_writes() -> None:
    assert CONFIG["backup"] == "cold"
    # Beside what it would copy twice; all that the bridge itself writes there is wanted.
    kept = Path("data", keeping.FOLDER, "tk103b-20260501.zip")
    (pattern,) = CONFIG["backup_exclude"]
    assert kept.match(pattern)
    for name in (journal.FILE_NAME, registry.FILE_NAME, supervisor.OPTIONS_FILE):
        assert not Path("data", name).match(pattern)
    assert CONFIG["timeout"] >= 5


def test_its_watchdog_does_not_look_like_a_tracker() -> None:
    """Home Assistant would open the trackers' port; the image's health check asks elsewhere."""
    assert "watchdog" not in CONFIG
    image = (ROOT / "Dockerfile").read_text()
    assert '"-m", "bridge.healthcheck"' in image
    assert "HEALTHCHECK" not in (APP / "Dockerfile").read_text()


def test_it_is_the_same_image() -> None:
    lines = [
        line
        for line in (APP / "Dockerfile").read_text().splitlines()
        if line and not line.startswith(("#", "ARG", "LABEL", "  "))
    ]
    assert lines == ["FROM ${BRIDGE}", "USER root"]


def test_the_oldest_home_assistant_is_the_components() -> None:
    assert f'"homeassistant": "{CONFIG["homeassistant"]}"' in (ROOT / "hacs.json").read_text()


# The types of options that the Supervisor knows.
KINDS = re.compile(
    r"^(?:str|bool|int|float|email|url|port|device|password|match\(.+\)|list\(.+\))"
    r"(?:\([-0-9,.]*\))?\??$"
)


def test_its_options() -> None:
    options, schema = CONFIG["options"], CONFIG["schema"]
    assert all(KINDS.match(kind) for kind in schema.values())
    # What has no default must be one that may be left out, or the app cannot be started.
    assert options.keys() == {name for name, kind in schema.items() if not kind.endswith("?")}
    known = {"tracker_id", "tracker_name", *supervisor.OPTIONS}
    assert schema.keys() == known


def test_an_option_takes_what_the_bridge_takes() -> None:
    def pattern(name: str) -> re.Pattern[str]:
        found = re.fullmatch(r"match\((.+)\)\??", CONFIG["schema"][name])
        assert found is not None
        return re.compile(found[1])

    for good in ("", "864000000000101", "1234"):
        assert pattern("tracker_id").match(good)
    for bad in ("123", "86400000000010x", "8" * 21):
        assert not pattern("tracker_id").match(bad)
    assert pattern("base_topic").match("home/tk103b")
    assert not pattern("base_topic").match("tk103b/#")


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_every_option_and_port_is_explained(file: Path) -> None:
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert words["configuration"].keys() == CONFIG["schema"].keys()
    assert words["network"].keys() == CONFIG["ports"].keys()
    for told in words["configuration"].values():
        assert told.keys() == {"name", "description"}


def test_it_speaks_the_components_languages() -> None:
    theirs = {path.stem for path in (ROOT / "custom_components").glob("*/translations/*.json")}
    assert {path.stem for path in LANGUAGES} == theirs


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_its_files_and_pictures() -> None:
    for name in ("DOCS.md", "README.md", "CHANGELOG.md", "apparmor.txt", "Dockerfile"):
        assert (APP / name).is_file()
    assert size(APP / "icon.png") == (128, 128)
    assert size(APP / "logo.png") == (250, 100)


def test_the_repository() -> None:
    told = yaml.safe_load((ROOT / "repository.yaml").read_text())
    assert told.keys() == {"name", "url", "maintainer"}


def test_nothing_else_looks_like_an_app() -> None:
    """The Supervisor takes every file of these names for one, wherever it lies."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    names = [one for one in listed if re.search(r"(^|/)config\.(ya?ml|json)$", one)]
    assert names == ["tk103b_bridge/config.yaml"]


def test_its_apparmor_profile() -> None:
    profile = (APP / "apparmor.txt").read_text()
    assert f"profile {CONFIG['slug']} " in profile
    rules = re.sub(r"#.*", "", profile)
    assert not re.search(r"^\s*(file|network|capability|/\*\*.*w.*),", rules, re.MULTILINE)
    # What giving root up takes, and Docker's init: test_stopping.py tries those.
    rights = re.findall(r"^\s*capability\s+(.+),$", rules, re.MULTILINE)
    assert rights == ["chown", "setgid", "setuid", "kill"]
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin")
    if parser is not None:
        done = subprocess.run(
            [parser, "--skip-kernel-load", "--skip-cache", str(APP / "apparmor.txt")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
