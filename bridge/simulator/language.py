"""What a simulated tracker's language is: a row of functions over its state, bytes out and in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bridge.errors import ConfigError
from bridge.model import Alarm
from bridge.simulator.tracker import Happening, SimulatedTracker

KMH_PER_KNOT = 1.852

INTERVAL = ""
"""The keyword that stands for a report at its interval, whatever the language calls that."""


class Said(NamedTuple):
    """A frame and the exact answer the tracker waits for; empty: it waits for none."""

    frame: bytes
    awaits: bytes = b""


def _no_receipt(_tracker: SimulatedTracker, _phrase: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One protocol from the tracker's side; instances stand in `bridge.simulator.languages`.

    `login` is what a new connection opens with, each step once the one before is answered.
    `heartbeat` is None where there is none; one that is, is answered. `report` takes a word of the
    language, as `alarm_keywords` and `upload_keywords` have them, or `INTERVAL`. A frame that is
    made is numbered, so it is made only to be said. `happened` tells of what happened between
    reports. `split` cuts what the server sent into whole phrases and the rest that may become one.
    `confirms` tells a receipt for a report. `obey` changes the state and returns the answers, None
    for a phrase that is no command this tracker knows or none for it.
    """

    name: str
    device_id: str
    """A made-up identity for a tracker that is given none."""
    id_digits: tuple[int, ...]
    """How long an identity may be."""
    alarm_keywords: Mapping[Alarm, str]
    repeats_alarms: bool
    """Whether an alarm is sent again and again until it is acknowledged."""
    upload_keywords: tuple[str, str] | None
    """What opens and closes an upload of stored reports, where anything does."""
    login: Callable[[SimulatedTracker], tuple[Said, ...]]
    heartbeat: Callable[[SimulatedTracker], Said] | None
    report: Callable[[SimulatedTracker, str], bytes]
    happened: Callable[[SimulatedTracker, Happening], list[bytes]]
    split: Callable[[bytes], tuple[list[bytes], bytes]]
    obey: Callable[[SimulatedTracker, bytes], list[bytes] | None]
    confirms: Callable[[SimulatedTracker, bytes], bool] = _no_receipt

    def check_id(self, device_id: str) -> None:
        """Raise ConfigError for an identity no tracker of this protocol has."""
        if not (device_id.isascii() and device_id.isdigit() and len(device_id) in self.id_digits):
            lengths = " or ".join(str(length) for length in self.id_digits)
            raise ConfigError(f"a {self.name} tracker's id has {lengths} digits, not {device_id!r}")

    def alarm_keyword(self, alarm: Alarm) -> str:
        """Return the protocol's word for an alarm; ConfigError names those there are."""
        keyword = self.alarm_keywords.get(alarm)
        if keyword is None:
            known = ", ".join(sorted(self.alarm_keywords))
            raise ConfigError(
                f"{self.name} has no word for the alarm {alarm}", hint=f"it has {known}"
            )
        return keyword


def degrees_minutes(value: float, degree_digits: int) -> str:
    """Return ``dddmm.mmmm`` without a sign: what all text protocols write."""
    degrees, rest = divmod(round(abs(value) * 600_000), 600_000)
    return f"{degrees:0{degree_digits}d}{rest / 10_000:07.4f}"
