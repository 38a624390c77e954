"""The simulated tracker on real sockets, against a tiny bridge on 127.0.0.1."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import product

import pytest

from bridge.errors import BridgeError
from bridge.model import Alarm
from bridge.protocols.connection import Received
from bridge.protocols.gt06.framing import SHORT, build
from bridge.simulator import AlarmAt, Happened, Options, Simulator, Span, Summary, run
from bridge.simulator.languages import LANGUAGES
from tests.bridge.tiny import HANG_UP, bridge, is_position, polite
from tests.conftest import free_port

NAMES = [row.name for row in LANGUAGES]
HURRY = 300  # a heartbeat each fifth of a second
PATIENCE = 600  # two seconds: a slow machine is no missing reply
LOGINS = {"gps103": b"##,", "tk103": b"BP00", "gt06": b"\x78\x78\x11\x01"}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_run_delivers_its_reports_and_sums_up(name, transport):
    async with bridge(transport=transport) as tiny:
        options = Options(
            protocol=name, transport=transport, port=tiny.port, count=5, speed_up=HURRY,
            reply_timeout_s=PATIENCE,
            alarms=(AlarmAt(Alarm.SOS, 3),), tunnel=Span(2, 2),
        )  # fmt: skip
        summary = await run(options)
        await tiny.hear_out(summary.frames)
        reports = [said for said in tiny.reports if said.keyword not in {"BP05", "et", "0x13"}]
        assert [report.alarm for report in reports] == [None, None, Alarm.SOS, None, None]
        assert [bool(report.fix and report.fix.valid) for report in reports][1] is False
        stamps = [report.fix.time for report in reports if report.fix]
        assert stamps == sorted(stamps)
        assert (summary.reports, summary.connections, summary.alarms) == (5, 1, 1)
        assert summary.acknowledged == (name == "gps103")
        assert summary.frames == len(tiny.events)
        assert f"frames sent: {len(tiny.events)}, reports: 5" in str(summary)


async def test_the_login_is_repeated_until_it_is_answered():
    heard = []

    def reluctant(event: Received) -> bytes:
        heard.append(event.frame)
        return polite(event) if len(heard) > 1 else b""

    async with bridge(reluctant) as tiny:
        await run(Options(port=tiny.port, count=1, reply_timeout_s=PATIENCE, speed_up=HURRY))
    login = b"##,imei:864000000000101,A;"
    assert heard[:2] == [login, login]
    assert heard[2].startswith(b"imei:")


async def test_sos_rings_until_the_third_is_acknowledged():
    rung = []

    def slow(event: Received) -> bytes:
        if event.receipt:
            rung.append(event)
            return event.receipt if len(rung) == 3 else b""
        return polite(event)

    async with bridge(slow) as tiny:
        options = Options(
            port=tiny.port, alarms=(AlarmAt(Alarm.SOS, 1),), repeat_s=300, speed_up=HURRY
        )
        simulator = Simulator(
            options, on_event=lambda event: event.kind is Happened.ACKNOWLEDGED and simulator.stop()
        )
        summary = await simulator.run()
    assert (len(rung), summary.alarms, summary.acknowledged) == (3, 1, 1)


@pytest.mark.parametrize(
    ("name", "command", "answer"),
    [
        ("gps103", b"**,imei:864000000000101,J", "jt"),
        ("tk103", b"(000000000103AP00)", "BP04"),
        ("h02", b"*HQ,8640000105,S20,102030,1,1#", "V4"),
        ("gt06", build(SHORT, 0x80, b"\0\0", b"\x0c\0\0\0\0Relay,1#"), "0x15"),
    ],
)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_command_is_obeyed(name, command, answer, transport):
    told = []

    def commanding(event: Received) -> bytes:
        if is_position(event) and not told:
            told.append(command)
            return polite(event) + command
        return polite(event)

    async with bridge(commanding, transport) as tiny:
        options = Options(
            protocol=name, transport=transport, port=tiny.port, count=2, speed_up=HURRY,
            reply_timeout_s=PATIENCE,
        )  # fmt: skip
        summary = await run(options)
        assert answer in tiny.keywords()
        assert summary.commands == 1


@pytest.mark.parametrize("name", NAMES)
async def test_a_lost_connection_is_dialled_anew_with_a_login(name):
    lost = []

    def moody(event: Received) -> bytes:
        if is_position(event) and not lost:
            lost.append(event)
            return HANG_UP
        return polite(event)

    seen = []
    async with bridge(moody) as tiny:
        options = Options(
            protocol=name, port=tiny.port, count=3, speed_up=HURRY, reply_timeout_s=PATIENCE
        )
        summary = await run(options, on_event=lambda event: seen.append(event.kind))
        if name in LOGINS:
            openings = sum(LOGINS[name] in event.frame for event in tiny.events)
            assert openings == 2 + (name == "tk103")  # whose heartbeat looks like its login
        assert (summary.reports, summary.connections) == (3, 2)
        assert seen.count(Happened.LOGGED_IN) == seen.count(Happened.DISCONNECTED) == 2


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_where_nobody_listens_the_run_is_given_up(transport):
    port = free_port()
    async with asyncio.timeout(10):
        with pytest.raises(BridgeError, match=f"127.0.0.1:{port}"):
            await run(Options(port=port, transport=transport, attempts=2, speed_up=HURRY))


async def test_a_bridge_that_never_replies_is_given_up():
    async with bridge(lambda _event: b"") as tiny:
        with pytest.raises(BridgeError, match="does not reply"):
            await run(Options(port=tiny.port, attempts=1, speed_up=HURRY))
        await tiny.hear_out(3)
        assert len(tiny.events) == 3


async def test_without_waiting_a_silent_bridge_gets_everything():
    async with bridge(lambda _event: b"") as tiny:
        summary = await run(Options(port=tiny.port, count=20, interval_s=0, wait=False))
        await tiny.hear_out(21)
        assert (summary.reports, len(tiny.events)) == (20, 21)


async def test_fragments_arrive_as_frames():
    async with bridge() as tiny:
        await run(Options(port=tiny.port, count=2, interval_s=0, fragment=7))
        assert tiny.keywords() == ["tracker", "tracker"]
        assert tiny.reads > 2 * len(tiny.events)


@pytest.mark.parametrize(
    ("name", "transport"),
    # Nothing holds up the datagrams of xexun, which are never answered.
    [pair for pair in product(NAMES, ["tcp", "udp"]) if pair != ("xexun", "udp")],
)
async def test_without_pause_nothing_is_lost(name, transport):
    async with bridge(transport=transport) as tiny:
        options = Options(
            protocol=name, transport=transport, port=tiny.port, count=300, interval_s=0
        )
        summary = await run(options)
        stamps = {report.fix.time for report in tiny.reports if report.fix}
        assert (summary.reports, len(stamps)) == (300, 300)
        assert max(stamps) <= datetime.now(UTC)


async def test_a_run_without_end_can_be_stopped():
    async with bridge() as tiny:
        simulator = Simulator(Options(port=tiny.port))
        tiny.answer = lambda event: simulator.stop() or polite(event)
        assert (await simulator.run()).connections == 1


async def test_stamps_come_from_the_clock_that_is_given():
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    async with bridge() as tiny:
        summary = await run(Options(port=tiny.port, count=1), now=lambda: noon)
        assert isinstance(summary, Summary)
        assert [report.fix.time.hour for report in tiny.reports] == [12]
