"""Slow senders, endless frames, silence: how long each is put up with."""

from __future__ import annotations

import socket

import pytest

from bridge.listener.port import KEEPALIVE
from tests.bridge.port import (
    GOLF,
    LOAD,
    ON,
    STRANGER,
    VAN,
    Port,
    Wire,
    heartbeat,
    login,
    position,
    serving,
)
from tests.conftest import eventually


async def dribble(port: Port, wire: Wire, data: bytes, each_s: float) -> float:
    """Say a byte at a time until hung up on; return after how many seconds that was."""
    (peer,) = await eventually(lambda: list(port.streams.peers))
    start, before = port.clock.seconds, peer.session.bytes_in
    for number, byte in enumerate(data, 1):
        await wire.say(bytes([byte]))
        await eventually(lambda count=number: peer.session.bytes_in == before + count)
        port.sweep_after(each_s)
        if peer.session.closed:
            await wire.hung_up()
            break
    return port.clock.seconds - start


@pytest.mark.parametrize("opening", [b"\n", b"##,imei:86400", b"(0870", b"imei:8640000"])
async def test_who_dribbles_before_he_has_said_who_he_is_has_half_a_minute(opening, port):
    wire = await port.dial()
    endless = opening + b"0" * 100
    assert 30 < await dribble(port, wire, endless, 4) <= 34


async def test_a_stranger_who_has_said_who_he_is_has_half_a_minute_for_a_frame(port):
    wire = await port.dial()
    await wire.say(login(STRANGER))
    await wire.hear(LOAD)
    assert 30 < await dribble(port, wire, b"imei:" + b"0" * 100, 4) <= 40


async def test_a_frame_that_never_ends_ends_an_accepted_trackers_connection_too(port, caplog):
    caplog.set_level("INFO")
    golf = await port.known(GOLF)
    assert 120 < await dribble(port, golf, b"imei:" + b"0" * 100, 10) <= 140
    assert "hung up: a frame did not end in time" in caplog.messages


async def test_a_slow_tracker_that_ends_its_frames_is_heard(port):
    golf = await port.known(GOLF)
    for _ in range(10):
        assert await dribble(port, golf, heartbeat(GOLF), 5) == 80
        await golf.hear(ON)


async def test_a_frame_is_the_newer_one_where_each_read_ends_one_and_begins_another(port):
    golf = await port.known(GOLF)
    for number in range(40):
        await golf.say(heartbeat(GOLF)[:-1] if number == 0 else b";" + heartbeat(GOLF)[:-1])
        await golf.hear(ON if number else b"")
        port.sweep_after(10)
    await golf.say(b";")
    await golf.hear(ON)


async def test_the_time_for_a_frame_does_not_run_while_we_do_not_read(tmp_path):
    async with serving(tmp_path, journal_queue=10) as port:
        golf, van = await port.known(GOLF), await port.known(VAN)
        said = position(GOLF) + heartbeat(GOLF)
        await golf.say(said[:20])
        port.disk.turns.clear()
        await van.say(b"".join(position(VAN, number) for number in range(12)))
        await eventually(lambda: not port.intake.fleet.has_room)
        await golf.say(said[20:40])
        await eventually(lambda: all(peer._paused for peer in port.streams.peers))
        port.sweep_after(1000)
        port.disk.turns.set()
        await eventually(lambda: not any(peer._paused for peer in port.streams.peers))
        port.sweep_after(100)
        await golf.say(said[40:])
        await golf.hear(ON)


async def test_who_never_says_which_tracker_he_is_is_not_kept_by_being_wrong(port):
    wire = await port.dial()
    for number in range(1, 5):
        await wire.say(b"imei:nonsense;")
        await eventually(lambda count=number: port.counters.rejected == count)
        port.sweep_after(9)
    await wire.hung_up()


@pytest.mark.parametrize(("patience_s", "within"), [(None, 1800), (270.0, 270)])
async def test_a_tracker_is_given_up_when_its_rhythm_says_so(patience_s, within, port):
    golf = await port.known(GOLF)
    port.intake.sessions.of(GOLF).patience_s = patience_s
    port.sweep_after(within)
    assert port.listener.connections == 1
    port.sweep_after(1)
    await golf.hung_up()
    assert port.world.kinds() == ["connected", "disconnected"]


async def test_the_system_looks_whether_a_silent_tracker_is_still_there(port):
    await port.known(GOLF)
    (peer,) = port.streams.peers
    plain = peer._transport.get_extra_info("socket")
    assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            assert plain.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
