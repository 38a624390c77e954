"""The flows in which a person solves an issue; `issues` finds them and sees when they are gone."""

from __future__ import annotations

from typing import Any, override

import probatio
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)

from .const import DOMAIN
from .coordinator import BridgeCoordinator, Tk103bConfigEntry

LONGEST_NAME = 80
"""The bridge takes no longer text."""

IssueData = dict[str, str | int | float | None]


async def async_create_fix_flow(
    _hass: HomeAssistant, _issue_id: str, data: IssueData | None
) -> RepairsFlow:
    """Return the flow for an issue, by its kind."""
    kind = (data or {}).get("kind")
    return FLOWS.get(str(kind), CheckFlow)()


class IssueFlow(RepairsFlow):
    """What all flows have: the entry of their issue, and the words the issue is told in."""

    def __init__(self) -> None:
        self._known_words: dict[str, str] = {}

    def _fact(self, name: str) -> str:
        return str((self.data or {})[name])

    def _entry(self, name: str = "entry_id") -> Tk103bConfigEntry | None:
        """Return the entry that the issue names, None where it is not loaded."""
        entry = self.hass.config_entries.async_get_entry(self._fact(name))
        loaded = entry is not None and entry.state is ConfigEntryState.LOADED
        return entry if loaded else None

    def _form(
        self,
        step_id: str,
        schema: probatio.Schema | None = None,
        errors: dict[str, str] | None = None,
        refusal: str = "",
    ) -> RepairsFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema or probatio.Schema({}),
            errors=errors,
            description_placeholders={**self._words(), "error": refusal},
        )

    def _words(self) -> dict[str, str]:
        """Return what the issue is told with, also once it has gone while the dialog was open."""
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        if issue is not None:
            self._known_words = dict(issue.translation_placeholders or {})
        return self._known_words


class CheckFlow(IssueFlow):
    """For what is solved elsewhere: says how, and looks whether it was."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Tell what to do, until it has been done."""
        if user_input is None:
            return self._form("confirm")
        if error := await self._unsolved():
            return self._form("confirm", errors={"base": error})
        return self.async_create_entry(data={})

    async def _unsolved(self) -> str:
        """Return the key of what is still wrong, or ""."""
        there = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id) is not None
        return "still_there" if there else ""


class TakeOverFlow(CheckFlow):
    """Another makes the entities, or nobody: setting the entry up again takes them over."""

    @override
    async def _unsolved(self) -> str:
        entry_id = self._fact("entry_id")
        if self.hass.config_entries.async_get_entry(entry_id) is not None:
            await self.hass.config_entries.async_reload(entry_id)
        return "take_over_failed" if self._entry() is None else ""


class PendingTrackerFlow(IssueFlow):
    """An unknown tracker: give it a name, or keep it out."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask which."""
        return self.async_show_menu(
            step_id="init", menu_options=["accept", "block"], description_placeholders=self._words()
        )

    async def async_step_accept(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Ask for the name of the new vehicle."""
        schema = probatio.Schema({probatio.Required("name"): TextSelector()})
        if user_input is None:
            return self._form("accept", schema)
        name = user_input["name"].strip()
        if not name or len(name) > LONGEST_NAME:
            return self._form("accept", schema, errors={"name": "invalid_name"})
        return await self._ask("accept", schema, {"name": name})

    async def async_step_block(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask whether to hang up on it from now on."""
        if user_input is None:
            return self._form("block")
        return await self._ask("block", probatio.Schema({}), {})

    async def _ask(
        self, step_id: str, schema: probatio.Schema, wish: dict[str, str]
    ) -> RepairsFlowResult:
        entry = self._entry()
        if entry is None:
            return self.async_abort(reason="not_loaded")
        body = {"id": self._fact("id"), "waiting": True, **wish}
        if refused := await _refusal(entry.runtime_data, f"device/{step_id}", body):
            return self._form(step_id, schema, {"base": "refused"}, refused)
        return self.async_create_entry(data={})


class SameKeyFlow(IssueFlow):
    """Two bridges have a vehicle with one key: one of them gives it up, with its history kept."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_keep()

    async def async_step_keep(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask which bridge keeps the vehicle, and have the other remove it."""
        sides = {
            entry.entry_id: (entry, self._fact(f"{side}_key"))
            for side in ("first", "second")
            if (entry := self._entry(side)) is not None
        }
        if len(sides) < 2:
            return self.async_abort(reason="not_loaded")
        options = [
            SelectOptionDict(value=entry_id, label=entry.title)
            for entry_id, (entry, _) in sides.items()
        ]
        choice = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST))
        schema = probatio.Schema({probatio.Required("keeper"): choice})
        if user_input is None:
            return self._form("keep", schema)
        keeper, _ = sides.pop(user_input["keeper"])
        ((other, key),) = sides.values()
        if refused := await _refusal(other.runtime_data, "device/remove", {"key": key}):
            return self._form("keep", schema, {"base": "refused"}, refused)
        # Its entities could not all be added while the other's had their ids.
        self.hass.config_entries.async_schedule_reload(keeper.entry_id)
        return self.async_create_entry(data={})


FLOWS: dict[str, type[IssueFlow]] = {
    "double_ownership": TakeOverFlow,
    "entities_off": TakeOverFlow,
    "pending_tracker": PendingTrackerFlow,
    "same_key": SameKeyFlow,
}
"""What can be done from here; of all else is told where to do it."""


async def _refusal(coordinator: BridgeCoordinator, verb: str, body: dict[str, Any]) -> str:
    """Ask a bridge; return why it would not, or ""."""
    try:
        await coordinator.request(verb, body)
    except HomeAssistantError as error:
        return str(error)
    return ""
