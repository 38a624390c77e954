"""Alarms: one event an episode, and the three ways in which one ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import episodes
from bridge.model import Alarm, Status
from bridge.vehicle import EMPTY, Acknowledged, VehicleState, fold_act
from tests.bridge.sayings import NOW, report, said

MINUTE = timedelta(minutes=1)


def heard(*said_so: tuple[float, dict[str, Any]]) -> tuple[VehicleState, list[int]]:
    """Fold reports at these minutes; return the state and how many rang each time."""
    state, rings = EMPTY, []
    for minute, fields in said_so:
        folded = said(state, report(NOW + minute * MINUTE, **fields))
        state = folded.state
        rings.append(len(folded.rings))
    return state, rings


def test_an_alarm_rings_once_an_episode_and_ends_by_time() -> None:
    state, rings = heard(*[(minute, {"alarm": Alarm.DOOR}) for minute in (0, 3, 6)])
    assert rings == [1, 0, 0]
    assert state.episodes["door"].count == 3
    after = NOW + 6 * MINUTE + episodes.ENDS_AFTER_DEFAULT
    assert episodes.shown(state.episodes, after - timedelta(seconds=1))
    assert not episodes.shown(state.episodes, after)
    again = said(state, report(after, alarm=Alarm.DOOR))
    assert again.rings[0].episode == 2
    assert again.state.rung == ("door",)


@pytest.mark.parametrize("kind", Alarm)
def test_each_kind_ends_after_its_own_time(kind: Alarm) -> None:
    state, _ = heard((0, {"alarm": kind}))
    ends = NOW + episodes.ENDS_AFTER.get(kind, episodes.ENDS_AFTER_DEFAULT)
    assert set(episodes.shown(state.episodes, ends - MINUTE)) == {kind}
    assert not episodes.shown(state.episodes, ends)


def test_an_sos_lasts_a_day() -> None:
    state, _ = heard((0, {"alarm": Alarm.SOS}))
    assert episodes.shown(state.episodes, NOW + timedelta(hours=23, minutes=59))


@pytest.mark.parametrize(
    ("alarm", "before", "after"),
    [
        (Alarm.POWER_CUT, {"external_power": False}, {"external_power": True}),
        (Alarm.LOW_BATTERY, {"charging": False}, {"charging": True}),
        (Alarm.LOW_BATTERY, {"battery_percent": 10.0}, {"battery_percent": 40.0}),
        *[
            (alarm, {"armed": True}, {"armed": False})
            for alarm in (Alarm.DOOR, Alarm.VIBRATION, Alarm.MOVEMENT, Alarm.BONNET)
        ],
    ],
)
def test_the_clearing_report_ends_an_episode(
    alarm: Alarm, before: dict[str, Any], after: dict[str, Any]
) -> None:
    state, rings = heard((0, {"alarm": alarm, "status": Status(**before)}))
    assert rings == [1]
    assert set(state.episodes) == {alarm}
    state = said(state, report(NOW + MINUTE, status=Status(**before))).state
    assert set(state.episodes) == {alarm}
    state = said(state, report(NOW + 2 * MINUTE, status=Status(**after))).state
    assert not state.episodes


def test_an_input_that_never_says_anything_else_clears_nothing() -> None:
    """A box that calls its power good while it rings for the loss of it is not believed."""
    good = Status(external_power=True, armed=False)
    state, _ = heard(
        (0, {"alarm": Alarm.POWER_CUT, "status": good}),
        (1, {"alarm": Alarm.MOVEMENT, "status": good}),
        (2, {"status": good}),
    )
    assert set(state.episodes) == {"power_cut", "movement"}


def test_a_fence_is_either_left_or_entered() -> None:
    state, rings = heard((0, {"alarm": Alarm.GEOFENCE_EXIT}), (2, {"alarm": Alarm.GEOFENCE_ENTER}))
    assert rings == [1, 1]
    assert set(state.episodes) == {"geofence_enter"}


def test_a_person_ends_one_kind_or_all() -> None:
    state, _ = heard((0, {"alarm": Alarm.SOS, "extra": {"alarms": ["door"]}}))
    one = fold_act(state, Acknowledged(at=NOW + MINUTE, alarms=("door",))).state
    assert set(episodes.shown(one.episodes, NOW + MINUTE)) == {"sos"}
    every = fold_act(state, Acknowledged(at=NOW + MINUTE)).state
    assert not episodes.shown(every.episodes, NOW + MINUTE)


def test_what_goes_on_after_an_acknowledgement_is_silent_but_for_a_second_sos() -> None:
    state, _ = heard((0, {"alarm": Alarm.SOS, "extra": {"alarms": ["door"]}}))
    state = fold_act(state, Acknowledged(at=NOW + MINUTE)).state
    repeat = said(state, report(NOW + 3 * MINUTE, alarm=Alarm.DOOR))
    assert repeat.rings == ()
    assert repeat.state.episodes["door"].count == 2
    pressed = said(repeat.state, report(NOW + 4 * MINUTE, alarm=Alarm.SOS))
    assert [(ring.alarm, ring.episode) for ring in pressed.rings] == [(Alarm.SOS, 3)]
    quiet = NOW + 3 * MINUTE + episodes.ENDS_AFTER_DEFAULT
    assert said(pressed.state, report(quiet, alarm=Alarm.DOOR)).rings


def test_several_alarms_of_one_frame_are_several_episodes() -> None:
    folded = said(EMPTY, report(alarm=Alarm.SOS, extra={"alarms": ["low_battery"]}))
    assert {ring.alarm: ring.episode for ring in folded.rings} == {
        Alarm.SOS: 1,
        Alarm.LOW_BATTERY: 2,
    }


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(Alarm)), max_size=40))
def test_every_ring_opens_an_episode_of_its_own(arrivals: list[tuple[int, Alarm]]) -> None:
    state, at = EMPTY, NOW
    numbers: list[int] = []
    for wait, alarm in arrivals:
        at += wait * MINUTE
        folded = said(state, report(at, alarm=alarm))
        numbers += [ring.episode for ring in folded.rings]
        state = folded.state
        assert alarm in episodes.shown(state.episodes, at)
    assert numbers == list(range(1, len(numbers) + 1))
