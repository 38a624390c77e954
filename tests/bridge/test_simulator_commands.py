"""Every command of every protocol and dialect, said to a simulated tracker over a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from bridge import command as c
from bridge.model import Message, Report
from bridge.protocols.connection import Received
from bridge.protocols.encoding import Outcome, Target, encode
from bridge.protocols.registry import VOCABULARIES
from bridge.simulator import Dialect, Event, Happened, Obedience, Options, Simulator
from bridge.simulator.route import PARKED_S, built_in_loop
from bridge.simulator.tracker import Wish
from tests.bridge.simulated import Talk
from tests.bridge.test_commands import BINARY, ID, NOW, WIRE
from tests.bridge.tiny import HANG_UP, TinyBridge, bridge, is_position

DONE, REFUSED, LATER = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.POSTPONED
MORNING = datetime(2026, 5, 1, 4, tzinfo=UTC)
HURRY = 1000  # a report each ten milliseconds
PATIENCE = 6000
DRIVING_S = 100.0
PARKED_AT_S = next(leg.start_s for leg in built_in_loop().legs if leg.parked) + PARKED_S / 2


class Case(NamedTuple):
    """A row of the table of bytes."""

    protocol: str
    dialect: str
    command: c.Command
    wire: bytes

    @property
    def answers(self) -> bool:
        return type(self.command) in VOCABULARIES[self.protocol].answers

    def __str__(self) -> str:
        return f"{self.protocol}-{self.dialect}-{self.command.name}"


def _to_the_box(protocol: str, wire: bytes) -> bytes:
    """A box that is known by 15 digits calls itself by 12 of them in tk103."""
    return wire.replace(ID.encode(), f"0{ID[4:]}".encode()) if protocol == "tk103" else wire


CASES = [
    *(Case(name, way, said, _to_the_box(name, wire.encode())) for name, way, said, wire in WIRE),
    *(Case("gt06", way, said, bytes.fromhex(wire)) for way, said, wire in BINARY),
]
UNKNOWN_TO_BOXES = {"(000000001234AA00)", "*HQ,1,S17,010203#", "[begin]sms2,any text,[end]"}
OBEYED = [case for case in CASES if case.wire.decode("latin-1") not in UNKNOWN_TO_BOXES]
TELLING_ANYWAY = {
    "gps103": (c.RequestPosition, c.SetInterval),
    "tk103": (c.RequestPosition, c.ResumeEngine),
}
"""What the next report answers, whether the command was heard or not."""


class Call:
    """A connection with a simulated box, and what it said since the command."""

    def __init__(self, tiny: TinyBridge, simulator: Simulator, case: Case) -> None:
        self.tiny = tiny
        self.simulator = simulator
        self.box = simulator.tracker
        self.done: list[Happened] = []
        self._case = case
        self._since = 0

    async def tell(self) -> None:
        await self.tiny.until(lambda: any(map(is_position, self.tiny.events)))
        self._since = len(self.tiny.events)
        self.tiny.send(self._case.wire)

    @property
    def said(self) -> list[Message]:
        events = self.tiny.events[self._since :]
        return [message for event in events for message in event.messages]

    @property
    def reports(self) -> list[Report]:
        return [message for message in self.said if isinstance(message, Report)]

    @property
    def outcomes(self) -> list[Outcome]:
        judge = VOCABULARIES[self._case.protocol].answers[type(self._case.command)]
        return [found for message in self.said if (found := judge(message)) is not None]

    async def answered(self, times: int = 1) -> Outcome:
        await self.tiny.until(lambda: len(self.outcomes) >= times)
        return self.outcomes[times - 1]

    async def taken(self) -> None:
        """Wait until the box has made up its mind, whatever it says."""
        await self.tiny.until(
            lambda: bool({Happened.OBEYED, Happened.IGNORED}.intersection(self.done))
        )

    async def later(self, reports: int = 2) -> None:
        """Wait for some more reports, at the interval."""
        until = len(self.reports) + reports
        await self.tiny.until(lambda: len(self.reports) >= until)


@asynccontextmanager
async def call(case: Case, transport: str, **more: Any) -> AsyncIterator[Call]:
    """Let a box with these options report to a tiny bridge."""
    async with bridge(_without_receipts, transport) as tiny:
        options = Options(**{
            "protocol": case.protocol, "transport": transport, "port": tiny.port, "device_id": ID,
            "interval_s": 10, "heartbeat_s": 50_000, "speed_up": HURRY, "reply_timeout_s": PATIENCE,
            "backoff_s": 10, "jitter_s": 0, **more,
        })  # fmt: skip
        said: list[Happened] = []

        def watch(event: Event) -> None:
            said.append(event.kind)
            tiny.heard.set()

        begun = time.monotonic()
        simulator = Simulator(
            options,
            now=lambda: MORNING + timedelta(seconds=time.monotonic() - begun),
            on_event=watch,
        )
        here = Call(tiny, simulator, case)
        here.done = said
        running = asyncio.create_task(simulator.run())
        try:
            yield here
        finally:
            simulator.stop()
            await running


def _without_receipts(event: Received) -> bytes:
    """The command under test is the only one."""
    return event.reply


def _start_s(case: Case) -> float:
    return PARKED_AT_S if isinstance(case.command, c.Arm) else 0.0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("case", OBEYED, ids=str)
async def test_a_box_obeys_and_answers(case: Case, transport: str) -> None:
    async with call(case, transport, start_s=_start_s(case)) as box:
        await box.tell()
        await box.taken()
        assert Happened.IGNORED not in box.done
        if case.answers:
            assert await box.answered() is DONE


EFFECTS: dict[type[c.Command], dict[str, Any]] = {
    c.StopReporting: {"interval_s": None},
    c.Arm: {"armed": True},
    c.Disarm: {"armed": False},
    c.StopEngine: {"engine_cut": True},
    c.ResumeEngine: {"engine_cut": False},
    c.Reboot: {"wish": Wish.RECONNECT},
}


@pytest.mark.parametrize("case", [one for one in OBEYED if type(one.command) in EFFECTS], ids=str)
async def test_what_a_box_was_told_shows(case: Case) -> None:
    async with call(case, "tcp", start_s=_start_s(case)) as box:
        box.box.armed = isinstance(case.command, c.Disarm)
        box.box.engine_cut = isinstance(case.command, c.ResumeEngine)
        await box.tell()
        await box.taken()
        effects = EFFECTS[type(case.command)]
        assert {name: getattr(box.box, name) for name in effects} == effects


@pytest.mark.parametrize("protocol", ["tk103", "h02"])
async def test_a_cut_engine_shows_in_every_later_report(protocol: str) -> None:
    case = next(one for one in OBEYED if one[:3] == (protocol, one.dialect, c.StopEngine()))
    async with call(case, "tcp") as box:
        await box.tell()
        await box.answered()
        await box.later()
        assert [one.status.engine_cut for one in box.reports[-2:]] == [True, True]


@pytest.mark.parametrize(
    "case",
    [one for one in OBEYED if one.command in (c.SetInterval(seconds=10), c.SetInterval(seconds=60))
     and one.dialect != "sms"],
    ids=str,
)  # fmt: skip
def test_reports_come_as_often_as_was_asked_for(case: Case) -> None:
    assert isinstance(case.command, c.SetInterval)
    talk = Talk(protocol=case.protocol, device_id=ID, interval_s=30)
    talk.connect()
    talk.tell(case.wire)
    talk.wait(400)
    times = sorted(_times(talk.reports))[-4:]
    assert [(later - earlier).total_seconds() for earlier, later in pairwise(times)] == [
        case.command.seconds
    ] * 3


REFUSALS = {
    ("gps103", c.Arm): REFUSED,
    **{("h02", kind): REFUSED for kind in VOCABULARIES["h02"].kinds()},
    **{("gt06", kind): REFUSED for kind in VOCABULARIES["gt06"].kinds()},
}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    "case", [one for one in OBEYED if (one.protocol, type(one.command)) in REFUSALS], ids=str
)
async def test_a_box_that_will_not_says_so(case: Case, transport: str) -> None:
    async with call(case, transport, commands=Obedience.REFUSE, start_s=_start_s(case)) as box:
        before = (box.box.armed, box.box.engine_cut, box.box.interval_s)
        await box.tell()
        assert await box.answered() is REFUSED
        assert (box.box.armed, box.box.engine_cut, box.box.interval_s) == before


@pytest.mark.parametrize("case", [one for one in OBEYED if isinstance(one.command, c.Arm)], ids=str)
async def test_with_the_ignition_on_it_cannot_be_armed(case: Case) -> None:
    async with call(case, "tcp", start_s=DRIVING_S) as box:
        await box.tell()
        refuses = case.protocol == "gps103"
        assert await box.answered() is (REFUSED if refuses else DONE)
        assert box.box.armed is not refuses


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_above_20_kmh_the_engine_is_cut_later(transport: str) -> None:
    case = next(one for one in OBEYED if one[:3] == ("gps103", "numbers", c.StopEngine()))
    async with call(case, transport, start_s=DRIVING_S, interval_s=5) as box:
        await box.tell()
        assert await box.answered() is LATER
        assert not box.box.engine_cut
        assert await box.answered(2) is DONE
        assert box.box.engine_cut


def _is_silence(case: Case) -> bool:
    return case.answers and not isinstance(case.command, TELLING_ANYWAY.get(case.protocol, ()))


@pytest.mark.parametrize("manner", [Obedience.SILENT, Obedience.DEAF])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("case", list(filter(_is_silence, OBEYED)), ids=str)
async def test_a_box_that_says_nothing(case: Case, transport: str, manner: Obedience) -> None:
    async with call(case, transport, commands=manner, start_s=_start_s(case)) as box:
        await box.tell()
        await box.taken()
        heard = manner is Obedience.SILENT
        assert (Happened.OBEYED in box.done) is heard
        if not (heard and isinstance(case.command, c.StopReporting)):
            await box.later()
        told = heard and case.protocol == "tk103" and isinstance(case.command, c.StopEngine)
        assert box.outcomes == ([DONE] * len(box.outcomes) if told else [])


@pytest.mark.parametrize(
    ("spoken", "other"), [(Dialect.LETTERS, "numbers"), (Dialect.NUMBERS, "letters")]
)
async def test_the_other_dialect_is_not_understood(spoken: Dialect, other: str) -> None:
    case = next(one for one in OBEYED if one[:3] == ("gps103", other, c.ResumeEngine()))
    async with call(case, "tcp", dialect=spoken) as box:
        await box.tell()
        await box.taken()
        await box.later()
        assert not box.outcomes
        shown = {VOCABULARIES["gps103"].shows(message) for message in box.said} - {None}
        assert shown == {spoken}


@pytest.mark.parametrize(("protocol", "dialect"), [("xexun", "powercar"), ("gt06", "dyd")])
async def test_only_the_right_password_is_obeyed(protocol: str, dialect: str) -> None:
    target = Target(device_id=ID, now=NOW, password="654321", dialect=dialect)  # noqa: S106 - made up
    said = encode(protocol, VOCABULARIES[protocol], c.StopEngine(), target)
    for password, cut in (("123456", False), ("654321", True)):
        case = Case(protocol, dialect, c.StopEngine(), said)
        async with call(case, "tcp", password=password) as box:
            await box.tell()
            await box.taken()
            assert box.box.engine_cut is cut


@pytest.mark.parametrize("dialect", ["letters", "numbers"])
async def test_a_day_is_uploaded_from_the_card(dialect: str) -> None:
    """What was made without a connection comes with its old times, and an end."""
    command = c.UploadLog(day=(MORNING + timedelta(hours=8)).date())  # by the box's own clock
    target = Target(device_id=ID, now=NOW, dialect=dialect)
    word = encode("gps103", VOCABULARIES["gps103"], command, target)
    lost = []

    def moody(event: Received) -> bytes:
        if is_position(event) and not lost:
            lost.append(event)
            return HANG_UP
        return event.reply

    async with call(Case("gps103", dialect, command, word), "tcp", card=True, backoff_s=60) as box:
        box.tiny.answer = moody
        await box.tiny.until(lambda: len(box.tiny.reports) >= 3)
        before = {event.frame for event in box.tiny.events}
        made = {frame for _, frame in box.box.log}
        assert made - before  # while it was gone
        await box.tell()
        assert await box.answered() is DONE
        assert made <= {event.frame for event in box.tiny.events}
        replayed = [one for one in box.reports if "replayed" in one.extra]
        assert bool(replayed) is (dialect == "letters")  # which are told to be old


def _times(reports: list[Report]) -> set[datetime]:
    return {one.fix.time for one in reports if one.fix and one.fix.time}
