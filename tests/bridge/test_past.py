"""What the commands about the past print: tables, refusals, what a replay has found."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import cli, log
from bridge.cli import past
from bridge.replay import Driven, Outcome
from tests.bridge.past import fill

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Type]:
    """Type a command where a whole day lies in the data folder; clocks here are two hours ahead."""
    asyncio.run(fill(tmp_path / "data"))
    monkeypatch.setattr(log, "setup", lambda *_: None)  # that of the tests stays
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TK103B__STORAGE__PATH", str(tmp_path / "data"))
    with monkeypatch.context() as zone:
        zone.setitem(os.environ, "TZ", "Europe/Berlin")
        time.tzset()

        def command(*words: str) -> tuple[int, str, str]:
            code = cli.main(words)
            return code, *capsys.readouterr()

        yield command
    time.tzset()


DAY = ("--from", "2026-05-01", "--to", "2026-05-02")


def test_points_as_a_table(typed: Type) -> None:
    code, out, err = typed("history", "golf", *DAY)
    heading, first, *_, blank, summary = out.splitlines()
    assert (code, err, blank) == (0, "", "")
    assert heading.split() == ["TIME", "LATITUDE", "LONGITUDE", "KM/H", "VERDICT", "ALARM"]
    assert first.split() == ["2026-05-01", "10:00:00+02:00", "52.520000", "13.410000", "60", "ok"]
    assert out.count(" historical") == 9
    assert summary == (
        "My Golf, 2026-05-01 00:00:00+02:00 to 2026-05-02 00:00:00+02:00: "
        "38 points, 4 trips, 15.5 km, 3 stops."
    )
    _, everything, _ = typed("history", "golf", "--all", *DAY)
    assert len(everything.splitlines()) == len(out.splitlines()) + 3


def test_nothing_is_said_to_be_nothing(typed: Type) -> None:
    assert typed("history", "golf", "--from", "1h")[1].endswith(
        "0 points, 0 trips, 0.0 km, 0 stops.\n"
    )
    assert typed("trips", "golf", "--from", "1h")[1].endswith("0 trips, 0.0 km.\n")


def test_trips_as_a_table(typed: Type) -> None:
    code, out, _ = typed("trips", "golf", *DAY)
    assert code == 0
    first = out.splitlines()[1].split()
    assert first[4:7] == ["0:04:00", "3.5", "60"]
    assert first[-1] == "0:56:00"
    assert out.endswith("4 trips, 15.5 km.\n")
    told = json.loads(typed("trips", "golf", "--json", *DAY)[1])
    assert len(told["trips"]) == 4
    assert set(told) == {"trips", "stops"}


def test_an_export_is_for_its_owner_only(typed: Type, tmp_path: Path) -> None:
    target = tmp_path / "golf.csv"
    code, out, _ = typed("export", "golf", *DAY, "--format", "csv", "--output", str(target))
    assert (code, out[-5:]) == (0, " kB.\n")
    assert target.stat().st_mode & 0o077 == 0
    assert typed("export", "golf", *DAY, "--format", "csv")[1] == target.read_text()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("history", "gulf"), 1, "there is no vehicle 'gulf' in "),
        (("history", "gulf"), 1, "known are golf, van"),
        (("trips", "golf", "--from", "noon"), 1, "--from is no time: 'noon'; write today"),
        (("trips", "golf", "--from", "today", "--to", "yesterday"), 1, "from is after to"),
        (
            ("export", "golf", "--format", "gpx", "--output", "gone/golf.gpx"),
            4,
            "cannot write gone/golf.gpx: No such file",
        ),
        (("replay", "data", "--into", "data"), 4, "is not empty"),
        (("replay", "data", "--into", "new", "--publish"), 1, "belong together"),
        (("replay", "data", "--into", "new", "--base-topic", "x"), 1, "belong together"),
        (("replay", "data", "--into", "new", "--speed", "-1"), 1, "--speed must be"),
        (("replay", "data", "--into", "new", "--speed", "nan"), 1, "--speed must be"),
    ],
)
def test_what_cannot_be_is_said(
    typed: Type, words: tuple[str, ...], code: int, complaint: str
) -> None:
    typed_code, out, err = typed(*words)
    assert (typed_code, out) == (code, "")
    assert complaint in err


def test_no_data_folder_and_no_journal(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TK103B__STORAGE__PATH", "nowhere")
    assert "there is no data folder nowhere" in typed("history", "golf")[2]
    Path("nowhere").mkdir()
    assert "nothing has been kept there yet" in typed("history", "golf")[2]


def test_a_replay_says_what_it_found(typed: Type) -> None:
    assert typed("replay", "data", "--into", "new") == (0, "44 read: 42 reports, 2 acts.\n", "")
    found = Outcome(
        read=5,
        reports=1,
        unreadable=1,
        rejected=Counter({"truncated": 2}),
        verdicts=Counter({("jump", "ok"): 3}),
        decoded_anew=1,
        trips={"golf": (Driven(2, 4.5), Driven(1, 4.0))},
    )
    assert list(past._told(found)) == [
        "5 read: 1 report.",
        "1 row cannot be read.",
        "2 frames rejected: truncated.",
        "1 line decoded otherwise than in the capture.",
        "3 verdicts changed: jump -> ok.",
        "golf: 2 trips, 4.5 km then; 1 trip, 4.0 km now.",
    ]
