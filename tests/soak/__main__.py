"""Run every fault in its long form and print the table: `python -m tests.soak [NAME ...]`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.e2e.faults.catalogue import FAULTS
from tests.e2e.faults.stage import staged
from tests.e2e.faults.tally import Line, table

FAULT_PATIENCE_S = 120.0
"""For one fault; one that needs longer hangs."""


async def inject(name: str, *, long: bool, seed: int) -> Line:
    """Run one fault and return its line; AssertionError where something is lost."""
    with tempfile.TemporaryDirectory(prefix="tk103b-soak-") as folder:
        async with (
            asyncio.timeout(FAULT_PATIENCE_S),
            staged(Path(folder), long=long, seed=seed) as stage,
        ):
            await FAULTS[name](stage)
            stage.tally.check()
            return stage.line(name)


def main() -> int:
    """Return 0 if every fault that could be injected lost nothing, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(FAULTS)}")
    parser.add_argument("--short", action="store_true", help="as the tests run them")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = parser.parse_args()
    if unknown := set(given.names) - set(FAULTS):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    sys.stderr.write(f"seed {given.seed}\n")
    lines, failed, skipped = [], [], []
    for name in given.names or FAULTS:
        begun = time.monotonic()
        try:
            lines.append(asyncio.run(inject(name, long=not given.short, seed=given.seed)))
            came_to = "nothing lost"
        except (AssertionError, TimeoutError) as error:
            failed.append(name)
            came_to = f"FAILED: {str(error)[:2000] or 'it never ended'}"
        except pytest.skip.Exception as reason:
            skipped.append(name)
            came_to = f"SKIPPED: {reason}"
        sys.stderr.write(f"{time.monotonic() - begun:6.1f} s  {name}: {came_to}\n")
    sys.stdout.write(f"{table(lines)}\n")
    if failed or skipped:
        sys.stderr.write(f"failed: {failed}; skipped: {skipped}; seed {given.seed}\n")
    return bool(failed or skipped)


if __name__ == "__main__":
    sys.exit(main())
