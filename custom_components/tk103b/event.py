"""What happened once: an alarm began, a trip ended, the ignition was switched.

Delivery is at least once, and what a broker had retained is no news: an event is what came live and
had not come before. The exception is an alarm that rang while nobody here listened.
"""

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, override

from homeassistant.components.event import EventEntity
from homeassistant.core import CoreState, HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from .contract import IGNITION_EVENTS, TRIP_EVENTS, Entity
from .coordinator import BridgeCoordinator
from .entity import VehicleEntity, setup_of

PARALLEL_UPDATES = 0

MOST_REMEMBERED = 100
"""So many events back a repetition is known: a bridge repeats at most its window of twenty."""

TOLD_OF_STATE = ("last_seen", "epoch", "seq")

PLACE = {"latitude", "longitude"}

type Mark = tuple[Any, ...]


class VehicleEvent(VehicleEntity, EventEntity):
    """Something that happens to a vehicle."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, key)
        self._attr_event_types = list(declared.options)
        self._told: deque[Mark] = deque(maxlen=MOST_REMEMBERED)

    def _tell(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Fire an event, unless it is a repetition or one of a kind we have no word for."""
        mark = _mark(event_type, payload)
        if event_type not in self.event_types or (mark and mark in self._told):
            return
        if mark:
            self._told.append(mark)
        self._trigger_event(event_type, _attributes(payload))
        self.async_write_ha_state()


class TripEvent(VehicleEvent):
    """A trip has ended, or late points have changed one."""

    @callback
    @override
    def _heard(self, payload: dict[str, Any], retained: bool) -> None:
        if not retained and payload:
            self._tell(TRIP_EVENTS[1] if payload.get("late") else TRIP_EVENTS[0], payload)


class IgnitionEvent(VehicleEvent):
    """The ignition was switched on or off, told at the report that says so."""

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, key)
        self._on: bool | None = self.value

    @callback
    @override
    def _heard(self, payload: dict[str, Any], retained: bool) -> None:
        was, now = self._on, self.value
        if now is None:
            return
        self._on = now
        if was is not None and was is not now and not retained:
            told = {name: payload[name] for name in TOLD_OF_STATE if name in payload}
            self._tell(IGNITION_EVENTS[0] if now else IGNITION_EVENTS[1], told)


class AlarmEvent(VehicleEvent):
    """An alarm began.

    While Home Assistant starts, alarms wait until automations listen. One that rang while it was
    down, or while the broker was away, is made up for: if it is newer than the last one told here
    and nobody has acknowledged it since, for then it is still going on.
    """

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, key)
        self._waiting: list[dict[str, Any]] = []
        self._missed: Mapping[str, Any] = {}
        self._made_up: deque[Mark] = deque(maxlen=MOST_REMEMBERED)
        """Episodes that were told out of the state, for their own message had been missed."""

    @override
    def _tell(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Fire the event of an episode, unless it was made up for already."""
        if _episode(event_type, payload) not in self._made_up:
            super()._tell(event_type, payload)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        listen = partial(self.coordinator.async_listen_vehicle, self.key)
        self.async_on_remove(listen("last_alarm", self._heard_last))
        self.async_on_remove(listen("state", lambda *_: self._tell_missed()))
        last = self.state_attributes
        if last.get("event_type"):
            self._told.append(_mark(last["event_type"], last))
        if await self.async_get_last_state() is None:
            # New here: whatever rang before is history, and its binary sensor shows it.
            known = self.vehicle.last_alarm
            self._told.append(_mark(known.get("event_type", ""), known))
        self.async_on_remove(async_at_started(self.hass, self._started))

    @callback
    def _started(self, hass: HomeAssistant) -> None:
        # After the first state is written: what follows unavailable triggers no automation.
        self.async_on_remove(hass.loop.call_soon(self._make_up).cancel)

    @callback
    def _make_up(self) -> None:
        for payload in self._waiting:
            self._tell(payload["event_type"], payload)
        self._waiting.clear()
        self._missed = self.vehicle.last_alarm
        self._tell_missed()

    @callback
    @override
    def _heard(self, payload: dict[str, Any], retained: bool) -> None:
        if retained or "event_type" not in payload:
            return
        if self.hass.state is CoreState.running:
            self._tell(payload["event_type"], payload)
        else:
            self._waiting.append(payload)

    @callback
    def _heard_last(self, payload: dict[str, Any], retained: bool) -> None:  # noqa: FBT001 - a listener's signature
        if retained:
            self._missed = payload
            self._tell_missed()

    @callback
    @override
    def _availability_may_have_changed(self) -> None:
        super()._availability_may_have_changed()
        self._tell_missed()

    def _tell_missed(self) -> None:
        """Tell the alarm that was missed, once the state is as new as it and says it goes on.

        And once this entity is available: what it tells before that, nobody would hear.
        """
        missed, state = self._missed, self.vehicle.state
        if not missed or not self.available or self.hass.state is not CoreState.running:
            return
        if state.get("epoch") != missed.get("epoch") or state.get("seq", 0) < missed.get("seq", 0):
            return
        self._missed = {}
        told_at = _time(self.state_attributes)
        # Of several that rang meanwhile only one is the last; the state knows the others.
        rang: list[Mapping[str, Any]] = [
            {
                "event_type": kind,
                "time": episode.get("since"),
                "episode": episode.get("episode"),
                "count": episode.get("count"),
                "epoch": state.get("epoch"),
            }
            for kind, episode in state.get("alarms", {}).items()
            if kind != missed.get("event_type")
        ]
        if missed.get("event_type") in state.get("alarms", {}):
            rang.append(missed)
        for alarm in sorted(rang, key=_time):
            if _time(alarm) > told_at:
                self._tell(alarm["event_type"], alarm)
                if "seq" not in alarm:
                    self._made_up.append(_episode(alarm["event_type"], alarm))


def _attributes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload as attributes. Its place is one: with coordinates an event is on the map."""
    hidden = {"event_type", *PLACE}
    attributes = {name: value for name, value in payload.items() if name not in hidden}
    if payload.keys() >= PLACE:
        attributes["place"] = {name: payload[name] for name in sorted(PLACE)}
    return attributes


def _episode(event_type: str, payload: Mapping[str, Any]) -> Mark:
    return (event_type, payload.get("epoch"), payload.get("episode"))


def _mark(event_type: str, payload: Mapping[str, Any]) -> Mark:
    """Return what tells an event from all others; nothing where it was not journalled."""
    if "seq" not in payload:
        return ()
    return (event_type, payload.get("epoch"), payload["seq"], payload.get("started_at"))


def _time(alarm: Mapping[str, Any]) -> float:
    time = dt_util.parse_datetime(str(alarm.get("time", "")))
    return time.timestamp() if time is not None else 0.0


def _vehicle_event(coordinator: BridgeCoordinator, declared: Entity, key: str) -> VehicleEvent:
    kinds = {"alarm": AlarmEvent, "trip": TripEvent, "state": IgnitionEvent}
    return kinds[declared.source](coordinator, declared, key)


async_setup_entry = setup_of("event", _vehicle_event)
