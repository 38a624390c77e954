"""A bridge without a port, by a clock that is set."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

from bridge.config import Config, VehicleConfig
from bridge.datafolder import lock_folder
from bridge.errors import BridgeError, BrokerError, StorageError
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.record import Record, Row
from bridge.registry import Registry
from bridge.replay.outcome import Outcome
from bridge.sinks.announcements import Announcements
from bridge.sinks.mqtt import MqttSink

REACH_S = 10.0
"""How long to wait for the broker before the first row is played."""


class Stage:
    """A bridge without a port, by a clock that is set. Watches what comes of what it is given."""

    def __init__(self, config: Config, registry: Registry, journal: Journal, speed: float) -> None:
        self.now = datetime.now(UTC)
        self.intake = Intake(config, registry, journal, lambda: self.now)
        self.fleet = self.intake.fleet
        self.outcome = Outcome()
        self.sink: MqttSink | None = None
        self.speed = speed
        self.verdicts: deque[str] = deque()
        """Of rows that are on their way to the disk, as they were then."""
        self._tell_every = self.intake.live_age / 10
        """How far the clock goes on before all that was said is delivered: else what was live then
        would be told as old news."""
        self._begun = False
        self._told_at = self.now
        self._progress = asyncio.Event()
        journal.on_fault = lambda _: self._progress.set()
        self.intake.watchers.append(self)

    async def until(self, at: datetime) -> None:
        """Have the clock show a moment, unless it is past."""
        if not self._begun:
            self._begun, self.now, self._told_at = True, at, at
        if at <= self.now:
            return
        if self.sink is not None and at - self._told_at > self._tell_every:
            await self.settled()
            await self.sink.drained()
            self._told_at = at
        if self.speed:
            await asyncio.sleep((at - self.now).total_seconds() / self.speed)
        self.now = at

    async def room(self) -> None:
        """Wait until the journal has room for another row. Raises StorageError."""
        while not self.intake.journal.has_room:
            await self._go_on()

    async def settled(self) -> None:
        """Wait until every row is on disk. Raises StorageError."""
        while any(live.folded is not live.state for live in self.fleet.vehicles.values()):
            await self._go_on()

    async def _go_on(self) -> None:
        if self.intake.journal.failed is not None:
            raise StorageError(self.intake.journal.failed)
        self._progress.clear()
        await self._progress.wait()

    # What a watcher of the fleet is told.

    def committed(self, seq: int, key: str, row: Row) -> None:
        """Compare what a row came to with what it was."""
        del seq, key
        then = self.verdicts.popleft() if self.verdicts else None
        if isinstance(row, Record):
            self.outcome.reports += 1
            now = row.judged.verdict or "-"
            if then is not None and then != now:
                self.outcome.verdicts[then, str(now)] += 1
        else:
            self.outcome.acts += 1
        self._progress.set()

    def waiting(self, key: str, record: Record) -> None:
        """Nothing waits in memory: a disk that refuses ends the replay."""

    def changed(self, key: str) -> None:
        """Nobody is told."""

    def devices_changed(self) -> None:
        """Nobody is told."""

    def happened(self, event: dict[str, Any]) -> None:
        """Nobody is told."""


@asynccontextmanager
async def staged(
    config: Config,
    known: tuple[VehicleConfig, ...],
    speed: float,
    *,
    publish: bool,
) -> AsyncIterator[Stage]:
    """Run the bridge of a replay in its folder; what it was given is on disk in the end."""
    with lock_folder(config.storage.path) as folder:
        registry = Registry.open(folder.path, config.mqtt.base_topic)
        registry.merge_yaml(known)
        registry.merge_yaml(config.vehicles, config.access.block)
        journal = Journal.open(folder.path)
        stage = Stage(config, registry, journal, speed)
        stage.intake.restore()
        journal.start(asyncio.get_running_loop())
        try:
            async with _publishing(config, stage) if publish else _in_silence():
                yield stage
                await stage.settled()
        finally:
            stage.fleet.checkpoint_all()
            await asyncio.to_thread(journal.close)


@asynccontextmanager
async def _in_silence() -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _publishing(config: Config, stage: Stage) -> AsyncIterator[None]:
    """Publish what the body plays; raises BrokerError where there is nobody to publish to."""
    sink = MqttSink(
        config, stage.intake, Announcements(config, stage.intake, lambda: {"connections": 0})
    )
    with _bare():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_serve(sink))
            try:
                async with asyncio.timeout(REACH_S):
                    await sink.drained()
            except TimeoutError:
                mqtt = config.mqtt
                raise BrokerError(f"no broker answers on {mqtt.host}:{mqtt.port}") from None
            stage.intake.watchers.append(sink)
            stage.sink = sink
            yield
            await sink.drained()
            task.cancel()


async def _serve(sink: MqttSink) -> None:
    """Run a sink until it is cancelled, which it tells as a group of its own."""
    try:
        await sink.run()
    except BaseExceptionGroup as group:
        _, rest = group.split(asyncio.CancelledError)
        if rest is not None:
            raise rest from None


@contextmanager
def _bare() -> Iterator[None]:
    """Raise what a task group has met as itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        found, _ = group.split(BridgeError)
        if found is None:
            raise
        raise found.exceptions[0] from None
