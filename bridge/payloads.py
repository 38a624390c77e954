"""What the bridge says of a vehicle, in the payloads of `contract`. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from bridge.assess import accuracy_m
from bridge.contract import AlarmPayload, Position, State
from bridge.record import Record
from bridge.vehicle import Ring, VehicleState, running

_encoder = msgspec.json.Encoder()


class Place(NamedTuple):
    """Where a row stands: which journal, and its number there."""

    epoch: str
    seq: int


def encode(payload: object) -> bytes:
    """Return JSON; times become RFC 3339 UTC."""
    return _encoder.encode(payload)


def position(state: VehicleState, place: Place) -> Position | None:
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
        "epoch": place.epoch,
        "seq": place.seq,
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
    place: Place,
) -> State:
    """Return everything folded; what is unknown is absent."""
    payload: dict[str, Any] = {"name": name, "link": link, **folded.values}
    if folded.motion is not None:
        payload["motion"] = folded.motion
    fix = folded.fix
    if fix is not None:
        for field in ("speed_kmh", "course_deg", "altitude_m", "satellites", "hdop"):
            value = getattr(fix, field)
            if value is not None:
                payload[field] = value
        payload["fix_time"] = folded.fix_at
    if last_seen is not None:
        payload["last_seen"] = last_seen
    if folded.protocol:
        payload["protocol"] = folded.protocol
    if transport:
        payload["transport"] = transport
    if folded.cell is not None:
        payload["cell"] = folded.cell
    payload["alarms"] = {
        kind: {
            "since": episode.since,
            "last": episode.last,
            "count": episode.count,
            "episode": episode.number,
        }
        for kind, episode in running(folded, now).items()
    }
    payload["epoch"] = place.epoch
    payload["seq"] = place.seq
    return payload  # type: ignore[return-value] # times are still datetimes, encode() writes them


def alarm(record: Record, ring: Ring, place: Place, *, late: bool) -> AlarmPayload:
    """Return the event of an episode that began."""
    report = record.report
    payload: dict[str, Any] = {
        "event_type": ring.alarm,
        "time": report.device_time or report.received_at,
        "received_at": report.received_at,
        "keyword": report.keyword,
        "count": 1,
        "late": late,
        "epoch": place.epoch,
        "seq": place.seq,
    }
    if ring.episode:
        payload["episode"] = ring.episode
    fix = report.fix
    if fix is not None and fix.valid:
        payload["latitude"] = fix.latitude
        payload["longitude"] = fix.longitude
    return payload  # type: ignore[return-value] # times are still datetimes, encode() writes them


def report(record: Record, place: Place, *, late: bool) -> bytes:
    """Return the JSON of a report as decoded, with its verdict and its place in the journal."""
    mark: dict[str, Any] = {"transport": record.transport, "late": late}
    if record.verdict is not None:
        mark["verdict"] = record.verdict
    mark["epoch"] = place.epoch
    mark["seq"] = place.seq
    # Both are JSON objects: joined, the report is encoded once and not taken apart again.
    return _encoder.encode(record.report)[:-1] + b"," + _encoder.encode(mark)[1:]


def is_late(record: Record, now: datetime, live_age: timedelta) -> bool:
    """Whether a report is old news at the moment it is published."""
    if record.late or record.silent:
        return True
    return now - (record.report.device_time or record.report.received_at) > live_age


def is_late_alarm(record: Record, now: datetime, live_age: timedelta) -> bool:
    """Whether its alarms are; one that was news when it came counts from then."""
    return record.late_alarms or now - record.report.received_at > live_age
