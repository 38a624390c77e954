"""The network: who listens on the tracker port, and what the addresses on either side mean."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path

from bridge.doctor.finding import Result, bad, ok, plainly, warn
from bridge.doctor.patient import Patient

PATIENCE_S = 3.0

_PROC = Path("/proc")
_LISTENS = {"tcp": "0A", "udp": "07"}
"""How ``/proc/net/tcp`` writes a socket that listens, and ``/proc/net/udp`` one that is bound."""
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what stands for every address
_CGNAT = IPv4Network("100.64.0.0/10")
_IN_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


async def tcp_port(patient: Patient) -> Result:
    """Who takes connections on the tracker port."""
    listen = patient.settings.listen
    if not listen.tcp:
        return ok("is off, as configured")
    if not patient.runs:
        return _could_be_had(patient, "tcp")
    host = _EVERYWHERE.get(listen.host, listen.host)
    try:
        # Not a word is said: who says nothing is no guest.
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(host, listen.port)
    except OSError as error:  # which a timeout is too
        return bad(
            f"nobody takes connections on {host} port {listen.port}, though a bridge runs: "
            f"{plainly(error)}",
            "see its log; was its configuration changed since its start?",
        )
    writer.close()
    return _held(patient, "tcp", f"port {listen.port} takes connections")


def udp_port(patient: Patient) -> Result:
    """Who has the tracker port for datagrams."""
    listen = patient.settings.listen
    if not listen.udp:
        return ok("is off, as configured")
    if not patient.runs:
        return _could_be_had(patient, "udp")
    fault = _bind(patient, "udp")
    if fault != errno.EADDRINUSE:
        return bad(
            f"nobody has port {listen.port} for datagrams, though a bridge runs",
            "see its log; was its configuration changed since its start?",
        )
    return _held(patient, "udp", f"port {listen.port} takes datagrams")


def addresses(_: Patient) -> Result:
    """What can be reached of this machine from a mobile network."""
    found = sorted(set(_own_addresses()), key=str)
    if not found:
        return bad("this machine has no address but its loopback", "connect it to a network")
    kinds = [_kind(address) for address in found]
    words = ", ".join(f"{_veiled(one)} ({kind})" for one, kind in zip(found, kinds, strict=True))
    if any(path.exists() for path in _IN_CONTAINER):
        return ok(f"{words}: of a container, not of the machine", "publish its port, TCP and UDP")
    if "public" in kinds:
        return ok(f"{words}: a tracker can reach the public one, if no firewall forbids it")
    if "shared by the provider" in kinds:
        return warn(
            f"{words}: the provider shares one public address among customers, so no tracker can"
            " reach this machine by IPv4",
            "ask the provider for a public address, or rent a small server that passes on",
        )
    return ok(
        f"{words}: trackers on a mobile network reach it only through a router that forwards the"
        " port. Whether the router's own address is public is not known from here",
        "forward the port in the router, TCP and UDP, to this machine",
    )


def sources(patient: Patient) -> Result:
    """Whether trackers can be told apart by their addresses, as the running bridge saw them."""
    seen = (patient.health or {}).get("sources")
    if not isinstance(seen, dict):
        return ok("not known: no bridge runs here that says from where trackers came")
    trackers, found, private = (
        int(seen.get(name, 0)) for name in ("trackers", "addresses", "shared")
    )
    if not trackers:
        return ok("no tracker came in the last day")
    words = f"{trackers} tracker{'s' if trackers > 1 else ''} in the last day, from {found}"
    words += f" address{'es' if found != 1 else ''}"
    if found == 1 and (trackers > 1 or private):
        what = ", a private one" if private else ""
        return warn(
            f"{words}{what}: something before the bridge shows its own address for all, such as"
            " Docker's userland proxy, NAT, or a relay. Limits for each address cannot tell"
            " trackers from strangers then, so they go by connection",
            "all works, strangers are harder to shut out; with Docker, network_mode: host shows"
            " real addresses",
        )
    return ok(words)


def _could_be_had(patient: Patient, kind: str) -> Result:
    """Whether a bridge that starts now would get the port."""
    listen = patient.settings.listen
    fault = _bind(patient, kind)
    if fault is None:
        return ok(f"port {listen.port} is free, the bridge can have it")
    if fault == errno.EADDRINUSE:
        who = " and ".join(_holders(kind, listen.port)) or "another program"
        return bad(f"port {listen.port} is taken by {who}", "stop that, or set listen.port")
    if fault == errno.EADDRNOTAVAIL:
        return bad(
            f"{listen.host} is no address of this machine", "set listen.host, or leave it out"
        )
    return bad(f"port {listen.port} cannot be had: {os.strerror(fault)}", "set listen.port")


def _held(patient: Patient, kind: str, words: str) -> Result:
    """Return who has the port, as far as that can be known."""
    holders = _holders(kind, patient.settings.listen.port)
    if not holders or patient.process is None:
        return ok(words)
    ours = f"process {patient.process} "
    for holder in holders:
        if holder.startswith(ours):
            return ok(f"{words}: {holder}, the bridge")
    return bad(
        f"{words}, but it belongs to {' and '.join(holders)}, not to the bridge",
        "stop that, or set listen.port",
    )


def _bind(patient: Patient, kind: str) -> int | None:
    """Return the error of taking the port for a moment, None where that went well."""
    listen = patient.settings.listen
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, _KINDS[kind]) as probe:
        if kind == "tcp":  # connections that have just ended keep nobody out
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            return error.errno
    return None


def _holders(kind: str, port: int) -> list[str]:
    """Return the processes that have a port, as ``process 12 (name)``, as far as we may look."""
    inodes = set()
    for table in (kind, f"{kind}6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTENS[kind] and int(local.rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{inode}]")
    found = []
    for process in _PROC.glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            if any(str(one.readlink()) in inodes for one in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                found.append(f"process {process.name} ({name})")
    return found


Address = IPv4Address | IPv6Address


def _own_addresses() -> Iterator[Address]:
    """Yield this machine's addresses but loopback and link-local ones."""
    texts = []
    with suppress(OSError):
        table = (_PROC / "net/fib_trie").read_text(encoding="ascii")
        texts += re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", table)
    with suppress(OSError):
        for line in (_PROC / "net/if_inet6").read_text(encoding="ascii").splitlines():
            texts.append(":".join(re.findall(r".{4}", line.split()[0])))
    # The way out has an address, whatever the system tells of itself; nothing is sent.
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            texts.append(probe.getsockname()[0])
    for text in texts:
        address = ip_address(text)
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            yield address


def _kind(address: Address) -> str:
    if isinstance(address, IPv4Address) and address in _CGNAT:
        return "shared by the provider"
    return "private" if address.is_private else "public"


def _veiled(address: Address) -> str:
    """Return an address as it may be shown: of a public one its beginning."""
    if _kind(address) != "public":
        return str(address)
    if isinstance(address, IPv4Address):
        return f"{str(address).rpartition('.')[0].rpartition('.')[0]}.x.x"
    return f"{address.exploded[:9]}:..."
