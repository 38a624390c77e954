"""Commands on the tracker port: real sockets, a real journal; disk and clock in our hand."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge import abilities, episodes
from bridge import command as c
from bridge.config import Permits, VehicleConfig
from bridge.errors import RequestError
from bridge.options import Secret
from bridge.orders import Order, Status, Wish
from bridge.payloads import Place
from bridge.sinks import messages
from bridge.vehicle import Ordered
from tests.bridge.port import (
    BOX,
    BOX_LOGIN,
    BOX_WELCOME,
    GOLF,
    NOON,
    ON,
    VAN,
    Port,
    Wire,
    heartbeat,
    login,
    serving,
)
from tests.conftest import eventually

ALLOWED = VehicleConfig(key="golf", commands=Permits(engine_stop=True))


def golf(word: str) -> bytes:
    return f"**,imei:{GOLF},{word}".encode()


def fix(
    port: Port, *, speed_kmh: float = 0.0, minutes: float = 31.1, keyword: str = "tracker"
) -> bytes:
    """A report of this moment."""
    now = port.clock.now
    knots = speed_kmh / 1.852
    return (
        f"imei:{GOLF},{keyword},{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
        f"52{minutes:07.4f},N,01324.6000,E,{knots:.2f},90.50;"
    ).encode()


def steps(port: Port, key: str = "golf") -> list[tuple[str, str]]:
    """What the journal tells of commands: status and reason, in order."""
    return [
        (str(row.order.status), row.order.reason)
        for _, vehicle, row in port.world.reports
        if vehicle == key and isinstance(row, Ordered)
    ]


def give(port: Port, command: c.Command, key: str = "golf", **more: Any) -> Order:
    return port.intake.command(key, Wish(command, **more))


def look(port: Port, seconds: float) -> None:
    port.clock.advance(seconds)
    for live in port.intake.vehicles.values():
        port.intake.downlink.look(live)


async def told(port: Port, *expected: tuple[str, str], key: str = "golf") -> None:
    await eventually(lambda: len(steps(port, key)) >= len(expected))
    assert tuple(steps(port, key)) == expected


async def standing(port: Port, *, speed_kmh: float = 0.0, address: str = "127.0.0.1") -> Wire:
    """Connect as the golf and report twice, so that all gates are open (if it stands)."""
    wire = await port.known(GOLF, address)
    for seconds in (50, 11):
        port.clock.advance(seconds)
        before = port.counters.messages
        await wire.say(fix(port, speed_kmh=speed_kmh))
        await port.taken(before + 1)
    return wire


# --- the life of a command ------------------------------------------------------------------------


async def test_a_command_is_sent_and_the_answer_ends_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        order = give(port, c.RequestPosition(), transaction="t1", by="a test")
        assert order.status is Status.QUEUED
        await wire.hear(golf("B"))
        await wire.say(fix(port))
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""))
        (ended,) = port.intake.vehicles["golf"].state.orders
        assert (ended.id, ended.transaction, ended.via) == (order.id, "t1", "tcp")
        assert (ended.tracker, ended.answer, ended.final) == (GOLF, "tracker", True)


async def test_one_at_a_time_and_in_their_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        give(port, c.SpeedLimit(kmh=90))
        await wire.hear(golf("L"))
        await wire.say(fix(port, keyword="lt"))
        await wire.hear(golf("H,090"))
        assert wire.is_silent()
        await eventually(lambda: port.intake.vehicles["golf"].state.values.get("armed") is True)


async def test_without_a_tracker_it_waits_until_one_comes(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        give(port, c.RequestPosition())
        look(port, 600)
        await told(port, ("queued", ""))
        wire = await port.dial()
        await wire.say(login(GOLF))
        await wire.hear(b"LOAD" + golf("B"))


async def test_what_waited_for_too_long_is_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        give(port, c.RequestPosition(), ttl_s=60)
        look(port, 61)
        await told(port, ("queued", ""), ("timed_out", "not_connected"))
        wire = await port.known(GOLF)
        assert wire.is_silent()


async def test_what_has_waited_for_too_long_is_not_sent_to_one_that_comes_back(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as port:
        give(port, c.Arm(), ttl_s=60)
        port.clock.advance(61)
        wire = await port.known(GOLF)  # before anybody has looked
        await said(port, wire, fix(port))
        assert wire.is_silent()
        assert not any(status == "sent" for status, _ in steps(port))


async def test_what_waited_for_another_ones_answer_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        give(port, c.Disarm(), ttl_s=5)
        await wire.hear(golf("L"))
        look(port, 6)
        await eventually(lambda: ("timed_out", "busy") in steps(port))


async def test_no_answer_ends_it_and_the_next_one_goes(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        give(port, c.Disarm())
        await wire.hear(golf("L"))
        look(port, 61)
        await wire.hear(golf("M"))
        await told(port, ("queued", ""), ("queued", ""), ("sent", ""),
                   ("timed_out", "no_answer"), ("sent", ""))  # fmt: skip


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        await wire.hear(golf("L"))
        await wire.say(fix(port, keyword="lf"))
        await told(port, ("queued", ""), ("sent", ""), ("refused", ""))
        assert "armed" not in port.intake.vehicles["golf"].state.values


async def test_a_command_outlives_the_bridge(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        order = give(port, c.RequestPosition(), transaction=7)
        await told(port, ("queued", ""))
    async with serving(tmp_path, vehicles={}) as port:
        again = give(port, c.RequestPosition(), transaction=7)
        assert again.id == order.id  # a repeat across a restart is one (rule R)
        wire = await port.dial()
        await wire.say(login(GOLF))
        await wire.hear(b"LOAD" + golf("B"))
        assert wire.is_silent()


async def test_a_repeat_returns_what_it_repeats_for_ten_minutes(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        first = give(port, c.Arm(), transaction="x", ttl_s=10)
        assert give(port, c.Arm(), transaction="x").id == first.id
        assert give(port, c.Arm()).id != first.id
        assert give(port, c.Disarm(), transaction="x").id != first.id
        look(port, 11)
        assert give(port, c.Arm(), transaction="x").status is Status.TIMED_OUT
        port.clock.advance(600)
        assert give(port, c.Arm(), transaction="x").id != first.id


async def test_what_a_tracker_has_no_word_for_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        await wire.say(fix(port))
        await eventually(lambda: port.intake.vehicles["golf"].state.protocol)
        order = give(port, c.ResetOdometer())
        assert (order.status, order.reason) == (Status.REFUSED, "unsupported")
        obeys = abilities.commands(port.intake.vehicles["golf"])
        assert {"arm", "request_position", "engine_resume"} < set(obeys)
        assert not {"engine_stop", "raw", "reset_odometer"} & set(obeys)
        give(port, c.SetInterval(seconds=5))
        expected = [("refused", "unsupported"), ("queued", ""), ("refused", "unsupported")]
        await told(port, *expected)
        *_, (_, _, row) = port.world.reports
        assert isinstance(row, Ordered)
        assert "below 10 seconds" in row.order.advice


async def test_the_words_are_those_its_reports_give_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        await wire.say(fix(port, keyword="001"))
        await eventually(lambda: port.intake.vehicles["golf"].dialects)
        give(port, c.Arm())
        await wire.hear(golf("111"))
        await wire.say(fix(port, keyword="511"))
        await told(port, ("queued", ""), ("sent", ""), ("refused", ""))


async def test_the_configured_words_win(tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", dialect="numbers")
    async with serving(tmp_path, cars=(car,)) as port:
        wire = await port.known(GOLF)
        await wire.say(fix(port))
        await eventually(lambda: port.intake.vehicles["golf"].dialects)
        give(port, c.Arm())
        await wire.hear(golf("111"))


async def test_a_datagram_is_answered_with_a_command_while_its_nat_is_fresh(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as port:
        wire = port.datagram()
        await wire.say(login(GOLF))
        await wire.hear(b"LOAD")
        give(port, c.SetInterval(seconds=30))
        await wire.hear(golf("C,30s"))  # longer than any reply may be
        await wire.say(fix(port))
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""))
        port.clock.advance(31)
        give(port, c.RequestPosition())
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""), ("queued", ""))
        assert wire.is_silent()
        await wire.say(heartbeat(GOLF))
        await wire.hear(ON + golf("B"))


async def test_too_many_are_not_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        orders = [give(port, c.Arm()) for _ in range(21)]
        assert [one.reason for one in orders[19:]] == ["", "too_many"]


async def test_an_upload_goes_on_for_as_long_as_it_brings_something(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.UploadLog(day=date(2026, 2, 28)))
        await wire.hear(golf("Q,20260228"))
        before = port.counters.messages
        await wire.say(fix(port, keyword="load"))
        before += 1
        await port.taken(before)
        for _ in range(4):
            look(port, 50)
            old = NOON - timedelta(days=1)
            await wire.say(
                f"imei:{GOLF},tracker,{old:%y%m%d%H%M%S},,F,{old:%H%M%S}.000,A,"
                f"5231.1000,N,01324.6000,E,0.00,90.50;".encode()
            )
            before += 1
            await port.taken(before)
        await wire.say(fix(port, keyword="qt"))
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""))
        events = [event for event in port.world.events if event["type"] == "upload"]
        assert [event["done"] for event in events][-1] is True
        assert events[-1]["points"] >= 4


# --- danger ---------------------------------------------------------------------------------------


async def test_a_standing_car_is_stopped_and_resumed(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        give(port, c.StopEngine())
        await wire.hear(golf("J"))
        await wire.say(fix(port, keyword="jt"))
        await eventually(lambda: port.intake.vehicles["golf"].state.values.get("engine_cut"))
        give(port, c.ResumeEngine())
        await wire.hear(golf("K"))
        await wire.say(fix(port, keyword="kt"))
        await eventually(lambda: port.intake.vehicles["golf"].state.values["engine_cut"] is False)
        await told(port, *(2 * [("queued", ""), ("sent", ""), ("acknowledged", "")]))


def refused(port: Port, command: c.Command | None = None) -> str:
    order = give(port, command or c.StopEngine())
    assert (order.status, order.final) == (Status.REFUSED, True)
    return order.reason


async def test_it_is_off_unless_allowed_for_this_vehicle(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await standing(port)
        assert refused(port) == "not_enabled"
        assert wire.is_silent()


async def test_it_is_never_kept_for_later(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        assert refused(port) == "not_connected"
        wire = await standing(port)
        give(port, c.Arm())
        await wire.hear(golf("L"))
        assert refused(port) == "busy"


async def test_not_over_datagrams(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = port.datagram()
        for _ in range(3):
            before = port.counters.messages
            await wire.say(fix(port))
            await port.taken(before + 1)
            port.clock.advance(40)
        assert refused(port) == "needs_tcp"


@pytest.mark.parametrize(("speed_kmh", "reason"), [(5.5, "too_fast"), (120, "too_fast")])
async def test_not_at_speed(tmp_path: Path, speed_kmh: float, reason: str) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port, speed_kmh=speed_kmh)
        assert refused(port) == reason


async def test_a_vehicle_may_have_a_higher_limit(tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", commands=Permits(engine_stop=True, max_speed_kmh=20))
    async with serving(tmp_path, cars=(car,)) as port:
        wire = await standing(port, speed_kmh=19)
        give(port, c.StopEngine())
        await wire.hear(golf("J"))


async def test_not_on_a_new_session(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await port.known(GOLF)
        for _ in range(3):
            port.clock.advance(19)
            before = port.counters.messages
            await wire.say(fix(port))
            await port.taken(before + 1)
        assert refused(port) == "session_not_trusted"


async def test_not_after_another_address_spoke_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port)
        wire = await standing(port, address="127.0.0.2")
        assert refused(port) == "session_not_trusted"
        for _ in range(11):  # ten minutes later, if nobody else has spoken for it
            port.clock.advance(57)
            before = port.counters.messages
            await wire.say(fix(port))
            await port.taken(before + 1)
        give(port, c.StopEngine())
        await wire.hear(golf("J"))


async def test_not_while_datagrams_claim_to_be_it(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port)
        before = port.counters.messages
        await port.datagram().say(fix(port))
        await port.taken(before + 1)
        assert refused(port) == "session_not_trusted"


async def test_not_by_an_old_fix_nor_by_one_without_a_lock(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        port.clock.advance(31)
        before = port.counters.messages
        await wire.say(fix(port).replace(b",A,", b",V,"))
        await wire.say(heartbeat(GOLF))
        await port.taken(before + 2)
        assert refused(port) == "no_fresh_fix"


async def test_not_where_two_fixes_disagree(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        port.clock.advance(20)
        before = port.counters.messages
        await wire.say(fix(port, minutes=31.3))  # 370 m in 20 s, and it says that it stands
        await port.taken(before + 1)
        assert refused(port) == "fixes_disagree"


async def test_a_fix_that_grows_old_between_request_and_sending_closes_the_gate(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        await eventually(lambda: len(port.world.reports) == 2)
        port.clock.advance(22)
        port.disk.turns.clear()
        order = give(port, c.StopEngine())
        assert order.status is Status.QUEUED
        port.clock.advance(9)
        port.disk.turns.set()
        await told(port, ("queued", ""), ("refused", "no_fresh_fix"))
        assert wire.is_silent()


async def test_a_stop_that_the_journal_holds_up_is_not_sent_later(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        await eventually(lambda: len(port.world.reports) == 2)
        port.disk.turns.clear()
        give(port, c.StopEngine())
        port.clock.advance(11)
        await wire.say(fix(port))  # every gate is open
        await port.taken(4)
        port.disk.turns.set()
        await told(port, ("queued", ""), ("timed_out", "busy"))
        assert wire.is_silent()


@pytest.mark.parametrize("journal_s", [0, 5])
async def test_a_stop_that_is_taken_back_before_it_was_sent_is_not_sent_after_the_resume(
    tmp_path: Path, journal_s: float
) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        await eventually(lambda: len(port.world.reports) == 2)
        port.disk.turns.clear()
        give(port, c.StopEngine())
        port.clock.advance(journal_s)
        give(port, c.ResumeEngine())
        port.disk.turns.set()
        await wire.hear(golf("K"))
        await said(port, wire, fix(port, keyword="kt"))
        expected = [("queued", ""), ("refused", "busy"), ("queued", ""), ("sent", "")]
        await told(port, *expected, ("acknowledged", ""))
        look(port, 1)
        assert wire.is_silent()


async def test_one_that_was_queued_when_the_bridge_died_is_not_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port)
        order = give(port, c.StopEngine())
        live = port.intake.vehicles["golf"]
        await eventually(lambda: not live.folded.orders[0].waits)
        port.intake.fleet.act(live, Ordered(at=port.clock.now, order=order))  # as if never sent
    async with serving(tmp_path, cars=(ALLOWED,), vehicles={}) as port:
        wire = await standing(port)
        await told(port, ("timed_out", "session_not_trusted"))
        assert wire.is_silent()


async def test_raw_bytes_of_an_engine_stop_pass_the_same_gates(tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", commands=Permits(raw=True))
    async with serving(tmp_path, cars=(car,)) as port:
        wire = await standing(port)
        for text in ("J", "109", "B;**,imei:1,j"):
            assert refused(port, c.Raw(text=text)) == "not_enabled"
        assert refused(port, c.Raw(text="quickstop123456")) == "forbidden"
        give(port, c.Raw(text="B"))
        await wire.hear(golf("B"))
        assert wire.is_silent()


async def test_raw_is_off(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        await standing(port)
        assert refused(port, c.Raw(text="B")) == "raw_not_enabled"


async def test_what_may_be_a_retained_copy_stops_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        order = give(port, c.StopEngine(), sure=False)
        assert (order.status, order.reason) == (Status.REFUSED, "needs_mqtt_5")
        give(port, c.RequestPosition(), sure=False)
        await wire.hear(golf("B"))


async def test_a_box_that_does_not_know_the_word_is_not_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.dial()
        await wire.say(f"({BOX}BP00000{BOX}HSO)".encode())
        await wire.hear(f"({BOX}AP01HSO)".encode())
        order = give(port, c.Arm(), key="box")
        await told(port, ("queued", ""), ("refused", "unsupported"), key="box")
        assert order.status is not Status.SENT


async def said(port: Port, wire: Wire, *frames: bytes) -> None:
    before = port.counters.messages
    for frame in frames:
        await wire.say(frame)
    await port.taken(before + len(frames))


@pytest.mark.parametrize("lock", [b",A,", b",V,"])
async def test_a_newer_fix_that_nobody_believes_closes_the_gate(
    tmp_path: Path, lock: bytes
) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        port.clock.advance(5)
        # 20 km away and at 100 km/h: a jump, or without satellites.
        await said(port, wire, fix(port, speed_kmh=100, minutes=42).replace(b",A,", lock))
        assert refused(port) == "no_fresh_fix"
        port.clock.advance(5)
        await said(port, wire, fix(port))
        assert refused(port) == "too_fast"  # it has said so within half a minute


async def test_two_trackers_of_one_vehicle_speak_for_it_together(tmp_path: Path) -> None:
    car = VehicleConfig(
        key="golf", trackers=(GOLF, VAN), commands=ALLOWED.commands, given=frozenset({"trackers"})
    )
    async with serving(tmp_path, cars=(car,), vehicles={GOLF: "golf"}) as port:
        registry = port.intake.registry
        registry.merge_yaml((car,))
        port.intake.changed(registry.vehicle("golf"))
        await standing(port)
        other = await port.known(VAN)
        await said(port, other, fix(port, speed_kmh=100).replace(GOLF.encode(), VAN.encode()))
        assert refused(port) == "too_fast"
        other.reset()
        await eventually(lambda: port.intake.sessions.of(VAN) is None)
        assert refused(port) == "too_fast"  # it has said so, and is gone


async def test_only_the_tracker_that_was_told_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await standing(port)
        give(port, c.StopEngine())
        await wire.hear(golf("J"))
        forged = port.datagram("127.0.0.2")
        await said(port, forged, fix(port, keyword="jt"))
        assert steps(port) == [("queued", ""), ("sent", "")]


async def test_old_news_and_repeats_answer_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = port.datagram()
        live = fix(port)
        await said(port, wire, login(GOLF), live)
        await wire.hear(b"LOAD")
        port.clock.advance(5)
        give(port, c.RequestPosition())
        await wire.hear(golf("B"))
        await said(port, wire, live)
        old = NOON - timedelta(hours=5)
        late = fix(port).replace(
            f"{port.clock.now:%y%m%d%H%M%S}".encode(), f"{old:%y%m%d%H%M%S}".encode()
        )
        late = late.replace(f"{port.clock.now:%H%M%S}.000".encode(), f"{old:%H%M%S}.000".encode())
        await said(port, wire, late)
        assert steps(port) == [("queued", ""), ("sent", "")]
        await said(port, wire, fix(port))
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""))


async def test_resume_waits_for_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        await wire.hear(golf("L"))
        for _ in range(19):
            give(port, c.Arm())
        give(port, c.ResumeEngine())
        await wire.hear(golf("K"))


async def test_an_upload_without_a_card_is_given_up_and_holds_up_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.UploadLog(day=date(2026, 2, 28)))
        give(port, c.Arm())
        await wire.hear(golf("Q,20260228") + golf("L"))
        for _ in range(4):
            look(port, 20)
            await said(port, wire, fix(port))
        assert ("timed_out", "no_answer") in steps(port)


async def test_a_clock_that_is_set_holds_up_nothing_and_opens_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        wire = await port.known(GOLF)
        port.clock.now += timedelta(minutes=5)  # set, not passed
        await said(port, wire, fix(port))
        port.clock.now += timedelta(seconds=11)
        await said(port, wire, fix(port))
        assert refused(port) == "session_not_trusted"
        give(port, c.Arm())
        await wire.hear(golf("L"))
        port.clock.now -= timedelta(days=30)
        look(port, 1)
        await eventually(lambda: ("timed_out", "no_answer") in steps(port))


async def test_a_postponed_stop_may_still_be_acknowledged_later(tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", dialect="numbers", commands=ALLOWED.commands)
    async with serving(tmp_path, cars=(car,)) as port:
        wire = await standing(port)
        give(port, c.StopEngine())
        await wire.hear(golf("109"))
        await said(port, wire, fix(port, keyword="509"))
        await told(port, ("queued", ""), ("sent", ""), ("postponed", ""))
        port.clock.advance(1200)
        give(port, c.Arm())
        await said(port, wire, fix(port, keyword="109"))
        await eventually(lambda: steps(port)[-1] == ("acknowledged", ""))
        assert port.intake.vehicles["golf"].folded.values["engine_cut"] is True


async def test_a_repeated_acknowledgement_leaves_a_new_alarm_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        await said(port, wire, fix(port, keyword="help me"))
        wish = Wish(c.AcknowledgeAlarm(), transaction="seen")
        port.intake.command("golf", wish)
        live = port.intake.vehicles["golf"]
        assert not episodes.shown(live.folded.episodes, port.clock.now)
        port.clock.advance(61)
        await said(port, wire, fix(port, keyword="door alarm"))
        port.intake.command("golf", wish)
        assert set(episodes.shown(live.folded.episodes, port.clock.now)) == {"door"}


async def test_a_journal_that_is_full_ends_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, journal_queue=10) as port:
        wire = await port.known(GOLF)
        give(port, c.Arm())
        await wire.hear(golf("L"))
        port.disk.full = True

        def fill() -> None:
            for _ in range(400):
                give(port, c.Disarm())

        with pytest.raises(RequestError, match="cannot be written"):
            fill()
        look(port, 61)
        await wire.say(fix(port, keyword="lt"))
        port.disk.full = False
        await eventually(lambda: port.journal.failed is None)
        look(port, 1)
        await eventually(lambda: ("timed_out", "no_answer") in steps(port))


async def test_a_vehicle_without_a_tracker_is_told_nothing(tmp_path: Path) -> None:
    car = VehicleConfig(key="golf", phone=Secret("+4915100000042"), sms_family="coban")
    async with serving(tmp_path, cars=(car,)) as port:
        texts: list[str] = []
        port.intake.downlink.post = lambda _number, text, _id: not texts.append(text)
        live = port.intake.vehicles["golf"]
        live.vehicle = msgspec.structs.replace(live.vehicle, trackers=())
        give(port, c.Arm(), ttl_s=60)
        look(port, 1)
        look(port, 60)
        await told(port, ("queued", ""), ("timed_out", "not_connected"))
        assert not texts


async def test_a_datagram_that_nobody_can_answer_any_more_is_followed_by_a_text(
    tmp_path: Path,
) -> None:
    car = VehicleConfig(key="golf", phone=Secret("+4915100000042"))
    async with serving(tmp_path, cars=(car,)) as port:
        texts: list[str] = []
        port.intake.downlink.post = lambda _number, text, _id: not texts.append(text)
        wire = port.datagram()
        await said(port, wire, login(GOLF), fix(port))
        await wire.hear(b"LOAD")
        port.clock.advance(31)
        give(port, c.Arm())
        await told(port, ("queued", ""))
        assert not texts
        look(port, 120)
        assert texts == ["arm123456"]


async def test_the_owners_password_goes_to_no_stranger(tmp_path: Path) -> None:
    car = VehicleConfig(key="box", dialect="sms", password=Secret("246810"))
    async with serving(tmp_path, cars=(car,)) as port:
        wire = port.datagram()
        await said(port, wire, BOX_LOGIN)
        await wire.hear(BOX_WELCOME)
        give(port, c.SosNumber(phone="+4915100000042"), key="box", ttl_s=60)
        look(port, 1)
        assert wire.is_silent()
        look(port, 60)
        await told(port, ("queued", ""), ("timed_out", "session_not_trusted"), key="box")


async def test_one_answer_in_other_words_changes_no_dialect(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        await said(port, wire, fix(port), fix(port, keyword="511"), fix(port))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "letters"}
        await said(port, wire, fix(port, keyword="001"), fix(port, keyword="001"))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "numbers"}
        await said(port, port.datagram("127.0.0.2"), *(2 * [fix(port)]))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "numbers"}


async def test_a_change_of_address_is_known_after_a_crash(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port)
        await standing(port, address="127.0.0.2")
        (saved,) = [body for key, (_, body) in port.journal.checkpoints().items() if key == "golf"]
        assert b"disturbed_at" in saved


async def test_in_private_mode_a_trackers_words_stay_here(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        give(port, c.RequestPosition())
        await wire.hear(golf("B"))
        await said(port, wire, fix(port))
        await told(port, ("queued", ""), ("sent", ""), ("acknowledged", ""))
    act = next(row for _, _, row in reversed(port.world.reports) if isinstance(row, Ordered))
    for private in (False, True):
        (message,) = messages.of_act(
            act, Place("e", 1), now=NOON, live_age=timedelta(minutes=10), private=private
        )
        assert (b'"answer"' in message.payload) is not private
