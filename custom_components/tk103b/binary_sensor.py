"""What is on or off: a vehicle's inputs, its alarms from first ring to their end, connections."""

from __future__ import annotations

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Tk103bConfigEntry
from .entity import (
    BridgeEntity,
    VehicleEntity,
    async_add_bridge_entities,
    async_add_vehicle_entities,
)

PARALLEL_UPDATES = 0


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: Tk103bConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add those of the bridge and of each vehicle."""
    async_add_bridge_entities(entry, "binary_sensor", async_add_entities, BridgeOnline)
    async_add_vehicle_entities(entry, "binary_sensor", async_add_entities, VehicleBinarySensor)


class VehicleBinarySensor(VehicleEntity, BinarySensorEntity):
    """An input, or an alarm: that is on as long as its episode stands in the state."""

    @property
    @override
    def is_on(self) -> bool | None:
        if kind := self.declared.alarm:
            alarms = self.vehicle.state.get("alarms")
            return None if alarms is None else kind in alarms
        value = self.value
        if value is None:
            return None
        return value == self.declared.on if self.declared.on else value is True


class BridgeOnline(BridgeEntity, BinarySensorEntity):
    """Whether the bridge can be reached: the one entity that is there when it is not."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.online
