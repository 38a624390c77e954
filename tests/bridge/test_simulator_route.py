"""The drives of the simulated car: the built-in loop and GPX files."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from bridge.errors import ConfigError
from bridge.simulator import gpx
from bridge.simulator.route import Waypoint, built_in_loop, through


def test_the_built_in_loop_is_a_drive_a_car_could_make():
    route = built_in_loop()
    assert 18 * 60 < route.duration_s < 25 * 60
    drive = [route.at(second) for second in range(int(route.duration_s) + 60)]
    for before, after in pairwise(drive):
        fastest_km = (max(before.speed_kmh, after.speed_kmh) + 2) / 3600  # a peak lies between
        assert 0 <= after.travelled_km - before.travelled_km <= fastest_km
        north = (after.latitude - before.latitude) * 111.2
        east = (after.longitude - before.longitude) * 111.2 * math.cos(math.radians(52.46))
        assert math.hypot(north, east) <= fastest_km * 1.01
        assert abs(after.speed_kmh - before.speed_kmh) < 8
    assert {place.ignition for place in drive} == {True, False}
    assert {place.door_open for place in drive if not place.ignition} == {True, False}
    assert max(place.speed_kmh for place in drive) > 90
    assert route.at(route.duration_s + 5)[:4] == pytest.approx(route.at(5)[:4])


def test_a_route_over_the_date_line_goes_the_short_way():
    route = through([Waypoint(10.0, 179.9, 50.0), Waypoint(10.0, -179.9, 50.0)], closed=False)
    assert route.length_km == pytest.approx(21.9, abs=0.1)
    assert abs(route.at(route.duration_s / 2).longitude) == pytest.approx(180.0)
    assert route.at(1).course_deg == pytest.approx(90.0)


def track(*points: str) -> bytes:
    namespace = 'xmlns="http://www.topografix.com/GPX/1/1" version="1.1"'
    return f"<gpx {namespace}><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>".encode()


def point(latitude: str, clock: str = "") -> str:
    time = f"<time>2026-02-03T{clock}Z</time>" if clock else ""
    return f'<trkpt lat="{latitude}" lon="7.5"><ele>120</ele>{time}</trkpt>'


def test_a_gpx_track_is_driven_at_its_own_pace_and_ends_parked():
    route = gpx.parse(
        track(
            point("47.00", "08:00:00"),
            point("47.01", "08:01:00"),
            point("47.01", "08:02:00"),
            point("47.01", "08:04:00"),
            point("47.02", "08:06:00"),
        )
    )
    assert route.duration_s == 360
    assert route.at(30).speed_kmh == pytest.approx(66.7, abs=0.1)
    assert route.at(30).latitude == pytest.approx(47.005)
    assert (route.at(150).speed_kmh, route.at(150).ignition) == (0.0, False)
    assert route.at(300).speed_kmh == pytest.approx(33.4, abs=0.1)
    end = route.at(10_000)
    assert (end.latitude, end.speed_kmh, end.ignition) == (47.02, 0.0, False)


def test_a_gpx_route_without_times_is_driven_evenly(tmp_path):
    file = tmp_path / "way.gpx"
    file.write_text('<gpx><rte><rtept lat="1" lon="2"/><rtept lat="1.1" lon="2"/></rte></gpx>')
    assert gpx.read(file).at(60).speed_kmh == gpx.UNTIMED_KMH


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"lat,lon\n1,2\n", "XML"),
        (b"<gpx/>", "no track point"),
        (track(point("47.0")), "nowhere"),
        (track(point("47.0", "08:00:00"), point("47.1", "08:00:00")), "nowhere"),
        (track(point("47.0"), point("north")), "convert"),
        (track(point("47.0"), point("147.0")), "outside"),
        (b'<!DOCTYPE gpx [<!ENTITY a "b">]>' + track(point("47.0"), point("47.1")), "DOCTYPE"),
        (b" " * gpx.MAX_BYTES + b"<gpx/>", "larger"),
    ],
)
def test_a_gpx_file_that_cannot_be_driven_is_refused_by_name(tmp_path, content, why):
    file = tmp_path / "odd.gpx"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as refused:
        gpx.read(file)
    assert "odd.gpx" in str(refused.value)


def test_a_way_that_nobody_drives_is_refused():
    with pytest.raises(ValueError, match="nobody drives"):
        through([Waypoint(1.0, 2.0, 0.0), Waypoint(1.1, 2.0, 0.0)], closed=False)
