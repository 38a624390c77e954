"""The data folder while no bridge answers: its lock says whether that is so because none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.client import NoAnswerError
from bridge.config import Config
from bridge.datafolder import lock_folder
from bridge.errors import StorageError
from bridge.registry import Registry


@contextmanager
def folder_without_bridge(settings: Config, silence: NoAnswerError) -> Iterator[Path]:
    """Have the data folder to ourselves, for `silence` says that no bridge answers.

    Raises StorageError where one runs all the same, or the folder cannot be used.
    """
    try:
        locked = lock_folder(settings.storage.path)
    except StorageError as error:
        raise StorageError(
            f"{error}, and no bridge answers over MQTT: {silence}. Is this its configuration file "
            "(--config)?"
        ) from error
    with locked:
        yield locked.path


def open_registry(folder: Path, settings: Config) -> Registry:
    """Return the registry of our folder, with the vehicles of the configuration."""
    registry = Registry.open(folder, settings.mqtt.base_topic)
    registry.merge_yaml(settings.vehicles, settings.access.block)
    return registry


def check_exists(settings: Config) -> None:
    """Raise StorageError where nothing has ever been kept: nothing can be found there."""
    path = settings.storage.path
    if not path.is_dir():
        raise StorageError(
            f"there is no data folder {path}: start the bridge first, or name its configuration "
            "file with --config"
        )


def is_locked(settings: Config) -> bool:
    """Whether a process uses the data folder now."""
    if not settings.storage.path.is_dir():
        return False
    try:
        lock_folder(settings.storage.path).close()
    except StorageError:
        return True
    return False
