"""Alarms as episodes: the first ring opens one and is told, repeats count, and it ends. Pure.

An episode ends by a person's acknowledgement, by a report that clears it, or by time. One that was
acknowledged goes on counting its tracker's repeats in silence, so that a box nobody can stop does
not ring every three minutes. An SOS is pressed by a hand: after an acknowledgement it rings anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import msgspec

from bridge.model import Alarm, Report, Status

ENDS_AFTER: dict[Alarm, timedelta] = {
    Alarm.SOS: timedelta(hours=24),
    Alarm.POWER_CUT: timedelta(hours=1),
    Alarm.LOW_BATTERY: timedelta(hours=1),
    Alarm.LOW_POWER: timedelta(hours=1),
    Alarm.FAULT: timedelta(hours=1),
}
"""Silence that ends an episode. An SOS lasts until somebody has seen it; what describes a state
is repeated seldom by some units and ends by the report that clears it."""

ENDS_AFTER_DEFAULT = timedelta(minutes=10)
"""An alarm repeats about every 3 minutes while it lasts; three silent rounds end its episode."""

CHARGED_PERCENT = 30.0
"""Units call a battery low at 10 to 20 %."""

_CLEARS: tuple[tuple[str, bool, frozenset[Alarm]], ...] = (
    ("external_power", True, frozenset({Alarm.POWER_CUT})),
    ("charging", True, frozenset({Alarm.LOW_BATTERY})),
    (
        "armed",
        False,
        frozenset({Alarm.DOOR, Alarm.VIBRATION, Alarm.MOVEMENT, Alarm.BONNET, Alarm.FOOT_BRAKE}),
    ),
)
"""An input that changes to this value ends these: the power is back, the owner has disarmed."""

_OPPOSITES = {
    Alarm.GEOFENCE_ENTER: Alarm.GEOFENCE_EXIT,
    Alarm.GEOFENCE_EXIT: Alarm.GEOFENCE_ENTER,
}


class Episode(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An alarm from its first ring to its end."""

    number: int
    since: datetime
    last: datetime
    count: int
    acknowledged: bool = False


class Ring(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An episode that a report opened: what is told as an alarm."""

    alarm: Alarm
    episode: int


Episodes = Mapping[str, Episode]
"""By alarm kind."""


def going(episodes: Episodes, now: datetime) -> dict[str, Episode]:
    """Return those that time has not ended, acknowledged ones included."""
    return {
        kind: episode
        for kind, episode in episodes.items()
        if now - episode.last < ENDS_AFTER.get(Alarm(kind), ENDS_AFTER_DEFAULT)
    }


def shown(episodes: Episodes, now: datetime) -> dict[str, Episode]:
    """Return those that last: neither time nor a person has ended them."""
    return {kind: one for kind, one in going(episodes, now).items() if not one.acknowledged}


def heard(
    episodes: Episodes, count: int, report: Report, *, late: bool
) -> tuple[dict[str, Episode], int, tuple[Ring, ...]]:
    """Return the episodes after a report's alarms, how many there ever were, and what rings.

    `late`: the alarms are old news. Then they leave episodes alone, and only an SOS opens one.
    """
    now = report.received_at
    after = going(episodes, now)
    rings: list[Ring] = []
    for alarm in report.alarms:
        known = after.get(alarm)
        if known is not None and known.acknowledged and alarm is Alarm.SOS:
            known = None
        if late and (known is not None or alarm is not Alarm.SOS):
            rings.append(Ring(alarm, 0))
        elif known is not None:
            after[alarm] = msgspec.structs.replace(known, last=now, count=known.count + 1)
        else:
            count += 1
            after[alarm] = Episode(count, now, now, 1)
            rings.append(Ring(alarm, count))
    return after, count, tuple(rings)


def cleared(episodes: Episodes, before: Mapping[str, object], report: Report) -> dict[str, Episode]:
    """Return the episodes that a live report leaves open; `before`: the inputs until now.

    Its own alarms it does not clear. Only a change clears: an input that never says anything else
    would end every episode with the next report.
    """
    ended: set[str] = {_OPPOSITES[alarm] for alarm in report.alarms if alarm in _OPPOSITES}
    for name, value, alarms in _CLEARS:
        if getattr(report.status, name) is value and before.get(name) is (not value):
            ended |= alarms
    if _is_charged(report.status):
        ended.add(Alarm.LOW_BATTERY)
    ended.difference_update(report.alarms)
    return {kind: episode for kind, episode in episodes.items() if kind not in ended}


def acknowledged(episodes: Episodes, kinds: Collection[str], now: datetime) -> dict[str, Episode]:
    """Return the episodes after a person has seen those of `kinds`; empty: all of them."""
    return {
        kind: msgspec.structs.replace(episode, acknowledged=True)
        if not kinds or kind in kinds
        else episode
        for kind, episode in going(episodes, now).items()
    }


def _is_charged(status: Status) -> bool:
    return status.battery_percent is not None and status.battery_percent >= CHARGED_PERCENT
