"""The header with which a proxy says for whom it speaks: PROXY protocol, versions 1 and 2, on TCP.

    PROXY TCP4 192.0.2.7 198.51.100.1 40112 8888 CR LF              one line of at most 107 bytes
    signature, version and command, family, length, addresses, TLVs      16 bytes and the length

Pure and never raising. What has been read so far goes in, all of it each time; what comes out stays
the same, however much more is read behind it. Source: HAProxy's proxy-protocol.txt, 2.1 and 2.2.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Place = tuple[str, int]

LONGEST = 2048
"""A header of more bytes is refused. Addresses take 52, and what proxies add to them a few hundred:
names, certificates, marks of their own."""

_LINE = b"PROXY "
_LINE_BYTES = 107
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
"""Version and command: it speaks for itself, or for somebody."""
_ADDRESSES = {0x11: struct.Struct(">4s4sHH"), 0x21: struct.Struct(">16s16sHH")}
"""Family and transport -> source, destination, their ports: TCP over IPv4 and over IPv6."""
_NOBODY = (0x00, 0x31)
"""Family and transport of peers that have no address of the internet: unknown, a UNIX socket."""
_CHECKSUM = 0x03


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header of so many bytes. `place` is the sender's host and port.

    None: the proxy speaks for itself, such as to see whether we are there, or does not know.
    """

    length: int
    place: Place | None


@dataclass(frozen=True, slots=True)
class Refused:
    """This is no header, and why; the reason is a text of ours, never of the peer's."""

    reason: str


def read(data: bytes) -> Header | Refused | None:
    """Read a header at the start of what a proxy has sent; None: it may become one."""
    for start, parse in ((_LINE, _line), (_SIGNATURE, _binary)):
        if data.startswith(start):
            return parse(data)
        if start.startswith(data):
            return None
    return Refused("it begins otherwise")


def _line(data: bytes) -> Header | Refused | None:
    """Version 1."""
    end = data.find(b"\r\n", 0, _LINE_BYTES)
    if end < 0:
        return None if len(data) < _LINE_BYTES else Refused("its line does not end")
    length = end + 2
    words = data[:end].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return Header(length, None)
    if len(words) != 6 or words[1] not in {"TCP4", "TCP6"}:
        return Refused("its line is malformed")
    hosts = [_address(text, words[1]) for text in words[2:4]]
    ports = [int(text) if _PORT.fullmatch(text) else 65_536 for text in words[4:]]
    if None in hosts or max(ports) > 65_535:
        return Refused("its line is malformed")
    return _from(length, hosts[0], ports[0])


def _address(text: str, kind: str) -> IPv4Address | IPv6Address | None:
    """Return an address of TCP4 or TCP6, None for what is none: no zones, no leading zeros."""
    if "%" in text:
        return None
    try:
        return IPv4Address(text) if kind == "TCP4" else IPv6Address(text)
    except ValueError:
        return None


def _binary(data: bytes) -> Header | Refused | None:
    """Version 2."""
    if len(data) > 12 and data[12] not in {_LOCAL, _PROXY}:
        return Refused("its version or command is unknown")
    if len(data) < _HEAD.size:
        return None
    _, command, family, size = _HEAD.unpack_from(data)
    length = _HEAD.size + size
    if length > LONGEST:
        return Refused("it is too long")
    if len(data) < length:
        return None
    if command == _LOCAL or family in _NOBODY:  # whatever else it says has no meaning
        return Header(length, None)
    return _tcp(data[:length], family)


def _tcp(header: bytes, family: int) -> Header | Refused:
    """Read who the sender is in a whole header of version 2, and check what stands behind it."""
    layout = _ADDRESSES.get(family)
    if layout is None:
        return Refused("it speaks for no TCP connection")
    start = _HEAD.size + layout.size
    if len(header) < start:
        return Refused("its addresses are cut off")
    checksums = _checksums(header, start)
    if checksums is None or len(checksums) > 1:
        return Refused("what stands behind its addresses is malformed")
    if checksums and not _is_intact(header, checksums[0]):
        return Refused("its checksum is wrong")
    source, _, port, _ = layout.unpack_from(header, _HEAD.size)
    host = IPv4Address(source) if len(source) == 4 else IPv6Address(source)
    return _from(len(header), host, port)


def _checksums(header: bytes, start: int) -> list[int] | None:
    """Return where among the TLVs a checksum stands, None where these do not fill their place."""
    places = []
    while start < len(header):
        kind, size = header[start], int.from_bytes(header[start + 1 : start + 3], "big")
        value = start + 3
        start = value + size
        if start > len(header) or (kind == _CHECKSUM and size != 4):
            return None
        if kind == _CHECKSUM:
            places.append(value)
    return places


def _is_intact(header: bytes, place: int) -> bool:
    """Whether the checksum at a place is right: CRC-32C, reckoned with zeros in its place."""
    stated = int.from_bytes(header[place : place + 4], "big")
    return crc32c(header[:place] + bytes(4) + header[place + 4 :]) == stated


def crc32c(data: bytes) -> int:
    """Return Castagnoli's checksum (RFC 3720, B.4), bit by bit: a header is short."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _from(length: int, source: IPv4Address | IPv6Address | None, port: int) -> Header | Refused:
    if isinstance(source, IPv6Address):
        source = source.ipv4_mapped or source
    if source is None or source.is_unspecified or source.is_multicast:
        return Refused("its sender has no address that anybody can have")
    return Header(length, (str(source), port))
