"""h02: what is read out of text columns, status words and records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import DecodeError
from bridge.model import Alarm, Cell, Report
from bridge.protocols import h02
from bridge.protocols.base import Context
from bridge.protocols.connection import Received, Rejected
from bridge.protocols.h02_status import BATTERY_PERCENT, read_tail, read_word
from tests.bridge.laws import ODD_NUMBERS, legal
from tests.bridge.test_h02 import AT, RECORD, USUAL, listen, messages


def report(frame: bytes) -> Report:
    """Return the one report of a frame."""
    (told,) = messages(listen(frame))
    assert isinstance(told, Report)
    return told


COLUMNS = USUAL.decode().split(",")
_COLUMN_TEXTS = st.sampled_from([
    "", "0", "A", "V", "B", "N", "S", "E", "W", "-48-7.5", "48075000", "4807.5000", " 12.5", "7.5",
    "101530", "010526", "FFF7FBFD", "4", "262", "cc", " 1a2", "89880000000000000117", *ODD_NUMBERS,
])  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, len(COLUMNS) - 1), _COLUMN_TEXTS), max_size=4))
@settings(deadline=None, max_examples=400)
def test_odd_columns_are_lawful_and_both_ways_to_read_a_place_agree(changes):
    column = [*COLUMNS]
    for at, text in changes:
        column[at] = text
    frame = ",".join(column).replace("#", "").encode("latin-1") + b"#"
    (event,) = listen(frame)
    if isinstance(event, Received):
        for message in event.messages:
            legal(message)
        with patch.object(h02, "_USUAL_CHARACTERS", -1):
            assert listen(frame) == [event]


@pytest.mark.parametrize("at", range(3, len(COLUMNS)))
def test_a_frame_may_end_behind_any_column(at):
    (event,) = listen(",".join(COLUMNS[:at]).encode() + b"#")
    if at in (6, 7, 8):  # one coordinate, or one without its hemisphere
        assert isinstance(event, Rejected)
    else:
        assert [message.fix is not None for message in event.messages] == [at > 8]


def bits(*low: int) -> str:
    return f"{0xFFFFFFFF & ~sum(1 << bit for bit in low):08X}"


@pytest.mark.parametrize("bit", range(32))
def test_each_bit_of_the_status_word(bit):
    said = read_word(bits(bit))
    alarms = {0: "vibration", 1: "sos", 2: "overspeed", 18: "sos", 19: "power_cut"}
    assert said.alarm == alarms.get(bit)
    assert said.extra == {"status_word": bits(bit)}
    status = said.status
    assert (status.ignition, status.door_open, status.armed, status.engine_cut) == (
        bit != 10, bit == 8, bit == 9, bit == 27
    )  # fmt: skip


def test_several_alarms_are_ranked():
    said = read_word(bits(0, 1, 2, 18, 19))
    assert said.alarm is Alarm.SOS
    assert said.extra["alarms"] == ["power_cut", "vibration", "overspeed"]


@pytest.mark.parametrize(
    "code", ["", "FFFFFBF", "FFFFFBFFF", "FFFFFBFG", " FFFFFB ", "0xFFFFFB", "+1234567"]
)
def test_what_is_no_status_word(code):
    with pytest.raises(DecodeError):
        read_word(code)


@pytest.mark.parametrize(
    ("level", "percent"),
    [
        (0, None), (1, 0), (2, 10), (3, 20), (4, 60), (5, 80), (6, 100), (7, 7), (100, 100),
        (101, None), (0xF0, None), (0xF1, 1), (0xF6, 6), (0xF7, None), (255, None),
    ],
)  # fmt: skip
def test_the_battery_byte(level, percent):
    assert BATTERY_PERCENT.get(level) == percent
    frame = bytearray(RECORD)
    frame[16] = level
    assert report(bytes(frame)).status.battery_percent == percent


@pytest.mark.parametrize(
    ("tail", "cell", "io"),
    [
        ("cc,28, 0,3c4d", None, ["cc", "28", "0", "3c4d"]),
        ("900,28,1a2,3c4d", None, ["900", "28", "1a2", "3c4d"]),
        ("262,01,49101,1753", Cell(mcc=262, mnc=1, lac=49101, cid=1753), None),
        ("262,01,49101,1753,5", Cell(mcc=262, mnc=1, lac=49101, cid=1753), ["5"]),
        ("262,01,70000,1753", None, ["262", "01", "70000", "1753"]),
        ("262,1000,49101,1753", None, ["262", "1000", "49101", "1753"]),
        ("262,01,0,1753", None, ["262", "01", "0", "1753"]),
        ("cc,28, 1a2,3c4d", Cell(mcc=204, mnc=4, lac=418, cid=15437), None),
        ("25c,a, 1a2,3c4d", Cell(mcc=604, mnc=1, lac=418, cid=15437), None),
        ("125,194, 1a2,3c4d", Cell(mcc=293, lac=418, cid=15437), None),
        ("cc,28, 1a2,3c4d,5", None, ["cc", "28", "1a2", "3c4d", "5"]),
        ("0000cc,000004,0001a2,003c4d,5", Cell(mcc=204, mnc=4, lac=418, cid=15437), ["5"]),
        ("460,11,d18e105,7752,6", None, ["460", "11", "d18e105", "7752", "6"]),
        ("1,2,3,4", None, ["1", "2", "3", "4"]),
        ("0,0,0,0", None, ["0", "0", "0", "0"]),
        ("gg,28,1a2,3c4d", None, ["gg", "28", "1a2", "3c4d"]),
        (",,,", None, None),
        ("1,2,3", None, ["1", "2", "3"]),
        ("1,2,3.5,4,0,0", None, None),
        ("1,2,3.5,4,1a2,3c4d", Cell(lac=418, cid=15437), None),
        ("1,x,3.5,4,1a2,3c4d", None, ["1", "x", "3.5", "4", "1a2", "3c4d"]),
    ],
)
def test_what_stands_behind_the_status_word(tail, cell, io):
    told = read_tail(f"010526,FFFFFBFF,{tail}")
    assert told.cell == cell
    assert told.extra.get("io") == io


minutes = st.integers(0, 59_9999)


class Record(NamedTuple):
    """What a record tells, as the tracker has it."""

    number: int
    time: datetime
    latitude: tuple[int, int]
    """Degrees, and ten-thousandths of minutes; longitude alike."""
    longitude: tuple[int, int]
    knots: int
    course: int
    flags: int

    def packed(self, *, long_id: bool) -> bytes:
        head = f"{self.number:015}f" if long_id else f"{self.number:010}"
        return bytes.fromhex(
            f"24{head}{self.time:%H%M%S%d%m%y}{self.latitude[0]:02}{self.latitude[1]:06}06"
            f"{self.longitude[0]:03}{self.longitude[1]:06}{self.flags:x}"
            f"{self.knots:03}{self.course:03}fffffbff{'' if long_id else 'ff0024'}"
        )


@given(
    st.builds(
        Record,
        st.integers(1, 9_999_999_999),
        st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - see below
        st.tuples(st.integers(0, 89), minutes),
        st.tuples(st.integers(0, 179), minutes),
        st.integers(0, 999),
        st.integers(0, 360),
        st.integers(0, 15),
    ),
    st.booleans(),
)
@settings(deadline=None)
def test_a_record_says_what_was_put_into_it(record, long_id):
    told = report(record.packed(long_id=long_id))
    fix = told.fix
    assert told.device_id == (f"{record.number:015}" if long_id else f"{record.number:010}")
    assert told.device_time == record.time.replace(microsecond=0, tzinfo=UTC)
    assert fix is not None
    assert fix.valid is bool(record.flags & 2)
    degrees, parts = record.latitude
    north = (degrees + parts / 600_000) * (1 if record.flags & 4 else -1)
    degrees, parts = record.longitude
    east = (degrees + parts / 600_000) * (1 if record.flags & 8 else -1)
    assert (fix.latitude, fix.longitude) == pytest.approx((north, east), abs=1e-7)
    knots = record.knots
    assert fix.speed_kmh == (pytest.approx(knots * 1.852, abs=0.006) if knots < 540 else None)
    assert fix.course_deg == record.course


def test_a_record_is_refused_by_its_decoder():
    for frame in (b"", b"#", RECORD[:-1], RECORD + b"x", b"*" + RECORD, b"$" * 32):
        with pytest.raises(ValueError, match="malformed"):
            h02.decode(frame, Context(received_at=AT))
