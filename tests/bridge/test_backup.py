"""A backup is whole or not there, and what is restored is the same bridge."""

from __future__ import annotations

import json
import stat
import threading
import zipfile
from pathlib import Path

import pytest

from bridge import backup
from bridge.database import Batch, Database
from bridge.datafolder import lock_folder
from bridge.errors import RequestError, StorageError
from bridge.journal import Entry, Journal
from bridge.registry import Registry
from tests.bridge.saved import NOW, fill, put_back, save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A backup of a bridge with two vehicles."""
    fill(tmp_path / "old")
    save(tmp_path / "old", tmp_path / "saved.zip")
    return tmp_path / "saved.zip"


def test_what_is_restored_is_the_same_bridge_and_goes_on_counting(tmp_path):
    epoch = fill(tmp_path / "old")
    manifest = save(tmp_path / "old", tmp_path / "saved.zip")
    assert (manifest.vehicles, manifest.last_seq, manifest.epoch) == (2, 5, epoch)
    restored = put_back(tmp_path / "saved.zip", tmp_path / "new")
    assert restored.aside is None
    assert restored.folder == tmp_path / "new"

    was = Registry.open(tmp_path / "old", "another")
    registry = Registry.open(tmp_path / "new", "another")
    assert registry.accepted() == was.accepted()
    assert (registry.instance, registry.namespace) == (was.instance, "house")
    assert registry.entities == "component"
    old, new = Journal.open(tmp_path / "old"), Journal.open(tmp_path / "new")
    assert new.epoch != old.epoch == epoch
    assert new.read(0, 10) == old.read(0, 10)
    assert new.cursor("mqtt") == 3
    assert new.last_seq == 5
    new.append(Entry("golf", NOW, b"next"), (), lambda _: None)
    new.close()
    old.close()
    again = Journal.open(tmp_path / "new")
    assert again.read(5, 10) == [(6, "golf", NOW, b"next")]
    again.close()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "journal.db", "lock", "registry.json",
    ]  # fmt: skip


def test_nobody_else_may_read_it_and_nothing_else_is_left(tmp_path, saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "saved.zip"]
    with zipfile.ZipFile(saved) as packed:
        assert sorted(packed.namelist()) == ["journal.db", "manifest.json", "registry.json"]
        assert json.loads(packed.read("manifest.json"))["created_at"] == "2026-11-22T12:30:00Z"


def test_names_have_date_and_time():
    assert backup.default_name(NOW) == "tk103b-backup-20261122-123000.zip"


def test_the_folder_is_left_as_it_is(tmp_path, saved):
    assert saved.exists()
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    save(tmp_path / "old", tmp_path / "second.zip")
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


def test_a_backup_never_replaces_a_file(tmp_path, saved):
    was = saved.read_bytes()
    with pytest.raises(RequestError, match="is there already"):
        save(tmp_path / "old", saved)
    assert saved.read_bytes() == was


def test_a_bridge_that_has_never_run_has_nothing_to_save(tmp_path):
    Registry.open(lock_folder(tmp_path / "old").path, "house")
    with pytest.raises(StorageError, match="there is no journal yet: start the bridge once"):
        save(tmp_path / "old", tmp_path / "saved.zip")


@pytest.mark.parametrize("lost", ["journal", "registry.json"])
def test_where_something_is_missing_there_is_no_backup(tmp_path, lost):
    fill(tmp_path / "old")
    for path in (tmp_path / "old").glob(f"{lost}*"):
        path.unlink()
    with pytest.raises(StorageError, match=lost):
        save(tmp_path / "old", tmp_path / "saved.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_registry_that_is_just_being_written_is_taken_from_its_predecessor(tmp_path):
    fill(tmp_path / "old")
    (tmp_path / "old/registry.json").rename(tmp_path / "old/registry.json.new")
    assert save(tmp_path / "old", tmp_path / "saved.zip").vehicles == 2


@pytest.mark.parametrize("name", ["journal.db", "registry.json"])
def test_what_is_damaged_is_not_saved_as_if_it_were_whole(tmp_path, name):
    fill(tmp_path / "old")
    (tmp_path / "old" / name).write_bytes(b"{" * 9000)
    with pytest.raises(StorageError, match=rf"{name} (is damaged|cannot be read)"):
        save(tmp_path / "old", tmp_path / "saved.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_where_it_cannot_be_written_is_said(tmp_path):
    fill(tmp_path / "old")
    with pytest.raises(RequestError, match=r"cannot write .*: No such file or directory"):
        save(tmp_path / "old", tmp_path / "nowhere" / "saved.zip")


def test_it_is_of_one_moment_while_reports_come_in(tmp_path):
    """A writer that commits all the time neither stops the copy nor tears it."""
    fill(tmp_path / "old")
    database = Database.open(tmp_path / "old/journal.db")
    stop, committed = threading.Event(), []

    def report() -> None:
        while not stop.is_set():
            rows = database.write(Batch(entries=[Entry("golf", NOW, bytes(20_000))] * 20))
            committed.append(rows[-1][0])

    writer = threading.Thread(target=report)
    writer.start()
    try:
        while len(committed) < 10:
            stop.wait(0.01)
        before = committed[-1]
        manifest = save(tmp_path / "old", tmp_path / "saved.zip")
        after = committed[-1] + 20  # the one that is being written
    finally:
        stop.set()
        writer.join()
        database.close()
    assert before <= manifest.last_seq <= after
    put_back(tmp_path / "saved.zip", tmp_path / "new")
    journal = Journal.open(tmp_path / "new")
    seqs = [seq for seq, *_ in journal.read(0, 100_000)]
    journal.close()
    assert seqs == list(range(1, manifest.last_seq + 1))


# --- where something is already ------------------------------------------------------------------


def test_vehicles_that_are_known_are_replaced_only_when_told_to(tmp_path, saved):
    folder = tmp_path / "new"
    epoch = fill(folder, rows=9)
    with pytest.raises(RequestError, match=r"already knows 2 vehicles\. With --force it is moved"):
        put_back(saved, folder)
    aside = put_back(saved, folder, force=True).aside
    assert aside == folder / "before-restore-20261122-123000"
    was = Journal.open(aside)
    assert (was.epoch, was.last_seq) == (epoch, 9)
    was.close()
    assert len(Registry.open(aside, "x").accepted()) == 2
    journal = Journal.open(folder)
    assert journal.last_seq == 5
    journal.close()


def test_a_bridge_that_was_only_started_once_gives_way(tmp_path, saved):
    folder = tmp_path / "new"
    folder.mkdir()
    instance = Registry.open(folder, "x").instance
    Journal.open(folder).close()
    aside = put_back(saved, folder).aside
    assert Registry.open(aside, "x").instance == instance
    assert len(Registry.open(folder, "x").accepted()) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [("registry.json", "holds a registry that cannot be read"), ("journal.db", "holds a journal")],
)
def test_what_cannot_be_understood_is_not_replaced_unasked(tmp_path, saved, name, words):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / name).write_bytes(b"?")
    with pytest.raises(RequestError, match=words):
        put_back(saved, folder)
    aside = put_back(saved, folder, force=True).aside
    assert (aside / name).read_bytes() == b"?"


def test_one_that_was_interrupted_is_done_again(tmp_path, saved):
    stage = tmp_path / "new" / "restore.part"
    stage.mkdir(parents=True)
    (stage / "journal.db").write_bytes(b"half")
    put_back(saved, tmp_path / "new")
    assert not stage.exists()
    assert len(Registry.open(tmp_path / "new", "x").accepted()) == 2
