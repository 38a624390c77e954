"""Lets the test plugin, made for Home Assistant 2026.10, run with 2026.11.

Loaded before the plugin, by `-p tests.component.ahead`. There is no plugin for the newer one yet;
with it this file goes.
"""

from __future__ import annotations

# It puts one library into the place of another, and must come before whoever imports that.
import homeassistant  # noqa: F401 - first: it aliases what the others import

# isort: split
# The plugin's own, which it wants to come before the rest of Home Assistant.
from pytest_homeassistant_custom_component import (  # noqa: F401
    patch_json,
    patch_recorder,
    patch_time,
)

# isort: split
from homeassistant.components import logger
from homeassistant.components.logger import helpers
from homeassistant.helpers.restore_state import RestoreStateData, StoredState

# Imported by the plugin from where it was.
logger._clear_logger_overwrites = helpers._clear_logger_overwrites

# What an entity was before is kept by its place in the registry; the plugin keeps it by its id.
_by_registry = RestoreStateData.async_get_stored_state


def _by_either(self: RestoreStateData, entity_id: str) -> StoredState | None:
    return _by_registry(self, entity_id) or self.last_states_by_entity_id.get(entity_id)


RestoreStateData.async_get_stored_state = _by_either
RestoreStateData.last_states = property(
    lambda self: self.last_states_by_entity_id,
    lambda self, states: setattr(self, "last_states_by_entity_id", states),
)
