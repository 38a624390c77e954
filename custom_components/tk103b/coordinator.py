"""What the bridge says, as it says it: one subscription, the latest of every retained topic.

The bridge pushes and nothing is polled. Entities listen here for the one topic they are made of.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ALARMS,
    CONF_BASE_TOPIC,
    CONF_INSTANCE,
    CONF_NAMESPACE,
    CONF_STALE_AFTER_MIN,
    DEFAULT_STALE_AFTER_MIN,
    DOMAIN,
    REQUEST_TIMEOUT,
    RETAINED_TIMEOUT,
    SCHEMAS,
)
from .contract import (
    ALARM_KINDS,
    ENTITIES,
    ONLINE,
    VEHICLE_LEAVES,
    AlarmPayload,
    Devices,
    Entity,
    Health,
    Info,
    Position,
    State,
    Topics,
    VehicleRow,
)

_LOGGER = logging.getLogger(__name__)

type Tk103bConfigEntry = ConfigEntry[BridgeCoordinator]
type VehicleListener = Callable[[dict[str, Any], bool], None]
"""Takes the payload of a vehicle's topic, and whether the broker had retained it."""
type EntitiesListener = Callable[[str, tuple[Entity, ...]], None]
"""Takes a vehicle's key and the entities that are new of it."""

STALE_CHECK = timedelta(minutes=1)


@dataclass(slots=True)
class VehicleData:
    """The latest of a vehicle. An empty payload is one that is unknown or was taken away."""

    row: VehicleRow
    position: Position = field(default_factory=Position)
    state: State = field(default_factory=State)
    last_alarm: AlarmPayload = field(default_factory=AlarmPayload)
    stale: bool = False
    """Its tracker has been silent for longer than the entry's options allow."""
    shown: set[str] = field(default_factory=set)
    """The keys of the entities it has by now; they only grow."""


class BridgeCoordinator:
    """Listens to one bridge and asks it. Made, set up and shut down with its config entry."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        self.hass = hass
        self.entry = entry
        self.topics = Topics(entry.data[CONF_BASE_TOPIC])
        self.namespace: str = entry.data[CONF_NAMESPACE]
        self.info = Info()
        self.devices = Devices(vehicles=[], guests=[])
        self.health = Health()
        self.online = False
        """The broker can be reached and the bridge has said that it is online."""
        self.vehicles: dict[str, VehicleData] = {}
        self.dormant = False
        """The entry has no entities now: somebody else makes them, or the bridge is too far off."""

        self._said_online = False
        self._told_offline = False
        self._leaves: dict[tuple[str, str], dict[str, Any]] = {}
        self._complete = asyncio.Event()
        self._awaited = {"info", "devices", "state"}
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unsubscribes: list[CALLBACK_TYPE] = []
        self._listeners: dict[CALLBACK_TYPE, None] = {}
        self._vehicle_listeners: defaultdict[tuple[str, str], dict[VehicleListener, None]] = (
            defaultdict(dict)
        )
        self._entities_listeners: dict[EntitiesListener, None] = {}

    # --- life -------------------------------------------------------------------------------------

    async def async_setup(self) -> None:
        """Subscribe, and wait for what the bridge retains. Raises ConfigEntryNotReady."""
        if not await mqtt.async_wait_for_mqtt_client(self.hass):
            raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="mqtt_unavailable")
        self._unsubscribes = [
            mqtt.async_subscribe_connection_status(self.hass, self._connection_changed),
            await mqtt.async_subscribe(self.hass, f"{self.topics.base}/#", self._received, qos=1),
            async_track_time_interval(self.hass, self._check_stale, STALE_CHECK),
        ]
        try:
            async with asyncio.timeout(RETAINED_TIMEOUT.total_seconds()):
                await self._complete.wait()
        except TimeoutError:
            self._not_ready("bridge_silent", base_topic=self.topics.base)
        if self.info.get("instance") != self.entry.data[CONF_INSTANCE]:
            self._not_ready("other_bridge", base_topic=self.topics.base)

    def _not_ready(self, translation_key: str, **placeholders: str) -> None:
        self.async_shutdown()
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=translation_key,
            translation_placeholders=placeholders,
        )

    @callback
    def async_shutdown(self) -> None:
        """Stop listening; whoever still waits for an answer is told that none will come."""
        while self._unsubscribes:
            self._unsubscribes.pop()()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(_bridge_offline())

    @property
    def readable(self) -> bool:
        """Whether the bridge speaks a generation of payloads that we know."""
        return self.info.get("schema") in SCHEMAS

    # --- listening --------------------------------------------------------------------------------

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever info, devices, health or online have changed."""
        return _listening(self._listeners, listener)

    @callback
    def async_listen_vehicle(self, key: str, leaf: str, listener: VehicleListener) -> CALLBACK_TYPE:
        """Call `listener` with each payload of a vehicle's topic that is not as the one before."""
        return _listening(self._vehicle_listeners[key, leaf], listener)

    @callback
    def async_listen_entities(self, listener: EntitiesListener) -> CALLBACK_TYPE:
        """Call `listener` with all entities of all vehicles, and with new ones as they are due."""
        for key, vehicle in self.vehicles.items():
            listener(key, tuple(entity for entity in ENTITIES if entity.key in vehicle.shown))
        return _listening(self._entities_listeners, listener)

    @callback
    def async_forget(self, key: str) -> None:
        """Forget a vehicle whose device was deleted: if it comes back, it comes as a new one."""
        self.vehicles.pop(key, None)
        for leaf in VEHICLE_LEAVES:
            self._vehicle_listeners.pop((key, leaf), None)

    def has_vehicle(self, key: str) -> bool:
        """Whether the bridge knows a vehicle now."""
        return any(row["key"] == key for row in self.devices["vehicles"])

    # --- asking -----------------------------------------------------------------------------------

    async def request(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - what it answers, the verb alone knows
        """Ask the bridge and return the `data` of its answer.

        Raises HomeAssistantError where it cannot be asked, says no, or says nothing for ten
        seconds. A late answer to an earlier request is told apart by its transaction.
        """
        if not self.online:
            raise _bridge_offline()
        transaction = uuid4().hex
        with self._answer(transaction) as answer:
            await mqtt.async_publish(
                self.hass,
                self.topics.request(verb),
                json.dumps({**(body or {}), "transaction": transaction}),
                qos=1,
            )
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                    response = await answer
            except TimeoutError as error:
                raise HomeAssistantError(
                    translation_domain=DOMAIN, translation_key="request_timed_out"
                ) from error
        if response.get("status") != "ok":
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="request_refused",
                translation_placeholders={"error": str(response.get("error", ""))},
            )
        return response.get("data")

    @contextmanager
    def _answer(self, transaction: str) -> Iterator[asyncio.Future[dict[str, Any]]]:
        answer = self._pending[transaction] = self.hass.loop.create_future()
        try:
            yield answer
        finally:
            del self._pending[transaction]

    # --- hearing ----------------------------------------------------------------------------------

    @callback
    def _received(self, message: mqtt.ReceiveMessage) -> None:
        text = str(message.payload)
        match message.topic.removeprefix(f"{self.topics.base}/").split("/"):
            case ["vehicle", key, leaf] if leaf in VEHICLE_LEAVES:
                if (payload := _object(text)) is not None:
                    self._vehicle_said(key, leaf, payload, retained=message.retain)
            case ["bridge", "response", *_]:
                self._answered(_object(text) or {})
            case ["bridge", leaf] if leaf in ("state", "info", "devices", "health"):
                self._bridge_said(leaf, text)

    def _bridge_said(self, leaf: str, text: str) -> None:
        if leaf == "state":
            self._said_online = text == ONLINE
        elif payload := _object(text):
            match leaf:
                case "info":
                    self.info = cast(Info, payload)
                case "devices":
                    self._devices_said(Devices(vehicles=[], guests=[]) | cast(Devices, payload))
                case "health":
                    self.health = cast(Health, payload)
        else:
            return
        self._awaited.discard(leaf)
        if not self._awaited:
            self._complete.set()
        self._availability_changed()
        self._notify()
        if leaf == "devices":
            for row in self.devices["vehicles"]:
                self._show(row["key"], self.vehicles[row["key"]])

    def _devices_said(self, devices: Devices) -> None:
        self.devices = devices
        for row in devices["vehicles"]:
            if (vehicle := self.vehicles.get(row["key"])) is not None:
                vehicle.row = row
                continue
            # Its topics may have been heard before it was named.
            vehicle = self.vehicles[row["key"]] = VehicleData(row)
            for leaf in ("position", "state", "last_alarm"):
                setattr(vehicle, leaf, self._leaves.pop((row["key"], leaf), {}))
        self._check_stale()

    def _vehicle_said(
        self, key: str, leaf: str, payload: dict[str, Any], *, retained: bool
    ) -> None:
        vehicle = self.vehicles.get(key)
        if VEHICLE_LEAVES[leaf]:
            if vehicle is None:
                self._leaves[key, leaf] = payload
                return
            if getattr(vehicle, leaf) == payload:
                return
            setattr(vehicle, leaf, payload)
        if vehicle is None:
            return
        if leaf == "state":
            self._check_stale()
            self._show(key, vehicle)
        for listener in tuple(self._vehicle_listeners[key, leaf]):
            listener(payload, retained)

    def _answered(self, response: dict[str, Any]) -> None:
        waiting = self._pending.get(str(response.get("transaction")))
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    # --- entities that are due --------------------------------------------------------------------

    def _show(self, key: str, vehicle: VehicleData) -> None:
        new = tuple(
            entity
            for entity in ENTITIES
            if entity.key not in vehicle.shown and self._is_due(entity, vehicle)
        )
        if not new:
            return
        vehicle.shown.update(entity.key for entity in new)
        for listener in tuple(self._entities_listeners):
            listener(key, new)

    def _is_due(self, entity: Entity, vehicle: VehicleData) -> bool:
        if entity.alarm and entity.alarm not in self.entry.options.get(CONF_ALARMS, ALARM_KINDS):
            return False
        if entity.always:
            return True
        if entity.alarm:
            rung = {*vehicle.row.get("alarms", ()), *vehicle.state.get("alarms", ())}
            return entity.alarm in rung
        return (
            entity.field in vehicle.row.get("reports", ())
            or lookup(vehicle.state, entity.field) is not None
        )

    # --- availability -----------------------------------------------------------------------------

    @callback
    def _connection_changed(self, _connected: bool) -> None:  # noqa: FBT001 - Home Assistant's
        self._availability_changed()
        self._notify()

    def _availability_changed(self) -> None:
        """Say once that the bridge went, and once that it is back."""
        self.online = self._said_online and mqtt.is_connected(self.hass)
        if not self._complete.is_set():
            return
        if self.online and self._told_offline:
            _LOGGER.info("The bridge at %s is back", self.topics.base)
            self._told_offline = False
        elif not self.online and not self._told_offline:
            _LOGGER.info("The bridge at %s cannot be reached", self.topics.base)
            self._told_offline = True

    @callback
    def _check_stale(self, _now: datetime | None = None) -> None:
        was = {key: vehicle.stale for key, vehicle in self.vehicles.items()}
        for vehicle in self.vehicles.values():
            vehicle.stale = self._is_stale(vehicle)
        if any(vehicle.stale != was[key] for key, vehicle in self.vehicles.items()):
            self._notify()

    def _is_stale(self, vehicle: VehicleData) -> bool:
        minutes = self.entry.options.get(CONF_STALE_AFTER_MIN, DEFAULT_STALE_AFTER_MIN)
        seen = dt_util.parse_datetime(vehicle.state.get("last_seen", ""))
        return bool(
            minutes and seen is not None and dt_util.utcnow() - seen > timedelta(minutes=minutes)
        )

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _bridge_offline() -> HomeAssistantError:
    return HomeAssistantError(translation_domain=DOMAIN, translation_key="bridge_offline")


def lookup(payload: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a dotted path, None where it leads nowhere."""
    value: Any = payload
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _object(text: str) -> dict[str, Any] | None:
    """Return a JSON object: an empty one for a cleared topic, None for anything else."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        _LOGGER.debug("Not a JSON object: %.80s", text)
        return None
    return value


def _listening[T](listeners: dict[T, None], listener: T) -> CALLBACK_TYPE:
    listeners[listener] = None

    @callback
    def stop() -> None:
        listeners.pop(listener, None)

    return stop
