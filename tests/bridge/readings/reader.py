"""The rows of the reference corpus, and what it takes to hold our readings against them.

The corpus lies beside the repository, if at all; where it does not, there are no cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

from bridge.explain.cases import Transport, converse
from bridge.protocols.connection import Received

REFERENCE = Path(__file__).parents[3] / "../shared/corpus"
AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
TOLERANCE = {"latitude": 1e-6, "longitude": 1e-6, "speed_kmh": 0.01}
KMH_PER_KNOT = 1.852

Said = dict[str, Any]
"""What a frame says, under our names and in our units."""


class Case(NamedTuple):
    """One line of the reference: what was sent, what it was read as, and how it was answered."""

    name: str
    chunks: list[bytes]
    transport: Transport
    results: list[dict[str, Any]]
    replies: list[bytes]
    id_is_known: bool
    """Who speaks was said before, on the same connection."""


class Deviation(NamedTuple):
    """What we say instead of the reference, on purpose."""

    said: Mapping[str, Any]
    why: str


def on(fields: str, why: str) -> Deviation:
    """Return a deviation in some fields; the corpus of our own says what stands in them."""
    return Deviation(dict.fromkeys(fields.split(), ANY), why)


def differs(name: str, theirs: Said, ours: Said) -> bool:
    """Whether two readings differ in a field by more than their arithmetic does."""
    left, right = theirs.get(name), ours.get(name)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) > TOLERANCE.get(name, 1e-9)
    return bool(left != right)


def said_before(_case: Case) -> bytes:
    """Return what was sent on the connection before a case: mostly nothing."""
    return b""


def reply(event: Received) -> bytes:
    """Return how a frame is answered."""
    return event.reply


class Reader(NamedTuple):
    """How the readings of one protocol are compared."""

    protocol: str
    theirs: Callable[[dict[str, Any]], Said]
    ours: Callable[[list[Received]], Iterator[Said]]
    """Yields one for each result that the reference would have."""
    deviations: Mapping[str, Deviation]
    differs: Callable[[str, Said, Said], bool] = differs
    reply: Callable[[Received], bytes] = reply
    clock: bytes = b""
    """How an answer begins that tells a time, which was another one there."""
    said_before: Callable[[Case], bytes] = said_before
    transport: Transport = "tcp"
    """Where the reference does not say over which one a frame came."""

    def cases(self) -> Iterator[Case]:
        """Yield the lines of this protocol, none where the corpus is not there."""
        for row in rows(f"{self.protocol}.jsonl"):
            instance = row["decoder_instance"]
            kind = "real" if instance == 1 else f"real-{instance}"
            yield self._case(f"{kind}/{row['index']}", row)
        for row in rows(f"{self.protocol}.synthetic.jsonl"):
            yield self._case(f"synthetic/{row['id']}", row)
        for row in rows("framing.jsonl"):
            if row["protocol"] == self.protocol:
                yield self._case(f"stream/{row['id'].partition('/')[2]}", row)

    def _case(self, name: str, row: dict[str, Any]) -> Case:
        parts = row.get("frames", [row])
        in_hex = "hex" in (row.get("encoding"), row.get("kind"))
        return Case(
            name,
            [_bytes(text, in_hex=in_hex) for text in row.get("chunks") or [row["frame"]]],
            row.get("transport") or ("tcp" if "chunks" in row else self.transport),
            [result for part in parts for result in part["result"] or ()],
            [
                _bytes(
                    reply["data"].replace("<utc:yyyyMMddHHmmss>", f"{AT:%Y%m%d%H%M%S}"),
                    in_hex=reply["kind"] == "hex",
                )
                for part in parts
                for reply in part["response"] or ()
            ],
            bool(row.get("id_from_earlier_frame")),
        )

    def deviation(self, case: Case) -> Said:
        """Return what we say of a case where the reference says something else."""
        before = self.said_before(case)
        chunks = [before, *case.chunks] if before else case.chunks
        _, events = converse(chunks, case.transport, AT)
        received = [event for event in events if isinstance(event, Received)][bool(before) :]
        told = list(self.ours(received))
        found: Said = {}
        answered = self._plain(map(self.reply, received))
        if answered != self._plain(case.replies):
            found["replies"] = answered
        if len(told) != len(case.results):
            found["messages"] = len(told)
        for ours, result in zip(told, case.results, strict=False):
            theirs = self.theirs(result)
            found |= {
                name: ours.get(name)
                for name in theirs.keys() | ours.keys()
                if self.differs(name, theirs, ours)
            }
        return found

    def _plain(self, replies: Iterable[bytes]) -> bytes:
        """Return answers as one, without those that tell a time."""
        return b"".join(one for one in replies if not (self.clock and one.startswith(self.clock)))


def rows(name: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of a file of the corpus, none where it is not there."""
    path = REFERENCE / name
    if path.exists():
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def alarm_of(attributes: dict[str, Any]) -> str | None:
    """Return the alarm of a result as we would call it."""
    said = attributes.get("alarm", "")
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), said) or None


def time_of(result: dict[str, Any]) -> datetime | None:
    """Return what a result says was the tracker's time."""
    return datetime.fromisoformat(result["deviceTime"]) if result["deviceTime"] else None


def towers_of(result: dict[str, Any]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the cells of a result: country, network, area, cell."""
    for tower in (result["network"] or {}).get("cellTowers", ()):
        yield (
            tower["mobileCountryCode"],
            tower["mobileNetworkCode"],
            tower["locationAreaCode"],
            tower["cellId"],
        )


def _bytes(text: str, *, in_hex: bool) -> bytes:
    return bytes.fromhex(text) if in_hex else text.encode("latin-1")
