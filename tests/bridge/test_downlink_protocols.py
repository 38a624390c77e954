"""Every command of every protocol and dialect, from the wish to the box and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import command as c
from bridge import gaps
from bridge.config import Permits, VehicleConfig
from bridge.history import Span
from bridge.options import Secret
from bridge.orders import Order, Status
from bridge.simulator import Obedience
from bridge.vehicle import Ordered
from tests.bridge.boxes import OPEN_S, Box, Transport, calling, parked, passing, taken
from tests.bridge.giving import fix, give, golf, look, said, steps, told
from tests.bridge.port import GOLF, VAN, Port, Wire, login, serving
from tests.bridge.test_commands import ID, NOW
from tests.bridge.test_simulator_commands import CASES, UNKNOWN_TO_BOXES, Case
from tests.conftest import eventually

QUEUED, SENT, DONE = ("queued", ""), ("sent", ""), ("acknowledged", "")
REFUSED, LATER, UNANSWERED = ("refused", ""), ("postponed", ""), ("timed_out", "no_answer")
PERMITS = Permits(engine_stop=True, raw=True)

TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp")


def newest(port: Port, key: str) -> Order:
    """Return the newest step of a vehicle's commands."""
    rows = (row for _, of, row in reversed(port.world.reports) if of == key)
    return next(row.order for row in rows if isinstance(row, Ordered))


def outgoing(port: Port, tracker_id: str) -> list[bytes]:
    """Return what the journal says was sent to a tracker."""
    frames = port.journal.frames_of(tracker_id)
    return [frame.data for frame in frames if frame.direction == "out"]


# --- every command --------------------------------------------------------------------------------

KEYS = {"obeys": ID, "refuses": f"{ID[:-4]}2234", "silent": f"{ID[:-4]}3234"}
MANNERS = dict(zip(KEYS, (Obedience.OBEY, Obedience.REFUSE, Obedience.SILENT), strict=True))

SAYS_NO = {
    ("gps103", "letters", "arm"): REFUSED,
    ("gps103", "numbers", "arm"): REFUSED,
    ("gps103", "numbers", "engine_stop"): LATER,
    **{("h02", way, word): REFUSED for way in ("s71", "d1") for word in
       ("set_interval", "arm", "disarm", "engine_stop", "engine_resume")},
    **{("gt06", way, word): REFUSED for way in ("relay", "dyd") for word in
       ("engine_stop", "engine_resume", "raw")},
}  # fmt: skip
"""What is told of a box that will not, where its protocol has a word for that."""
ENGINE_STOPS = (c.StopEngine(), c.SwitchOutput(data="1"), c.Raw(text="powercar123456 11"))


def _documented() -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what docs/commands.md says becomes of a command: answered or sent."""
    text = (Path(__file__).parents[2] / "docs/commands.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    table = [[cell.strip(" `") for cell in row] for row in rows if len(row) == 7]
    for word, *cells in table[1:]:
        for protocol, cell in zip(table[0][1:], cells, strict=True):
            yield (word, protocol), re.sub(r" .*", "", cell)


DOCUMENTED = dict(_documented())


def _once() -> list[Case]:
    """Return a row for each command of each dialect, and for each way it can be switched."""
    rows = {
        (case.protocol, case.dialect, case.command.name, getattr(case.command, "enabled", None)): (
            case
        )
        for case in reversed(CASES)
    }
    return [*reversed(rows.values())]


def expected(case: Case, transport: Transport, manner: str) -> list[tuple[str, str]]:
    """Return the steps that docs/commands.md has for this."""
    word = case.command.name
    if transport == "udp" and case.command in ENGINE_STOPS:
        return [("refused", "needs_tcp")]
    if DOCUMENTED[word, case.protocol] == "sent":
        return [QUEUED, SENT]
    if manner == "obeys" and case.wire.decode("latin-1") not in UNKNOWN_TO_BOXES:
        return [QUEUED, SENT, DONE]
    if manner == "refuses":
        return [QUEUED, SENT, SAYS_NO.get((case.protocol, case.dialect, word), UNANSWERED)]
    return [QUEUED, SENT, UNANSWERED]


def _to(case: Case, tracker_id: str) -> bytes:
    """Return the bytes of a case for another box: those of xexun and gt06 name none."""
    wire = case.wire.replace(ID.encode(), tracker_id.encode())
    return wire.replace(ID[4:].encode(), tracker_id[4:].encode())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", _once(), ids=str)
async def test_what_is_told_of_a_command(case: Case, transport: Transport, tmp_path: Path) -> None:
    cars = [VehicleConfig(key=key, dialect=case.dialect, commands=PERMITS) for key in KEYS]
    vehicles = {tracker_id: key for key, tracker_id in KEYS.items()}
    async with serving(tmp_path, cars=tuple(cars), vehicles=vehicles) as port:
        port.clock.now = NOW - timedelta(seconds=OPEN_S)  # the bytes of h02 hold the time
        boxes = {
            key: Box(port, transport, protocol=case.protocol, device_id=KEYS[key], commands=manner)
            for key, manner in MANNERS.items()
        }
        async with calling(port, *boxes.values()):
            await parked(port, *boxes.values())
            for key in boxes:
                give(port, case.command, key=key, transaction="t", by="a test")
            goes_out = {key: SENT in expected(case, transport, key) for key in boxes}
            await eventually(lambda: all(boxes[key].heard or not goes_out[key] for key in boxes))
            await taken(port, *boxes.values())
            look(port, 61)
            for key, box in boxes.items():
                await told(port, *expected(case, transport, key), key=key)
                await _check(port, case, box, key, goes_out=goes_out[key])


async def _check(port: Port, case: Case, box: Box, key: str, *, goes_out: bool) -> None:
    order, wire = newest(port, key), _to(case, KEYS[key])
    assert order.final
    assert (order.transaction, order.by) == ("t", "a test")
    await eventually(lambda: outgoing(port, KEYS[key]).count(wire) == goes_out)
    assert len(box.heard) == goes_out
    assert all(wire.startswith(phrase) for phrase in box.heard)
    assert not box.tracker.engine_cut or (goes_out and case.command in ENGINE_STOPS)
    if goes_out:
        assert (order.via, order.tracker) == (box.settings.transport, KEYS[key])
    answered = order.status in (Status.ACKNOWLEDGED, Status.REFUSED, Status.POSTPONED)
    assert bool(order.answer) is (answered and goes_out)
    assert bool(order.advice) is (order.reason == "no_answer" and case.protocol == "gps103")


# --- the engine -----------------------------------------------------------------------------------

STOPPABLE = [case for case in _once() if isinstance(case.command, c.StopEngine)]


@pytest.mark.parametrize("case", STOPPABLE, ids=str)
async def test_a_parked_car_is_stopped_and_resumed(case: Case, tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", dialect=case.dialect, commands=PERMITS)
    async with serving(tmp_path, cars=(car,)) as port:
        box = Box(port, "tcp", protocol=case.protocol, device_id=GOLF)
        async with calling(port, box):
            assert give(port, c.StopEngine()).reason == "session_not_trusted"
            await parked(port, box)
            for command, cut in ((c.StopEngine(), True), (c.ResumeEngine(), False)):
                give(port, command)
                await eventually(lambda cut=cut: box.tracker.engine_cut is cut)
                if case.answers:
                    state = port.intake.vehicles["golf"]
                    await eventually(
                        lambda cut=cut, state=state: state.state.values.get("engine_cut") is cut
                    )
                await passing(port, 1, box)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("protocol", "dialect"), [("xexun", "powercar"), ("gt06", "dyd")])
async def test_an_owners_password_goes_to_the_tracker_and_nowhere_else(
    protocol: str, dialect: str, transport: Transport, tmp_path: Path
) -> None:
    car = VehicleConfig(key="golf", dialect=dialect, password=Secret("246810"))
    async with serving(tmp_path, cars=(car,)) as port:
        box = Box(port, transport, protocol=protocol, device_id=GOLF, password="246810")  # noqa: S106 - made up
        box.tracker.engine_cut = True
        async with calling(port, box):
            await parked(port, box)
            give(port, c.ResumeEngine(), ttl_s=60)
            if transport == "udp":
                look(port, 61)
                await told(port, QUEUED, ("timed_out", "session_not_trusted"))
                assert not box.heard
                return
            await eventually(lambda: not box.tracker.engine_cut)
            await eventually(lambda: any(b"******" in data for data in outgoing(port, GOLF)))
            assert not any(b"246810" in data for data in outgoing(port, GOLF))


DRIVING_OFF_S = 72.5
"""Into the route: 85 s later the car waits at a light, and 16 s after that goes 20 km/h."""


@pytest.mark.parametrize(
    ("protocol", "dialect", "expected"),
    [
        ("gps103", "numbers", [QUEUED, SENT, LATER, DONE]),
        ("gps103", "letters", [QUEUED, SENT, UNANSWERED]),
        ("gt06", "relay", [QUEUED, SENT, REFUSED]),
    ],
)
async def test_a_car_that_drives_off_is_stopped_when_it_is_slow(
    protocol: str, dialect: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    car = VehicleConfig(key="golf", dialect=dialect, commands=PERMITS)
    async with serving(tmp_path, cars=(car,)) as port:
        box = Box(port, "tcp", protocol=protocol, device_id=GOLF, interval_s=17,
                  start_s=DRIVING_OFF_S)  # fmt: skip
        async with calling(port, box):
            for _ in range(5):
                await passing(port, 17, box)
            await passing(port, 16, box)
            give(port, c.StopEngine())
            await eventually(lambda: box.heard)
            await taken(port, box)
            assert box.tracker.place.speed_kmh > 20
            assert not box.tracker.engine_cut
            for _ in range(20):
                look(port, 17)
                await box.wake()
                await taken(port, box)
            await told(port, *expected)
            stops = protocol == "gps103"
            assert box.tracker.engine_cut is stops
            # Where nobody waits for it any more, a report that shows it is believed all the same.
            assert port.intake.vehicles["golf"].state.values.get("engine_cut", False) is stops


# --- who is who -----------------------------------------------------------------------------------


def _short(tracker_id: str) -> str:
    return f"0{tracker_id[4:]}"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_gateway_carries_words_to_each_of_its_trackers(
    transport: Transport, tmp_path: Path
) -> None:
    async with serving(tmp_path) as port:
        wire = await port.dial() if transport == "tcp" else port.datagram()
        for tracker_id in (GOLF, VAN):
            await wire.say(login(tracker_id))
            await wire.hear(b"LOAD")
        for key, tracker_id in (("golf", GOLF), ("van", VAN)):
            give(port, c.Arm(), key=key)
            await wire.hear(golf("L").replace(GOLF.encode(), tracker_id.encode()))
        await said(port, wire, fix(port, keyword="lt").replace(GOLF.encode(), VAN.encode()))
        await told(port, QUEUED, SENT, DONE, key="van")
        assert steps(port) == [QUEUED, SENT]
        await said(port, wire, fix(port, keyword="lf"))
        await told(port, QUEUED, SENT, REFUSED)


async def test_trackers_are_called_as_they_call_themselves(tmp_path: Path) -> None:
    """In tk103 an IMEI has twelve digits: by these a gateway's trackers are told apart, too."""
    async with serving(tmp_path) as port:
        wire = await port.dial()
        for tracker_id in (GOLF, VAN):
            await wire.say(f"({_short(tracker_id)}BP00{tracker_id}HSO)".encode())
            await wire.hear(f"({_short(tracker_id)}AP01HSO)".encode())
        for key, tracker_id in (("golf", GOLF), ("van", VAN)):
            give(port, c.RequestVersion(), key=key)
            await wire.hear(f"({_short(tracker_id)}AP07)".encode())
        await said(port, wire, f"({_short(VAN)},ZC03,010326,120000,$made up$)".encode())
        await told(port, QUEUED, SENT, DONE, key="van")
        assert (newest(port, "van").tracker, newest(port, "van").answer) == (VAN, "made up")
        assert steps(port) == [QUEUED, SENT]


async def _one_on_its_way_and_one_behind_it(port: Port) -> Wire:
    wire = await port.known(GOLF)
    give(port, c.Arm(), transaction="first")
    await wire.hear(golf("L"))
    give(port, c.Disarm())
    await told(port, QUEUED, SENT, QUEUED)
    return wire


async def test_another_tracker_obeys_what_waited_and_answers_nothing_else(tmp_path: Path) -> None:
    new = "864000000004444"
    async with serving(tmp_path) as port:
        wire = await _one_on_its_way_and_one_behind_it(port)
        port.intake.replaced(port.intake.registry.replace("golf", "", new), new)
        await wire.hung_up()
        wire = await port.known(new)
        await said(port, wire, fix(port, keyword="lt").replace(GOLF.encode(), new.encode()))
        assert steps(port) == [QUEUED, SENT, QUEUED]
        look(port, 61)
        await wire.hear(golf("M").replace(GOLF.encode(), new.encode()))
        await said(port, wire, fix(port, keyword="mt").replace(GOLF.encode(), new.encode()))
        await told(port, QUEUED, SENT, QUEUED, UNANSWERED, SENT, DONE)
        assert newest(port, "golf").tracker == new


async def test_a_vehicle_that_is_removed_is_told_nothing_until_it_returns(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await _one_on_its_way_and_one_behind_it(port)
        port.intake.remove("golf", block=False, purge=False)
        await wire.hung_up()
        look(port, 61)
        assert steps(port) == [QUEUED, SENT, QUEUED]
        port.intake.accept(GOLF, key="golf", now=port.clock.now)
        assert give(port, c.Arm(), transaction="first").status is Status.SENT  # the same one
        wire = await port.known(GOLF)
        assert wire.is_silent()
        look(port, 1)
        await wire.hear(golf("M"))
        await told(port, QUEUED, SENT, QUEUED, UNANSWERED, SENT)


async def test_what_waited_for_a_removed_vehicle_grows_old(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        await _one_on_its_way_and_one_behind_it(port)
        port.intake.remove("golf", block=False, purge=False)
        port.clock.advance(2 * 3600)
        port.intake.accept(GOLF, key="golf", now=port.clock.now)
        look(port, 1)
        await told(port, QUEUED, SENT, QUEUED, UNANSWERED, ("timed_out", "not_connected"))


async def test_with_a_vehicles_history_its_commands_are_gone(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        await _one_on_its_way_and_one_behind_it(port)
        port.intake.remove("golf", block=False, purge=True)
        port.intake.accept(GOLF, key="golf", now=port.clock.now)
        wire = await port.known(GOLF)
        assert not port.intake.vehicles["golf"].folded.orders
        give(port, c.Arm(), transaction="first")
        await wire.hear(golf("L"))


@pytest.mark.parametrize(("word", "last"), [("lt", DONE), ("lf", REFUSED), ("tracker", UNANSWERED)])
async def test_one_on_its_way_outlives_the_bridge(
    word: str, last: tuple[str, str], tmp_path: Path
) -> None:
    async with serving(tmp_path) as port:
        await _one_on_its_way_and_one_behind_it(port)
    async with serving(tmp_path, vehicles={}) as port:
        wire = await port.known(GOLF)
        await said(port, wire, fix(port, keyword=word))
        look(port, 61)
        await wire.hear(golf("M"))  # the next one, and nothing twice
        await told(port, last, SENT)


# --- the memory card ------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["letters", "numbers"])
async def test_what_a_card_holds_closes_the_gap(dialect: str, tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", dialect=dialect)
    async with serving(tmp_path, cars=(car,)) as port:
        box = Box(port, "tcp", device_id=GOLF, interval_s=60, start_s=192.0, card=True)

        def found() -> list[gaps.Gap]:
            day = timedelta(days=1)
            span = Span(port.clock.now - day, port.clock.now + day)
            return gaps.of_vehicle(port.journal, "golf", span)

        async with calling(port, box):
            await passing(port, 60, box)
        for _ in range(12):
            port.clock.advance(60)
            await box.wake()
        box.said = port.counters.messages
        async with calling(port, box):
            for _ in range(2):
                await passing(port, 450, box)
            await eventually(found)
            (day,) = gaps.days(found())
            box.most = 4
            give(port, c.UploadLog(day=day))
            for _ in range(3):  # slow, but it goes on for longer than an answer may take
                await eventually(lambda: box.most == 0)
                await taken(port, box)
                look(port, 50)
                box.most = 3
                await box.say([])
            box.most = None
            await box.say([])
            await told(port, QUEUED, SENT, DONE)
            await eventually(lambda: not found())
        told_of = [event for event in port.world.events if event["type"] == "upload"]
        assert {event["vehicle"] for event in told_of} == {"golf"}
        assert {event["day"] for event in told_of} == {day}
        assert [event["done"] for event in told_of] == [False] * (len(told_of) - 1) + [True]
        points = [event["points"] for event in told_of]
        assert points == sorted(points)
        assert len(points) > 1
        if dialect == "letters":  # in numbers nothing but its age tells a point of an upload
            assert points[-1] == len(box.tracker.log)
