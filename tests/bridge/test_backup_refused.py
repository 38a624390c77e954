"""A backup is believed only once it was checked; nothing is touched before that."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.backup import archive
from bridge.backup.archive import Archive
from bridge.datafolder import lock_folder
from bridge.errors import RequestError, StorageError
from tests.bridge.saved import fill, put_back, save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A backup of a bridge with two vehicles."""
    fill(tmp_path / "old")
    save(tmp_path / "old", tmp_path / "saved.zip")
    return tmp_path / "saved.zip"


Change = Callable[[dict[str, bytes]], None]


def changed(source: Path, change: Change) -> Path:
    """Write a backup anew with other members."""
    with zipfile.ZipFile(source) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    change(members)
    target = source.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return target


def manifest_with(**fields: object) -> Change:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(
            json.loads(members["manifest.json"]) | fields
        ).encode()

    return change


def flip(name: str) -> Change:
    def change(members: dict[str, bytes]) -> None:
        data = bytearray(members[name])
        data[len(data) // 2] ^= 1
        members[name] = bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update({"../evil": b""}), "other files than a backup"),
        (lambda m: m.update({"/etc/passwd": b""}), "other files than a backup"),
        (lambda m: m.update({"journal.db-wal": b""}), "other files than a backup"),
        (lambda m: m.pop("registry.json"), "lacks registry.json"),
        (lambda m: m.pop("manifest.json"), "lacks manifest.json"),
        (lambda m: m.update({"secrets.yaml": b"a: b"}), "not those that its manifest"),
        (lambda m: m.update({"manifest.json": b"{"}), "its manifest.json cannot be read"),
        (lambda m: m.update({"manifest.json": b" " * 300_000}), "manifest.json is too large"),
        (manifest_with(vehicles="many"), "its manifest.json cannot be read"),
        (flip("journal.db"), "journal.db is damaged"),
        (flip("registry.json"), "registry.json is damaged"),
        (manifest_with(format=2), r"newer version of this program \(format 2, this one knows 1"),
        (manifest_with(journal_schema=99), r"newer version .* \(journal schema 99"),
        (manifest_with(registry_schema=99), r"newer version .* \(registry schema 99"),
    ],
)
def test_what_is_no_good_backup_is_refused_and_nothing_is_touched(tmp_path, saved, change, words):
    fill(tmp_path / "new", rows=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "new").glob("*.*")}
    with pytest.raises((RequestError, StorageError), match=words):
        put_back(changed(saved, change), tmp_path / "new", force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").glob("*.*")} == before


def test_a_journal_that_was_damaged_before_it_was_saved_is_refused(tmp_path, saved):
    """Every hash is right, and still no bridge could start on it."""
    folder = tmp_path / "members"
    folder.mkdir()
    with Archive(saved) as good:
        good.unpack(folder)
        manifest = good.manifest
    whole = (folder / "journal.db").read_bytes()
    files = {name: folder / name for name in ("journal.db", "registry.json")}
    for number, content in enumerate((b"?" * 9000, whole[:4096] + b"?" * (len(whole) - 4096))):
        files["journal.db"].write_bytes(content)
        target = tmp_path / f"bad{number}.zip"
        archive.pack(target, manifest, files)
        with pytest.raises(StorageError, match="the journal of the backup is damaged: "):
            put_back(target, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


def test_a_member_that_is_there_twice_is_refused(tmp_path, saved):
    with zipfile.ZipFile(saved, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("registry.json", b"{}")
    with pytest.raises(RequestError, match="other files than a backup"):
        put_back(saved, tmp_path / "new")


def test_every_beginning_of_a_backup_is_refused(tmp_path, saved):
    data = saved.read_bytes()
    for length in range(0, len(data), 97):
        saved.write_bytes(data[:length])
        with pytest.raises(RequestError, match=r"saved\.zip cannot be restored"):
            put_back(saved, tmp_path / "new")


def test_no_damage_to_the_file_gets_through(tmp_path, saved):
    """One flipped bit, wherever it is, is noticed, or is in what nobody reads."""
    data = saved.read_bytes()
    with Archive(saved) as good:
        wanted = {name: member.sha256 for name, member in good.manifest.members.items()}
    for index in {*range(0, len(data), 23), *range(len(data) - 150, len(data))}:
        damaged = bytearray(data)
        damaged[index] ^= 1 << index % 8
        saved.write_bytes(damaged)
        folder = tmp_path / f"flipped{index}"
        folder.mkdir()
        with suppress(RequestError, StorageError), Archive(saved) as opened:
            opened.unpack(folder)
            found = {path.name: path.read_bytes() for path in folder.iterdir()}
            assert {name: sha256(each).hexdigest() for name, each in found.items()} == wanted


def test_a_disk_that_refuses_is_said_and_the_old_content_stays(tmp_path, saved, monkeypatch):
    folder = tmp_path / "new"
    fill(folder, rows=2)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"cannot restore into .*: No space left on device"):
        put_back(saved, folder, force=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "journal.db", "lock", "registry.json", "registry.json.1",
    ]  # fmt: skip


def test_what_does_not_fit_on_the_disk_is_not_begun(tmp_path, saved, monkeypatch):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(StorageError, match=r"needs 32 MB on the disk of .*, and 0 MB are free"):
        put_back(saved, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


def test_a_folder_in_use_is_refused(tmp_path, saved):
    with (
        lock_folder(tmp_path / "new"),
        pytest.raises(StorageError, match=f"in use by process {os.getpid()}"),
    ):
        put_back(saved, tmp_path / "new")
