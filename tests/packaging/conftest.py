"""What tests of the app share: a Supervisor that answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.packaging.test_supervisor import Supervisor


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[Supervisor] = []

    def start(*answers: tuple[int, Any]) -> Supervisor:
        one = Supervisor(*answers)
        running.append(one)
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        return one

    yield start
    for one in running:
        one.shutdown()
        one.server_close()
