"""What may be shown to strangers who help: everything but where, who, and by what number.

Only what the contract names and this file does not hold back is shown: a field that a newer bridge
adds stays hidden until somebody has thought about it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from . import contract
from .const import CONF_ALARMS, CONF_STALE_AFTER_MIN
from .coordinator import BridgeCoordinator, Tk103bConfigEntry
from .entity import vehicle_of

PAYLOADS = (
    contract.AlarmPayload, contract.Devices, contract.Episode, contract.Guest, contract.Health,
    contract.Info, contract.Position, contract.Sources, contract.State, contract.TripPayload,
    contract.VehicleRow,
)  # fmt: skip

PRIVATE = frozenset({
    # Where it is, or has been.
    "latitude", "longitude", "altitude_m", "course_deg", "cell", "start", "end",
    # Whose it is. A key may be made of a tracker's number.
    "id", "trackers", "key", "name", "owner", "icon",
    # Which bridge it is, and where: addresses, and what its owner wrote.
    "instance", "namespace", "listen", "config", "advice", "keyword", "journal_fault",
})  # fmt: skip

SINKS = frozenset({"mqtt", "owntracks", "relay"})

SHOWN = (
    frozenset(name for payload in PAYLOADS for name in payload.__annotations__)
    | frozenset(contract.ALARM_KINDS)
    | SINKS
    | {CONF_ALARMS, CONF_STALE_AFTER_MIN}
) - PRIVATE

_HARMLESS = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"  # a moment
    r"|\d+\.\d+\.\d+"  # a version
)
_NUMBER = re.compile(r"\+?\d(?:[ /.()-]{0,2}\d){4,}")
"""A telephone's, a tracker's, an address of the Internet: five digits and more, however parted."""


async def async_get_config_entry_diagnostics(
    _hass: HomeAssistant, entry: Tk103bConfigEntry
) -> dict[str, Any]:
    """Return what is known of a bridge and of all its vehicles."""
    coordinator = entry.runtime_data
    return {
        "options": shown(entry.options),
        "bridge": _bridge(coordinator),
        "vehicles": [_vehicle(coordinator, key) for key in coordinator.vehicles],
    }


async def async_get_device_diagnostics(
    _hass: HomeAssistant, entry: Tk103bConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return what is known of one vehicle, or of the bridge alone."""
    coordinator = entry.runtime_data
    key = vehicle_of(coordinator.namespace, device)
    known = {"bridge": _bridge(coordinator)}
    return known if key is None else {**known, "vehicle": _vehicle(coordinator, key)}


def shown(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value with what is not to be shown redacted."""
    match value:
        case Mapping():
            known = SHOWN | PRIVATE
            return {
                name if name in known else "**": _field(name, held) for name, held in value.items()
            }
        case str():
            return value if _HARMLESS.fullmatch(value) else _NUMBER.sub("**", value)
        case Iterable():
            return [shown(one) for one in value]
    return value


def _field(name: str, held: Any) -> Any:  # noqa: ANN401 - JSON
    if name == "config":
        return _settings(held)
    return shown(held) if name in SHOWN else REDACTED


def _settings(held: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the numbers and switches of a configuration: its words are its owner's."""
    if isinstance(held, Mapping):
        return {name: _settings(value) for name, value in held.items()}
    return held if isinstance(held, int | float) else REDACTED


def _bridge(coordinator: BridgeCoordinator) -> dict[str, Any]:
    return {
        "online": coordinator.online,
        "info": shown(coordinator.info),
        "health": shown(coordinator.health),
        "guests": shown(coordinator.devices["guests"]),
    }


def _vehicle(coordinator: BridgeCoordinator, key: str) -> dict[str, Any]:
    if (vehicle := coordinator.vehicles.get(key)) is None:
        return {}
    leaves = ("row", "position", "state", "last_alarm")
    said = {leaf: shown(getattr(vehicle, leaf)) for leaf in leaves}
    return {**said, "removed": not coordinator.has_vehicle(key)}
