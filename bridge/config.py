"""Configuration: YAML and environment in, one frozen `Config` out; every default and limit is here.

    file, environment --yamlfile--> text with origins --options, voluptuous--> Config

An option is a field: its annotation carries the check that reads the text, its value the default.
A mistake becomes a ConfigError that says where it stands and what would be right; of several the
first is raised and the others are its notes (``__notes__``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_type_hints

import voluptuous as vol

from bridge import options, yamlfile
from bridge.danger import MOST_SPEED_KMH
from bridge.errors import ConfigError
from bridge.options import HIDDEN, Mistake, Network, Secret, one_of, switch, whole
from bridge.protocols.connection import DEFAULT_DETECTION_BYTES, DEFAULT_FRAME_BYTES
from bridge.protocols.framing import WINDOW
from bridge.yamlfile import Document, Trail, Value, dotted

DEFAULT_FILE = Path("tk103b-bridge.yaml")

ProtocolVersion = Literal["auto", "5", "3.1.1"]
EntityOwner = Literal["discovery", "component", "off"]
UnknownTracker = Literal["pending", "accept", "ignore"]
Dialect = Literal["letters", "numbers", "frames", "sms", "powercar", "s71", "d1", "relay", "dyd"]
SmsFamily = Literal["coban", "xexun", "kxtech", "h02"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "text", "json"]


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
    tls: Annotated[Tls | None, vol.All(_tls_switch, vol.Any(None, _section(Tls)))] = None
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
    positions: Annotated[Mapping[str, int], _some_of(Positions)] = field(default_factory=dict)
    trips: Annotated[Mapping[str, int], _some_of(Trips)] = field(default_factory=dict)
    history: Annotated[Mapping[str, int], _some_of(History)] = field(default_factory=dict)
    """What is different for this vehicle."""
    phone: Annotated[Secret | None, options.phone] = None
    """Of the SIM card in its tracker."""
    password: Annotated[Secret | None, options.tracker_password] = None
    """Of its tracker, six digits."""
    dialect: Annotated[str, one_of(Dialect)] = ""
    """Which words its tracker obeys, where that does not show in its reports."""
    sms_family: Annotated[str, one_of(SmsFamily)] = ""
    """Which words it obeys as text messages; empty: those of its protocol."""
    commands: Annotated[Permits, _section(Permits)] = Permits()
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
    vehicles: Annotated[tuple[VehicleConfig, ...], _vehicles()] = ()
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
        return {name: _shown(getattr(self, name), (name,), self.hidden) for name in SECTIONS}


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration. Without a path: `DEFAULT_FILE` where there is one, else the defaults.

    Raises ConfigError for the first mistake in the file's order; the others are its notes.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    document = yamlfile.read(path, environ) if path else Document()
    yamlfile.override(document, environ)
    try:
        given = _SCHEMA(document.value)
    except vol.MultipleInvalid as invalid:
        # No check raises anything but a Mistake, and unknown keys are ours to refuse.
        mistakes = [_error(document, fault) for fault in cast(list[Mistake], invalid.errors)]
    else:
        vehicles = tuple(
            VehicleConfig(
                key=key,
                where=document.origin(("vehicles", key)).where,
                given=frozenset(values),
                **values,
            )
            for key, values in given.pop("vehicles", {}).items()
        )
        config = Config(
            **given,
            vehicles=vehicles,
            hidden=frozenset(document.secrets),
            named=_named(document),
        )
        mistakes = list(_ids_with_two_places(config, document))
        if not mistakes:
            return config
    first, *others = sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line or 0))
    for other in others:
        first.add_note(str(other))
    raise first


def check(section: str, option: str, value: Value) -> object:
    """Return what the text of one option becomes. Raises ConfigError, as `load` does for a file."""
    try:
        given = _SCHEMA({section: {option: value}})
    except vol.MultipleInvalid as invalid:
        raise _error(Document(), cast(list[Mistake], invalid.errors)[0]) from None
    return getattr(given[section], option)


def _named(document: Document) -> dict[Trail, str]:
    """Return where the options of sections stand; one without a value counts as left out."""
    blocks = document.value if isinstance(document.value, dict) else {}
    return {
        (section, option): document.origin((section, option)).where
        for section, block in blocks.items()
        if section in SECTIONS and isinstance(block, dict)
        for option, value in block.items()
        if value is not None
    }


_PRIVATE: frozenset[Trail] = frozenset(
    {("mqtt", "username"), ("access", "allow"), ("access", "block")}
)


def _shown(value: object, trail: Trail, hidden: frozenset[Trail]) -> object:
    """Return a value as JSON: stars for a secret, and for what was read from one."""
    if is_dataclass(value):
        inner = ((option.name, (*trail, option.name)) for option in fields(value))
        return {
            name: _shown(getattr(value, name), place, hidden)
            for name, place in inner
            if place not in _PRIVATE
        }
    if value is None:
        return None
    if trail in hidden:
        return HIDDEN
    if isinstance(value, tuple):
        return [_shown(one, (*trail, index), hidden) for index, one in enumerate(value)]
    return value if isinstance(value, bool | int | float) else str(value)


def _error(document: Document, fault: Mistake) -> ConfigError:
    """Say where an option stands; its text is quoted only where it was typed in the open."""
    trail = cast(Trail, tuple(fault.path))
    origin = document.origin(trail)
    sentence = f"{dotted(trail) or 'the configuration'} {fault.msg}"
    if fault.got is not None and origin.literal:
        sentence += f", not {fault.got[:40]!r}"
    return ConfigError(sentence, file=origin.file, line=origin.line, hint=fault.hint)


def _ids_with_two_places(config: Config, document: Document) -> Iterator[ConfigError]:
    """Yield an error for each tracker id in two vehicles, or both let in and blocked."""
    lists: list[tuple[Trail, tuple[str, ...]]] = [
        (("access", "block"), config.access.block),
        (("access", "allow"), config.access.allow),
        *((("vehicles", car.key, "trackers"), car.trackers) for car in config.vehicles),
    ]
    places: dict[str, Trail] = {}
    for trail, ids in lists:
        for index, tracker in enumerate(ids):
            here: Trail = (*trail, index)
            other = places.get(tracker)
            if other is None or other[:2] == ("access", "allow"):
                places[tracker] = here
                continue
            origin = document.origin(here)
            yield ConfigError(
                f"tracker {tracker} stands in {dotted(trail)} and in {dotted(other[:-1])}",
                file=origin.file,
                line=origin.line,
                hint=f"the other is {document.origin(other).where}; keep one of the two",
            )


def _listening(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("tcp") is False and given.get("udp") is False:
        raise Mistake("must be on where tcp is off", at="udp")
    return given


def _certified(given: dict[str, Any]) -> dict[str, Any]:
    if "key" in given and "certificate" not in given:
        raise Mistake("needs a certificate beside it", at="key")
    return given


def _reached(given: dict[str, Any]) -> dict[str, Any]:
    if "password" in given and "username" not in given:
        raise Mistake("needs a username beside it", at="password")
    encrypted = given.get("tls") is not None
    defaults: dict[str, Any] = {"port": 8883} if encrypted else {}
    if encrypted or "username" in given:
        defaults["host"] = "127.0.0.1"
    return defaults | given


def _tls_switch(value: Value) -> dict[str, Value] | None:
    """``true`` is a block in which nothing is set."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {} if switch(value) else None
    raise Mistake("must be true, false or a block of options", hint="such as ca: ...")


_RULES = {Listen: _listening, Tls: _certified, Mqtt: _reached}
"""What the options of a section must be together."""


def _checks(section: type[Any]) -> dict[str, Any]:
    """Return option -> check of a section's fields, from their annotations."""
    hints = get_type_hints(section, include_extras=True)
    checks = {}
    for option in fields(section):
        hint = hints[option.name]
        if hint in SECTIONS.values():
            checks[option.name] = _section(hint)
        elif hasattr(hint, "__metadata__"):
            (checks[option.name],) = hint.__metadata__
    return checks


def _section(section: type[Any]) -> vol.All:
    rule = _RULES.get(section, dict)
    return vol.All(options.block(_checks(section), _HOMES), rule, lambda given: section(**given))


def _some_of(section: type[Any]) -> vol.All:
    """Return the check of a block that gives only what differs from the section of this name."""
    return vol.All(options.block(_checks(section), _HOMES), dict)


def _vehicles() -> vol.All:
    checks = _checks(VehicleConfig)
    checks["timezone"] = checks.pop("timezone_minutes")
    vehicle = vol.All(options.block(checks, _HOMES), _in_minutes)
    return vol.All(options.by_key, {options.vehicle_key: vehicle})


def _in_minutes(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "timezone_minutes" if name == "timezone" else name: value for name, value in given.items()
    }


SECTIONS: dict[str, type[Any]] = {
    section.name: type(section.default)
    for section in fields(Config)
    if is_dataclass(section.default)
}
"""The blocks of options, by their names."""


def _homes() -> dict[str, str]:
    """Return option -> where it belongs, for those who write it elsewhere."""
    places: dict[str, list[str]] = {}
    blocks = {**SECTIONS, "mqtt.tls": Tls, "vehicles.KEY": VehicleConfig}
    for name, section in blocks.items():
        for option in fields(section):
            places.setdefault(option.name.removesuffix("_minutes"), []).append(name)
    homes = {option: f"under {' or '.join(names)}" for option, names in places.items()}
    return homes | dict.fromkeys([*SECTIONS, "vehicles"], "at the left margin")


_HOMES = _homes()
_SCHEMA = vol.Schema(options.block(_checks(Config), _HOMES))
