"""What the bridge says, as it says it: one subscription, the latest of every retained topic.

The bridge pushes and nothing is polled. Entities listen here for the one topic they are made of.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.json import json_dumps
from homeassistant.util import dt as dt_util

from .const import (
    ANSWER_TIMEOUT,
    AWAY_TIMEOUT,
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
    CommandResult,
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
        self._told_online = True
        self._leaves: dict[tuple[str, str], Any] = {}
        self._complete = asyncio.Event()
        self._awaited = {"info", "devices", "state"}
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._steps: dict[str, asyncio.Queue[CommandResult]] = {}
        """Of the commands that somebody waits for, by their transactions."""
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
            raise failure(ConfigEntryNotReady, "mqtt_unavailable")
        self._unsubscribes = [
            mqtt.async_subscribe_connection_status(self.hass, self._connection_changed),
            await mqtt.async_subscribe(self.hass, f"{self.topics.base}/#", self._received, qos=1),
            async_track_time_interval(self.hass, self._check_stale, STALE_CHECK),
        ]
        problem = ""
        try:
            async with asyncio.timeout(RETAINED_TIMEOUT.total_seconds()):
                await self._complete.wait()
        except TimeoutError:
            problem = "bridge_silent"
        else:
            if self.info.get("instance") != self.entry.data[CONF_INSTANCE]:
                problem = "other_bridge"
        if problem:
            self.async_shutdown()
            raise failure(ConfigEntryNotReady, problem, base_topic=self.topics.base)

    @callback
    def async_shutdown(self) -> None:
        """Stop listening; whoever still waits for an answer is told that none will come."""
        while self._unsubscribes:
            self._unsubscribes.pop()()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(failure(HomeAssistantError, "bridge_offline"))
        for steps in self._steps.values():
            steps.shutdown()

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

    async def request(
        self, verb: str, body: Mapping[str, Any] | None = None, transaction: str = ""
    ) -> Any:  # noqa: ANN401 - what it answers, the verb alone knows
        """Ask the bridge and return the `data` of its answer.

        Raises HomeAssistantError where it cannot be asked, says no, or says nothing for ten
        seconds. A late answer to an earlier request is told apart by its transaction.
        """
        if not self.online:
            raise failure(HomeAssistantError, "bridge_offline")
        transaction = transaction or uuid4().hex
        answer = self._pending[transaction] = self.hass.loop.create_future()
        question = json_dumps({**(body or {}), "transaction": transaction})
        try:
            await mqtt.async_publish(self.hass, self.topics.request(verb), question, qos=1)
            async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                response = await answer
        except TimeoutError as error:
            raise failure(HomeAssistantError, "request_timed_out") from error
        finally:
            del self._pending[transaction]
        if response.get("status") != "ok":
            sentence = str(response.get("error", ""))
            raise failure(HomeAssistantError, "request_refused", error=sentence)
        return response.get("data")

    async def command(
        self, key: str, wish: Mapping[str, Any], *, wait: bool = True
    ) -> CommandResult:
        """Give a vehicle's tracker a command; return the last step that was heard of it.

        That is the final one, unless nothing follows for longer than a tracker takes to answer:
        then it may still wait, or have been sent. Without `wait` it is the first one. Raises
        HomeAssistantError as `request` does, and where this ends before the command does.
        """
        transaction = uuid4().hex
        steps = self._steps[transaction] = asyncio.Queue()
        try:
            body = {**wish, "key": key}
            step: CommandResult = await self.request("device/command", body, transaction)
            while wait and not step.get("final"):
                async with asyncio.timeout(self._patience(key, step).total_seconds()):
                    step = await steps.get()
        except TimeoutError:
            pass
        except asyncio.QueueShutDown as error:
            raise failure(HomeAssistantError, "bridge_offline") from error
        finally:
            del self._steps[transaction]
        return step

    def _patience(self, key: str, step: CommandResult) -> timedelta:
        link = lookup(self.vehicles[key].state, "link") if key in self.vehicles else None
        waits = step.get("status") == "queued" and link != "connected"
        return AWAY_TIMEOUT if waits else ANSWER_TIMEOUT

    # --- hearing ----------------------------------------------------------------------------------

    @callback
    def _received(self, message: mqtt.ReceiveMessage) -> None:
        if not self._unsubscribes:
            # Shut down. A subscription made before MQTT was reloaded goes on all the same.
            return
        text = str(message.payload)
        match message.topic.removeprefix(f"{self.topics.base}/").split("/", 2):
            case ["vehicle", key, leaf] if leaf in VEHICLE_LEAVES:
                if (payload := json_object(text)) is not None:
                    self._vehicle_said(key, leaf, payload, retained=message.retain)
            case ["bridge", "response", _]:
                response = json_object(text) or {}
                waiting = self._pending.get(str(response.get("transaction")))
                if waiting is not None and not waiting.done():
                    waiting.set_result(response)
            case ["bridge", leaf] if leaf in ("state", "info", "devices", "health"):
                self._bridge_said(leaf, text)

    def _bridge_said(self, leaf: str, text: str) -> None:
        if leaf == "state":
            self._said_online = text == ONLINE
        elif payload := json_object(text):
            if leaf == "devices":
                self._devices_said(Devices(vehicles=[], guests=[]) | cast(Devices, payload))
            else:
                setattr(self, leaf, payload)
        else:
            return
        self._awaited.discard(leaf)
        if not self._awaited:
            self._complete.set()
        self._availability_changed()
        if leaf == "devices":
            for row in self.devices["vehicles"]:
                self._show(row["key"], self.vehicles[row["key"]])

    def _devices_said(self, devices: Devices) -> None:
        self.devices = devices
        for row in devices["vehicles"]:
            key = row["key"]
            if key in self.vehicles:
                self.vehicles[key].row = row
            else:
                # Its topics may have been heard before it was named.
                kept = ("position", "state", "last_alarm")
                heard = (self._leaves.pop((key, leaf), {}) for leaf in kept)
                self.vehicles[key] = VehicleData(row, *heard)
        self._check_stale()

    def _vehicle_said(
        self, key: str, leaf: str, payload: dict[str, Any], *, retained: bool
    ) -> None:
        vehicle, is_kept = self.vehicles.get(key), VEHICLE_LEAVES[leaf]
        if vehicle is None:
            if is_kept:
                self._leaves[key, leaf] = payload
            return
        if is_kept:
            if getattr(vehicle, leaf) == payload:
                return
            setattr(vehicle, leaf, payload)
        if leaf == "state":
            self._check_stale()
            self._show(key, vehicle)
        if leaf == "command/result":
            steps = self._steps.get(str(payload.get("transaction")))
            if steps is not None:
                steps.put_nowait(cast(CommandResult, payload))
        for listener in tuple(self._vehicle_listeners[key, leaf]):
            listener(payload, retained)

    # --- entities that are due --------------------------------------------------------------------

    def _show(self, key: str, vehicle: VehicleData) -> None:
        if self.dormant:
            return
        hidden = (entity for entity in ENTITIES if entity.key not in vehicle.shown)
        if new := tuple(entity for entity in hidden if self._is_due(entity, vehicle)):
            vehicle.shown.update(entity.key for entity in new)
            for listener in tuple(self._entities_listeners):
                listener(key, new)

    def _is_due(self, entity: Entity, vehicle: VehicleData) -> bool:
        if entity.commands:
            return {*entity.commands} <= {*vehicle.row.get("commands", ())}
        if not entity.alarm:
            reported = entity.field in vehicle.row.get("reports", ())
            return entity.always or reported or lookup(vehicle.state, entity.field) is not None
        rung = {*vehicle.row.get("alarms", ()), *vehicle.state.get("alarms", ())}
        is_wanted = entity.alarm in self.entry.options.get(CONF_ALARMS, ALARM_KINDS)
        return is_wanted and (entity.always or entity.alarm in rung)

    # --- availability -----------------------------------------------------------------------------

    @callback
    def _connection_changed(self, connected: bool) -> None:  # noqa: FBT001 - Home Assistant's
        """Believe nobody's word of before: the broker may come back without the bridge."""
        if not connected:
            self._said_online = False
            self._availability_changed()

    def _availability_changed(self) -> None:
        """Say once that the bridge went, and once that it is back."""
        self.online = self._said_online and mqtt.is_connected(self.hass)
        if self._complete.is_set() and self.online != self._told_online:
            self._told_online = self.online
            what = "is back" if self.online else "cannot be reached"
            _LOGGER.info("The bridge at %s %s", self.topics.base, what)
        self._notify()

    @callback
    def _check_stale(self, _now: datetime | None = None) -> None:
        was = [vehicle.stale for vehicle in self.vehicles.values()]
        for vehicle in self.vehicles.values():
            vehicle.stale = self._is_stale(vehicle)
        if was != [vehicle.stale for vehicle in self.vehicles.values()]:
            self._notify()

    def _is_stale(self, vehicle: VehicleData) -> bool:
        minutes = self.entry.options.get(CONF_STALE_AFTER_MIN, DEFAULT_STALE_AFTER_MIN)
        seen = dt_util.parse_datetime(vehicle.state.get("last_seen", ""))
        if not minutes or seen is None:
            return False
        return dt_util.utcnow() - seen > timedelta(minutes=minutes)

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def failure[E: HomeAssistantError](kind: type[E], key: str, **placeholders: str) -> E:
    """Return an error that is told in the words of `exceptions` in the translations."""
    return kind(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


def lookup(payload: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a dotted path, None where it leads nowhere."""
    value: Any = payload
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def json_object(text: str) -> dict[str, Any] | None:
    """Return a JSON object: an empty one for a cleared topic, None for anything else."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    _LOGGER.debug("Not a JSON object: %.80s", text)
    return None


def _listening[T](listeners: dict[T, None], listener: T) -> CALLBACK_TYPE:
    listeners[listener] = None

    @callback
    def stop() -> None:
        listeners.pop(listener, None)

    return stop
