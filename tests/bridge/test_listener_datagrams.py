"""UDP: repeats, replies within bounds, sessions that come and go, floods."""

from __future__ import annotations

import pytest

from tests.bridge.port import (
    BOX,
    BOX_LOGIN,
    BOX_WELCOME,
    GOLF,
    LOAD,
    ON,
    STRANGER,
    VAN,
    Port,
    heartbeat,
    help_me,
    latitudes,
    login,
    position,
    receipt,
    serving,
)
from tests.conftest import eventually

NOISE = b"OPTIONS sip:nm SIP/2.0\r\n\r\n"


def refuse_nothing(port: Port) -> None:
    """Have each datagram come a second after the one before it."""
    port.clock.advance(1)


# --- replies --------------------------------------------------------------------------------------


async def test_the_barrier_holds_for_each_session(port):
    golf, van = port.datagram(), port.datagram()
    port.disk.turns.clear()
    await golf.say(help_me(GOLF))
    await golf.say(heartbeat(GOLF))
    await van.say(heartbeat(VAN))
    await van.hear(ON)
    await port.taken(3)
    assert golf.is_silent()
    port.disk.turns.set()
    await golf.hear(receipt(GOLF))
    await golf.hear(ON)


async def test_a_repeated_datagram_is_answered_again_and_not_journalled_again(port):
    golf = port.datagram()
    for number in range(3):
        for _ in range(3):
            await golf.say(help_me(GOLF, number))
            await golf.hear(receipt(GOLF))
    assert port.journalled("golf") == latitudes(range(3))
    for number in range(3, 19):
        await golf.say(help_me(GOLF, number))
        await golf.hear(receipt(GOLF))
        refuse_nothing(port)
    await golf.say(help_me(GOLF, 3))
    await golf.hear(receipt(GOLF))
    assert len(port.world.reports) == 19
    await golf.say(help_me(GOLF, 2))  # 16 others were in between
    await golf.hear(receipt(GOLF))
    assert len(port.world.reports) == 20


async def test_heartbeats_which_are_all_alike_make_nobody_forget_a_report(port):
    golf = port.datagram()
    await golf.say(help_me(GOLF))
    await golf.hear(receipt(GOLF))
    for _ in range(20):
        refuse_nothing(port)
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)
    await golf.say(help_me(GOLF))
    await golf.hear(receipt(GOLF))
    assert len(port.world.reports) == 1


async def test_another_sender_with_the_same_words_is_no_repeat(port):
    for _ in range(2):
        golf = port.datagram()
        await golf.say(help_me(GOLF))
        await golf.hear(receipt(GOLF))
    assert len(port.world.reports) == 2


async def test_a_repeat_of_what_is_not_on_disk_yet_is_answered_when_it_is(port):
    golf = port.datagram()
    port.disk.turns.clear()
    await golf.say(help_me(GOLF))
    await port.taken(1)
    port.clock.advance(8)
    await golf.say(help_me(GOLF))
    await port.taken(2)
    port.clock.advance(8)  # too late for the first, in time for the second
    port.disk.turns.set()
    await golf.hear(receipt(GOLF))
    assert golf.is_silent()
    assert len(port.world.reports) == 1
    assert port.counters.replies_dropped == 1


async def test_an_answer_that_comes_late_is_not_sent(port):
    golf = port.datagram()
    port.disk.turns.clear()
    await golf.say(help_me(GOLF))
    await port.taken(1)
    port.clock.advance(10.5)
    port.disk.turns.set()
    await eventually(lambda: port.counters.replies_dropped == 1)
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    assert len(port.world.reports) == 1


async def test_answers_are_not_much_longer_than_their_question(tmp_path):
    async with serving(tmp_path, udp_reply_extra_bytes=4) as port:
        box = port.datagram()
        question = f"({BOX}BP00)".encode()
        assert len(BOX_WELCOME) == len(question) + 3
        await box.say(question)
        await box.hear(BOX_WELCOME)
        await box.say(question * 3)  # the three bytes more of each: two fit
        await box.hear(BOX_WELCOME)
        await box.hear(BOX_WELCOME)
        await eventually(lambda: port.counters.replies_dropped == 1)
        assert box.is_silent()


async def test_a_full_disk_withholds_receipts_and_keeps_trackers_answered(port):
    golf = port.datagram()
    port.disk.full = True
    await golf.say(help_me(GOLF))
    await eventually(lambda: port.journal.failed)
    for _ in range(3):
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)
        await golf.say(help_me(GOLF))
    await port.taken(7)
    assert golf.is_silent()
    port.disk.full = False
    await golf.hear(receipt(GOLF))
    assert len(port.world.reports) == 1


async def test_a_report_that_found_no_place_is_new_when_it_is_repeated(narrow):
    golf = narrow.datagram()
    narrow.disk.full = True
    for number in range(12):
        await golf.say(help_me(GOLF, number))
        await narrow.taken(number + 1)
        if number == 8:
            await eventually(lambda: narrow.journal.failed)
    assert narrow.counters.lost == 2
    narrow.disk.full = False
    await eventually(lambda: len(narrow.world.reports) == 10)
    for _ in range(10):
        await golf.hear(receipt(GOLF))
    await golf.say(help_me(GOLF, 11))
    await golf.hear(receipt(GOLF))
    assert narrow.journalled("golf") == latitudes([*range(10), 11])


async def test_datagrams_are_let_go_while_the_journal_is_full(narrow):
    golf = narrow.datagram()
    narrow.disk.turns.clear()
    await golf.say(b"".join(position(GOLF, number) for number in range(10)))
    await narrow.taken(10)
    await golf.say(help_me(GOLF, 10))
    await eventually(lambda: narrow.counters.refused == 1)
    narrow.disk.turns.set()
    await eventually(lambda: len(narrow.world.reports) == 10)
    await golf.say(help_me(GOLF, 10))
    await golf.hear(receipt(GOLF))


# --- who speaks for a tracker ---------------------------------------------------------------------


async def test_a_datagram_never_takes_over_from_a_connection_that_spoke_lately(port):
    wire, datagram = await port.known(GOLF), port.datagram()
    for number in range(3):
        await datagram.say(help_me(GOLF, number))
        await datagram.hear(receipt(GOLF))
    assert port.journalled("golf") == latitudes(range(3))
    assert port.world.kinds() == ["connected", "duplicate_session"]
    assert port.intake.sessions.of(GOLF).transport == "tcp"
    await wire.say(heartbeat(GOLF))
    await wire.hear(ON)
    wire.reset()
    await eventually(lambda: port.world.kinds("disconnected"))
    await datagram.say(heartbeat(GOLF))
    await datagram.hear(ON)
    assert port.intake.sessions.of(GOLF).transport == "udp"
    assert port.world.kinds()[2:] == ["disconnected", "connected"]


async def test_a_datagram_takes_over_from_a_connection_that_has_long_been_silent(port):
    wire, datagram = await port.known(GOLF), port.datagram()
    port.clock.advance(1800)
    await datagram.say(heartbeat(GOLF))
    await datagram.hear(ON)
    await wire.hung_up()
    assert port.world.kinds() == ["connected"]


async def test_a_connection_takes_over_from_datagrams(port):
    datagram = port.datagram()
    await datagram.say(heartbeat(GOLF))
    await datagram.hear(ON)
    await port.known(GOLF)
    assert not port.datagrams.peers
    assert port.world.kinds() == ["connected"]


async def test_a_network_that_gives_a_new_port_each_time_changes_nothing(port):
    for number in range(5):
        golf = port.datagram()
        await golf.say(help_me(GOLF, number))
        await golf.hear(receipt(GOLF))
        assert len(port.datagrams.peers) == 1
    assert port.world.kinds() == ["connected"]


async def test_two_ports_in_turns_are_both_answered(port):
    one, two = port.datagram("127.0.0.2"), port.datagram("127.0.0.3")
    for number in range(6):
        sender = (one, two)[number % 2]
        await sender.say(help_me(GOLF, number))
        await sender.hear(receipt(GOLF))
    assert port.world.kinds() == ["connected", "duplicate_session"]


async def test_a_session_ends_after_its_silence_and_so_does_the_link(port):
    golf = port.datagram()
    await golf.say(login(GOLF))
    await golf.hear(LOAD)
    port.sweep_after(600)
    assert port.intake.link("golf", port.clock.now) == "connected"
    port.sweep_after(1)
    assert port.intake.link("golf", port.clock.now) == "lost"
    assert port.world.kinds() == ["connected", "disconnected"]


async def test_whoever_was_silent_for_longest_goes_first(tmp_path):
    async with serving(tmp_path, udp_sessions=2) as port:
        golf, van, box = (port.datagram() for _ in range(3))
        for wire, device_id in ((golf, GOLF), (van, VAN), (golf, GOLF)):
            await wire.say(heartbeat(device_id))
            await wire.hear(ON)
            port.sweep_after(250)
        await box.say(BOX_LOGIN)
        await box.hear(BOX_WELCOME)
        left = [event["vehicle"] for event in port.world.events if event["type"] == "disconnected"]
        assert left == ["van"]
        port.sweep_after(400)
        assert [peer.session.vehicle for peer in port.datagrams.peers.values()] == ["box"]


async def test_the_session_of_a_removed_vehicle_ends(port):
    golf = port.datagram()
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    port.intake.remove("golf", block=True, purge=False)
    assert not port.datagrams.peers
    await golf.say(heartbeat(GOLF))
    await eventually(lambda: port.counters.refused == 1)
    assert golf.is_silent()
    assert not port.datagrams.peers


async def test_a_guest_is_known_from_its_acceptance_on_though_it_only_repeats_itself(port):
    guest = port.datagram()
    for _ in range(2):
        await guest.say(position(STRANGER) + heartbeat(STRANGER))
        await guest.hear(ON)
    port.intake.accept(STRANGER, now=port.clock.now, key="new")
    await eventually(lambda: len(port.world.reports) == 1)
    await guest.say(position(STRANGER) + heartbeat(STRANGER))
    await guest.hear(ON)
    assert port.intake.link("new", port.clock.now) == "connected"
    assert len(port.world.reports) == 1


# --- floods ---------------------------------------------------------------------------------------


async def test_each_sender_has_its_share_of_datagrams(tmp_path):
    async with serving(tmp_path, datagrams_per_s=5) as port:
        flood, other = port.datagram("127.0.0.2"), port.datagram("127.0.0.3")
        for _ in range(8):
            await flood.say(heartbeat(GOLF))
        await other.say(heartbeat(VAN))
        await other.hear(ON)
        assert port.counters.messages == 6
        assert port.counters.refused == 3
        await flood.hear(ON)
        port.clock.advance(0.2)
        await flood.say(heartbeat(GOLF))
        await port.taken(7)


@pytest.mark.parametrize("data", [b"", bytes(4097), BOX_LOGIN * 120], ids=["empty", "zero", "long"])
async def test_what_cannot_be_a_datagram_of_a_tracker_is_let_go(data, port):
    sender = port.datagram()
    await sender.say(data)
    await eventually(lambda: port.counters.refused == 1)
    assert port.counters.messages == port.counters.rejected == 0
    assert not port.datagrams.peers


async def test_a_flood_from_many_ports_pushes_out_no_tracker(tmp_path):
    async with serving(tmp_path, udp_sessions=5) as port:
        golf = port.datagram()
        await golf.say(help_me(GOLF))
        await golf.hear(receipt(GOLF))
        for number in range(50):
            refuse_nothing(port)
            guest = port.datagram("127.0.0.2")
            await guest.say(heartbeat(f"8640000001{number:05d}"))
            await guest.hear(ON)
            await guest.say(NOISE)
            assert len(port.datagrams.peers) <= 5
        await golf.say(help_me(GOLF))
        await golf.hear(receipt(GOLF))
        assert len(port.world.reports) == 1
        assert port.world.kinds("connected", "disconnected") == ["connected"]


async def test_nobody_is_remembered_who_did_not_say_who_it_is(port):
    for number in range(30):
        refuse_nothing(port)
        sender = port.datagram()
        await sender.say(NOISE)
        await eventually(lambda count=number + 1: port.counters.rejected == count)
        assert sender.is_silent()
    assert not port.datagrams.peers
    assert not len(port.intake.guests)
    assert not port.world.events


async def test_answers_are_dropped_rather_than_piled_up(port):
    golf = port.datagram()
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    port.datagrams.pause_writing()
    await golf.say(heartbeat(GOLF))
    await eventually(lambda: port.counters.replies_dropped == 1)
    port.datagrams.resume_writing()
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
