"""What came from one vehicle while somebody looked: messages of the contract, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bridge.contract import Topics

Body = Mapping[str, Any]

LEAVES = ("report", "history", "alarm", "trip", "state")
"""Topics of a vehicle that are listened to; `EVENT` and `DEVICES` stand for those of the bridge."""
EVENT = "event"
DEVICES = "devices"


class Said(NamedTuple):
    """A message; `kept` is what was retained, and so known before anybody looked."""

    leaf: str
    body: Body
    kept: bool


@dataclass(slots=True)
class Heard:
    """Everything said of the vehicle `key`; `row` is its newest one in ``bridge/devices``."""

    key: str
    row: Body = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)

    def hear(self, leaf: str, body: Body, *, kept: bool = False) -> None:
        """Take a message; one of another vehicle leaves no trace."""
        if leaf == DEVICES:
            rows = (row for row in body.get("vehicles", ()) if row.get("key") == self.key)
            self.row = next(rows, self.row)
        elif leaf != EVENT or body.get("vehicle") == self.key:
            self.said.append(Said(leaf, body, kept))

    def bodies(self, *leaves: str, kept: bool = False) -> Iterator[Body]:
        """Yield what was said on these topics, the newest first; with `kept` also from before."""
        for said in reversed(self.said):
            if said.leaf in leaves and (kept or not said.kept):
                yield said.body

    @property
    def reports(self) -> list[Body]:
        """Reports of any age, the newest first."""
        return [body for body in self.bodies("report", "history") if body.get("type") == "report"]

    @property
    def live(self) -> list[Body]:
        """Those that are no old news."""
        return list(self.bodies("report"))

    @property
    def logged_in(self) -> bool:
        """Whether a connection became known as this vehicle's."""
        return any(body.get("type") == "connected" for body in self.bodies(EVENT))

    @property
    def beats(self) -> bool:
        """Whether it gave a sign of life, if only a heartbeat."""
        seen = [body.get("last_seen") for body in self.bodies("state", kept=True)]
        return len(set(seen)) > 1

    @property
    def protocol(self) -> str:
        """In what it spoke last, "" before it ever did."""
        return self._newest("protocol") or str(self.row.get("protocol", ""))

    @property
    def transport(self) -> str:
        """Over what it spoke last: tcp, udp, or "" before it ever did."""
        return self._newest("transport")

    def latest(self, name: str) -> Any:  # noqa: ANN401 - a field of `State`, of whatever type
        """Return a field of the newest state that has it, None if none has."""
        states = self.bodies("state", kept=True)
        return next((body[name] for body in states if name in body), None)

    def _newest(self, name: str) -> str:
        bodies = self.bodies("report", "history", "state", EVENT, kept=True)
        return next((str(body[name]) for body in bodies if body.get(name)), "")


def topics_of(topics: Topics, key: str) -> dict[str, str]:
    """Return the topics to listen to, each with the leaf that `Heard.hear` knows it by."""
    return {topics.vehicle(key, leaf): leaf for leaf in LEAVES} | {
        topics.bridge_event: EVENT,
        topics.bridge_devices: DEVICES,
    }
