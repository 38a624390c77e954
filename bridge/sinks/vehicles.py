"""What is told of vehicles: each row of the journal once, and of some topics the newest, retained.

    rows       a page at a time, each as its messages, which its cursor waits for
    early      at once, where the journal cannot be written (rule D)
    retained   position, state and last alarm, of each vehicle that has something new

Reports that are old news when they are published go to `history`; position and state are always
only the newest.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from bridge import payloads
from bridge.contract import Topics
from bridge.errors import StorageError
from bridge.intake import Intake
from bridge.payloads import Place
from bridge.record import Record, Row
from bridge.sinks import messages
from bridge.sinks.base import Cursor
from bridge.sinks.early import Early
from bridge.sinks.messages import Message
from bridge.sinks.outbox import Outbox, Publication

_log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Between two attempts to read a journal that cannot be read."""


class Vehicles:
    """Puts what is to be told of vehicles in line; belongs to the event loop."""

    def __init__(
        self, topics: Topics, intake: Intake, outbox: Outbox, cursor: Cursor, early: Early
    ) -> None:
        self._topics = topics
        self._intake = intake
        self._outbox = outbox
        self._cursor = cursor
        self._early = early
        self._epoch = intake.journal.epoch
        self._dirty: dict[str, None] = {}
        self._told_position: dict[str, datetime | None] = {}
        self._last_alarm: dict[str, bytes] = {}

    # --- rows -------------------------------------------------------------------------------------

    async def refill(self) -> bool:
        """Put the next page of rows in line, and behind it the state it has led to.

        Returns whether there was anything.
        """
        try:
            page = await self._cursor.page()
        except StorageError as error:
            if self._intake.strangers.due("journal unread", self._intake.clock()) is not None:
                _log.error("the journal cannot be read: %s", error)
            await asyncio.sleep(RETRY_S)
            return True
        now = self._intake.clock()
        for seq, key, row in page:
            said = 0
            if row is not None and key in self._intake.vehicles and not self._early.has_told(seq):
                said = self._queue(key, self._said_by(seq, key, row, now), seq)
            self._cursor.opened(seq, said)
        self._early.passed(self._cursor.seq)
        changed = bool(self._dirty)
        if changed:
            self.tell()
        return bool(page) or changed

    def waiting(self, key: str, record: Record) -> None:
        """Tell at once of a report that cannot be journalled now."""
        if not self._outbox.open or self._early.knows(record):
            return
        said = self._said_of(key, record, None, self._intake.clock())
        self._queue(key, said, self._early.mark(record, len(said)))
        self.changed(key)

    def _said_by(self, seq: int, key: str, row: Row, now: datetime) -> list[Message]:
        place = Place(self._epoch, seq)
        if isinstance(row, Record):
            return self._said_of(key, row, place, now)
        private = self._intake.vehicles[key].vehicle.private
        return messages.of_act(row, place, now=now, live_age=self._intake.live_age, private=private)

    def _said_of(
        self, key: str, record: Record, place: Place | None, now: datetime
    ) -> list[Message]:
        live = self._intake.vehicles[key]
        return messages.of_record(
            record,
            place,
            now=now,
            live_age=self._intake.live_age,
            newest_alarm=live.folded.rang_at,
            private=live.vehicle.private,
        )

    def _queue(self, key: str, said: list[Message], mark: int) -> int:
        """Put messages in line, return how many; each that is acknowledged brings `mark` back."""
        for leaf, payload, retain in said:
            if leaf == "last_alarm":
                self._last_alarm[key] = payload
            topic = self._topics.vehicle(key, leaf)
            self._outbox.queue(Publication(topic, payload, retain, mark))
        return len(said)

    # --- what is retained -------------------------------------------------------------------------

    def changed(self, *keys: str) -> None:
        """Tell the state of these vehicles soon."""
        self._dirty.update(dict.fromkeys(keys))
        self._outbox.wake()

    def republish(self) -> None:
        """Tell what is retained of every vehicle once more."""
        self._told_position.clear()
        for key, live in self._intake.vehicles.items():
            topic = self._topics.vehicle(key, "last_alarm")
            if key in self._last_alarm:
                self._outbox.tell(topic, self._last_alarm[key])
            elif live.vehicle.private:
                self._outbox.tell(topic, b"")
        self.changed(*self._intake.vehicles)

    def forget(self, key: str) -> None:
        """Tell nothing more of a vehicle that was removed."""
        self._dirty.pop(key, None)
        self._told_position.pop(key, None)
        self._last_alarm.pop(key, None)

    def hide(self, key: str) -> None:
        """Take back what the outside world knows of a vehicle's places."""
        self._last_alarm.pop(key, None)
        self._told_position.pop(key, None)
        self._outbox.withdraw(self._topics.vehicle(key, ""))
        for leaf in ("position", "last_alarm"):
            self._outbox.tell(self._topics.vehicle(key, leaf), b"")

    def tell(self) -> None:
        """Put position and state of every vehicle that has something new in line, now."""
        now = self._intake.clock()
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            live = self._intake.vehicles.get(key)
            if live is None:
                continue
            # While nothing can be written, what waits is told all the same, without a place.
            waits = self._intake.journal.failed is not None and live.folded is not live.state
            state = live.folded if waits else live.state
            if live.vehicle.private:
                self._told_position.pop(key, None)
                self._outbox.tell(self._topics.vehicle(key, "position"), b"")
            elif key not in self._told_position or self._told_position[key] != state.fix_at:
                place = None if waits else Place(self._epoch, live.position_seq)
                position = payloads.position(state, place)
                if position is not None:
                    self._told_position[key] = None if waits else state.fix_at
                    topic = self._topics.vehicle(key, "position")
                    self._outbox.tell(topic, payloads.encode(position))
            payload = payloads.state(
                state,
                name=live.vehicle.name,
                link=self._intake.link(key, now),
                transport=live.transport,
                last_seen=live.last_seen,
                now=now,
                place=None if waits else Place(self._epoch, live.seq),
                odometer_offset_km=live.rules.odometer_offset_km,
                aside=live.aside(now),
                private=live.vehicle.private,
            )
            self._outbox.tell(self._topics.vehicle(key, "state"), payloads.encode(payload))
