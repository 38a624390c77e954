"""The doctor at the data folder: nothing there is changed, whatever ails."""

from __future__ import annotations

import errno
import os
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.doctor import clock, storage
from bridge.doctor.finding import ok
from bridge.doctor.patient import Patient
from bridge.journal import Entry, Journal
from tests.bridge.patient import NOW, new_bridge, used_bridge


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return new_bridge(tmp_path)


@pytest.fixture
def used(tmp_path: Path) -> Patient:
    return used_bridge(tmp_path)


def test_a_bridge_that_has_never_run_is_well(patient):
    for examine in (storage.folder, storage.registry, storage.journal, storage.waiting):
        state, words, _ = examine(patient)
        assert state == "ok"
        assert "none" in words
    assert storage.disk(patient).state in ("ok", "warn")
    assert not patient.folder.exists()


def test_one_that_has_is_told_of(used):
    assert storage.folder(used) == ok(f"{used.folder}: can be written, closed to others")
    assert storage.registry(used) == ok("2 vehicles; its predecessor is kept")
    state, words, _ = storage.journal(used)
    assert state == "ok"
    assert words.startswith("10 rows, 0.1 MB, schema ")
    assert words.endswith(f", since {NOW - timedelta(hours=1):%Y-%m-%d}, whole")
    state, words, _ = storage.waiting(used)
    assert state == "ok"
    assert words.startswith("mqtt: 3, the oldest since ")


def test_a_folder_that_others_may_look_into(used):
    used.folder.chmod(0o755)
    state, words, advice = storage.folder(used)
    assert state == "warn"
    assert "others on this machine may look" in words
    assert advice == f"chmod 700 {used.folder}"


def test_a_folder_that_is_none(patient):
    patient.folder.write_text("")
    assert storage.folder(patient).state == "bad"


def test_a_folder_that_cannot_be_written(used, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", refuse)
    state, words, advice = storage.folder(used)
    assert state == "bad"
    assert "Read-only file system. No report can be kept" in words
    assert "mount it writable" in advice


def disk(**fields: int) -> SimpleNamespace:
    """What the system says of a disk with 100 GB free."""
    usual = {"f_bavail": 25_000_000, "f_frsize": 4096, "f_files": 0, "f_favail": 0, "f_flag": 0}
    return SimpleNamespace(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "kind", "state", "words"),
    [
        ({}, "ext4", "ok", "97656 MB free, ext4"),
        ({}, "", "ok", "97656 MB free"),
        ({}, "tmpfs", "warn", "in memory: all is gone when this machine restarts"),
        ({}, "overlay", "warn", "inside of a container"),
        ({}, "nfs4", "warn", "over the network"),
        ({"f_bavail": 50_000}, "ext4", "warn", "195 MB free, ext4: not much"),
        ({"f_bavail": 5_000}, "ext4", "bad", "19 MB free, ext4: too little"),
        ({"f_files": 9999, "f_favail": 12}, "ext4", "bad", "only 12 more files fit"),
        ({"f_flag": os.ST_RDONLY}, "ext4", "bad", "mounted read-only"),
    ],
)
def test_a_disk(fields, kind, state, words, *, used, monkeypatch):
    monkeypatch.setattr(storage.os, "statvfs", lambda _: disk(**fields))
    monkeypatch.setattr(storage, "_file_system", lambda _: kind)
    found = storage.disk(used)
    assert found.state == state
    assert words in found.words


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "23 22 0:31 / /srv/my\\040cars rw - nfs4 nas:/cars rw\n"
        "24 22 0:32 / /srv/my\\040cars rw - tmpfs tmpfs rw\n"
        "25 22 0:33 / /srv/my rw - btrfs /dev/sdb rw\n"
    )
    monkeypatch.setattr(storage, "_MOUNTS", mounts)
    for path, kind in (
        ("/srv/my cars/data", "tmpfs"),
        ("/srv/my/data", "btrfs"),
        ("/srv/myself", "ext4"),
    ):
        assert storage._file_system(Path(path)) == kind
    mounts.unlink()
    assert storage._file_system(Path("/")) == ""


@pytest.mark.parametrize(
    ("content", "older", "state", "words"),
    [
        ("{", True, "warn", "is damaged; its predecessor is good"),
        (None, True, "warn", "is missing; its predecessor is good"),
        ("{", False, "bad", "is damaged, and its predecessor is of no use"),
        (None, False, "bad", "is missing: the bridge would start as a new one"),
        (
            '{"schema": 9, "instance": "a", "namespace": "b"}', True, "bad",
            "written by a newer version of this program (schema 9, this one knows 1)",
        ),
    ],
)  # fmt: skip
def test_a_registry_that_ails(used, content, older, state, words):
    path = used.folder / "registry.json"
    path.unlink()
    if content:
        path.write_text(content)
    if not older:
        (used.folder / "registry.json.1").unlink()
    before = sorted(one.name for one in used.folder.iterdir())
    found = storage.registry(used)
    assert found.state == state
    assert found.words.startswith(words)
    assert found.advice
    assert sorted(one.name for one in used.folder.iterdir()) == before


def test_a_damaged_journal_is_named_and_left_as_it_is(used):
    path = used.folder / "journal.db"
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\x55" * 4096
    path.write_bytes(data)
    state, words, advice = storage.journal(used)
    assert state == "bad"
    assert words.startswith("is damaged: ")
    assert advice.startswith("stop the bridge and restore a backup, or move journal.db")
    assert path.read_bytes() == data


def test_what_is_no_journal(used):
    (used.folder / "journal.db").write_bytes(b"car" * 2000)
    assert storage.journal(used).words == "is damaged: file is not a database"
    assert storage.waiting(used) == ok("not known, as the journal cannot be read")
    assert clock.time_of_day(used).state == "ok"


def test_a_journal_that_cannot_be_opened_is_not_called_damaged(used):
    (used.folder / "journal.db").unlink()
    (used.folder / "journal.db").mkdir()
    state, words, _ = storage.journal(used)
    assert state == "bad"
    assert words.startswith(f"cannot use {used.folder}/journal.db: ")


def test_a_newer_journal(used):
    connection = sqlite3.connect(used.folder / "journal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    state, words, advice = storage.journal(used)
    assert (state, advice) == ("bad", "install that version again")
    assert "schema 99" in words


def test_a_journal_that_was_set_aside_is_not_forgotten(used):
    (used.folder / "journal.db.damaged-20261122-120000").touch()
    (used.folder / "journal.db.damaged-20261122-120000-wal").touch()
    state, words, _ = storage.journal(used)
    assert state == "warn"
    assert words.endswith("whole. Damaged ones were set aside: journal.db.damaged-20261122-120000")


def test_a_journal_too_large_to_be_examined_is_not_called_damaged(used, monkeypatch):
    journal = Journal.open(used.folder)
    for _ in range(900):
        journal.append(Entry("golf", NOW, bytes(3000)), (), lambda _: None)
    journal.close()
    monkeypatch.setattr(storage, "_CHECK_S", -1.0)
    state, words, _ = storage.journal(used)
    assert state == "ok"
    assert "too large to be examined" in words


def test_reports_that_wait_for_long_are_told_of_while_a_bridge_runs(used):
    state, words, advice = storage.waiting(replace(used, runs=True))
    assert state == "warn"
    assert words.startswith("mqtt: 3, the oldest since ")
    assert "broker" in advice
