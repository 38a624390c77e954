"""What a person can press: a vehicle's alarms are seen."""

from __future__ import annotations

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Tk103bConfigEntry
from .entity import VehicleEntity, async_add_vehicle_entities

PARALLEL_UPDATES = 1


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: Tk103bConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the button of each vehicle."""
    async_add_vehicle_entities(entry, "button", async_add_entities, AcknowledgeButton)


class AcknowledgeButton(VehicleEntity, ButtonEntity):
    """Ends all episodes of alarm of a vehicle."""

    @override
    async def async_press(self) -> None:
        await self.coordinator.request("device/acknowledge", {"key": self.key})
