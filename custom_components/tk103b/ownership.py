"""Who makes a bridge's entities: MQTT discovery or this component. Taken over, and handed back.

An entity's registry entry holds what its owner has made of it: name, area, whether it is disabled;
a person holds its id. So entries are moved from one platform to the other, together with their
devices, and never deleted. The bridge lets go first, and takes its discovery payloads away only
when we say that we have everything.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta

from homeassistant.components.mqtt import DOMAIN as MQTT
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import entity_sources
from homeassistant.helpers.event import async_track_state_change_event

from .const import CONF_NAMESPACE, DOMAIN, LOAD_TIMEOUT, PLATFORMS, RELEASE_TIMEOUT
from .contract import BRIDGE_ENTITIES, BRIDGE_KEY, ENTITIES, GUEST_SLOTS, Owner, device_id
from .coordinator import BridgeCoordinator, failure
from .entity import async_register_devices, vehicle_of
from .issues import async_ask_for_hand_back

_LOGGER = logging.getLogger(__name__)

COMPONENT: Owner = "component"
DISCOVERY: Owner = "discovery"
CONFIRMED = {"owner": COMPONENT, "confirmed": True}


async def async_take_over(coordinator: BridgeCoordinator) -> None:
    """Become the owner of the bridge's entities, and set up the platforms.

    Raises ConfigEntryNotReady where that fails on the way; then everything is as it was before.
    """
    hass, entry = coordinator.hass, coordinator.entry
    registries = _Registries(hass, entry, coordinator.vehicles)
    found = registries.at_discovery()
    if coordinator.info.get("entities") == COMPONENT and not found:
        await _async_show(coordinator)
        # The bridge may wait for it since a take-over that did not come to its end.
        confirmation = _async_try(coordinator, CONFIRMED)
        entry.async_create_background_task(hass, confirmation, "confirm ownership")
        return
    has_moved = is_set_up = False
    try:
        await _async_loaded(hass, found)
        await coordinator.request("entities", {"owner": COMPONENT})
        await _async_released(hass, found)
        has_moved = True
        registries.drop_doubles()
        registries.move(DOMAIN)
        await _async_show(coordinator)
        is_set_up = True
        await coordinator.request("entities", CONFIRMED)
    except (HomeAssistantError, ValueError) as error:
        if is_set_up:
            await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
        if has_moved:
            registries.move(MQTT)
        await _async_try(coordinator, {"owner": DISCOVERY})
        raise failure(ConfigEntryNotReady, "take_over_failed", error=str(error)) from error


async def async_hand_back(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give the entities of a removed entry back to MQTT discovery.

    Where discovery has made them a second time, those make room for what people have set up. Where
    the bridge cannot be asked to make them again, an issue says what is left to do.
    """
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    keys = [key for device in devices if (key := vehicle_of(entry.data[CONF_NAMESPACE], device))]
    registries = _Registries(hass, entry, keys)
    with suppress(HomeAssistantError):
        await _async_released(hass, registries.switch_discovery(on=False))
    registries.drop_doubles()
    registries.switch_discovery(on=True)
    registries.move(MQTT)
    coordinator = BridgeCoordinator(hass, entry)
    try:
        await coordinator.async_setup()
        if coordinator.info.get("entities") != "off":
            await coordinator.request("entities", {"owner": DISCOVERY})
            # It may have said so before: then these are the payloads that had made the doubles.
            await coordinator.request("republish")
    except HomeAssistantError as error:
        _LOGGER.debug("The bridge did not take its entities back: %s", error)
        async_ask_for_hand_back(hass, entry)
    finally:
        coordinator.async_shutdown()


async def _async_show(coordinator: BridgeCoordinator) -> None:
    async_register_devices(coordinator)
    entries = coordinator.hass.config_entries
    await entries.async_forward_entry_setups(coordinator.entry, PLATFORMS)


async def _async_try(coordinator: BridgeCoordinator, body: Mapping[str, object]) -> None:
    """Name an owner; a bridge that does not answer is asked at the next attempt."""
    try:
        await coordinator.request("entities", body)
    except HomeAssistantError as error:
        _LOGGER.debug("The bridge was not told %s: %s", body, error)


# --- waiting for MQTT discovery -------------------------------------------------------------------


async def _async_loaded(hass: HomeAssistant, found: list[er.RegistryEntry]) -> None:
    """Wait a while until discovery has loaded what it knows of these: then all of it is let go.

    At Home Assistant's start it may still be at it. What it does not load, it has no payload for.
    """
    awaited = {entity.entity_id for entity in found if not entity.disabled}
    try:
        await _async_until(hass, awaited, awaited.issubset, LOAD_TIMEOUT)
    except TimeoutError:
        _LOGGER.debug("Not all entities of discovery are loaded")


async def _async_released(hass: HomeAssistant, found: list[er.RegistryEntry]) -> None:
    """Wait until none of the entities is loaded. Raises HomeAssistantError."""
    entity_ids = {entity.entity_id for entity in found}
    try:
        await _async_until(hass, entity_ids, entity_ids.isdisjoint, RELEASE_TIMEOUT)
    except TimeoutError as error:
        raise failure(HomeAssistantError, "not_released") from error


async def _async_until(
    hass: HomeAssistant,
    entity_ids: set[str],
    is_so: Callable[[Iterable[str]], bool],
    patience: timedelta,
) -> None:
    """Wait until something is so of all loaded entities. Raises TimeoutError."""
    done = asyncio.Event()

    @callback
    def look(_event: Event[EventStateChangedData] | None = None) -> None:
        if is_so(entity_sources(hass)):
            done.set()

    stop = async_track_state_change_event(hass, entity_ids, look)
    look()
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await done.wait()
    finally:
        stop()


# --- moving ---------------------------------------------------------------------------------------


def _made(platform: str, key: str, identifier: str) -> set[tuple[str, str]]:
    """Return domain and unique id of whatever a platform makes of a vehicle or the bridge."""
    made: set[tuple[str, str]] = {
        (entity.platform, entity.unique_id(identifier))
        for entity in (BRIDGE_ENTITIES if key == BRIDGE_KEY else ENTITIES)
        if platform == DOMAIN or not entity.component_only
    }
    if (platform, key) == (MQTT, BRIDGE_KEY):
        # For the trackers that wait, which are issues here.
        made |= {
            ("button", f"{identifier}_{verb}_{slot}")
            for verb in ("accept", "block")
            for slot in range(1, GUEST_SLOTS + 1)
        }
    return made


class _Registries:
    """What Home Assistant's registries hold of a bridge and vehicles, for discovery and for us."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, vehicles: Iterable[str]) -> None:
        self._entities, self._devices = er.async_get(hass), dr.async_get(hass)
        keys = (BRIDGE_KEY, *vehicles)
        self._identifiers = {key: device_id(entry.data[CONF_NAMESPACE], key) for key in keys}
        self._entry_ids = {DOMAIN: entry.entry_id}
        for theirs in hass.config_entries.async_entries(MQTT)[:1]:
            self._entry_ids[MQTT] = theirs.entry_id

    def at_discovery(self) -> list[er.RegistryEntry]:
        """Return all entities that discovery has of them, disabled ones too."""
        return [entity for key in self._identifiers for entity in self._of(MQTT, key)]

    def switch_discovery(self, *, on: bool) -> list[er.RegistryEntry]:
        """Have Home Assistant unload all that discovery has of them, or let it be loaded again.

        In the name of its entry, so that people's own switches, and doubles that are made once
        more, do not notice. Return what it has.
        """
        off = er.RegistryEntryDisabler.CONFIG_ENTRY
        was, now = (off, None) if on else (None, off)
        found = self.at_discovery()
        for entity in found:
            if entity.disabled_by is was:
                self._entities.async_update_entity(entity.entity_id, disabled_by=now)
        return found

    def drop_doubles(self) -> None:
        """Remove the doubles, not loaded now: ours are those that people have set up.

        What discovery has made besides goes to our devices.
        """
        for entity in self.at_discovery():
            if self._has(DOMAIN, entity):
                self._entities.async_remove(entity.entity_id)
        for key in self._identifiers:
            ours, theirs = self._device(DOMAIN, key), self._device(MQTT, key)
            if ours and theirs and not self._is_shared(theirs, key):
                for entity in self._on(theirs):
                    self._entities.async_update_entity(entity.entity_id, device_id=ours.id)
                self._devices.async_remove_device(theirs.id)

    def move(self, to: str) -> None:
        """Move everything, none of it loaded, to a platform; what that has of its own stays.

        What it has no word for is removed. The entities go first: what is still the old entry's
        when its device goes, goes with it.
        """
        if MQTT not in self._entry_ids:
            return
        old = MQTT if to == DOMAIN else DOMAIN
        for key, identifier in self._identifiers.items():
            made = _made(to, key, identifier)
            for entity in self._of(old, key):
                if (entity.domain, entity.unique_id) not in made:
                    self._entities.async_remove(entity.entity_id)
                elif not self._has(to, entity):
                    self._entities.async_update_entity_platform(
                        entity.entity_id, to, new_config_entry_id=self._entry_ids[to]
                    )
            if device := self._device(old, key):
                self._move_device(device, key, old, to)

    def _move_device(self, device: dr.DeviceEntry, key: str, old: str, to: str) -> None:
        """Move a device with its id, name and area.

        Where others have put something on it, or it has a twin, only its entities go there.
        """
        identifiers = {(to, self._identifiers[key])}
        is_shared = self._is_shared(device, key)
        there = self._device(to, key)
        if there is None and not is_shared:
            self._devices.async_update_device(
                device.id, new_config_entry_id=self._entry_ids[to], new_identifiers=identifiers
            )
            return
        is_known = there is not None and to == DOMAIN
        there = there or self._devices.async_get_or_create(
            config_entry_id=self._entry_ids[to], identifiers=identifiers, name=device.name
        )
        if not is_known:
            self._devices.async_update_device(
                there.id,
                name_by_user=device.name_by_user,
                area_id=device.area_id,
                labels=device.labels,
            )
        for entity in self._on(device):
            if entity.config_entry_id != self._entry_ids[old]:
                self._entities.async_update_entity(entity.entity_id, device_id=there.id)
        if not is_shared:
            self._devices.async_remove_device(device.id)

    def _of(self, platform: str, key: str) -> list[er.RegistryEntry]:
        """Return what a platform has of a vehicle or the bridge, disabled ones too."""
        return [
            entity
            for domain, unique_id in _made(platform, key, self._identifiers[key])
            if (entity_id := self._entities.async_get_entity_id(domain, platform, unique_id))
            and (entity := self._entities.async_get(entity_id))
        ]

    def _has(self, platform: str, entity: er.RegistryEntry) -> bool:
        found = self._entities.async_get_entity_id(entity.domain, platform, entity.unique_id)
        return found is not None

    def _on(self, device: dr.DeviceEntry) -> list[er.RegistryEntry]:
        return er.async_entries_for_device(
            self._entities, device.id, include_disabled_entities=True
        )

    def _device(self, platform: str, key: str) -> dr.DeviceEntry | None:
        return self._devices.async_get_device_by_identifier(
            (platform, self._identifiers[key]), self._entry_ids.get(platform, "")
        )

    def _is_shared(self, device: dr.DeviceEntry, key: str) -> bool:
        """Whether a person has put MQTT entities of their own on a device."""
        made = _made(MQTT, key, self._identifiers[key])
        return any(
            entity.platform == MQTT and (entity.domain, entity.unique_id) not in made
            for entity in self._on(device)
        )
