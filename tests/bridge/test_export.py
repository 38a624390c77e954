"""A track in other programs' formats, read back by programs that know them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import gpxpy
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import export, history
from bridge.assess import Verdict
from bridge.export import Track
from bridge.history import Point, Span
from bridge.model import Alarm
from bridge.trips import Limits, Place, Trip
from tests.bridge.past import EVENING, MORNING, STEP_M, at, diary, drive, fill, place

DAY = Span(MORNING, EVENING)


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await fill(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def track(data: Path) -> Iterator[Track]:
    with history.opened(data) as journal:
        yield Track(
            "My Golf",
            list(history.every_point(journal, "golf", DAY)),
            history.every_trip(journal, "golf", DAY).trips,
        )


def text(track: Track, form: str) -> str:
    return "".join(export.FORMATS[form](track))


Drawn = tuple[datetime, float, float]


def drawn(points: list[Point]) -> list[Drawn]:
    return [(one.time, one.latitude or 0.0, one.longitude or 0.0) for one in points]


def trip_points(track: Track) -> list[list[Drawn]]:
    """What each trip's line must be: its points, which lie within its time."""
    return [
        drawn([one for one in track.points if trip.started_at <= one.time <= trip.ended_at])
        for trip in track.trips
    ]


def test_gpx_has_a_segment_a_trip(track: Track) -> None:
    document = gpxpy.parse(text(track, "gpx"))
    assert document.creator == "TK103B Bridge"
    (line,) = document.tracks
    assert line.name == "My Golf"
    found = [
        [(one.time, one.latitude, one.longitude) for one in segment.points]
        for segment in line.segments
    ]
    assert found == trip_points(track)
    assert [len(segment) for segment in found] == [9, 9, 9, 9]
    assert line.segments[2].points[3].satellites == 8
    (sos,) = document.waypoints
    assert (sos.name, sos.time) == ("sos", at(10))
    assert sos.latitude == pytest.approx(place(7 * STEP_M)["latitude"])


def test_gpx_is_as_long_as_what_was_driven(track: Track) -> None:
    document = gpxpy.parse(text(track, "gpx"))
    driven = sum(trip.distance_m for trip in track.trips[:1])
    assert document.tracks[0].segments[0].length_2d() == pytest.approx(driven, rel=0.01)


def test_geojson_has_a_line_a_trip_and_a_point_an_alarm(track: Track) -> None:
    collection = json.loads(text(track, "geojson"))
    assert collection["type"] == "FeatureCollection"
    lines = [one for one in collection["features"] if one["geometry"]["type"] == "LineString"]
    for line, trip, points in zip(lines, track.trips, trip_points(track), strict=True):
        assert line["geometry"]["coordinates"] == [[east, north] for _, north, east in points]
        properties = line["properties"]
        assert properties["kind"] == "trip"
        assert properties["distance_km"] == round(trip.distance_m / 1000, 2)
        assert datetime.fromisoformat(properties["started_at"]) == trip.started_at
        told = [datetime.fromisoformat(one) for one in properties["times"]]
        assert told == [time for time, _, _ in points]
    (alarm,) = (one for one in collection["features"] if one not in lines)
    assert alarm["geometry"]["type"] == "Point"
    assert alarm["properties"] == {"kind": "alarm", "alarm": "sos", "time": "2026-05-01T08:10:00Z"}


def test_csv_has_every_point_and_no_nulls(track: Track) -> None:
    rows = list(csv.DictReader(io.StringIO(text(track, "csv"))))
    assert tuple(rows[0]) == export.COLUMNS
    for row, point in zip(rows, track.points, strict=True):
        known: dict[str, Any] = {name: cell for name, cell in row.items() if cell}
        assert msgspec.convert(known, Point, strict=False) == msgspec.structs.replace(
            point, rang=()
        )
        assert "None" not in row.values()


async def test_what_goes_on_is_drawn_too_and_what_stands_is_not(tmp_path: Path) -> None:
    async with diary(tmp_path / "data") as book:
        await book.say(*drive(0)[:-1])
    with history.opened(tmp_path / "data") as journal:
        track = Track("golf", list(history.every_point(journal, "golf", DAY)), [])
    (leg,) = export.legs(track)
    assert (leg.trip, len(leg.points)) == (None, 8)
    (feature,) = json.loads(text(track, "geojson"))["features"]
    assert feature["properties"]["kind"] == "drive"
    yard = track._replace(points=list(track.points)[:1])
    assert list(export.legs(yard)) == []
    for form in export.FORMATS:
        assert text(yard._replace(points=[]), form)


def seen(minutes: float, metres: float = 0.0, **more: Any) -> Point:
    return Point(**{"time": at(minutes), "seq": 1, "verdict": Verdict.OK, **place(metres), **more})


def driven(start: float, end: float) -> Trip:
    here = Place(latitude=52.5, longitude=13.4)
    return Trip(started_at=at(start), ended_at=at(end), start=here, end=here, by="ignition")


def test_a_silence_splits_what_is_no_trip() -> None:
    points = [seen(0), seen(1, 900), seen(70, 2000), seen(71, 2900), seen(72, 3000)]
    found = [len(leg.points) for leg in export.legs(Track("golf", points, []))]
    assert found == [2, 3]


def test_a_trip_of_one_point_is_a_line_from_where_it_began() -> None:
    track = Track("golf", [seen(1, 500)], [driven(0, 2)])
    (feature,) = json.loads(text(track, "geojson"))["features"]
    assert feature["geometry"]["coordinates"][0] == [13.4, 52.5]
    assert len(feature["properties"]["times"]) == 2


def test_several_alarms_of_one_report_are_told_each() -> None:
    rang = (Alarm.SOS, Alarm.POWER_CUT)
    track = Track("golf", [seen(1, 500, rang=rang, alarm=Alarm.SOS)], [])
    assert [one.name for one in gpxpy.parse(text(track, "gpx")).waypoints] == ["sos", "power_cut"]


def test_a_name_with_angle_brackets_stays_a_name() -> None:
    track = Track("<b>&\"'", [seen(1)], [driven(0, 2)])
    assert gpxpy.parse(text(track, "gpx")).tracks[0].name == "<b>&\"'"


minutes = st.integers(0, 300)


@given(
    st.lists(st.tuples(minutes, st.integers(0, 4000), st.sampled_from(["ok", "parked"]))),
    st.sets(minutes, max_size=8),
)
def test_legs_are_parts_of_the_track_in_order(
    said: list[tuple[int, int, str]], edges: set[int]
) -> None:
    """Each point of a trip is drawn once, nothing is drawn twice, and no leg bridges a trip."""
    points = [seen(at_, far, verdict=Verdict(how)) for at_, far, how in sorted(said)]
    ordered = sorted(edges)
    trips = [driven(*pair) for pair in zip(ordered[::2], ordered[1::2], strict=False)]
    found = list(export.legs(Track("golf", points, trips, Limits())))
    shown = [point for leg in found for point in leg.points]
    assert [point.time for point in shown] == sorted(point.time for point in shown)
    assert len(shown) == len({id(point) for point in shown})
    for trip in trips:
        inside = [one for one in points if trip.started_at <= one.time <= trip.ended_at]
        legs = [leg for leg in found if leg.trip is trip]
        assert [point for leg in legs for point in leg.points] == inside
    for leg in found:
        if leg.trip is None:
            assert Verdict.PARKED not in {point.verdict for point in leg.points}
            between = leg.points[0].time, leg.points[-1].time
            assert not any(between[0] < trip.ended_at <= between[1] for trip in trips)
