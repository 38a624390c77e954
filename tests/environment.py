"""Provides what the component is tested in: a Python 3.14 and an environment with Home Assistant.

    python -m tests.environment [--next]    prints the path of the environment's Python

    .python3.14/    the interpreter, where the machine has none, and the tools that make all this
    .venv-ha/       the environment, as requirements.lock pins it; .venv-ha-next/: the next one

Nothing is installed on the system and no rights are needed. An interpreter that is there is used;
else Debian's packages of Python 3.14 and of its libraries, from the mirror that this machine's apt
uses, are unpacked into a folder of their own; where apt has none, uv fetches one. What was made
is kept until its lock changes. Only the path goes to standard output.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "tests/component"
PROVIDED = ROOT / ".python3.14"
TOOLS = PROVIDED / "tools"
UNPACKED = PROVIDED / "root"
SUITE = "forky"
"""The first release of Debian with Python 3.14."""

KEYRINGS = tuple(Path("/usr/share/keyrings").joinpath(f"debian-archive-keyring.{end}")
                 for end in ("gpg", "pgp"))  # fmt: skip
"""Where Debian keeps its keys; without them apt uses those it trusts anyway."""

PROOF = """
import sys, bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib
sys.exit(sys.version_info[:2] != (3, 14) or sys.version_info < (3, 14, 2))
"""
"""Home Assistant's oldest Python; and the compiled modules load."""

APT = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
Dir::Etc::sourcelist "{apt}/sources.list";
Dir::Etc::sourceparts "{apt}/parts";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{apt}/parts";
Dir::State "{apt}/state";
Dir::State::lists "{apt}/state/lists";
Dir::State::status "{apt}/status";
Dir::State::extended_states "{apt}/state/extended_states";
Dir::Cache "{apt}/cache";
Dir::Cache::archives "{apt}/cache/archives";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
"""
"""Lists, a cache and an empty package database of its own: apt then resolves every library, down to
the C library, and leaves the system as it is. Read after the system's settings, so that a proxy set
there stays in force."""


class UnprovidedError(Exception):
    """It cannot be provided here, and why."""


def main() -> int:
    """Provide the environment and print its Python."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--next", action="store_true", help="with the next Home Assistant")
    following = parser.parse_args().next
    try:
        folder, lock = (".venv-ha-next", "-next") if following else (".venv-ha", "")
        python = environment(ROOT / folder, LOCKS / f"requirements{lock}.lock")
    except UnprovidedError as error:
        _say(f"The component's tests need Python 3.14, which cannot be provided: {error}")
        return 1
    except subprocess.CalledProcessError as error:
        _say(f"{' '.join(map(str, error.cmd))}\nfailed: {error.output or error.returncode}")
        return 1
    print(python)  # noqa: T201 - what this program is for
    return 0


def environment(folder: Path, lock: Path) -> Path:
    """Return the Python of an environment that holds exactly what the lock pins."""
    python, stamp = folder / "bin/python", folder / ".made-of"
    made_of = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == made_of and _runs(python):
        return python
    uv = _tool("uv")
    interpreter = _interpreter()
    _say(f"installing Home Assistant into {folder.name}: half a minute")
    stamp.unlink(missing_ok=True)
    _run(uv, "venv", "--quiet", "--clear", "--no-project", "--python", interpreter, folder)
    _run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock)
    stamp.write_text(made_of)
    return python


def _interpreter() -> Path:
    """Return a Python 3.14: the machine's, else the one in `PROVIDED`, which is made if need be."""
    found = shutil.which("python3.14")
    if found and _runs(Path(found)):
        return Path(found)
    unpacked = UNPACKED / "usr/bin/python3.14"
    if _runs(unpacked):
        return unpacked
    # Ubuntu has apt as well, and no mirror of Debian's.
    if shutil.which("apt-get") and shutil.which("dpkg-deb") and (mirrors := _mirrors()):
        return _unpack(unpacked, mirrors)
    _say("fetching Python 3.14 with uv")
    uv = _tool("uv")
    _run(uv, "python", "install", "--quiet", "--install-dir", PROVIDED / "uv", "3.14")
    for fetched in (PROVIDED / "uv").glob("*/bin/python3.14"):
        if _runs(fetched):
            return fetched
    raise UnprovidedError("the one that uv fetched does not run")


def _unpack(python: Path, mirrors: Sequence[str]) -> Path:
    """Unpack Debian's packages and make the interpreter use the libraries beside it."""
    _say(f"fetching Python 3.14 from Debian {SUITE}: half a minute")
    apt = PROVIDED / "apt"
    for folder in (apt, UNPACKED):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in ("parts", "state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "apt.conf").write_text(APT.format(apt=apt))
    refusal = ""
    keyring = next((str(one) for one in KEYRINGS if one.is_file()), "")
    signed = f"[signed-by={keyring}] " if keyring else ""
    for address in mirrors:
        (apt / "sources.list").write_text(f"deb {signed}{address} {SUITE} main\n")
        own = "apt-get", "-q", "-c", apt / "apt.conf"
        try:
            _run(*own, "update")
            _run(*own, "-y", "--download-only", "install", "python3.14")
        except subprocess.CalledProcessError as error:
            refusal = error.output
            continue
        break
    else:
        raise UnprovidedError(refusal)
    for package in (apt / "cache/archives").glob("*.deb"):
        _run("dpkg-deb", "-x", package, UNPACKED)
    shutil.rmtree(apt)
    loader, libraries = _libraries()
    patchelf = _tool("patchelf")
    # RPATH, unlike RUNPATH, also holds for what the compiled modules ask for. In this order, and
    # one after the other: a program that was changed otherwise has been seen to crash.
    _run(patchelf, "--force-rpath", "--set-rpath", libraries, python)
    _run(patchelf, "--set-interpreter", loader, python)
    if not _runs(python):
        raise UnprovidedError("the unpacked interpreter does not run")
    return python


def _mirrors() -> list[str]:
    """Return the addresses of Debian mirrors, as this machine's apt has them.

    Where apt has read their lists it knows which are Debian's own; where not, the path tells.
    """
    asked = "apt-get", "indextargets", "--format"
    known = _run(*asked, "$(REPO_URI) $(LABEL)", "Created-By: Packages", "Origin: Debian")
    own = [line.removesuffix(" Debian") for line in known.splitlines() if line.endswith(" Debian")]
    named = _run(*asked, "$(REPO_URI)", "--no-release-info", "Created-By: Packages").splitlines()
    alike = [address for address in named if address.rstrip("/").endswith("/debian")]
    return list(dict.fromkeys([*own, *alike]))


def _libraries() -> tuple[Path, Path]:
    """Return the unpacked loader, and the folder of the unpacked C library."""
    folders = [one.parent for one in UNPACKED.glob("usr/lib/*-linux-gnu*/libc.so.6")]
    loaders = [
        *UNPACKED.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"),
        *UNPACKED.glob("usr/lib*/ld-linux*.so.*"),
        *UNPACKED.glob("lib*/ld-linux*.so.*"),
    ]
    if not folders or not loaders:
        raise UnprovidedError("the unpacked packages hold no C library")
    return loaders[0], folders[0]


def _tool(name: str) -> Path:
    """Return a program of tools.lock, installed on first use."""
    program = TOOLS / "bin" / name
    if not program.exists():
        _run(sys.executable, "-m", "venv", TOOLS)
        pip = TOOLS / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes"
        _run(*pip, "--disable-pip-version-check", "-r", LOCKS / "tools.lock")
    return program


def _runs(python: Path) -> bool:
    if not os.access(python, os.X_OK):
        return False
    return subprocess.run([python, "-c", PROOF], capture_output=True, check=False).returncode == 0


def _run(*command: str | Path) -> str:
    """Run a program and return what it said; raises CalledProcessError with that as `output`."""
    return subprocess.run(
        command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - a program of the command line


if __name__ == "__main__":
    sys.exit(main())
