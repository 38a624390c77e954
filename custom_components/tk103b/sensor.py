"""What is measured, counted or known of a vehicle and of the bridge."""

from __future__ import annotations

from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorStateClass,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .contract import Entity
from .coordinator import BridgeCoordinator, Tk103bConfigEntry
from .entity import (
    BridgeEntity,
    VehicleEntity,
    async_add_bridge_entities,
    async_add_vehicle_entities,
)

PARALLEL_UPDATES = 0

RESET_BELOW = 0.9
"""A total that falls below this part of itself began anew, as Home Assistant's statistics see it;
one that falls by less was corrected, and they would complain of it."""


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: Tk103bConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add those of the bridge and of each vehicle."""
    async_add_bridge_entities(entry, "sensor", async_add_entities, BridgeSensor)
    async_add_vehicle_entities(entry, "sensor", async_add_entities, _vehicle_sensor)


def _vehicle_sensor(coordinator: BridgeCoordinator, declared: Entity, key: str) -> VehicleSensor:
    is_total = declared.state_class == SensorStateClass.TOTAL_INCREASING
    return (VehicleTotal if is_total else VehicleSensor)(coordinator, declared, key)


class _DeclaredSensor(SensorEntity):
    """The part of a sensor that the table says, whatever it belongs to."""

    declared: Entity

    def _declare(self) -> None:
        declared = self.declared
        self._attr_native_unit_of_measurement = declared.unit
        self._attr_state_class = (
            SensorStateClass(declared.state_class) if declared.state_class else None
        )
        self._attr_suggested_display_precision = declared.precision
        self._attr_options = list(declared.options) or None

    def _shown(self, value: Any) -> StateType | datetime:  # noqa: ANN401 - JSON
        if self.declared.device_class == SensorDeviceClass.TIMESTAMP:
            return dt_util.parse_datetime(value or "")
        shown: StateType = value
        return shown


class BridgeSensor(BridgeEntity, _DeclaredSensor):
    """What the bridge counts of itself."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity) -> None:
        super().__init__(coordinator, declared)
        self._declare()

    @property
    @override
    def native_value(self) -> StateType | datetime:
        return self._shown(self.value)


class VehicleSensor(VehicleEntity, _DeclaredSensor):
    """A field of the state."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, key)
        self._declare()

    @property
    @override
    def native_value(self) -> StateType | datetime:
        return self._shown(self.value)


class VehicleTotal(VehicleSensor, RestoreSensor):
    """A field that only grows. Late points may correct it downwards: then it waits."""

    _highest: float | None = None

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        restored = await self.async_get_last_sensor_data()
        if restored is not None and isinstance(restored.native_value, int | float):
            self._highest = float(restored.native_value)

    @property
    @override
    def native_value(self) -> float | None:
        value = self.value
        if not isinstance(value, int | float):
            return None
        if self._highest is None or not self._highest * RESET_BELOW <= value < self._highest:
            self._highest = value
        return self._highest
