"""What a person can press: a vehicle's alarms are seen, and what its tracker is told to do."""

from typing import override

from homeassistant.components.button import ButtonEntity

from .commands import async_tell
from .contract import Entity
from .coordinator import BridgeCoordinator
from .entity import VehicleEntity, setup_of

PARALLEL_UPDATES = 0
"""A tracker may take a minute to answer, and nobody else shall wait for it. The bridge sees to it
that each is told one thing at a time."""


class AcknowledgeButton(VehicleEntity, ButtonEntity):
    """Ends all episodes of alarm of a vehicle."""

    @override
    async def async_press(self) -> None:
        await self.coordinator.request("device/acknowledge", {"key": self.key})


class CommandButton(VehicleEntity, ButtonEntity):
    """Has the tracker told one thing, and fails where nothing comes of it."""

    @override
    async def async_press(self) -> None:
        [command] = self.declared.commands
        await async_tell(self.coordinator, self.key, command, self._context)


def _button(coordinator: BridgeCoordinator, declared: Entity, key: str) -> VehicleEntity:
    return (CommandButton if declared.commands else AcknowledgeButton)(coordinator, declared, key)


async_setup_entry = setup_of("button", _button)
