"""What was: points, trips and stops of a vehicle, read out of its journal in bounded pages.

    journal rows --points--> Page: points in the order of their own time, and where to go on
    trip table  --trips_of--> Travels: trips, the stops between them, and where to go on

A late point stands where it belongs, as its trip does once the bridge has counted it. What is read
here waits for the disk: never on the event loop.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge import payloads, record
from bridge.acquaintance import Content, Vehicle
from bridge.assess import Verdict
from bridge.database import Database
from bridge.datafolder import predecessor
from bridge.errors import RequestError, StorageError
from bridge.journal import FILE_NAME, Journal
from bridge.model import NO_STATUS, Alarm, Fix, Status
from bridge.record import Record
from bridge.registry import FILE_NAME as REGISTRY
from bridge.schema import milliseconds
from bridge.trips import Trip

_log = logging.getLogger(__name__)

MOST_POINTS = 1000
"""Of one page: some 150 KB of JSON, which every broker takes."""
MOST_TRIPS = 200
MOST_ROWS = 20_000
"""Looked at for one page, however few of them are points: a fraction of a second."""

_ROWS = 500
_OVERLAPPING = 8
"""Trips that may reach over the begin of a page beside the one before it; mostly there is none."""

BELIEVED = frozenset({Verdict.OK, Verdict.PARKED, Verdict.HISTORICAL})
"""Where the vehicle has been, as far as we believe its fixes."""


class Point(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A report, as its part of a track; the last four only where all reports were asked for."""

    time: datetime
    """The moment it counts for: its own time by a clock put right, else when it came."""
    seq: int
    latitude: float | None = None
    longitude: float | None = None
    speed_kmh: float | None = None
    course_deg: float | None = None
    altitude_m: float | None = None
    satellites: int | None = None
    hdop: float | None = None
    verdict: Verdict | None = None
    alarm: Alarm | None = None
    rang: tuple[Alarm, ...] = ()
    """Alarms of which an episode began with it."""
    received_at: datetime | None = None
    keyword: str = ""
    late: bool = False
    """It was old news when it came."""
    status: Status | None = None


_OF_FIX = sorted({*Point.__struct_fields__} & {*Fix.__struct_fields__} - {"time"})
"""What a point has of its fix under the same name; the moment a fix counts for may be another."""


class Page(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Some points; `next` is what to give as `after` for those behind, absent at the end."""

    points: list[Point]
    next: str | None = None


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle stood between two trips."""

    since: datetime
    until: datetime
    duration_s: int
    latitude: float
    longitude: float


class Travels(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Some trips and the stops between them; `next` as in `Page`."""

    trips: list[Trip]
    stops: list[Stop]
    next: str | None = None

    def payload(self) -> dict[str, object]:
        """Return what is answered: trips as they are published."""
        fields: dict[str, object] = {
            "trips": [payloads.trip_fields(trip) for trip in self.trips],
            "stops": self.stops,
        }
        return fields | ({"next": self.next} if self.next else {})


class Span(NamedTuple):
    """From when to when, both included; aware."""

    since: datetime
    until: datetime


# --- reading --------------------------------------------------------------------------------------


def points(  # noqa: PLR0913 - whose points, which, and where a page begins and ends
    journal: Journal,
    key: str,
    span: Span,
    after: str = "",
    limit: int = MOST_POINTS,
    *,
    everything: bool = False,
) -> Page:
    """Return a page of a vehicle's points in the order of their own time.

    A point that came again, as an upload of a whole day brings it, is one; its alarms are kept.
    `everything`: all its reports, whatever is thought of their fixes. `after`: the `next` of the
    page before. A page may be short, even empty, and have a `next`: it alone tells that there is
    more. Raises RequestError for an `after` that is none, StorageError.
    """
    place = _place(after)
    found: list[Point] = []
    limit = min(limit, MOST_POINTS)
    for _ in range(MOST_ROWS // _ROWS):
        rows = journal.track(key, span.since, span.until, place, _ROWS)
        for seq, at_ms, _, body in rows:
            point = _point(key, seq, body, everything=everything)
            if point is not None:
                if found and not everything and _is_again(point, found[-1]):
                    rang = (*found[-1].rang, *point.rang)
                    found[-1] = msgspec.structs.replace(found[-1], rang=rang)
                elif len(found) == limit:
                    return Page(points=found, next=_text(place))
                else:
                    found.append(point)
            place = at_ms, seq
        if len(rows) < _ROWS:
            return Page(points=found)
    return Page(points=found, next=_text(place))


def every_point(
    journal: Journal, key: str, span: Span, *, everything: bool = False
) -> Iterator[Point]:
    """Return the points of all pages."""
    after: str | None = ""
    while after is not None:
        page = points(journal, key, span, after, everything=everything)
        yield from page.points
        after = page.next


def trips_of(
    journal: Journal, key: str, span: Span, after: str = "", limit: int = MOST_TRIPS
) -> Travels:
    """Return a page of the trips that were under way within a span, and the stops between them.

    The trip that goes on is none of them. Raises RequestError for an `after` that is none,
    StorageError.
    """
    limit = min(limit, MOST_TRIPS)
    place = _place(after)
    began_ms = place[0] if place else None
    since = span.since if began_ms is None else max(span.since, _moment(began_ms))
    asked = limit + 1 + _OVERLAPPING
    stored = journal.trips(key, since, span.until, asked)
    trips = [record.decode_trip(body) for body in stored]
    told = [trip for trip in trips if began_ms is None or _began_ms(trip) > began_ms]
    more = len(told) > limit or (len(trips) == asked and bool(told))
    told = told[:limit]
    # The stop before the first trip of a page lies behind the last one of the page before.
    before = [trip for trip in trips if began_ms is not None and _began_ms(trip) <= began_ms]
    return Travels(
        trips=told,
        stops=_stops([*before[-1:], *told]),
        next=_text((_began_ms(told[-1]), 0)) if more else None,
    )


def every_trip(journal: Journal, key: str, span: Span) -> Travels:
    """Return the trips and stops of all pages."""
    page = trips_of(journal, key, span)
    trips, stops = page.trips, page.stops
    while page.next is not None:
        page = trips_of(journal, key, span, page.next)
        trips, stops = trips + page.trips, stops + page.stops
    return Travels(trips=trips, stops=stops)


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """Open a journal, or that of a data folder, to read it, whether a bridge writes to it or not.

    Raises StorageError where there is none, or none that this program can read.
    """
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise StorageError(f"there is no journal {path}: nothing has been kept there yet")
    journal = Journal(Database.look(path))
    try:
        yield journal
    finally:
        journal.close()


def known_vehicles(folder: Path) -> dict[str, Vehicle]:
    """Return the vehicles of a data folder by their keys, removed ones too.

    None are known where its registry is not there, or cannot be read.
    """
    path = folder / REGISTRY
    # While a running bridge writes it, for a moment only its predecessor is there.
    for file in (path, predecessor(path)):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            content = msgspec.json.decode(file.read_bytes(), type=Content)
            return {vehicle.key: vehicle for vehicle in content.vehicles}
    return {}


def _is_again(point: Point, before: Point) -> bool:
    return (point.time, point.latitude, point.longitude) == (
        before.time,
        before.latitude,
        before.longitude,
    )


def _point(key: str, seq: int, body: bytes, *, everything: bool) -> Point | None:
    try:
        row = record.decode(body)
    except StorageError as error:
        _log.error("%s: row %d is left out: %s", key, seq, error)
        return None
    if not isinstance(row, Record):
        return None
    report, judged, fix = row.report, row.judged, row.report.fix
    if not everything and (fix is None or judged.verdict not in BELIEVED):
        return None
    point = Point(
        time=judged.at,
        seq=seq,
        verdict=judged.verdict,
        alarm=report.alarm,
        rang=tuple(ring.alarm for ring in row.rings),
        **({name: getattr(fix, name) for name in _OF_FIX} if fix is not None else {}),
    )
    if not everything:
        return point
    return msgspec.structs.replace(
        point,
        received_at=report.received_at,
        keyword=report.keyword,
        late=judged.late,
        status=None if report.status == NO_STATUS else report.status,
    )


def _stops(trips: list[Trip]) -> list[Stop]:
    return [
        Stop(
            since=trip.ended_at,
            until=following.started_at,
            duration_s=round((following.started_at - trip.ended_at).total_seconds()),
            latitude=trip.end.latitude,
            longitude=trip.end.longitude,
        )
        for trip, following in itertools.pairwise(trips)
        if following.started_at > trip.ended_at
    ]


def _began_ms(trip: Trip) -> int:
    return milliseconds(trip.started_at)


# --- where a page ends ----------------------------------------------------------------------------

_CURSOR = re.compile(r"(-?\d{1,15})\.(\d{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _place(after: str) -> tuple[int, int] | None:
    """Return the (milliseconds, seq) that a cursor stands for, None for the begin."""
    if not after:
        return None
    written = _CURSOR.fullmatch(after)
    if written is None:
        raise RequestError("after is not what a page before has given as next")
    ms, seq = map(int, written.groups())
    return ms, seq


def _text(place: tuple[int, int] | None) -> str | None:
    return None if place is None else f"{place[0]}.{place[1]}"


def _moment(ms: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        raise RequestError("after is not what a page before has given as next") from None


# --- times as people write them -------------------------------------------------------------------

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_AGO = re.compile(r"(\d{1,6}) ?([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str, name: str) -> datetime:
    """Return a time written as RFC 3339, in UTC; `name` says of what. Raises RequestError."""
    written = _RFC3339.fullmatch(text)
    if written is None:
        raise RequestError(f"{name} is no time: {text[:40]!r}; write it as 2026-05-01T10:00:00Z")
    if written[3] is None:
        raise RequestError(f"{name} says no time zone: write {text}Z for UTC, or {text}+02:00")
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text.upper()).astimezone(UTC)
        if 1970 < found.year < 9999:  # a day more or less is then a time, too
            return found
    raise RequestError(f"{name} is no time that there is: {text!r}")


def local_moment(text: str, name: str, now: datetime) -> datetime:
    """Return a time as it is typed: as `moment`, a date, today, yesterday, or so long ago (2h, 3d).

    A day is its first moment here, by this machine's time zone. Raises RequestError.
    """
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if text in _DAYS:
            return _midnight(now.astimezone().date() - timedelta(days=_DAYS[text]))
        if _DATE.fullmatch(text):
            return _midnight(date.fromisoformat(text))
    except (ValueError, OverflowError):
        raise RequestError(f"{name} is no time that there is: {text!r}") from None
    if _RFC3339.fullmatch(text) is None:
        raise RequestError(
            f"{name} is no time: {text[:40]!r}; write today, yesterday, 2h or 3d (ago),"
            " 2026-05-01, or 2026-05-01T10:00:00+02:00"
        )
    return moment(text, name)


def span(since: datetime, until: datetime) -> Span:
    """Return a span. Raises RequestError for one that ends before it begins."""
    if since > until:
        raise RequestError(f"from is after to: {_told(since)} is later than {_told(until)}")
    return Span(since, until)


def _midnight(day: date) -> datetime:
    # A time without a zone is taken as one of this machine's, by the rules of that day.
    return datetime.combine(day, time.min).astimezone(UTC)


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
