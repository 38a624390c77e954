"""Whatever ails is said in words with what to do about it, and never in a traceback."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import doctor
from bridge.datafolder import lock_folder
from bridge.doctor import clock
from bridge.doctor.finding import Finding, Result, bad, told
from bridge.doctor.patient import Patient, meet, running
from bridge.journal import Entry, Journal
from bridge.options import Secret
from tests.bridge.patient import GOLF, NOW, VAN, new_bridge, used_bridge


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return new_bridge(tmp_path)


@pytest.fixture
def used(tmp_path: Path) -> Patient:
    return used_bridge(tmp_path)


# --- the bridge -----------------------------------------------------------------------------------


async def test_whether_one_runs_is_known_by_its_lock(used):
    assert running(await meet(used.settings)).state == "warn"
    with lock_folder(used.folder):
        found = await meet(used.settings)
    assert (found.runs, found.process) == (True, os.getpid())
    state, words, _ = running(found)
    assert state == "bad"
    assert words.startswith("runs, but does not answer over MQTT: ")


@pytest.mark.parametrize(
    ("health", "state", "words"),
    [
        ({"uptime_s": 90_000, "vehicles_connected": 1}, "ok",
         "runs and answers, 1 vehicle connected, up for 1 day, 1:00:00"),
        ({"vehicles_connected": 2, "lost": 3}, "warn", "3 reports were lost"),
        ({"unpublished": 3}, "warn", "3 messages were refused by the broker"),
        ({"journal_fault": "disk full"}, "bad", "cannot be written: disk full"),
    ],
)  # fmt: skip
def test_what_a_bridge_says_of_itself(used, health, state, words):
    found = running(replace(used, runs=True, health=health))
    assert found.state == state
    assert words in found.words


# --- the clock ------------------------------------------------------------------------------------


def test_a_clock_before_what_has_happened(used):
    assert clock.time_of_day(used).state == "ok"
    journal = Journal.open(used.folder)
    journal.append(Entry("golf", NOW + timedelta(days=3), b"row"), (), lambda _: None)
    journal.close()
    state, words, _ = clock.time_of_day(used)
    assert state == "bad"
    assert "the newest report in the journal is of " in words


def test_a_clock_before_a_file(used):
    later = (NOW + timedelta(days=3)).timestamp()
    os.utime(used.folder / "registry.json", (later, later))
    assert "the file registry.json is of " in clock.time_of_day(used).words


@pytest.mark.parametrize(
    ("marked", "kernel", "state", "words"),
    [
        (True, 5, "ok", "systemd-timesyncd"),
        (False, 0, "ok", "a time service, says the kernel"),
        (False, 5, "warn", "nothing, says the kernel"),
        (False, None, "ok", "not known"),
    ],
)
def test_who_keeps_the_clock_right(marked, kernel, state, words, *, patient, monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "_MARK", tmp_path if marked else tmp_path / "nothing")
    monkeypatch.setattr(clock, "_kernel_state", lambda: kernel)
    found = clock.synchronised(patient)
    assert found.state == state
    assert found.words.startswith(words)


def test_the_kernel_is_asked_and_nothing_is_set():
    assert clock._kernel_state() in (None, *range(6))


# --- all of it ------------------------------------------------------------------------------------


async def test_an_examination_that_fails_is_a_finding(patient):
    def faint(_: Patient) -> Result:
        raise KeyError("what")

    async def hang_up(_: Patient) -> Result:
        raise ConnectionResetError(104, "Connection reset by peer")

    found = await doctor._all((("one", faint), ("two", hang_up)), patient)
    assert [(finding.check, finding.state) for finding in found] == [("one", "bad"), ("two", "bad")]
    assert found[0].words == "could not be examined: KeyError: 'what'"
    assert "Connection reset by peer" in found[1].words


async def test_no_finding_tells_a_secret_or_an_id(used, monkeypatch):
    mqtt = replace(used.settings.mqtt, username="me", password=Secret("swordfish"))
    told_all = bad("swordfish +491700000000", "swordfish")
    monkeypatch.setattr(doctor, "PLACES", (*doctor.PLACES, ("leak", lambda _: told_all)))
    found = await doctor.examine(replace(used.settings, mqtt=mqtt))
    assert found[-2] == Finding("leak", "bad", "*** ***", "***")
    assert found[-1].check == "broker"
    assert found[-1].state == "bad"
    assert found[-1].words.endswith(f"127.0.0.1:{mqtt.port}: Connection refused")
    text = str(found)
    assert "swordfish" not in text
    assert GOLF not in text
    assert VAN not in text


def test_findings_are_told_as_a_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    findings = [
        Finding("disk", "ok", "900 MB free", ""),
        Finding(
            "own addresses", "bad", "none of them is of any use to anybody out there", "buy one"
        ),
    ]
    assert list(told(findings)) == [
        "disk           ok    900 MB free",
        "own addresses  bad   none of them is of any use to anybody",
        "                     out there",
        "                     -> buy one",
    ]
    assert next(told(findings, ansi=True)) == ("disk           \x1b[32mok    \x1b[0m900 MB free")
    assert findings[0].described == {"check": "disk", "state": "ok", "meaning": "900 MB free"}
