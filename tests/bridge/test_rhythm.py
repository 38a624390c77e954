"""What is learnt of how a tracker speaks, what it costs, and what its silence is taken for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rhythm import (
    EMPTY,
    PATIENCE_LEAST_S,
    Kind,
    Rhythm,
    Traffic,
    Transport,
    carried,
    day_bytes,
    heard,
    heartbeat_s,
    interval_s,
    link,
    month_mb,
    parked_interval_s,
    patience_s,
)

START = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
HOUR = 3600.0


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def speaking(
    *gaps_s: float, kind: Kind = "report", parked: bool = False, rhythm: Rhythm = EMPTY
) -> Rhythm:
    """Return a rhythm after signs of life, the first of them at its latest or at the start."""
    moment = (rhythm.report_at if kind == "report" else rhythm.heartbeat_at) or START
    for gap_s in (0.0, *gaps_s):
        moment += timedelta(seconds=gap_s)
        rhythm = heard(rhythm, moment, kind, parked=parked)
    return rhythm


# --- intervals ------------------------------------------------------------------------------------


def test_three_gaps_make_an_interval() -> None:
    assert interval_s(EMPTY) is None
    assert interval_s(speaking(30, 30)) is None
    assert interval_s(speaking(30, 30, 31)) == 30


def test_reports_and_heartbeats_are_apart() -> None:
    rhythm = speaking(*[60] * 4, kind="heartbeat", rhythm=speaking(*[20] * 4))
    assert (interval_s(rhythm), heartbeat_s(rhythm)) == (20, 60)
    assert heartbeat_s(speaking(*[20] * 4)) is None


def test_a_new_pace_is_learnt() -> None:
    assert interval_s(speaking(*[20] * 9, *[60] * 5)) == 60
    assert interval_s(speaking(*[60] * 9, *[20] * 5)) == 20


def test_an_upload_is_no_pace() -> None:
    """Neither at once nor with a breath after each; nor does it hide the gap after it."""
    assert interval_s(speaking(*[60] * 3, *[0.2] * 500)) == 60
    assert interval_s(speaking(*[600] * 3, *[2] * 200, *[600] * 3, *[2] * 200)) == 600
    assert interval_s(speaking(*([60, 0.5] * 3))) == 60


def test_a_pace_that_is_kept_is_no_upload() -> None:
    rhythm = speaking(*[600] * 9, *[10] * 60)
    assert interval_s(rhythm) is None
    assert interval_s(speaking(10, 10, rhythm=rhythm)) == 10


def test_a_few_alarms_between_rare_reports_are_no_pace() -> None:
    rhythm = speaking(*[8 * HOUR] * 3, *[180] * 8, parked=True)
    assert interval_s(rhythm) == 8 * HOUR
    assert interval_s(speaking(180, parked=True, rhythm=rhythm)) is None
    rested = speaking(8 * HOUR, *[180] * 8, parked=True, rhythm=rhythm)
    assert interval_s(rested) == 8 * HOUR


def test_half_of_the_first_gaps_may_be_silences() -> None:
    assert interval_s(speaking(30, 30, 8 * HOUR, 8 * HOUR)) == 30


def test_what_was_learnt_of_two_nights_is_soon_forgotten() -> None:
    rhythm = speaking(30, 8 * HOUR, 8 * HOUR)
    assert interval_s(rhythm) == 8 * HOUR
    assert interval_s(speaking(*[30] * 23, rhythm=rhythm)) == 30


def test_a_long_silence_leaves_what_is_learnt() -> None:
    rhythm = speaking(*[30] * 5, 40 * 86_400.0)
    assert interval_s(rhythm) == 30
    assert rhythm.report_at == after(150 + 40 * 86_400.0)
    assert interval_s(speaking(*[30] * 5, 6 * HOUR)) == 30
    assert interval_s(speaking(*[40 * 86_400.0] * 3)) is None


def test_a_clock_that_steps_breaks_nothing() -> None:
    for step_s in (-HOUR, HOUR):
        assert interval_s(speaking(*[30] * 4, step_s, *[30] * 2)) == 30
    assert interval_s(speaking(*[-30.0] * 20)) is None


def test_parked_and_driving_are_learnt_apart() -> None:
    """A gap between the two is of neither: it was cut short, or long."""
    rhythm = heard(speaking(*[30] * 3), after(500), "report", parked=True)
    rhythm = speaking(*[7200] * 4, parked=True, rhythm=rhythm)
    assert (interval_s(rhythm), parked_interval_s(rhythm)) == (7200, 7200)
    rhythm = heard(rhythm, rhythm.report_at + timedelta(seconds=700), "report")
    assert (interval_s(rhythm), parked_interval_s(rhythm)) == (30, 7200)
    assert rhythm.driving_reports.gaps_s == (30, 30, 30)
    assert rhythm.parked_reports.gaps_s == (7200, 7200, 7200, 7200)


def test_a_heartbeat_does_not_say_whether_the_vehicle_is_parked() -> None:
    rhythm = speaking(*[30] * 3, parked=True)
    rhythm = heard(rhythm, after(100), "heartbeat")
    assert rhythm.parked
    assert interval_s(speaking(30, parked=True, rhythm=rhythm)) == 30


gaps = st.one_of(
    st.floats(-2 * HOUR, 2 * HOUR), st.floats(0, 3), st.sampled_from([1e6, -1e6, 0.0, 30.0])
)
signs = st.lists(
    st.tuples(gaps, st.sampled_from(["report", "heartbeat"]), st.booleans()), max_size=40
)


@given(signs)
def test_a_rhythm_stays_small_and_sane_and_can_be_saved(
    said: list[tuple[float, Kind, bool]],
) -> None:
    rhythm, moment, counted = EMPTY, START, []
    for gap_s, kind, parked in said:
        moment += timedelta(seconds=gap_s)
        rhythm = heard(rhythm, moment, kind, parked=parked)
        counted.append(gap_s)
        encoded = msgspec.json.encode(rhythm)
        assert msgspec.json.decode(encoded, type=Rhythm) == rhythm
        assert len(encoded) < 1000
    for learnt in (interval_s(rhythm), parked_interval_s(rhythm), heartbeat_s(rhythm)):
        assert learnt is None or 1 <= learnt <= 7 * 86_400
    patience = patience_s(rhythm)
    assert patience is None or patience >= PATIENCE_LEAST_S


@given(
    st.floats(2, 86_400),
    st.lists(st.floats(0.8, 1.2), min_size=12, max_size=12),
    st.lists(st.tuples(st.integers(4, 11), st.floats(-1e5, 1e6)), max_size=4),
)
def test_a_few_strays_do_not_change_what_is_learnt(
    pace_s: float, jitter: list[float], strays: list[tuple[int, float]]
) -> None:
    said = [pace_s * factor for factor in jitter]
    for index, stray_s in strays:
        said[index] = stray_s
    learnt = interval_s(speaking(*said))
    assert learnt is not None
    assert 0.8 * pace_s - 1e-6 <= learnt <= 1.2 * pace_s + 1e-6


# --- patience and the link ------------------------------------------------------------------------


def test_patience_is_three_of_the_shorter_interval() -> None:
    assert patience_s(EMPTY) is None
    reports, both = speaking(*[600] * 3), speaking(*[600] * 3)
    both = speaking(*[120] * 3, kind="heartbeat", rhythm=both)
    assert patience_s(reports) == 1800
    assert patience_s(both) == 360
    assert patience_s(speaking(*[10] * 3)) == PATIENCE_LEAST_S
    assert patience_s(speaking(*[100] * 3, kind="heartbeat")) == 300


def test_patience_with_a_parked_vehicle_is_not_that_of_the_drive() -> None:
    rhythm = speaking(*[10] * 9)
    parked = heard(rhythm, after(100), "report", parked=True)
    assert patience_s(parked) is None
    assert patience_s(speaking(*[1800] * 3, parked=True, rhythm=parked)) == 5400
    again = heard(parked, after(200), "report")
    assert patience_s(again) == PATIENCE_LEAST_S


REGULAR = speaking(*[100] * 4)
SLOW_SLEEPER = speaking(*[2 * 86_400.0] * 3, parked=True)
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("connected", "silent_s", "parked", "rhythm", "expected"),
    [
        (True, 0, False, EMPTY, "connected"),
        (True, 1800, False, EMPTY, "connected"),
        (True, 1801, False, EMPTY, "lost"),
        (True, 1801, True, EMPTY, "asleep"),
        (True, 300, False, REGULAR, "connected"),
        (True, 301, False, REGULAR, "lost"),
        (True, 300, True, REGULAR, "connected"),
        (True, 301, True, REGULAR, "asleep"),
        (True, DAY, True, REGULAR, "lost"),
        (True, -HOUR, False, REGULAR, "connected"),
        (False, 0, False, REGULAR, "lost"),
        (False, 0, True, REGULAR, "asleep"),
        (False, -HOUR, True, REGULAR, "asleep"),
        (False, DAY - 1, True, EMPTY, "asleep"),
        (False, DAY, True, EMPTY, "lost"),
        (False, 6 * DAY - 1, True, SLOW_SLEEPER, "asleep"),
        (False, 6 * DAY, True, SLOW_SLEEPER, "lost"),
        (False, 2 * DAY, False, SLOW_SLEEPER, "lost"),
        (True, 6 * DAY, True, SLOW_SLEEPER, "connected"),
    ],
)
def test_links(
    connected: bool,  # noqa: FBT001 - a column of the table
    silent_s: float,
    parked: bool,  # noqa: FBT001
    rhythm: Rhythm,
    expected: str,
) -> None:
    shown = link(
        connected=connected,
        last_seen=START,
        parked=parked,
        rhythm=rhythm,
        now=after(silent_s),
    )
    assert shown == expected


def test_who_never_spoke_is_lost() -> None:
    for connected in (False, True):
        shown = link(connected=connected, last_seen=None, parked=True, rhythm=EMPTY, now=START)
        assert shown == "lost"


def test_how_long_sleep_is_can_be_set() -> None:
    def shown(hours: float) -> str:
        return link(
            connected=False,
            last_seen=START,
            parked=True,
            rhythm=EMPTY,
            now=after(hours * HOUR),
            asleep=timedelta(hours=72),
        )

    assert (shown(71), shown(72)) == ("asleep", "lost")


# --- traffic --------------------------------------------------------------------------------------

MIDNIGHT = datetime(2026, 5, 1, tzinfo=UTC)
NO_TRAFFIC = Traffic()


def on(day: float) -> datetime:
    return MIDNIGHT + timedelta(days=day)


def sending(*said: tuple[float, int], traffic: Traffic = NO_TRAFFIC) -> Traffic:
    """Return the traffic after so many bytes, all told, at (fractions of) a day."""
    for day, sent in said:
        traffic = carried(traffic, on(day), sent - 28, 1, "udp")
    return traffic


def test_packets_cost_more_than_what_is_in_them() -> None:
    today = START.date()
    assert carried(NO_TRAFFIC, START, 100, 1, "udp").days == {today: 128}
    assert carried(NO_TRAFFIC, START, 100, 2, "tcp").days == {today: 260}


def test_a_day_is_utc_and_the_next_begins_at_nothing() -> None:
    today, tomorrow = on(0).date(), on(1).date()
    traffic = sending((0.2, 500), (0.9, 500))
    assert traffic.days == {today: 1000}
    assert sending((1.1, 50), traffic=traffic).days == {today: 1000, tomorrow: 50}


def test_a_mean_day_is_of_complete_days_only() -> None:
    traffic = sending((0.5, 9_000), (1.5, 1_000), (2.5, 3_000), (3.1, 70_000))
    assert day_bytes(traffic, on(3.2)) == 2_000
    assert month_mb(traffic, on(3.2)) == pytest.approx(2_000 * 30.4 / 1e6)


def test_a_day_of_silence_is_a_day() -> None:
    traffic = sending((0.5, 9_000), (1.5, 1_000), (4.1, 70_000))
    assert day_bytes(traffic, on(4.2)) == pytest.approx(1_000 / 3)


def test_a_first_day_is_extrapolated_once_six_hours_are_known() -> None:
    traffic = sending((0.9, 1_000), (1.1, 500))
    assert day_bytes(NO_TRAFFIC, on(1)) is None
    assert day_bytes(traffic, on(1.14)) is None
    assert day_bytes(traffic, on(1.4)) == pytest.approx(3_000)
    assert month_mb(traffic, on(1.1)) is None


def test_a_month_is_remembered_and_no_more() -> None:
    traffic = sending(*((day + 0.5, day) for day in range(100)))
    assert len(traffic.days) == 32
    assert day_bytes(traffic, on(99.6)) == sum(range(68, 99)) / 31
    assert day_bytes(traffic, on(101.6)) == sum(range(70, 100)) / 31


def test_after_a_month_without_a_word_counting_begins_anew() -> None:
    """So does it when a clock that began in 1970 is set right."""
    traffic = sending((0.5, 1_000), (60.5, 2_000))
    assert (traffic.since, list(traffic.days.values())) == (on(60.5), [2_000])


def test_a_clock_set_back_ends_days_that_never_were() -> None:
    traffic = sending((0.5, 1_000), (9.5, 7_000), (1.5, 2_000))
    assert (traffic.since, len(traffic.days)) == (on(0.5), 2)
    assert day_bytes(traffic, on(2.5)) == 2_000
    earlier = sending((-3.5, 3_000), traffic=traffic)
    assert earlier.since == on(-3.5)
    assert day_bytes(traffic, on(-9)) is None
    assert sending((0.9, 1_000), (0.5, 1_000)).since == on(0.5)


transfers = st.lists(
    st.tuples(
        st.floats(-5, 40), st.integers(0, 2000), st.integers(0, 5), st.sampled_from(["tcp", "udp"])
    ),
    max_size=40,
)


@given(transfers, st.booleans())
def test_traffic_is_bounded_and_can_be_saved(
    said: list[tuple[float, int, int, Transport]],
    clock_is_right: bool,  # noqa: FBT001
) -> None:
    traffic = NO_TRAFFIC
    days = [day for day, *_ in said]
    moments = list(accumulate(map(abs, days))) if clock_is_right else days
    total = 0
    for day, (_, size, packets, transport) in zip(moments, said, strict=True):
        traffic = carried(traffic, on(day), size, packets, transport)
        total += size + packets * {"tcp": 80, "udp": 28}[transport]
        encoded = msgspec.json.encode(traffic)
        assert msgspec.json.decode(encoded, type=Traffic) == traffic
        assert len(traffic.days) <= 32
        assert traffic.since is not None
        assert traffic.since <= on(day)
    if moments and max(moments) - min(moments) < 30 and clock_is_right:
        assert sum(traffic.days.values()) == total
