"""Who is examined: the configuration, and the bridge that runs with it, if one does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.client import NoAnswerError, reached
from bridge.config import Config
from bridge.datafolder import LOCK_NAME, lock_folder
from bridge.doctor.finding import Result, bad, ok, warn
from bridge.errors import RequestError, StorageError


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of the bridge before anything is examined."""

    settings: Config
    runs: bool
    """Another process has the data folder."""
    process: int | None
    """Which one, where it can be known."""
    health: dict[str, Any] | None
    """What it said of itself when asked over MQTT; None: it did not answer."""
    silence: str = ""
    """Why it did not."""

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.storage.path


async def meet(settings: Config) -> Patient:
    """Find out whether a bridge runs, and ask it how it is."""
    runs, process = _holder(settings.storage.path)
    if not runs:
        return Patient(settings, runs, process, None)
    try:
        async with reached(settings) as bridge:
            return Patient(settings, runs, process, await bridge.ask("health_check", {}))
    except (NoAnswerError, RequestError) as silence:
        return Patient(settings, runs, process, None, str(silence))


def running(patient: Patient) -> Result:
    """Whether a bridge runs, answers, and has nothing to complain of."""
    if not patient.runs:
        return warn("no bridge runs on this data folder", "start it, then ask again")
    if patient.health is None:
        return bad(
            f"runs, but does not answer over MQTT: {patient.silence}",
            "its log says whether it reaches the broker; what is said of the broker below helps",
        )
    health = patient.health
    if fault := health.get("journal_fault"):
        return bad(
            f"its journal cannot be written: {fault}; reports wait in memory",
            "see disk and data folder here; once it can be written again, nothing is lost",
        )
    connected = health.get("vehicles_connected", 0)
    words = f"runs and answers, {connected} vehicle{'' if connected == 1 else 's'} connected"
    if uptime_s := health.get("uptime_s"):
        words += f", up for {timedelta(seconds=uptime_s)}"
    for field, what in (
        ("lost", "reports were lost while the journal could not be written"),
        ("unpublished", "messages were refused by the broker"),
    ):
        if count := health.get(field):
            return warn(f"{words}; {count} {what} since its start", "its log says more")
    return ok(words)


def _holder(folder: Path) -> tuple[bool, int | None]:
    """Whether a process has the data folder, and which."""
    if not folder.is_dir():
        return False, None
    try:
        lock_folder(folder).close()
    except StorageError as error:
        if not isinstance(error.__cause__, BlockingIOError):
            return False, None  # it is the folder that ails, and it is examined by itself
        try:
            return True, int((folder / LOCK_NAME).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return True, None
    return False, None
