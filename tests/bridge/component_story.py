"""A made-up day of two vehicles, told by the real bridge: what the component's tests are fed with.

    story -> intake, requests -> sink -> Tape -> tests/component/samples.json

Component and bridge live in two Pythons and never meet in one process; this file is how the one
knows what the other says. `python -m tests.bridge.component_story` writes it anew.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from bridge import payloads
from bridge.config import Config
from bridge.contract import ALARM_KINDS, Topics
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.model import Alarm, Report, Status
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
from bridge.registry import Registry
from bridge.requests import Requests
from bridge.sessions import Session
from bridge.sinks import announcements
from bridge.sinks.announcements import Announcements
from bridge.sinks.mqtt import MqttSink
from bridge.upkeep import Upkeep
from tests.bridge.sayings import HERE, METRE, fix, report
from tests.conftest import eventually

PAGE = Path(__file__).parents[1] / "component" / "samples.json"

GOLF, VAN, SPARE = "864000000001234", "864000000005678", "864000000003333"
GUEST, SILENT_GUEST = "864000000002222", "864000000004444"
MORNING = datetime(2026, 11, 5, 8, 0, tzinfo=UTC)
DAY = {"from": "2026-11-05T08:00:00Z", "to": "2026-11-05T20:00:00Z"}
STEP_M = 500.0
NAMESPACE = "tk103b"
REGISTRY = {
    "schema": 1,
    "instance": "5ca1ab1e",
    "namespace": NAMESPACE,
    "entities": None,
    "vehicles": [
        {"key": "golf", "name": "My Golf", "owner": "Ada", "icon": "", "trackers": [GOLF],
         "accepted_at": "2026-11-01T09:00:00Z", "removed": False},
        {"key": "van", "name": "Van", "owner": "", "icon": "mdi:van-utility", "trackers": [VAN],
         "accepted_at": "2026-11-02T09:00:00Z", "removed": False},
    ],
    "blocked": [],
}  # fmt: skip
INPUTS = Status(
    ignition=False, door_open=False, external_power=True, charging=False, armed=True,
    engine_cut=False, battery_percent=80, battery_v=4.05, external_v=12.6, fuel_percent=51.5,
    temperature_c=11.5, gsm_percent=60, odometer_km=123456.7, obd_speed_kmh=0.0, rpm=0,
)  # fmt: skip
"""A tracker with every wire there is: so that every entity has something to show."""


class Tape:
    """In the place of an MQTT client: takes everything and acknowledges at once.

    It has room when it is let: else how fast the disk was could be read from what is told.
    """

    def __init__(self, sink: MqttSink) -> None:
        self.has_room = False
        self.messages: list[dict[str, Any]] = []
        self.retained: dict[str, Any] = {}
        self._sink = sink

    def post(self, topic: str, payload: bytes, *, retain: bool, mark: int) -> None:
        said = json.loads(payload) if payload else ""
        self.messages.append({"topic": topic, "payload": said, "retain": retain})
        if retain:
            self.retained[topic] = said
        self._sink._outbox.acknowledged(mark)


class Story:
    """A bridge without port and broker, by a clock that the story sets."""

    def __init__(self, config: Config, registry: Registry, journal: Journal) -> None:
        self.now = MORNING
        self.intake = Intake(config, registry, journal, lambda: self.now)
        self.intake.restore()
        self.sink = MqttSink(
            config,
            self.intake,
            Announcements(
                config,
                self.intake,
                lambda: {
                    "connections": 2,
                    "sources": {"trackers": 2, "addresses": 2, "shared": 0},
                },
            ),
        )
        self.requests = Requests(self.intake, self.sink)
        self.tape = Tape(self.sink)
        self.sink._notices.soon = lambda *_: None  # `told` does it, by the story's clock
        self._sessions: dict[str, Session] = {}
        self._transaction = 0

    def session(self, device_id: str) -> Session:
        """Return a tracker's connection, a new one where it has none."""
        found = self._sessions.get(device_id)
        if found is None or found.closed:
            connection = Connection(PROTOCOLS)
            connection.receive_data(f"##,imei:{device_id},A;".encode())
            assert [event.protocol for event in connection.events(self.now)] == ["gps103"]
            found = self._sessions[device_id] = Session(
                transport="tcp",
                peer=f"192.0.2.{device_id[-2:]}:4000",
                address=f"192.0.2.{device_id[-2:]}",
                connection=connection,
                send=lambda _: None,
                close=lambda _: None,
                since=self.now,
                last_seen=self.now,
            )
        return found

    async def says(self, *reports: Report) -> None:
        """Have trackers say something over their connections, each when it is received."""
        for one in reports:
            self.now = max(self.now, one.received_at)
            frame = b"." * 90
            event = Received(frame, one.protocol, (one,), b"", b"")
            assert self.intake.take(event, self.session(one.device_id), self.now)
            await self.told()

    def leaves(self, device_id: str) -> None:
        self.intake.left(self._sessions.pop(device_id))

    async def asks(self, verb: str, **body: Any) -> dict[str, Any]:
        """Make a request, and return it with its answer."""
        self._transaction += 1
        body = {**body, "transaction": f"sample-{self._transaction}"}
        answer = payloads.encode(await self.requests.answer(verb, json.dumps(body).encode()))
        await self.told()
        return {"verb": verb, "request": body, "response": json.loads(answer)}

    async def told(self) -> None:
        """Wait until all that is known has been said."""
        lives = self.intake.vehicles.values()
        await eventually(lambda: all(live.folded is live.state for live in lives))
        await self._told_so_far()
        self.sink._notices._discovered_at.clear()
        self.sink._notices.now()
        await self._told_so_far()

    async def _told_so_far(self) -> None:
        """Let the sink say what it knows now, all at once."""
        self.tape.has_room = True
        self.sink._outbox.wake()
        await asyncio.sleep(0)
        await self.sink.drained()
        self.tape.has_room = False

    async def scene(self) -> list[dict[str, Any]]:
        """Return what was said of vehicles and bridge since the scene before this one."""
        await self.told()
        said = [
            one for one in self.tape.messages
            if one["topic"].startswith("tk103b/") and "/bridge/health" not in one["topic"]
        ]  # fmt: skip
        self.tape.messages.clear()
        return said


def at(minutes: float) -> datetime:
    return MORNING + timedelta(minutes=minutes)


def place(metres: float) -> dict[str, float]:
    return {**HERE, "latitude": HERE["latitude"] + metres * METRE}


def drive(start: float, north_m: float, *, received: float | None = None) -> Iterator[Report]:
    """Eight steps of half a minute, then the key is out; `received`: all only then."""
    for step in range(9):
        moment, driving = at(start + step / 2), step < 8
        where = place(north_m + min(step, 7) * STEP_M)
        yield report(
            at(received) + timedelta(seconds=step) if received is not None else moment,
            fix=fix(
                moment, speed_kmh=60.0 if driving else 0.0, course_deg=0.0, altitude_m=38.0,
                satellites=9, hdop=0.9, **where,
            ),
            status=Status(
                ignition=driving, obd_speed_kmh=58.0 if driving else 0.0,
                rpm=2100 if driving else 0, odometer_km=round(123456.7 + north_m / 1000 + step / 2),
            ),
        )  # fmt: skip


@asynccontextmanager
async def told(folder: Path) -> AsyncIterator[Story]:
    """Open the story's bridge in a folder of its own."""
    (folder / "registry.json").write_text(json.dumps(REGISTRY), encoding="utf-8")
    journal = Journal.open(folder)
    journal.epoch = "ef5b3afbda8ab4cc"
    journal.start(asyncio.get_running_loop())
    stopped = SimpleNamespace(monotonic=lambda: 1000.0)
    numbers = (f"{number:08x}" for number in itertools.count(1))
    with (
        mock.patch.object(announcements, "_rss_mb", return_value=31.5),
        mock.patch.object(announcements, "time", stopped),
        mock.patch.object(secrets, "token_hex", side_effect=numbers),
    ):
        story = Story(Config(), Registry.open(folder, NAMESPACE), journal)
        story.intake.watchers.append(story.sink)
        story.sink._outbox.open = True
        refill = story.sink._vehicles.refill
        # The tape takes what a client does.
        pump = asyncio.create_task(story.sink._outbox.pump(story.tape, refill))  # type: ignore[arg-type]
        try:
            yield story
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await asyncio.to_thread(journal.close)


async def samples() -> dict[str, Any]:
    """Return everything the component is tested with; see the keys."""
    with tempfile.TemporaryDirectory() as folder:
        async with told(Path(folder)) as story:
            return await _tell(story)


async def _tell(story: Story) -> dict[str, Any]:
    base = Config().mqtt.base_topic
    await _before(story)
    await story.scene()
    before = {Topics(base).bridge_state: "online", **story.tape.retained}
    scenes: dict[str, list[dict[str, Any]]] = {}
    answers: dict[str, dict[str, Any]] = {}
    await _day(story, scenes, answers)
    await _commands(story, scenes, answers)
    await _decisions(story, scenes, answers)
    ours = {topic: said for topic, said in before.items() if topic.startswith(f"{base}/")}
    return {
        "at": at(20).isoformat(),
        "base_topic": base,
        "retained": ours,
        "discovery": {topic: said for topic, said in before.items() if topic not in ours},
        "scenes": scenes,
        "answers": answers,
    }


async def _day(story: Story, scenes: dict[str, Any], answers: dict[str, Any]) -> None:
    """What happens on the road, and what is asked about it afterwards."""
    await story.says(*(one for one in drive(30, 0) if one.received_at < at(34)))
    scenes["drives"] = await story.scene()

    sos = fix(at(34), speed_kmh=0.0, satellites=9, **place(7 * STEP_M))
    await story.says(report(at(34), fix=sos, alarm=Alarm.SOS, keyword="help me"))
    scenes["sos"] = await story.scene()
    await story.says(report(at(35), fix=None, alarm=Alarm.SOS, keyword="help me"))
    scenes["sos again"] = await story.scene()
    answers["acknowledge"] = await story.asks("device/acknowledge", key="golf")
    answers["acknowledge nothing"] = await story.asks("device/acknowledge", key="golf")
    scenes["acknowledged"] = await story.scene()

    parked = fix(at(36), speed_kmh=0.0, satellites=9, **place(7 * STEP_M))
    await story.says(report(at(36), fix=parked, status=Status(ignition=False, rpm=0)))
    scenes["parks"] = await story.scene()

    story.now = at(60)
    story.leaves(GOLF)
    scenes["sleeps"] = await story.scene()

    # Driven in a valley where the net does not reach, sent afterwards.
    await story.says(*drive(70, 7 * STEP_M, received=200))
    story.now += timedelta(minutes=1)
    await Upkeep(story.intake.fleet, lambda: story.now).look(story.intake.vehicles["golf"])
    scenes["comes back with old news"] = await story.scene()

    answers["get_track"] = await story.asks("get_track", key="golf", **DAY)
    answers["get_track first page"] = await story.asks("get_track", key="golf", limit=5, **DAY)
    answers["get_trips"] = await story.asks("get_trips", key="golf", **DAY)
    answers["no such vehicle"] = await story.asks("get_trips", key="bus")


async def _commands(story: Story, scenes: dict[str, Any], answers: dict[str, Any]) -> None:
    """What the golf is told, and what it answers."""

    async def ended(keyword: str) -> None:
        await story.says(report(story.now + timedelta(seconds=2), fix=None, keyword=keyword))
        await eventually(lambda: all(one.final for one in golf.state.orders))

    golf = story.intake.vehicles["golf"]
    for command, answer in (("request_position", "tracker"), ("disarm", "mt"), ("arm", "lf")):
        answers[command] = await story.asks(
            "device/command", key="golf", command=command, by="home_assistant"
        )
        await eventually(lambda: golf.state.orders[-1].status == "sent")
        await ended(answer)
        scenes[command] = await story.scene()
    answers["engine_stop"] = await story.asks("device/command", key="golf", command="engine_stop")
    scenes["engine_stop"] = await story.scene()
    answers["bad command"] = await story.asks(
        "device/command", key="golf", command="set_interval", seconds=1
    )


async def _decisions(story: Story, scenes: dict[str, Any], answers: dict[str, Any]) -> None:
    """What people ask for, and what comes of it."""
    answers["permit_join"] = await story.asks("permit_join", time=254)
    scenes["lets the next one in"] = await story.scene()
    answers["permit_join closed"] = await story.asks("permit_join", time=0)
    answers["rename"] = await story.asks("device/rename", key="van", name="Old van")
    scenes["renamed"] = await story.scene()
    answers["accept"] = await story.asks("device/accept", id=GUEST, name="Boat", waiting=True)
    answers["accept nobody"] = await story.asks("device/accept", id=GUEST, name="B", waiting=True)
    scenes["guest accepted"] = await story.scene()
    answers["replace"] = await story.asks("device/replace", key="golf", id=SPARE)
    scenes["tracker replaced"] = await story.scene()
    answers["private"] = await story.asks("device/private", key="golf", enabled=True)
    scenes["private mode on"] = await story.scene()
    answers["track in private mode"] = await story.asks("get_track", key="golf", **DAY)
    answers["private no more"] = await story.asks("device/private", key="golf", enabled=False)
    scenes["private mode off"] = await story.scene()
    answers["remove"] = await story.asks("device/remove", key="van")
    scenes["removed"] = await story.scene()
    answers["block"] = await story.asks("device/block", id=SILENT_GUEST)
    answers["let go"] = await story.asks("entities", owner="component")
    answers["taken over"] = await story.asks("entities", owner="component", confirmed=True)
    answers["handed back"] = await story.asks("entities", owner="discovery")


async def _before(story: Story) -> None:
    """Both vehicles are parked; every alarm has rung; two trackers wait; health has been told."""
    story.now = MORNING - timedelta(days=2)
    for number, kind in enumerate(ALARM_KINDS):
        when = story.now + timedelta(minutes=number)
        where = fix(when, speed_kmh=0.0, satellites=9, **place(0))
        await story.says(report(when, fix=where, alarm=Alarm(kind), keyword=kind))
    await story.asks("device/acknowledge", key="golf")
    story.now = at(0)
    standing = fix(at(0), speed_kmh=0.0, course_deg=0.0, altitude_m=38.0, satellites=9, hdop=0.9)
    await story.says(report(at(0), fix=standing, status=INPUTS))
    far = {"latitude": 48.137, "longitude": 11.575}
    await story.says(
        report(at(1), device_id=VAN, fix=fix(at(1), **far, speed_kmh=0.0), keyword="tracker",
               status=Status(ignition=False, battery_percent=35)),
        report(at(2), device_id=GUEST, fix=fix(at(2), **place(900))),
        report(at(2.5), device_id=GUEST, fix=fix(at(2.5), **place(900))),
        report(at(3), device_id=SILENT_GUEST, fix=None, status=Status(battery_percent=10)),
    )  # fmt: skip
    story.now = at(20)


def render() -> str:
    """Return the text of the page."""
    return json.dumps(asyncio.run(samples()), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
