"""What travels over MQTT: topics, payloads, and the entities made of them. Standard library only.

One declaration, several renderers: the bridge makes Home Assistant discovery out of it, a component
its entity descriptions, the documentation its tables. Nothing in here knows of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypedDict

SCHEMA = 1
"""Version of the payloads below; raised when a field changes its meaning or goes away."""

PROJECT_URL = "https://github.com/tk103b-bridge/tk103b-bridge"
MANUFACTURER = "TK103B Bridge"

ONLINE = "online"
OFFLINE = "offline"

LINK_STATES = ("connected", "asleep", "lost")

Owner = Literal["discovery", "component", "off"]
OWNERS: tuple[Owner, ...] = ("discovery", "component", "off")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one bridge; `base` has no wildcard and no slash at its ends."""

    base: str

    @property
    def bridge_state(self) -> str:
        """Retained, and the last will: `online` or `offline`."""
        return f"{self.base}/bridge/state"

    @property
    def bridge_info(self) -> str:
        """Retained `Info`."""
        return f"{self.base}/bridge/info"

    @property
    def bridge_discovery(self) -> str:
        """Retained `Discovery`: what a component needs to find this bridge."""
        return f"{self.base}/bridge/discovery"

    @property
    def bridge_devices(self) -> str:
        """Retained `Devices`: vehicles and guests."""
        return f"{self.base}/bridge/devices"

    @property
    def bridge_event(self) -> str:
        """`Happening`: what happened, once."""
        return f"{self.base}/bridge/event"

    @property
    def bridge_health(self) -> str:
        """Retained `Health`, every minute."""
        return f"{self.base}/bridge/health"

    def request(self, verb: str) -> str:
        """Return where a request is sent to; ``#`` for all of them."""
        return f"{self.base}/bridge/request/{verb}"

    def response(self, verb: str) -> str:
        """Return where its answer appears."""
        return f"{self.base}/bridge/response/{verb}"

    @property
    def sms_in(self) -> str:
        """`TextMessage`s that a gateway has received."""
        return f"{self.base}/sms/in"

    @property
    def sms_out(self) -> str:
        """`TextMessage`s for a gateway to send."""
        return f"{self.base}/sms/out"

    def vehicle(self, key: str, leaf: str) -> str:
        """Return a topic of one vehicle; `leaf` is one of `VEHICLE_LEAVES`."""
        return f"{self.base}/vehicle/{key}/{leaf}"


VEHICLE_LEAVES: dict[str, bool] = {
    "position": True,
    "state": True,
    "alarm": False,
    "last_alarm": True,
    "report": False,
    "history": False,
    "trip": False,
    "command": False,
    "command/result": False,
}
"""The topics below ``vehicle/<key>/`` and whether they are retained."""


class Position(TypedDict, total=False):
    """``position``: the last good live fix. Times are RFC 3339 UTC."""

    latitude: float
    longitude: float
    gps_accuracy: int
    altitude_m: float
    speed_kmh: float
    course_deg: float
    satellites: int
    fix_time: str
    received_at: str
    journalled: bool
    """False: it could not be written to the disk yet; then it has no epoch and no seq."""
    epoch: str
    seq: int


class AlarmPayload(TypedDict, total=False):
    """``alarm`` and ``last_alarm``: one episode that began. `late`: it is old news."""

    event_type: str
    time: str
    received_at: str
    latitude: float
    longitude: float
    keyword: str
    episode: int
    count: int
    late: bool
    journalled: bool
    epoch: str
    seq: int


class Episode(TypedDict):
    """An alarm that has not ended, as ``state`` shows it."""

    since: str
    last: str
    count: int
    episode: int


class Where(TypedDict):
    """A place on the map."""

    latitude: float
    longitude: float


class TripPayload(TypedDict, total=False):
    """``trip``: one that has ended; in ``state`` the one that runs, and the latest before it.

    `late`: it ended long ago, or late points have changed it. Then it stands in the place of every
    trip of this vehicle that began between its own start and end.
    """

    started_at: str
    ended_at: str
    duration_s: int
    distance_km: float
    max_speed_kmh: float
    mean_speed_kmh: float
    start: Where
    end: Where
    by: str
    """What told its beginning and end: `ignition` or `motion`."""
    late: bool
    journalled: bool
    epoch: str
    seq: int


CommandStatus = Literal["queued", "sent", "acknowledged", "refused", "postponed", "timed_out"]


class CommandResult(TypedDict, total=False):
    """``command/result``: one step of a command. After one that is `final` no other follows.

    A `postponed` one is final, and may still be acknowledged when the tracker has obeyed.
    """

    id: str
    """Given by the bridge; the same in every step of a command."""
    command: str
    status: CommandStatus
    final: bool
    at: str
    reason: str
    """Why it was refused or timed out: a word that the documentation explains."""
    error: str
    """What is wrong with a command that could not be read."""
    answer: str
    """The tracker's own words."""
    advice: str
    """What to try, where nothing has answered, or the tracker has no word for it."""
    via: str
    """How it was sent: tcp, udp or sms."""
    transaction: str | float
    """As whoever gave it named it."""
    epoch: str
    seq: int


TextMessage = TypedDict(
    "TextMessage", {"from": str, "to": str, "text": str, "time": str, "id": str}, total=False
)
"""``sms/in`` (from, text, time) and ``sms/out`` (to, text, and the id of the command in it)."""


class State(TypedDict, total=False):
    """``state``: everything folded. What is absent is unknown."""

    name: str
    link: str
    private: bool
    """True: no place leaves the bridge, only what happens."""
    ignition: bool
    door_open: bool
    external_power: bool
    charging: bool
    armed: bool
    engine_cut: bool
    motion: bool
    battery_percent: float
    battery_v: float
    external_v: float
    fuel_percent: float
    temperature_c: float
    odometer_km: float
    gsm_percent: int
    obd_speed_kmh: float
    rpm: int
    speed_kmh: float
    course_deg: float
    altitude_m: float
    satellites: int
    hdop: float
    last_seen: str
    fix_time: str
    accuracy_m: int
    parked_since: str
    trip: TripPayload
    last_trip: TripPayload
    clock_skew_s: int
    interval_s: float
    day_kb: float
    month_mb: float
    protocol: str
    transport: str
    alarms: dict[str, Episode]
    cell: dict[str, int]
    journalled: bool
    epoch: str
    seq: int


class Response(TypedDict, total=False):
    """The answer to a request."""

    transaction: Any
    status: Literal["ok", "error"]
    data: Any
    error: str


class Info(TypedDict, total=False):
    """``bridge/info``."""

    version: str
    schema: int
    instance: str
    namespace: str
    epoch: str
    listen: list[str]
    protocols: list[str]
    entities: Owner
    permit_join: bool
    permit_join_end: str
    log_level: str
    """From which level on is logged now."""
    restart_required: bool
    """Options were changed that hold only when the bridge has started anew."""
    config: dict[str, Any]


class Discovery(TypedDict):
    """``bridge/discovery``: small, and the same until the bridge is another one."""

    instance: str
    namespace: str
    schema: int
    base_topic: str


EventKind = Literal[
    "tracker_pending", "tracker_accepted", "vehicle_removed", "connected", "disconnected",
    "duplicate_session", "join_contested", "alarm_acknowledged", "wrong_time_zone", "upload",
    "overtaken", "duplicate_bridge",
]  # fmt: skip


class Happening(TypedDict, total=False):
    """``bridge/event``: what happened, once. Which fields there are depends on the type."""

    type: EventKind
    at: str
    vehicle: str
    """Its key."""
    id: str
    """The tracker's."""
    transport: str
    protocol: str
    """Empty where the tracker has not said anything yet."""
    ids: list[str]
    """Of the trackers that came while one was let in: none of them was."""
    alarms: str
    """Kinds that a person has seen, with commas between."""
    minutes: str
    """How far the zone of the tracker's clock is from UTC."""
    day: str
    """Of the memory card that is being uploaded."""
    points: int
    """So many have come up to now."""
    done: bool
    """Whether that was all."""
    sink: str
    """The output that was behind."""
    count: int
    """So many reports were removed before it had them."""


class Guest(TypedDict, total=False):
    """An unknown tracker that reports, waiting to be accepted."""

    id: str
    first_seen: str
    last_seen: str
    protocol: str
    transport: str
    reports: int
    has_position: bool


class VehicleRow(TypedDict, total=False):
    """A vehicle in ``bridge/devices``."""

    key: str
    name: str
    owner: str
    icon: str
    trackers: list[str]
    protocol: str
    first_seen: str
    last_seen: str
    reports: list[str]
    """Fields of a fix or status that its tracker has given at least once."""
    alarms: list[str]
    """Alarm kinds that have rung at least once."""
    commands: list[str]
    """What its tracker obeys and its owner allows."""
    private: bool
    """True: no place leaves the bridge."""
    advice: str
    """What its owner should tell the tracker, where its clock is set to a wrong time zone."""


class Devices(TypedDict):
    """``bridge/devices``."""

    vehicles: list[VehicleRow]
    guests: list[Guest]


class Sources(TypedDict):
    """From where accepted trackers came in the last day, as numbers: no address is told."""

    trackers: int
    addresses: int
    shared: int
    """Addresses that may stand for many: private ones, a carrier's NAT."""


class Health(TypedDict, total=False):
    """``bridge/health``."""

    at: str
    uptime_s: int
    rss_mb: float
    messages_per_s: float
    journal_lag: dict[str, int]
    journal_fault: str
    rejected: int
    """Frames and openings that nobody understood."""
    refused: int
    """Connections, datagrams and trackers that limits or people kept out."""
    replies_dropped: int
    """Answers too long or too late for a datagram."""
    lost: int
    """Reports that found no place while the journal could not be written."""
    overtaken: int
    """Reports that were removed for want of space before the broker had them."""
    unpublished: int
    """Messages that the broker refused: its access rules are wrong."""
    connections: int
    sources: Sources
    vehicles_connected: int
    guests: int


# --- entities -------------------------------------------------------------------------------------

Platform = Literal["device_tracker", "binary_sensor", "sensor", "event", "switch", "button"]
Source = Literal["position", "state", "alarm", "trip", "health", "info", "devices", "bridge_state"]
Category = Literal["diagnostic", "config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity of a vehicle or of the bridge, whoever renders it.

    `field` is a dotted path in the payload of `source`. An entity with `always` exists from the
    start, one with `commands` where its tracker obeys them, another once its field was reported.
    Ids join vehicle and entity with ``_``, so no key may end in ``_`` and another key of its
    platform: two vehicles could meet in one id.
    """

    key: str
    platform: Platform
    name: str | None
    source: Source
    field: str = ""
    always: bool = False
    device_class: str | None = None
    unit: str | None = None
    state_class: str | None = None
    category: Category | None = None
    enabled: bool = True
    precision: int | None = None
    options: tuple[str, ...] = ()
    icon: str | None = None
    alarm: str = ""
    """The alarm kind whose episode a binary sensor shows; its entity appears when it first rang."""
    on: str = ""
    """The text that means on, for a binary sensor whose field is a text."""
    commands: tuple[str, ...] = ()
    """What a press sends, or switching on and off; its tracker must obey them all."""
    component_only: bool = False
    """MQTT discovery has no words for it."""

    def unique_id(self, device: str) -> str:
        """Return what Home Assistant knows it by, for ever; `device` as of `device_id`."""
        return f"{device}_{self.key}"

    def default_entity_id(self, prefix: str) -> str:
        """Return its id at first registration; `prefix` is a vehicle's key, the bridge's device."""
        name = prefix if self.platform == "device_tracker" else f"{prefix}_{self.key}"
        return f"{self.platform}.{name}"


BRIDGE_KEY = "bridge"
"""Stands for the bridge where a vehicle has its key; no vehicle is called so."""


def device_id(namespace: str, key: str) -> str:
    """Return a device's identifier, which begins the unique ids of its entities."""
    return f"{namespace}_{key}"


_binary = partial(Entity, platform="binary_sensor", source="state")
_sensor = partial(Entity, platform="sensor", source="state")
_measure = partial(_sensor, state_class="measurement")
_detail = partial(_measure, category="diagnostic", enabled=False)
_moment = partial(_sensor, device_class="timestamp", category="diagnostic", always=True)
_health = partial(Entity, platform="sensor", source="health", always=True)
_gauge = partial(_health, state_class="measurement")


def _alarm(kind: str, name: str, device_class: str, *, always: bool = False) -> Entity:
    return _binary(key=f"{kind}_alarm", name=name, field=f"alarms.{kind}", alarm=kind,
                   device_class=device_class, always=always)  # fmt: skip


ALARM_ENTITIES: tuple[Entity, ...] = (
    _alarm("sos", "SOS", "safety", always=True),
    _alarm("accident", "Accident", "safety"),
    _alarm("fall_down", "Fall", "safety"),
    _alarm("tampering", "Tampering", "tamper"),
    _alarm("removing", "Tracker removed", "tamper"),
    _alarm("jamming", "Jamming", "tamper"),
    _alarm("power_cut", "External power cut", "problem"),
    _alarm("door", "Door alarm", "safety"),
    _alarm("bonnet", "Bonnet alarm", "safety"),
    _alarm("vibration", "Vibration", "vibration"),
    _alarm("movement", "Moved while parked", "motion"),
    _alarm("fuel_leak", "Fuel leak", "problem"),
    _alarm("foot_brake", "Foot brake alarm", "safety"),
    _alarm("geofence_exit", "Left the fence", "problem"),
    _alarm("geofence_enter", "Entered the fence", "problem"),
    _alarm("geofence", "Fence alarm", "problem"),
    _alarm("overspeed", "Overspeed", "problem"),
    _alarm("temperature", "Temperature alarm", "heat"),
    _alarm("fault", "Engine fault", "problem"),
    _alarm("low_battery", "Tracker battery low", "battery"),
    _alarm("low_power", "Vehicle battery low", "battery"),
    _alarm("power_off", "Tracker switched off", "problem"),
    _alarm("hard_acceleration", "Hard acceleration", "problem"),
    _alarm("hard_braking", "Hard braking", "problem"),
    _alarm("hard_cornering", "Hard cornering", "problem"),
    _alarm("low_speed", "Low speed", "problem"),
    _alarm("idle", "Idling", "problem"),
)
"""One for each alarm kind: on from the first ring of an episode to its end."""

ALARM_KINDS: tuple[str, ...] = tuple(entity.alarm for entity in ALARM_ENTITIES)

TRIP_EVENTS = ("ended", "corrected")
"""What a trip event says: one has ended, or late points have changed it."""
IGNITION_EVENTS = ("on", "off")

ENTITIES: tuple[Entity, ...] = (
    Entity(key="tracker", platform="device_tracker", name=None, source="position", always=True,
           icon="mdi:car"),
    Entity(key="alarm", platform="event", name="Alarm", source="alarm", always=True,
           options=ALARM_KINDS, icon="mdi:alarm-light"),
    Entity(key="trip", platform="event", name="Trip", source="trip", always=True,
           options=TRIP_EVENTS, icon="mdi:map-marker-path"),
    Entity(key="ignition_change", platform="event", name="Ignition switched", source="state",
           field="ignition", always=True, options=IGNITION_EVENTS, icon="mdi:key",
           component_only=True),
    Entity(key="private", platform="switch", name="Private mode", source="state", field="private",
           always=True, category="config", icon="mdi:incognito"),
    Entity(key="acknowledge", platform="button", name="Acknowledge alarms", source="devices",
           always=True, icon="mdi:bell-check"),
    Entity(key="locate", platform="button", name="Locate", source="devices",
           commands=("request_position",), icon="mdi:crosshairs-gps"),
    Entity(key="resume_engine", platform="button", name="Resume engine", source="devices",
           commands=("engine_resume",), icon="mdi:engine-outline"),
    Entity(key="guard", platform="switch", name="Guard", source="state", field="armed",
           commands=("arm", "disarm"), icon="mdi:shield-car"),
    _binary(key="ignition", name="Ignition", field="ignition", always=True,
            device_class="running", icon="mdi:engine"),
    _binary(key="motion", name="Motion", field="motion", always=True, device_class="moving"),
    _binary(key="connectivity", name="Connection", field="link", on="connected", always=True,
            device_class="connectivity", category="diagnostic"),
    _binary(key="door", name="Door", field="door_open", device_class="door"),
    _binary(key="external_power", name="External power", field="external_power",
            device_class="power", category="diagnostic"),
    _binary(key="charging", name="Charging", field="charging",
            device_class="battery_charging", category="diagnostic"),
    _binary(key="armed", name="Armed", field="armed", icon="mdi:shield-car"),
    _binary(key="engine_cut", name="Engine cut", field="engine_cut", icon="mdi:engine-off"),
    *ALARM_ENTITIES,
    _measure(key="battery", name="Tracker battery", field="battery_percent", always=True,
             device_class="battery", unit="%", precision=0, category="diagnostic"),
    _detail(key="battery_voltage", name="Tracker battery voltage", field="battery_v",
            device_class="voltage", unit="V", precision=2),
    _measure(key="external_voltage", name="Vehicle voltage", field="external_v",
             device_class="voltage", unit="V", precision=1, category="diagnostic"),
    _measure(key="speed", name="Speed", field="speed_kmh", device_class="speed", unit="km/h",
             precision=0),
    _measure(key="fuel", name="Fuel", field="fuel_percent", unit="%", precision=0,
             icon="mdi:gas-station"),
    _measure(key="temperature", name="Temperature", field="temperature_c",
             device_class="temperature", unit="°C", precision=1),
    _sensor(key="odometer", name="Odometer", field="odometer_km", device_class="distance",
            unit="km", state_class="total_increasing", precision=0, icon="mdi:counter",
            always=True),
    _sensor(key="trip_distance", name="Trip distance", field="trip.distance_km",
            device_class="distance", unit="km", state_class="measurement", precision=1,
            icon="mdi:map-marker-distance", always=True),
    _detail(key="speedometer", name="Speedometer", field="obd_speed_kmh", device_class="speed",
            unit="km/h", precision=0),
    _detail(key="rpm", name="Engine speed", field="rpm", unit="rpm", precision=0,
            icon="mdi:engine"),
    _detail(key="course", name="Course", field="course_deg", unit="°",
            state_class="measurement_angle", precision=0, icon="mdi:compass"),
    _detail(key="altitude", name="Altitude", field="altitude_m", device_class="distance",
            unit="m", precision=0, icon="mdi:image-filter-hdr"),
    _detail(key="satellites", name="Satellites", field="satellites", icon="mdi:satellite-variant"),
    _detail(key="signal", name="GSM signal", field="gsm_percent", unit="%", icon="mdi:signal"),
    _sensor(key="link", name="Link", field="link", device_class="enum", options=LINK_STATES,
            always=True, category="diagnostic", icon="mdi:access-point"),
    _detail(key="clock_skew", name="Clock skew", field="clock_skew_s", device_class="duration",
            unit="s", icon="mdi:clock-alert"),
    _detail(key="data_month", name="Mobile data a month", field="month_mb",
            device_class="data_size", unit="MB", precision=1, icon="mdi:sim"),
    _moment(key="parked_since", name="Parked since", field="parked_since"),
    _moment(key="last_fix", name="Last fix", field="fix_time"),
    _moment(key="last_seen", name="Last seen", field="last_seen"),
)  # fmt: skip
"""The entities of a vehicle."""

BRIDGE_ENTITIES: tuple[Entity, ...] = (
    Entity(key="online", platform="binary_sensor", name="Connection", source="bridge_state",
           on=ONLINE, always=True, device_class="connectivity", category="diagnostic",
           component_only=True),
    Entity(key="permit_join", platform="switch", name="Accept the next new tracker", source="info",
           field="permit_join", always=True, category="config", icon="mdi:account-plus"),
    _gauge(key="connected", name="Vehicles connected", field="vehicles_connected",
           icon="mdi:car-connected"),
    _gauge(key="guests", name="Trackers waiting", field="guests", icon="mdi:account-question"),
    _gauge(key="connections", name="Connections", field="connections", category="diagnostic",
           icon="mdi:lan-connect"),
    _gauge(key="message_rate", name="Message rate", field="messages_per_s", unit="msg/s",
           precision=1, category="diagnostic", enabled=False, icon="mdi:speedometer"),
    _health(key="rejected", name="Rejected frames", field="rejected", icon="mdi:cancel",
            state_class="total_increasing", category="diagnostic"),
    _gauge(key="journal_lag", name="Journal lag", field="journal_lag.mqtt", category="diagnostic",
           icon="mdi:tray-full"),
)  # fmt: skip
"""The entities of the bridge itself. The key of its switch is the verb of the request it makes."""

GUEST_SLOTS = 3
"""For how many waiting trackers the bridge shows an Accept and a Block button."""
