"""The simulated box and its car: what it knows, senses and has been told, in no protocol."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum

from bridge.model import Alarm
from bridge.simulator.route import Place, Route

SAFE_CUT_KMH = 20.0
"""Coban boxes put an engine cut off until the car is slower (docs/protocols.md, commands)."""

FACTORY_PASSWORD = "123456"  # noqa: S105 - the one of every box as it leaves the factory

LOG_FRAMES = 1000
"""How many of its reports the box keeps on its card."""


class Dialect(StrEnum):
    """Which commands a gps103 box obeys, and with which word it reports."""

    LETTERS = "letters"
    NUMBERS = "numbers"
    BOTH = "both"


class Obedience(StrEnum):
    """What a box makes of the commands it hears."""

    OBEY = "obey"
    REFUSE = "refuse"
    """It does nothing, and says so where its protocol has a word for that."""
    SILENT = "silent"
    """It obeys and answers nothing."""
    DEAF = "deaf"
    """It hears none."""


class Happening(Enum):
    """What a box tells at once, between its reports."""

    IGNITION_ON = "ignition on"
    IGNITION_OFF = "ignition off"
    ENGINE_CUT = "engine cut"
    """A cut that had to wait for a low speed is done."""
    SPEEDING = "speeding"


class Wish(Enum):
    """What a command made the box want of its connection."""

    STAY = "stay"
    RECONNECT = "reconnect"
    LEAVE = "leave"


@dataclass(slots=True, kw_only=True)
class SimulatedTracker:
    """The whole state of one box. `advance` moves its clock; commands change the other fields."""

    device_id: str
    route: Route
    time: datetime
    """UTC, whole seconds: the GPS clock."""
    utc_offset_minutes: int = 0
    """How the box's own clock stands to UTC."""
    dialect: Dialect = Dialect.BOTH
    password: str = FACTORY_PASSWORD
    """Of its text messages, and of commands in their words."""
    refuses: bool = False
    """It carries no command out."""
    interval_s: float | None = 30.0
    """Time between reports; 0 without pause, None: none are sent."""
    driven_s: float = 0.0
    """Time spent on the route; it stands while the engine is cut."""
    place: Place = field(init=False)
    """Where the car is."""
    last_seen: Place = field(init=False)
    """Where the receiver last had a fix."""
    has_fix: bool = True
    armed: bool = False
    engine_cut: bool = False
    cut_postponed: bool = False
    heard_number: bool = False
    """The last command came as a number, so its answer does too."""
    speed_limit_kmh: float | None = None
    sleeps_when_parked: bool = False
    """"less gprs": silence while the ignition is off."""
    alarms: set[Alarm] = field(default_factory=set)
    """Raised and not acknowledged."""
    odometer_zero_km: float = 0.0
    storing: bool = False
    """The report being made is to be sent later."""
    binary_every: int = 0
    """Every so many reports one is a binary record, where the language has such; 0: none is."""
    numbered: int = 0
    """The number of the last frame, in languages that number them."""
    log: deque[tuple[date, bytes]] = field(default_factory=lambda: deque(maxlen=LOG_FRAMES))
    """Reports with the local day they were made on."""
    wish: Wish = Wish.STAY

    def __post_init__(self) -> None:
        self.place = self.last_seen = self.route.at(self.driven_s)

    @property
    def local_time(self) -> datetime:
        """The box's own clock, as it writes it."""
        return self.time + timedelta(minutes=self.utc_offset_minutes)

    @property
    def ignition(self) -> bool:
        """Whether the ignition is on."""
        return self.place.ignition

    @property
    def door_open(self) -> bool:
        """Whether a door is open."""
        return self.place.door_open or Alarm.DOOR in self.alarms

    @property
    def external_power(self) -> bool:
        """Whether the car's battery feeds the box."""
        return Alarm.POWER_CUT not in self.alarms

    @property
    def battery_percent(self) -> float:
        """What is left in the box's own battery."""
        return 10.0 if Alarm.LOW_BATTERY in self.alarms else 95.0

    @property
    def fuel_percent(self) -> float:
        """What is left of a tank that was four fifths full."""
        return max(80.0 - 0.08 * self.place.travelled_km, 5.0)

    @property
    def odometer_km(self) -> float:
        """Distance driven since it was set to zero."""
        return self.place.travelled_km - self.odometer_zero_km

    @property
    def asleep(self) -> bool:
        """Whether the box keeps silent."""
        return self.sleeps_when_parked and not self.ignition

    def advance(self, time: datetime) -> list[Happening]:
        """Move to `time` (never backwards) and return what happened on the way."""
        elapsed_s = (time - self.time).total_seconds()
        if elapsed_s <= 0:
            return []
        self.time = time
        before, was_cut = self.place, self.engine_cut
        if not was_cut:
            self.driven_s += elapsed_s
        place = self.route.at(self.driven_s)
        happened = []
        if self.cut_postponed and place.speed_kmh <= SAFE_CUT_KMH:
            self.cut_postponed, self.engine_cut = False, True
            happened.append(Happening.ENGINE_CUT)
        self.place = place._replace(speed_kmh=0.0) if self.engine_cut else place
        if self.has_fix:
            self.last_seen = self.place
        if self.place.ignition != before.ignition:
            turned_on = self.place.ignition
            happened.append(Happening.IGNITION_ON if turned_on else Happening.IGNITION_OFF)
        limit = self.speed_limit_kmh
        if limit is not None and before.speed_kmh <= limit < self.place.speed_kmh:
            happened.append(Happening.SPEEDING)
        return happened

    def next_number(self) -> int:
        """Number one more frame."""
        self.numbered += 1
        return self.numbered

    def cut_engine(self) -> None:
        """Cut now, whatever the speed."""
        self.engine_cut, self.cut_postponed = True, False
        self.place = self.place._replace(speed_kmh=0.0)

    def resume_engine(self) -> None:
        """Let the car go on, and forget a cut that waited."""
        self.engine_cut = self.cut_postponed = False

    def remember(self, frame: bytes) -> None:
        """Write a report to the card."""
        self.log.append((self.local_time.date(), frame))
