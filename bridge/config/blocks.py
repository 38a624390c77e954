"""Every option, its default and its limit, in the blocks in which a person writes them.

An option is a field: its annotation carries the check that reads the text, its value the default.
A field whose type is a block, or that is marked as made from one, is a block inside of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from bridge import options
from bridge.config.shown import shown
from bridge.danger import MOST_SPEED_KMH
from bridge.options import Network, Secret, one_of, switch, whole
from bridge.protocols.connection import DEFAULT_DETECTION_BYTES, DEFAULT_FRAME_BYTES
from bridge.protocols.framing import WINDOW
from bridge.yamlfile import Trail

ProtocolVersion = Literal["auto", "5", "3.1.1"]
EntityOwner = Literal["discovery", "component", "off"]
UnknownTracker = Literal["pending", "accept", "ignore"]
Dialect = Literal["letters", "numbers", "frames", "sms", "powercar", "s71", "d1", "relay", "dyd"]
SmsFamily = Literal["coban", "xexun", "kxtech", "h02"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "text", "json"]


@dataclass(frozen=True, slots=True)
class Switched:
    """Marks a block that may be a switch instead: ``true`` is one in which nothing is set."""

    block: type[Any]


@dataclass(frozen=True, slots=True)
class Differing:
    """Marks a block that gives only what differs from the one of all."""

    block: type[Any]


@dataclass(frozen=True, slots=True)
class Keyed:
    """Marks blocks of one kind, each under a key that the person has chosen."""

    block: type[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where trackers report to."""

    host: Annotated[str, options.host] = "0.0.0.0"  # noqa: S104 - trackers come from anywhere
    port: Annotated[int, whole(1, 65535)] = 8888
    tcp: Annotated[bool, switch] = True
    udp: Annotated[bool, switch] = True
    proxy_protocol: Annotated[tuple[Network, ...], options.NETWORKS] = ()
    """Proxies before the port that are believed when they say for whom they speak; none: off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How we trust the broker, and how it is to trust us. Without `ca`: the system's own."""

    ca: Annotated[Path | None, options.readable_file] = None
    certificate: Annotated[Path | None, options.readable_file] = None
    key: Annotated[Path | None, options.readable_file] = None
    insecure: Annotated[bool, switch] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """The broker. ``host=None``: none is configured, so 127.0.0.1 is tried, else our own started.

    A username, a password or TLS speaks of a broker that exists: the host is then 127.0.0.1. There
    is no client id: it is made of base topic, instance and process, so that two never collide.
    """

    host: Annotated[str | None, options.host] = None
    port: Annotated[int, whole(1, 65535)] = 1883
    """8883 where TLS is on."""
    username: Annotated[str | None, options.words(256)] = None
    password: Annotated[Secret | None, options.secret] = None
    tls: Annotated[Tls | None, Switched(Tls)] = None
    protocol: Annotated[ProtocolVersion, one_of(ProtocolVersion)] = "auto"
    base_topic: Annotated[str, options.topic] = "tk103b"
    keepalive: Annotated[int, whole(5, 3600)] = 60
    """Seconds; the broker announces our last will after one and a half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistant:
    """Who makes the entities there, and the prefix under which it looks for them."""

    entities: Annotated[EntityOwner, one_of(EntityOwner)] = "discovery"
    discovery_prefix: Annotated[str, options.topic] = "homeassistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Which fixes are believed. A vehicle may have its own."""

    max_speed_kmh: Annotated[int, whole(10, 1200)] = 300
    """Faster than any vehicle these trackers are put into: a fix that claims more is an error."""
    parked_radius_m: Annotated[int, whole(0, 5000)] = 100
    """How far a parked vehicle's receiver wanders between houses; 0: every fix moves the car."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """What is a trip. A vehicle may have its own."""

    min_distance_m: Annotated[int, whole(0, 100_000)] = 200
    """Less is moving the car in the yard."""
    min_stop_s: Annotated[int, whole(10, 86_400)] = 180
    """Longer than a red light; only for trackers that do not know the ignition."""
    gap_s: Annotated[int, whole(60, 86_400)] = 3600
    """Silence for so long ends a trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How much of the past is kept. A vehicle may have its own. Trips are kept for ever."""

    days: Annotated[int, whole(0, 36_500)] = 365
    """A year, so that a summer can be compared with the last one; 0: for ever."""
    mb: Annotated[int, whole(0, 1_000_000)] = 256
    """Of one vehicle: a million reports. It also bounds what a dead broker can pile up; 0: none."""
    thin_after_days: Annotated[int, whole(0, 36_500)] = 0
    """Older points are thinned to one in `thin_s`; 0: never."""
    thin_s: Annotated[int, whole(1, 86_400)] = 60
    """A point a minute still draws the road."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """How long commands to trackers wait."""

    ttl_s: Annotated[int, whole(10, 604_800)] = 3600
    """For a tracker that is away: where it was an hour ago nobody wants to know any more."""
    answer_s: Annotated[int, whole(5, 600)] = 60
    """For the tracker's answer: so long a slow network takes at most."""
    sms_answer_s: Annotated[int, whole(30, 3600)] = 300
    """The same for a text message, which may lie at the network for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """Which dangerous commands a vehicle may be given; see docs/commands.md."""

    engine_stop: Annotated[bool, switch] = False
    raw: Annotated[bool, switch] = False
    sms: Annotated[bool, switch] = True
    """Send commands by SMS where the tracker is not connected and its phone number is known."""
    max_speed_kmh: Annotated[int, whole(0, MOST_SPEED_KMH)] = 5
    """The engine is stopped at this speed at most: a receiver that stands shows up to 3 km/h."""
    min_session_s: Annotated[int, whole(60, 3600)] = 60
    """So old a connection must be before an engine stop is sent on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How a vehicle's tracker is spoken to."""

    phone: Secret | None = None
    password: Secret | None = None
    """The one of every box as it leaves the factory, where none is given."""
    dialect: str = ""
    sms_family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for one vehicle."""

    positions: Positions = Positions()
    trips: Trips = Trips()
    history: History = History()
    odometer_offset_km: float = 0.0
    commands: Permits = Permits()
    contact: Contact = Contact()


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleConfig:
    """A vehicle named in the configuration.

    `given` holds the names of the fields that stand there: they win and no request changes them.
    `where` says where the vehicle stands, ``file:line`` or an environment variable.
    """

    key: str
    name: Annotated[str | None, options.words(80)] = None
    owner: Annotated[str | None, options.words(80)] = None
    icon: Annotated[str | None, options.icon] = None
    trackers: Annotated[tuple[str, ...], options.TRACKER_IDS] = ()
    timezone_minutes: Annotated[int | None, options.utc_offset] = None
    """Offset of the trackers' local clock, written as `timezone`; None: unknown."""
    odometer_offset_km: Annotated[float, options.number(-9_999_999, 9_999_999)] = 0.0
    """Added to what is counted, or to what the tracker says, so that it shows the dashboard's."""
    positions: Annotated[Mapping[str, int], Differing(Positions)] = field(default_factory=dict)
    trips: Annotated[Mapping[str, int], Differing(Trips)] = field(default_factory=dict)
    history: Annotated[Mapping[str, int], Differing(History)] = field(default_factory=dict)
    """What is different for this vehicle."""
    phone: Annotated[Secret | None, options.phone] = None
    """Of the SIM card in its tracker."""
    password: Annotated[Secret | None, options.tracker_password] = None
    """Of its tracker, six digits."""
    dialect: Annotated[str, one_of(Dialect)] = ""
    """Which words its tracker obeys, where that does not show in its reports."""
    sms_family: Annotated[str, one_of(SmsFamily)] = ""
    """Which words it obeys as text messages; empty: those of its protocol."""
    commands: Permits = Permits()
    where: str = ""
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What becomes of trackers that belong to no vehicle."""

    unknown: Annotated[UnknownTracker, one_of(UnknownTracker)] = "pending"
    allow: Annotated[tuple[str, ...], options.TRACKER_IDS] = ()
    block: Annotated[tuple[str, ...], options.TRACKER_IDS] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """What the bridge does about alarms by itself."""

    auto_receipt: Annotated[bool, switch] = True
    """Confirm an SOS to the tracker once it is on disk, so that it stops repeating it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer, known or not, may take of us. The tracker port lies open to the internet."""

    connections: Annotated[int, whole(1, 100_000)] = 1000
    """TCP connections in all: just under the 1,024 open files that systems grant a process."""
    connections_per_address: Annotated[int, whole(1, 100_000)] = 50
    """A carrier's NAT, or one gateway before the bridge, shows many trackers as one address."""
    reserved_percent: Annotated[int, whole(0, 90)] = 10
    """Of the connections, for accepted trackers: no stranger takes them, so that in a flood a
    tracker that comes back need not wait until somebody is put out for it."""
    connects_per_min: Annotated[int, whole(1, 100_000)] = 60
    """New connections of one address, after twenty at once: more than a tracker dials where the
    network is bad. It does not hold where an accepted tracker came lately or many may share it."""
    ban_after: Annotated[int, whole(0, 1000)] = 10
    """Connections of one address in ten minutes that said nothing known: then it is kept out for a
    while. A tracker speaks at once; a person who tries things out has made fewer. 0: never."""
    detection_bytes: Annotated[int, whole(32, WINDOW)] = DEFAULT_DETECTION_BYTES
    """Longer than any legal opening; what has said nothing known by then is no tracker."""
    detection_s: Annotated[int, whole(1, 600)] = 30
    """A tracker may open the connection long before it speaks: the first thing said is its login,
    sent when the modem is ready. Half a minute is patience enough and bounds a silent scanner."""
    idle_s: Annotated[int, whole(60, 86_400)] = 1800
    """Heartbeats come each minute, but a sleeping tracker is silent, and hanging up would cost it
    a new dial-in. Mobile networks mostly forget an idle connection sooner than in half an hour:
    one silent for that long is dead at its other end."""
    frame_bytes: Annotated[int, whole(512, WINDOW)] = DEFAULT_FRAME_BYTES
    """About twice the longest frame known, a part of a photo."""
    frame_s: Annotated[int, whole(10, 3600)] = 120
    """In which an accepted tracker finishes a frame; a stranger has `detection_s`. A frame is a
    packet or two. What is missing for longer than TCP takes to repeat it a few times, in a tunnel
    say, will not come."""
    datagrams_per_s: Annotated[int, whole(1, 100_000)] = 20
    """From one address: enough for a dozen trackers behind one NAT that upload what they stored."""
    strange_datagrams_per_s: Annotated[int, whole(1, 100_000)] = 200
    """From all addresses together through which no accepted tracker came lately. To decode so
    many takes a hundredth of a core, and a flood whose senders are made up takes little more."""
    udp_sessions: Annotated[int, whole(1, 100_000)] = 1000
    """As many as connections; they must be bounded, since senders' addresses can be made up."""
    udp_session_s: Annotated[int, whole(30, 86_400)] = 600
    """Ten missed heartbeats; whoever comes later merely names himself anew."""
    udp_reply_extra_bytes: Annotated[int, whole(0, 1024)] = 64
    """How much longer than its question an answer may be. The sender can be forged: we must not
    multiply what is then sent to a stranger. Every legal answer fits."""
    udp_reply_s: Annotated[int, whole(1, 600)] = 10
    """The NAT may have given the port to somebody else, and the tracker has asked again by then."""
    guests: Annotated[int, whole(1, 1000)] = 20
    """Trackers waiting to be accepted: more than anybody sets up in one go."""
    guests_per_address: Annotated[int, whole(1, 1000)] = 5
    """So that one stranger with made-up ids cannot fill the waiting room."""
    live_age_s: Annotated[int, whole(30, 86_400)] = 600
    """Older than that is history: a tunnel takes less, and nobody is to be woken by old news."""
    publishes_in_flight: Annotated[int, whole(1, 1000)] = 20
    """Unacknowledged publishes, as many as Mosquitto takes; more would only wait there."""
    request_bytes: Annotated[int, whole(1024, 1_048_576)] = 16_384
    """Of one MQTT request: a hundred vehicles accepted at once fit."""
    journal_queue: Annotated[int, whole(10, 1_000_000)] = 1000
    """Reports kept in memory while the disk cannot be written: about a megabyte."""
    whoami_s: Annotated[float, options.number(0.1, 60)] = 2.0
    """How long to wait for another bridge on our base topic: a round trip on a busy machine."""
    permit_join_s: Annotated[int, whole(10, 900)] = 254
    """The time people know from their Zigbee bridge; 15 minutes at most, as it is an open door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where journal and registry lie. A relative path starts from the working directory."""

    path: Annotated[Path, options.path] = Path("tk103b-data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is logged and in which form; see `bridge.log.setup`."""

    level: Annotated[LogLevel, one_of(LogLevel)] = "info"
    format: Annotated[LogFormat, one_of(LogFormat)] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a person may choose. `hidden` are the options whose value came from a secret.

    `named` says where each option stands that was set: ``file:line``, or a variable. `waiting` are
    the options that were changed and will hold when the bridge has started anew.
    """

    listen: Listen = Listen()
    mqtt: Mqtt = Mqtt()
    home_assistant: HomeAssistant = HomeAssistant()
    vehicles: Annotated[tuple[VehicleConfig, ...], Keyed(VehicleConfig)] = ()
    positions: Positions = Positions()
    trips: Trips = Trips()
    history: History = History()
    access: Access = Access()
    alarms: Alarms = Alarms()
    commands: Commands = Commands()
    limits: Limits = Limits()
    storage: Storage = Storage()
    log: Log = Log()
    hidden: frozenset[Trail] = frozenset()
    named: Mapping[Trail, str] = field(default_factory=dict, compare=False, repr=False)
    waiting: tuple[str, ...] = field(default=(), compare=False)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must never be printed."""
        of_cars = (secret for car in self.vehicles for secret in (car.phone, car.password))
        return tuple(secret for secret in (self.mqtt.password, *of_cars) if secret is not None)

    def rules(self, key: str) -> Rules:
        """Return what holds for a vehicle: its own settings over those of all."""
        own = next((car for car in self.vehicles if car.key == key), VehicleConfig(key=key))
        return Rules(
            positions=replace(self.positions, **own.positions),
            trips=replace(self.trips, **own.trips),
            history=replace(self.history, **own.history),
            odometer_offset_km=own.odometer_offset_km,
            commands=own.commands,
            contact=Contact(
                phone=own.phone,
                password=own.password,
                dialect=own.dialect,
                sms_family=own.sms_family,
            ),
        )

    def public(self) -> dict[str, Any]:
        """Return JSON values for `bridge/info`: no secret, tracker id, vehicle or account."""
        return {name: shown(getattr(self, name), (name,), self.hidden) for name in SECTIONS}


SECTIONS: dict[str, type[Any]] = {
    section.name: type(section.default)
    for section in fields(Config)
    if is_dataclass(section.default)
}
"""The blocks of options, by their names."""
