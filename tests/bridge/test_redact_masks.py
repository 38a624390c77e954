"""Aliases and moved places: other values of the same shape, the same within one capture."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.model import Fix
from bridge.protocols import gps103
from bridge.protocols.base import Context
from bridge.redact import Redactor
from bridge.redact.masks import Masks

SECRET = b"a secret of the tests, 32 bytes."
ROUNDED = 2.1e-7
"""Degrees: four times what a coordinate is rounded by when it is decoded."""


def fix_of(frame: bytes) -> Fix:
    context = Context(received_at=datetime(2026, 5, 1, 10, 16, tzinfo=UTC))
    (report,) = gps103.decode(frame, context).messages
    assert report.fix is not None
    return report.fix


def gps103_at(latitude: float, longitude: float) -> bytes:
    def text(value: float, width: int) -> str:
        ten_thousandths = round(abs(value) * 600_000)
        whole, rest = divmod(ten_thousandths, 600_000)
        return f"{whole:0{width}d}{rest / 10_000:07.4f}"

    side = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    place = f"{text(latitude, 2)},{side[0]},{text(longitude, 3)},{side[1]}"
    return f"imei:864000000000115,tracker,260501121530,,F,101530.000,A,{place},0.00;".encode()


def kilometres(one: Fix, other: Fix) -> float:
    middle = math.radians((one.latitude + other.latitude) / 2)
    north = one.latitude - other.latitude
    east = ((one.longitude - other.longitude + 180) % 360 - 180) * math.cos(middle)
    return math.hypot(north, east) * 111.2


@given(
    secret=st.binary(min_size=1, max_size=8),
    latitude=st.floats(-59, 59),
    longitude=st.floats(-180, 179.9),
    north=st.floats(-0.5, 0.5),
    east=st.floats(-0.5, 0.5),
)
def test_a_drive_keeps_its_lengths(secret, latitude, longitude, north, east) -> None:
    frames = [
        gps103_at(latitude, longitude),
        gps103_at(latitude + north, (longitude + east + 180) % 360 - 180),
    ]
    before = [fix_of(frame) for frame in frames]
    assume(all(fix.latitude and fix.longitude for fix in before))  # a 0 is no place
    after = [fix_of(Redactor(secret).redact(frame, "gps103")) for frame in frames]
    assert after[1].latitude - after[0].latitude == pytest.approx(
        before[1].latitude - before[0].latitude, abs=ROUNDED
    )
    turn = (after[1].longitude - after[0].longitude) - (before[1].longitude - before[0].longitude)
    assert (turn + 180) % 360 - 180 == pytest.approx(0, abs=ROUNDED)
    assert kilometres(*after) == pytest.approx(kilometres(*before), rel=0.1, abs=0.001)
    assert kilometres(before[0], after[0]) > 100


@pytest.mark.parametrize(
    ("number", "side", "pattern"),
    [
        ("4807.2400", "N", r"\d{4}\.\d{4}"),
        ("4807.24001", "N", r"\d{4}\.\d{5}"),
        (" 8415.4076", "W", r"\d{5}\.\d{4}"),
        ("45.78950", "E", r"\d{2,5}\.\d{5}"),
        ("07.5", "N", r"\d{2,4}\.\d"),
        ("4807.", "N", r"\d{4}\."),
        ("4807", "N", r"\d{4}"),
    ],
)
def test_a_moved_number_keeps_its_shape(number: str, side: str, pattern: str) -> None:
    moved, _ = Masks(SECRET).minutes(number, side, north=side in "NS")
    assert re.fullmatch(pattern, moved)
    assert moved.strip() != number.strip()


@given(secret=st.binary(max_size=8), value=st.integers(0, 90 * 600_000), side=st.sampled_from("NS"))
def test_no_latitude_leaves_the_earth(secret: bytes, value: int, side: str) -> None:
    number = f"{value // 600_000 * 100 + value % 600_000 / 10_000:09.4f}"
    moved, hemisphere = Masks(secret).minutes(number, side, north=True)
    assert 0 <= float(moved) <= 9000
    assert float(moved) % 100 < 60
    assert hemisphere in ("N", "S")


def test_no_position_stays_none_and_what_is_no_place_stays_impossible() -> None:
    masks = Masks(SECRET)
    assert masks.minutes("0000.0000", "N", north=True) == ("0000.0000", "N")
    assert masks.degrees("00.0000", north=True) == "00.0000"
    assert masks.minutes("9107.2400", "N", north=True) == ("9999.9999", "N")
    assert masks.minutes("18131.5000", "E", north=False) == ("99999.9999", "E")
    assert masks.degrees("-91.5", north=True) == "-99.9"


@pytest.mark.parametrize("odd", ["1e3", "48 07.24", "4807.24.00", "inf1", "-4807.24"])
def test_a_number_written_oddly_is_no_less_secret(odd: str) -> None:
    masks = Masks(SECRET)
    number, side = masks.minutes(odd, "N", north=True)
    assert side == "N"
    assert number != odd != masks.degrees(odd + "x", north=True)
    assert len(number) == len(odd)


def test_decimal_degrees_keep_their_shape() -> None:
    masks = Masks(SECRET)
    assert re.fullmatch(r"-?\d{2}\.\d{5}", masks.degrees("48.12345", north=True))
    assert re.fullmatch(r"[+-]\d{2,3}\.\d", masks.degrees("+11.5", north=False))
    assert re.fullmatch(r"-?\d{1,3}\.", masks.degrees("-5.", north=False))
    assert re.fullmatch(r"-?\d{1,3}", masks.degrees("5", north=False))


def test_what_is_no_cell_is_masked_all_the_same() -> None:
    masks = Masks(SECRET)
    assert masks.hexadecimal("12G4") not in ("12G4", "")
    assert masks.cell("999999999") != "999999999"


def test_a_number_without_hemisphere_stays_positive() -> None:
    number, side = Masks(SECRET).minutes("01131.5000", "", north=False)
    assert side == ""
    assert 0 <= float(number) <= 18000


@given(number=st.integers(1, 0xFFFFFFF))
def test_a_cell_keeps_its_size(number: int) -> None:
    masks = Masks(SECRET)
    alias = masks.cell(str(number))
    assert alias == masks.cell(str(number)) != str(number)
    assert len(alias) == len(str(number))
    assert (int(alias) <= 0xFFFF) == (number <= 0xFFFF)
    word = masks.hexadecimal(f"{number:08x}")
    assert len(word) == 8
    assert word[: 8 - len(f"{number:x}")] == f"{number:08x}"[: 8 - len(f"{number:x}")]
    assert 0 < int(word, 16) != number
    assert masks.cell("0") == masks.hexadecimal("0000").lstrip("0") + "0"
