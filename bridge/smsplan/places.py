"""Whether a tracker in the mobile network can reach an address, and what to do where it cannot."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network

_HOME = (
    "a tracker in the mobile network cannot reach it. Take the router's public address or a host "
    "name that follows it, and forward the port to this machine; where the provider gives no "
    "public address, a small rented server (VPS) or a VPN has to pass on: see docs/cgnat.md"
)
_CGNAT = (
    "no port of it can be forwarded to you. Ask the provider for a public IPv4 address, or let a "
    "small rented server (VPS) or a VPN with one pass on: see docs/cgnat.md"
)
_EXAMPLE = "kept for examples in documents, nobody can be reached there: take your own"

_NETWORKS: tuple[tuple[str, str, str], ...] = (
    ("10.0.0.0/8", "a private address", _HOME),
    ("172.16.0.0/12", "a private address", _HOME),
    ("192.168.0.0/16", "a private address", _HOME),
    ("100.64.0.0/10", "behind the provider's NAT (CGNAT)", _CGNAT),
    ("127.0.0.0/8", "this machine itself (loopback)", _HOME),
    ("169.254.0.0/16", "an address a machine without a network gives itself (link-local)", _HOME),
    ("192.0.2.0/24", "an address of documentation", _EXAMPLE),
    ("198.51.100.0/24", "an address of documentation", _EXAMPLE),
    ("203.0.113.0/24", "an address of documentation", _EXAMPLE),
    ("0.0.0.0/8", "no address of a machine", "take the public one"),
    ("224.0.0.0/3", "no address of a single machine", "take the public one"),
)
_PLACES = tuple((IPv4Network(network), what, advice) for network, what, advice in _NETWORKS)

_LOCAL_NAMES = (
    ".local", ".localdomain", ".lan", ".home", ".home.arpa", ".internal", ".intranet", ".corp",
    ".private", ".fritz.box", ".localhost",
)  # fmt: skip
_EXAMPLE_NAMES = (".example", ".test", ".invalid", ".example.com", ".example.net", ".example.org")


def trouble(host: str) -> str:
    """Return why an IPv4 address or host name is of no use to a tracker, empty if it may be."""
    try:
        address = IPv4Address(host)
    except AddressValueError:
        return _name_trouble(host)
    for network, what, advice in _PLACES:
        if address in network:
            return f"{host} is {what}: {advice}."
    return ""


def _name_trouble(name: str) -> str:
    dotted = f".{name.lower()}"
    if dotted.endswith(_EXAMPLE_NAMES):
        return f"{name} is a name for documents: {_EXAMPLE}."
    if dotted.endswith(_LOCAL_NAMES) or "." not in name:
        return f"{name} is a name of your own network: {_HOME}."
    return ""
