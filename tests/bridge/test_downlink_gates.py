"""The gates before an engine stop: real sockets, a real journal; disk and clock in our hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bridge import command as c
from bridge.config import Permits, VehicleConfig
from bridge.options import Secret
from bridge.orders import Status
from bridge.vehicle import Ordered
from tests.bridge.giving import ALLOWED, fix, give, golf, look, refused, said, standing, steps, told
from tests.bridge.port import BOX_LOGIN, BOX_WELCOME, GOLF, VAN, heartbeat, serving
from tests.conftest import eventually


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


async def test_a_change_of_address_is_known_after_a_crash(tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(ALLOWED,)) as port:
        await standing(port)
        await standing(port, address="127.0.0.2")
        (saved,) = [body for key, (_, body) in port.journal.checkpoints().items() if key == "golf"]
        assert b"disturbed_at" in saved
