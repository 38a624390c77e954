"""TCP: replies in their turn and after the commit, nothing lost while waiting, who takes over."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from bridge.listener.gate import MOST_WAITING
from bridge.listener.stream import LINGER_S, UNREAD_BYTES
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


async def is_paused(port: Port, count: int = 1) -> None:
    await eventually(lambda: sum(peer._paused for peer in port.streams.peers) == count)


# --- replies --------------------------------------------------------------------------------------


async def test_replies_come_in_frame_order_and_none_before_what_it_vouches_for_is_on_disk(port):
    golf = await port.dial()
    port.disk.turns.clear()
    await golf.say(login(GOLF))
    await golf.hear(LOAD)
    await golf.say(heartbeat(GOLF) + help_me(GOLF, 1) + heartbeat(GOLF) + help_me(GOLF, 2))
    await golf.hear(ON)
    await port.taken(5)
    assert golf.is_silent()
    assert not port.world.reports
    port.disk.turns.set()
    await golf.hear(receipt(GOLF) + ON + receipt(GOLF))
    assert [seq for seq, _, _ in port.world.reports] == [1, 2]


async def test_one_trackers_barrier_holds_up_nobody_else(port):
    golf, box = await port.known(GOLF), await port.dial()
    port.disk.turns.clear()
    await golf.say(position(GOLF) + heartbeat(GOLF))
    await port.taken(3)
    await box.say(BOX_LOGIN)
    await box.hear(BOX_WELCOME)
    assert golf.is_silent()
    port.disk.turns.set()
    await golf.hear(ON)


async def test_a_full_disk_withholds_receipts_and_keeps_trackers_connected(port):
    golf = await port.known(GOLF)
    port.disk.full = True
    await golf.say(help_me(GOLF))
    await eventually(lambda: port.journal.failed)
    for _ in range(3):
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)
    assert golf.is_silent()
    port.disk.full = False
    await golf.hear(receipt(GOLF))
    assert port.journal.failed is None


async def test_a_reply_that_was_held_when_the_disk_filled_up_goes_out_without_it(port):
    golf = await port.known(GOLF)
    port.disk.turns.clear()
    await golf.say(help_me(GOLF) + heartbeat(GOLF))
    await port.taken(3)
    assert golf.is_silent()
    port.disk.full = True
    port.disk.turns.set()
    await eventually(lambda: port.journal.failed)
    port.listener.sweep()
    await golf.hear(ON)
    port.disk.full = False
    await golf.hear(receipt(GOLF))


async def test_a_report_without_a_place_is_not_confirmed_and_blocks_no_later_reply(narrow):
    golf = await narrow.known(GOLF)
    narrow.disk.full = True
    await golf.say(b"".join(help_me(GOLF, number) for number in range(15)))
    await eventually(lambda: narrow.journal.failed)
    narrow.listener.sweep()
    await eventually(lambda: narrow.counters.lost == 5)
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    narrow.disk.full = False
    await golf.hear(receipt(GOLF) * 10)
    await golf.say(help_me(GOLF, 20) + heartbeat(GOLF))
    await golf.hear(receipt(GOLF) + ON)
    assert narrow.journalled("golf") == latitudes([*range(10), 20])


async def test_alarms_are_the_last_to_find_no_place(tmp_path):
    """A full disk, a full queue: what is no alarm is let go and not confirmed, an SOS is kept."""
    async with serving(tmp_path, journal_queue=10) as port:
        golf = await port.known(GOLF)
        port.disk.full = True
        await golf.say(b"".join(position(GOLF, number) for number in range(15)))
        await eventually(lambda: port.journal.failed)
        port.listener.sweep()
        await eventually(lambda: port.counters.lost == 5)
        await golf.say(help_me(GOLF, 20) + position(GOLF, 21) + heartbeat(GOLF))
        await golf.hear(ON)
        assert port.counters.lost == 6
        assert [record.report.alarm for _, record in port.world.unwritten][-1] == "sos"
        port.disk.full = False
        await golf.hear(receipt(GOLF))
        assert port.journalled("golf") == latitudes([*range(10), 20])


async def test_replies_that_wait_for_a_slow_disk_are_bounded(port):
    golf = await port.known(GOLF)
    port.disk.turns.clear()
    await golf.say(help_me(GOLF) + heartbeat(GOLF) * 2000)
    await is_paused(port)
    (peer,) = port.streams.peers
    assert peer.session.waiting == MOST_WAITING
    port.disk.turns.set()
    await golf.hear(receipt(GOLF) + ON * 2000)


async def test_a_long_line_of_receipts_keeps_no_heartbeat_waiting_where_the_disk_is_full(port):
    golf = await port.known(GOLF)
    port.disk.full = True
    await golf.say(help_me(GOLF))
    await eventually(lambda: port.journal.failed)
    many = range(1, port.journal._capacity)
    await golf.say(b"".join(help_me(GOLF, number) for number in many) + heartbeat(GOLF))
    await golf.hear(ON)
    port.disk.full = False
    await golf.hear(receipt(GOLF) * (len(many) + 1))


async def test_who_does_not_read_replies_is_hung_up_on(port):
    box = await port.dial(SO_RCVBUF=4096)
    await box.say(BOX_LOGIN)
    (peer,) = await eventually(lambda: list(port.streams.peers))
    said = 0
    with suppress(ConnectionError):
        while port.streams.peers:
            assert peer._transport.get_write_buffer_size() <= UNREAD_BYTES
            assert (said := said + 1) < 1000
            await box.say(BOX_LOGIN * 100)
            await asyncio.sleep(0)
    await eventually(lambda: not port.streams.peers)
    assert port.world.kinds() == ["connected", "disconnected"]


async def test_replies_to_who_has_gone_meanwhile_make_no_noise(port, caplog):
    for _ in range(20):
        golf = await port.known(GOLF)
        await golf.say(heartbeat(GOLF) * 500)
        golf.reset()
    await eventually(lambda: not port.streams.peers)
    assert not [record for record in caplog.records if record.name == "asyncio"]


# --- the end of what a peer says ------------------------------------------------------------------


async def test_replies_to_what_came_before_the_end_still_arrive(port):
    golf = await port.known(GOLF)
    port.disk.turns.clear()
    await golf.say(help_me(GOLF) + heartbeat(GOLF) + b"imei:86400")
    golf.end()
    await eventually(lambda: port.counters.rejected == 1)  # the frame that was never finished
    assert golf.is_silent()
    port.disk.turns.set()
    await golf.hear(receipt(GOLF) + ON)
    await golf.hung_up()
    assert port.world.kinds() == ["connected", "disconnected"]


async def test_last_replies_are_waited_for_only_so_long(port):
    golf = await port.known(GOLF)
    port.disk.turns.clear()
    await golf.say(help_me(GOLF))
    golf.end()
    await eventually(lambda: all(peer.session.ending for peer in port.streams.peers))
    port.sweep_after(LINGER_S)
    assert port.listener.connections == 1
    port.sweep_after(1)
    await golf.hung_up()
    assert port.listener.connections == 0
    assert port.world.kinds() == ["connected", "disconnected"]


async def test_who_is_gone_without_a_word_is_forgotten(port):
    golf, stranger = await port.known(GOLF), await port.dial()
    await eventually(lambda: port.listener.connections == 2)
    golf.reset()
    stranger.reset()
    await eventually(lambda: port.listener.connections == 0)
    assert port.world.kinds() == ["connected", "disconnected"]


# --- a full journal -------------------------------------------------------------------------------


async def test_a_full_journal_stops_reading_and_loses_nothing(narrow):
    golf, van = await narrow.known(GOLF), await narrow.known(VAN)
    narrow.disk.turns.clear()
    many = range(700)  # more than is read at a time
    for wire, device_id in ((golf, GOLF), (van, VAN)):
        await wire.say(b"".join(position(device_id, number) for number in many))
        await wire.say(heartbeat(device_id))
    await is_paused(narrow, 2)
    assert narrow.counters.reports == 10
    assert golf.is_silent()
    assert van.is_silent()
    late = await narrow.dial()
    await late.say(login(VAN)[:10])
    narrow.disk.turns.set()
    await golf.hear(ON)
    await van.hear(ON)
    assert narrow.journalled("golf") == narrow.journalled("van") == latitudes(many)
    assert narrow.counters.lost == 0


async def test_an_end_that_comes_while_reading_is_paused_is_heard_afterwards(narrow):
    golf = await narrow.known(GOLF)
    narrow.disk.turns.clear()
    await golf.say(b"".join(position(GOLF, number) for number in range(50)))
    await is_paused(narrow)
    await golf.say(position(GOLF, 50) + heartbeat(GOLF))
    golf.end()
    narrow.disk.turns.set()
    await golf.hear(ON)
    await golf.hung_up()
    assert narrow.journalled("golf") == latitudes(range(51))


async def test_what_was_read_is_kept_of_a_peer_that_goes_while_reading_is_paused(narrow):
    golf = await narrow.known(GOLF)
    narrow.disk.turns.clear()
    await golf.say(b"".join(help_me(GOLF, number) for number in range(50)))
    await is_paused(narrow)
    golf.reset()  # noticed when the first receipt is sent: more wait for room, and still count
    narrow.disk.turns.set()
    await eventually(lambda: len(narrow.world.reports) == 50)
    assert narrow.journalled("golf") == latitudes(range(50))
    await eventually(lambda: narrow.world.kinds() == ["connected", "disconnected"])


async def test_who_was_paused_goes_on_when_the_full_journal_turns_out_to_be_broken(narrow):
    golf = await narrow.known(GOLF)
    narrow.disk.turns.clear()
    await golf.say(b"".join(position(GOLF, number) for number in range(10)) + heartbeat(GOLF))
    await is_paused(narrow)
    narrow.disk.full = True
    narrow.disk.turns.set()
    await eventually(lambda: narrow.journal.failed)
    narrow.listener.sweep()
    await golf.hear(ON)
    narrow.disk.full = False
    await eventually(lambda: len(narrow.world.reports) == 10)


# --- who speaks for a tracker ---------------------------------------------------------------------


async def test_a_newer_connection_takes_over_even_in_the_middle_of_a_frame(port):
    older = await port.known(GOLF)
    await older.say(position(GOLF)[:40])
    newer = await port.known(GOLF, "127.0.0.2")
    await older.hung_up()
    await newer.say(position(GOLF, 1) + heartbeat(GOLF))
    await newer.hear(ON)
    assert port.journalled("golf") == latitudes([1])
    assert port.intake.link("golf", port.clock.now) == "connected"
    assert port.world.kinds() == ["connected"]
    newer.reset()
    await eventually(lambda: port.world.kinds() == ["connected", "disconnected"])
    assert port.intake.link("golf", port.clock.now) == "lost"


async def test_two_that_alternate_are_told_of_once_an_hour(port, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(4):
        for address in ("127.0.0.2", "127.0.0.3"):
            await port.known(GOLF, address)
            port.clock.advance(10)
    assert port.world.kinds("duplicate_session") == ["duplicate_session"]
    assert len([line for line in caplog.messages if "identity" in line]) == 1
    assert len([line for line in caplog.messages if "tracker connected" in line]) == 1
    port.clock.advance(3600)
    for address in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
        await port.known(GOLF, address)
    assert len(port.world.kinds("duplicate_session")) == 2


async def test_a_tracker_that_only_changes_its_address_is_no_duplicate(port):
    for last in range(2, 6):
        await port.known(GOLF, f"127.0.0.{last}")
    assert port.world.kinds() == ["connected"]


async def test_a_gateway_speaks_for_each_tracker_it_carries(port):
    gateway = await port.dial()
    await gateway.say((heartbeat(GOLF) + heartbeat(VAN)) * 3)
    await gateway.hear(ON * 6)
    await gateway.say(heartbeat(STRANGER))
    await gateway.hear(ON)
    connected = [(event["type"], event["vehicle"]) for event in port.world.events[:2]]
    assert connected == [("connected", "golf"), ("connected", "van")]
    for key in ("golf", "van"):
        assert port.intake.link(key, port.clock.now) == "connected"
    assert port.intake.link("box", port.clock.now) == "lost"
    gateway.reset()
    await eventually(lambda: port.world.kinds("disconnected") == ["disconnected"] * 2)
    assert port.world.kinds() == ["connected"] * 2 + ["tracker_pending"] + ["disconnected"] * 2


async def test_a_tracker_whose_vehicle_is_removed_or_blocked_is_hung_up_on(port):
    golf, van = await port.known(GOLF), await port.known(VAN)
    port.intake.remove("golf", block=False, purge=False)
    await golf.hung_up()
    port.intake.remove("van", block=True, purge=False)
    await van.hung_up()
    again = await port.dial()
    await again.say(heartbeat(VAN))
    await again.hung_up()
    assert BOX not in port.intake.guests
    assert len(port.intake.sessions) == 0
