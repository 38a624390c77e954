"""Entities as the contract declares them, and the devices they belong to."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, override

from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity as HomeAssistantEntity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .contract import BRIDGE_ENTITIES, BRIDGE_KEY, MANUFACTURER, Entity, device_id
from .coordinator import BridgeCoordinator, Tk103bConfigEntry, lookup

BRIDGE_NAME = "TK103B Bridge"
TIMELESS_FIELDS = frozenset({"link", "last_seen", "fix_time", "parked_since", "private"})
"""What stays true of a vehicle whose tracker has fallen silent."""


class ContractEntity(HomeAssistantEntity):
    """One declared entity. What it is comes from the table, what it shows from its platform."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, coordinator: BridgeCoordinator, declared: Entity, device: str, prefix: str
    ) -> None:
        self.coordinator = coordinator
        self.declared = declared
        self._attr_unique_id = declared.unique_id(device)
        self._attr_translation_key = declared.key
        if declared.name is None:
            self._attr_name = None
        # Only a suggestion: the same as with MQTT discovery, whatever the language and names are.
        self.entity_id = declared.default_entity_id(prefix)
        self._attr_device_class = declared.device_class
        # Said even where it is none: Home Assistant makes trackers diagnostic, and diagnostic ones
        # are left out where an automation names their device: arriving would trigger nothing.
        category = declared.category
        self._attr_entity_category = EntityCategory(category) if category else None
        self._attr_entity_registry_enabled_default = declared.enabled
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, device)})

    @property
    def source(self) -> Mapping[str, Any]:
        """The latest payload that its field stands in."""
        raise NotImplementedError

    @property
    def value(self) -> Any:  # noqa: ANN401 - JSON
        """What its field says now, None where that is unknown."""
        return lookup(self.source, self.declared.field)

    @property
    @override
    def available(self) -> bool:
        return self.coordinator.online

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self.coordinator.async_listen(self._availability_may_have_changed))

    @callback
    def _availability_may_have_changed(self) -> None:
        self.async_write_ha_state()


class BridgeEntity(ContractEntity):
    """An entity of the bridge itself; it follows info, devices, health and state."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity) -> None:
        device = device_id(coordinator.namespace, BRIDGE_KEY)
        super().__init__(coordinator, declared, device, device)

    @property
    @override
    def source(self) -> Mapping[str, Any]:
        is_health = self.declared.source == "health"
        return self.coordinator.health if is_health else self.coordinator.info


class VehicleEntity(ContractEntity):
    """An entity of a vehicle; it follows the topic of its source."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, device_id(coordinator.namespace, key), key)
        self.key = key
        self.vehicle = coordinator.vehicles[key]
        self._was_available = True

    @property
    @override
    def source(self) -> Mapping[str, Any]:
        return self.vehicle.state

    @property
    @override
    def available(self) -> bool:
        """While only the tracker sleeps, its vehicle stays available."""
        return (
            super().available
            and self.coordinator.has_vehicle(self.key)
            and not (self.vehicle.stale and self._ages)
        )

    @property
    def _ages(self) -> bool:
        """Whether what it shows is worth nothing once its tracker has been silent for too long."""
        declared = self.declared
        return (
            declared.source in ("position", "state")
            and not declared.alarm
            and declared.field not in TIMELESS_FIELDS
        )

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._was_available = self.available
        self.async_on_remove(
            self.coordinator.async_listen_vehicle(self.key, self.declared.source, self._heard)
        )

    @callback
    def _heard(self, _payload: dict[str, Any], _retained: bool) -> None:  # noqa: FBT001 - a listener's signature
        """Take in what came on the topic of its source."""
        self._was_available = self.available
        self.async_write_ha_state()

    @callback
    @override
    def _availability_may_have_changed(self) -> None:
        """Write when it came or went, and not whenever something of the bridge has changed."""
        if self.available != self._was_available:
            self._was_available = self.available
            self.async_write_ha_state()


type PlatformSetup = Callable[
    [HomeAssistant, Tk103bConfigEntry, AddConfigEntryEntitiesCallback], Coroutine[Any, Any, None]
]


def setup_of(
    platform: str,
    of_vehicle: Callable[[BridgeCoordinator, Entity, str], VehicleEntity],
    of_bridge: Callable[[BridgeCoordinator, Entity], BridgeEntity] | None = None,
) -> PlatformSetup:
    """Return a platform's `async_setup_entry`: it adds what the contract declares, once due."""

    async def async_setup_entry(
        _hass: HomeAssistant,
        entry: Tk103bConfigEntry,
        async_add_entities: AddConfigEntryEntitiesCallback,
    ) -> None:
        coordinator = entry.runtime_data

        @callback
        def add(key: str, entities: tuple[Entity, ...]) -> None:
            async_add_entities(
                of_vehicle(coordinator, declared, key)
                for declared in entities
                if declared.platform == platform
            )

        if of_bridge is not None:
            async_add_entities(
                of_bridge(coordinator, declared)
                for declared in BRIDGE_ENTITIES
                if declared.platform == platform
            )
        entry.async_on_unload(coordinator.async_listen_entities(add))

    return async_setup_entry


@callback
def async_register_devices(coordinator: BridgeCoordinator) -> None:
    """Register the bridge and its vehicles, or bring what is known of them up to date.

    The bridge comes first: a vehicle names it as the device it is reached through. None of them
    while the entry sleeps: they are another's then.
    """
    if coordinator.dormant:
        return
    registry, entry_id = dr.async_get(coordinator.hass), coordinator.entry.entry_id
    bridge = registry.async_get_or_create(
        config_entry_id=entry_id,
        identifiers={(DOMAIN, device_id(coordinator.namespace, BRIDGE_KEY))},
        name=BRIDGE_NAME,
        manufacturer=MANUFACTURER,
        model=BRIDGE_NAME,
        sw_version=coordinator.info.get("version"),
    )
    for row in coordinator.devices["vehicles"]:
        protocol = row.get("protocol")
        registry.async_get_or_create(
            config_entry_id=entry_id,
            identifiers={(DOMAIN, device_id(coordinator.namespace, row["key"]))},
            name=row.get("name", row["key"]),
            manufacturer=MANUFACTURER,
            model=f"TK103 family ({protocol})" if protocol else "TK103 family",
            via_device_id=bridge.id,
        )


def vehicle_of(namespace: str, device: dr.AnyDeviceEntry) -> str | None:
    """Return the key of the vehicle a device stands for, None for the bridge and for others."""
    prefix = device_id(namespace, "")
    for domain, identifier in device.identifiers:
        key = identifier.removeprefix(prefix)
        if domain == DOMAIN and identifier.startswith(prefix) and key != BRIDGE_KEY:
            return key
    return None
