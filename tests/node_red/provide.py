"""Provides the Node-RED that the flows are tested in, and AsyncAPI's specification, by npm.

    python -m tests.node_red.provide    installs them if need be, and prints their folder

`package-lock.json` pins every package by its checksum and names no registry: npm's own is asked.
To move to other versions, change `package.json` and run `npm install --package-lock-only` there.
What was installed is kept until the lock changes. `overrides` is there because the map brings a
copy of uuid that is newer than what its sockjs asks for, at which `npm ci` stops.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".node-red"
OLDEST_NODE = 20
TRY = (
    f"Node {OLDEST_NODE} or newer is needed. Debian 13 has it, try: apt install nodejs npm; "
    f"elsewhere the packages of NodeSource, or: nvm install {OLDEST_NODE}"
)


class UnprovidedError(Exception):
    """It cannot be provided here, and why."""


def main() -> int:
    """Install Node-RED and print its folder; where that cannot be, say why."""
    try:
        print(provide())  # noqa: T201 - what this program is for
    except UnprovidedError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program of the command line
        return 1
    return 0


def provide() -> Path:
    """Return the folder that holds `node_modules` as the lock has it. Raises UnprovidedError."""
    _check_node()
    INSTALLED.mkdir(exist_ok=True)
    with (INSTALLED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = INSTALLED / ".made-of"
        made_of = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
        if not (stamp.is_file() and stamp.read_text() == made_of):
            stamp.unlink(missing_ok=True)
            _install()
            stamp.write_text(made_of)
    return INSTALLED


def _check_node() -> None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UnprovidedError(f"{program.upper()} IS MISSING. {TRY}")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.strip().removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise UnprovidedError(f"NODE IS TOO OLD, HERE IS {said.strip()}. {TRY}")


def _install() -> None:
    print("installing Node-RED into .node-red: half a minute", file=sys.stderr)  # noqa: T201 - why it takes so long
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, INSTALLED)
    # Nothing of it is compiled, and no script of a package runs.
    done = subprocess.run(
        ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=INSTALLED, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UnprovidedError(f"NODE-RED CANNOT BE INSTALLED:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
