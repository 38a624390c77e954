"""What is measured, counted or known of a vehicle and of the bridge."""

from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorStateClass,
)
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .contract import Entity
from .coordinator import BridgeCoordinator
from .entity import BridgeEntity, ContractEntity, VehicleEntity, setup_of

PARALLEL_UPDATES = 0

RESET_BELOW = 0.9
"""A total that falls below this part of itself began anew, as Home Assistant's statistics see it;
one that falls by less was corrected, and they would complain of it."""


class DeclaredSensor(ContractEntity, SensorEntity):
    """A field, as the table says it is shown."""

    def __init__(
        self, coordinator: BridgeCoordinator, declared: Entity, device: str, prefix: str
    ) -> None:
        super().__init__(coordinator, declared, device, prefix)
        kind = declared.state_class
        self._attr_native_unit_of_measurement = declared.unit
        self._attr_state_class = SensorStateClass(kind) if kind else None
        self._attr_suggested_display_precision = declared.precision
        self._attr_options = list(declared.options) or None

    @property
    @override
    def native_value(self) -> StateType | datetime:
        if self.declared.device_class == SensorDeviceClass.TIMESTAMP:
            return dt_util.parse_datetime(self.value or "")
        value: StateType = self.value
        return value


class BridgeSensor(BridgeEntity, DeclaredSensor):
    """What the bridge counts of itself."""


class VehicleSensor(VehicleEntity, DeclaredSensor):
    """A field of the state."""


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


def _vehicle_sensor(coordinator: BridgeCoordinator, declared: Entity, key: str) -> VehicleSensor:
    is_total = declared.state_class == SensorStateClass.TOTAL_INCREASING
    return (VehicleTotal if is_total else VehicleSensor)(coordinator, declared, key)


async_setup_entry = setup_of("sensor", _vehicle_sensor, BridgeSensor)
