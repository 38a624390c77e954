"""The faults, each by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.e2e.faults import broker, clock, disk, process, retention
from tests.e2e.faults.stage import Stage

Fault = Callable[[Stage], Awaitable[None]]

FAULTS: dict[str, Fault] = {
    "broker down": broker.down,
    "broker slow": broker.slow,
    "cut between PUBLISH and PUBACK": broker.cut_before_puback,
    "broker forgets": broker.forgetful,
    "bridge killed": process.killed,
    "disk full": disk.full,
    "data folder read only": disk.read_only,
    "journal damaged": disk.journal_damaged,
    "registry damaged": disk.registry_damaged,
    "tracker torn off in mid-frame": process.torn_frame,
    "two bridges on one base topic": process.rival,
    "clock stepped": clock.stepped,
    "retention overtakes a dead broker": retention.overtaking,
}
