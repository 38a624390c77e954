"""What a release says of itself: one version everywhere, and what is new in it.

    python3 -m tests.packaging.release v1.2.3       prints the changelog's entry

Ends with words, and not with zero, where the tag is another version, or the changelog has none.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PLACES = {
    "bridge/__init__.py": r'^__version__ = "(.+)"$',
    "custom_components/tk103b/manifest.json": r'^  "version": "(.+)"$',
    "tk103b_bridge/config.yaml": r'^version: "(.+)"$',
    "tk103b_bridge/Dockerfile": r"^ARG BRIDGE=\S+:(\S+)$",
    "tk103b_bridge/CHANGELOG.md": r"\A# Changelog\n\n## (.+)$",
    "compose.yaml": r"^    image: ghcr\.io/\S+:(\S+)$",
}
"""Where the version stands, for programs that can read it nowhere else. The first one leads."""


class NotReadyError(Exception):
    """Why this cannot be released."""


def versions() -> dict[str, str]:
    """Return place -> version."""
    found = {}
    for place, pattern in PLACES.items():
        match = re.search(pattern, (ROOT / place).read_text(encoding="utf-8"), re.MULTILINE)
        if match is None:
            raise NotReadyError(f"{place} names no version")
        found[place] = match[1]
    return found


def entry(version: str, changelog: str) -> str:
    """Return the changelog's entry of a version, without its heading."""
    match = re.search(
        rf"^## \[{re.escape(version)}\] - (.+?)\n(.*?)(?=^## |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if match is None:
        raise NotReadyError(f"CHANGELOG.md has no entry for {version}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", match[1]):
        raise NotReadyError(f"CHANGELOG.md: {version} has no date, but says {match[1]}")
    return match[2].strip()


def notes(tag: str) -> str:
    """Return what is new in the version of a tag. Raises NotReadyError."""
    found = versions()
    for place, version in found.items():
        if f"v{version}" != tag:
            raise NotReadyError(f"{place} says {version}, the tag {tag}")
    return entry(tag[1:], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def main() -> int:
    """Print the entry, or why there is no release."""
    try:
        sys.stdout.write(f"{notes(sys.argv[1])}\n")
    except NotReadyError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
