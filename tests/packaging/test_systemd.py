"""The unit: what systemd itself says of it, and that its page shows the same."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.release import ROOT

UNIT = ROOT / "packaging/systemd/tk103b-bridge.service"
TEXT = UNIT.read_text()


def read() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign] # as its documentation says
    found.read_string(TEXT)
    return found


def test_it_waits_for_ready_and_watches() -> None:
    service = read()["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert int(service["WatchdogSec"]) > 0
    # Examining a large journal comes before READY; ended, it would begin anew, for ever.
    assert service["TimeoutStartSec"] == "infinity"
    assert service["Restart"] == "always"
    # What the bridge ends with for a mistake in its configuration.
    assert service["RestartPreventExitStatus"] == "2"


def test_it_keeps_its_data_where_it_may_write() -> None:
    service = read()["Service"]
    folder = f"/var/lib/{service['StateDirectory']}"
    assert service["Environment"] == f"TK103B__STORAGE__PATH={folder}"
    assert service["WorkingDirectory"] == folder
    assert service["User"] != "root"


def test_its_page_shows_it() -> None:
    page = (ROOT / "docs/install-systemd.md").read_text()
    (shown,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    assert shown == TEXT


@pytest.fixture
def analysed(tmp_path: Path) -> Path:
    """The unit with a program and an account that exist here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here, so it was not asked. Try: apt install systemd")
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", TEXT, flags=re.MULTILINE)
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^(User|Group)=.*$", r"\1=daemon", text, flags=re.MULTILINE))
    return copy


def test_systemd_takes_it(analysed: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(analysed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if analysed.name in line]
    assert complaints == []


def test_systemd_finds_it_safe(analysed: Path) -> None:
    """0 is safe, 10 is not; a service without any of it gets 9.6."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(analysed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:]
