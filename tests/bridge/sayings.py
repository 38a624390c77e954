"""Reports as values, for tests of what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.model import Fix, Report, Status
from bridge.vehicle import Folded, VehicleState, fold, judge

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
HERE = {"latitude": 52.52, "longitude": 13.41}
LIVE_AGE = timedelta(minutes=10)
METRE = 1 / 111_195
"""In degrees of latitude."""


def fix(at: datetime | None = NOW, *, valid: bool = True, **more: Any) -> Fix:
    return Fix(**{"time": at, "valid": valid, **HERE, **more})


def report(at: datetime = NOW, **more: Any) -> Report:
    fields: dict[str, Any] = {
        "device_id": "864000000001234",
        "protocol": "gps103",
        "received_at": at,
        "device_time": more["fix"].time if more.get("fix") else at,
        "keyword": "tracker",
        "status": Status(),
        "extra": {},
    }
    return Report(**{**fields, **more})


def said(
    state: VehicleState, one: Report, *, now: datetime | None = None, silent: bool = False
) -> Folded:
    """Judge and fold a report as the bridge does when it comes in."""
    return fold(
        state, one, judge(state, one, now=now or one.received_at, live_age=LIVE_AGE, silent=silent)
    )


def drive(
    state: VehicleState,
    start: datetime,
    *,
    steps: int,
    step_s: float = 30.0,
    kmh: float = 60.0,
    north_m: float = 0.0,
    **status: Any,
) -> VehicleState:
    """Drive north at a steady speed, a report each step, from so many metres north of here."""
    for step in range(steps):
        at = start + timedelta(seconds=step * step_s)
        gone = north_m + step * step_s * kmh / 3.6
        place = fix(at, latitude=HERE["latitude"] + gone * METRE, speed_kmh=kmh)
        state = said(state, report(at, fix=place, status=Status(**status))).state
    return state
