"""What a stranger can take of the tracker port is bounded, and soon given back."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from bridge.config import Access
from bridge.errors import StorageError
from bridge.listener.stream import GRACE_S
from bridge.protocols.connection import UNRECOGNISED
from bridge.reception import AUTO_ACCEPT_LIMIT
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
    login,
    position,
    serving,
)
from tests.conftest import eventually

SCANNERS = {
    "http": b"GET / HTTP/1.1\r\nHost: 192.0.2.7:8888\r\n\r\n",
    "proxy": b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "sip": b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\n\r\n",
    "rdp": bytes.fromhex("030000130ee000000000000100080003000000"),
    "smb": b"\x00\x00\x00\xa4\xff\x53\x4d\x42\x72" + bytes(160),
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "mqtt": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
    "noise": hashlib.shake_128(b"noise").digest(300),
    "digits": b"1" * 40,
}


def nothing_is_known_of(port: Port) -> bool:
    return not len(port.intake.guests) and not port.world.events and not port.world.reports


# --- before a peer has said anything -------------------------------------------------------------


@pytest.mark.parametrize("scanner", SCANNERS)
async def test_who_speaks_no_tracker_language_is_hung_up_on_at_once(scanner, port):
    before = sorted(path.name for path in port.folder.iterdir())
    wire = await port.dial()
    await wire.say(SCANNERS[scanner])
    await wire.hung_up()
    await eventually(lambda: not port.streams.peers)
    assert port.counters.rejected == 1
    assert port.counters.messages == 0
    assert nothing_is_known_of(port)
    assert sorted(path.name for path in port.folder.iterdir()) == before


async def test_scanners_make_one_line_an_hour_for_each_source(port, caplog):
    for address in ["127.0.0.2"] * 5 + ["127.0.0.3"] * 3:
        wire = await port.dial(address)
        await wire.say(SCANNERS["http"])
        await wire.hung_up()
    assert len(caplog.messages) == 2
    assert all(UNRECOGNISED in line for line in caplog.messages)
    assert "GET" not in caplog.text
    port.clock.advance(3600)
    wire = await port.dial("127.0.0.2")
    await wire.say(SCANNERS["http"])
    await wire.hung_up()
    assert caplog.messages[2].endswith("(4 more in the last hour)")


async def test_a_flood_of_sources_makes_no_flood_of_lines(tmp_path, caplog):
    async with serving(tmp_path, strange_datagrams_per_s=1000) as port:
        for number in range(3000):
            peer = (f"203.0.{number // 250}.{number % 250}", 4000)
            port.datagrams.datagram_received(SCANNERS["sip"], peer)
            port.clock.advance(0.001)
        assert port.counters.rejected == 3000
        assert len(caplog.messages) <= 1001
        assert len(port.intake.strangers) <= 1001
        assert not port.datagrams.peers


@pytest.mark.parametrize(
    "crumbs",
    [b"", b"\r\n" * 7, b"##,imei:8640000", b"86400000000123", b"imei:86400000", b"(08700000"],
    ids=["nothing", "blanks", "login", "heartbeat", "report", "brackets"],
)
async def test_who_finishes_no_frame_in_time_is_hung_up_on(crumbs, port):
    wire = await port.dial()
    await eventually(lambda: port.listener.connections == 1)
    (peer,) = port.streams.peers
    for number in range(len(crumbs)):
        await wire.say(crumbs[number : number + 1])
        await eventually(lambda count=number + 1: peer.session.bytes_in == count)
        port.sweep_after(1)
    port.sweep_after(30 - len(crumbs))
    assert port.listener.connections == 1
    port.sweep_after(1)
    await wire.hung_up()
    assert nothing_is_known_of(port)


async def test_a_tracker_may_be_silent_for_long_but_not_for_ever(port):
    golf = await port.known(GOLF)
    port.sweep_after(1800)
    assert port.listener.connections == 1
    port.sweep_after(1)
    await golf.hung_up()
    assert port.world.kinds() == ["connected", "disconnected"]
    assert port.intake.link("golf", port.clock.now) == "lost"


async def test_a_clock_that_is_set_hangs_up_on_nobody(port):
    golf = await port.known(GOLF)
    datagram = port.datagram()
    for change in (86_400, -172_800):
        port.clock.advance(change)
        port.clock.seconds -= change
        port.listener.sweep()
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)
        await datagram.say(heartbeat(VAN))
        await datagram.hear(ON)
    assert port.listener.connections == 2


# --- places ---------------------------------------------------------------------------------------


async def test_strangers_make_way_and_trackers_do_not(tmp_path, caplog):
    async with serving(tmp_path, connections=3) as port:
        silent = [await port.dial() for _ in range(3)]
        await eventually(lambda: port.listener.connections == 3)
        golf = await port.known(GOLF)
        await silent[0].hung_up()
        van = await port.known(VAN)
        await silent[1].hung_up()
        guest = await port.dial()
        await silent[2].hung_up()
        await guest.say(login(STRANGER))
        await guest.hear(LOAD)
        box = await port.dial()
        await guest.hung_up()
        await box.say(BOX_LOGIN)
        await box.hear(BOX_WELCOME)
        for _ in range(2):
            refused = await port.dial()
            await refused.hung_up()
        assert port.listener.connections == 3
        assert caplog.messages.count("too many connections, refused") == 1
        for wire, device_id in ((golf, GOLF), (van, VAN)):
            await wire.say(heartbeat(device_id))
            await wire.hear(ON)


async def test_a_guest_that_speaks_stays_longer_than_who_is_silent(tmp_path):
    async with serving(tmp_path, connections=2) as port:
        guest = await port.dial()
        await guest.say(login(STRANGER))
        await guest.hear(LOAD)
        silent = await port.dial()
        await eventually(lambda: port.listener.connections == 2)
        port.clock.advance(GRACE_S + 1)
        await port.known(GOLF)
        await silent.hung_up()
        await guest.say(heartbeat(STRANGER))
        await guest.hear(ON)


async def test_one_address_takes_its_own_places_only(tmp_path):
    async with serving(tmp_path, connections_per_address=2) as port:
        other = await port.dial("127.0.0.9")
        await other.say(login(STRANGER))
        await other.hear(LOAD)
        first, _, _ = [await port.dial("127.0.0.2") for _ in range(3)]
        await first.hung_up()
        golf, _van = await port.known(GOLF, "127.0.0.2"), await port.known(VAN, "127.0.0.2")
        refused = await port.dial("127.0.0.2")
        await refused.hung_up()
        assert port.streams.per_address == {"127.0.0.2": 2, "127.0.0.9": 1}
        golf.reset()
        await eventually(lambda: port.streams.per_address["127.0.0.2"] == 1)
        box = await port.dial("127.0.0.2")
        await box.say(BOX_LOGIN)
        await box.hear(BOX_WELCOME)
        await other.say(heartbeat(STRANGER))
        await other.hear(ON)


async def test_made_up_ids_are_told_of_a_few_times_an_hour(tmp_path, caplog):
    async with serving(tmp_path, guests_per_address=3) as port:
        wire = await port.dial()
        for number in range(200):
            await wire.say(heartbeat(f"8640000001{number:05d}"))
            await wire.hear(ON)
        assert len(port.intake.guests) <= 20
        assert len(caplog.messages) == 3
        assert port.world.kinds() == ["tracker_pending"] * 3


async def test_no_flood_hides_what_is_said_of_guests_and_trackers(port, caplog):
    for number in range(2000):
        port.intake.strangers.due(number, port.clock.now)
    golf, guest = await port.known(GOLF), await port.dial()
    await golf.say(b"imei:nonsense;" * 3 + heartbeat(GOLF))
    await golf.hear(ON)
    await guest.say(heartbeat(STRANGER))
    await guest.hear(ON)
    rejected, waits = caplog.messages
    assert rejected.startswith("rejected 14 bytes: malformed")
    assert STRANGER in waits


# --- what could be raised -------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access(unknown="accept"), Access(allow=(STRANGER,))])
async def test_a_registry_that_cannot_be_written_leaves_a_guest(
    access, tmp_path, monkeypatch, caplog
):
    async with serving(tmp_path, access=access) as port:

        def refuse(*_: object, **__: object) -> None:
            raise StorageError("no space left")

        monkeypatch.setattr(port.intake.registry, "accept", refuse)
        wire = await port.dial()
        await wire.say(heartbeat(STRANGER) * 3)
        await wire.hear(ON * 3)
        assert list(port.intake.guests) == [STRANGER]
        first, second = caplog.messages
        assert first == "cannot be accepted: no space left"
        assert second.startswith(f"unknown tracker {STRANGER} waits to be accepted")


def _mutated(chance: random.Random) -> bytes:
    """Return something between a conversation and noise."""
    known = [GOLF, VAN, BOX, STRANGER, f"8640000{chance.randrange(10**8):08d}"]
    device_id = chance.choice(known)
    words = [login(device_id), heartbeat(device_id), BOX_LOGIN]
    noise = [b"(", b"$", b"\r\n", b"##,imei:", b"imei:", chance.randbytes(20), *SCANNERS.values()]
    said = b"".join(
        chance.choice(noise)
        if chance.random() < 0.1
        else chance.choice([*words, position(device_id, chance.randrange(100))])
        for _ in range(chance.randrange(1, 8))
    )
    data = bytearray(said)
    for _ in range(chance.choice((0, 0, 0, 0, 0, 1, 5))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    start = chance.choice((0, 0, 0, chance.randrange(len(data))))
    return bytes(data[start : start + chance.choice((5, 200, 5000, 5000))])


@pytest.mark.parametrize(
    "access", [Access(), Access(unknown="accept"), Access(unknown="ignore", block=(STRANGER,))]
)
async def test_nothing_a_peer_sends_raises_anything(access, tmp_path):
    """`serving` fails where a callback raised, and where anything is left of anybody."""
    chance = random.Random(8888)  # noqa: S311 - the same noise each time
    async with serving(
        tmp_path, access=access, journal_queue=10, connections=8, udp_sessions=8
    ) as port:
        port.intake.permit_join.open(port.clock.now)
        senders = [port.datagram(f"127.0.0.{number}") for number in range(2, 8)]
        wires = [await port.dial(f"127.0.0.{number}") for number in range(2, 8)]
        for turn in range(1200):
            number = chance.randrange(len(wires))
            try:
                await wires[number].say(_mutated(chance))
                if chance.random() < 0.1:
                    wires[number].end()
            except OSError:
                wires[number].socket.close()
                wires[number] = await port.dial(f"127.0.0.{number + 2}")
            await chance.choice(senders).say(_mutated(chance))
            await asyncio.sleep(0)  # let the bridge read, whole and in parts
            if turn % 40 == 0:
                port.sweep_after(chance.choice((1, 12, 40)))
        assert min(port.counters.messages, port.counters.rejected) > 300
        for wire in wires:
            wire.socket.close()
        await eventually(lambda: not port.streams.peers)
        # Whoever asks now is answered as if nothing had been.
        golf = await port.known(GOLF)
        await golf.say(position(GOLF, 999) + heartbeat(GOLF))
        await golf.hear(ON)
        assert len(port.intake.vehicles) <= AUTO_ACCEPT_LIMIT + 1  # one joined by permission
