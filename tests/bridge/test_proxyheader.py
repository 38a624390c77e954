"""Which header says what: in any pieces the same, in no case an exception, in bounded bytes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listener.proxyheader import LONGEST, Header, Refused, crc32c, read
from tests.bridge.proxying import HEALTH_1, HEALTH_2, SIGNATURE, version_1, version_2

SENDERS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(
    lambda sender: isinstance(read(version_1(sender, 1)), Header)
)
"""All but those that nobody can have."""
PORTS = st.integers(0, 65_535)
EXTRAS = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=60)),
    max_size=4,
)


@st.composite
def headers(draw, checksum=None):
    """A header that a proxy may send, and who its sender is."""
    sender, port = draw(SENDERS), draw(PORTS)
    if checksum is None and draw(st.booleans()):
        return version_1(sender, port), (sender, port)
    checked = draw(st.booleans()) if checksum is None else checksum
    return version_2(sender, port, *draw(EXTRAS), checksum=checked), (sender, port)


@st.composite
def damaged(draw):
    """A header with some bytes changed, lost or added."""
    data = bytearray(draw(headers())[0])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


def shown(sender, port):
    """A sender as the bridge has it."""
    return str(getattr(sender, "ipv4_mapped", None) or sender), port


def decided_at(data):
    """After how many bytes there is a decision, and which; it never changes behind that."""
    verdicts = [read(data[:count]) for count in range(len(data) + 1)]
    first = next((count for count, verdict in enumerate(verdicts) if verdict), None)
    if first is None:
        return None, None
    assert all(verdict == verdicts[first] for verdict in verdicts[first:])
    return first, verdicts[first]


# --- laws -----------------------------------------------------------------------------------------


@given(headers(), st.binary(max_size=40))
def test_a_header_is_read_with_its_last_byte_however_it_is_cut_up_and_whatever_follows(sent, rest):
    header, sender = sent
    assert decided_at(header + rest) == (len(header), Header(len(header), shown(*sender)))


@given(
    st.one_of(damaged(), st.binary(max_size=300), st.binary(max_size=300).map(SIGNATURE.__add__))
)
def test_whatever_comes_is_decided_once_and_what_is_taken_is_whole_and_an_address(data):
    count, verdict = decided_at(data + b"\r\n" * 60)
    if isinstance(verdict, Header):
        assert count == verdict.length <= len(data) + 120
        if verdict.place is not None:
            host, port = verdict.place
            assert str(ip_address(host)) == host
            assert 0 <= port <= 65_535
    elif verdict is not None:
        assert verdict.reason


@given(st.one_of(damaged(), st.binary(max_size=40)))
def test_nothing_stays_undecided_beyond_the_longest_header(data):
    assert read(data.ljust(LONGEST, b"x")) is not None


@given(headers(checksum=True), st.data())
def test_no_flipped_bit_makes_a_header_with_a_checksum_speak_for_somebody_else(sent, data):
    flipped = bytearray(sent[0])
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    verdict = read(bytes(flipped))
    if isinstance(verdict, Header):
        assert verdict.place in {None, shown(*sent[1])}


@given(headers(checksum=True), st.integers(16, 27), st.integers(0, 7))
def test_a_flipped_bit_of_an_address_is_found(sent, place, bit):
    header = bytearray(sent[0])
    header[place] ^= 1 << bit
    assert read(bytes(header)) == Refused("its checksum is wrong")


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40112 8888\r\n", ("192.0.2.7", 40112)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n", ("2001:db8::7", 65535)),
        (b"PROXY TCP6 2001:DB8:0::7 ::1 1 2\r\n", ("2001:db8::7", 1)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n", ("192.0.2.7", 1)),
        (HEALTH_1, None),
        (b"PROXY UNKNOWN what ever stands here 1 2 3\r\n", None),
        (HEALTH_2, None),
        (SIGNATURE + bytes.fromhex("2111000c" "c0000207" "c6336401" "00050006"), ("192.0.2.7", 5)),
        (SIGNATURE + bytes.fromhex("20110003" "010203"), None),
        (SIGNATURE + bytes.fromhex("21000000"), None),
        (SIGNATURE + bytes.fromhex("213100d8") + bytes(216), None),
        (version_2("::ffff:192.0.2.7", 5), ("192.0.2.7", 5)),
        (version_2("192.0.2.7", 5, (1, b"h2"), (0xE0, b"")), ("192.0.2.7", 5)),
        (version_2("192.0.2.7", 5, (4, bytes(LONGEST - 31))), ("192.0.2.7", 5)),
        (version_2("192.0.2.7", 5, checksum=True), ("192.0.2.7", 5)),
    ],
)  # fmt: skip
def test_what_a_proxy_may_say(data, place):
    assert decided_at(data) == (len(data), Header(len(data), place))


@pytest.mark.parametrize(
    "data",
    [
        b"PROXX",
        b"proxy tcp4",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"##,imei:864000000001234,A;",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40112\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40112 8888 \r\n",
        b"PROXY  TCP4 192.0.2.7 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4\t192.0.2.7 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 192.0.2 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 192.0.2.7 ::1 40112 8888\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 40112 8888\r\n",
        b"PROXY TCP4 localhost 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 8888\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40112 -1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 040112 8888\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 ²4 8888\r\n".encode("latin-1"),
        b"PROXY TCP4 0.0.0.0 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 224.0.0.1 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP6 :: ::1 40112 8888\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 40112 8888\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40112 8888\n".ljust(107),
        b"PROXY UNKNOWN ".ljust(106, b"f") + b"\r\n",
        SIGNATURE + b"\x11",
        SIGNATURE + b"\x22",
        SIGNATURE + bytes.fromhex("2111000b") + bytes(11),
        SIGNATURE + bytes.fromhex("2112000c" "c0000207" "c6336401" "9cb022b8"),
        SIGNATURE + bytes.fromhex("2141000c" "c0000207" "c6336401" "9cb022b8"),
        SIGNATURE + bytes.fromhex("2111000c") + bytes(12),
        SIGNATURE + bytes.fromhex("2111ffff"),
        SIGNATURE + bytes.fromhex("2011ffff"),
        version_2("192.0.2.7", 5, (4, bytes(LONGEST - 30))),
        version_2("192.0.2.7", 5, (3, b"ab")),
        version_2("192.0.2.7", 5, (3, bytes(4)), checksum=True),
        SIGNATURE + bytes.fromhex("2111000e" "c0000207" "c6336401" "9cb022b8" "0100"),
        SIGNATURE + bytes.fromhex("21110010" "c0000207" "c6336401" "9cb022b8" "01000261"),
    ],
)  # fmt: skip
def test_what_is_no_header(data):
    assert isinstance(decided_at(data)[1], Refused)


def test_the_checksum_is_castagnolis():
    """The check value of its catalogue entry, and an example of RFC 3720, B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_a_second_checksum_is_one_too_many_though_the_first_is_right():
    header = version_2("192.0.2.7", 5, (3, bytes(4)), (3, b"abcd"))
    first = header[:31] + crc32c(header).to_bytes(4, "big") + header[35:]
    assert read(first) == Refused("what stands behind its addresses is malformed")
