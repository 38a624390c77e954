"""What is to be published: two lines, one window, and what the broker already has from us.

`urgent` overtakes `rows`: state, discovery and answers are small and new, rows may be a backlog of
hours. Within a line the order on the wire is that of the calls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.sinks.publisher import Publisher


@dataclass(slots=True)
class Publication:
    """One message; `seq` is the row it belongs to, 0 for none."""

    topic: str
    payload: bytes
    retain: bool = False
    seq: int = 0


class Outbox:
    """Belongs to the event loop. `acknowledged(seq)` is called for each message of a row."""

    def __init__(self, acknowledged: Callable[[int], None]) -> None:
        self.open = False
        """Whether somebody is connected; while not, nothing but rows is kept."""
        self._acknowledged = acknowledged
        self._urgent: deque[Publication] = deque()
        self._rows: deque[Publication] = deque()
        self._told: dict[str, bytes] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._rows)

    def restart(self) -> None:
        """Forget what was in line: the connection is a new one."""
        self._urgent.clear()
        self._rows.clear()

    def wake(self) -> None:
        """Let the pump look again."""
        self._wake.set()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish something once, now."""
        self._urgent.append(Publication(topic, payload, retain))
        self._wake.set()

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish something retained, if it is not what the broker already has from us."""
        if self.open and self._told.get(topic) != payload:
            self._told[topic] = payload
            self.send(topic, payload, retain=True)

    def has_told(self, topic: str, payload: bytes) -> bool:
        """Whether the broker has this from us."""
        return self._told.get(topic) == payload

    def tell_again(self) -> None:
        """Believe that the broker has nothing."""
        self._told.clear()

    def withdraw(self, prefix: str) -> None:
        """Take what is in line below a topic back; its rows count as told."""
        for line in (self._urgent, self._rows):
            kept = [one for one in line if not one.topic.startswith(prefix)]
            gone = [one for one in line if one.topic.startswith(prefix)]
            line.clear()
            line.extend(kept)
            for one in gone:
                self._told.pop(one.topic, None)
                self.acknowledged(one.seq)

    def clear(self, topic: str) -> None:
        """Take a retained message away, behind the rows that may still write there."""
        self._told.pop(topic, None)
        self._rows.append(Publication(topic, b"", retain=True))

    def queue(self, publication: Publication) -> None:
        """Put a message of a row in line."""
        self._rows.append(publication)

    def acknowledged(self, seq: int) -> None:
        """Note that a message has arrived: there is room for another."""
        if seq:
            self._acknowledged(seq)
        self._wake.set()

    async def pump(self, client: Publisher, refill: Callable[[], Awaitable[bool]]) -> None:
        """Keep the window of messages in flight full; `refill` says whether it found something."""
        urgent, rows = self._urgent, self._rows
        while True:
            while client.has_room and (urgent or rows):
                one = (urgent or rows).popleft()
                client.post(one.topic, one.payload, retain=one.retain, mark=one.seq)
            self._wake.clear()  # before looking, so that what comes meanwhile is not missed
            if client.has_room and await refill():
                continue
            await self._wake.wait()
