"""Values as trackers write them, one kind after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import DecodeError
from bridge.protocols import fields
from tests.bridge.laws import ODD_NUMBERS

AT = datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("-1.5", -1.5),
        ("+28.0", 28.0),
        (".5", 0.5),
        ("5.", 5.0),
    ],
)
def test_a_number_is_digits_one_point_and_a_sign(text, value):
    assert fields.number(text) == value


@pytest.mark.parametrize("text", ODD_NUMBERS)
def test_nothing_else_is_a_number(text):
    assert fields.number(text) is None
    assert fields.whole(text, 10**20) is None
    assert fields.percent(text) is None
    assert fields.percent(text + "%") is None
    assert fields.celsius(text) is None
    assert fields.gsm_percent(text) is None
    with pytest.raises(DecodeError, match="malformed latitude"):
        fields.bounded("latitude", text, 90)


@given(st.text(st.characters(max_codepoint=255), max_size=20))
def test_a_number_is_plain_or_none(text):
    value = fields.number(text)
    if value is None:
        assert not (text.isascii() and text.isdecimal()) or len(text) > 16
    else:
        assert set(text) <= set("0123456789.+-")
        assert abs(value) < 1e16


def test_numbers_have_bounds():
    assert fields.number("5", 5, 6) == 5.0
    assert fields.number("6", 5, 6) == 6.0
    assert fields.number("4.9", 5, 6) is None
    assert fields.number("6.1", 5, 6) is None
    assert fields.whole("255", 255) == 255
    assert fields.whole("256", 255) is None
    assert fields.whole("-1", 255) is None
    assert fields.whole("+1", 255) is None
    assert fields.whole("1.0", 255) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("45.16%", 45.16),
        ("45.16", 45.16),
        ("0", 0.0),
        ("100%", 100.0),
        ("100.1%", None),
        ("-1%", None),
        ("%", None),
        ("1%%", None),
        ("%1", None),
    ],
)
def test_percentages_have_a_sign_or_not(text, value):
    assert fields.percent(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5231.2000", 52.52),
        ("0000.0000", 0.0),
        ("9000.0000", 90.0),
        ("7.5", 0.125),
        ("05231.20", 52.52),
        ("5231.20425", 52.5200708),
        ("5260.0000", 53.0),
        ("5562.0287", 56.0338117),
    ],
)
def test_latitudes(text, value):
    assert fields.latitude(text, "N") == value
    assert fields.latitude(text, "") == value
    assert fields.latitude(text, "S") == -value


@pytest.mark.parametrize(
    ("text", "value"),
    [("01324.6000", 13.41), ("18000.0000", 180.0), ("924.6", 9.41), ("24.6", 0.41)],
)
def test_longitudes(text, value):
    assert fields.longitude(text, "E") == value
    assert fields.longitude(text, "W") == -value


@pytest.mark.parametrize("text", ["-0100.0", "nan", "inf", "9" * 400, "", "18000.0100", "18100.0"])
def test_what_is_beyond_the_globe_is_refused(text):
    for read in (fields.latitude, fields.longitude):
        with pytest.raises(ValueError):  # noqa: PT011 - what is no number, and what is too great
            read(text, "")


@pytest.mark.parametrize("text", ["9000.0100", "9100.0000"])
def test_no_latitude_is_beyond_the_pole(text):
    with pytest.raises(DecodeError, match="malformed latitude"):
        fields.latitude(text, "N")
    assert fields.longitude(text, "E") >= 90.0


@given(st.integers(0, 89), st.integers(0, 59), st.integers(0, 99999))
def test_degrees_and_minutes_go_both_ways(whole, minutes, parts):
    angle = fields.latitude(f"{whole:02}{minutes:02}.{parts:05}", "N")
    assert abs(angle - (whole + (minutes + parts / 1e5) / 60)) < 6e-8
    assert angle == round(angle, 7)


def test_motion_has_bounds():
    assert [fields.speed(kmh) for kmh in (0.0, 57.80092, 1000.0, 1000.1, -0.1)] == [
        0.0, 57.8, 1000.0, None, None
    ]  # fmt: skip
    assert [fields.course(angle) for angle in (0.0, 360.0, 360.1, -1.0)] == [0.0, 360.0, None, None]
    assert [fields.altitude(metres) for metres in (-1000.0, 20000.0, 20001.0, -1001.0)] == [
        -1000.0, 20000.0, None, None
    ]  # fmt: skip
    assert [fields.celsius(text) for text in ("-100", "300", "301", "-101")] == [
        -100.0, 300.0, None, None
    ]  # fmt: skip
    assert [fields.gsm_percent(rssi) for rssi in ("0", "26", "31", "32", "99")] == [
        0, 84, 100, None, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "time"),
    [
        (("26", "05", "01", "101530"), AT),
        (("26", "05", "01", "101530.500"), AT),
        (("00", "02", "29", "000000"), datetime(2000, 2, 29, tzinfo=UTC)),
        (("99", "12", "31", "235959"), datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (("00", "00", "00", "000000"), None),
        (("26", "02", "29", "101530"), None),
        (("26", "05", "01", "240000"), None),
        (("26", "05", "01", "106000"), None),
        (("26", "05", "01", "101560"), None),
        (("26", "05", "01", "1015"), None),
        (("26", "05", "1", "101530"), None),
        (("-1", "05", "01", "101530"), None),
        (("26", "05", "01", "+10153"), None),
        (("", "", "", ""), None),
        (("2\xb2", "05", "01", "101530"), None),
    ],
)
def test_utc(parts, time):
    assert fields.utc(*parts) == time


@pytest.mark.parametrize(
    ("text", "seconds", "time"),
    [
        ("2605011215", False, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        ("260501121530", False, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        ("260501121530", True, AT),
        ("2605011215", True, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        ("26/05/01 12:15", False, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        ("26/05/01 12:15:30", True, AT),
        ("2605010115", False, datetime(2026, 4, 30, 23, 15, tzinfo=UTC)),
        ("260501121", False, None),
        ("26050112153", False, None),
        ("20260501121530", False, None),
        ("000000000", False, None),
        ("", False, None),
    ],
)
def test_a_local_time_of_a_known_offset(text, seconds, time):
    assert fields.local_time(text, 120, seconds=seconds) == time


# --- a local date and a UTC clock -------------------------------------------------------------


def written(moment: datetime, offset_minutes: int) -> tuple[str, str]:
    """Return what a tracker writes at a moment: its local clock, and UTC without a date."""
    return f"{moment + timedelta(minutes=offset_minutes):%y%m%d%H%M}", f"{moment:%H%M%S}"


moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)).map(  # noqa: DTZ001 - made UTC next
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(moment=moments, offset=st.integers(-720, 840), late_s=st.integers(0, 11 * 3600))
def test_any_offset_on_earth_is_found_while_news_are_fresh(moment, offset, late_s):
    local, clock = written(moment, offset)
    assert fields.dated(local, clock, moment + timedelta(seconds=late_s), None) == (moment, offset)


@given(
    moment=moments,
    offset=st.integers(-719, 720),
    late=st.timedeltas(timedelta(days=2), timedelta(days=900)),
)
def test_old_news_have_an_offset_of_the_usual_range(moment, offset, late):
    local, clock = written(moment, offset)
    assert fields.dated(local, clock, moment + late, None) == (moment, offset)


@given(moment=moments, offset=st.integers(-720, 840), received_at=moments)
def test_a_known_offset_settles_the_day(moment, offset, received_at):
    local, clock = written(moment, offset)
    assert fields.dated(local, clock, received_at, offset) == (moment, offset)
    assert fields.dated(local, clock, received_at, offset - 60) == (moment, offset)


@given(moment=moments, offset=st.integers(-720, 840), known=st.integers(-720, 840))
def test_a_known_offset_that_became_wrong_hides_nothing(moment, offset, known):
    """Save where what it says is possible: a day apart, two offsets look alike."""
    found = fields.dated(*written(moment, offset), moment, known)
    twins = {offset - 1440, offset + 1440}
    if any(abs(twin - known) <= 60 and -722 <= twin <= 842 for twin in twins):
        assert found in [(moment + timedelta(minutes=offset - twin), twin) for twin in twins]
    else:
        assert found == (moment, offset)


@pytest.mark.parametrize("offset", [-721, -722, 841, 842])
def test_the_local_clock_may_be_read_some_minutes_before_or_after(offset):
    assert fields.dated(*written(AT, offset), AT, None) == (AT, offset)


@pytest.mark.parametrize(
    ("local", "clock", "expected"),
    [
        ("2605011215", "101530.000", (AT, 120)),
        ("260501121559", "101530", (AT, 120)),
        ("26/05/01 12:15", "101530.000", (AT, 120)),
        ("26/05/01 12:15:59", "101530", (AT, 120)),
        ("2605011215", "", (datetime(2026, 5, 1, 12, 15, tzinfo=UTC), None)),
        ("2605011215", "31.0", (datetime(2026, 5, 1, 12, 15, tzinfo=UTC), None)),
        ("26/05/01 12:15", "0.0", (datetime(2026, 5, 1, 12, 15, tzinfo=UTC), None)),
        ("2605011215", "12345.0", (datetime(2026, 5, 1, 12, 15, tzinfo=UTC), None)),
        ("2605011215", "\xb9\xb20000", (datetime(2026, 5, 1, 12, 15, tzinfo=UTC), None)),
        ("", "", (None, None)),
        ("000000000", "", (None, None)),
        ("000000000", "101530", (None, None)),
        ("0000000119", "101530", (None, None)),
        ("2605011260", "101530", (None, None)),
        ("2605011215", "246060", (None, None)),
        ("2605011215", "101560", (None, None)),
        ("", "101530", (None, None)),
        ("26050112", "101530", (None, None)),
    ],
)
def test_dated(local, clock, expected):
    assert fields.dated(local, clock, AT, None) == expected


def test_a_local_time_without_utc_uses_the_known_offset():
    assert fields.dated("2605011215", "31.0", AT, 120) == (
        datetime(2026, 5, 1, 10, 15, tzinfo=UTC),
        None,
    )


@given(
    local=st.text(st.sampled_from("0123456789/: +-W_T\xb2"), max_size=14),
    clock=st.text(st.sampled_from("0123456789.:+-ZW_\xb2"), max_size=11),
)
def test_whatever_a_clock_says_no_year_is_outside_this_century(local, clock):
    time, offset = fields.dated(local, clock, AT, None)
    assert time is None or 2000 <= time.year <= 2099
    assert offset is None or -722 <= offset <= 842
