"""What a person can switch: a vehicle's private mode, and letting the next new tracker in."""

from __future__ import annotations

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Tk103bConfigEntry
from .entity import (
    BridgeEntity,
    VehicleEntity,
    async_add_bridge_entities,
    async_add_vehicle_entities,
)

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: Tk103bConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add those of the bridge and of each vehicle."""
    async_add_bridge_entities(entry, "switch", async_add_entities, PermitJoinSwitch)
    async_add_vehicle_entities(entry, "switch", async_add_entities, PrivateSwitch)


class PrivateSwitch(VehicleEntity, SwitchEntity):
    """While it is on, no place of the vehicle leaves the bridge; alarms do."""

    @property
    @override
    def is_on(self) -> bool | None:
        value: bool | None = self.value
        return value

    @override
    async def async_turn_on(self, **_kwargs: Any) -> None:
        await self._ask(enabled=True)

    @override
    async def async_turn_off(self, **_kwargs: Any) -> None:
        await self._ask(enabled=False)

    async def _ask(self, *, enabled: bool) -> None:
        await self.coordinator.request("device/private", {"key": self.key, "enabled": enabled})


class PermitJoinSwitch(BridgeEntity, SwitchEntity):
    """While it is on, the first new tracker that comes is accepted; the bridge turns it off."""

    @property
    @override
    def is_on(self) -> bool | None:
        value: bool | None = self.value
        return value

    @override
    async def async_turn_on(self, **_kwargs: Any) -> None:
        await self.coordinator.request(self.declared.key)

    @override
    async def async_turn_off(self, **_kwargs: Any) -> None:
        await self.coordinator.request(self.declared.key, {"time": 0})
