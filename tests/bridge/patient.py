"""A bridge to be examined."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.config import Config, Listen, Mqtt, Storage
from bridge.doctor.patient import Patient
from bridge.journal import Entry, Journal
from bridge.registry import Registry
from tests.conftest import free_port

NOW = datetime.now(UTC)
GOLF, VAN = "864000000000121", "864000000000122"


def new_bridge(folder: Path) -> Patient:
    """A bridge that does not run and has never run."""
    settings = Config(
        listen=Listen(host="127.0.0.1", port=free_port()),
        mqtt=Mqtt(host="127.0.0.1", port=free_port()),
        storage=Storage(path=folder / "data"),
    )
    return Patient(settings, runs=False, process=None, health=None)


def used_bridge(folder: Path) -> Patient:
    """One that has run: two vehicles, ten rows, seven of them published."""
    patient = new_bridge(folder)
    patient.folder.mkdir(mode=0o700)
    registry = Registry.open(patient.folder, "tk103b")
    registry.accept(GOLF, name="Golf")
    registry.accept(VAN, name="Van")
    journal = Journal.open(patient.folder)
    for number in range(10):
        at = NOW - timedelta(hours=1, minutes=-number)
        journal.append(Entry("golf", at, b"row"), (), lambda _: None)
    journal.save_cursor("mqtt", 7)
    journal.close()
    return patient
