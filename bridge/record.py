"""A journal row's body: a report as it was judged, or an act. Fields are only appended.

    [schema, device_id, protocol, transport, received_at, device_time, keyword, fix, alarm,
     status, cell, extra, verdict, late, silent, rings, late_alarms, at, trip]
    ["act", {"act": kind, ...}]

fix, status and cell are arrays in the order of their fields, shortened by what is None at the
end. Times are MessagePack timestamps.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bridge.assess import Verdict
from bridge.episodes import Ring
from bridge.errors import StorageError
from bridge.model import NO_STATUS, Alarm, Cell, Fix, Report, Status
from bridge.trips import Trip
from bridge.vehicle import Act, AnyAct, Judgement

SCHEMA = 1
ACT = "act"

Value = TypeVar("Value", Fix, Status, Cell)


class Record(msgspec.Struct, frozen=True, gc=False):
    """A report as it is journalled and published."""

    report: Report
    transport: str
    judged: Judgement
    rings: tuple[Ring, ...] = ()
    trip: Trip | None = None
    """The trip that ended with it."""


Row = Record | AnyAct


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def encode(row: Row) -> bytes:
    """Return the body of a journal row."""
    if isinstance(row, Act):
        return _encoder.encode((ACT, row))
    report, judged = row.report, row.judged
    return _encoder.encode(
        (
            SCHEMA,
            report.device_id,
            report.protocol,
            row.transport,
            report.received_at,
            report.device_time,
            report.keyword,
            _row(report.fix),
            report.alarm,
            _row(report.status),
            _row(report.cell),
            report.extra,
            judged.verdict,
            judged.late,
            judged.silent,
            row.rings,
            judged.late_alarms,
            judged.at,
            row.trip,
        )
    )


def decode(body: bytes) -> Row:
    """Return the content of a journal row; raises StorageError for what `encode` did not write."""
    try:
        row: list[Any] = _decoder.decode(body)
        if row[0] == ACT:
            act: AnyAct = msgspec.convert(row[1], AnyAct)
            return act
        if row[0] != SCHEMA:
            raise StorageError(f"journal row of unknown schema {row[0]}")
        return _record(row)
    except (
        msgspec.DecodeError,
        msgspec.ValidationError,
        ValueError,
        TypeError,
        LookupError,
    ) as error:
        raise StorageError(f"journal row cannot be read: {error}") from None


def encode_trip(trip: Trip) -> bytes:
    """Return a trip as it is stored beside the rows."""
    return _encoder.encode(trip)


def decode_trip(body: bytes) -> Trip:
    """Return a stored trip; raises StorageError for what `encode_trip` did not write."""
    try:
        return msgspec.msgpack.decode(body, type=Trip)
    except (msgspec.DecodeError, ValueError) as error:
        raise StorageError(f"trip cannot be read: {error}") from None


def moment_of(body: bytes) -> datetime | None:
    """Return the moment a row counts for, None for one that cannot be read."""
    try:
        row = decode(body)
    except StorageError:
        return None
    return row.at if isinstance(row, Act) else row.judged.at


def _record(row: list[Any]) -> Record:
    _, device_id, protocol, transport, received_at, device_time, keyword = row[:7]
    fix, alarm, status, cell, extra, verdict, late, silent, rings, late_alarms = row[7:17]
    # Rows of the first version end here.
    at, trip = (*row[17:19], None, None)[:2]
    report = Report(
        device_id=device_id,
        protocol=protocol,
        received_at=_utc(received_at),
        device_time=device_time,
        keyword=keyword,
        fix=_value(Fix, fix),
        alarm=Alarm(alarm) if alarm else None,
        status=_value(Status, status) or NO_STATUS,
        cell=_value(Cell, cell),
        extra=extra,
    )
    judged = Judgement(
        _utc(at or device_time or received_at),
        Verdict(verdict) if verdict else None,
        bool(late),
        bool(late_alarms),
        bool(silent),
    )
    return Record(
        report,
        transport,
        judged,
        tuple(Ring(Alarm(kind), number) for kind, number in rings),
        None if trip is None else msgspec.convert(trip, Trip),
    )


def _row(value: Fix | Status | Cell | None) -> tuple[Any, ...] | None:
    if value is None or value is NO_STATUS:
        return None
    fields = msgspec.structs.astuple(value)
    end = len(fields)
    while end and fields[end - 1] is None:
        end -= 1
    return fields[:end]


def _value(kind: type[Value], row: list[Any] | None) -> Value | None:
    if row is None:
        return None
    names = kind.__struct_fields__
    return kind(
        **{name: field for name, field in zip(names, row, strict=False) if field is not None}
    )


def _utc(moment: object) -> datetime:
    if not isinstance(moment, datetime):
        raise TypeError("time expected")
    return moment
