"""The life of a command on the tracker port: real sockets, a real journal, a clock in our hand."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from bridge import abilities, episodes
from bridge import command as c
from bridge.config import VehicleConfig
from bridge.errors import RequestError
from bridge.options import Secret
from bridge.orders import Status, Wish
from bridge.payloads import Place
from bridge.sinks import messages
from bridge.vehicle import Ordered
from tests.bridge.giving import fix, give, golf, look, said, steps, told
from tests.bridge.port import BOX, GOLF, NOON, ON, heartbeat, login, serving
from tests.conftest import eventually


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


async def test_a_box_that_does_not_know_the_word_is_not_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.dial()
        await wire.say(f"({BOX}BP00000{BOX}HSO)".encode())
        await wire.hear(f"({BOX}AP01HSO)".encode())
        order = give(port, c.Arm(), key="box")
        await told(port, ("queued", ""), ("refused", "unsupported"), key="box")
        assert order.status is not Status.SENT


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


async def test_one_answer_in_other_words_changes_no_dialect(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        wire = await port.known(GOLF)
        await said(port, wire, fix(port), fix(port, keyword="511"), fix(port))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "letters"}
        await said(port, wire, fix(port, keyword="001"), fix(port, keyword="001"))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "numbers"}
        await said(port, port.datagram("127.0.0.2"), *(2 * [fix(port)]))
        assert port.intake.vehicles["golf"].dialects == {GOLF: "numbers"}


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
