"""How this program was called, so that what it suggests can be pasted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

NAME = "tk103b-bridge"


def called() -> str:
    """Return the word that runs this program in the person's terminal."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m bridge"
    if path.name != NAME or shutil.which(NAME):
        return NAME
    return str(path)
