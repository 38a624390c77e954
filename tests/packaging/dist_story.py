"""What `make dist` has built, installed into a clean environment, started, and sent a frame.

Run by `make dist`: it installs every dependency from the lock, so no suite has it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge import __version__
from tests.conftest import PATIENCE_S, Mosquitto, free_port
from tests.packaging.release import ROOT

DIST = ROOT / "dist"
LOGIN = b"##,imei:864000000000101,A;"


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_it_installs_and_runs(kind: str, tmp_path: Path, mosquitto: Mosquitto) -> None:
    (built,) = DIST.glob(kind)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [str(tmp_path / "venv/bin/python"), "-m", "pip", "install", "--quiet",
           "--disable-pip-version-check"]  # fmt: skip
    locked = ["--require-hashes", "-r", str(ROOT / "requirements-run.lock")]
    subprocess.run([*pip, *locked], check=True)
    if built.suffix == ".gz":
        pinned = str(ROOT / "requirements.lock")
        backend = next(
            line.split(" ")[0]
            for line in Path(pinned).read_text().splitlines()
            if "flit-core" in line
        )
        subprocess.run([*pip, "--no-deps", backend], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", str(built)], check=True)

    program = str(tmp_path / "venv/bin/tk103b-bridge")
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    told = subprocess.run(
        [program, "--version"], env=clean, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert told == f"tk103b-bridge {__version__}\n"

    port = free_port()
    clean |= {
        "TK103B__LISTEN__HOST": "127.0.0.1",
        "TK103B__LISTEN__PORT": str(port),
        "TK103B__MQTT__HOST": "127.0.0.1",
        "TK103B__MQTT__PORT": str(mosquitto.port),
    }
    started = time.monotonic()
    with subprocess.Popen(
        [program, "run"], env=clean, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        while not answers(port):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() - started < PATIENCE_S
            time.sleep(0.01)
        print(f"\n{built.name}: answers after {time.monotonic() - started:.2f} s")  # noqa: T201
        for command in (["healthcheck"], ["vehicles"]):
            subprocess.run([program, *command], env=clean, cwd=tmp_path, check=True)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert "unknown tracker 864000000000101 waits to be accepted" in log


def answers(port: int) -> bool:
    """Whether a tracker that logs in there is answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as peer:
            peer.sendall(LOGIN)
            return peer.recv(16) == b"LOAD"
    except ConnectionError:
        return False
