"""What a replay came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Driven:
    """How many trips, and how far."""

    trips: int
    kilometres: float


@dataclass(slots=True)
class Outcome:
    """What was read, and how what it came to differs from the original."""

    read: int = 0
    """Rows of a journal, or lines of a capture."""
    reports: int = 0
    acts: int = 0
    unreadable: int = 0
    """Rows that no program can read."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Frames that are not understood, by reason."""
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Reports that are judged otherwise, by verdict then and now; ``-``: none."""
    decoded_anew: int = 0
    """Lines of a capture that are decoded otherwise."""
    trips: dict[str, tuple[Driven, Driven]] = field(default_factory=dict)
    """Of vehicles whose trips add up otherwise: then and now."""
