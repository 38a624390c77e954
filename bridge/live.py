"""A vehicle now: what is folded, what of it is committed, and how it comes back after a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from bridge import assess, clock, record, rhythm, trips
from bridge.config import Rules
from bridge.errors import StorageError
from bridge.journal import Journal
from bridge.record import Record
from bridge.registry import Vehicle
from bridge.rhythm import Rhythm, Traffic
from bridge.vehicle import EMPTY, Folded, VehicleState, fold, fold_act

_log = logging.getLogger(__name__)

PAGE = 1000

DEFAULT_RULES = Rules()


class Standing(msgspec.Struct, omit_defaults=True):
    """Where a tracker has spoken from."""

    address: str = ""
    disturbed_at: datetime | None = None
    """When somebody else spoke for it, or it spoke from another address."""


@dataclass(slots=True)
class Live:
    """A vehicle now. `folded` runs ahead of `state`, which is committed and may be published."""

    vehicle: Vehicle
    rules: Rules = DEFAULT_RULES
    folded: VehicleState = EMPTY
    state: VehicleState = EMPTY
    seq: int = 0
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""
    rhythm: Rhythm = field(default_factory=Rhythm)
    traffic: Traffic = field(default_factory=Traffic)
    dialects: dict[str, str] = field(default_factory=dict)
    """Which words each of its trackers obeys, as far as that has shown."""
    standings: dict[str, Standing] = field(default_factory=dict)
    """By tracker id."""
    unsaved: int = 0
    deaf: bool = False
    """Removed while reports were on their way."""
    advice: str = ""
    """What its owner was told about its clock."""
    _limits: tuple[assess.Limits, trips.Limits] = field(init=False)

    def __post_init__(self) -> None:
        self.follow(self.rules)

    def follow(self, rules: Rules) -> None:
        """Go by these rules from now on."""
        self.rules = rules
        positions, journeys = rules.positions, rules.trips
        self._limits = (
            assess.Limits(
                max_speed_kmh=positions.max_speed_kmh, parked_radius_m=positions.parked_radius_m
            ),
            trips.Limits(
                min_distance_m=journeys.min_distance_m,
                min_stop=timedelta(seconds=journeys.min_stop_s),
                gap=timedelta(seconds=journeys.gap_s),
            ),
        )

    @property
    def limits(self) -> assess.Limits:
        """Which fixes are believed."""
        return self._limits[0]

    @property
    def trip_limits(self) -> trips.Limits:
        """What is a trip."""
        return self._limits[1]

    def shows(self, now: datetime) -> tuple[str, ...]:
        """Return the fields that can be shown of it, what is derived from its reports included."""
        derived = {"month_mb"} & self.aside(now).keys()
        if any(clock.measured_skew_s(one) is not None for one in self.state.clocks.values()):
            derived.add("clock_skew_s")
        return (*self.state.reported, *sorted(derived))

    def aside(self, now: datetime) -> dict[str, float]:
        """Return what is known of how it reports, for its state: interval, mobile data."""
        interval_s = rhythm.interval_s(self.rhythm)
        day = rhythm.day_bytes(self.traffic, now)
        month_mb = rhythm.month_mb(self.traffic, now)
        known: dict[str, float] = {}
        if interval_s is not None:
            known["interval_s"] = round(interval_s)
        if day is not None and month_mb is not None:
            known |= {"day_kb": round(day / 1000), "month_mb": round(month_mb, 1)}
        return known

    def fold(self, row: record.Row) -> Folded:
        """Fold a row that is about to be journalled, or that was."""
        if isinstance(row, Record):
            folded = fold(self.folded, row.report, row.judged, self.trip_limits)
        else:
            folded = fold_act(self.folded, row, self.trip_limits)
        self.folded = folded.state
        return folded

    def settle(self, seq: int, state: VehicleState) -> None:
        """Note that the row which led to a state is on disk."""
        if state.fix is not self.state.fix:
            self.position_seq = seq
        self.state, self.seq = state, seq
        self.unsaved += 1


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a vehicle beside its rows."""

    state: VehicleState
    position_seq: int = 0
    last_seen: datetime | None = None
    transport: str = ""
    rhythm: Rhythm = msgspec.field(default_factory=Rhythm)
    traffic: Traffic = msgspec.field(default_factory=Traffic)
    dialects: dict[str, str] = msgspec.field(default_factory=dict)
    standings: dict[str, Standing] = msgspec.field(default_factory=dict)


def checkpoint(live: Live) -> bytes:
    """Return what a restart needs of a vehicle's committed state."""
    return msgspec.json.encode(
        Checkpoint(
            live.state,
            live.position_seq,
            live.last_seen,
            live.transport,
            live.rhythm,
            live.traffic,
            live.dialects,
            live.standings,
        )
    )


def restored(vehicle: Vehicle, rules: Rules, journal: Journal, saved: tuple[int, bytes]) -> Live:
    """Return a vehicle as its checkpoint (seq, body) and the rows after it have left it.

    What cannot be read is said and left out. Raises StorageError where the journal cannot be.
    """
    live = Live(vehicle, rules)
    seq, body = saved
    if body:
        try:
            known = msgspec.json.decode(body, type=Checkpoint)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            _log.error("%s: folded anew from its whole history: %s", vehicle.key, error)
            seq = 0
        else:
            live.folded = live.state = known.state
            live.position_seq, live.last_seen = known.position_seq, known.last_seen
            live.transport, live.seq = known.transport, seq
            live.rhythm, live.traffic = known.rhythm, known.traffic
            live.dialects, live.standings = known.dialects, known.standings
    while page := journal.entries_of(vehicle.key, seq, PAGE):
        for seq, _, received_at, content in page:
            try:
                row = record.decode(content)
            except StorageError as error:
                _log.error("%s: row %d is left out: %s", vehicle.key, seq, error)
                continue
            live.settle(seq, live.fold(row).state)
            if isinstance(row, Record):
                live.transport, live.last_seen = row.transport, received_at
    live.unsaved = 0
    return live
