"""A bridge that has been used, saved and put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge import backup, config
from bridge.config import Config, Storage
from bridge.journal import Entry, Journal
from bridge.registry import Registry

NOW = datetime(2026, 11, 22, 12, 30, 0, tzinfo=UTC)
GOLF, VAN = "864000000000111", "864000000000112"


def fill(folder: Path, rows: int = 5) -> str:
    """Make a data folder of a bridge that has been used; return its journal's epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry.open(folder, "house")
    registry.accept(GOLF, name="Golf")
    registry.accept(VAN, name="Van")
    registry.set_owner("component")
    journal = Journal.open(folder)
    for number in range(rows):
        at = NOW - timedelta(minutes=rows - number)
        journal.append(Entry("golf", at, b"row %d" % number), (), lambda _: None)
    journal.save_cursor("mqtt", rows - 2)
    journal.close()
    return journal.epoch


def settings_of(folder: Path) -> Config:
    return Config(storage=Storage(path=folder))


def save(
    folder: Path, target: Path, *, config_file: Path | None = None, with_secrets: bool = False
) -> backup.Manifest:
    settings = config.load(config_file, {}) if config_file else settings_of(folder)
    return backup.back_up(settings, config_file, {}, target, with_secrets=with_secrets, now=NOW)


def put_back(source: Path, folder: Path, *, force: bool = False) -> backup.Restored:
    # With a file of its own somewhere else, so that nothing is written where the tests run.
    return backup.restore(
        source, settings_of(folder), folder.parent / "mine.yaml", force=force, now=NOW
    )
