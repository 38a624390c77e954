"""What a bridge asks of its surroundings beside reports: a port, a tracker it was to expect."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from bridge.app import check_port
from bridge.cli import bridge as command
from bridge.config import Config, Listen
from bridge.errors import RequestError, StorageError
from bridge.supervisor import Expected
from tests.bridge.port import GOLF, serving
from tests.conftest import free_port

# --- another port ---


KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.mark.parametrize("taken", KINDS)
def test_a_port_that_somebody_has_is_refused_before(taken):
    ours, wanted = (Listen(host="127.0.0.1", port=free_port()) for _ in range(2))
    with socket.socket(type=KINDS[taken]) as other:
        other.bind(("127.0.0.1", wanted.port))
        if taken == "tcp":
            other.listen()
        with pytest.raises(RequestError, match=f"cannot listen on 127.0.0.1:{wanted.port}"):
            check_port(ours, wanted)
        check_port(ours, replace(wanted, **{taken: False}))
        # One transport more, on the port that we have.
        with pytest.raises(RequestError, match="cannot listen"):
            check_port(replace(wanted, **{taken: False}), wanted)
    check_port(ours, wanted)


def test_our_own_port_is_in_nobodys_way():
    ours = Listen(host="127.0.0.1", port=free_port())
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", ours.port))
        tcp.listen()
        udp.bind(("127.0.0.1", ours.port))
        check_port(ours, ours)
        check_port(ours, replace(ours, host="0.0.0.0"))
        check_port(ours, replace(ours, udp=False))
        with pytest.raises(RequestError, match=r"cannot listen on 192\.0\.2\.1"):
            check_port(ours, replace(ours, host="192.0.2.1"))


# --- a tracker that is expected ---


async def test_a_tracker_that_cannot_be_noted_down_is_told_at_once(tmp_path, monkeypatch, caplog):
    async with serving(tmp_path, vehicles={}) as port:
        expecting = command._expecting(Expected(GOLF, "Golf"))
        demo = command._demo(Config(listen=Listen(host="127.0.0.1", port=free_port())))
        with monkeypatch.context() as full:
            full.setattr("bridge.registry.write_whole", _disk_is_full)
            full.setattr("bridge.simulator.run", _drives)
            await expecting(port.intake)
            assert "Golf cannot be accepted: disk is full" in caplog.text
            await demo(port.intake)
            assert "Demo car cannot be accepted: disk is full" in caplog.text
        await expecting(port.intake)
        assert port.intake.registry.match(GOLF) is not None


def _disk_is_full(*_: object) -> None:
    raise StorageError("disk is full")


async def _drives(_: object) -> None: ...
