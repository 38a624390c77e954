"""The app's stop: Docker's init, with no more rights than the AppArmor profile gives, passes it on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
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


def init(capabilities: frozenset[str]) -> list[str]:
    """The command before a command: an init that is root, with these capabilities alone."""
    bounds = "".join(f",+{name}" for name in sorted(capabilities))
    return ["setpriv", f"--bounding-set=-all{bounds}", "--inh-caps=-all",
            sys.executable, "-c", INIT]  # fmt: skip


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that any account finds its way to. Root alone can give it away."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can try how an init of root's ends another account's process")
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    seen = subprocess.run(
        ["setpriv", f"--reuid={ACCOUNT}", "--regid=nogroup", "--clear-groups",
         sys.executable, "-c", "import bridge.cli"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if seen.returncode:
        pytest.skip(f"another account cannot read this checkout: {seen.stderr[-300:]}")
    return tmp_path


def app(serve: Any, folder: Path, mosquitto: Mosquitto, capabilities: frozenset[str]) -> App:
    stub = serve(good(username=None, password=None, port=mosquitto.port))
    return App(write(folder / "data"), stub, account=ACCOUNT, before=init(capabilities))


def test_the_app_ends_in_order_under_an_init_with_the_profiles_rights(
    serve: Any, reachable: Path, mosquitto: Mosquitto
) -> None:
    bridge = app(serve, reachable, mosquitto, GRANTED)
    with bridge.started():  # which wants 0 in the end
        assert "No vehicles yet" in until_answered(bridge, "vehicles")
        assert (bridge.data / "journal.db").owner() == ACCOUNT
    assert "INIT MAY NOT" not in bridge.log
    assert not (bridge.data / "journal.db-wal").exists(), "all of it is in the file"


def test_without_that_right_it_would_not_hear(
    serve: Any, reachable: Path, mosquitto: Mosquitto
) -> None:
    """What the line in the profile is for; where this passes no more, it can go."""
    assert "kill" in GRANTED
    bridge = app(serve, reachable, mosquitto, GRANTED - {"kill"})
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
