"""What `import` prints, returns and refuses."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import cli, log
from bridge.backup.archive import SPARE_BYTES
from bridge.cli import importing
from bridge.cli.folder import open_registry
from bridge.config import Config
from bridge.datafolder import lock_folder
from bridge.errors import StorageError
from bridge.registry import Registry
from tests.bridge.imported import drive, folder, last_seq, track, trips, written

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Type:
    """Type a command in a folder where `data` knows a vehicle, and a.csv is a drive of it."""
    folder(tmp_path / "data")
    written(tmp_path / "a.csv", drive())
    monkeypatch.setattr(log, "setup", lambda *_: None)  # that of the tests stays
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TK103B__STORAGE__PATH", "data")

    def command(*words: str) -> tuple[int, str, str]:
        code = cli.main(("import", *words))
        return code, *capsys.readouterr()

    return command


GOLF = ("--vehicle", "golf")


def test_what_came_of_it(typed: Type, tmp_path: Path) -> None:
    assert typed("a.csv", *GOLF) == (
        0,
        (
            "a.csv: 40 imported, 0 duplicates, 0 rejected.\n"
            "My Golf (golf): 1 trip at the time of these points, 3.9 km.\n"
            "The broker is told nothing of it.\n"
        ),
        "",
    )
    assert len(track(tmp_path / "data")) == 40
    assert typed("a.csv", *GOLF)[:2] == (
        0,
        (
            "a.csv: 0 imported, 40 duplicates, 0 rejected.\n"
            "My Golf (golf): 1 trip at the time of these points, 3.9 km.\n"
        ),
    )


def test_a_rejected_line_is_code_1_and_told(typed: Type, tmp_path: Path) -> None:
    written(tmp_path / "b.csv", [*drive(points=3), *["x,y,z,"] * 30])
    code, out, err = typed("b.csv", *GOLF)
    assert code == 1
    assert "b.csv: 3 imported, 0 duplicates, 30 rejected." in out
    assert "Rejected lines with their reasons: b.csv.rejected" in out
    assert err.splitlines()[0] == "b.csv:5: no time: 'x'"
    assert len(err.splitlines()) == 21
    assert (tmp_path / "b.csv.rejected").read_text().count("x,y,z,") == 30


def test_a_dry_run_says_the_same_and_changes_nothing(typed: Type, tmp_path: Path) -> None:
    written(tmp_path / "b.csv", ["x,y,z,"])
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with lock_folder(tmp_path / "data"):  # a bridge runs
        code, out, _ = typed("a.csv", "b.csv", *GOLF, "--dry-run")
    assert code == 1
    assert "a.csv: 40 imported" in out
    assert "1 trip at the time of these points, 3.9 km" in out
    assert out.endswith("That was a dry run: nothing is changed.\n")
    assert {path.name for path in tmp_path.rglob("*")} == {*before, "lock"}
    typed("a.csv", *GOLF)
    assert typed("a.csv", *GOLF, "--dry-run")[1].startswith("a.csv: 0 imported, 40 duplicates")
    assert last_seq(tmp_path / "data") == 41


def test_while_a_bridge_runs_it_says_what_to_do(typed: Type, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "data"):
        code, out, err = typed("a.csv", *GOLF)
    assert (code, out) == (4, "")
    first, second, third = err.splitlines()
    assert "the data folder data is in use by process" in first
    assert second.startswith("Stop the bridge, import, and start it again")
    assert "--dry-run" in third


def test_columns_and_time_zone_as_they_are_typed(typed: Type, tmp_path: Path) -> None:
    rows = [f"{line.partition('+')[0]},{line.partition(',')[2]}" for line in drive()]
    written(tmp_path / "b.csv", rows, heading="Wann,Nord,Ost,v")
    how = ("--map", "time=Wann,latitude=Nord", "--map", "longitude=Ost,speed_kmh=v")
    code, _, err = typed("b.csv", *GOLF, *how)
    assert code == 1
    assert "b.csv: line 2: time without a time zone" in err
    assert typed("b.csv", *GOLF, *how, "--timezone", "UTC")[0] == 0
    assert typed("a.csv", *GOLF)[1].startswith("a.csv: 0 imported, 40 duplicates")
    assert "--map: 'time' is not FIELD=COLUMN" in typed("b.csv", *GOLF, "--map", "time")[2]
    assert "--timezone: 'Mars' is none" in typed("b.csv", *GOLF, "--timezone", "Mars")[2]


def test_more_than_is_kept_is_said(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TK103B__HISTORY__MB", "1")
    lines = [line for day in range(20) for line in drive(points=500, north=0.1 * day)]
    _, out, _ = typed(str(written(tmp_path / "b.csv", lines)), *GOLF)
    assert "of history, and history.mb is 1: the bridge lets the oldest rows go" in out
    assert trips(tmp_path / "data")


def test_a_bar_on_a_terminal_and_nothing_elsewhere(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.importing.whole.BATCH", 10)
    monkeypatch.setattr(importing, "TELL_EVERY_S", 0.0)
    assert typed("a.csv", *GOLF, "--dry-run")[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, _, err = typed("a.csv", *GOLF)
    assert "a.csv  [####################] 100%  40 points" in err
    assert "My Golf: counting trips  [....................]   0%" in err
    assert err.endswith("\r\x1b[K")
    assert track(tmp_path / "data")


def test_a_dry_run_leaves_a_running_bridge_its_room(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("a.csv", *GOLF)
    journal_bytes = (tmp_path / "data" / "journal.db").stat().st_size
    before = sorted(path.name for path in tmp_path.rglob("*"))
    usage = shutil.disk_usage(tmp_path)
    few = usage._replace(free=journal_bytes + SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: few)
    code, out, err = typed("a.csv", *GOLF, "--dry-run")
    assert (code, out) == (4, "")
    assert "a dry run may need 32 MB for a while, and 32 MB are free on the disk of data" in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    enough = usage._replace(free=few.free + 10 * (tmp_path / "a.csv").stat().st_size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: enough)
    assert typed("a.csv", *GOLF, "--dry-run")[0] == 0


@pytest.mark.parametrize("dry", [True, False])
def test_what_a_killed_dry_run_left_goes_with_the_next(
    typed: Type, tmp_path: Path, *, dry: bool
) -> None:
    left, under_way = (tmp_path / "data" / f".dry-run-{name}" for name in ("left", "under-way"))
    left.mkdir()
    (left / "journal.db").write_bytes(b"much")
    (left / "lock").write_bytes(b"4242\n")
    with lock_folder(under_way):  # by who is alive
        assert typed("a.csv", *GOLF, *(["--dry-run"] if dry else []))[0] == 0
        assert not left.exists()
        assert under_way.exists()
    assert [path.name for path in (tmp_path / "data").glob(".dry-run-*")] == [under_way.name]


def test_a_dry_run_holds_its_copy(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = list[Path]()

    def look(at: Path, settings: Config) -> Registry:
        with pytest.raises(StorageError, match="is in use"):
            lock_folder(at)
        copies.append(at)
        return open_registry(at, settings)

    monkeypatch.setattr(importing, "open_registry", look)
    assert typed("a.csv", *GOLF, "--dry-run")[0] == 0
    assert [path.parent for path in copies] == [Path("data")]
    assert not copies[0].exists()
    assert not list((tmp_path / "data").glob(".dry-run-*"))
