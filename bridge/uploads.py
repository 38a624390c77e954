"""What the memory cards of trackers bring: how far each upload has come.

A day of reports takes minutes to hours, and no box says how many are to come. So what has come is
counted, told now and then, and an upload goes on for as long as it brings something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bridge.command import UploadLog
from bridge.model import Message, Report
from bridge.orders import Order

PROGRESS_EVERY = timedelta(seconds=5)
LONGEST = timedelta(hours=2)
"""A day of a report each ten seconds, over the slowest network."""


@dataclass(slots=True)
class _Upload:
    heard_at: datetime
    told_at: datetime
    points: int = 0
    told: int = 0


class Uploads:
    """The uploads under way, by the id of their order; `tell` gets an event of ``bridge/event``."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._of: dict[str, _Upload] = {}

    def count(self, order: Order, message: Message, now: datetime, *, late: bool) -> None:
        """Note a point that an upload has brought; boxes of numbers do not say that it is one."""
        if isinstance(message, Report) and (late or "replayed" in message.extra):
            upload = self._of.setdefault(order.id, _Upload(order.at, order.at))
            upload.heard_at = now
            upload.points += 1

    def heard_at(self, order: Order) -> datetime:
        """Return since when an order waits for its answer: an upload since its last point."""
        upload = self._of.get(order.id)
        if upload is None or abs(upload.heard_at - order.at) > LONGEST:
            return order.at
        return upload.heard_at

    def progress(self, key: str, order: Order, now: datetime) -> None:
        """Tell how far it has come, if there is more to tell and it is time."""
        upload = self._of.get(order.id)
        if upload is None or upload.points == upload.told:
            return
        if abs(now - upload.told_at) >= PROGRESS_EVERY:
            upload.told, upload.told_at = upload.points, now
            self._happened(key, order, upload, done=False)

    def ended(self, key: str, order: Order, *, done: bool) -> None:
        """Forget the upload of an order that has ended, and tell what it has brought."""
        upload = self._of.pop(order.id, None)
        if upload is not None:
            self._happened(key, order, upload, done=done)

    def _happened(self, key: str, order: Order, upload: _Upload, *, done: bool) -> None:
        assert isinstance(order.command, UploadLog)  # noqa: S101 - what alone is counted
        self._tell(
            {
                "type": "upload",
                "vehicle": key,
                "day": order.command.day,
                "points": upload.points,
                "done": done,
            }
        )
