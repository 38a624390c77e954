"""A journal once more: reports are judged and folded anew, acts are taken as they are."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bridge import history, record
from bridge.config import VehicleConfig
from bridge.errors import StorageError
from bridge.history import Span
from bridge.journal import Journal
from bridge.journal import Row as Stored
from bridge.record import Record
from bridge.replay.outcome import Driven
from bridge.replay.stage import Stage
from bridge.vehicle import Recounted

PAGE = 1000


def vehicles(source: Path, journal: Journal) -> tuple[VehicleConfig, ...]:
    """Return the vehicles of a journal, with what the registry beside it knows of them."""
    known = history.known_vehicles(source if source.is_dir() else source.parent)
    found: list[VehicleConfig] = []
    for key in {*known, *journal.vehicles()}:
        fields: dict[str, Any] = {"key": key, "where": f"{source}", "given": frozenset()}
        if (vehicle := known.get(key)) is not None:
            trackers = () if vehicle.removed else vehicle.trackers
            fields |= {"name": vehicle.name, "owner": vehicle.owner, "trackers": trackers}
            fields |= {"icon": vehicle.icon, "given": frozenset(("name", "owner", "icon"))}
            fields["given"] |= {"trackers"}
        found.append(VehicleConfig(**fields))
    return tuple(sorted(found, key=lambda car: car.key))


async def play(journal: Journal, stage: Stage) -> None:
    """Play every row that stands in a journal now, and compare what came of them."""
    fleet, outcome = stage.fleet, stage.outcome
    numbers = array("Q")
    """The seqs they had, in the order of those they get."""
    async for seq, key, received_at, body in _rows(journal):
        outcome.read += 1
        try:
            row = record.decode(body)
        except StorageError:
            outcome.unreadable += 1
            continue
        await stage.until(received_at)
        await stage.room()
        live = fleet.vehicles[key]
        numbers.append(seq)
        if isinstance(row, Record):
            stage.verdicts.append(row.judged.verdict or "-")
            live.transport, live.last_seen = row.transport, received_at
            moment = _came_at(row, fleet.live_age)
            fleet.append(live, row.report, now=moment, waited=row.judged.silent)
        else:
            stage.verdicts.append("-")
            if isinstance(row, Recounted):
                row = msgspec.structs.replace(row, seq=bisect_right(numbers, row.seq))
            fleet.act(live, row)
    await stage.settled()
    for key in fleet.vehicles:
        then, now = await asyncio.to_thread(_compared, journal, fleet.journal, key)
        if then != now:
            outcome.trips[key] = then, now


async def _rows(journal: Journal) -> AsyncIterator[Stored]:
    """Yield the rows that were there at the begin; a bridge may be writing on."""
    seq, last = 0, journal.last_seq
    while page := await asyncio.to_thread(journal.read, seq, PAGE):
        for row in page:
            seq = row[0]
            if seq > last:
                return
            yield row


def _came_at(row: Record, live_age: timedelta) -> datetime:
    """Return by which moment the lateness of a report was judged.

    That is when it came, but for one that waited for its tracker to be accepted. When that was is
    not journalled: it was so late that it made old news of the report, or it was not.
    """
    received_at = row.report.received_at
    if row.judged.silent and row.judged.late:
        return max(received_at, row.judged.at + live_age + timedelta(seconds=1))
    return received_at


def _compared(then: Journal, now: Journal, key: str) -> tuple[Driven, Driven]:
    """Return the trips of a vehicle in both journals, as far back as its rows go."""
    held = now.counts(key)
    if held.oldest_at is None or held.newest_at is None:
        return Driven(0, 0.0), Driven(0, 0.0)
    span = Span(held.oldest_at, held.newest_at)
    return _driven(then, key, span), _driven(now, key, span)


def _driven(journal: Journal, key: str, span: Span) -> Driven:
    trips = history.every_trip(journal, key, span).trips
    return Driven(len(trips), round(sum(trip.distance_m for trip in trips) / 1000, 1))
