"""What a person can switch: a vehicle's private mode and guard, and letting a new tracker in."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity

from .commands import async_tell
from .contract import Entity
from .coordinator import BridgeCoordinator
from .entity import BridgeEntity, ContractEntity, VehicleEntity, setup_of

PARALLEL_UPDATES = 0
"""A tracker may take a minute to answer, and nobody else shall wait for it."""


class AskingSwitch(ContractEntity, SwitchEntity):
    """Shows what the bridge says, whatever was asked of it."""

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
        raise NotImplementedError


class PrivateSwitch(VehicleEntity, AskingSwitch):
    """While it is on, no place of the vehicle leaves the bridge; alarms do."""

    @override
    async def _ask(self, *, enabled: bool) -> None:
        await self.coordinator.request("device/private", {"key": self.key, "enabled": enabled})


class GuardSwitch(VehicleEntity, AskingSwitch):
    """Arms the tracker and disarms it. What it shows is what the tracker has said or obeyed."""

    @override
    async def _ask(self, *, enabled: bool) -> None:
        arm, disarm = self.declared.commands
        command = arm if enabled else disarm
        await async_tell(self.coordinator, self.key, command, self._context)


class PermitJoinSwitch(BridgeEntity, AskingSwitch):
    """While it is on, the first new tracker that comes is accepted; the bridge turns it off."""

    @override
    async def _ask(self, *, enabled: bool) -> None:
        await self.coordinator.request(self.declared.key, {} if enabled else {"time": 0})


def _switch(coordinator: BridgeCoordinator, declared: Entity, key: str) -> VehicleEntity:
    return (GuardSwitch if declared.commands else PrivateSwitch)(coordinator, declared, key)


async_setup_entry = setup_of("switch", _switch, PermitJoinSwitch)
