"""A tracker port to talk to, for the tests of every room that has to do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge import journal
from tests.bridge.port import Port, serving


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    async with serving(tmp_path) as opened:
        yield opened


@pytest.fixture
async def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Port]:
    """A port whose journal takes ten reports at a time, alarms or not."""
    monkeypatch.setattr(journal, "RESERVED_FOR_ALARMS", 0)
    async with serving(tmp_path, journal_queue=10) as opened:
        yield opened
