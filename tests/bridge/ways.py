"""Whole ways for tests of trips: all points of one, in the order of their time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bridge.trips import DEFAULT_LIMITS, EMPTY, Journey, Limits, Point, Trip, advance


class Counted(NamedTuple):
    """What points add up to; `journey` holds what goes on."""

    trips: tuple[Trip, ...]
    journey: Journey
    distance_m: float


def recount(
    points: Iterable[Point], limits: Limits = DEFAULT_LIMITS, journey: Journey = EMPTY
) -> Counted:
    """Advance over points, from `journey` on."""
    trips: list[Trip] = []
    driven = 0.0
    for point in points:
        journey, ended, metres = advance(journey, point, limits)
        driven += metres
        if ended is not None:
            trips.append(ended)
    return Counted(tuple(trips), journey, driven)
