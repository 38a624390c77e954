"""Raw frames as they are kept for diagnosis: understood or not, from a tracker or to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Generic, Literal, TypeVar

import msgspec

RING_FRAMES = 200
RING_BYTES = 65_536
"""Of one tracker: a drive of an hour or two, and no burden on an SD card."""

T = TypeVar("T")


class FrameRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Raw bytes from or to a tracker; `note` is empty or the reason they were rejected."""

    tracker_id: str
    received_at: datetime
    direction: Literal["in", "out"]
    protocol: str
    transport: str
    note: str = ""
    data: bytes


class Ring(Generic[T]):
    """The newest of something, bounded in number and in bytes."""

    def __init__(
        self,
        sized: Iterable[tuple[T, int]] = (),
        *,
        most: int = RING_FRAMES,
        size: int = RING_BYTES,
    ) -> None:
        self._sized = deque(sized)
        self._held = sum(size for _, size in self._sized)
        self._most = most
        self._size = size

    def push(self, item: T, size: int) -> T | None:
        """Take an item in; return the newest of those that fall out for it."""
        self._sized.append((item, size))
        self._held += size
        dropped = None
        while len(self._sized) > self._most or self._held > self._size:
            dropped, freed = self._sized.popleft()
            self._held -= freed
        return dropped

    def items(self) -> list[T]:
        """Return what is held, oldest first."""
        return [item for item, _ in self._sized]
