"""The corpora under tests/corpus, read once: JSON lines, one a conversation with its exact meaning.

    {"id", "transport", "encoding", "chunks", "received_at", "events", "source", "why"?}

The first five keys are a case of ``decode --cases``; `events` is what it answers, save that `reply`
is readable text here.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bridge.explain.cases import converse, event_json
from bridge.protocols.connection import Event
from bridge.protocols.registry import PROTOCOLS

FOLDER = Path(__file__).parents[1] / "corpus"


class Line(NamedTuple):
    """One conversation."""

    id: str
    transport: Literal["tcp", "udp"]
    chunks: list[bytes]
    received_at: datetime
    row: dict[str, Any]

    @property
    def protocol(self) -> str:
        return self.id.partition("/")[0]

    @property
    def frames(self) -> list[bytes]:
        """Those of its frames that are understood."""
        return [
            bytes.fromhex(event["frame"]) for event in self.row["events"] if "rejected" not in event
        ]

    def replay(self, chunks: list[bytes] | None = None) -> list[Event]:
        """Return what the conversation comes to, or the same chopped into other chunks."""
        whole = self.chunks if chunks is None else chunks
        return converse(whole, self.transport, self.received_at)[1]


def plain(event: Event, encoding: str = "latin-1") -> dict[str, Any]:
    """Return an event as a corpus line has it, its reply readable where the frames are."""
    content = event_json(event)
    if "reply" in content and encoding == "latin-1":
        content["reply"] = bytes.fromhex(content["reply"]).decode("latin-1")
    return content


def _line(row: dict[str, Any]) -> Line:
    chunks = [
        bytes.fromhex(chunk) if row["encoding"] == "hex" else chunk.encode("latin-1")
        for chunk in row["chunks"]
    ]
    at = datetime.fromisoformat(row["received_at"])
    return Line(row["id"], row["transport"], chunks, at, row)


LINES = [
    _line(json.loads(text))
    for protocol in PROTOCOLS
    for path in sorted(FOLDER.glob(f"{protocol.name}/*.jsonl"))
    for text in path.read_text("utf-8").splitlines()
]
FRAMES = sorted({frame for line in LINES for frame in line.frames})
"""Every frame that is understood, of every protocol."""


@cache
def every_frame(name: str) -> tuple[bytes, ...]:
    """Every frame of a protocol's corpus, those too that are not understood."""
    events = (event for line in LINES if line.protocol == name for event in line.row["events"])
    return tuple(sorted({bytes.fromhex(event["frame"]) for event in events}))
