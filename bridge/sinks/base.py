"""A pump: the journal's rows after a cursor, in order, and the cursor behind what is acknowledged.

Rows are handed out one by one and acknowledged in any order; the cursor stands before the first row
that is not acknowledged yet, so nothing is skipped by a crash, and at most what was in flight (or
acknowledged within the last second) is repeated. Rows that have just been committed are kept in
memory, so that a pump that keeps up never reads the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque

from bridge import record as rows
from bridge.database import SKIPPED
from bridge.errors import StorageError
from bridge.journal import Journal

_log = logging.getLogger(__name__)

Row = tuple[int, str, rows.Row | None]
"""seq, the vehicle's key, the content; None where the row cannot be read."""

IN_MEMORY = 2000
PAGE = 200
SAVE_AFTER_ROWS = 20
SAVE_AFTER_S = 1.0


class Cursor:
    """How far a sink has got in the journal."""

    def __init__(self, journal: Journal, sink: str) -> None:
        self.sink = sink
        self._journal = journal
        self._tail: deque[Row] = deque()
        self._open: OrderedDict[int, int] = OrderedDict()
        self._unsaved = 0
        self._timer: asyncio.TimerHandle | None = None
        self.taken = self.seq = journal.cursor(sink)
        """Everything up to `seq` is acknowledged, everything up to `taken` was handed out."""
        if not self.seq:  # from now on the journal keeps what we have not had
            journal.save_cursor(sink, 0)

    @property
    def lag(self) -> int:
        """Rows that are committed and not acknowledged."""
        # Seqs that were never given are left out in whole multiples.
        return max(0, self._journal.last_seq - self.seq) % SKIPPED

    def committed(self, seq: int, key: str, row: rows.Row) -> None:
        """Note a row that has just been committed."""
        if len(self._tail) >= IN_MEMORY:
            self._tail.popleft()
        self._tail.append((seq, key, row))

    def restart(self) -> None:
        """Hand out everything again that was not acknowledged: the connection is a new one."""
        self._open.clear()
        self.taken = self.seq

    async def page(self) -> list[Row]:
        """Return the next rows, at most `PAGE`, and empty when there are none now."""
        if self.taken >= self._journal.last_seq:
            return []
        tail = self._tail
        while tail and tail[0][0] <= self.taken:
            tail.popleft()
        # The tail goes on where we stand, or what is missing before it was purged.
        if tail and not self._missing(tail[0][0]):
            found = [tail.popleft() for _ in range(min(len(tail), PAGE))]
        else:
            last_seq = self._journal.last_seq
            read = await asyncio.to_thread(self._journal.read, self.taken, PAGE)
            found = [(seq, key, _readable(seq, body)) for seq, key, _, body in read]
            if not found:
                # All purged, but neither what is still in flight nor what came while we read.
                self.taken = last_seq
                self.opened(last_seq, 0)
                return []
        self.taken = found[-1][0]
        return found

    def _missing(self, first_in_memory: int) -> bool:
        return first_in_memory > max(self.taken + 1, self._journal.first_seq)

    def opened(self, seq: int, messages: int) -> None:
        """Note that a row has become so many messages; in order of seq."""
        self._open[seq] = messages
        if not messages:
            self._advance()

    def acknowledged(self, seq: int) -> None:
        """Note that one message of a row has arrived."""
        left = self._open.get(seq)
        if left is None:
            return
        self._open[seq] = left - 1
        if left == 1:
            self._advance()

    def _advance(self) -> None:
        before = self.seq
        while self._open:
            seq, left = next(iter(self._open.items()))
            if left > 0:
                break
            del self._open[seq]
            self.seq = seq
            self._unsaved += 1
        if self.seq == before:
            return
        if self._unsaved >= SAVE_AFTER_ROWS:
            self.save()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SAVE_AFTER_S, self.save)

    def save(self) -> None:
        """Write down how far the sink has got."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unsaved:
            self._unsaved = 0
            self._journal.save_cursor(self.sink, self.seq)


def _readable(seq: int, body: bytes) -> rows.Row | None:
    """Return a row's content; one that is damaged must not stop those behind it."""
    try:
        return rows.decode(body)
    except StorageError as error:
        _log.error("row %d is not published: %s", seq, error)
        return None
