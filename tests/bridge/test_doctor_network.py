"""The doctor at the tracker port, and what he makes of addresses."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from bridge.doctor import network
from bridge.doctor.finding import ok
from bridge.doctor.patient import Patient
from tests.bridge.patient import new_bridge


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return new_bridge(tmp_path)


@contextmanager
def taken(port: int, kind: int) -> Iterator[None]:
    with socket.socket(type=kind) as holder:
        holder.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield


async def test_a_port_that_is_free_or_somebody_elses(patient):
    port = patient.settings.listen.port
    free = ok(f"port {port} is free, the bridge can have it")
    assert await network.tcp_port(patient) == network.udp_port(patient) == free
    with taken(port, socket.SOCK_STREAM):
        found = await network.tcp_port(patient)
        assert found.state == "bad"
        assert f"port {port} is taken by process {os.getpid()} (" in found.words
        assert network.udp_port(patient) == free
    with taken(port, socket.SOCK_DGRAM):
        assert f"taken by process {os.getpid()} (" in network.udp_port(patient).words
        assert await network.tcp_port(patient) == free


async def test_the_port_of_a_bridge_that_runs(patient):
    port = patient.settings.listen.port
    ours = replace(patient, runs=True, process=os.getpid())
    for found in (await network.tcp_port(ours), network.udp_port(ours)):
        assert found.state == "bad"
        assert "though a bridge runs" in found.words
    with taken(port, socket.SOCK_STREAM), taken(port, socket.SOCK_DGRAM):
        for found in (await network.tcp_port(ours), network.udp_port(ours)):
            assert found.state == "ok"
            assert f": process {os.getpid()} (" in found.words
            assert found.words.endswith("), the bridge")
        unknown = replace(ours, process=None)
        assert await network.tcp_port(unknown) == ok(f"port {port} takes connections")
        assert network.udp_port(unknown) == ok(f"port {port} takes datagrams")
        other = replace(ours, process=1)
        for found in (await network.tcp_port(other), network.udp_port(other)):
            assert found.state == "bad"
            assert "not to the bridge" in found.words


async def test_a_transport_that_is_off(patient):
    for examine, name in ((network.tcp_port, "tcp"), (network.udp_port, "udp")):
        listen = replace(patient.settings.listen, **{name: False})
        without = replace(patient, settings=replace(patient.settings, listen=listen))
        found = examine(without)
        found = await found if asyncio.iscoroutine(found) else found
        assert found == ok("is off, as configured")


def test_an_address_that_is_not_ours(patient):
    listen = replace(patient.settings.listen, host="192.0.2.77")
    elsewhere = replace(patient, settings=replace(patient.settings, listen=listen))
    assert network.udp_port(elsewhere).words == "192.0.2.77 is no address of this machine"


@pytest.mark.parametrize(
    ("own", "state", "words"),
    [
        ([], "bad", "no address but its loopback"),
        (
            ["192.168.1.7"],
            "ok",
            "192.168.1.7 (private): trackers on a mobile network reach it only",
        ),
        (["100.64.3.4"], "warn", "100.64.3.4 (shared by the provider): "),
        (["10.0.0.4", "198.18.0.9"], "ok", "(private)"),
        (["8.8.4.4"], "ok", "8.8.x.x (public): a tracker can reach"),
        (["2606:4700::1111"], "ok", "2606:4700:... (public)"),
    ],
)
def test_own_addresses(patient, monkeypatch, own, state, words):
    monkeypatch.setattr(network, "_own_addresses", lambda: [ip_address(one) for one in own])
    monkeypatch.setattr(network, "_IN_CONTAINER", ())
    found = network.addresses(patient)
    assert found.state == state
    assert words in found.words


def test_a_containers_addresses_are_not_the_machines(patient, monkeypatch, tmp_path):
    monkeypatch.setattr(network, "_own_addresses", lambda: [ip_address("172.17.0.2")])
    monkeypatch.setattr(network, "_IN_CONTAINER", (tmp_path,))
    assert "of a container" in network.addresses(patient).words


def test_addresses_of_this_machine_are_read_without_asking_anybody():
    for address in network._own_addresses():
        assert not address.is_loopback


@pytest.mark.parametrize(
    ("trackers", "addresses", "private", "state", "words"),
    [
        (0, 0, 0, "ok", "no tracker came in the last day"),
        (3, 3, 0, "ok", "3 trackers in the last day, from 3 addresses"),
        (1, 1, 0, "ok", "1 tracker in the last day, from 1 address"),
        (3, 1, 0, "warn", "from 1 address: something before the bridge"),
        (3, 1, 1, "warn", "from 1 address, a private one: something"),
        (1, 1, 1, "warn", "from 1 address, a private one: something"),
    ],
)
def test_where_trackers_came_from(trackers, addresses, private, state, words, *, patient):
    seen = {"trackers": trackers, "addresses": addresses, "shared": private}
    found = network.sources(replace(patient, runs=True, health={"sources": seen}))
    assert found.state == state
    assert words in found.words


def test_where_they_came_from_is_not_guessed(patient):
    for health in (None, {}, {"uptime_s": 5}):
        found = network.sources(replace(patient, health=health))
        assert found.state == "ok"
        assert found.words.startswith("not known")
