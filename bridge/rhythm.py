"""How often a tracker speaks, what it costs to listen, and what its silence means. Pure.

A link, the first that holds:

    connected   a session is open, and it spoke within its patience: three of its intervals, but at
                least three minutes; half an hour while they are unknown
    asleep      its vehicle is parked, and it has been silent for less than a day, or than three of
                its intervals while parked if that is longer
    lost        otherwise

All of it belongs to the session side: it is saved, but it is no part of what a replay gives.
"""

from __future__ import annotations

import statistics
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

Kind = Literal["report", "heartbeat"]
Transport = Literal["tcp", "udp"]
Link = Literal["connected", "asleep", "lost"]

MISSED = 3
"""So many signs of life in a row must be missing before a silence means something."""

PATIENCE_LEAST_S = 180.0
"""However fast a tracker reports, a tunnel or a change of cell is no broken line."""

PATIENCE_UNKNOWN_S = 1800.0

ASLEEP = timedelta(hours=24)

_GAPS = 9
"""A median of nine stands four strays."""
_GAPS_KNOWN = 3
_BURST_S = 1.0
"""Closer together is one upload."""
_LONGEST_S = 7 * 86_400.0
"""No tracker is told to report more rarely; so long a silence was a holiday, or a wrong clock."""
_HURRIED = 10
_UPLOAD_S = 600.0
"""Gaps so many times shorter than the learnt one are extras: an upload, an alarm. Once they are as
many as a median is made of, and have gone on for as long as the learnt gap or for ten minutes, the
tracker has another pace, or what was learnt was wrong."""

_DAYS = 31
_KNOWN_ENOUGH = timedelta(hours=6)
_MONTH_DAYS = 30.4

OVERHEAD_BYTES: dict[Transport, int] = {"tcp": 80, "udp": 28}
"""Headers of a packet: IP and TCP 40 and as much for its confirmation, IP and UDP 28."""


class Pace(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The latest gaps between signs of life of one kind, in seconds."""

    gaps_s: tuple[float, ...] = ()
    extras: int = 0
    """How many much shorter ones there have been since, and how long all of them were."""
    extras_s: float = 0.0

    @property
    def interval_s(self) -> float | None:
        """Their median, None while they are too few."""
        return statistics.median_low(self.gaps_s) if len(self.gaps_s) >= _GAPS_KNOWN else None


class Rhythm(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What is learnt of how often a tracker speaks. Small, whatever it has said."""

    report_at: datetime | None = None
    heartbeat_at: datetime | None = None
    parked: bool = False
    """Whether the vehicle was, at its latest report."""
    driving_reports: Pace = Pace()
    parked_reports: Pace = Pace()
    heartbeats: Pace = Pace()


EMPTY = Rhythm()


def heard(rhythm: Rhythm, at: datetime, kind: Kind, *, parked: bool = False) -> Rhythm:
    """Return the rhythm after a sign of life received at `at`.

    A login is a heartbeat: some boxes say nothing else. `parked` is what is known of the vehicle
    after a report, and means nothing for a heartbeat. A gap counts as that of a parked vehicle, or
    of one that is not, when it was so at both of its ends.
    """
    if kind == "heartbeat":
        heartbeats = _after(rhythm.heartbeats, rhythm.heartbeat_at, at)
        return msgspec.structs.replace(rhythm, heartbeat_at=at, heartbeats=heartbeats)
    driving, standing = rhythm.driving_reports, rhythm.parked_reports
    if parked and rhythm.parked:
        standing = _after(standing, rhythm.report_at, at)
    elif not parked and not rhythm.parked:
        driving = _after(driving, rhythm.report_at, at)
    return msgspec.structs.replace(
        rhythm, report_at=at, parked=parked, driving_reports=driving, parked_reports=standing
    )


def _after(pace: Pace, before: datetime | None, at: datetime) -> Pace:
    """Return the pace after a gap. A clock that was set back makes none, one set forth a stray."""
    gap_s = (at - before).total_seconds() if before is not None else 0.0
    if not _BURST_S <= gap_s <= _LONGEST_S:
        return pace
    learnt_s = pace.interval_s
    if learnt_s is None or gap_s * _HURRIED >= learnt_s:
        return Pace((*pace.gaps_s, gap_s)[-_GAPS:])
    extras, extras_s = pace.extras + 1, pace.extras_s + gap_s
    if extras < _GAPS or extras_s < min(learnt_s, _UPLOAD_S):
        return Pace(pace.gaps_s, extras, extras_s)
    return Pace((gap_s,))


def interval_s(rhythm: Rhythm) -> float | None:
    """Return how often it reports, parked or driving as the vehicle is now; None: unknown."""
    return (rhythm.parked_reports if rhythm.parked else rhythm.driving_reports).interval_s


def parked_interval_s(rhythm: Rhythm) -> float | None:
    """Return how often it reports while its vehicle is parked."""
    return rhythm.parked_reports.interval_s


def heartbeat_s(rhythm: Rhythm) -> float | None:
    """Return how often it says that it is still there, and no more."""
    return rhythm.heartbeats.interval_s


def patience_s(rhythm: Rhythm) -> float | None:
    """Return how long a silence is three missing signs of life in a row; None: unknown.

    So long after its last word a connection is half open: gone, and the bridge was not told.
    """
    reports_s, heartbeats_s = interval_s(rhythm), heartbeat_s(rhythm)
    if heartbeats_s is None:
        silent_s = reports_s
    elif reports_s is None:
        silent_s = heartbeats_s
    else:  # heartbeats may be rarer, and come only while there is nothing to report
        silent_s = min(heartbeats_s, max(reports_s, PATIENCE_UNKNOWN_S / MISSED))
    return None if silent_s is None else max(MISSED * silent_s, PATIENCE_LEAST_S)


def link(  # noqa: PLR0913 - named facts, no behaviour among them
    *,
    connected: bool,
    last_seen: datetime | None,
    parked: bool,
    rhythm: Rhythm,
    now: datetime,
    asleep: timedelta = ASLEEP,
) -> Link:
    """Return the first that holds, as said above; `connected`: a session is open.

    A `last_seen` after `now` (a clock set back) is now.
    """
    if last_seen is None:
        return "lost"
    silent_s = (now - last_seen).total_seconds()
    if connected and silent_s <= (patience_s(rhythm) or PATIENCE_UNKNOWN_S):
        return "connected"
    sleep_s = max(asleep.total_seconds(), MISSED * (parked_interval_s(rhythm) or 0.0))
    return "asleep" if parked and silent_s < sleep_s else "lost"


class Traffic(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What a vehicle's tracker has sent and was sent, in bytes as its SIM card is charged them."""

    since: datetime | None = None
    """When counting began."""
    days: dict[date, int] = {}
    """Sums by UTC day: the day of the latest packet and at most 31 before it."""


def carried(
    traffic: Traffic, at: datetime, payload_bytes: int, packets: int, transport: Transport
) -> Traffic:
    """Return the traffic with some packets, of either direction, at `at` (UTC).

    To open and close a TCP connection costs about as much as four packets without payload.
    """
    today = at.date()
    oldest = today - timedelta(days=_DAYS)
    days = {day: sent for day, sent in traffic.days.items() if oldest <= day <= today}
    since = traffic.since if traffic.since is not None and days else at
    added = payload_bytes + packets * OVERHEAD_BYTES[transport]
    days[today] = days.get(today, 0) + added
    return Traffic(since=min(since, at), days=days)


def day_bytes(traffic: Traffic, now: datetime) -> float | None:
    """Return the mean of the complete days of the last 31, days of silence among them.

    Before the first is complete: what was carried so far, extrapolated, once that is six hours;
    until then None.
    """
    if traffic.since is None:
        return None
    today = now.date()
    first = max(traffic.since.date() + timedelta(days=1), today - timedelta(days=_DAYS))
    complete = (today - first).days
    if complete > 0:
        return sum(sent for day, sent in traffic.days.items() if first <= day < today) / complete
    known = now - traffic.since
    if known < _KNOWN_ENOUGH:
        return None
    return sum(traffic.days.values()) * (timedelta(days=1) / known)


def month_mb(traffic: Traffic, now: datetime) -> float | None:
    """Return what a mean month of 30.4 days costs, in megabytes of 1,000,000 bytes."""
    day = day_bytes(traffic, now)
    return None if day is None else day * _MONTH_DAYS / 1e6
