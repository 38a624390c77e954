"""Floods of datagrams whose senders are made up: shed before they are looked at."""

from __future__ import annotations

from bridge.listener.bans import ADDRESSES_A_TRACKER
from tests.bridge.port import GOLF, ON, SCAN, STRANGER, VAN, heartbeat, help_me, receipt, serving
from tests.conftest import eventually


def forged(number: int) -> tuple[str, int]:
    return f"9.{number // 62500 % 250}.{number // 250 % 250}.{number % 250}", 4000


async def test_forged_senders_get_their_common_share_and_trackers_all_of_theirs(tmp_path):
    async with serving(tmp_path, strange_datagrams_per_s=50) as port:
        golf, van = port.datagram("127.0.0.2"), port.datagram("127.0.0.3")
        for wire, device_id in ((golf, GOLF), (van, VAN)):
            await wire.say(heartbeat(device_id))
            await wire.hear(ON)
        van.socket.close()
        port.clock.advance(1)
        before = port.counters.messages
        for number in range(10_000):
            said = heartbeat(f"864000001{number % 1000:06d}")
            port.datagrams.datagram_received(said, forged(number))
        assert port.counters.messages == before + 50
        assert port.counters.refused == 9_950
        assert len(port.datagrams._budget) <= 52  # of those that were shed nothing is remembered
        await golf.say(help_me(GOLF))
        await golf.hear(receipt(GOLF))
        # A network that gives the van a new port: its address is familiar.
        van = port.datagram("127.0.0.3")
        await van.say(heartbeat(VAN))
        await van.hear(ON)
        stranger = port.datagram("127.0.0.4")
        await stranger.say(heartbeat(STRANGER))
        await eventually(lambda: port.counters.refused == 9_951)


async def test_one_who_is_loud_takes_nothing_of_what_strangers_have_together(tmp_path):
    async with serving(tmp_path, strange_datagrams_per_s=50, datagrams_per_s=5) as port:
        for _ in range(500):
            port.datagrams.datagram_received(SCAN, ("9.9.9.9", 4000))
        assert port.counters.refused == 495
        other = port.datagram()
        await other.say(heartbeat(STRANGER))
        await other.hear(ON)


async def test_who_forges_addresses_in_a_trackers_name_makes_few_of_them_familiar(port):
    van = port.datagram("127.0.0.3")
    await van.say(heartbeat(VAN))
    await van.hear(ON)
    for number in range(200):
        port.datagrams.datagram_received(heartbeat(GOLF), forged(number))
    assert len(port.listener._gate.familiar) == ADDRESSES_A_TRACKER + 1
    await van.say(heartbeat(VAN))
    await van.hear(ON)
