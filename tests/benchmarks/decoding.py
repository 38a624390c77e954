"""Decoding against the least that any program must do with a position frame.

Ours: the bytes go through `Connection` as a live peer's do, one `receive_data` and one `events` a
frame, and come out as a `Report`. The yardstick: the same frame, already a `str`, split once, and
two of its pieces made floats; of a binary frame, one ``struct.unpack`` and two divisions. Both
repeat one frame; detection has happened before the clock starts.

A round times one after the other, each for a few hundredths of a second, and the best of many
rounds counts for both: whatever else the machine does then slows neither more than the other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple

from bridge.model import Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
from tests.benchmarks.samples import Sample

ROUNDS = 40
FRAMES = 2_000
"""Of each side and round."""


class Decoding(NamedTuple):
    """Frames a second, the best of all rounds."""

    ours: float
    yardstick: float

    @property
    def ratio(self) -> float:
        return self.ours / self.yardstick


def measure(sample: Sample, rounds: int = ROUNDS) -> Decoding:
    """Return what was reached for one kind of frame."""
    now = datetime.now(UTC)
    frame, least = sample.frame, sample.yardstick
    connection = Connection(PROTOCOLS)

    def ours() -> None:
        for _ in range(FRAMES):
            connection.receive_data(frame)
            for _event in connection.events(now):
                pass

    def yardstick() -> None:
        for _ in range(FRAMES):
            least()

    if sample.opening:
        connection.receive_data(sample.opening)
        assert list(connection.events(now))
    _prove(connection, frame, now)
    timed = [(_seconds(ours), _seconds(yardstick)) for _ in range(rounds)]
    best, best_yardstick = map(min, zip(*timed, strict=True))
    return Decoding(FRAMES / best, FRAMES / best_yardstick)


def _prove(connection: Connection, frame: bytes, now: datetime) -> None:
    """Claim the protocol, and see to it that what is measured is the decoding of a position."""
    connection.receive_data(frame)
    (event,) = connection.events(now)
    assert isinstance(event, Received), event
    (report,) = event.messages
    assert isinstance(report, Report), report
    assert report.fix is not None
    assert report.fix.valid


def _seconds(work: Callable[[], None]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin
