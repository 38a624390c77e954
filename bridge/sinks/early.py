"""What was told before it was on disk: reports that came while the journal could not be written.

Once written they get their seq, and are not told a second time, if the broker had all of them: a
report keeps a mark of its own until then, which takes the place of the seq it does not have.
"""

from __future__ import annotations

from bridge.record import Record


class Early:
    """Belongs to the event loop. Bounded by what may wait for the disk."""

    def __init__(self) -> None:
        self._mark = 0
        self._waiting: dict[int, tuple[Record, int]] = {}
        """By `id` of the record: itself, and its mark, which is negative."""
        self._left: dict[int, int] = {}
        """By mark, how many of its messages the broker has not acknowledged."""
        self._told: set[int] = set()

    def mark(self, record: Record, messages: int) -> int:
        """Return the mark of a record that is told now, in so many messages."""
        self._mark -= 1
        self._waiting[id(record)] = (record, self._mark)
        self._left[self._mark] = messages
        return self._mark

    def knows(self, record: Record) -> bool:
        """Whether a record was told already, and still waits for the disk."""
        return id(record) in self._waiting

    def acknowledged(self, mark: int) -> None:
        """Note that one message of a mark has arrived."""
        if mark in self._left:
            self._left[mark] -= 1

    def restart(self) -> None:
        """Forget what was on its way: the connection is a new one."""
        lost = [key for key, (_, mark) in self._waiting.items() if self._left[mark]]
        for key in lost:
            del self._left[self._waiting.pop(key)[1]]

    def committed(self, seq: int, record: object) -> None:
        """Note that a record is on disk now."""
        waiting = self._waiting.pop(id(record), None)
        if waiting is not None and not self._left.pop(waiting[1]):
            self._told.add(seq)

    def has_told(self, seq: int) -> bool:
        """Whether a row was told before it had its seq; each is asked for until it is passed."""
        return seq in self._told

    def passed(self, seq: int) -> None:
        """Forget rows up to this one, which need not be told any more."""
        if self._told:
            self._told = {one for one in self._told if one > seq}
