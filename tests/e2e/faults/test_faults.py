"""Every fault in its short form: nothing committed is lost, nothing told as two.

A run that fails prints its seed; TK103B_FAULT_SEED repeats it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.e2e.faults.catalogue import FAULTS
from tests.e2e.faults.stage import staged

SEED = int(os.environ.get("TK103B_FAULT_SEED") or secrets.randbits(32))


@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    sys.stdout.write(f"TK103B_FAULT_SEED={SEED}\n")  # shown when it fails
    async with staged(tmp_path, long=False, seed=SEED) as stage:
        await FAULTS[name](stage)
        stage.tally.check()
