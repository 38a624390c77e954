"""What reports teach about a tracker's clock: laws over made-up clocks, and real gps103 frames."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge import clock as clocks
from bridge.clock import NEAR_S, UNKNOWN, Clock, WrongZone
from bridge.command import SetTimeZone
from bridge.model import NO_STATUS, Fix, Report
from bridge.protocols import gps103_commands
from bridge.protocols.connection import Connection, Received
from bridge.protocols.encoding import Target, encode
from bridge.protocols.registry import PROTOCOLS

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
ID = "864000000001601"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def report(received_at: datetime, device_time: datetime | None, **more: Any) -> Report:
    return Report(
        **{
            "device_id": ID,
            "protocol": "h02",
            "received_at": received_at,
            "device_time": device_time,
            "keyword": "V1",
            "status": NO_STATUS,
            "extra": {},
            **more,
        }
    )


def live(interval_s: float, skew_s: float, delays_s: Iterable[float]) -> list[Report]:
    """Return one report an interval, each told by a clock that is ahead, each delayed."""
    made = (NOW + seconds(number * interval_s) for number in range(10**6))
    return [
        report(at + seconds(delay), at + seconds(skew_s))
        for at, delay in zip(made, delays_s, strict=False)
    ]


def learnt(reports: Iterable[Report], clock: Clock = UNKNOWN, *, replayed: bool = False) -> Clock:
    for one in reports:
        clock = clocks.learn(clock, one, replayed=replayed)
    return clock


def late(one: Report, late_s: float) -> Report:
    """Return a report that is made now and comes later, or sooner."""
    return msgspec.structs.replace(one, received_at=one.received_at + seconds(late_s))


intervals = st.integers(5, 3600)
wrong = st.floats(150, 800 * DAY_S) | st.floats(-800 * DAY_S, -150)
zones = st.integers(-56, 56).filter(bool).map(lambda quarters: quarters * 900.0)
network = st.floats(0, 20)


# --- a wrong clock ----------------------------------------------------------------------------


@given(interval=intervals, skew=wrong | zones, delay=network)
@example(interval=5, skew=8 * HOUR_S, delay=0)
@example(interval=3600, skew=-DAY_S, delay=20)
@example(interval=30, skew=-1024 * 7 * DAY_S, delay=1)
@example(interval=30, skew=150.0, delay=1)
def test_a_constant_skew_is_learnt_by_the_third_report_in_a_row(interval, skew, delay):
    reports = live(interval, skew, [delay] * 4)
    two = learnt(reports[:2])
    assert clocks.skew_s(two) == 0.0
    assert clocks.corrected(two, reports[1]) == reports[1].device_time
    assert clocks.measured_skew_s(two) is None
    three = learnt(reports[2:3], two)
    assert abs(clocks.skew_s(three) - skew) <= NEAR_S + delay
    assert clocks.measured_skew_s(three) == round(skew - delay)
    true = reports[3].device_time - seconds(skew)
    assert abs(clocks.corrected(three, reports[3]) - true) <= seconds(NEAR_S + delay)


@given(interval=intervals, zone=zones, delay=network)
def test_a_wrong_zone_is_corrected_by_exactly_that(interval, zone, delay):
    clock = learnt(live(interval, zone, [delay] * 3))
    assert clocks.skew_s(clock) == zone
    assert clocks.wrong_zone(clock) == WrongZone(int(zone) // 60, harmful=True)


@pytest.mark.parametrize("days", [1, -1, 7168, -7168])
def test_days_and_weeks_are_skews_and_no_zones(days):
    clock = learnt(live(30, days * DAY_S, [1, 3, 2]))
    assert clocks.skew_s(clock) == days * DAY_S
    assert clocks.wrong_zone(clock) is None


def test_what_is_no_zone_is_corrected_by_the_median():
    clock = learnt(live(60, 400, [3.25, 15, 1]))
    assert clocks.skew_s(clock) == 397.0
    assert clocks.measured_skew_s(clock) == 397
    assert clocks.wrong_zone(clock) is None


@given(
    interval=st.integers(60, 3600),
    skew=zones | st.just(0.0),
    delays=st.lists(network, min_size=3, max_size=12),
)
def test_jitter_does_not_keep_a_skew_from_being_learnt(interval, skew, delays):
    reports = live(interval, skew, delays)
    clock = UNKNOWN
    for number, one in enumerate(reports, start=1):
        clock = clocks.learn(clock, one, replayed=False)
        assert clocks.skew_s(clock) == (skew if number >= 3 else 0.0)


@given(interval=intervals, skew=wrong, delays=st.lists(network, min_size=3, max_size=20))
def test_jitter_never_changes_what_is_learnt(interval, skew, delays):
    before = learnt(live(interval, skew, [10.0] * 3))
    after = learnt(live(interval, skew, delays), before)
    assert clocks.skew_s(after) == clocks.skew_s(before) != 0.0


def test_with_short_intervals_jitter_costs_some_reports_only():
    delays = [0, 17, 4, 9, 20, 1, 13, 12, 12, 13]
    assert clocks.skew_s(learnt(live(10, HOUR_S, delays))) == HOUR_S


@given(interval=intervals, skew=wrong | zones)
def test_it_is_unlearnt_the_same_way(interval, skew):
    clock = learnt(live(interval, skew, [1.0] * 3))
    known = clocks.skew_s(clock)
    reports = live(interval, 0.0, [1.0] * 3)
    later = [
        report(one.received_at + seconds(DAY_S), one.device_time + seconds(DAY_S))
        for one in reports
    ]
    for one in later[:2]:
        clock = clocks.learn(clock, one, replayed=False)
        assert clocks.skew_s(clock) == known
    assert clocks.skew_s(learnt(later[2:], clock)) == 0.0


def test_a_clock_that_drifts_is_followed():
    clock = UNKNOWN
    for number in range(400):
        at = NOW + seconds(60 * number)
        clock = clocks.learn(clock, report(at, at + seconds(number)), replayed=False)
        assert abs(clocks.skew_s(clock) - number) <= NEAR_S + 3
    assert clocks.skew_s(clock) > 300


def test_a_clock_that_was_set_right_counts_at_once_where_it_was_behind():
    """By what is known of it, it would speak of the future."""
    clock = learnt(live(60, -300 * DAY_S, [1.0] * 3))
    right = report(NOW + seconds(HOUR_S), NOW + seconds(HOUR_S - 2))
    assert clocks.corrected(clock, right) == right.device_time
    assert clocks.corrected(clock, right) == clocks.corrected(learnt([right], clock), right)


# --- a right one ------------------------------------------------------------------------------


@given(
    interval=st.integers(1, 3600),
    delays=st.lists(st.floats(0, NEAR_S - 5), min_size=1, max_size=20),
    ahead=st.floats(-5, 5),
)
def test_a_right_clock_is_never_moved(interval, delays, ahead):
    clock = UNKNOWN
    for one in live(interval, ahead, delays):
        clock = clocks.learn(clock, one, replayed=False)
        assert clocks.corrected(clock, one) == one.device_time
        assert clocks.wrong_zone(clock) is None


@given(
    interval=st.integers(1, 3600),
    paces=st.lists(st.floats(0, 0.499), min_size=3, max_size=30),
    age=st.floats(0, 30 * DAY_S),
    skew=st.just(0.0) | zones,
)
def test_an_upload_is_no_wrong_clock(interval, paces, age, skew):
    """Whatever the clock: what is known of it stays as it is."""
    before = clock = learnt(live(60, skew, [1.0] * 3))
    assert clocks.skew_s(before) == skew
    received = NOW + seconds(DAY_S)
    made = received + seconds(skew - age)
    for pace in paces:
        clock = clocks.learn(clock, report(received, made), replayed=False)
        assert clocks.skew_s(clock) == skew
        assert clocks.measured_skew_s(clock) == clocks.measured_skew_s(before)
        received, made = received + seconds(pace * interval), made + seconds(interval)


@given(
    interval=st.integers(1, 600),
    blind=st.integers(1, 60),
    pace=st.floats(0, 0.499),
    mixed=st.booleans(),
)
@example(interval=10, blind=60, pace=0.1, mixed=True)
@settings(deadline=None)
def test_a_blind_spot_from_its_beginning_to_its_end(interval, blind, pace, mixed):
    """Live, silent, then the memory: before what is live by then, or in between."""
    right = [report(at := NOW + seconds(interval * step), at) for step in range(blind + 140)]
    free = right[4 + blind].received_at
    kept = [
        msgspec.structs.replace(one, received_at=free + seconds(pace * interval * step))
        for step, one in enumerate(right[4 : 4 + blind])
    ]
    end = kept[-1].received_at
    heard = [
        one if mixed else msgspec.structs.replace(one, received_at=max(one.received_at, end))
        for one in right[4 + blind :]
    ]
    clock = UNKNOWN
    reports = right[:4] + sorted(kept + heard, key=lambda one: one.received_at)
    for one in reports:
        clock = clocks.learn(clock, one, replayed=False)
        assert clocks.corrected(clock, one) == one.device_time
    assert -1 <= clocks.measured_skew_s(clock) <= 0


@given(
    interval=intervals,
    skew=zones | st.just(0.0),
    which=st.integers(3, 9),
    late_s=st.floats(-800 * DAY_S, 800 * DAY_S),
)
def test_a_single_late_or_early_report_changes_nothing(interval, skew, which, late_s):
    reports = live(interval, skew, [2.0] * 10)
    reports[which] = late(reports[which], late_s)
    clock = learnt(reports[:which])
    for one in reports[which:]:
        clock = clocks.learn(clock, one, replayed=False)
        assert clocks.skew_s(clock) == skew


def test_the_same_time_again_and_again_shows_nothing():
    """A box that is parked may repeat its last fix, time and all."""
    clock = learnt(live(20, 0, [1.0] * 3))
    stuck = [report(NOW + seconds(100 + 10 * step), NOW + seconds(40)) for step in range(30)]
    assert learnt(stuck, clock) == clock
    assert clocks.skew_s(learnt(stuck)) == 0.0


def test_a_clock_that_nearly_stands_still_is_not_believed():
    slow = [report(NOW + seconds(15 * step), NOW + seconds(5 * step - 500)) for step in range(30)]
    assert clocks.skew_s(learnt(slow)) == 0.0


def test_small_delays_are_measured_and_not_corrected():
    clock = learnt(live(30, 0, [9.0, 7.0, 8.0]))
    assert clocks.measured_skew_s(clock) == -8
    assert clocks.skew_s(clock) == 0.0


@pytest.mark.parametrize("setting", [{"replayed": True}, {"valid": False}, {"time": None}])
def test_memory_and_a_receiver_without_a_lock_teach_nothing(setting):
    place = {"latitude": 52.52, "longitude": 13.41}
    reports = [
        msgspec.structs.replace(
            one,
            fix=Fix(valid=setting.get("valid", True), **place),
            device_time=setting.get("time", one.device_time),
            extra={"utc_offset_min": 480},
        )
        for one in live(30, HOUR_S, [1.0] * 5)
    ]
    assert learnt(reports, replayed=setting.get("replayed", False)) is UNKNOWN


def test_no_time_is_no_time():
    assert clocks.corrected(learnt(live(30, HOUR_S, [1.0] * 3)), report(NOW, None)) is None


# --- a fold -----------------------------------------------------------------------------------

anything = st.builds(
    lambda received, skew, extra, time: report(
        NOW + seconds(received),
        NOW + seconds(received + skew) if time else None,
        extra=extra,
    ),
    st.integers(0, 10**5),
    st.sampled_from([0.0, -5.5, 480 * 60, DAY_S, -DAY_S]) | st.floats(-1e6, 1e6),
    st.sampled_from([{}, {"utc_offset_min": 779}, {"utc_offset_min": -660}, {"utc_offset_min": 7}])
    | st.datetimes(datetime(2026, 5, 1), datetime(2026, 5, 3)).map(  # noqa: DTZ001 - a local clock
        lambda local: {"local_time": f"{local:%Y-%m-%dT%H:%M}"}
    ),
    st.booleans(),
)


@given(st.lists(anything, max_size=12), st.integers(0, 12))
def test_it_goes_on_from_its_own_json(reports, split):
    half = learnt(reports[:split])
    again = msgspec.json.decode(msgspec.json.encode(half), type=Clock)
    assert again == half
    assert learnt(reports[split:], again) == learnt(reports)


@given(st.lists(anything, max_size=30))
def test_what_is_remembered_is_bounded(reports):
    clock = learnt(reports)
    assert len(msgspec.json.encode(clock)) < 600
    offset = clocks.utc_offset_min(clock)
    assert offset is None or (offset % 15 == 0 and -720 <= offset <= 840)


# --- gps103: a local clock, and perhaps a UTC clock without a date -----------------------------

UTC_CLOCK, NO_UTC_CLOCK, NO_SATELLITES = "utc", "no utc", "no satellites"


class Box:
    """A gps103 tracker on a connection that is told what is learnt of its clock."""

    def __init__(self, known: int | None = None) -> None:
        self.connection = Connection(PROTOCOLS, utc_offset_minutes=known)
        self.clock = UNKNOWN

    def send(
        self,
        made: datetime,
        offset_min: float,
        kind: str = UTC_CLOCK,
        received_at: datetime | None = None,
        keyword: str = "tracker",
    ) -> Report:
        local = f"{made + timedelta(minutes=offset_min):%y%m%d%H%M}"
        place = "A,5231.2000,N,01324.6000,E,0.00,83.95"
        tail = {
            UTC_CLOCK: f"F,{made:%H%M%S}.000,{place}",
            NO_UTC_CLOCK: f"F,31.0,{place}",
            NO_SATELLITES: "L,,,1a2b,,3c4d,,",
        }[kind]
        self.connection.receive_data(f"imei:{ID},{keyword},{local},,{tail};".encode())
        (event,) = self.connection.events(received_at or made + seconds(2))
        assert isinstance(event, Received)
        (said,) = event.messages
        assert isinstance(said, Report)
        self.clock = clocks.learn(self.clock, said, replayed=False)
        self.connection.set_utc_offset(clocks.utc_offset_min(self.clock))
        return said

    def time(self, said: Report) -> datetime | None:
        return clocks.corrected(self.clock, said)


MIDNIGHTS = [
    datetime(2026, 4, 30, 23, 58, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 58, 30, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 58, 30, tzinfo=UTC),
]
OFFSETS = [-720, -660, -570, -300, 0, 60, 330, 345, 480, 720, 765, 780, 840]


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("start", [*MIDNIGHTS, *(at + seconds(DAY_S / 2) for at in MIDNIGHTS)])
def test_an_offset_is_learnt_across_midnight_month_and_year(start, offset):
    box = Box()
    for number in range(6):
        made = start + seconds(30 * number)
        assert clocks.utc_offset_min(box.clock) == (offset if number >= 3 else None)
        assert box.time(box.send(made, offset)) == made
    assert clocks.skew_s(box.clock) == 0.0
    zone = WrongZone(offset, harmful=False) if offset else None
    assert clocks.wrong_zone(box.clock) == zone


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("known", [None, *OFFSETS])
def test_a_known_offset_that_became_wrong_is_unlearnt(known, offset):
    """Whatever is known, the frames show what is: after three all is right."""
    box = Box(known)
    if known is not None:
        for number in range(3):
            box.send(NOW + seconds(60 * number), known)
        assert clocks.utc_offset_min(box.clock) == known
    changed = NOW + seconds(HOUR_S)
    for number in range(6):
        made = changed + seconds(60 * number)
        said = box.send(made, offset)
        if number >= 2:
            assert box.time(said) == made
            assert clocks.utc_offset_min(box.clock) == offset
            assert clocks.skew_s(box.clock) == 0.0
    alone = box.send(changed + seconds(420), offset, NO_SATELLITES)
    assert box.time(alone) == datetime(2026, 5, 1, 11, 7, tzinfo=UTC)


@pytest.mark.parametrize("wrong_min", [-2, -1, 1, 2])
@pytest.mark.parametrize("offset", OFFSETS)
def test_the_minute_may_change_between_the_two_clocks(offset, wrong_min):
    box = Box()
    for number in range(4):
        made = NOW + seconds(60 * number)
        said = box.send(made, offset + wrong_min)
        assert box.time(said) == made
    assert clocks.utc_offset_min(box.clock) == offset


def test_a_clock_of_no_zone_teaches_no_offset():
    box = Box()
    for number in range(5):
        box.send(NOW + seconds(60 * number), 487)
    assert clocks.utc_offset_min(box.clock) is None


@pytest.mark.parametrize("other", [60, 487])
def test_two_of_three_are_not_enough(other):
    box = Box()
    for number, offset in enumerate((480, 480, other, 480, 480, other, other)):
        box.send(NOW + seconds(60 * number), offset)
    assert clocks.utc_offset_min(box.clock) is None


@pytest.mark.parametrize("kind", [NO_SATELLITES, NO_UTC_CLOCK])
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("start", MIDNIGHTS)
def test_a_local_clock_alone_is_read_against_the_time_of_receipt(start, offset, kind):
    box = Box()
    made = start
    for number in range(6):
        made = start + seconds(300 * number)
        said = box.send(made, offset, kind, made + seconds(number))
        if number > 2:
            assert said.device_time == made.replace(second=0)
            assert box.time(said) == said.device_time
    assert clocks.utc_offset_min(box.clock) == offset
    assert clocks.skew_s(box.clock) == 0.0


@given(interval=st.integers(10, 3600), offset=st.sampled_from(OFFSETS), delay=network)
@settings(deadline=None)
def test_at_any_interval(interval, offset, delay):
    box = Box()
    for number in range(5 + 360 // interval * 2):
        made = NOW + seconds(interval * number)
        box.send(made, offset, NO_SATELLITES, made + seconds(delay))
    assert clocks.utc_offset_min(box.clock) == offset


@given(interval=st.integers(5, 3600), pace=st.floats(0, 0.499), hours=st.integers(1, 14))
@example(interval=73, pace=0.496, hours=1)
@example(interval=359, pace=0.499, hours=8)
@settings(deadline=None)
def test_nor_is_an_upload_of_a_local_clock_another_zone(interval, pace, hours):
    box = Box()
    for number in range(4):
        box.send(NOW + seconds(60 * number), 480)
    received = NOW + seconds(DAY_S)
    for number in range(20):
        made = NOW + seconds(DAY_S - hours * HOUR_S + interval * number)
        box.send(made, 480, NO_SATELLITES, received + seconds(number * interval * pace))
        assert clocks.utc_offset_min(box.clock) == 480
    assert clocks.skew_s(box.clock) == 0.0


def test_frames_without_satellites_unlearn_an_offset_too():
    box = Box()
    for number in range(3):
        box.send(NOW + seconds(60 * number), 480)
    for number in range(3, 7):
        made = NOW + seconds(300 * number)
        said = box.send(made, 0, NO_SATELLITES)
    assert clocks.utc_offset_min(box.clock) == 0
    assert said.device_time == made
    assert clocks.skew_s(box.clock) == 0.0


@pytest.mark.parametrize("skew", [-2 * DAY_S, -0.75 * HOUR_S, 3 * HOUR_S])
def test_both_clocks_wrong_by_the_same_are_a_skew_and_no_zone(skew):
    """A box tells its zone by its own two clocks, whatever they show."""
    box = Box()
    for number in range(8):
        received = NOW + seconds(60 * number)
        box.send(received + seconds(skew), 120, UTC_CLOCK, received)
    for number in range(8, 14):
        received = NOW + seconds(300 * number)
        said = box.send(received + seconds(skew), 120, NO_SATELLITES, received)
    assert clocks.utc_offset_min(box.clock) == 120
    assert clocks.skew_s(box.clock) == skew
    assert box.time(said) == received


@pytest.mark.parametrize(("second", "delay"), [(0, 0), (0, 90), (59, 0), (59, 90)])
def test_a_local_clock_without_seconds_may_come_late_too(second, delay):
    box = Box()
    for number in range(4):
        made = NOW + seconds(300 * number + second)
        box.send(made, 480, NO_SATELLITES, made + seconds(delay))
    assert clocks.utc_offset_min(box.clock) == 480


@pytest.mark.parametrize(("offset", "twin"), [(765, -675), (780, -660), (840, -600), (-720, 720)])
def test_an_old_upload_may_teach_the_twin_of_an_offset_but_not_for_long(offset, twin):
    """Days old and not marked: +13:00 cannot be told from -11:00."""
    box = Box()
    for number in range(3):
        box.send(NOW + seconds(60 * number), offset, received_at=NOW + seconds(9 * DAY_S))
    assert clocks.utc_offset_min(box.clock) == twin
    for number in range(4):
        made = NOW + seconds(10 * DAY_S + 60 * number)
        said = box.send(made, offset)
        assert number < 2 or box.time(said) == made
    assert clocks.utc_offset_min(box.clock) == offset
    assert clocks.skew_s(box.clock) == 0.0
    old = box.send(NOW + seconds(7 * DAY_S), offset, received_at=NOW + seconds(11 * DAY_S))
    assert box.time(old) == NOW + seconds(7 * DAY_S)


def test_a_frame_that_took_its_pick_before_the_offset_was_known_is_put_on_its_day():
    """A guest's reports wait, decoded with no offset known."""
    clock = Clock(offset_min=780)
    picked = report(NOW, NOW - seconds(4 * DAY_S), extra={"utc_offset_min": -660})
    assert clocks.corrected(clock, picked) == NOW - seconds(5 * DAY_S)
    assert clocks.utc_offset_min(learnt([picked] * 4, clock)) == 780
    other = report(NOW, NOW - seconds(4 * DAY_S), extra={"utc_offset_min": 60})
    assert clocks.corrected(clock, other) == other.device_time
    none = report(NOW, NOW - seconds(4 * DAY_S), extra={"utc_offset_min": 7})
    assert clocks.corrected(clock, none) == none.device_time


@pytest.mark.parametrize(
    ("device_time", "expected"),
    [
        (None, NOW - seconds(60)),  # no satellites
        (NOW + seconds(8 * HOUR_S - 60), NOW - seconds(60)),  # no UTC clock
        (NOW + seconds(8 * HOUR_S - 21), NOW - seconds(21)),  # OBD, which has seconds
        (NOW + seconds(HOUR_S - 60), NOW + seconds(HOUR_S - 60)),  # an offset was configured
    ],
)
def test_a_local_time_that_was_decoded_before_the_offset_was_known(device_time, expected):
    alone = report(NOW, device_time, extra={"local_time": "2026-05-01T17:59"})
    assert clocks.corrected(UNKNOWN, alone) == device_time
    assert clocks.corrected(Clock(offset_min=480), alone) == expected


# --- what to tell its owner -------------------------------------------------------------------


def test_advice_names_the_words_that_the_bridge_would_send():
    said = clocks.advice("gps103", 480)
    assert said.startswith("The tracker's clock is 8 h ahead of UTC: text it ")
    assert "`time zonePASSWORD 0`" in said
    for dialect in gps103_commands.VOCABULARY.dialects:
        target = Target(device_id="ID", now=NOW, dialect=dialect)
        words = encode("gps103", gps103_commands.VOCABULARY, SetTimeZone(), target)
        assert f"`{words.decode()}`" in said


@pytest.mark.parametrize("protocol", [row.name for row in PROTOCOLS if row.name != "gps103"])
def test_advice_invents_no_words(protocol):
    assert clocks.advice(protocol, -330) == (
        "The tracker's clock is 5 h 30 min behind UTC: set its time zone to 0 in the words of its"
        f" manual, as none are known for {protocol}."
    )
