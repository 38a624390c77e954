"""Holes in a track, out of a real journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bridge import gaps
from bridge.history import Point, Span
from tests.bridge.past import at, diary, whole_day
from tests.bridge.sayings import NOW


def point(minutes: float, north_km: float) -> Point:
    return Point(
        time=NOW + timedelta(minutes=minutes), seq=1, latitude=52 + north_km / 111.195, longitude=13
    )


def test_a_way_that_nobody_has_seen_is_a_gap() -> None:
    seen = [
        point(0, 0),
        point(5, 4),
        point(30, 20),
        point(90, 20),
        point(95, 60),
        point(2000, 61.5),
    ]
    found = list(gaps.of_track(seen))
    assert [(gap.since, gap.until, gap.distance_km) for gap in found] == [
        (seen[1].time, seen[2].time, 16.0),
        (seen[4].time, seen[5].time, 1.5),
    ]
    assert gaps.days(found) == [NOW.date(), NOW.date() + timedelta(days=1)]


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30))
def test_a_track_without_pauses_has_none(ways_km: list[float]) -> None:
    assert not list(gaps.of_track(point(number * 9, way) for number, way in enumerate(ways_km)))


async def test_an_upload_fills_it(tmp_path: Path) -> None:
    day = list(whole_day())
    async with diary(tmp_path) as book:
        span = Span(at(-1), at(300))
        live = [said for said in day if said.received_at < at(195)]
        await book.say(*live)
        (gap,) = gaps.of_vehicle(book.journal, "golf", span)
        assert at(60) < gap.since < at(70)
        assert (gap.until, gap.distance_km) == (at(180), 4.5)
        # Who asks for what came after midnight, or after lunch, is told of it, too.
        assert gaps.of_vehicle(book.journal, "golf", Span(at(150), at(300))) == [gap]
        assert gaps.of_vehicle(book.journal, "golf", Span(at(180), at(300))) == []
        assert gaps.of_vehicle(book.journal, "golf", Span(at(-1), at(170))) == []
        ever = Span(datetime.min.replace(tzinfo=UTC), at(300))
        assert gaps.of_vehicle(book.journal, "golf", ever) == [gap]
        await book.say(*day[len(live) :])
        assert gaps.of_vehicle(book.journal, "golf", span) == []
