"""What a broker with rules wants to see: passwords and certificates, made for one test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

USER, PASSWORD = "bridge", "correct horse"


def passwords(folder: Path) -> Path:
    """Make a file that knows one user."""
    file = folder / "passwords"
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    program = shutil.which("mosquitto_passwd", path=path) or "mosquitto_passwd"
    subprocess.run([program, "-b", "-c", str(file), USER, PASSWORD], check=True)
    return file


def certificates(folder: Path) -> None:
    """Make an authority, and what it says of a broker and of a client."""
    if shutil.which("openssl") is None:
        message = "OPENSSL IS MISSING, so TLS was not proven. Try: apt install openssl"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    ca = ["-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"]
    ca += ["-addext", "basicConstraints=critical,CA:FALSE"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for name, options in (
        ("ca", ["-days", "2", "-subj", "/CN=Our authority"]),
        ("server", [*ca, "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]),
        ("client", [*ca, "-subj", "/CN=bridge"]),
        ("other", ["-days", "2", "-subj", "/CN=Another authority"]),
    ):
        subprocess.run(
            [*make, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", *options],
            cwd=folder,
            check=True,
            capture_output=True,
        )
