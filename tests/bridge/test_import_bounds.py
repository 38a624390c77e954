"""Files that would take more than they give: nothing is lost unsaid, overwritten, or held whole."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.importing import Bad, Watcher, geojson, gpx
from bridge.importing.items import BrokenOffError, Found
from bridge.importing.table import Table, dialect, layout
from bridge.importing.values import Times
from tests.bridge.imported import HEADING, Heard, bring, drive, folder, track, written


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data")


# --- quotes ---------------------------------------------------------------------------------------

NOTED = f"{HEADING},note"


def noted(notes: dict[int, str]) -> list[str]:
    """A drive of 40 points with some notes, as they stand in the file."""
    return [f"{line},{notes.get(number, 'x')}" for number, line in enumerate(drive())]


@pytest.mark.parametrize(
    "notes",
    [
        {5: '"x'},
        {5: '"x', 20: '"x'},
        {5: '"x', 20: 'x"'},  # together they look like one quoted field
        {5: '"', 6: '"x",', 20: '"a ""b"" c"', 39: '"'},
    ],
)
def test_a_stray_quote_takes_no_line_with_it(
    tmp_path: Path, data: Path, notes: dict[int, str]
) -> None:
    (told,) = bring(data, written(tmp_path / "a.csv", noted(notes), NOTED)).files
    assert (told.imported, told.rejected) == (40, 0)


def test_a_line_whose_quote_hides_its_place_is_rejected_alone(tmp_path: Path, data: Path) -> None:
    lines = [*drive(points=3), '2024-03-01T08:00:00Z,"52.5,13.4,30', "?,?", *drive()[3:]]
    heard = Heard()
    (told,) = bring(data, written(tmp_path / "a.csv", lines), watcher=heard).files
    assert (told.imported, told.rejected) == (40, 2)
    assert [bad.line for bad in heard.bad] == [5, 6]
    assert heard.bad[0].text == lines[3].encode() + b"\n"


def test_what_follows_a_quote_that_never_ends_is_told(tmp_path: Path, data: Path) -> None:
    lines = [*noted({39: '"and'}), "so on", "and on"]
    heard = Heard()
    (told,) = bring(data, written(tmp_path / "a.csv", lines, NOTED), watcher=heard).files
    assert (told.imported, told.rejected) == (40, 2)
    assert [bad.text for bad in heard.bad] == [b"so on\n", b"and on\n"]


def test_a_note_may_go_on_over_lines(tmp_path: Path, data: Path) -> None:
    lines = noted({5: '"home,\nby the ""old"" road\nand tired"', 39: '"\n"'})
    (told,) = bring(data, written(tmp_path / "a.csv", lines, NOTED)).files
    assert (told.imported, told.rejected) == (40, 0)
    lines = noted({5: '"a\nb"'})
    lines[5] = lines[5].replace("13.40000", "13.4O")
    heard = Heard()
    bring(data, written(tmp_path / "b.csv", lines, NOTED), watcher=heard)
    assert [(bad.line, bad.text) for bad in heard.bad] == [(7, lines[5].encode() + b"\n")]


rows = st.lists(
    st.lists(st.sampled_from(["1709276400,1,2", ",", '"', '""', "x", '",', ',"', "\r"]), min_size=1)
    .map("".join)
    .filter(lambda line: not line.isspace()),
    max_size=15,
)


def saying(text: bytes) -> list[bytes]:
    """The lines that are more than empty columns."""
    return [line for line in text.split(b"\n") if line.strip(b',"\r')]


@given(rows)
def test_every_line_comes_out_once_and_no_point_is_lost(lines: Sequence[str]) -> None:
    heading = b"time,lat,lon,note\n"
    body = "".join(f"{line}\n" for line in lines).encode()
    table = Table(dialect(heading), layout(["time", "lat", "lon", "note"], {}), Times())
    items = list(table.read(io.BytesIO(heading + body)))
    assert saying(b"".join(item.text for item in items)) == saying(body)
    points = sum(not isinstance(item, Bad) for item in items)
    assert points >= sum(line in ("1709276400,1,2", "1709276400,1,2,x") for line in lines)


def test_empty_rows_of_a_spreadsheet_are_no_lines(tmp_path: Path, data: Path) -> None:
    lines = [f"{line};;".replace(",", ";") for line in drive(points=3)] + [";;;;;", '"";"";"";;;']
    heading = f"{HEADING},,".replace(",", ";")
    (told,) = bring(data, written(tmp_path / "a.csv", lines, heading)).files
    assert (told.imported, told.rejected) == (3, 0)


# --- what has yet to be read ----------------------------------------------------------------------


def test_what_is_yet_to_be_read_is_not_overwritten(tmp_path: Path, data: Path) -> None:
    source = written(tmp_path / "a.csv", [*drive(), "x,y,z,"])
    mended = written(tmp_path / "a.csv.rejected", drive(points=5))
    other = written(tmp_path / "b.csv", drive(points=7))
    before = {path: path.read_bytes() for path in (source, mended, other)}
    (tmp_path / "there").mkdir()
    hard, soft = tmp_path / "hard.csv", tmp_path / "soft.csv"
    os.link(other, hard)
    soft.symlink_to(other)
    with pytest.raises(RequestError, match=r"a\.csv\.rejected.* is to be imported itself"):
        bring(data, source, mended)
    for aside in (tmp_path / "there" / ".." / "b.csv", hard, soft):
        with pytest.raises(RequestError, match=r"--rejected: .*\.csv is to be imported itself"):
            bring(data, source, other, rejected=aside)
    assert {path: path.read_bytes() for path in before} == before
    assert not (data / "journal.db").exists()
    bring(data, source, other, rejected=tmp_path / "aside")
    assert (tmp_path / "aside").read_text().splitlines()[2:] == ["x,y,z,"]


# --- memory ---------------------------------------------------------------------------------------


def read_until_refused(content: bytes) -> tuple[str, int]:
    """Read a GPX file; return why it was not read to its end, and how far it was."""
    file = io.BytesIO(content)
    with pytest.raises(BrokenOffError) as refused:
        for _ in gpx.read(file):
            pass
    return str(refused.value), file.tell()


@pytest.mark.parametrize(
    ("begin", "more", "complaint"),
    [
        (b"<gpx>", b"<a>", "1: elements within elements, more than 64 deep"),
        (b'<gpx><trkpt lat="', b"1", "1: a tag or comment of more than 262144 bytes"),
        (b"<gpx><trkpt ", b"a", "1: a tag or comment of more than 262144 bytes"),
        (b"<gpx>\n<!--", b"- ", "2: a tag or comment of more than 262144 bytes"),
    ],
)
def test_xml_that_never_ends_is_not_held(begin: bytes, more: bytes, complaint: str) -> None:
    reason, at = read_until_refused(begin + more * 3_000_000)
    assert reason.startswith(complaint)
    assert at <= 6 * gpx.CHUNK


@pytest.mark.parametrize("mark", ["<a{}/>", "<a a{}='1'/>"])
def test_names_without_end_are_not_remembered(mark: str) -> None:
    content = "<gpx>" + "".join(mark.format(number) for number in range(100_000))
    reason, at = read_until_refused(content.encode())
    assert reason == "1: more than 10000 names of elements and attributes"
    assert at <= 6 * gpx.CHUNK


def test_long_words_of_a_point_are_not_kept() -> None:
    long = "0" * 100_000
    point = f'<trkpt lat="{long}52.5" lon="13.4" x="{long}"><time>{long}</time></trkpt>'
    (item,) = gpx.read(io.BytesIO(f"<gpx>{point}</gpx>".encode()))
    assert isinstance(item, Bad)
    assert item.reason == "longer than 1000 letters: lat, time"
    assert len(item.text) < 5000


def test_what_stood_before_nested_elements_is_given() -> None:
    point = '<trkpt lat="52.5" lon="13.4"><time>2024-03-01T07:00:00Z</time></trkpt>'
    reading = gpx.read(io.BytesIO(f"<gpx>{point}{'<a>' * 100}".encode()))
    assert isinstance(next(reading), Found)
    with pytest.raises(BrokenOffError, match="more than 64 deep"):
        next(reading)


def test_comments_and_spaces_between_points_are_no_matter() -> None:
    point = b'<trkpt lat="52.5" lon="13.4"><time>2024-03-01T07:00:00Z</time></trkpt>'
    for between in (b"<!-- here -->" * 50_000, b" " * 600_000, b"<?a b?>" * 100_000):
        content = b"<?xml version='1.0'?>" + between + b"<gpx>" + between + point + b"</gpx>"
        assert len(list(gpx.read(io.BytesIO(content + between)))) == 1


def test_geojson_is_bounded_by_what_it_becomes() -> None:
    lists = b"[]," * (geojson.MOST_BYTES // 3)
    content = b'{"features":[{"geometry":{"type":"LineString","coordinates":[' + lists + b"[]]}}]}"
    with pytest.raises(BrokenOffError, match="GeoJSON of more than 8 MB: export it in pieces"):
        list(geojson.read(io.BytesIO(content)))


class Counting(Watcher):
    """Counts how often something was written."""

    def __init__(self) -> None:
        self.times = 0

    def reading(self, path: Path, done_bytes: int, size: int, points: int) -> None:
        del path, done_bytes, size, points
        self.times += 1


def test_long_lines_are_not_gathered(tmp_path: Path, data: Path) -> None:
    lines = noted(dict.fromkeys(range(40), "x" * 60_000))
    counting = Counting()
    assert bring(data, written(tmp_path / "a.csv", lines, NOTED), watcher=counting).complete
    assert counting.times >= 2  # in 2.4 MB
    assert len(track(data)) == 40
