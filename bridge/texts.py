"""Text messages that a gateway relays: what a tracker says where its data connection is gone.

    sms/in {"from", "text", "time"} -> whose number is it? -> the reports in it -> fold, journal

Whoever can write to the broker can write here, and a sender's number can be forged; so a text moves
the car on the map and rings, but it never opens the gate before an engine stop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bridge import abilities
from bridge.command import AcknowledgeAlarm
from bridge.config import Config
from bridge.downlink import Downlink
from bridge.errors import RequestError
from bridge.fleet import Fleet, Live
from bridge.log import Once, bound
from bridge.model import SMS, Alarm, Message, Report
from bridge.orders import Wish
from bridge.protocols import sms

_log = logging.getLogger(__name__)

LONGEST_BYTES = 4096
RECEIPT_EVERY = timedelta(minutes=2)
"""A receipt costs a text, and a sender can be forged; boxes repeat an SOS each three minutes."""
_SHORTEST_NUMBER = 8
"""So many last digits tell one phone of a household from another."""


class _Text(msgspec.Struct, frozen=True):
    """What a gateway hands us."""

    text: str
    from_: str = msgspec.field(name="from")
    time: Any = None


class Texts:
    """Takes text messages for the vehicles of a fleet; `receipt`: an SOS is confirmed by text."""

    def __init__(
        self,
        fleet: Fleet,
        downlink: Downlink,
        clock: Callable[[], datetime],
        *,
        receipt: bool = True,
    ) -> None:
        self._fleet = fleet
        self._downlink = downlink
        self._clock = clock
        self.receipt = receipt
        self._receipts = Once(RECEIPT_EVERY)
        self._often = Once()

    def follow(self, config: Config) -> None:
        """Go by another configuration from now on."""
        self.receipt = config.alarms.auto_receipt

    def take(self, payload: bytes) -> None:
        """Take what was published on ``sms/in``; what is nothing for us is counted and let go."""
        now = self._clock()
        try:
            if len(payload) > LONGEST_BYTES:
                raise ValueError(f"{len(payload)} bytes are too many")
            text = msgspec.json.decode(payload, type=_Text)
        except (ValueError, RecursionError) as error:
            self._refused(f"a text message that cannot be read: {error}", now)
            return
        found = self._whose(text.from_)
        if len(found) != 1:
            whose = "two vehicles have" if found else "no vehicle has"
            self._refused(f"a text message from a number that {whose}", now)
            return
        (live,) = found
        # By the time at which it was written, if the gateway tells: it may have kept it for hours.
        said = sms.decode(
            text.text,
            device_id=live.vehicle.trackers[0],
            received_at=_sent_at(text.time, now) or now,
            utc_offset_minutes=live.vehicle.timezone_minutes,
        )
        if not said:
            self._refused("a text message that is none of a tracker's", now, live)
            return
        live.transport, live.last_seen = SMS, now
        for message in said:
            self._heard(live, message, now)

    def _heard(self, live: Live, message: Message, now: datetime) -> None:
        late = False
        if isinstance(message, Report):
            judged = self._fleet.append(live, message, now=now)
            late = judged is None or judged.late
        self._downlink.heard(live, message, live.vehicle.trackers[0], None, late=late)
        if isinstance(message, Report) and message.alarm is Alarm.SOS and self.receipt:
            self._confirm(live, now)

    def _confirm(self, live: Live, now: datetime) -> None:
        """Have the tracker stop repeating its SOS; the alarm itself goes on (rule S)."""
        receipt, key = AcknowledgeAlarm(), live.vehicle.key
        waits = self._downlink.has_own(live, AcknowledgeAlarm)
        if waits or receipt.name not in abilities.commands(live):
            return
        if self._receipts.due(key, now) is not None:
            try:
                self._downlink.order(live, Wish(receipt, own=True))
            except RequestError as error:
                bound(_log, vehicle=key).warning("SOS not confirmed: %s", error)

    def _whose(self, number: str) -> list[Live]:
        """Return the vehicles with this number, as far as both are written out."""
        return [
            live
            for live in self._fleet.vehicles.values()
            if live.vehicle.trackers
            and (phone := live.rules.contact.phone) is not None
            and is_same_number(number, phone.reveal())
        ]

    def _refused(self, what: str, now: datetime, live: Live | None = None) -> None:
        self._fleet.counters.refused += 1
        key = live.vehicle.key if live is not None else None
        if self._often.due((what[:40], key), now) is not None:
            bound(_log, vehicle=key).warning("%s", what[:200])


def is_same_number(one: str, other: str) -> bool:
    """Whether two phone numbers are the same, with the country's prefix or without."""
    first, second = (_digits(number) for number in (one, other))
    if first == second:
        return bool(first)
    short, long = sorted((first.removeprefix("0"), second.removeprefix("0")), key=len)
    return len(short) >= _SHORTEST_NUMBER and long.endswith(short)


def _digits(number: str) -> str:
    digits = "".join(sign for sign in number if sign in "0123456789")
    return digits.removeprefix("00")


def _sent_at(time: object, now: datetime) -> datetime | None:
    """Return when the gateway says that a text was sent, None where that says nothing."""
    try:
        sent = msgspec.convert(time, datetime, strict=False)
    except (ValueError, OverflowError):
        return None
    sent = sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)
    return sent if timedelta(0) <= now - sent < timedelta(days=365) else None
