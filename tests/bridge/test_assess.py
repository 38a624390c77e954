"""Verdicts: which fix may move the car, and how well it is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.assess import Limits, Sighting, Verdict, accuracy_m, assess, distance_m
from bridge.model import Fix
from tests.bridge.sayings import HERE, METRE, NOW, fix

BEFORE = Sighting(fix(NOW - timedelta(seconds=60)), NOW - timedelta(seconds=60))


def verdict(one: Fix, **more: Any) -> Verdict:
    facts: dict[str, Any] = {
        "at": one.time or NOW,
        "received_at": NOW,
        "late": False,
        "last_good": None,
        "doubtful": None,
        "parked": False,
    }
    return assess(one, **{**facts, **more})


def away(metres: float, **more: Any) -> Fix:
    return fix(latitude=HERE["latitude"] + metres * METRE, **more)


PARKED = {"last_good": BEFORE, "parked": True}


@pytest.mark.parametrize(
    ("one", "more", "expected"),
    [
        (fix(), {}, Verdict.OK),
        (fix(None), {}, Verdict.OK),
        (fix(valid=False), {}, Verdict.NO_FIX),
        (fix(latitude=0.0, longitude=0.0), {}, Verdict.ZERO),
        (fix(latitude=0.009, longitude=-0.009), {}, Verdict.ZERO),
        (fix(latitude=0.0, longitude=13.0), {}, Verdict.OK),
        (fix(latitude=90.1), {}, Verdict.OUT_OF_RANGE),
        (fix(longitude=-180.1), {}, Verdict.OUT_OF_RANGE),
        (fix(speed_kmh=301.0), {}, Verdict.OUT_OF_RANGE),
        (fix(speed_kmh=140.0), {"limits": Limits(max_speed_kmh=120)}, Verdict.OUT_OF_RANGE),
        (fix(altitude_m=12_000.0), {}, Verdict.OUT_OF_RANGE),
        (fix(altitude_m=-430.0), {}, Verdict.OK),
        (fix(NOW + timedelta(minutes=4)), {}, Verdict.OK),
        (fix(NOW + timedelta(minutes=6)), {}, Verdict.FUTURE),
        (fix(NOW + timedelta(minutes=6)), {"at": NOW}, Verdict.OK),
        (fix(), {"late": True}, Verdict.HISTORICAL),
        (fix(valid=False), {"late": True}, Verdict.NO_FIX),
        (fix(latitude=0.0, longitude=0.0), {"late": True}, Verdict.ZERO),
        (fix(), {"last_good": BEFORE}, Verdict.OK),
        (BEFORE.fix, {"last_good": BEFORE}, Verdict.DUPLICATE),
        (fix(BEFORE.at, latitude=52.521), {"last_good": BEFORE}, Verdict.STALE),
        (fix(BEFORE.at - timedelta(seconds=1)), {"last_good": BEFORE}, Verdict.STALE),
        (fix(latitude=53.0), {"last_good": BEFORE}, Verdict.JUMP),
        (fix(latitude=52.53), {"last_good": BEFORE}, Verdict.OK),
        (away(95), PARKED, Verdict.PARKED),
        (away(105), PARKED, Verdict.OK),
        (away(95), {"last_good": BEFORE}, Verdict.OK),
        (away(1), {**PARKED, "limits": Limits(parked_radius_m=0)}, Verdict.OK),
        (away(450), {**PARKED, "limits": Limits(parked_radius_m=500)}, Verdict.PARKED),
        (away(2200), {"last_good": BEFORE, "limits": Limits(max_speed_kmh=100)}, Verdict.JUMP),
    ],
)
def test_verdicts(one: Fix, more: dict[str, Any], expected: Verdict) -> None:
    assert verdict(one, **more) is expected


def test_every_verdict_is_reached() -> None:
    cases = test_verdicts.pytestmark[0].args[1]  # type: ignore[attr-defined] # as pytest keeps it
    assert {expected for _, _, expected in cases} == set(Verdict)


def test_two_jumps_in_a_row_that_agree_are_believed() -> None:
    first = fix(NOW, latitude=53.0)
    second = fix(NOW + timedelta(seconds=30), latitude=53.001)
    facts = {
        "last_good": BEFORE,
        "doubtful": Sighting(first, NOW),
        "received_at": NOW + timedelta(seconds=30),
    }
    assert verdict(second, **facts) is Verdict.OK
    elsewhere = fix(NOW + timedelta(seconds=30), latitude=10.0)
    assert verdict(elsewhere, **facts) is Verdict.JUMP


def test_distance_is_that_of_a_degree_of_latitude() -> None:
    assert distance_m(fix(), fix(latitude=53.52)) == pytest.approx(111_195, rel=1e-3)
    assert distance_m(fix(longitude=179.999), fix(longitude=-179.999)) < 200


known_or_not = st.one_of(st.none(), st.floats(0, 99))


@given(known_or_not, st.one_of(st.none(), st.integers(min_value=0, max_value=40)))
def test_accuracy_is_never_a_point(hdop: float | None, satellites: int | None) -> None:
    assert 5 <= accuracy_m(fix(hdop=hdop, satellites=satellites)) <= 250


@given(known_or_not, st.floats(0, 1e6), st.floats(0, 1e6))
def test_accuracy_grows_while_a_moving_car_is_silent(
    speed: float | None, sooner_s: float, later_s: float
) -> None:
    """Never below what it may have driven, in few steps, and not at all for one that stands."""
    one = fix(speed_kmh=speed)
    sooner_s, later_s = sorted((sooner_s, later_s))
    sooner, later = accuracy_m(one, sooner_s), accuracy_m(one, later_s)
    assert accuracy_m(one) <= sooner <= later <= 2 * 50_000
    assert later >= min(50_000, (speed or 0) / 3.6 * later_s)
    assert later in {20 * 2**step for step in range(13)}
