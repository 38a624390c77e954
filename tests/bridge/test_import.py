"""Imported points in a real journal: each once, as old news, with trips, whatever happens."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import export, history, replay
from bridge.assess import Verdict
from bridge.config import Config
from bridge.errors import RequestError, StorageError
from bridge.importing import Watcher
from bridge.journal import Journal
from bridge.model import Status
from bridge.sinks.mqtt import SINK
from tests.bridge import past
from tests.bridge.imported import (
    BEGIN,
    EVER,
    NOW,
    bring,
    drive,
    folder,
    last_seq,
    state,
    track,
    trips,
    written,
)
from tests.bridge.sayings import HERE, fix, report

ROOT = Path(__file__).parents[2]


# --- what becomes of it ---------------------------------------------------------------------------


def test_points_become_history_and_trips(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    lines = [*drive(), *drive(BEGIN + timedelta(hours=5), north=0.04)]
    outcome = bring(data, written(tmp_path / "a.csv", lines))
    (file,) = outcome.files
    assert (file.imported, file.duplicates, file.rejected) == (80, 0, 0)
    assert outcome.complete
    points = track(data)
    assert [point[0] for point in points] == [
        datetime.fromisoformat(line.split(",")[0]) for line in lines
    ]
    assert {point[4] for point in points} == {Verdict.HISTORICAL}
    first, second = trips(data)  # more than two years old: no bridge counts such late points
    assert first.started_at == BEGIN
    assert first.distance_m == pytest.approx(35 * 111.2, rel=0.01)
    assert second.started_at == BEGIN + timedelta(hours=5)
    assert second.by == "motion"
    (golf,) = outcome.vehicles
    assert golf.driven is not None
    assert golf.driven.trips == 2
    assert golf.driven.metres == pytest.approx(first.distance_m + second.distance_m)


def test_the_order_of_lines_and_files_does_not_matter(tmp_path: Path) -> None:
    lines = [line for day in range(4) for line in drive(BEGIN + timedelta(days=day))]
    one = folder(tmp_path / "one")
    bring(one, written(tmp_path / "all.csv", lines))
    random.Random(3).shuffle(lines)  # noqa: S311 - any order will do
    other = folder(tmp_path / "other")
    bring(other, written(tmp_path / "a.csv", lines[:50]), written(tmp_path / "b.csv", lines[40:]))
    assert track(other) == track(one)
    assert trips(other) == trips(one)
    assert len(trips(one)) == 4


lines_of = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda step: BEGIN + timedelta(minutes=step * 7)),
        st.sampled_from([52.5, 52.50001, 52.51, 52.53, 0.0]),
        st.sampled_from([0, 5, 60, 999]),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(lines_of, lines_of)
def test_twice_is_once(
    before: list[tuple[datetime, float, int]], new: list[tuple[datetime, float, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = folder(Path(name) / "data")
        for number, points in enumerate((before, new)):
            lines = [f"{at.isoformat()},{latitude},13.4,{kmh}" for at, latitude, kmh in points]
            file = written(Path(name) / f"{number}.csv", lines)
            bring(data, file)
        once = (track(data), trips(data), last_seq(data), state(data))
        outcome = bring(data, file)
        assert outcome.files[0].imported == 0
        assert outcome.files[0].duplicates == len(new)
        assert (track(data), trips(data), last_seq(data), state(data)) == once


def test_what_the_bridge_heard_itself_is_not_imported_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    before = (track(data), trips(data), last_seq(data))
    file = tmp_path / "golf.csv"
    file.write_text("".join(exported(data, "csv")))
    (told,) = bring(data, file).files
    assert told.imported == 0
    assert told.duplicates == 38
    assert (track(data), trips(data), last_seq(data)) == before


def exported(data: Path, name: str) -> list[str]:
    with history.opened(data) as journal:
        points = list(history.every_point(journal, "golf", EVER))
        driven = history.every_trip(journal, "golf", EVER).trips
    return list(export.FORMATS[name](export.Track("My Golf", points, driven)))


@pytest.mark.parametrize("name", ["csv", "gpx", "geojson"])
def test_an_export_comes_back_as_the_same_track(tmp_path: Path, name: str) -> None:
    original = tmp_path / "data"
    asyncio.run(past.fill(original))
    file = tmp_path / f"golf.{name}"
    file.write_text("".join(exported(original, name)))
    data = folder(tmp_path / "new")
    assert bring(data, file).complete
    believed = [point[:3] for point in track(original, everything=False)]
    if name != "csv":  # these have no point that stood outside of trips
        believed = [
            point
            for point in believed
            if any(trip.started_at <= point[0] <= trip.ended_at for trip in trips(original))
        ]
    assert [point[:3] for point in track(data)] == believed
    # Files do not tell of the ignition, nor GPX of the speed: by motion, a point later.
    then, now = trips(original), trips(data)
    for before, after in zip(then, now, strict=True):
        assert timedelta(0) <= after.started_at - before.started_at <= timedelta(seconds=30)
        # And they may begin and end where the car was when it was heard of last before.
        assert after.distance_m == pytest.approx(before.distance_m, abs=1.01 * past.STEP_M)


# --- old news -------------------------------------------------------------------------------------


def test_nothing_live_is_moved_and_nothing_rings(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    before = state(data)
    lines = drive(NOW - timedelta(minutes=6), north=3.0)  # younger than what counts as live
    sos = (
        f"imei:{past.GOLF},help me,2611221155,,F,115500.000,A,5530.0000,N,01324.0000,E,50.00,83.95;"
    )
    frames = tmp_path / "card.txt"
    frames.write_text(sos + "\n")
    bring(data, written(tmp_path / "a.csv", lines), frames)
    assert track(data)[-1][0] > NOW - timedelta(minutes=6)
    after = state(data)
    history_of_it = {"reported", "last_report", "clocks", "trip", "journey", "counted_seq"}
    for name in set(before.__struct_fields__) - history_of_it:
        assert getattr(after, name) == getattr(before, name), name
    alarms = [point for point in track(data) if point[5] == "sos"]
    assert len(alarms) == 2  # it is in the history
    with history.opened(data) as journal:
        rang = [one.rang for one in history.every_point(journal, "golf", EVER)]
    assert sum(map(bool, rang)) == 1  # and has not rung


def test_the_state_is_what_the_journal_adds_up_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    bring(data, written(tmp_path / "a.csv", drive()))
    kept = state(data)
    with sqlite3.connect(data / "journal.db") as connection:
        connection.execute("DELETE FROM vehicle_state")
    connection.close()
    assert state(data) == kept


def test_a_replay_comes_to_the_same(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    bring(data, written(tmp_path / "a.csv", [*drive(), *drive(NOW - timedelta(days=3))]))
    outcome = asyncio.run(replay.replay(data, tmp_path / "again", Config()))
    assert not outcome.verdicts
    assert not outcome.trips
    assert track(tmp_path / "again") == track(data)


def test_a_gap_that_is_filled_joins_trips_and_metres(tmp_path: Path) -> None:
    """What was driven between two trips of the bridge, on the card of the tracker."""
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    before, known = state(data), trips(data)
    filled = [
        f"{past.at(65 + step / 2).isoformat()},"
        f"{past.place(15 * past.STEP_M + step * 400)['latitude']},13.42,50"
        for step in range(12)
    ]
    bring(data, written(tmp_path / "gap.csv", filled), now=past.EVENING)
    assert len(track(data)) == 41 + 12
    assert state(data).journey.odometer_m > before.journey.odometer_m + 1000
    assert trips(data) != known
    assert trips(data)[0] == known[0]


def test_what_was_driven_before_the_bridge_knew_it_adds_no_metres(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    before, known = state(data), trips(data)
    lines = drive(past.MORNING - timedelta(days=2))
    bring(data, written(tmp_path / "a.csv", lines), now=past.EVENING)
    assert state(data).journey.odometer_m == before.journey.odometer_m
    assert len(trips(data)) == len(known) + 1
    assert state(data).uncounted is None  # no bridge counts them once more


def test_points_without_ignition_give_trips_where_the_tracker_tells_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    assert state(data).journey.keyed
    bring(data, written(tmp_path / "a.csv", drive()))
    assert trips(data)[0].by == "motion"
    assert state(data).journey.keyed


# --- the broker -----------------------------------------------------------------------------------


def cursor(data: Path) -> int:
    with history.opened(data) as journal:
        return journal.cursor(SINK)


def told_up_to(data: Path, seq: int) -> None:
    journal = Journal.open(data)
    journal.save_cursor(SINK, seq)
    journal.close()


def test_the_broker_is_told_nothing_unless_asked(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    bring(data, written(tmp_path / "a.csv", drive()))
    assert cursor(data) == last_seq(data) == 41
    bring(data, written(tmp_path / "b.csv", drive(BEGIN + timedelta(days=1))), publish=True)
    assert (cursor(data), last_seq(data)) == (41, 82)


def test_while_something_is_to_be_told_it_asks(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(past.fill(data))
    told_up_to(data, last_seq(data) - 3)
    file = written(tmp_path / "a.csv", drive())
    with pytest.raises(RequestError, match="not all of the journal is told to mqtt yet"):
        bring(data, file)
    assert bring(data, file, publish=True).complete
    assert cursor(data) == last_seq(data) - 41 - 3


# --- broken off -----------------------------------------------------------------------------------


class Impatient(Watcher):
    """Is gone after some batches."""

    def __init__(self, batches: int) -> None:
        self._left = batches

    def reading(self, path: Path, done_bytes: int, size: int, points: int) -> None:
        del path, done_bytes, size, points
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("bridge_ran", [False, True])
def test_after_a_crash_the_rest_comes_with_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, bridge_ran: bool
) -> None:
    monkeypatch.setattr("bridge.importing.whole.BATCH", 25)
    begins = [BEGIN, BEGIN + timedelta(days=1), NOW - timedelta(days=2), NOW - timedelta(days=1)]
    lines = [line for begin in begins for line in drive(begin)]
    file = written(tmp_path / "a.csv", lines)
    whole = folder(tmp_path / "whole")
    bring(whole, file)
    data = folder(tmp_path / "data")
    with pytest.raises(KeyboardInterrupt):
        bring(data, file, watcher=Impatient(5))
    assert len(track(data)) == 125
    assert trips(data) == []
    if bridge_ran:
        asyncio.run(_counted(data))
        assert len(trips(data)) == 2  # those of the last 60 days
        told_up_to(data, last_seq(data))
    bring(data, file)
    assert track(data) == track(whole)
    assert trips(data) == trips(whole)
    assert len(trips(data)) == 4
    after = last_seq(data)
    bring(data, file)
    assert last_seq(data) == after


async def _counted(data: Path) -> None:
    async with past.diary(data) as book:
        book.now = NOW
        await book.count_late_points()


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_it_leaves_a_journal_that_is_whole(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    lines = [line for day in range(200) for line in drive(BEGIN + timedelta(days=day), 150)]
    file = written(tmp_path / "a.csv", lines)
    command = [sys.executable, "-m", "bridge", "import", str(file), "--vehicle", "golf"]
    environ = {**os.environ, "TK103B__STORAGE__PATH": str(data), "PYTHONPATH": str(ROOT)}

    def rows() -> int:
        if not (data / "journal.db").exists():
            return 0
        try:
            with history.opened(data) as journal:
                return journal.counts("golf").rows
        except (StorageError, sqlite3.Error):  # it is being made
            return 0

    with subprocess.Popen(command, env=environ, cwd=tmp_path) as process:
        _wait(lambda: rows() > 0, process)
        process.send_signal(signal.SIGKILL)
    left = rows()
    assert left > 0
    assert left % 2000 == 0
    with sqlite3.connect(data / "journal.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    done = subprocess.run(command, env=environ, cwd=tmp_path, check=True, capture_output=True)
    assert f"{30_000 - left:,} imported, {left:,} duplicates".encode() in done.stdout
    assert len(trips(data)) == 200


# --- once -----------------------------------------------------------------------------------------


def test_late_frames_of_a_tracker_and_its_file_are_one(tmp_path: Path) -> None:
    """A report that came over the air stands in the tracker's own log, too."""
    data = tmp_path / "data"
    moment = past.at(0)

    async def heard() -> None:
        async with past.diary(data) as book:
            place = fix(moment, **HERE, speed_kmh=31.21 * 1.852)
            await book.say(report(moment, fix=place, status=Status(ignition=True)))

    asyncio.run(heard())
    frames = tmp_path / "card.txt"
    frames.write_text(
        f"imei:{past.GOLF},tracker,2605010800,,F,080000.000,A,5231.2000,N,01324.6000,E,31.21,,;\n"
        f"imei:{past.GOLF},tracker,2605010801,,F,080100.000,A,5231.3000,N,01324.6000,E,31.21,,;\n"
    )
    (told,) = bring(data, frames, vehicle="").files
    assert (told.imported, told.duplicates, told.rejected) == (1, 1, 0)
