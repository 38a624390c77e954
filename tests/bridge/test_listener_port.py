"""The port opens whole or not at all, for both families, and leaves nothing open."""

from __future__ import annotations

import dataclasses
import errno
import resource
import socket

import pytest

from bridge.config import Listen
from bridge.errors import BridgeError
from bridge.listener.port import (
    BACKLOG,
    KERNEL_BYTES,
    SPARE_FILES,
    Listener,
    _allow_open_files,
)
from tests.bridge.port import GOLF, LOAD, ON, VAN, heartbeat, login, quiet_port, serving
from tests.conftest import eventually


async def test_a_port_in_use_is_a_sentence_and_disturbs_nobody(port):
    with pytest.raises(BridgeError, match="is another bridge running"):
        await Listener(port.intake.config, port.intake).__aenter__()
    await port.known(GOLF)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
async def test_an_address_that_is_not_ours_is_said_to_be_none(port, host):
    config = dataclasses.replace(port.intake.config, listen=Listen(host=host, port=0))
    with pytest.raises(BridgeError, match="an address of this machine; leave it out"):
        await Listener(config, port.intake).__aenter__()


async def test_a_port_that_closes_hangs_up_on_everybody(port):
    golf, box, van = await port.known(GOLF), await port.dial(), port.datagram()
    await van.say(heartbeat(VAN))
    await van.hear(ON)
    await eventually(lambda: port.listener.connections == 3)
    await port.listener.__aexit__()
    assert port.listener.connections == 0
    assert len(port.intake.sessions) == 0
    await golf.hung_up()
    await box.hung_up()


async def test_half_a_port_is_none(port):
    listen = Listen(host="127.0.0.1", port=quiet_port("127.0.0.1"))
    config = dataclasses.replace(port.intake.config, listen=listen)
    with socket.socket(type=socket.SOCK_DGRAM) as other, socket.socket() as probe:
        other.bind(("127.0.0.1", listen.port))
        with pytest.raises(BridgeError, match=f"cannot listen on 127.0.0.1:{listen.port}"):
            await Listener(config, port.intake).__aenter__()
        assert probe.connect_ex(("127.0.0.1", listen.port)) == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "told"),
    [
        (1024, 524_288, [(1192, 524_288)], 0),
        (1024, resource.RLIM_INFINITY, [(1192, resource.RLIM_INFINITY)], 0),
        (4096, 524_288, [], 0),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, [], 0),
        (256, 1024, [(1024, 1024)], 1),
    ],
)
def test_as_many_files_may_be_open_as_there_are_connections(  # noqa: PLR0917 - a table
    soft, hard, raised, told, monkeypatch, caplog
):
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    _allow_open_files(1000 + BACKLOG + SPARE_FILES)
    assert asked == raised
    assert len(caplog.messages) == told


async def test_the_system_holds_little_of_a_connection(port):
    await port.known(GOLF)
    (peer,) = port.streams.peers
    plain = peer._transport.get_extra_info("socket")
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        assert plain.getsockopt(socket.SOL_SOCKET, option) <= 2 * KERNEL_BYTES


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_every_address_means_both_families_on_both_transports(address, tmp_path):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    async with serving(tmp_path, host="::") as port:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as plain:
                plain.settimeout(0)
                await eventually(lambda: plain.connect_ex((address, port.number)) in (0, 106))
                plain.send(login(GOLF))
                heard = await eventually(lambda: _received(plain))
                assert heard == LOAD
                await eventually(lambda: port.intake.sessions.of(GOLF))
                session = port.intake.sessions.of(GOLF)
                assert session.address == ("::" if ":" in address else "127.0.0.1")
                shown = f"[{address}]:" if ":" in address else f"{address}:"
                assert session.peer.startswith(shown)
                session.close("")


def _received(plain: socket.socket) -> bytes:
    try:
        return plain.recv(100)
    except BlockingIOError:
        return b""
