"""Stretches of time that points touch, however many they are."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import timedelta

APART_MS = timedelta(hours=1) // timedelta(milliseconds=1)
"""Moments no further apart are of one stretch: a file of a million points has some thousand."""


class Intervals:
    """Disjoint stretches in order, each as (first, last) in milliseconds."""

    def __init__(self) -> None:
        self._all: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, ms: int) -> None:
        """Take a moment in."""
        self.add_stretch(ms, ms)

    def add_stretch(self, first: int, last: int) -> None:
        """Take a stretch in, and join it with those that it is near to."""
        stretches = self._all
        place = bisect_left(stretches, (first - APART_MS,))
        if place and stretches[place - 1][1] >= first - APART_MS:
            place -= 1
        end = place
        while end < len(stretches) and stretches[end][0] <= last + APART_MS:
            first, last = min(first, stretches[end][0]), max(last, stretches[end][1])
            end += 1
        if end - place == 1:
            stretches[place] = (first, last)
            return
        del stretches[place:end]
        insort(stretches, (first, last))
