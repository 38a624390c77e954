"""Builds the image of the Dockerfile with buildah, on a base that is had one way or the other.

    python -m tests.packaging.building      builds it, and says what it weighs beyond its base

The base is pulled. Where no registry of images can be reached, it is made: a Debian tree with a
Python of its own, by debootstrap from the mirror that this machine's apt uses, committed under the
base's name. Everything lies below build/image; nothing needs a daemon.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import environment

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build/image"
NAME = "localhost/tk103b-bridge"
SUITE = environment.SUITE
"""The first release of Debian that has the base's Python."""
PACKAGES = ("python3", "python3-pip", "python3-venv", "ca-certificates")
TRUSTED = ("/etc/ssl/certs", "/etc/pip.conf")
"""How this machine reaches a package index; the build sees it, the image does not keep it."""


class CannotBuildError(Exception):
    """What is missing."""


def buildah(*arguments: object) -> str:
    """Run buildah on a store of our own and return what it prints."""
    command = ["buildah", "--root", PLACE / "store", "--runroot", PLACE / "run", *arguments]
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotBuildError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def base_name() -> str:
    """Return the base that the Dockerfile names."""
    found = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def build() -> str:
    """Build the image and return its name. Raises CannotBuildError."""
    for program, package in (("buildah", "buildah"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            raise CannotBuildError(f"Missing: {program}. Try: apt install {package}")
    if os.geteuid() != 0:
        raise CannotBuildError("debootstrap and chroot want root: sudo make image")
    PLACE.mkdir(parents=True, exist_ok=True)
    base = base_name()
    if base not in _images():
        try:
            buildah("pull", "--quiet", base)
        except CannotBuildError:
            _make_base(base)
    seen = [f"--volume={path}:{path}:ro" for path in TRUSTED if Path(path).exists()]
    buildah("bud", "--pull-never", "--format", "docker", *seen, "-t", NAME, ".")
    return NAME


def configuration(image: str) -> dict[str, Any]:
    """Return what the image says of itself, as Docker would read it."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))
    config: dict[str, Any] = found["Docker"]["config"]
    return config


def mounted(image: str) -> tuple[str, Path]:
    """Return a container of the image, and where its file system can be seen."""
    container = buildah("from", "--pull-never", image)
    return container, Path(buildah("mount", container))


def size_mb(root: Path) -> float:
    """Return what a tree weighs."""
    told = subprocess.run(["du", "-sbx", root], capture_output=True, text=True, check=True).stdout
    return int(told.split()[0]) / 1e6


def beyond_base_mb(image: str) -> float:
    """Return what an image weighs beyond its base."""
    weights = []
    for name in (image, base_name()):
        container, root = mounted(name)
        weights.append(size_mb(root))
        buildah("rm", container)
    return weights[0] - weights[1]


def _images() -> list[str]:
    return buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines()


def _make_base(name: str) -> None:
    tree = PLACE / "base"
    shutil.rmtree(tree, ignore_errors=True)
    # The program is older than the release: all of them are made by the script of sid.
    script = "/usr/share/debootstrap/scripts/sid"
    refusal = "apt names no Debian mirror"
    for mirror in environment._mirrors():
        command = [
            "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            SUITE, tree, mirror, script,
        ]  # fmt: skip
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        refusal = done.stdout[-2000:] + done.stderr[-2000:]
        shutil.rmtree(tree, ignore_errors=True)
    else:
        raise CannotBuildError(refusal)
    # What the base's Python is like: called python, and nobody's but its own.
    (tree / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for marker in tree.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for downloaded in (
        *tree.glob("var/cache/apt/archives/*.deb"),
        *tree.glob("var/lib/apt/lists/*_*"),
    ):
        downloaded.unlink()
    container = buildah("from", "scratch")
    buildah("copy", "--quiet", container, tree, "/")
    buildah("commit", "--quiet", "--rm", container, name)
    shutil.rmtree(tree)


if __name__ == "__main__":
    try:
        built = build()
    except CannotBuildError as error:
        sys.exit(str(error))
    print(f"{built}: {beyond_base_mb(built):.0f} MB beyond {base_name()}")  # noqa: T201
