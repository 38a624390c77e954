"""Who has a place where there are too few: trackers first, then whoever comes from few places."""

from __future__ import annotations

from bridge.listener.stream import GRACE_S
from tests.bridge.port import GOLF, LOAD, ON, VAN, Port, Wire, heartbeat, login, serving
from tests.conftest import eventually


async def say_and_stay(port: Port, address: str, number: int) -> Wire:
    wire = await port.dial(address)
    await wire.say(login(f"8640000003{number:05d}"))
    await wire.hear(LOAD)
    return wire


async def test_strangers_leave_room_and_a_familiar_address_waits_for_nobody_to_go(tmp_path):
    async with serving(tmp_path, connections=20) as port:
        golf = await port.known(GOLF, "127.0.0.9")
        golf.reset()
        await eventually(lambda: not port.streams.peers)
        strange = [await say_and_stay(port, f"127.0.1.{number}", number) for number in range(25)]
        assert port.streams.strangers == len(port.streams.peers) == 18
        for wire in strange[:7]:
            await wire.hung_up()
        await port.known(GOLF, "127.0.0.9")
        assert port.streams.strangers == 18
        assert len(port.streams.peers) == 19
        for number, wire in enumerate(strange[7:], 7):
            await wire.say(heartbeat(f"8640000003{number:05d}"))
            await wire.hear(ON)


async def test_who_holds_most_places_loses_them_and_a_lone_newcomer_keeps_his(tmp_path):
    async with serving(tmp_path, connections=20) as port:
        for number in range(17):
            await say_and_stay(port, "127.0.0.2", number)
        lone = await port.dial("127.0.0.7")
        await eventually(lambda: port.listener.connections == 18)
        for number in range(17, 40):
            await say_and_stay(port, f"127.0.0.{2 + number % 2}", number)
        assert port.streams.per_address["127.0.0.7"] == 1
        await lone.say(login(GOLF))
        await lone.hear(LOAD)
        assert port.streams.strangers == 17


async def test_trackers_are_put_out_for_nobody(tmp_path):
    async with serving(tmp_path, connections=10, connections_per_address=10) as port:
        golf, van = await port.known(GOLF), await port.known(VAN, "127.0.0.2")
        for number in range(40):
            await port.dial(f"127.0.0.{1 + number % 8}")
        await eventually(lambda: len(port.streams.peers) == 10 - 1 + 1)
        for wire, device_id in ((golf, GOLF), (van, VAN)):
            await wire.say(heartbeat(device_id))
            await wire.hear(ON)


async def test_a_newcomer_has_a_moment_to_log_in_though_others_have_said_something(tmp_path):
    """Behind one gateway all have one address; so it goes by who they are alone."""
    async with serving(tmp_path, connections_per_address=5) as port:
        strange = [await say_and_stay(port, "127.0.0.1", number) for number in range(5)]
        golf = await port.dial()
        await strange[0].hung_up()
        strange.append(await port.dial())
        await strange[1].hung_up()
        await golf.say(login(GOLF))
        await golf.hear(LOAD)
        port.clock.advance(GRACE_S + 1)
        await port.known(VAN)
        await strange[5].hung_up()
        await strange[2].say(heartbeat("864000000300002"))
        await strange[2].hear(ON)


async def test_of_a_trackers_address_nobody_leaves_while_others_can(tmp_path):
    async with serving(tmp_path, connections=5, reserved_percent=0) as port:
        golf = await port.known(GOLF, "127.0.0.9")
        neighbours = [await say_and_stay(port, "127.0.0.9", number) for number in range(3)]
        other = await say_and_stay(port, "127.0.0.2", 4)
        await say_and_stay(port, "127.0.0.3", 5)
        await other.hung_up()
        for number, wire in enumerate(neighbours):
            await wire.say(heartbeat(f"8640000003{number:05d}"))
            await wire.hear(ON)
        for number in range(6, 9):
            await say_and_stay(port, "127.0.0.9", number)
        assert port.streams.per_address == {"127.0.0.9": 5}
        await say_and_stay(port, "127.0.0.2", 9)
        assert port.streams.per_address == {"127.0.0.9": 4, "127.0.0.2": 1}
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)


async def test_where_each_comes_from_elsewhere_the_silent_and_then_the_oldest_leave(tmp_path):
    async with serving(tmp_path, connections=4, reserved_percent=25) as port:
        first = await say_and_stay(port, "127.0.0.2", 2)
        silent = await port.dial("127.0.0.3")
        last = await say_and_stay(port, "127.0.0.4", 4)
        port.clock.advance(GRACE_S + 1)
        await say_and_stay(port, "127.0.0.5", 5)
        await silent.hung_up()
        await port.known(VAN, "127.0.0.6")
        await first.hung_up()
        await last.say(heartbeat("864000000300004"))
        await last.hear(ON)
