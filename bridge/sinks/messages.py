"""What a row of the journal says on the topics of its vehicle. Pure.

A report goes to `report`, or as old news to `history`; an alarm that began to `alarm`, or as old
news to `history`, an SOS to both; the newest alarm also to `last_alarm`; a trip that ended to
`trip`; each step of a command to `command/result`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from bridge import payloads
from bridge.model import Alarm
from bridge.payloads import Place
from bridge.record import Record
from bridge.vehicle import AnyAct, Ordered, Recounted, Silence


class Message(NamedTuple):
    """A message of a vehicle: the end of its topic, its payload, whether it is retained."""

    leaf: str
    payload: bytes
    retain: bool = False


def of_record(  # noqa: PLR0913 - a row, and what decides about what is told of it
    record: Record,
    place: Place | None,
    *,
    now: datetime,
    live_age: timedelta,
    newest_alarm: datetime | None,
    private: bool = False,
) -> list[Message]:
    """Return what a report says: itself, its alarms, the trip that ended with it.

    `newest_alarm`: when the newest alarm of the vehicle rang, which alone is its last one.
    `private`: only the alarms, and not where they rang.
    """
    late = payloads.is_late(record, now, live_age)
    said: list[Message] = []
    if not private:
        topic = "history" if late else "report"
        said.append(Message(topic, payloads.report(record, place, late=late)))
    late_alarm = payloads.is_late_alarm(record, now, live_age)
    for ring in record.rings:
        payload = payloads.encode(
            payloads.alarm(record, ring, place, late=late_alarm, private=private)
        )
        if late_alarm:
            said.append(Message("history", payload))
        if not late_alarm or (ring.alarm is Alarm.SOS and ring.episode):
            said.append(Message("alarm", payload))
        if newest_alarm is None or record.judged.at >= newest_alarm:
            said.append(Message("last_alarm", payload, retain=True))
    if record.trip is not None and not private:
        payload = payloads.encode(payloads.trip(record.trip, place, late=late))
        said.append(Message("trip", payload))
    return said


def of_act(
    act: AnyAct, place: Place, *, now: datetime, live_age: timedelta, private: bool = False
) -> list[Message]:
    """Return what an act says: the trips that it ended or counted anew, how a command fares.

    `private`: no trips, and no words of a tracker, which may tell where it is.
    """
    if isinstance(act, Ordered):
        step = payloads.command(act.order, place)
        if private:
            step.pop("answer", None)
        return [Message("command/result", payloads.encode(step))]
    if private:
        return []
    match act:
        case Recounted():
            told = [(trip, True) for trip in act.trips]
        case Silence(trip=trip) if trip is not None:
            told = [(trip, now - act.at > live_age)]
        case _:
            told = []
    return [
        Message("trip", payloads.encode(payloads.trip(trip, place, late=late)))
        for trip, late in told
    ]
