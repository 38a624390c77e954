"""The backups that a running bridge makes of itself: which are kept, how often, what fails them."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import yamlfile
from bridge.backup import Shelf, default_name
from bridge.backup.keeping import KEPT, PAUSE_S
from bridge.config import Storage
from bridge.errors import ConfigError, RequestError
from bridge.journal import Journal
from bridge.registry import Registry
from bridge.reload import Source
from tests.bridge.port import GOLF


def patience() -> Callable[[], float]:
    """A clock on which a pause goes by between any two looks."""
    moments = itertools.count(step=PAUSE_S)
    return lambda: next(moments)


@pytest.fixture
def shelf_at(tmp_path: Path) -> Callable[..., Shelf]:
    """A shelf of a bridge without configuration, by clocks of one's own."""
    Registry.open(tmp_path, "tk103b")
    Journal.open(tmp_path).close()
    (tmp_path / "backups").mkdir()
    return lambda *clocks: Shelf(tmp_path, Source(None, {}), *clocks)


async def test_a_few_backups_are_kept_without_what_opens_anything(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    Registry.open(data, "tk103b").accept(GOLF, key="golf")
    Journal.open(data).close()
    file = tmp_path / "car.yaml"
    file.write_text("log: {level: info}\n")
    moments = iter(datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=day) for day in range(9))
    shelf = Shelf(data, Source(file, {}), lambda: next(moments), patience())
    (data / "backups").mkdir()
    (data / "backups/.tk103b-backup-killed").mkdir()
    (data / "backups/mine.zip").touch()
    # Written down since the start, and a secret all the same.
    file.write_text("mqtt: {username: me, password: correct-horse}\n")
    made = [await shelf.add() for _ in range(KEPT + 2)]
    kept = [one["path"].removeprefix("backups/") for one in made[-KEPT:]]
    assert {one.name for one in (data / "backups").iterdir()} == {"mine.zip", *kept}
    for one in made[-KEPT:]:
        assert (data / one["path"]).stat().st_size == one["bytes"]
        with zipfile.ZipFile(data / one["path"]) as archive:
            text = archive.read("tk103b-bridge.yaml").decode()
        assert text == "mqtt: {username: me, password: !secret mqtt_password}\n"
    assert {len(one["sha256"]) for one in made} == {64}


async def test_a_clock_that_was_set_back_removes_no_new_backup(shelf_at, tmp_path):
    """Neither by their names nor by their times are the older ones the newer ones then."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    shelf = shelf_at(lambda: now, patience())
    old = []
    for day in range(1, KEPT + 1):
        one = tmp_path / "backups" / default_name(now + timedelta(days=day))
        one.touch()
        os.utime(one, (later := time.time() + day * 86_400, later))
        old.append(one)
    made = []
    for removed in range(1, 4):
        made.append(tmp_path / (await shelf.add())["path"])
        now += timedelta(hours=1)
        assert set((tmp_path / "backups").iterdir()) == {*old[removed:], *made}


async def test_there_is_a_pause_from_one_backup_to_the_next(shelf_at):
    seconds = 0.0
    moments = iter(datetime(2026, 5, day, tzinfo=UTC) for day in range(1, 9))
    shelf = shelf_at(lambda: next(moments), lambda: seconds)
    first = await asyncio.gather(shelf.add(), shelf.add())
    assert first[0] == first[1], "who asks meanwhile gets the same"
    seconds = PAUSE_S - 0.5
    with pytest.raises(RequestError, match="made just now: ask for another in 1 s"):
        await shelf.add()
    seconds = PAUSE_S
    assert (await shelf.add())["path"] != first[0]["path"]


async def test_a_backup_that_failed_may_be_tried_again_at_once(shelf_at, monkeypatch):
    shelf = shelf_at(lambda: datetime(2026, 5, 1, tzinfo=UTC), lambda: 0.0)
    with monkeypatch.context() as full:
        full.setattr("bridge.backup.keeping.SPARE_BYTES", 1 << 60)
        with pytest.raises(RequestError, match="MB are free"):
            await shelf.add()
    assert (await shelf.add())["path"]


@pytest.mark.parametrize("text", [r'mqtt: {host: "\UFFFFFFFF"}', f"a: {'[' * 600}", "", "a: ["])
async def test_a_file_that_is_odd_now_fails_the_backup_and_nothing_else(tmp_path, text):
    Registry.open(tmp_path, "tk103b")
    Journal.open(tmp_path).close()
    file = tmp_path / "car.yaml"
    file.write_text("trips: {gap_s: 600}\n")
    source = Source(file, {})
    source.read()
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"car\.yaml"):
        await Shelf(tmp_path, source, lambda: datetime.now(UTC)).add()


async def test_a_shelf_without_room_says_so(tmp_path, monkeypatch):
    Registry.open(tmp_path, "tk103b")
    Journal.open(tmp_path).close()
    monkeypatch.setattr("bridge.backup.keeping.SPARE_BYTES", 1 << 60)
    with pytest.raises(RequestError, match="MB are free"):
        await Shelf(tmp_path, Source(None, {}), lambda: datetime.now(UTC)).add()
    assert Storage().path != tmp_path


async def test_a_file_that_changes_while_it_is_packed_fails_the_backup(tmp_path, monkeypatch):
    Registry.open(tmp_path, "tk103b")
    Journal.open(tmp_path).close()
    file = tmp_path / "car.yaml"
    file.write_text("trips: {gap_s: 600}\n")
    read = yamlfile.read

    def read_just_before(path, environ):
        found = read(path, environ)
        file.write_text("trips: {gap_s: [")
        return found

    source = Source(file, {})
    settings = source.read()
    monkeypatch.setattr(source, "read", lambda: settings)
    monkeypatch.setattr(yamlfile, "read", read_just_before)
    with pytest.raises(RequestError, match="is being written: ask again"):
        await Shelf(tmp_path, source, lambda: datetime.now(UTC)).add()
