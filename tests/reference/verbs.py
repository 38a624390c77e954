"""What each request takes and answers: what `bridge.requests` reads by hand, as types.

A test compares the fields with those that the code asks for, so none is missing or made up.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Required, TypedDict

from msgspec import Meta

from bridge.config import LogLevel
from bridge.contract import ALARM_KINDS, CommandResult, Health, Info, Owner, TripPayload
from bridge.gaps import Gap
from bridge.history import MOST_POINTS, MOST_TRIPS, Point, Stop
from bridge.smsplan import Family, Proof, Wish

Short = Annotated[str, Meta(max_length=80)]
Page = Annotated[int, Meta(ge=1, le=MOST_POINTS)]
TripsPage = Annotated[int, Meta(ge=1, le=MOST_TRIPS)]
AlarmKind = Annotated[str, Meta(extra_json_schema={"enum": [*ALARM_KINDS]})]


class PermitJoin(TypedDict, total=False):
    """The next new tracker is accepted, one."""

    time: Annotated[int, Meta(ge=0, le=900)]
    """Seconds; 254 if left out, 0 closes."""
    name: Short


class PermitJoinAnswer(TypedDict):
    """For how many seconds."""

    time: int


class Accept(TypedDict, total=False):
    """A tracker becomes a vehicle."""

    id: Required[Short]
    name: Short
    key: Short
    owner: Short
    waiting: bool
    """Only if it waits now."""


class AcceptAnswer(TypedDict):
    """The vehicle, and whether its tracker was waiting."""

    key: str
    name: str
    waited: bool


class Block(TypedDict, total=False):
    """A tracker is hung up on from now on."""

    id: Required[Short]
    waiting: bool
    """Only if it waits now."""


class BlockAnswer(TypedDict):
    """Which one."""

    id: str


class Remove(TypedDict, total=False):
    """The vehicle goes."""

    key: Required[Short]
    block: bool
    """And its trackers are hung up on."""
    purge: bool
    """And its history goes."""
    clear: bool
    """Its retained topics go; true if left out."""


class Vehicle(TypedDict):
    """Which vehicle."""

    key: str


class Rename(TypedDict):
    """Another name for people; the key stays."""

    key: Short
    name: Short


class RenameAnswer(TypedDict):
    """What it is called now."""

    key: str
    name: str


class Replace(TypedDict, total=False):
    """Another tracker for the same vehicle."""

    key: Required[Short]
    id: Required[Short]
    """Of the new one."""
    old: Short
    """Which one goes, where the vehicle has several."""


class ReplaceAnswer(TypedDict):
    """Its trackers now."""

    key: str
    trackers: list[str]


class Acknowledge(TypedDict, total=False):
    """A person has seen the alarm."""

    key: Required[Short]
    alarm: AlarmKind
    """All if left out."""


class AcknowledgeAnswer(TypedDict):
    """The alarms that were on."""

    key: str
    alarms: list[AlarmKind]


class Private(TypedDict, total=False):
    """No place of this vehicle leaves the bridge, or places do again."""

    key: Required[Short]
    enabled: bool
    """True if left out."""


class PrivateAnswer(TypedDict):
    """How it is now."""

    key: str
    enabled: bool


GetTrack = TypedDict(
    "GetTrack",
    {
        "key": Required[Short],
        "from": Short,
        "to": Short,
        "after": Short,
        "limit": Page,
        "all": bool,
    },
    total=False,
)  # fmt: skip
"""Where a vehicle has been; times are RFC 3339 with a zone."""

GetTrips = TypedDict(
    "GetTrips",
    {"key": Required[Short], "from": Short, "to": Short, "after": Short, "limit": TripsPage},
    total=False,
)
"""Its trips and the stops between them."""


class Track(TypedDict, total=False):
    """Points in the order of their own time."""

    points: Required[list[Point]]
    next: str
    """There is more: ask again with it as `after`."""


class Travels(TypedDict, total=False):
    """Trips, and the stops between them."""

    trips: Required[list[TripPayload]]
    stops: Required[list[Stop]]
    next: str
    """There is more: ask again with it as `after`."""


GetGaps = TypedDict("GetGaps", {"key": Required[Short], "from": Short, "to": Short}, total=False)
"""When a vehicle was silent while it moved: what its memory card may hold."""


class GetGapsAnswer(TypedDict):
    """Gaps, and the days they touch."""

    gaps: list[Gap]
    days: list[str]
    """For the command `upload_log`."""


class SmsStep(TypedDict):
    """A text to send, what the tracker answers to it, why it is sent and how sure that is."""

    text: str
    answer: str
    """Empty: not known."""
    why: str
    proof: Proof


class OutOfService(TypedDict):
    """What to send before the vehicle is sold, and what to do besides."""

    steps: list[SmsStep]
    notes: list[str]


class SmsPlan(TypedDict):
    """What to text a tracker, in this order, each when the one before was answered."""

    family: Family
    steps: list[SmsStep]
    warnings: list[str]
    unknown: list[str]
    out_of_service: OutOfService


class Capture(TypedDict):
    """The last frames of a tracker, redacted."""

    id: Short


class CaptureAnswer(TypedDict):
    """JSON lines."""

    lines: list[str]


class Entities(TypedDict, total=False):
    """Who makes the entities in Home Assistant."""

    owner: Required[Owner]
    confirmed: bool
    """The component has them now."""


class EntitiesAnswer(TypedDict):
    """Who does."""

    owner: Owner


class Log(TypedDict):
    """From which level on is logged, until the bridge restarts."""

    level: LogLevel


Chosen = dict[str, dict[str, bool | int | float | str]]
"""Options by section and name, as in the configuration."""


class Options(TypedDict):
    """Options are chosen, or with null no longer."""

    options: dict[str, dict[str, bool | int | float | str | None]]


class OptionsAnswer(TypedDict):
    """All that are chosen now, and whether some of them wait for a restart."""

    options: Chosen
    restart_required: bool


class Backup(TypedDict):
    """A file in the data folder."""

    path: str
    """In the data folder."""
    bytes: int
    sha256: str


class Nothing(TypedDict):
    """No fields."""


class Identity(TypedDict):
    """Which bridge this is."""

    nonce: str
    instance: str
    started_at: str


class Verb(NamedTuple):
    """The fields of a request, the `data` of its answer; what it does, where no type says it."""

    takes: Any
    answers: Any
    does: str = ""


VERBS: dict[str, Verb] = {
    "permit_join": Verb(PermitJoin, PermitJoinAnswer),
    "device/accept": Verb(Accept, AcceptAnswer),
    "device/block": Verb(Block, BlockAnswer),
    "device/remove": Verb(Remove, Vehicle),
    "device/rename": Verb(Rename, RenameAnswer),
    "device/replace": Verb(Replace, ReplaceAnswer),
    "device/acknowledge": Verb(Acknowledge, AcknowledgeAnswer),
    "device/private": Verb(Private, PrivateAnswer),
    "device/command": Verb(Nothing, CommandResult, "Give a tracker a command."),
    "get_track": Verb(GetTrack, Track),
    "get_trips": Verb(GetTrips, Travels),
    "get_gaps": Verb(GetGaps, GetGapsAnswer),
    "sms_plan": Verb(Wish, SmsPlan, "The texts that set a tracker up."),
    "capture": Verb(Capture, CaptureAnswer),
    "entities": Verb(Entities, EntitiesAnswer),
    "log": Verb(Log, Log),
    "options": Verb(Options, OptionsAnswer),
    "backup": Verb(Nothing, Backup, "Vehicles, history and configuration in a file."),
    "restart": Verb(Nothing, Nothing, "The bridge ends in good order and begins again."),
    "republish": Verb(Nothing, Nothing, "Everything retained is said once more."),
    "info": Verb(Nothing, Info, "What the bridge is, now."),
    "health_check": Verb(Nothing, Health, "How the bridge is, now."),
    "whoami": Verb(Nothing, Identity, "Which bridge serves this base topic."),
}
