"""What the bridge says of a vehicle, in the payloads of `contract`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from bridge import clock, trips
from bridge.assess import Verdict, accuracy_m
from bridge.contract import AlarmPayload, CommandResult, Position, State, TripPayload
from bridge.episodes import Ring, shown
from bridge.orders import Order
from bridge.record import Record
from bridge.trips import Trip
from bridge.vehicle import VehicleState

_encoder = msgspec.json.Encoder()

UNSURE_AFTER = timedelta(minutes=10)
"""A vehicle that was on the move and has said nothing for so long may have stopped meanwhile."""


class Place(NamedTuple):
    """Where a row stands: which journal, and its number there."""

    epoch: str
    seq: int


TRACES = frozenset({
    "speed_kmh", "course_deg", "altitude_m", "accuracy_m", "cell", "trip", "last_trip",
    "odometer_km", "obd_speed_kmh", "rpm",
})  # fmt: skip
"""Fields of a state that private mode keeps back: where it is, where it was, how far it goes."""

NOT_JOURNALLED: dict[str, Any] = {"journalled": False}
"""In place of epoch and seq, where a row could not be written yet."""


def _mark(place: Place | None) -> dict[str, Any]:
    return place._asdict() if place is not None else NOT_JOURNALLED


def encode(payload: object) -> bytes:
    """Return JSON; times become RFC 3339 UTC."""
    return _encoder.encode(payload)


def position(state: VehicleState, place: Place | None) -> Position | None:
    """Return the last good fix, None before the first."""
    fix = state.fix
    if fix is None:
        return None
    payload: dict[str, Any] = {
        "latitude": fix.latitude,
        "longitude": fix.longitude,
        "gps_accuracy": accuracy_m(fix),
        "fix_time": state.fix_at,
        "received_at": state.fix_received_at,
        **_mark(place),
    }
    for name in ("altitude_m", "speed_kmh", "course_deg", "satellites"):
        value = getattr(fix, name)
        if value is not None:
            payload[name] = value
    return payload  # type: ignore[return-value] # times are still datetimes, encode() writes them


def state(  # noqa: PLR0913 - named facts of one payload, no behaviour among them
    folded: VehicleState,
    *,
    name: str,
    link: str,
    transport: str,
    last_seen: datetime | None,
    now: datetime,
    place: Place | None,
    odometer_offset_km: float = 0.0,
    aside: Mapping[str, Any] = MappingProxyType({}),
    private: bool = False,
) -> State:
    """Return everything folded; what is unknown is absent. `aside`: what the session knows.

    `private`: nothing that tells or traces where it is.
    """
    payload: dict[str, Any] = {"name": name, "link": link, "private": private, **folded.values}
    payload |= _moving(folded, now) | _odometer(folded, odometer_offset_km)
    trip = trips.running(folded.journey)
    known = {
        "parked_since": folded.parked_since,
        "last_seen": last_seen,
        "protocol": folded.protocol,
        "transport": transport,
        "cell": folded.cell,
        "clock_skew_s": _clock_skew_s(folded),
        "trip": trip and trip_fields(trip),
        "last_trip": folded.trip and trip_fields(folded.trip),
        **aside,
    }
    payload |= {field: value for field, value in known.items() if value not in (None, "")}
    if private:
        payload = {field: value for field, value in payload.items() if field not in TRACES}
    payload["alarms"] = {
        kind: {
            "since": episode.since,
            "last": episode.last,
            "count": episode.count,
            "episode": episode.number,
        }
        for kind, episode in shown(folded.episodes, now).items()
    }
    return payload | _mark(place)  # type: ignore[return-value] # encode() writes the datetimes


def _moving(folded: VehicleState, now: datetime) -> dict[str, Any]:
    """Return what the last good fix says, and whether the vehicle moves as far as that is known."""
    fix, good_at = folded.fix, folded.good_at
    moving: dict[str, Any] = {}
    silent = now - good_at if good_at is not None else timedelta(0)
    if folded.motion is not None and not (folded.motion and silent > UNSURE_AFTER):
        moving["motion"] = folded.motion
    if fix is None:
        return moving
    for field in ("speed_kmh", "course_deg", "altitude_m", "satellites", "hdop"):
        value = getattr(fix, field)
        if value is not None:
            moving[field] = value
    gone_s = silent.total_seconds() if folded.motion else 0.0
    return moving | {"fix_time": good_at, "accuracy_m": accuracy_m(fix, gone_s)}


def _odometer(folded: VehicleState, offset_km: float) -> dict[str, float]:
    """Return the odometer: the tracker's own where it has one, else what was counted."""
    own = folded.values.get("odometer_km")
    if own is None and folded.fix is None:
        return {}
    kilometres = own if own is not None else folded.journey.odometer_m / 1000
    return {"odometer_km": round(kilometres + offset_km, 1)}


def _clock_skew_s(folded: VehicleState) -> int | None:
    """Return how far the clock of the tracker heard last is ahead of ours."""
    skews = [clock.measured_skew_s(known) for known in folded.clocks.values()]
    return skews[-1] if skews else None


def trip_fields(trip: Trip) -> dict[str, Any]:
    """Return a trip as people read it."""
    seconds = (trip.ended_at - trip.started_at).total_seconds()
    mean = trip.distance_m / seconds * 3.6 if seconds > 0 else None
    payload = {
        "started_at": trip.started_at,
        "ended_at": trip.ended_at,
        "duration_s": round(seconds),
        "distance_km": round(trip.distance_m / 1000, 2),
        "max_speed_kmh": trip.max_speed_kmh and round(trip.max_speed_kmh, 1),
        "mean_speed_kmh": mean and round(mean, 1),
        "start": trip.start,
        "end": trip.end,
        "by": trip.by,
    }
    return {field: value for field, value in payload.items() if value is not None}


def trip(ended: Trip, place: Place | None, *, late: bool) -> TripPayload:
    """Return a finished trip; `late`: it ended long ago, or was counted anew from late points."""
    return trip_fields(ended) | {"late": late} | _mark(place)  # type: ignore[return-value] # encode() writes the datetimes


def alarm(
    record: Record, ring: Ring, place: Place | None, *, late: bool, private: bool = False
) -> AlarmPayload:
    """Return the event of an episode that began; `private`: not where."""
    report = record.report
    payload: dict[str, Any] = {
        "event_type": ring.alarm,
        "time": record.judged.at,
        "received_at": report.received_at,
        "keyword": report.keyword,
        "count": 1,
        "late": late,
        **_mark(place),
    }
    if ring.episode:
        payload["episode"] = ring.episode
    fix = report.fix
    doubtful = (Verdict.ZERO, Verdict.OUT_OF_RANGE, Verdict.JUMP)
    believed = fix is not None and fix.valid and record.judged.verdict not in doubtful
    if fix is not None and believed and not private:
        payload["latitude"] = fix.latitude
        payload["longitude"] = fix.longitude
    return payload  # type: ignore[return-value] # times are still datetimes, encode() writes them


def report(record: Record, place: Place | None, *, late: bool) -> bytes:
    """Return the JSON of a report as decoded, with its verdict and its place in the journal."""
    mark: dict[str, Any] = {"transport": record.transport, "late": late}
    if record.judged.verdict is not None:
        mark["verdict"] = record.judged.verdict
    mark |= _mark(place)
    # Both are JSON objects: joined, the report is encoded once and not taken apart again.
    return _encoder.encode(record.report)[:-1] + b"," + _encoder.encode(mark)[1:]


def is_late(record: Record, now: datetime, live_age: timedelta) -> bool:
    """Whether a report is old news at the moment it is published."""
    judged = record.judged
    return judged.late or judged.silent or now - judged.at > live_age


def is_late_alarm(record: Record, now: datetime, live_age: timedelta) -> bool:
    """Whether its alarms are; one that was news when it came counts from then."""
    return record.judged.late_alarms or now - record.report.received_at > live_age


def command(order: Order, place: Place | None = None) -> CommandResult:
    """Return one step of a command."""
    known = {
        "id": order.id,
        "command": order.command.name,
        "status": order.status,
        "final": order.final,
        "at": order.at,
        "reason": order.reason,
        "answer": order.answer,
        "advice": order.advice,
        "via": order.via,
        "transaction": order.transaction,
    }
    payload: dict[str, Any] = {
        name: value for name, value in known.items() if value not in (None, "")
    }
    if place is not None:
        payload |= place._asdict()
    return payload  # type: ignore[return-value] # `at` is still a datetime, encode() writes it
