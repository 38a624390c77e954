"""From a source to an outcome: what it is, where it goes, and whether anybody hears of it."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path

import voluptuous as vol

from bridge import history, options
from bridge.config import Config
from bridge.errors import RequestError, StorageError
from bridge.replay import captured, journalled
from bridge.replay.outcome import Outcome
from bridge.replay.stage import staged

LOOPBACK = "127.0.0.1"

_SQLITE = b"SQLite format 3\0"


async def replay(
    source: Path, into: Path, config: Config, *, base_topic: str = "", speed: float = 0.0
) -> Outcome:
    """Play a journal (its file or data folder) or a capture into a fresh data folder.

    `base_topic`: publish below it. `speed`: so many times as fast as it was; 0: as fast as can be.
    Raises RequestError for a source that is none or a base topic in use, StorageError for a folder
    that is not empty or cannot be used, BrokerError.
    """
    config = _aside(config, into, base_topic)
    of_journal = _is_journal(source)
    _check_fresh(into)
    if of_journal:
        with history.opened(source) as journal:
            known = journalled.vehicles(source, journal)
            async with staged(config, known, speed, publish=bool(base_topic)) as stage:
                await journalled.play(journal, stage)
    else:
        async with staged(config, (), speed, publish=bool(base_topic)) as stage:
            await captured.play(source, stage)
    return stage.outcome


def _aside(config: Config, into: Path, base_topic: str) -> Config:
    """Return the configuration of a bridge beside the real one."""
    mqtt = config.mqtt
    if base_topic:
        try:
            options.topic(base_topic)
        except vol.Invalid as error:
            raise RequestError(f"the base topic {base_topic!r} {error.msg}") from None
        one, other = f"{mqtt.base_topic}/", f"{base_topic}/"
        if one.startswith(other) or other.startswith(one):
            raise RequestError(
                f"{base_topic} is where the bridge publishes: name a base topic beside"
                f" {mqtt.base_topic}, such as {mqtt.base_topic}-replay"
            )
    return changed(
        config,
        mqtt=changed(mqtt, base_topic=base_topic or mqtt.base_topic, host=mqtt.host or LOOPBACK),
        home_assistant=changed(config.home_assistant, entities="off"),
        storage=changed(config.storage, path=into),
    )


def _is_journal(source: Path) -> bool:
    """Whether this is a journal or its folder; what else is there is taken for a capture."""
    if source.is_dir():
        return True
    try:
        with source.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise RequestError(f"cannot read {source}: {error.strerror}") from error


def _check_fresh(into: Path) -> None:
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise StorageError(f"{into} is not empty: a replay goes into a folder of its own")
