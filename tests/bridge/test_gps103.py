"""gps103: what its corpus does not say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.explain.cases import converse
from bridge.model import Fix, Heartbeat, Report, Status
from bridge.protocols import gps103
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Received
from tests.bridge.corpus import LINES
from tests.bridge.laws import ODD_NUMBERS, legal

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
ID = "864000000001301"
USUAL = (
    f"imei:{ID},tracker,260501121530,,F,101530.000,A,5231.2000,N,01324.6000,E,10.00,83.95,34.5,"
    "1,0,45.16%,12.50%,+21"
).split(",")
OBD = f"imei:{ID},OBD,260501121530,51442,0.50,15.88,5632,122,40.39%,95,13.73%,2101,13.80,P0137"
ALTERNATIVE = (
    f"imei:{ID},Van,---,------,----,101530,010526,26,1,52.52000,13.41000,067,229,0034,1.00,08"
    ",0,1,---,"
)
NO_FIX = f"imei:{ID},tracker,2605011215,,L,,,1a2b,,3c4d,,,,,1,0,,,"
LATITUDE, LONGITUDE, KNOTS, COURSE, ALTITUDE = 7, 9, 11, 12, 13


def decoded(text: str, offset: int | None = None) -> Report:
    context = Context(received_at=AT, utc_offset_minutes=offset)
    (report,) = gps103.decode(text.encode("latin-1"), context).messages
    assert isinstance(report, Report)
    return report


def with_column(index: int, text: str) -> str:
    return ",".join([*USUAL[:index], text, *USUAL[index + 1 :]]) + ";"


# --- the first bytes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "undecided", "decided"),
    [
        (b"imei:", Claim.YES, Claim.YES),
        (b"##,imei:8", Claim.YES, Claim.YES),
        (b"im", Claim.UNDECIDED, Claim.NO),
        (b"##,", Claim.UNDECIDED, Claim.NO),
        (b"#", Claim.UNDECIDED, Claim.NO),
        (b"864000000001301;", Claim.YES, Claim.YES),
        (b"864000000001301\r", Claim.YES, Claim.YES),
        (b"864000000001301\n", Claim.YES, Claim.YES),
        (b"864000000001301imei:", Claim.YES, Claim.YES),
        (b"864000000001301", Claim.UNDECIDED, Claim.YES),
        (b"864000000001301im", Claim.UNDECIDED, Claim.NO),
        (b"8640", Claim.UNDECIDED, Claim.NO),
        (b"", Claim.UNDECIDED, Claim.NO),
        (b"864000000001301x", Claim.NO, Claim.NO),
        (b"8640000000013011", Claim.NO, Claim.NO),
        (b"86400000000130;", Claim.NO, Claim.NO),
        (b"260501121530,", Claim.NO, Claim.NO),
        (b"IMEI:", Claim.NO, Claim.NO),
        (b"imex", Claim.NO, Claim.NO),
        (b"##imei:", Claim.NO, Claim.NO),
        (b"(", Claim.NO, Claim.NO),
        (b"*HQ,", Claim.NO, Claim.NO),
        (b"$", Claim.NO, Claim.NO),
        (b"xx", Claim.NO, Claim.NO),
    ],
)
def test_claim(data, undecided, decided):
    assert gps103.claim(data, final=False) is undecided
    assert gps103.claim(data, final=True) is decided


def test_a_heartbeat_of_any_length_is_one_once_the_stream_is_claimed():
    _, events = converse([b"##,imei:0,A;0;"], "tcp", AT)
    beat = events[1]
    assert isinstance(beat, Received)
    assert beat.messages == (Heartbeat(device_id="0", protocol="gps103", received_at=AT),)
    assert beat.reply == b"ON"


# --- tables -----------------------------------------------------------------------------------


def told() -> Iterator[dict[str, Any]]:
    for line in LINES:
        if line.protocol == "gps103":
            for event in line.row["events"]:
                yield from event.get("messages", ())


@pytest.mark.parametrize("keyword", gps103.ALARMS)
def test_every_alarm_word_stands_in_the_corpus(keyword):
    assert gps103.ALARMS[keyword] in {
        message["alarm"] for message in told() if message.get("keyword") == keyword
    }


@pytest.mark.parametrize("keyword", gps103.STATES)
def test_every_state_word_stands_in_the_corpus(keyword):
    shown = [message["status"] for message in told() if message.get("keyword") == keyword]
    assert any(
        all(status.get(name) is value for name, value in _known(gps103.STATES[keyword]).items())
        for status in shown
    )


def _known(status: Status) -> dict[str, bool]:
    return {
        name: getattr(status, name)
        for name in status.__struct_fields__
        if getattr(status, name) is not None
    }


# --- a known offset of the local clock --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offset", "time"),
    [
        (f"imei:{ID},tracker,260501121559,,L,;", 120, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        (f"imei:{ID},tracker,26/05/01 12:15,,L,;", -60, datetime(2026, 5, 1, 13, 15, tzinfo=UTC)),
        (f"imei:{ID},tracker,2605010015,,L,;", 120, datetime(2026, 4, 30, 22, 15, tzinfo=UTC)),
        (f"imei:{ID},tracker,000000000,,L,;", 120, None),
        (f"imei:{ID},tracker,260501121559,,L,;", None, None),
        (with_column(5, "31.0"), 120, datetime(2026, 5, 1, 10, 15, tzinfo=UTC)),
        (with_column(5, "31.0"), None, datetime(2026, 5, 1, 12, 15, tzinfo=UTC)),
        (with_column(2, "2605012315"), 780, datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC)),
        (with_column(2, "2605012315"), -660, datetime(2026, 5, 2, 10, 15, 30, tzinfo=UTC)),
        (OBD, 120, datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC)),
        (OBD, None, datetime(2026, 5, 1, 12, 15, 30, tzinfo=UTC)),
        (ALTERNATIVE + "*", 120, datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC)),
    ],
)
def test_a_known_offset(text, offset, time):
    report = decoded(text, offset)
    assert report.device_time == time
    assert report.fix is None or report.fix.time == time


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"imei:{ID},tracker,260501121559,,L,;", {"local_time": "2026-05-01T12:15"}),
        (f"imei:{ID},tracker,26/05/01 12:15,,L,;", {"local_time": "2026-05-01T12:15"}),
        (f"imei:{ID},tracker,000000000,,L,;", {}),
        (with_column(5, "31.0"), {"local_time": "2026-05-01T12:15"}),
        (OBD, {"local_time": "2026-05-01T12:15"}),
        (",".join(USUAL), {"utc_offset_min": 120}),
        (with_column(2, "2605010815"), {"utc_offset_min": -120}),
        (with_column(2, "000000000"), {}),
    ],
)
@pytest.mark.parametrize("offset", [None, 0, 480])
def test_whatever_is_known_a_frame_shows_its_own_clock(text, shown, offset):
    extra = decoded(text, offset).extra
    assert {
        name: extra[name] for name in ("local_time", "utc_offset_min") if name in extra
    } == shown


# --- broken columns ---------------------------------------------------------------------------


@pytest.mark.parametrize("column", [LATITUDE, LONGITUDE])
@pytest.mark.parametrize("text", [odd for odd in ODD_NUMBERS if "," not in odd])
def test_coordinates_are_plain_numbers_or_the_frame_is_refused(column, text):
    with pytest.raises(ValueError):  # noqa: PT011 - of `decode` it is the contract
        decoded(with_column(column, text))


@pytest.mark.parametrize("text", ["1e2", "nan", "inf", "1_0", "\xb25", " ", "--", "x", "9" * 17])
def test_motion_that_is_no_number_is_absent_and_costs_nothing_else(text):
    fix = decoded(with_column(KNOTS, text)).fix
    assert fix == Fix(
        time=datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC),
        valid=True,
        latitude=52.52,
        longitude=13.41,
        course_deg=83.95,
        altitude_m=34.5,
    )
    course = decoded(with_column(COURSE, text)).fix
    assert (course.speed_kmh, course.course_deg, course.altitude_m) == (18.52, None, 34.5)
    altitude = decoded(with_column(ALTITUDE, text)).fix
    assert (altitude.speed_kmh, altitude.course_deg, altitude.altitude_m) == (18.52, 83.95, None)


column_text = st.one_of(
    st.text(st.characters(max_codepoint=255, exclude_characters=",;*\n"), max_size=24),
    st.text(st.sampled_from("0123456789.+-%:/ _eEnaif\xb2\xa0"), max_size=24),
    st.sampled_from(["", "0", "1", "F", "L", "A", "V", "N", "S", "E", "W", "OBD", "vr", "help me"]),
)


@given(
    frame=st.sampled_from(
        [",".join(USUAL), OBD, ALTERNATIVE, f"imei:{ID},x,,,L,,,1a,,2b,,,,,1,1,,,"]
    ),
    broken=st.lists(st.tuples(st.integers(0, 19), column_text), min_size=1, max_size=3),
    closing=st.sampled_from([";", "*", "\r\n", ""]),
)
@settings(deadline=None, max_examples=500)
def test_whatever_stands_in_a_column_is_refused_or_legal(frame, broken, closing):
    column = frame.split(",")
    for index, text in broken:
        column[index % len(column)] = text
    try:
        said = gps103.decode(
            (",".join(column) + closing).encode("latin-1"), Context(received_at=AT)
        )
    except ValueError:
        return
    for message in said.messages:
        legal(message)


def test_what_one_frame_says_does_not_leak_into_the_next():
    """The columns behind the position are read once and remembered."""
    first = decoded(with_column(17, "P0420"))
    first.extra["dtcs"] = "changed"
    assert decoded(with_column(17, "P0420")).extra["dtcs"] == ["P0420"]
    assert decoded(",".join(USUAL)).extra == {"fuel2_percent": 12.5, "utc_offset_min": 120}


def test_an_upload_that_breaks_off_is_over_after_a_while() -> None:
    context = Context(received_at=AT)

    def replayed(minutes: float, keyword: str = "tracker") -> bool:
        context.received_at = AT + timedelta(minutes=minutes)
        said = ",".join(USUAL).replace("tracker", keyword) + ";"
        (report,) = gps103.decode(said.encode(), context).messages
        assert isinstance(report, Report)
        return "replayed" in report.extra

    replayed(0, "load")
    assert [replayed(minutes) for minutes in (1, 2.9, 4.8)] == [True, True, True]
    assert [replayed(minutes) for minutes in (7, 7.1)] == [False, False]
