"""What is on or off: a vehicle's inputs, its alarms from first ring to their end, connections."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity

from .entity import BridgeEntity, VehicleEntity, setup_of

PARALLEL_UPDATES = 0


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


async_setup_entry = setup_of("binary_sensor", VehicleBinarySensor, BridgeOnline)
