"""The app's stop: Docker's init passes it on, with the rights that the AppArmor profile grants."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S, Mosquitto
from tests.packaging.release import ROOT
from tests.packaging.test_supervisor import App, good, until_answered, write

PROFILE = (ROOT / "tk103b_bridge/apparmor.txt").read_text()
GRANTED = frozenset(re.findall(r"^  capability (\w+),$", PROFILE, re.MULTILINE))
ACCOUNT = "nobody"
"""In the place of the image's own: one that every machine has, and that has no rights."""

ENVIRON = {"PYTHONPATH": os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))}

INIT = """
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
def passed_on(number, _):
    try:
        child.send_signal(number)
    except PermissionError:
        print("INIT MAY NOT", flush=True)
signal.signal(signal.SIGTERM, passed_on)
sys.exit(child.wait())
"""
"""What Docker's init does: it stays who it is, and hands on whatever signal it gets."""


@cache
def python_for_all() -> str | None:
    """A Python of our version that the account can run, too; None: ours is in somebody's home."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-c", "import sys, bridge.app; print(sys.base_prefix)"]
        with suppress(OSError, subprocess.CalledProcessError):
            told = [
                subprocess.run(
                    [*as_whom, *command],
                    cwd=ROOT, env=ENVIRON, text=True, check=True, capture_output=True,
                ).stdout
                for as_whom in ([], ["setpriv", f"--reuid={ACCOUNT}", "--clear-groups"])
            ]  # fmt: skip
            if told[0] == told[1]:
                return python
    return None


@pytest.fixture
def start(serve: Any, tmp_path: Path, mosquitto: Mosquitto) -> Callable[[frozenset[str]], App]:
    """Make the app, behind an init that is root with the given capabilities alone."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can try how an init of root's ends another account's process")
    if (python := python_for_all()) is None:
        pytest.skip(f"{ACCOUNT} can run no Python like ours, or not read this checkout")
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    stub = serve(good(username=None, password=None, port=mosquitto.port))

    def made(capabilities: frozenset[str]) -> App:
        bounds = "".join(f",+{name}" for name in sorted(capabilities))
        limited = ["setpriv", f"--bounding-set=-all{bounds}", "--inh-caps=-all"]
        init = [*limited, python, "-c", INIT, python]
        bridge = App(write(tmp_path / "data"), stub, account=ACCOUNT, python=init)
        bridge.environ |= ENVIRON
        return bridge

    return made


def test_the_app_ends_in_order_under_an_init_with_the_profiles_rights(
    start: Callable[[frozenset[str]], App],
) -> None:
    bridge = start(GRANTED)
    with bridge.started():  # which wants 0 in the end
        assert "No vehicles yet" in until_answered(bridge, "vehicles")
        assert (bridge.data / "journal.db").owner() == ACCOUNT
    assert "INIT MAY NOT" not in bridge.log
    assert not (bridge.data / "journal.db-wal").exists(), "all of it is in the file"


def test_without_that_right_it_would_not_hear(start: Callable[[frozenset[str]], App]) -> None:
    """What the line in the profile is for; where this passes no more, it can go."""
    bridge = start(GRANTED - {"kill"})
    process = subprocess.Popen(
        [*bridge.command, "run"], env=bridge.environ, text=True, process_group=0,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    bridge.process = process
    try:
        until_answered(bridge, "vehicles")
        process.terminate()
        assert process.stdout is not None
        assert any("INIT MAY NOT" in line for line in process.stdout)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
