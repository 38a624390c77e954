"""A journal row's body: a report with its verdict, as a compact array. Fields are only appended.

    [schema, device_id, protocol, transport, received_at, device_time, keyword, fix, alarm,
     status, cell, extra, verdict, late, silent, rings, late_alarms]

fix, status and cell are arrays in the order of their fields, shortened by what is None at the
end. Times are MessagePack timestamps.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bridge.assess import Verdict
from bridge.errors import StorageError
from bridge.model import NO_STATUS, Alarm, Cell, Fix, Report, Status
from bridge.vehicle import Ring

SCHEMA = 1

Value = TypeVar("Value", Fix, Status, Cell)


class Record(msgspec.Struct, frozen=True, gc=False):
    """A report as it is journalled and published."""

    report: Report
    transport: str
    verdict: Verdict | None
    late: bool
    """It was old news when it arrived."""
    silent: bool
    """It waited for its tracker to be accepted."""
    rings: tuple[Ring, ...]
    late_alarms: bool = False
    """Its alarms were old news when it arrived."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def encode(record: Record) -> bytes:
    """Return the body of a journal row."""
    report = record.report
    return _encoder.encode(
        (
            SCHEMA,
            report.device_id,
            report.protocol,
            record.transport,
            report.received_at,
            report.device_time,
            report.keyword,
            _row(report.fix),
            report.alarm,
            _row(report.status),
            _row(report.cell),
            report.extra,
            record.verdict,
            record.late,
            record.silent,
            record.rings,
            record.late_alarms,
        )
    )


def decode(body: bytes) -> Record:
    """Return the record of a journal row; raises StorageError for what `encode` did not write."""
    try:
        row: list[Any] = _decoder.decode(body)
        schema, device_id, protocol, transport, received_at, device_time, keyword = row[:7]
        fix, alarm, status, cell, extra, verdict, late, silent, rings, late_alarms = row[7:17]
        if schema != SCHEMA:
            raise StorageError(f"journal row of unknown schema {schema}")
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
        return Record(
            report,
            transport,
            Verdict(verdict) if verdict else None,
            bool(late),
            bool(silent),
            tuple(Ring(Alarm(kind), number) for kind, number in rings),
            bool(late_alarms),
        )
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise StorageError(f"journal row cannot be read: {error}") from None


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
