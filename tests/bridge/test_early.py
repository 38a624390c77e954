"""While the disk cannot be written, each report is told once, and in private mode none is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.model import Alarm
from bridge.registry import Registry
from bridge.requests import Requests
from bridge.sinks.announcements import Announcements
from bridge.sinks.mqtt import MqttSink
from tests.bridge.port import Disk
from tests.bridge.sayings import NOW, fix, report
from tests.conftest import eventually

ID = "864000000001234"


class Desk:
    """A sink whose line nobody takes anything from."""

    def __init__(self, folder: Path) -> None:
        registry = Registry.open(folder, "tk103b")
        registry.accept(ID, name="Golf", key="golf")
        self.journal = Journal.open(folder, retry_s=0.01)
        self.disk = Disk(self.journal._database)
        self.journal.start(asyncio.get_running_loop())
        self.intake = Intake(Config(), registry, self.journal, lambda: NOW)
        self.intake.restore()
        self.journal.on_fault = lambda fault: self.intake.fleet.faulted() if fault else None
        announcements = Announcements(Config(), self.intake, lambda: {"connections": 0})
        self.sink = MqttSink(Config(), self.intake, announcements)
        self.intake.watchers.append(self.sink)
        self.sink._outbox.open = True
        self.live = self.intake.vehicles["golf"]

    def hears(self, second: int, alarm: Alarm | None = None) -> None:
        at = NOW + timedelta(seconds=second)
        assert self.intake.fleet.append(
            self.live, report(at, fix=fix(at), device_id=ID, alarm=alarm), now=at
        )

    @property
    def line(self) -> list[tuple[str, bytes]]:
        """What stands in line, in the order in which it goes."""
        outbox = self.sink._outbox
        return [
            (one.topic.removeprefix("tk103b/vehicle/golf/"), one.payload)
            for one in (*outbox._urgent, *outbox._rows)
            if "/vehicle/golf/" in one.topic
        ]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.disk.full = False
    await asyncio.to_thread(opened.journal.close)


async def test_each_report_is_told_once_however_often_the_disk_changes_its_mind(desk: Desk) -> None:
    desk.disk.full = True
    desk.hears(0, Alarm.SOS)
    await eventually(lambda: desk.journal.failed)
    desk.hears(1)
    for _ in range(3):
        desk.intake.fleet.faulted()
    leaves = [leaf for leaf, _ in desk.line]
    assert (leaves.count("report"), leaves.count("alarm")) == (2, 1)
    assert all(b'"journalled":false' in payload for _, payload in desk.line)


async def test_private_mode_takes_back_what_stands_in_line(desk: Desk) -> None:
    for second in range(30):
        desk.hears(second, Alarm.SOS if second == 25 else None)
    await eventually(lambda: desk.live.seq == 30)
    await desk.sink._vehicles.refill()
    assert len(desk.line) > 30
    requests = Requests(desk.intake, desk.sink)
    await requests.answer("device/private", b'{"key": "golf"}')
    desk.sink.republish()  # as for Home Assistant's birth, before the pump has had its turn
    desk.sink._vehicles.tell()
    line = dict(desk.line)
    assert (line["position"], line["last_alarm"]) == (b"", b"")
    assert not any(b"latitude" in payload for _, payload in desk.line)
    assert desk.sink.cursor.seq == 30  # what was taken back counts as told
