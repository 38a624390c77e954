"""Behind a proxy everybody is judged by his own address, and nobody can make one up.

127.0.0.1 is the proxy here; senders come from wherever a header says, and 127.0.0.2 is a stranger.
"""

from __future__ import annotations

import logging

import pytest

from bridge.listener import proxied
from bridge.listener.gate import ARRIVALS_AT_ONCE
from bridge.protocols.connection import UNRECOGNISED
from tests.bridge.port import (
    GOLF,
    LOAD,
    ON,
    SCAN,
    VAN,
    Port,
    Wire,
    heartbeat,
    login,
    position,
    serving,
)
from tests.bridge.proxying import HEALTH_1, HEALTH_2, SIGNATURE, version_1, version_2
from tests.conftest import eventually

AWAY, ELSEWHERE = "9.9.9.9", "8.8.4.4"
HEADERS = {"1": version_1, "2": version_2}


@pytest.fixture
async def port(tmp_path):
    async with serving(tmp_path, proxies=("127.0.0.1/32", "2001:db8::/32")) as opened:
        yield opened


async def through(port: Port, host: str, said: bytes = b"", version: str = "2") -> Wire:
    """Come through the proxy from an address of the internet."""
    wire = await port.dial()
    await wire.say(HEADERS[version](host, 40_112) + said)
    return wire


def sessions(port: Port) -> list[tuple[str, str]]:
    return [(peer.session.peer, peer.session.address) for peer in port.streams.peers]


# --- who it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", HEADERS)
async def test_a_tracker_is_seen_at_its_own_address(version, port, caplog):
    caplog.set_level(logging.INFO)
    golf = await through(port, AWAY, login(GOLF), version)
    await golf.hear(LOAD)
    assert sessions(port) == [(f"{AWAY}:40112", AWAY)]
    assert port.streams.per_address == {AWAY: 1}
    assert port.listener.counts()["sources"] == {"trackers": 1, "addresses": 1, "shared": 0}
    (line,) = caplog.records
    assert line.context["peer"] == f"{AWAY}:40112"


async def test_of_ipv6_the_network_is_the_sender(port):
    golf = await through(port, "2a00:1450:4001:801::7", login(GOLF))
    await golf.hear(LOAD)
    assert sessions(port) == [("[2a00:1450:4001:801::7]:40112", "2a00:1450:4001:801::")]


@pytest.mark.parametrize("version", HEADERS)
async def test_a_header_and_what_follows_may_come_byte_by_byte(version, port):
    said = HEADERS[version](AWAY, 40_112) + login(GOLF)
    wire = await port.dial()
    await eventually(lambda: port.proxied.arrivals)
    (arrival,) = port.proxied.arrivals
    for count in range(1, len(said) - len(login(GOLF))):
        await wire.say(said[count - 1 : count])
        await eventually(lambda count=count: len(arrival._read) == count)
    await wire.say(said[count:])
    await wire.hear(LOAD)
    (peer,) = port.streams.peers
    assert peer.session.bytes_in == len(login(GOLF))


async def test_what_comes_along_with_the_header_is_taken(port):
    many = range(300)
    golf = await through(port, AWAY, b"".join(position(GOLF, number) for number in many))
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    assert len(port.journalled("golf")) == 300


async def test_a_tracker_that_moves_to_another_network_is_seen_to_move(port):
    first = await through(port, AWAY, login(GOLF))
    await first.hear(LOAD)
    second = await through(port, ELSEWHERE, login(GOLF))
    await second.hear(LOAD)
    await first.hung_up()
    third = await through(port, AWAY, login(GOLF))
    await third.hear(LOAD)
    assert port.world.kinds("duplicate_session") == ["duplicate_session"]


async def test_a_peer_that_is_no_proxy_is_a_peer_as_ever(port):
    golf = await port.known(GOLF, "127.0.0.2")
    await golf.say(heartbeat(GOLF))
    await golf.hear(ON)
    assert port.streams.per_address == {"127.0.0.2": 1}


# --- who may say so -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", HEADERS)
async def test_a_stranger_with_a_header_is_a_stranger_with_garbage(version, port, caplog):
    wire = await port.dial("127.0.0.2")
    await wire.say(HEADERS[version](AWAY, 40_112) + login(GOLF))
    await wire.hung_up()
    assert port.counters.rejected == 1
    assert port.counters.messages == 0
    assert AWAY not in port.streams.per_address
    (line,) = caplog.messages
    assert UNRECOGNISED in line
    assert caplog.records[0].context["peer"].startswith("127.0.0.2:")


@pytest.mark.parametrize("version", HEADERS)
async def test_where_no_proxy_is_configured_a_header_is_garbage(version, tmp_path):
    async with serving(tmp_path) as port:
        wire = await through(port, AWAY, login(GOLF), version)
        await wire.hung_up()
        assert port.counters.rejected == 1
        assert port.counters.messages == 0


@pytest.mark.parametrize("version", HEADERS)
async def test_a_second_header_is_the_senders_own_words(version, port):
    wire = await through(port, AWAY, HEADERS[version](ELSEWHERE, 1) + login(GOLF))
    await wire.hung_up()
    assert port.counters.rejected == 1
    assert port.counters.messages == 0


async def test_who_is_trusted(port):
    hosts = ("127.0.0.1", "127.0.0.2", "2001:db8::1", "2001:db9::1", "fe80::1%eth0", "?", "")
    assert [host for host in hosts if port.proxied.trusts(host)] == ["127.0.0.1", "2001:db8::1"]


# --- who says nothing, or something else ----------------------------------------------------------


@pytest.mark.parametrize(
    "said", [login(GOLF), SCAN, b"PROXY TCP4 1.2.3.4\r\n", SIGNATURE + b"\x31"]
)
async def test_a_proxy_without_a_header_is_hung_up_on_and_told_of_once_an_hour(said, port, caplog):
    for _ in range(30):
        wire = await port.dial()
        await wire.say(said)
        await wire.hung_up()
    assert port.counters.refused == 30
    assert port.counters.messages == port.counters.rejected == 0
    (line,) = caplog.messages
    assert line.startswith("no PROXY header: ")
    assert "GET" not in caplog.text
    golf = await through(port, AWAY, login(GOLF))  # and it is not kept out
    await golf.hear(LOAD)
    port.clock.advance(3600)
    wire = await port.dial()
    await wire.say(said)
    await wire.hung_up()
    assert "(29 more in the last hour)" in caplog.messages[1]


@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 9.9.9.9 ", SIGNATURE + b"\x21\x11\0"])
async def test_a_header_must_come_in_time(said, port, caplog):
    wire = await port.dial()
    await wire.say(said)
    await eventually(lambda: [one for one in port.proxied.arrivals if one._read == said])
    port.sweep_after(30)
    assert port.proxied.arrivals
    port.sweep_after(1)
    await wire.hung_up()
    assert port.counters.refused == 1
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("said", [b"PROXY TCP4 9.9.9.9 ", SIGNATURE])
async def test_a_header_must_come_to_its_end(said, port):
    wire = await port.dial()
    await wire.say(said)
    wire.end()
    await wire.hung_up()
    assert port.counters.refused == 1


@pytest.mark.parametrize("said", [b"", HEALTH_1, HEALTH_2])
async def test_a_health_check_leaves_no_trace(said, port, caplog):
    caplog.set_level(logging.INFO)
    for leave in (Wire.end, Wire.reset):
        for _ in range(2 * ARRIVALS_AT_ONCE):
            wire = await port.dial()
            await wire.say(said)
            leave(wire)
    await eventually(lambda: not port.proxied.arrivals)
    wire = await port.dial()
    await wire.say(said)
    await eventually(lambda: port.proxied.arrivals)
    assert not port.listener.connections
    if said:
        await eventually(lambda: all(one._speaks_for_itself for one in port.proxied.arrivals))
        port.sweep_after(31)
        await wire.hung_up()
    assert port.counters.refused == port.counters.rejected == 0
    assert not caplog.messages
    assert not port.world.events


@pytest.mark.parametrize("header", [HEALTH_1, HEALTH_2])
@pytest.mark.parametrize("pause", [False, True])
async def test_who_speaks_for_nobody_is_no_tracker(header, pause, port):
    wire = await port.dial()
    await wire.say(header if pause else header + login(GOLF))
    if pause:
        await eventually(lambda: all(one._speaks_for_itself for one in port.proxied.arrivals))
        await wire.say(login(GOLF))
    await wire.hung_up()
    assert port.counters.refused == 1
    assert port.counters.messages == 0


async def test_a_crowd_without_headers_is_bounded_and_keeps_no_tracker_out(port, monkeypatch):
    monkeypatch.setattr(proxied, "MOST_ARRIVALS", 5)
    first, *_ = [await port.dial() for _ in range(6)]
    await first.hung_up()
    for _ in range(20):
        await port.dial()
    golf = await through(port, AWAY, login(GOLF))
    await golf.hear(LOAD)
    assert len(port.proxied.arrivals) <= 5
    assert port.streams.per_address == {AWAY: 1}


# --- limits go by the sender ----------------------------------------------------------------------


async def test_a_scanner_behind_the_proxy_is_kept_out_and_no_one_else(tmp_path):
    async with serving(tmp_path, proxies=("127.0.0.1",), ban_after=5) as port:
        golf = await through(port, AWAY, login(GOLF))
        await golf.hear(LOAD)
        for _ in range(5):
            wire = await through(port, ELSEWHERE, SCAN)
            await wire.hung_up()
        assert port.counters.rejected == 5
        banned = await through(port, ELSEWHERE, login(VAN))
        await banned.hung_up()
        assert port.counters.messages == 1
        van = await through(port, "1.1.1.1", login(VAN))
        await van.hear(LOAD)
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)


async def test_one_sender_takes_its_own_places_only(tmp_path):
    async with serving(tmp_path, proxies=("127.0.0.1",), connections_per_address=2) as port:
        first, *_ = [await through(port, ELSEWHERE) for _ in range(3)]
        await first.hung_up()
        for number in range(6):
            await through(port, f"9.9.9.{number}")
        await eventually(lambda: len(port.streams.peers) == 8)
        assert port.streams.per_address[ELSEWHERE] == 2


async def test_one_sender_dials_no_more_often_than_it_may_and_the_others_do(tmp_path):
    async with serving(tmp_path, proxies=("127.0.0.1",), ban_after=0) as port:
        await through(port, AWAY)
        await eventually(lambda: port.streams.peers)
        for _ in range(ARRIVALS_AT_ONCE + 5):
            wire = await through(port, ELSEWHERE, SCAN)
            await wire.hung_up()
        assert port.counters.rejected == ARRIVALS_AT_ONCE
        assert port.counters.refused == 5
        for number in range(3 * ARRIVALS_AT_ONCE):
            await through(port, f"9.9.8.{number}")
        await eventually(lambda: len(port.streams.peers) == 1 + 3 * ARRIVALS_AT_ONCE)


async def test_the_port_closes_while_a_header_is_awaited(tmp_path):
    async with serving(tmp_path, proxies=("127.0.0.1",)) as port:
        wire = await port.dial()
        await eventually(lambda: port.proxied.arrivals)
        await port.listener.__aexit__()
        await wire.hung_up()
        assert not port.proxied.arrivals
