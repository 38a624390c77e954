"""What scanners and other programs open with is nobody's; what is no id is never taken for one."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.acquaintance import is_id
from bridge.errors import DecodeError
from bridge.protocols.base import Claim
from bridge.protocols.connection import (
    DEFAULT_DETECTION_BYTES,
    UNRECOGNISED,
    Connection,
    Received,
    Rejected,
)
from bridge.protocols.gt06.body import read_id
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import LINES

COUNT = 1000


def _words(rng: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-._/"
    return "".join(rng.choices(letters, k=rng.randint(1, 40)))


def _http(rng: random.Random) -> bytes:
    method = rng.choice(("GET", "POST", "HEAD", "OPTIONS", "CONNECT", "PRI", "PROPFIND"))
    path = rng.choice(("/", "*", f"/{_words(rng)}", "http://192.0.2.7/"))
    return f"{method} {path} HTTP/{rng.choice(('1.0', '1.1', '2.0'))}\r\nHost: a\r\n\r\n".encode()


def _tls(rng: random.Random) -> bytes:
    hello = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(80)
    body = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03" + rng.choice((b"\1", b"\3")) + len(body).to_bytes(2, "big") + body


def _ssh(rng: random.Random) -> bytes:
    return f"SSH-2.0-{_words(rng)}\r\n".encode()


def _rdp(rng: random.Random) -> bytes:
    cookie = f"Cookie: mstshash={_words(rng)}\r\n".encode()
    size = 11 + len(cookie)
    return struct.pack(">BBHBBHHB", 3, 0, size, size - 5, 0xE0, 0, 0, 0) + cookie


def _sip(rng: random.Random) -> bytes:
    return f"{rng.choice(('OPTIONS', 'REGISTER', 'INVITE'))} sip:{_words(rng)} SIP/2.0\r\n".encode()


def _redis(rng: random.Random) -> bytes:
    word = rng.choice(("PING", "INFO", "CONFIG", "SLAVEOF")).encode()
    return rng.choice((b"*1\r\n$%d\r\n%s\r\n" % (len(word), word), word + b"\r\n"))


def _smb(rng: random.Random) -> bytes:
    body = rng.choice((b"\xffSMB", b"\xfeSMB")) + rng.randbytes(60)
    return b"\0" + len(body).to_bytes(3, "big") + body


def _memcached(rng: random.Random) -> bytes:
    text = rng.choice(("stats\r\n", "version\r\n", f"get {_words(rng)}\r\n"))
    return text.encode() if rng.random() < 0.7 else b"\x80\x0b" + rng.randbytes(22)


def _dns(rng: random.Random) -> bytes:
    query = rng.randbytes(2) + b"\1\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3"
    return len(query).to_bytes(2, "big") + query


def _mqtt(rng: random.Random) -> bytes:
    name = _words(rng).encode()
    body = b"\0\4MQTT" + rng.choice((b"\4", b"\5")) + b"\2\0\x3c" + bytes([0, len(name)]) + name
    return b"\x10" + bytes([len(body)]) + body


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randint(1, 400))


KINDS = (_http, _tls, _ssh, _rdp, _sip, _redis, _smb, _memcached, _dns, _mqtt, _noise)


def openings() -> Iterator[bytes]:
    """Yield a thousand openings, the same each time."""
    rng = random.Random(8888)  # noqa: S311 - repeatable
    for number in range(COUNT):
        yield KINDS[number % len(KINDS)](rng)


def test_a_thousand_strangers_are_claimed_by_nobody() -> None:
    seen = 0
    for opening in openings():
        for length in range(1, len(opening) + 1):
            for protocol in PROTOCOLS:
                assert protocol.claim(opening[:length], final=False) is not Claim.YES, opening
        for protocol in PROTOCOLS:
            assert protocol.claim(opening[:DEFAULT_DETECTION_BYTES], final=True) is not Claim.YES
        seen += 1
    assert seen == COUNT


def test_a_stranger_is_rejected_and_answered_by_nothing() -> None:
    for opening in openings():
        connection = Connection(PROTOCOLS)
        connection.receive_data(opening)
        connection.receive_eof()
        blank = not opening.strip(b"\r\n ")
        reasons = [event.reason for event in connection.events(LINES[0].received_at)
                   if isinstance(event, Rejected)]  # fmt: skip
        assert reasons == ([] if blank else [UNRECOGNISED]), opening


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.id)
def test_no_frame_is_read_by_another_protocol(line) -> None:
    """Also where a datagram or stream lets the neighbours look first."""
    for frame in line.frames:
        for protocol in PROTOCOLS:
            if protocol.name != line.protocol:
                assert protocol.claim(frame, final=True) is not Claim.YES, protocol.name


# --- ids ------------------------------------------------------------------------------------------

NAMED = sorted(
    {
        (event.frame, said.device_id.encode())
        for line in LINES
        for event in line.replay()
        if isinstance(event, Received)
        for said in event.messages[:1]
        if said.device_id.encode() in event.frame
    }
)
"""Frames in which the id can be read, and it. In those of gt06 it stands in half bytes."""

ID_CHARACTERS = st.one_of(
    st.sampled_from("0123456789ABCabc"),
    st.sampled_from("/+#$'\"<>.&;,:()*%{} \\\0\r\n\t\x7f\x85\xa0\xb2\xe9"),
)


@given(st.sampled_from(NAMED), st.text(ID_CHARACTERS, max_size=40))
@example((b"##,imei:864000000000011,A;", b"864000000000011"), "../../registry")
@settings(max_examples=1000)
def test_what_a_decoder_takes_for_an_id_may_stand_in_a_topic_a_path_and_a_page(named, text) -> None:
    """Letters and digits alone, and not many: so nothing behind the decoders need ask again."""
    frame, device_id = named
    for datagrams in (False, True):
        connection = Connection(PROTOCOLS, datagrams=datagrams)
        connection.receive_data(frame.replace(device_id, text.encode("latin-1")))
        connection.receive_eof()
        for event in connection.events(LINES[0].received_at):
            if isinstance(event, Received):
                assert all(is_id(message.device_id) for message in event.messages)


@given(st.binary(min_size=8, max_size=8))
def test_an_id_of_half_bytes_is_of_digits_or_is_none(data) -> None:
    try:
        device_id = read_id(data)
    except DecodeError:
        assert set(data.hex()) & set("abcdef")
    else:
        assert len(device_id) == 15
        assert is_id(device_id)
