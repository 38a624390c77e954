"""Where a vehicle is.

A tracker's every write is a new state with a new time, and a person follows whichever of their
trackers wrote last: so it writes for a new fix and for nothing else.
"""

from typing import Any, override

from homeassistant.components.device_tracker import SourceType, TrackerEntity
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .contract import Entity, Position
from .coordinator import BridgeCoordinator
from .entity import VehicleEntity, setup_of

PARALLEL_UPDATES = 0


class VehicleTracker(VehicleEntity, TrackerEntity):
    """The place of a vehicle's last good fix. It has no other attributes, for each is a row."""

    _attr_source_type = SourceType.GPS

    def __init__(self, coordinator: BridgeCoordinator, declared: Entity, key: str) -> None:
        super().__init__(coordinator, declared, key)
        self._fix = Position()
        self._take(self.vehicle.position)

    @property
    @override
    def icon(self) -> str | None:
        """The vehicle's own icon, if it was given one."""
        return self.vehicle.row.get("icon")

    @callback
    @override
    def _heard(self, _payload: dict[str, Any], _retained: bool) -> None:
        if self._take(self.vehicle.position):
            super()._heard(_payload, _retained)

    def _take(self, position: Position) -> bool:
        """Take over a fix that is newer than the one shown, or the news that none is known."""
        is_news = _newer(position, self._fix) if position else bool(self._fix)
        if not is_news:
            return False
        self._fix = position
        self._attr_latitude = position.get("latitude")
        self._attr_longitude = position.get("longitude")
        self._attr_location_accuracy = position.get("gps_accuracy", 0)
        return True


def _newer(position: Position, shown: Position) -> bool:
    time = dt_util.parse_datetime(position.get("fix_time", ""))
    before = dt_util.parse_datetime(shown.get("fix_time", ""))
    return time is not None and (before is None or time > before)


async_setup_entry = setup_of("device_tracker", VehicleTracker)
