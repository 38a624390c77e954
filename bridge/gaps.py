"""Where a track has holes: days whose memory card may hold what never came over the network.

A vehicle that is seen somewhere else than before, with nothing between, has driven unseen. Its
tracker mostly has the points on its card, and sends those of a day when told to (`upload_log`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from bridge import history
from bridge.assess import distance_m
from bridge.history import Point, Span
from bridge.journal import Journal
from bridge.model import Fix

SILENT = timedelta(minutes=10)
"""Shorter is a tunnel, a garage, a slow report."""
FAR_M = 1000.0
"""Nearer the parking place was only left for a short way, or the receiver has drifted."""
DAYS = timedelta(days=30)
"""How far back one looks, where nothing else is said: cards keep some weeks. As far before what is
asked for the last place is looked for, as a gap may have begun before midnight."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing is known of earlier times, however far back somebody asks."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a way that nobody has seen, as the crow flies."""

    since: datetime
    until: datetime
    distance_km: float


def of_vehicle(journal: Journal, key: str, span: Span) -> list[Gap]:
    """Return the gaps that reach into a span of a vehicle's track, in order.

    Waits for the disk; raises StorageError.
    """
    since = max(span.since, EARLIEST) - DAYS
    found = of_track(history.every_point(journal, key, Span(since, span.until)))
    return [gap for gap in found if gap.until > span.since]


def of_track(points: Iterable[Point]) -> Iterator[Gap]:
    """Yield the gaps between points that are in the order of their time."""
    before: tuple[datetime, Fix] | None = None
    for point in points:
        if point.latitude is None or point.longitude is None:
            continue
        here = Fix(valid=True, latitude=point.latitude, longitude=point.longitude)
        if before is not None and point.time - before[0] >= SILENT:
            way_m = distance_m(before[1], here)
            if way_m >= FAR_M:
                way_km = round(way_m / 1000, 1)
                yield Gap(since=before[0], until=point.time, distance_km=way_km)
        before = point.time, here


def days(gaps: Iterable[Gap]) -> list[date]:
    """Return the days, UTC, whose upload may fill gaps, each once and in order."""
    found: dict[date, None] = {}
    for gap in gaps:
        day = gap.since.astimezone(UTC).date()
        while day <= gap.until.astimezone(UTC).date():
            found[day] = None
            day += timedelta(days=1)
    return sorted(found)
