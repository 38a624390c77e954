"""Headers of the PROXY protocol, as a proxy would write them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from bridge.listener.proxyheader import crc32c

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
HERE = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}
HEALTH_1 = b"PROXY UNKNOWN\r\n"
HEALTH_2 = SIGNATURE + bytes([0x20, 0, 0, 0])

Address = IPv4Address | IPv6Address


def version_1(host: str | Address, port: int) -> bytes:
    """Write the line."""
    address = ip_address(host)
    here = HERE[address.version]
    return f"PROXY TCP{address.version} {address} {here} {port} 8888\r\n".encode()


def version_2(
    host: str | Address, port: int, *extras: tuple[int, bytes], checksum: bool = False
) -> bytes:
    """Write the binary header; `extras` are TLVs that stand behind the addresses."""
    address = ip_address(host)
    body = address.packed + ip_address(HERE[address.version]).packed
    body += struct.pack(">HH", port, 8888)
    body += b"".join(struct.pack(">BH", kind, len(value)) + value for kind, value in extras)
    body += b"\x03\x00\x04\0\0\0\0" if checksum else b""
    family = 0x11 if address.version == 4 else 0x21
    header = SIGNATURE + struct.pack(">BBH", 0x21, family, len(body)) + body
    return header[:-4] + struct.pack(">I", crc32c(header)) if checksum else header
