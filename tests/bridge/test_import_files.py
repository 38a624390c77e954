"""What files are taken for, what is read out of them, and what is kept aside."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError, StorageError
from bridge.importing import KINDS, Times, Written, zone
from bridge.importing.intervals import APART_MS, Intervals
from bridge.importing.items import Found
from bridge.importing.opening import opened
from bridge.registry import Registry
from tests.bridge.corpus import LINES
from tests.bridge.imported import (
    BEGIN,
    GOLF,
    NOW,
    Heard,
    bring,
    drive,
    folder,
    track,
    trips,
    written,
)

PROTOCOLS = ("gps103", "tk103", "xexun", "h02", "gt06")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", "golf", "van")


def file(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(rows: list[dict[str, Any]]) -> set[str]:
    """The moments of the dated reports with a position in some corpus lines."""
    return {
        message["device_time"]
        for row in rows
        for event in row["events"]
        for message in event.get("messages", ())
        if message["type"] == "report" and "fix" in message and "device_time" in message
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_capture_of_any_protocol(tmp_path: Path, data: Path, protocol: str) -> None:
    rows = [line.row for line in LINES if line.protocol == protocol]
    capture = file(tmp_path / "capture.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    later = NOW + timedelta(days=60)  # than all of the corpus
    (told,) = bring(data, capture, now=later).files
    assert told.imported > 10
    moments = {point[0].isoformat().replace("+00:00", "Z")[:19] for point in track(data)}
    there = {text[:19] for text in said(rows) if text >= "2000"}
    assert there <= moments
    (again,) = bring(data, capture, now=later).files
    assert again.imported == 0
    assert again.duplicates == told.imported + told.duplicates


def test_lines_of_text_as_they_were_sent(tmp_path: Path, data: Path) -> None:
    lines = (
        f"##,imei:{GOLF},A;\n"
        f"imei:{GOLF},tracker,2605011015,,F,101530.000,A,5231.2000,N,01324.6000,E,31.21,,;\n"
        "\n"
        f"imei:{GOLF},tracker,2605011016,,F,101630.000,A,5231.3000,N,01324.6000,E,31.21,,;\r\n"
        f"imei:{GOLF},tracker,2605011017,,F,101730.000,A,9931.3000,N,01324.6000,E,31.21,,;\n"
        "what is this\n"
    )
    heard = Heard()
    source = file(tmp_path / "card.log", lines)
    (told,) = bring(data, source, vehicle="", watcher=heard).files
    assert (told.imported, told.rejected) == (2, 2)
    assert [bad.line for bad in heard.bad] == [5, 6]
    assert heard.bad[1].reason == "unrecognised"
    kept = (tmp_path / "card.log.rejected").read_text()
    assert kept.splitlines()[1] == lines.splitlines()[4]
    assert kept.splitlines()[2] == f"// {source}:6: unrecognised"
    assert [point[0].minute for point in track(data)] == [15, 16]


def test_hexadecimal_lines_and_a_login_that_names_whose_they_are(
    tmp_path: Path, data: Path
) -> None:
    logged = [
        line.row
        for line in LINES
        if line.protocol == "gt06"
        and line.row["encoding"] == "hex"
        and any(message["type"] == "login" for message in _messages(line.row))
        and any(message["type"] == "report" and "fix" in message for message in _messages(line.row))
    ]
    row = logged[0]
    frames = [event["frame"] for event in row["events"]]
    spaced = [" ".join(frame[at : at + 2] for at in range(0, len(frame), 2)) for frame in frames]
    (told,) = bring(data, file(tmp_path / "dump.hex", "\n".join(spaced) + "\n")).files
    said_something = [message for message in _messages(row) if message["type"] == "report"]
    assert told.imported + told.duplicates == len(said_something)
    assert told.imported == len(track(data)) > 10
    binary = file(tmp_path / "dump.bin", bytes.fromhex("".join(frames)))
    (told,) = bring(data, binary, vehicle="van").files
    assert told.imported == len(track(data))


def _messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for event in row["events"] for message in event.get("messages", ())]


def test_a_stranger_is_refused_with_the_command_that_accepts_it(tmp_path: Path, data: Path) -> None:
    frame = "imei:864000000009999,tracker,2605011015,,F,101530.000,A,5231.2000,N,01324.6000,E,,,;\n"
    source = file(tmp_path / "a.txt", frame)
    heard = Heard()
    (told,) = bring(data, source, vehicle="", watcher=heard).files
    assert (told.imported, told.rejected) == (0, 1)
    assert "accept 864000000009999" in heard.bad[0].reason
    registry = Registry.open(data, "tk103b")
    registry.block("864000000009999")
    bring(data, source, vehicle="", watcher=heard)
    assert heard.bad[1].reason == "tracker 864000000009999 is blocked"
    assert bring(data, source).files[0].imported == 1  # somebody says whose it was


def test_a_frame_of_another_vehicle_stays_its(tmp_path: Path, data: Path) -> None:
    frame = f"imei:{GOLF},tracker,2605011015,,F,101530.000,A,5231.2000,N,01324.6000,E,,,;\n"
    heard = Heard()
    bring(data, file(tmp_path / "a.txt", frame), vehicle="van", watcher=heard)
    assert heard.bad[0].reason == f"tracker {GOLF} belongs to golf, not to van"


# --- GPX and GeoJSON ------------------------------------------------------------------------------

GPX = """<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" xmlns:g="http://example.org/g" version="1.1">
 <wpt lat="1" lon="1"><time>2024-03-01T07:00:00Z</time></wpt>
 <trk><trkseg>
  <trkpt lat="52.5" lon="13.4"><ele>34.5</ele><time>2024-03-01T07:00:00Z</time><sat>7</sat>
   <extensions><g:t><g:speed>10</g:speed><g:course>90</g:course></g:t></extensions></trkpt>
  <trkpt lat="52.501" lon="13.4"><time>2024-03-01T08:00:10.500+01:00</time></trkpt>
  <trkpt lat="52.502" lon="13.4"></trkpt>
  <trkpt lat="152" lon="13.4"><time>2024-03-01T07:00:30Z</time></trkpt>
  <trkpt lat="52.503" lon="13.4"><time>1999-12-31T23:59:59Z</time></trkpt>
  <trkpt lat="52.503" lon="13.4"><time>2027-01-01T00:00:00Z</time></trkpt>
  <trkpt lat="52.504" lon="13.4"><time>2024-03-01T07:00:40</time></trkpt>
 </trkseg></trk>
</gpx>
"""


def test_track_points_with_their_lines(tmp_path: Path, data: Path) -> None:
    heard = Heard()
    (told,) = bring(data, file(tmp_path / "a.gpx", GPX), watcher=heard).files
    assert (told.imported, told.rejected) == (3, 4)
    assert [(bad.line, bad.reason) for bad in sorted(heard.bad)] == [
        (8, "no time"),
        (9, "no such latitude: 152"),
        (10, "long ago: 1999-12-31 23:59:59 UTC"),
        (11, "in the future: 2027-01-01 00:00:00 UTC"),
    ]
    first, second, third = track(data)
    assert first[:4] == (BEGIN, 52.5, 13.4, 36.0)
    assert second[0] == BEGIN + timedelta(seconds=10.5)
    assert third[0] == BEGIN + timedelta(seconds=40)


def test_xml_that_ends_in_the_middle_gives_what_stood_before(tmp_path: Path, data: Path) -> None:
    outcome = bring(data, file(tmp_path / "a.gpx", GPX[: GPX.index('<trkpt lat="52.502"')]))
    assert outcome.files[0].imported == 2
    assert outcome.files[0].broken_off.startswith("8: no XML from here on")
    assert not outcome.complete


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('<!DOCTYPE gpx [<!ENTITY a "b">]><gpx>&a;</gpx>', "a DOCTYPE is not allowed"),
        ("<kml></kml>", "XML, but no GPX: <kml>"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, data: Path, text: str, complaint: str) -> None:
    outcome = bring(data, file(tmp_path / "a.gpx", text))
    assert complaint in outcome.files[0].broken_off


def test_geojson_of_others(tmp_path: Path, data: Path) -> None:
    times = {"coordTimes": ["2024-03-01T07:00:00Z", "2024-03-01T07:00:10Z"]}
    drawn = {"type": "LineString", "coordinates": [[13.4, 52.5, 34], [13.4, 52.501], [1]]}
    line = {"type": "Feature", "properties": times, "geometry": drawn}
    text = json.dumps({"type": "FeatureCollection", "features": [line]}, indent=1)
    (told,) = bring(data, file(tmp_path / "a.geojson", text)).files
    assert (told.imported, told.rejected) == (2, 1)
    assert track(data)[0][:3] == (BEGIN, 52.5, 13.4)


# --- CSV ------------------------------------------------------------------------------------------

EXCEL = """Datum;Uhrzeit;Breitengrad;Längengrad;Geschwindigkeit (km/h)
01.03.2024;08:00:00;52,5;13,4;36,5
01.03.2024;08:00:10;52,501;13,4;-1
"""


def test_a_table_as_a_german_spreadsheet_writes_it(tmp_path: Path, data: Path) -> None:
    for number, encoding in enumerate(("utf-8-sig", "cp1252")):
        source = file(tmp_path / f"{number}.csv", EXCEL.replace("\n", "\r\n").encode(encoding))
        (told,) = bring(data, source, times=Times(zone=ZoneInfo("Europe/Berlin"))).files
        assert told.imported == (0 if number else 2)
    first, second = track(data)
    assert first[:4] == (BEGIN, 52.5, 13.4, 36.5)
    assert second[3] is None  # a speed below nothing is unknown


@pytest.mark.parametrize(
    ("heading", "columns", "kmh"),
    [
        ("t,a,o,v", {"time": "t", "latitude": "a", "longitude": "o", "speed_mps": "v"}, 36.0),
        ("timestamp,lat,lon,Speed (knots)", {}, 18.52),
        ("timestamp,lat,lon,speed", {}, None),
        ("timestamp,lat,lon,speed", {"speed_kmh": "speed"}, 10.0),
        ("", {"time": "1", "latitude": "2", "longitude": "3", "speed_mph": "4"}, 16.09),
    ],
)
def test_columns_by_heading_by_name_and_by_number(
    tmp_path: Path, data: Path, heading: str, columns: dict[str, str], kmh: float | None
) -> None:
    text = f"{heading}\n1709276400,52.5,13.4,10\n1709276410000,52.501,13.4,10\n"
    bring(data, file(tmp_path / "a.csv", text), columns=columns)
    assert [point[:4] for point in track(data)] == [
        (BEGIN, 52.5, 13.4, kmh),
        (BEGIN + timedelta(seconds=10), 52.501, 13.4, kmh),
    ]


def test_what_is_rejected_can_be_mended_and_imported(tmp_path: Path, data: Path) -> None:
    lines = drive(points=10)
    broken = [*lines[:3], lines[3].replace("13.40000", "13.4O"), "only,two", *lines[4:]]
    heard = Heard()
    (told,) = bring(data, written(tmp_path / "a.csv", broken), watcher=heard).files
    assert (told.imported, told.rejected) == (9, 2)
    assert [(bad.line, bad.reason) for bad in heard.bad] == [
        (5, "longitude is no number: '13.4O'"),
        (6, "only 2 columns"),
    ]
    aside = tmp_path / "a.csv.rejected"
    assert aside.stat().st_mode & 0o077 == 0
    aside.write_text(aside.read_text().replace("13.4O", "13.40000"))
    (told,) = bring(data, aside).files
    assert (told.imported, told.rejected) == (1, 1)
    whole = folder(tmp_path / "whole")
    bring(whole, written(tmp_path / "b.csv", lines))
    assert track(data) == track(whole)
    assert trips(data) == trips(whole)


def test_one_file_for_all_that_is_rejected(tmp_path: Path, data: Path) -> None:
    aside = tmp_path / "aside"
    lines = drive(points=2)
    sources = [written(tmp_path / f"{name}.csv", [*lines, f"{name},1,1,"]) for name in "ab"]
    outcome = bring(data, *sources, rejected=aside)
    assert [one.rejected for one in outcome.files] == [1, 1]
    assert aside.read_text().count("// ") == 2
    with pytest.raises(RequestError, match="is to be imported itself"):
        bring(data, *sources, rejected=sources[0])


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path, data: Path) -> None:
    heard = Heard()
    lines = drive(points=3)
    lines[1] += "," + "x" * 300_000
    bring(data, written(tmp_path / "a.csv", lines), watcher=heard)
    assert [bad.line for bad in heard.bad] == [3]
    assert len(heard.bad[0].text) < 100_000
    assert len(track(data)) == 2


POINT = '{"type":"Feature","geometry":{"type":"%s","coordinates":[[1,2]]},"properties":{"time":0}}'


@pytest.mark.parametrize(
    "content",
    [
        '<gpx><wpt lat="1" lon="2"><time>2024-03-01T07:00:00Z</time></wpt></gpx>',
        '<gpx><rte><rtept lat="1" lon="2"><time>2024-03-01T07:00:00Z</time></rtept></rte></gpx>',
        '{"type":"FeatureCollection","features":[%s]}' % (POINT % "MultiPoint"),
        "time,lat,lon\r2024-03-01T07:00:00Z,1,2\r",  # all of it is one heading
        "time,lat,lon\n",
        f"##,imei:{GOLF},A;\n{GOLF};\n",
    ],
)
def test_a_file_of_which_nothing_comes_is_not_complete(
    tmp_path: Path, data: Path, content: str
) -> None:
    good = written(tmp_path / "good.csv", drive())
    assert bring(data, good).complete
    outcome = bring(data, file(tmp_path / "a.txt", content), good)
    assert [one.empty for one in outcome.files] == [True, False]
    assert not outcome.complete


def test_the_hour_that_is_there_twice_is_rejected_and_comes_with_its_offset(
    tmp_path: Path, data: Path
) -> None:
    clocks = ("01:59:59", "02:00:00", "02:59:59", "03:00:00")
    rows = [f"2025-{day} {clock},1,2" for day in ("03-30", "10-26") for clock in clocks]
    source = file(tmp_path / "a.csv", "\n".join(["time,lat,lon", *rows, ""]))
    heard = Heard()
    berlin = Times(zone=zone("Europe/Berlin"))
    bring(data, source, watcher=heard, times=berlin)
    assert [bad.line for bad in heard.bad] == [3, 4, 7, 8]
    assert "twice, or never, in Europe/Berlin" in heard.bad[0].reason
    known = len(track(data))
    bring(data, tmp_path / "a.csv.rejected", times=Times(zone=zone("+01:00")))
    assert len(track(data)) == known + 3  # at two in March it was three


def test_a_mark_of_encoding_or_a_stray_zero_byte_does_not_hide_what_a_file_is(
    tmp_path: Path, data: Path
) -> None:
    line = '{"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"time":1709276400}}'
    marked = file(tmp_path / "a.json", '\ufeff{"features":[' + line + "]}")
    broken = written(tmp_path / "a.csv", [*drive(points=2), "\0\0\0", *drive(points=3)[2:]])
    outcome = bring(data, marked, broken)
    assert [(one.imported, one.rejected) for one in outcome.files] == [(1, 0), (3, 1)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_where_rejected_lines_cannot_be_kept_is_said(tmp_path: Path, data: Path) -> None:
    source = written(tmp_path / "a.csv", [*drive(points=2), "x,y,z,"])
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left"):
        bring(data, source, rejected=Path("/dev/full"))
    assert len(track(data)) == 2


# --- refused as a whole ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        (b"", {}, "it is empty"),
        (b"SQLite format 3\0....", {}, "it is a journal"),
        (b"PK\x03\x04....", {}, "it is packed"),
        ("time,lat\n1,2\n".encode("utf-16"), {}, "it is UTF-16"),
        (b"Dear diary,\ntoday I drove\n", {}, "neither frames of a protocol that is known"),
        (b"time,lat\n1709276400,2\n", {}, "no column for longitude: there are 'time', 'lat'"),
        (b"a,b\n1,2\n", {"columns": {"time": "c"}}, "there is no column 'c'; there are 'a', 'b'"),
        (b"a,b\n1,2\n", {"columns": {"tiem": "a"}}, "--map: there is no 'tiem'; there are time,"),
        (b"time,lat,lon\n2024-03-01 07:00:00,1,1\n", {}, "line 2: time without a time zone"),
    ],
)
def test_a_file_that_is_none_says_why(
    tmp_path: Path, data: Path, content: bytes, options: dict[str, Any], complaint: str
) -> None:
    good = written(tmp_path / "good.csv", drive())
    bad = file(tmp_path / "a.bin", content)
    files = (bad, good) if options else (good, bad)
    with pytest.raises(RequestError, match=r"a\.bin: ") as refused:
        bring(data, *files, **options)
    assert complaint in str(refused.value)
    assert track(data) == []  # every file is looked at before anything is written


def test_whose_points_these_are_must_be_known(tmp_path: Path, data: Path) -> None:
    source = written(tmp_path / "a.csv", drive())
    with pytest.raises(RequestError, match="say --vehicle KEY; known are golf, van"):
        bring(data, source, vehicle="")
    with pytest.raises(RequestError, match="there is no vehicle 'gulf'; known are golf, van"):
        bring(data, source, vehicle="gulf")
    with pytest.raises(RequestError, match="cannot read"):
        bring(data, tmp_path / "gone.csv")


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("2024-03-01T07:00:00Z", ""),
        ("2024-03-01 08:00:00", ""),
        ("2024/03/01 08:00:00.000", ""),
        ("1.3.2024 8:00", ""),
        ("01.03.2024, 08:00:00", ""),
        ("1709276400", ""),
        ("1709276400.0", ""),
        ("1709276400000", ""),
        ("03/01/24 08h00", "%m/%d/%y %Hh%M"),
    ],
)
def test_times_as_they_are_written(text: str, pattern: str) -> None:
    assert Times(zone=ZoneInfo("Europe/Berlin"), pattern=pattern).moment(text) == BEGIN


@pytest.mark.parametrize("text", ["", "noon", "99:99", "20240301T", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        Times(zone=UTC).moment(text)


def test_time_zones_as_they_are_typed() -> None:
    assert zone("utc") is UTC
    assert zone("+05:30") == timezone(timedelta(hours=5, minutes=30))
    assert zone("-0300") == timezone(timedelta(hours=-3))
    for wrong in ("Berlin", "../etc/passwd", "+25:00", "", "a\0b"):
        with pytest.raises(RequestError, match="--timezone"):
            zone(wrong)


@given(st.lists(st.integers(0, 60 * APART_MS // 4)))
def test_stretches_are_disjoint_and_hold_every_moment(moments: list[int]) -> None:
    stretches = Intervals()
    for ms in moments:
        stretches.add(ms)
    found = list(stretches)
    ordered = sorted(moments)
    parted = sum(later - one > APART_MS for one, later in pairwise(ordered))
    assert len(found) == (parted + 1 if moments else 0)
    assert all(one[1] + APART_MS < other[0] for one, other in pairwise(found))
    assert all(any(first <= ms <= last for first, last in found) for ms in moments)


WORDS = st.sampled_from([
    b"<gpx>", b"<trkpt lat='1' lon='2'>", b"<time>2024-03-01T07:00:00Z</time>", b"</trkpt>",
    b"time,lat,lon\n", b"1709276400,1,2\n", b'"', b"\n", b"{", b'{"type":"FeatureCollection",',
    b'"features":[]}', b'{"transport":"tcp","encoding":"hex","chunks":["7878"]}\n', b"imei:",
    b"7878 1101\n", b"(", b")", b"#", b"*HQ,", b"\0", b"\xff", b"// ",
])  # fmt: skip


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "any"


@given(st.lists(WORDS | st.binary(max_size=30), max_size=20).map(b"".join))
def test_whatever_bytes_a_file_has_it_is_read_or_refused(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    for kind in (None, *KINDS):
        with suppress(RequestError), scratch.open("rb") as opened_file:
            source = opened(scratch, Written(kind=kind), lambda _: None, NOW)
            for item in source.read(opened_file):
                assert isinstance(item, Found) or item.reason
                assert item.line >= 0
