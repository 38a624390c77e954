"""What a tracker says, as values: decoded once, immutable, in one vocabulary for every protocol.

The JSON of each type uses exactly these field names, times as RFC 3339 UTC. What is absent is
unknown: optional fields default to None and are left out. Units stand in the names.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

SMS = "sms"
"""Stands for protocol and transport of what came as a text message."""


class Alarm(StrEnum):
    """Alarm kinds of the whole family, the most severe first: of several in a frame it wins."""

    SOS = "sos"
    ACCIDENT = "accident"
    FALL_DOWN = "fall_down"
    TAMPERING = "tampering"
    REMOVING = "removing"
    JAMMING = "jamming"
    POWER_CUT = "power_cut"
    DOOR = "door"
    BONNET = "bonnet"
    VIBRATION = "vibration"
    MOVEMENT = "movement"
    FUEL_LEAK = "fuel_leak"
    FOOT_BRAKE = "foot_brake"
    GEOFENCE_EXIT = "geofence_exit"
    GEOFENCE_ENTER = "geofence_enter"
    GEOFENCE = "geofence"
    OVERSPEED = "overspeed"
    TEMPERATURE = "temperature"
    FAULT = "fault"
    LOW_BATTERY = "low_battery"
    LOW_POWER = "low_power"
    POWER_OFF = "power_off"
    HARD_ACCELERATION = "hard_acceleration"
    HARD_BRAKING = "hard_braking"
    HARD_CORNERING = "hard_cornering"
    LOW_SPEED = "low_speed"
    IDLE = "idle"


ALARM_SEVERITY: dict[Alarm, int] = {alarm: rank for rank, alarm in enumerate(Alarm)}


class Fix(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A position as the frame gives it. ``valid=False``: coordinates without a satellite lock."""

    time: datetime | None = None
    valid: bool
    latitude: float
    longitude: float
    speed_kmh: float | None = None
    course_deg: float | None = None
    altitude_m: float | None = None
    hdop: float | None = None
    satellites: int | None = None


class Status(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Inputs and telemetry of one frame; None where the frame says nothing of it."""

    ignition: bool | None = None
    door_open: bool | None = None
    external_power: bool | None = None
    charging: bool | None = None
    armed: bool | None = None
    engine_cut: bool | None = None
    battery_percent: float | None = None
    battery_v: float | None = None
    external_v: float | None = None
    fuel_percent: float | None = None
    temperature_c: float | None = None
    odometer_km: float | None = None
    gsm_percent: int | None = None
    obd_speed_kmh: float | None = None
    rpm: int | None = None


NO_STATUS = Status()


class Cell(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """The serving GSM cell; further cells of the frame stand in ``extra["cells"]``."""

    mcc: int | None = None
    mnc: int | None = None
    lac: int
    cid: int


class Report(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    kw_only=True,
    gc=False,
    tag_field="type",
    tag="report",
):
    """One frame with something to tell: a position, an alarm, inputs, telemetry or a cell.

    `keyword` is the protocol's own word for the kind of frame (``tracker``, ``BR00``); `extra`
    holds what the decoder knows beyond the named fields, JSON values only.
    """

    device_id: str
    protocol: str
    received_at: datetime
    device_time: datetime | None = None
    keyword: str
    fix: Fix | None = None
    alarm: Alarm | None = None
    status: Status
    cell: Cell | None = None
    extra: dict[str, Any]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Every alarm of the frame, the most severe first."""
        if self.alarm is None:
            return ()
        return (self.alarm, *(Alarm(kind) for kind in self.extra.get("alarms", ())))


class Login(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False, tag_field="type",
    tag="login",
):  # fmt: skip
    """A tracker says who it is, and nothing else."""

    device_id: str
    protocol: str
    received_at: datetime


class Heartbeat(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False, tag_field="type",
    tag="heartbeat",
):  # fmt: skip
    """A tracker says that it is still there."""

    device_id: str
    protocol: str
    received_at: datetime


class CommandResult(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False, tag_field="type",
    tag="command_result",
):  # fmt: skip
    """A tracker's answer to a command, in its own words."""

    device_id: str
    protocol: str
    received_at: datetime
    device_time: datetime | None = None
    keyword: str
    text: str


Message = Report | Login | Heartbeat | CommandResult


def rank_alarms(found: list[Alarm]) -> tuple[Alarm | None, list[str]]:
    """Return the most severe of the alarms found and the others, each kind once."""
    if not found:
        return None, []
    ordered = sorted(set(found), key=ALARM_SEVERITY.__getitem__)
    return ordered[0], [str(kind) for kind in ordered[1:]]
