"""Frames told by somebody else, somewhere else, at the same time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.protocols.gt06 import information, layouts
from bridge.protocols.gt06.framing import build, sealed
from bridge.protocols.registry import PROTOCOLS
from bridge.redact import Redactor
from bridge.redact.gt06_veils import SHOWN, VEILS, VEILS_TO_THE_END
from tests.bridge.corpus import FOLDER
from tests.bridge.redaction import (
    GT06_LOGIN,
    SECRET,
    assert_same_but_for_whom,
    conversations_of,
    frames_of,
)

LONG, SHORT = "864000000000115", "087000000012"
PLACE = "4807.5000,N,01131.5000,E"
OURS = sorted(path for path in FOLDER.glob("*/*.jsonl") if path.parent.name != "sms")
SHARED = [
    path
    for path in sorted((Path(__file__).parents[2] / "../shared/corpus").glob("*.jsonl"))
    if path.name != "commands.jsonl"  # what servers send
]

# --- corpora ------------------------------------------------------------------------------------


def law_over(path: Path) -> None:
    redactor = Redactor(SECRET)
    for conversation in conversations_of(path):
        claimed = [(frame, protocol) for frame, protocol in conversation if protocol is not None]
        if claimed and claimed[0][1] == "gt06":
            claimed.insert(0, (GT06_LOGIN, "gt06"))
        masked = [redactor.redact(frame, protocol) for frame, protocol in claimed]
        assert_same_but_for_whom([frame for frame, _ in claimed], masked)
        for (frame, protocol), told in zip(claimed, masked, strict=True):
            for number in long_numbers(frame, protocol):
                assert not number.strip(b"0") or number not in told


def long_numbers(frame: bytes, protocol: str | None) -> list[bytes]:
    """The ids in a frame; a line of xexun begins with its clock instead."""
    if protocol == "xexun":
        return re.findall(rb"imei:(\d{6,15})", frame)
    return re.findall(rb"(?:^|imei:|\(|^\*\w\w,)(\d{10,15})(?=[^\d.]|$)", frame)


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_frame_of_our_corpus_is_told_by_somebody_else(path: Path) -> None:
    law_over(path)


@pytest.mark.skipif(not SHARED, reason="the shared corpus is not here")
@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_every_frame_of_the_shared_corpus_is_told_by_somebody_else(path: Path) -> None:
    law_over(path)


@pytest.mark.skipif(not SHARED, reason="the shared corpus is not here")
@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_frames_nobody_reads_lose_their_long_numbers(path: Path) -> None:
    redactor = Redactor(SECRET)
    for frame, protocol in frames_of(path):
        masked = redactor.redact(frame, protocol)
        assert len(masked) >= len(frame)
        if protocol is None and frame.isascii():
            ids = re.findall(rb"(?:imei:|\*HQ,)(\d{10,15})", frame)
            places = re.findall(rb"(\d{2,5}\.\d{3,6}),[NSEW]", frame)
            assert not [real for real in ids + places if real.strip(b"0.") and real in masked]


# --- frames from the grammar ----------------------------------------------------------------------

ids = st.text("0123456789", min_size=15, max_size=15).filter(lambda text: text.strip("0"))
phones = st.text("0123456789", min_size=8, max_size=15).map(lambda digits: f"+{digits}")
degrees = st.integers(1, 89)
minutes = st.decimals(0, 59, places=4, allow_nan=False).map(lambda value: f"{value:07.4f}")
speeds = st.decimals(0, 180, places=2, allow_nan=False).map(str)
latitudes = st.builds(lambda whole, rest: f"{whole:02d}{rest}", degrees, minutes)
longitudes = st.builds(lambda whole, rest: f"{whole:03d}{rest}", st.integers(1, 179), minutes)
sides = st.tuples(st.sampled_from("NS"), st.sampled_from("EW"))


@given(
    device_id=ids,
    keyword=st.sampled_from(["tracker", "help me", "rfid", "T:+21.5", "oil 51.67", "speed", ""]),
    tag=phones,
    latitude=latitudes,
    longitude=longitudes,
    side=sides,
    speed=speeds,
    tail=st.sampled_from(
        ["", ",87.31", ",87.31,512.3,1,0,45.10%,,21", ",,,0,1,51.6,41.7", ",,,1,0,,51442"]
    ),
)
def test_a_gps103_position(
    *, device_id, keyword, tag, latitude, longitude, side, speed, tail
) -> None:
    place = f"{latitude},{side[0]},{longitude},{side[1]}"
    frame = (
        f"imei:{device_id},{keyword},260501121530,{tag},F,101530.000,A,{place},{speed}{tail};"
    ).encode()
    masked = Redactor(SECRET).redact(frame, "gps103")
    assert_same_but_for_whom([frame], [masked])
    assert len(masked) == len(frame)
    for secret in (device_id, tag, latitude, longitude):
        assert secret.encode() not in masked


@given(
    device_id=ids,
    command=st.sampled_from(["BR00", "BR02", "BO012", "BP05", "BQ81,ALARM,1,164,", "BS20"]),
    latitude=latitudes,
    longitude=longitudes,
    side=sides,
    status=st.text("0123456789ABCDEF", min_size=6, max_size=6).map(lambda text: f"01{text}"),
    tail=st.sampled_from(["", "+017.7", "T113", "P23BS27F", ",170228,194530"]),
)
def test_a_tk103_position(*, device_id, command, latitude, longitude, side, status, tail) -> None:
    short = f"0{device_id[-11:]}"
    second = f"000{short}" if command == "BP05" else ""
    place = f"{latitude}{side[0]}{longitude}{side[1]}"
    frame = (
        f"({short}{command}{second}260501A{place}046.0101530087.31{status}L0000A1B2{tail})"
    ).encode()
    masked = Redactor(SECRET).redact(frame, "tk103")
    assert_same_but_for_whom([frame], [masked])
    assert len(masked) == len(frame)
    for secret in (short, latitude, longitude):
        assert secret.encode() not in masked

    place = f"{latitude}{side[0]},{longitude}{side[1]}"
    comma = (
        f"({device_id},ZC25,010526,A,{place},46.02,101530,087.31,-3.10,9,{status},L0000A1B2)"
    ).encode()
    masked = Redactor(SECRET).redact(comma, "tk103")
    assert_same_but_for_whom([comma], [masked])
    for secret in (device_id, latitude, longitude):
        assert secret.encode() not in masked


@given(frame=st.sampled_from([frame for path in OURS for frame in frames_of(path)]), data=st.data())
def test_broken_frames_tell_no_id_and_no_place_either(
    frame: tuple[bytes, str | None], data
) -> None:
    whole, protocol = frame
    cut = data.draw(st.integers(1, len(whole)))
    at = data.draw(st.integers(0, cut - 1))
    flipped = bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))])
    broken = whole[:at] + flipped + whole[at + 1 : cut]
    masked = Redactor(SECRET).redact(broken, protocol)
    ids = re.findall(rb"\d{9,}", broken[:21]) if protocol != "xexun" else []
    places = re.findall(rb"\d{4,5}\.\d{4,5}(?=,?[NSEW])", broken)
    assert not [secret for secret in ids + places if secret.strip(b"0.") and secret in masked]


@given(frame=st.sampled_from([frame for path in OURS for frame in frames_of(path)]), data=st.data())
def test_no_bytes_are_too_odd_to_be_masked(frame: tuple[bytes, str | None], data) -> None:
    odd = bytearray(frame[0])
    for _ in range(data.draw(st.integers(0, 4))):
        odd[data.draw(st.integers(0, len(odd) - 1))] = data.draw(st.integers(0, 255))
    start = data.draw(st.integers(0, 3))
    piece = bytes(odd[start : len(odd) - data.draw(st.integers(0, 12))])
    protocol = data.draw(st.sampled_from([each.name for each in PROTOCOLS]) | st.just(frame[1]))
    masked = Redactor(SECRET).redact(piece, protocol)
    if protocol == "gt06" or piece[:1] in (b"$", b"X"):
        assert len(masked) == len(piece)


def answer(text: str) -> str:
    return f"({LONG},ZC03,010526,101530,${text}$)"


def alternative(name: str, sensor: str, *columns: str) -> str:
    return f"imei:{LONG},{name},---,{sensor},----,101530,010526,26,1,{','.join(columns)}"


@pytest.mark.parametrize(
    ("frame", "secrets"),
    [
        (answer("SOS: +491700000123, PIN 123456"), "491700000123 123456"),
        (answer("http://maps.example.com/?q=48.120667,11.525000"), "48.120667 11.525 maps.example"),
        (answer("IP 198.51.100.7:8888 home.somebody.example"), "198.51.100.7 somebody"),
        (answer("Lat 4807.2400N Lon 01131.5000E"), "4807.24 01131.5"),
        (answer("cells {262,2,46601,22136} (087000000012BR00"), "087000000012"),
        (f"({SHORT}BV00WTK103B0TEST00017)", "WTK103B0TEST00017"),
        (f"({LONG},DW51,262,2,46601,22136,1,02:00:5e:10:00:01*-59*11,010526,101530)",
         "46601 22136 5e:10:00"),
        (f"({SHORT}BZ00,262,002,a234,5678,43,01000000)", "a234 5678"),
        (f"({SHORT}BP05000{SHORT},{{262,2,46601,22136}}\n,01000000)", "46601 22136 87000000012"),
        (f"({SHORT}BP05000{SHORT},{{262,2,46601,221", "46601 87000000012"),
        (f"imei:{LONG},rfid,260501121530,0012345,L,;", "0012345"),
        (f"imei:{LONG},tracker,260501121530,,L,,,1a2b,,3c4d5;", "1a2b 3c4d5"),
        (f"imei:{LONG},tracker,260501121530,,F,101530.000,A,4807.2400", "4807.24"),
        (f"imei:{LONG},tracker,260501121530,,F,101530.000,A-4807.2400,N,01131.5000,E,0.00;",
         "4807.24 01131.5"),
        (f"imei:{LONG},tracker,260501121530,,F,4807.24001,A,N,5107.2400,E,01131.5000,0.00;",
         "4807.24 5107.24 01131.5"),
        (f"imei:{LONG},tracker,260501121530,,L,,,1x2b,,3c4d5;", "1x2b 3c4d5"),
        (f"imei:{LONG},tracker,260501121530,,F,101530.00000,A,{PLACE},0.00;", "4807.5"),
        (f"imei:{LONG},vr,0100fa01ffd8ffe000104a464946abcd;", "ffd8ffe0 4a464946"),
        (f"{LONG}imei:{LONG},tracker,260501121530,+491700000123,L,;", "1700000123"),
        (alternative("Mycar", "SENSOR7", "48.12345", "-11.52345", "067", "229", "0674", "1.00",
                     "08", "0", "1", "---", "*"), "Mycar SENSOR7 48.12345 11.52345"),
        (alternative("Mycar", "------", "48.12345"), "Mycar 48.12345"),
    ],
)  # fmt: skip
def test_what_tells_who_and_where_is_gone(frame: str, secrets: str) -> None:
    protocol = "tk103" if frame.startswith("(") else "gps103"
    masked = Redactor(SECRET).redact(frame.encode(), protocol).decode()
    assert_same_but_for_whom([frame.encode()], [masked.encode()])
    for secret in (LONG, SHORT, *secrets.split()):
        assert secret not in masked


XEXUN = (
    "260501101530,+491700000123,GPRMC,081530.000,A,4807.2400,N,01131.5000,E,0.00,,010526,,,A*68,F,,"
    " imei:864000000000115,05,106.4,F:4.01V"
)


@pytest.mark.parametrize(
    ("text", "secrets", "kept"),
    [
        ("*HQ,8640000001,V1,101530,A,4807.2400,N,01131.5000,E,0.50,087,010526,FFFFFBFF#",
         "8640000001 4807.2400 01131.5000",
         ["*HQ,", ",V1,101530,A,", "087,010526,FFFFFBFF#"]),
        (XEXUN,
         "491700000123 4807.2400 864000000000115",
         ["260501101530,+", "GPRMC,081530.000", ",05,106.4,F:4.01V"]),
        ("GET /?user=someone@example.org HTTP/1.1\r\nHost: 198.51.100.7\r\n",
         "someone@example.org 198.51.100.7", ["GET /", "HTTP/1.1"]),
        ("INFO imei:864000000000115,tracker", "864000000000115", ["INFO imei:", ",tracker"]),
    ],
)  # fmt: skip
def test_text_of_a_language_nobody_reads(text: str, secrets: str, kept: list[str]) -> None:
    found = Redactor(SECRET).redact(text.encode(), None).decode()
    assert not [secret for secret in secrets.split() if secret in found]
    assert not [word for word in kept if word not in found]
    assert len(found) == len(text)


BLOCKS = {
    block.__qualname__.partition(".")[0]
    for table in (layouts.SHORT, layouts.VARIANTS, layouts.LONG, information.LAYOUTS)
    for layout in table.values()
    for block in layout
}


def test_of_every_block_of_gt06_it_is_decided_what_it_tells() -> None:
    decided = SHOWN | VEILS.keys() | VEILS_TO_THE_END.keys() | {"information", "modules"}
    assert BLOCKS - decided == {"keep", "card", "driver_number"}  # hidden
    assert not SHOWN & VEILS.keys()


@pytest.mark.parametrize(
    ("kind", "body", "secrets"),
    [
        (0x12, "1a05010c0f1e c8 05295aa0 013c4780 1f 3457 0106 02 5f4a 00c35b",
         "05295aa0 013c4780 5f4a 00c35b"),
        (0x10, "1a05010c0f1e c8 ff295aa0 013c4780 1f 3457", "ff295aa0 013c4780"),
        (0x15, "18 00000001" + b"CENTER:+4915550100123".hex() + "0002", b"15550100123".hex()),
        (0x99, "0864000000000115 5f4a", "864000000000115 5f4a"),
        (0x24, "1a05010c0f1e", ""),
        (0x69, "0864", ""),
    ],
)  # fmt: skip
def test_what_a_gt06_frame_tells_is_gone(kind: int, body: str, secrets: str) -> None:
    for sealed_well in (True, False):
        frame = build(b"xx", kind, b"\0\7", bytes.fromhex(body))
        if not sealed_well:
            frame = frame[:-4] + bytes(byte ^ 1 for byte in frame[-4:-2]) + frame[-2:]
        redactor = Redactor(SECRET)
        masked = redactor.redact(frame, "gt06")
        assert_same_but_for_whom([GT06_LOGIN, frame], [redactor.redact(GT06_LOGIN, "gt06"), masked])
        assert len(masked) == len(frame)
        assert sealed(masked) == sealed_well
        assert not [secret for secret in secrets.split() if secret in masked.hex()]


def test_of_a_binary_frame_only_the_opening_stays() -> None:
    login = bytes.fromhex("78780d01086400000000011500010000 0d0a")
    masked = Redactor(SECRET).redact(login, "")
    assert masked[:4] == login[:4]
    assert len(masked) == len(login)
    assert "864000000000115" not in masked.hex()
    assert not [at for at in range(4, 14) if masked[at : at + 3] == login[at : at + 3]]
