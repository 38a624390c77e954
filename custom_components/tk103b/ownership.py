"""Who makes a bridge's entities: MQTT discovery or this component. Taken over, and handed back.

An entity's registry entry holds what its owner has made of it: name, area, whether it is disabled;
a person holds its id. So entries are moved from one platform to the other, together with their
devices, and never deleted. The bridge lets go first, and takes its discovery payloads away only
when we say that we have everything.
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import sha256

from homeassistant.components.mqtt import DOMAIN as MQTT
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.entity import entity_sources
from homeassistant.helpers.event import async_track_state_change_event

from .const import CONF_NAMESPACE, DOMAIN, LOAD_TIMEOUT, PLATFORMS, RELEASE_TIMEOUT
from .contract import (
    BRIDGE_ENTITIES,
    BRIDGE_KEY,
    ENTITIES,
    GUEST_SLOTS,
    Entity,
    device_id,
)
from .coordinator import BridgeCoordinator, Tk103bConfigEntry
from .entity import async_register_devices, vehicle_of

_LOGGER = logging.getLogger(__name__)

COMPONENT, DISCOVERY = "component", "discovery"


async def async_take_over(
    hass: HomeAssistant, entry: Tk103bConfigEntry, coordinator: BridgeCoordinator
) -> None:
    """Become the owner of the bridge's entities, and set up the platforms.

    Raises ConfigEntryNotReady where that fails on the way; then everything is as it was before.
    """
    keys = [BRIDGE_KEY, *coordinator.vehicles]
    theirs = _mqtt_entry(hass)
    found = set() if theirs is None else _entity_ids(hass, theirs, coordinator.namespace, keys)
    if coordinator.info.get("entities") == COMPONENT and not found:
        async_register_devices(hass, entry, coordinator)
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        return
    has_moved = is_set_up = False
    try:
        await _async_loaded(hass, found)
        await coordinator.request("entities", {"owner": COMPONENT})
        await _async_released(hass, found)
        has_moved = True
        if theirs is not None:
            _move(hass, theirs, entry, coordinator.namespace, keys)
        async_register_devices(hass, entry, coordinator)
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        is_set_up = True
        await coordinator.request("entities", {"owner": COMPONENT, "confirmed": True})
    except (HomeAssistantError, ValueError) as error:
        if is_set_up:
            await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
        if has_moved and theirs is not None:
            _move(hass, entry, theirs, coordinator.namespace, keys)
        await _async_give_back(coordinator)
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="take_over_failed",
            translation_placeholders={"error": str(error)},
        ) from error


async def async_hand_back(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give the entities of a removed entry back to MQTT discovery.

    Where the bridge cannot be asked to make them again, an issue names the command that does.
    """
    namespace = entry.data[CONF_NAMESPACE]
    if (theirs := _mqtt_entry(hass)) is not None:
        devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        vehicles = [key for device in devices if (key := vehicle_of(namespace, device))]
        _move(hass, entry, theirs, namespace, [BRIDGE_KEY, *vehicles])
    coordinator = BridgeCoordinator(hass, entry)
    try:
        await coordinator.async_setup()
        if coordinator.info.get("entities") == COMPONENT:
            await coordinator.request("entities", {"owner": DISCOVERY})
    except HomeAssistantError:
        ir.async_create_issue(
            hass,
            DOMAIN,
            _issue_id(entry),
            is_fixable=False,
            is_persistent=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key="hand_back",
            translation_placeholders={
                "title": entry.title,
                "command": f"tk103b-bridge entities {DISCOVERY}",
            },
        )
    finally:
        coordinator.async_shutdown()


@callback
def async_forget_hand_back(hass: HomeAssistant, entry: Tk103bConfigEntry) -> None:
    """Delete the issue of an earlier hand-back: the bridge is ours again."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(entry))


def _issue_id(entry: ConfigEntry) -> str:
    # The instance itself is nobody's business, and issues stand in every download of diagnostics.
    return f"hand_back_{sha256(str(entry.unique_id).encode()).hexdigest()[:12]}"


async def _async_give_back(coordinator: BridgeCoordinator) -> None:
    """Ask for discovery again; a bridge that does not answer is asked at the next attempt."""
    try:
        await coordinator.request("entities", {"owner": DISCOVERY})
    except HomeAssistantError as error:
        _LOGGER.debug("The bridge did not take its entities back: %s", error)


async def _async_loaded(hass: HomeAssistant, entity_ids: set[str]) -> None:
    """Wait a while until discovery has loaded what it knows of these: then all of it is let go.

    At Home Assistant's start it may still be at it. What it does not load, it has no payload for.
    """
    registry = er.async_get(hass)
    awaited = {
        entity_id
        for entity_id in entity_ids
        if (found := registry.async_get(entity_id)) is not None and not found.disabled
    }
    if not awaited.difference(entity_sources(hass)):
        return
    loaded = asyncio.Event()

    @callback
    def look(_event: Event[EventStateChangedData]) -> None:
        if not awaited.difference(entity_sources(hass)):
            loaded.set()

    stop = async_track_state_change_event(hass, awaited, look)
    try:
        async with asyncio.timeout(LOAD_TIMEOUT.total_seconds()):
            await loaded.wait()
    except TimeoutError:
        _LOGGER.debug("Not all entities of discovery are loaded")
    finally:
        stop()


async def _async_released(hass: HomeAssistant, entity_ids: set[str]) -> None:
    """Wait until none of the entities is loaded. Raises HomeAssistantError."""
    released = asyncio.Event()

    @callback
    def look(_event: Event[EventStateChangedData] | None = None) -> None:
        if entity_ids.isdisjoint(entity_sources(hass)):
            released.set()

    stop = async_track_state_change_event(hass, entity_ids, look)
    look()
    try:
        async with asyncio.timeout(RELEASE_TIMEOUT.total_seconds()):
            await released.wait()
    except TimeoutError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="not_released"
        ) from error
    finally:
        stop()


def _mqtt_entry(hass: HomeAssistant) -> ConfigEntry | None:
    return next(iter(hass.config_entries.async_entries(MQTT)), None)


def _guest_buttons(namespace: str) -> set[str]:
    """Return the unique ids of what discovery alone has: buttons for the trackers that wait."""
    bridge = device_id(namespace, BRIDGE_KEY)
    return {
        f"{bridge}_{verb}_{slot}"
        for verb in ("accept", "block")
        for slot in range(1, GUEST_SLOTS + 1)
    }


def _entity_ids(
    hass: HomeAssistant, owner: ConfigEntry, namespace: str, keys: list[str]
) -> set[str]:
    """Return the ids of all entities that the owner has of the bridge and its vehicles."""
    entities = er.async_get(hass)
    buttons = {
        entity_id
        for unique_id in _guest_buttons(namespace)
        if (entity_id := entities.async_get_entity_id("button", owner.domain, unique_id))
    }
    return buttons | {found.entity_id for found, _ in _entries(entities, owner, namespace, keys)}


def _device(
    devices: dr.DeviceRegistry, owner: ConfigEntry, namespace: str, key: str
) -> dr.DeviceEntry | None:
    return devices.async_get_device_by_identifier(
        (owner.domain, device_id(namespace, key)), owner.entry_id
    )


def _entries(
    entities: er.EntityRegistry, owner: ConfigEntry, namespace: str, keys: list[str]
) -> list[tuple[er.RegistryEntry, Entity]]:
    """Return the registry entries that the owner has of what we declare, disabled ones too."""
    return [
        (found, declared)
        for key in keys
        for declared in (BRIDGE_ENTITIES if key == BRIDGE_KEY else ENTITIES)
        if (
            entity_id := entities.async_get_entity_id(
                declared.platform,
                owner.domain,
                declared.unique_id(device_id(namespace, key)),
            )
        )
        and (found := entities.async_get(entity_id))
    ]


@callback
def _move(
    hass: HomeAssistant, old: ConfigEntry, new: ConfigEntry, namespace: str, keys: list[str]
) -> None:
    """Move devices and entities, none of them loaded, from one config entry to the other.

    The entities go first: what is still the old entry's when its device goes is removed with it.
    """
    entities, devices = er.async_get(hass), dr.async_get(hass)
    for entity, declared in _entries(entities, old, namespace, keys):
        is_taken = entities.async_get_entity_id(entity.domain, new.domain, entity.unique_id)
        if is_taken and new.domain == DOMAIN:
            # Ours is the one people have set up; this is the double it got while we were away.
            entities.async_remove(entity.entity_id)
        elif not is_taken and (new.domain == DOMAIN or not declared.component_only):
            entities.async_update_entity_platform(
                entity.entity_id, new.domain, new_config_entry_id=new.entry_id
            )
    left_behind = _guest_buttons(namespace) if old.domain == MQTT else None
    for key in keys:
        if (device := _device(devices, old, namespace, key)) is not None:
            _move_device(entities, devices, device, device_id(namespace, key), new, left_behind)


def _move_device(  # noqa: PLR0913, PLR0917 - a device, by which name, and where to
    entities: er.EntityRegistry,
    devices: dr.DeviceRegistry,
    device: dr.DeviceEntry,
    identifier: str,
    new: ConfigEntry,
    left_behind: set[str] | None,
) -> None:
    """Move a device with its id, name and area.

    Where it has a twin already only its entities go there. Entities that somebody else has put on
    it keep it; `left_behind` are those that go with it, None means any.
    """
    on_it = er.async_entries_for_device(entities, device.id, include_disabled_entities=True)
    is_shared = left_behind is not None and any(
        entity.config_entry_id != new.entry_id and entity.unique_id not in left_behind
        for entity in on_it
    )
    twin = devices.async_get_device_by_identifier((new.domain, identifier), new.entry_id)
    if twin is None and not is_shared:
        devices.async_update_device(
            device.id,
            new_config_entry_id=new.entry_id,
            new_identifiers={(new.domain, identifier)},
        )
        return
    if twin is None:
        twin = devices.async_get_or_create(
            config_entry_id=new.entry_id, identifiers={(new.domain, identifier)}, name=device.name
        )
        devices.async_update_device(
            twin.id,
            name_by_user=device.name_by_user,
            area_id=device.area_id,
            labels=device.labels,
        )
    for entity in on_it:
        if entity.config_entry_id == new.entry_id:
            entities.async_update_entity(entity.entity_id, device_id=twin.id)
    if not is_shared:
        devices.async_remove_device(device.id)
