"""The books of one fault: what was sent, committed, answered and published, and what is missing.

A report is known by its content, which the trackers here never say twice: whose it is, its keyword,
its time and its place. A row of a journal is known by its epoch and seq.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bridge import record
from bridge.model import Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
from tests.e2e.faults.ear import Heard

Place = tuple[str, int]
"""epoch and seq"""

Content = tuple[str, str, str, float, float]
"""The tracker, the keyword, its time, latitude and longitude."""


class Line(NamedTuple):
    """One line of the table: what a fault has come to."""

    fault: str
    injected: str
    sent: int
    committed: int
    answered: int
    published: int
    lost: int
    repeated: int


@dataclass
class Tally:
    """What the trackers said and were answered, what the journal holds, what the ear has heard."""

    sent: Counter[Content] = field(default_factory=Counter)
    answered: Counter[Content] = field(default_factory=Counter)
    rows: dict[Place, Content] = field(default_factory=dict)
    """Committed reports."""
    published: dict[Place, list[Content]] = field(default_factory=dict)
    """What was heard under each place, every time it was."""
    unjournalled: Counter[Content] = field(default_factory=Counter)
    """Heard without a place, while the disk was full."""
    overtaken: int = 0
    """Announced as deleted before a dead sink had it."""
    forgetting: bool = False
    """The journal lets old rows go, so a report need not be there to have been committed."""

    def read(self, journal: Path) -> None:
        """Add the committed rows of a journal that nobody has open."""
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
            (epoch,) = connection.execute("SELECT value FROM meta WHERE name='epoch'").fetchone()
            for seq, body in connection.execute("SELECT seq, body FROM entry"):
                report = _report_of(body)
                if report is not None:
                    self.rows[epoch, seq] = content(report)

    def hear(self, heard: Iterable[Heard]) -> None:
        """Count the reports among what was published."""
        for message in heard:
            if message.leaf not in {"report", "history"}:
                continue
            body = json.loads(message.payload)
            if body.get("type") != "report":
                continue
            if "seq" in body:
                place = body["epoch"], body["seq"]
                self.published.setdefault(place, []).append(_content(body))
            else:
                assert body["journalled"] is False, body
                self.unjournalled[_content(body)] += 1

    @property
    def unpublished(self) -> list[Place]:
        """The committed rows that nobody was told of."""
        return sorted(
            place
            for place, told in self.rows.items()
            if place not in self.published and told not in self.unjournalled
        )

    @property
    def unkept(self) -> list[Content]:
        """What a tracker was told is safe, and is not in the journal."""
        kept = Counter(self.rows.values())
        if self.forgetting:
            kept |= self._placed
        return sorted((self.answered - kept).elements())

    @property
    def committed(self) -> int:
        """How many reports have been in the journal, for all we can know."""
        if self.forgetting:
            return len(self.rows.keys() | self.published.keys()) + len(self.unkept)
        return len(self.rows)

    @property
    def lost(self) -> int:
        """How many reports are missing and were not announced as overtaken."""
        return max(0, len(self.unpublished) + len(self.unkept) - self.overtaken)

    @property
    def repeated(self) -> int:
        """How often a row was told again."""
        return sum(len(told) - 1 for told in self.published.values())

    @property
    def _placed(self) -> Counter[Content]:
        """What was told with a place, each place once."""
        return Counter(told[0] for told in self.published.values())

    @property
    def doubled(self) -> list[Content]:
        """Reports that were told under more places than they were sent: one report, two rows."""
        return sorted((self._placed + self.unjournalled - self.sent).elements())

    @property
    def changed(self) -> list[Place]:
        """Places under which different reports were told, or another one than is there."""
        return sorted(
            place
            for place, told in self.published.items()
            if set(told) != {self.rows.get(place, told[0] if self.forgetting else None)}
        )

    def line(self, fault: str, injected: str) -> Line:
        """Return the fault's line of the table."""
        return Line(
            fault,
            injected,
            self.sent.total(),
            self.committed,
            self.answered.total(),
            len(self.published) + len(self.unjournalled - self._placed),
            self.lost,
            self.repeated,
        )

    def check(self) -> None:
        """Fail unless nothing is lost, made up, or told as two."""
        assert self.sent, "nothing was sent, so nothing was proven"
        assert not self.changed, f"told and not so in the journal: {self.changed[:5]}"
        assert not self.doubled, f"one report, several rows: {self.doubled[:5]}"
        assert not self.lost, (
            f"{self.lost} lost, {self.overtaken} announced as overtaken; "
            f"committed, not told: {self.unpublished[:5]}; answered, not kept: {self.unkept[:5]}"
        )


def content(report: Report) -> Content:
    """Return what a report is known by."""
    return _content(msgspec.to_builtins(report))


def said(frame: bytes, now: datetime | None = None) -> Report | None:
    """Return the report that a tracker's frame is; its clock shows UTC."""
    connection = Connection(PROTOCOLS, utc_offset_minutes=0)
    connection.receive_data(frame)
    for event in connection.events(now or datetime.now(UTC)):
        if isinstance(event, Received):
            for message in event.messages:
                if isinstance(message, Report):
                    return message
    return None


def _content(body: dict[str, Any]) -> Content:
    fix = body.get("fix") or {"latitude": 0.0, "longitude": 0.0}
    return (
        body["device_id"],
        body["keyword"],
        body.get("device_time", ""),
        fix["latitude"],
        fix["longitude"],
    )


def _report_of(body: bytes) -> Report | None:
    """Return the report that a row holds; acts are none."""
    row = record.decode(body)
    return row.report if isinstance(row, record.Record) else None


def table(lines: Iterable[Line]) -> str:
    """Return the lines as a Markdown table."""
    rows = [Line._fields, *lines]
    text = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    text.insert(1, "|---|---|" + "---:|" * (len(Line._fields) - 2))
    return "\n".join(text)
