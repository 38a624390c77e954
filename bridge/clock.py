"""What the reports of one tracker teach about its clock. Pure: Clock' = learn(Clock, Report).

    skew = device_time - received_at        a right clock: about zero, or the delay below it

A report alone proves nothing: old time on it may be lateness. Three in a row may prove it: with the
same skew, and at the pace of their own times. Of an upload the skews run towards zero, or, where
they are too close to tell, the reports come faster than they were made.

Some frames of gps103 show the box's local clock. With a UTC clock beside it (`utc_offset_min` in
`extra`) its offset stands in the frame; without one (`local_time`) the time of receipt stands in,
and again three in a row have to agree. A time of which only the offset is in doubt teaches no skew.

What is learnt stays until three other reports in a row say otherwise.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from bridge.model import Report

IN_A_ROW = 3
SAME_S = 60.0
"""Skews no further apart are the same."""
NEAR_S = 120.0
"""A skew this near to a quarter hour is that quarter hour, which zero is one of: what is left is
the delay of a network."""
PACE = 0.6
"""How alike the gaps between reports, as received and by their own times, have to be at least: an
upload brings them in less than half of their time, a delay of 20 s within a minute is two thirds.
"""
SHORTEST_GAP_S = 4.0
"""Times closer than that, of whole seconds, show no pace; the same time twice shows nothing."""
SHORTEST_LOCAL_GAP_S = 300.0
"""The same of whole minutes: five of them may be nearly six, of which an upload takes half at most.
"""

QUARTER_S = 900
WESTERNMOST_MIN = -12 * 60
EASTERNMOST_MIN = 14 * 60
"""Between them lie the offsets of all time zones."""

_DAY_S = 86_400
_DAY_MIN = 1_440
_HALF_MINUTE_S = 30.0
"""What a clock without seconds is behind itself on average."""


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tracker's clock, read once against ours."""

    received_at: datetime
    shown: datetime

    @property
    def skew_s(self) -> float:
        """How far it is ahead of ours."""
        return (self.shown - self.received_at).total_seconds()


class Clock(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What is known of a tracker's clock, and the last few readings that may teach more."""

    learnt_s: float = 0.0
    """The skew as it was measured when it was learnt; `skew_s` is what to correct by."""
    measured_s: float | None = None
    """The skew of the latest three readings that agreed."""
    offset_min: int | None = None
    """Of its local clock, where frames show one; a quarter hour."""
    readings: tuple[Reading, ...] = ()
    offsets: tuple[int, ...] = ()
    """Offsets that the latest frames with two clocks had."""
    local_readings: tuple[Reading, ...] = ()
    """Of the local clock, as if it were UTC, where it stands alone."""
    seen_right: bool = False
    """A live fix was believed by it: since then what it calls old is old."""


UNKNOWN = Clock()


class WrongZone(msgspec.Struct, frozen=True, gc=False):
    """A clock that is set to a time zone other than UTC."""

    minutes: int
    """East of UTC: how far it is ahead."""
    harmful: bool
    """Its reports carry wrong times, which are corrected as learnt. If not, they tell UTC too; only
    those without satellites may show the local clock alone."""


def learn(clock: Clock, report: Report, *, replayed: bool) -> Clock:
    """Return what is known after one more report.

    What comes out of the tracker's memory, or from a receiver without a lock, teaches nothing.
    """
    if replayed or (report.fix is not None and not report.fix.valid):
        return clock
    alone = _local_time(report)
    if alone is not None:
        return _learn_offset_alone(clock, Reading(report.received_at, alone))
    if report.device_time is None:
        return clock
    offset = _offset_min(report)
    if offset is not None:
        clock = _learn_offset(clock, offset)
    return _learn_skew(
        clock, Reading(report.received_at, _dated(clock, report.device_time, offset))
    )


def skew_s(clock: Clock) -> float:
    """Return how far the clock is known to be ahead of UTC, in whole seconds; 0.0 while unknown."""
    quarter = _quarter_s(clock.learnt_s)
    return float(round(clock.learnt_s) if quarter is None else quarter)


def measured_skew_s(clock: Clock) -> int | None:
    """Return the skew as measured last by three reports that agreed, delays and all."""
    return None if clock.measured_s is None else round(clock.measured_s)


def utc_offset_min(clock: Clock) -> int | None:
    """Return the offset of the local clock, None while unknown: what to tell `Connection`."""
    return clock.offset_min


def corrected(clock: Clock, report: Report) -> datetime | None:
    """Return when a report was made by a clock put right, None where it has no time.

    A local clock that was decoded while its offset was unknown, as in the first frame of a
    connection, gets its offset here. A time that a correction would put into the future is right as
    it stands: the clock has been set since.
    """
    time, alone, skew = report.device_time, _local_time(report), skew_s(clock)
    if alone is not None and clock.offset_min is not None:
        if time is None or time.replace(second=0) == alone:
            time = (time or alone) - timedelta(minutes=clock.offset_min)
    elif time is not None:
        time = _dated(clock, time, _offset_min(report))
    if time is None:
        return None
    right = time - timedelta(seconds=skew)
    if skew < 0 and (right - report.received_at).total_seconds() > NEAR_S:
        return time
    return right


def wrong_zone(clock: Clock) -> WrongZone | None:
    """Return what time zone other than UTC the tracker is set to, as far as its reports show it."""
    skew = skew_s(clock)
    if skew and _quarter_s(skew) == skew and abs(skew) <= EASTERNMOST_MIN * 60:
        return WrongZone(int(skew) // 60, harmful=True)
    if clock.offset_min:
        return WrongZone(clock.offset_min, harmful=False)
    return None


def advice(protocol: str, minutes: int) -> str:
    """Return how to set a tracker to UTC that is `minutes` ahead of it, as a sentence."""
    hours, rest = divmod(abs(minutes), 60)
    far = f"{hours} h {rest} min" if rest else f"{hours} h"
    side = "behind" if minutes < 0 else "ahead of"
    known = _ZONE_0.get(protocol)
    todo = known or (
        f"set its time zone to 0 in the words of its manual, as none are known for {protocol}"
    )
    return f"The tracker's clock is {far} {side} UTC: {todo}."


_ZONE_0 = {
    "gps103": "text it `time zonePASSWORD 0` (some firmware wants `time zonePASSWORD,0`), or send"
    " it `**,imei:ID,I,0` over GPRS (`**,imei:ID,108,0` where it speaks in numbers)",
}
"""Words that set the zone to 0. Source: docs/protocols.md, gps103, commands; for SMS, manuals."""


# --- the skew -------------------------------------------------------------------------------------


def _learn_skew(clock: Clock, reading: Reading) -> Clock:
    readings = _extended(clock.readings, reading, SHORTEST_GAP_S, SAME_S)
    if readings is clock.readings:
        return clock
    if len(readings) < IN_A_ROW:
        return msgspec.structs.replace(clock, readings=readings)
    measured = _median_s(readings)
    other = _across_the_date_line(clock.offset_min, measured)
    if other is not None:
        measured -= round(measured / _DAY_S) * _DAY_S
        return msgspec.structs.replace(
            clock, learnt_s=measured, measured_s=measured, offset_min=other, readings=()
        )
    learnt = measured if abs(measured - clock.learnt_s) > SAME_S else clock.learnt_s
    return msgspec.structs.replace(clock, learnt_s=learnt, measured_s=measured, readings=readings)


def _extended(
    readings: tuple[Reading, ...], new: Reading, shortest_gap_s: float, same_s: float
) -> tuple[Reading, ...]:
    """Return the row with a reading more, the very same if that shows nothing, or a new row."""
    if readings:
        last = readings[-1]
        made_s = (new.shown - last.shown).total_seconds()
        if abs(made_s) < shortest_gap_s:
            return readings
        received_s = (new.received_at - last.received_at).total_seconds()
        row = (*readings[1 - IN_A_ROW :], new)
        skews = [one.skew_s for one in row]
        same = max(skews) - min(skews) <= same_s
        if same and PACE * made_s <= received_s <= made_s / PACE:
            return row
    return (new,)


def _median_s(readings: tuple[Reading, ...]) -> float:
    return sorted(one.skew_s for one in readings)[len(readings) // 2]


def _quarter_s(seconds: float) -> int | None:
    """Return the quarter hour that is meant, None where none is near."""
    quarter = round(seconds / QUARTER_S) * QUARTER_S
    return quarter if abs(seconds - quarter) <= NEAR_S else None


# --- the local clock ------------------------------------------------------------------------------


def _learn_offset(clock: Clock, minutes: int) -> Clock:
    """Learn from a frame with both clocks, of which the minute may have changed in between."""
    quarter = _zone_min(minutes * 60.0)
    if quarter is None:
        return msgspec.structs.replace(clock, offsets=())
    if clock.offset_min is not None and abs(quarter - clock.offset_min) == _DAY_MIN:
        quarter = clock.offset_min
    offsets = (*clock.offsets[1 - IN_A_ROW :], quarter)
    agreed = offsets == (quarter,) * IN_A_ROW
    offset = quarter if agreed else clock.offset_min
    return msgspec.structs.replace(clock, offset_min=offset, offsets=offsets)


def _learn_offset_alone(clock: Clock, reading: Reading) -> Clock:
    """Learn from a local clock and the time of receipt."""
    readings = _extended(clock.local_readings, reading, SHORTEST_LOCAL_GAP_S, 2 * SAME_S)
    if readings is clock.local_readings:
        return clock
    offset = clock.offset_min
    if len(readings) == IN_A_ROW:
        zone = _zone_min(_median_s(readings) + _HALF_MINUTE_S - skew_s(clock))
        offset = offset if zone is None else zone
    return msgspec.structs.replace(clock, offset_min=offset, local_readings=readings)


def _zone_min(seconds: float) -> int | None:
    """Return the offset of the time zone that is meant, in minutes, None where there is none."""
    quarter = _quarter_s(seconds)
    if quarter is None or not WESTERNMOST_MIN <= quarter // 60 <= EASTERNMOST_MIN:
        return None
    return quarter // 60


def _dated(clock: Clock, time: datetime, offset: int | None) -> datetime:
    """Return the time of a frame on the day that the known offset gives it.

    Offsets a day apart, as +13:00 and -11:00, look alike but for the date; each frame by itself
    takes its pick.
    """
    if offset is None or clock.offset_min is None:
        return time
    quarter = _zone_min(offset * 60.0)
    if quarter is None or abs(quarter - clock.offset_min) != _DAY_MIN:
        return time
    return time + timedelta(minutes=quarter - clock.offset_min)


def _across_the_date_line(offset: int | None, skew: float) -> int | None:
    """Return the offset that makes up for a skew of one day, None if none does."""
    if offset is None or abs(day := _quarter_s(skew) or 0) != _DAY_S:
        return None
    return _zone_min(offset * 60.0 + day)


def _offset_min(report: Report) -> int | None:
    offset: int | None = report.extra.get("utc_offset_min")
    return offset


def _local_time(report: Report) -> datetime | None:
    """Return the local clock of a frame that has no other, as if it were UTC."""
    local: str | None = report.extra.get("local_time")
    return None if local is None else datetime.fromisoformat(local).replace(tzinfo=UTC)
