"""Builds wheel and sdist into dist/, by the backend that is pinned, and nothing from elsewhere.

python -m tests.packaging.dist
"""

from __future__ import annotations

import os
from pathlib import Path

from flit_core import buildapi

from tests.packaging.release import ROOT


def build(folder: Path) -> tuple[Path, Path]:
    """Build into a folder; return wheel and sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(ROOT)  # where the backend looks for the project
    try:
        wheel = folder / buildapi.build_wheel(str(folder))
        return wheel, folder / buildapi.build_sdist(str(folder))
    finally:
        os.chdir(before)


if __name__ == "__main__":
    for made in build(ROOT / "dist"):
        made.chmod(0o644)  # the backend makes a wheel that nobody else can read
        print(f"{made.relative_to(ROOT)}: {made.stat().st_size / 1000:.0f} kB")  # noqa: T201
