"""Points and reports into the journal: judged and folded as late ones, each only once.

    found --judge--> late, silent --unlike any there--> row --fold--> one transaction a batch

What is imported is old news whatever its time: it moves no car, rings no alarm and teaches no
clock, as `bridge.vehicle` has it for what a tracker replays from its memory. A batch stands in the
journal with the state that it leads to, wholly or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from bridge import clock, record
from bridge import live as lives
from bridge.assess import DEFAULT_LIMITS, Verdict
from bridge.config import Config
from bridge.database import Batch, Database, Entry
from bridge.errors import StorageError
from bridge.importing.intervals import Intervals
from bridge.importing.items import Bad, Found
from bridge.journal import Journal
from bridge.live import Live
from bridge.model import NO_STATUS, Alarm, Fix, Report
from bridge.record import Record
from bridge.registry import Vehicle
from bridge.schema import milliseconds, moment
from bridge.vehicle import Judgement, VehicleState, judge

TRANSPORT = "import"
"""How an imported row came."""

FILE_ID = "import"
"""Who said a point that no tracker did; no tracker's clock is put right for it."""

EARLIEST_YEAR = 2000
"""A receiver that has lost its clock begins before; nobody has a GPS track from then."""

SAME_PLACE_DEG = 1e-5
"""A metre: files round their places."""

NEAR = timedelta(minutes=30)
"""Points no further apart are looked up together."""

PAGE = 1000


class Mark(NamedTuple):
    """What a row is told by; `open`: it may not be counted in any trip yet."""

    fix: Fix | None
    alarm: Alarm | None
    keyword: str
    open: bool = False


@dataclass(slots=True)
class Imported:
    """What became of a vehicle's points so far."""

    new: int = 0
    duplicates: int = 0
    touched: Intervals = field(default_factory=Intervals)
    """When they were, as far as trips may change for them."""


class Archive:
    """The journal of a folder that is ours. Every method raises StorageError.

    `sinks`: who is to be told nothing of what is written, and has been told all that was.
    """

    def __init__(
        self, database: Database, config: Config, sinks: Sequence[str], now: datetime
    ) -> None:
        self.journal = Journal(database)
        self.imported: dict[str, Imported] = {}
        self.now = now
        self._database = database
        self._config = config
        self._sinks = tuple(sinks)
        self._lives: dict[str, Live] = {}
        self._live_age = timedelta(seconds=config.limits.live_age_s)
        self._checkpoints = database.checkpoints()

    def live(self, vehicle: Vehicle) -> Live:
        """Return a vehicle as its history has left it."""
        known = self._lives.get(vehicle.key)
        if known is None:
            saved = self._checkpoints.get(vehicle.key, (0, b""))
            rules = self._config.rules(vehicle.key)
            known = lives.restored(vehicle, rules, self.journal, saved)
            self._lives[vehicle.key] = known
        return known

    def lives(self) -> list[Live]:
        """Return the vehicles that something was written for, or was there."""
        return [live for key, live in self._lives.items() if key in self.imported]

    def take(self, found: Mapping[str, tuple[Vehicle, Sequence[Found]]]) -> list[Bad]:
        """Write what is new of these, by vehicle, in one transaction; return what is impossible."""
        batch, bad = Batch(), list[Bad]()
        states: dict[str, VehicleState] = {}
        for key, (vehicle, items) in found.items():
            live, imported = self.live(vehicle), self.imported.setdefault(key, Imported())
            judged = []
            for item in items:
                try:
                    judged.append(self._judged(live, item))
                except ValueError as error:
                    bad.append(Bad(item.line, str(error), item.text))
            for row in self._unknown(live, judged, imported):
                live.fold(row)
                batch.entries.append(_entry(key, row))
            states[key] = live.folded
        self.write(batch, states)
        return bad

    def write(self, batch: Batch, states: Mapping[str, VehicleState]) -> None:
        """Commit a batch and the states that its entries lead to."""
        if not batch.entries:
            return
        seq = self._database.last_seq + len(batch.entries)
        for key, state in states.items():
            live = self._lives[key]
            live.settle(seq, state)
            batch.checkpoints[key] = (seq, lives.checkpoint(live))
        batch.cursors.update(dict.fromkeys(self._sinks, seq))
        self._database.write(batch)

    def _judged(self, live: Live, item: Found) -> Record:
        """Return a row to be. Raises ValueError for a time that cannot be."""
        report = self._report(live, item.said)
        state = live.folded
        own = clock.corrected(state.clocks.get(report.device_id, clock.UNKNOWN), report)
        if own is None:
            raise ValueError("no time")
        if own.year < EARLIEST_YEAR:
            raise ValueError(f"long ago: {own:%Y-%m-%d %H:%M:%S} UTC")
        if own - self.now > DEFAULT_LIMITS.future:
            raise ValueError(f"in the future: {own:%Y-%m-%d %H:%M:%S} UTC")
        judged = judge(
            state, report, now=self.now, live_age=self._live_age, silent=True, limits=live.limits
        )
        return Record(report, TRANSPORT, judged)

    def _report(self, live: Live, said: Fix | Report) -> Report:
        if isinstance(said, Report):
            extra = said.extra | {"replayed": True}
            return msgspec.structs.replace(said, received_at=self.now, extra=extra)
        return Report(
            device_id=FILE_ID,
            protocol=live.folded.protocol,  # a file speaks none: what is known stays as it is
            received_at=self.now,
            device_time=said.time,
            keyword=TRANSPORT,
            fix=said,
            status=NO_STATUS,
            extra={"replayed": True},
        )

    # --- only once --------------------------------------------------------------------------------

    def _unknown(self, live: Live, rows: Sequence[Record], imported: Imported) -> Iterator[Record]:
        """Yield the rows that are neither in the journal nor among those before."""
        known = self._known(live, rows)
        for row in rows:
            ms = milliseconds(row.judged.at)
            mark = _mark(row)
            there = next((one for one in known.get(ms, ()) if _says_as_much(one, mark)), None)
            if there is None:
                imported.new += 1
                known.setdefault(ms, []).append(mark)
                yield row
            else:
                imported.duplicates += 1
            if _counts(row.judged) and (there is None or there.open):
                imported.touched.add(ms)

    def _known(self, live: Live, rows: Sequence[Record]) -> dict[int, list[Mark]]:
        """Return what stands in the journal at the moments of these rows."""
        moments = sorted({milliseconds(row.judged.at) for row in rows})
        wanted, known = frozenset(moments), dict[int, list[Mark]]()
        near = NEAR // timedelta(milliseconds=1)
        begin = 0
        for place, ms in enumerate(moments):
            if place + 1 < len(moments) and moments[place + 1] - ms <= near:
                continue
            since, until = moment(moments[begin]), moment(ms)
            begin = place + 1
            after: tuple[int, int] | None = None
            while page := self.journal.track(live.vehicle.key, since, until, after, PAGE):
                for seq, at, _, body in page:
                    if at in wanted and (mark := _stored(seq, body, live.state)) is not None:
                        known.setdefault(at, []).append(mark)
                after = page[-1][1], page[-1][0]
                if len(page) < PAGE:
                    break
        return known


def _stored(seq: int, body: bytes, state: VehicleState) -> Mark | None:
    """Return what a row of the journal is told by, None for an act or what cannot be read."""
    try:
        row = record.decode(body)
    except StorageError:
        return None
    if not isinstance(row, Record):
        return None
    # Of an import that was broken off nobody knows what was counted.
    uncounted = row.transport == TRANSPORT or seq > state.counted_seq
    return _mark(row, open=uncounted and _counts(row.judged))


def _mark(row: Record, *, open: bool = False) -> Mark:  # noqa: A002 - the field's name
    report = row.report
    return Mark(report.fix, report.alarm, report.keyword, open)


def _says_as_much(there: Mark, new: Mark) -> bool:
    """Whether a row of the same moment says what a new one does."""
    if new.alarm is not None and there.alarm is not new.alarm:
        return False
    if new.fix is None:
        return there.fix is None and there.keyword == new.keyword
    return (
        there.fix is not None
        and abs(there.fix.latitude - new.fix.latitude) <= SAME_PLACE_DEG
        and abs(there.fix.longitude - new.fix.longitude) <= SAME_PLACE_DEG
    )


def _counts(judged: Judgement) -> bool:
    return judged.verdict is Verdict.HISTORICAL


def _entry(key: str, row: Record) -> Entry:
    report = row.report
    fields: dict[str, Any] = {"plain": report.alarm is None and report.fix is not None}
    return Entry(key, report.received_at, record.encode(row), at=row.judged.at, **fields)
