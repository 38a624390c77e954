"""GPS trackers of the TK103 family in Home Assistant, by way of their bridge and of MQTT."""

from functools import partial

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.typing import ConfigType

from .const import CONF_ALARMS, CONF_INSTANCE, DOMAIN, PLATFORMS
from .contract import ALARM_ENTITIES, ALARM_KINDS, device_id
from .coordinator import BridgeCoordinator, Tk103bConfigEntry
from .entity import async_register_devices, vehicle_of
from .issues import IssueKeeper, async_forget_hand_back
from .ownership import COMPONENT, async_hand_back, async_take_over
from .services import async_setup_services

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Register the actions: they are there, and say what is missing, without any entry."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: Tk103bConfigEntry) -> bool:
    """Listen to the bridge, own its entities, and keep devices and issues in step with it."""
    coordinator = entry.runtime_data = BridgeCoordinator(hass, entry)
    entry.async_on_unload(coordinator.async_shutdown)
    async_forget_hand_back(hass, entry.data[CONF_INSTANCE])
    await coordinator.async_setup()
    if coordinator.readable:
        _forget_unwanted_alarms(coordinator)
        await async_take_over(coordinator)
        entry.async_on_unload(
            coordinator.async_listen(partial(async_register_devices, coordinator))
        )
    else:
        coordinator.dormant = True
    _watch_owner(coordinator)
    entry.async_on_unload(IssueKeeper(coordinator).async_start())
    return True


async def async_unload_entry(hass: HomeAssistant, entry: Tk103bConfigEntry) -> bool:
    """Unload the platforms, unless that has been done when somebody else took the entities."""
    if entry.runtime_data.dormant:
        return True
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: Tk103bConfigEntry) -> None:
    """Give the entities back to MQTT discovery."""
    await async_hand_back(hass, entry)


async def async_remove_config_entry_device(
    _hass: HomeAssistant, entry: Tk103bConfigEntry, device: dr.AnyDeviceEntry
) -> bool:
    """Let the device of a vehicle be deleted that the bridge knows no more."""
    coordinator = entry.runtime_data
    key = vehicle_of(coordinator.namespace, device)
    if key is None or coordinator.has_vehicle(key):
        return False
    coordinator.async_forget(key)
    return True


def _forget_unwanted_alarms(coordinator: BridgeCoordinator) -> None:
    """Remove the binary sensors of alarms that the options leave out."""
    registry = er.async_get(coordinator.hass)
    wanted = coordinator.entry.options.get(CONF_ALARMS, ALARM_KINDS)
    for key in coordinator.vehicles:
        for declared in ALARM_ENTITIES:
            unique_id = declared.unique_id(device_id(coordinator.namespace, key))
            entity_id = registry.async_get_entity_id(declared.platform, DOMAIN, unique_id)
            if entity_id is not None and declared.alarm not in wanted:
                registry.async_remove(entity_id)


@callback
def _watch_owner(coordinator: BridgeCoordinator) -> None:
    """Let go of the entities when somebody else makes them, and come back when nobody does.

    There is no fight over them: who wants them back says so in the issue about it. Nor do we guess
    what a bridge of a generation we do not know may mean.
    """
    entries, entry = coordinator.hass.config_entries, coordinator.entry
    is_lost = False

    @callback
    def look() -> None:
        nonlocal is_lost
        is_ours = coordinator.info.get("entities") == COMPONENT
        if coordinator.dormant and coordinator.readable and (is_ours or not is_lost):
            entries.async_schedule_reload(entry.entry_id)
        elif not coordinator.dormant and not (coordinator.readable and is_ours):
            is_lost = coordinator.readable
            coordinator.dormant = True
            unload = entries.async_unload_platforms(entry, PLATFORMS)
            entry.async_create_task(coordinator.hass, unload)

    entry.async_on_unload(coordinator.async_listen(look))
