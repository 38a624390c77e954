"""What travels over MQTT: topics, payloads, and the entities made of them. Standard library only.

One declaration, several renderers: the bridge makes Home Assistant discovery out of it, a component
its entity descriptions, the documentation its tables. Nothing in here knows of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        """Retained, small and stable: what a component needs to find this bridge."""
        return f"{self.base}/bridge/discovery"

    @property
    def bridge_devices(self) -> str:
        """Retained `Devices`: vehicles and guests."""
        return f"{self.base}/bridge/devices"

    @property
    def bridge_event(self) -> str:
        """What happened, once: ``{"type": ..., "at": ..., ...}``."""
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
    epoch: str
    seq: int


class Episode(TypedDict):
    """An alarm that has not ended, as ``state`` shows it."""

    since: str
    last: str
    count: int
    episode: int


class State(TypedDict, total=False):
    """``state``: everything folded. What is absent is unknown."""

    name: str
    link: str
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
    protocol: str
    transport: str
    alarms: dict[str, Episode]
    cell: dict[str, int]
    epoch: str
    seq: int


class Response(TypedDict, total=False):
    """The answer to a request."""

    transaction: Any
    status: Literal["ok", "error"]
    data: Any
    error: str


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
    """Names of the entities its tracker has shown it can feed."""
    obeys: list[str]
    """Commands its tracker understands."""


class Devices(TypedDict):
    """``bridge/devices``."""

    vehicles: list[VehicleRow]
    guests: list[Guest]


class Health(TypedDict, total=False):
    """``bridge/health``."""

    at: str
    uptime_s: int
    rss_mb: float
    messages_per_s: float
    journal_lag: dict[str, int]
    journal_fault: str
    rejected: int
    connections: int
    vehicles_connected: int
    guests: int


# --- entities -------------------------------------------------------------------------------------

Platform = Literal["device_tracker", "binary_sensor", "sensor", "event", "switch", "button"]
Source = Literal["position", "state", "alarm", "health", "info", "devices"]
Category = Literal["diagnostic", "config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity of a vehicle or of the bridge, whoever renders it.

    `field` is a dotted path in the payload of `source`. The unique id is
    ``<namespace>_<key>_<entity key>``. An entity with `always` exists from the start, another one
    once its field has been reported.
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


def _binary(key: str, name: str, field: str, device_class: str | None, **more: Any) -> Entity:
    return Entity(
        key=key, platform="binary_sensor", name=name, source="state", field=field,
        device_class=device_class, **more,
    )  # fmt: skip


def _sensor(key: str, name: str, field: str, device_class: str | None, **more: Any) -> Entity:
    source = more.pop("source", "state")
    return Entity(
        key=key, platform="sensor", name=name, source=source, field=field,
        device_class=device_class, **more,
    )  # fmt: skip


def _alarm(kind: str, name: str, device_class: str | None, **more: Any) -> Entity:
    return _binary(f"{kind}_alarm", name, f"alarms.{kind}", device_class, alarm=kind, **more)


_DIAGNOSTIC: dict[str, Any] = {"category": "diagnostic"}
_HIDDEN: dict[str, Any] = {"category": "diagnostic", "enabled": False}
_MEASURED: dict[str, Any] = {"state_class": "measurement"}

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

ENTITIES: tuple[Entity, ...] = (
    Entity(
        key="tracker", platform="device_tracker", name=None, source="position", always=True,
        icon="mdi:car",
    ),
    Entity(
        key="alarm", platform="event", name="Alarm", source="alarm", always=True,
        options=ALARM_KINDS, icon="mdi:alarm-light",
    ),
    _binary("ignition", "Ignition", "ignition", "running", always=True, icon="mdi:engine"),
    _binary("motion", "Motion", "motion", "moving", always=True),
    _binary("connectivity", "Connection", "link", "connectivity", always=True, **_DIAGNOSTIC),
    _binary("door", "Door", "door_open", "door"),
    _binary("external_power", "External power", "external_power", "power", **_DIAGNOSTIC),
    _binary("charging", "Charging", "charging", "battery_charging", **_DIAGNOSTIC),
    _binary("armed", "Armed", "armed", None, icon="mdi:shield-car"),
    _binary("engine_cut", "Engine cut", "engine_cut", None, icon="mdi:engine-off"),
    *ALARM_ENTITIES,
    _sensor(
        "battery", "Tracker battery", "battery_percent", "battery", unit="%", always=True,
        **_MEASURED, **_DIAGNOSTIC,
    ),
    _sensor(
        "battery_voltage", "Tracker battery voltage", "battery_v", "voltage", unit="V",
        precision=2, **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "external_voltage", "Vehicle voltage", "external_v", "voltage", unit="V", precision=1,
        **_MEASURED, **_DIAGNOSTIC,
    ),
    _sensor(
        "speed", "Speed", "speed_kmh", "speed", unit="km/h", precision=0, **_MEASURED,
    ),
    _sensor(
        "fuel", "Fuel", "fuel_percent", None, unit="%", precision=0, icon="mdi:gas-station",
        **_MEASURED,
    ),
    _sensor(
        "temperature", "Temperature", "temperature_c", "temperature", unit="°C", precision=1,
        **_MEASURED,
    ),
    _sensor(
        "odometer", "Odometer", "odometer_km", "distance", unit="km", precision=0,
        state_class="total_increasing", icon="mdi:counter",
    ),
    _sensor(
        "obd_speed", "Speedometer", "obd_speed_kmh", "speed", unit="km/h", precision=0,
        **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "rpm", "Engine speed", "rpm", None, unit="rpm", precision=0, icon="mdi:engine",
        **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "course", "Course", "course_deg", None, unit="°", precision=0, icon="mdi:compass",
        **_HIDDEN,
    ),
    _sensor(
        "altitude", "Altitude", "altitude_m", "distance", unit="m", precision=0,
        **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "satellites", "Satellites", "satellites", None, icon="mdi:satellite-variant",
        **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "signal", "GSM signal", "gsm_percent", None, unit="%", icon="mdi:signal",
        **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "link", "Link", "link", "enum", options=LINK_STATES, always=True, icon="mdi:access-point",
        **_DIAGNOSTIC,
    ),
    _sensor("last_fix", "Last fix", "fix_time", "timestamp", always=True, **_DIAGNOSTIC),
    _sensor("last_seen", "Last seen", "last_seen", "timestamp", always=True, **_DIAGNOSTIC),
)  # fmt: skip
"""The entities of a vehicle."""

BRIDGE_ENTITIES: tuple[Entity, ...] = (
    Entity(
        key="permit_join", platform="switch", name="Accept the next new tracker", source="info",
        field="permit_join", always=True, category="config", icon="mdi:account-plus",
    ),
    _sensor(
        "connected", "Vehicles connected", "vehicles_connected", None, source="health",
        always=True, icon="mdi:car-connected", **_MEASURED,
    ),
    _sensor(
        "guests", "Trackers waiting", "guests", None, source="health", always=True,
        icon="mdi:account-question", **_MEASURED,
    ),
    _sensor(
        "connections", "Connections", "connections", None, source="health", always=True,
        icon="mdi:lan-connect", **_MEASURED, **_DIAGNOSTIC,
    ),
    _sensor(
        "message_rate", "Message rate", "messages_per_s", None, source="health", always=True,
        unit="1/s", precision=1, icon="mdi:speedometer", **_MEASURED, **_HIDDEN,
    ),
    _sensor(
        "rejected", "Rejected frames", "rejected", None, source="health", always=True,
        state_class="total_increasing", icon="mdi:cancel", **_DIAGNOSTIC,
    ),
    _sensor(
        "journal_lag", "Journal lag", "journal_lag.mqtt", None, source="health", always=True,
        icon="mdi:tray-full", **_MEASURED, **_DIAGNOSTIC,
    ),
)  # fmt: skip
"""The entities of the bridge itself; buttons for guests come and go with them."""

GUEST_SLOTS = 3
"""For how many waiting trackers the bridge shows an Accept and a Block button."""
