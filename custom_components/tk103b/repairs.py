"""The flows in which a person solves an issue; `issues` finds them and sees when they are gone."""

from typing import Any, override

import probatio
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import selector

from .config_flow import Answers, ProbeError, async_ask, async_probe
from .const import DOMAIN
from .coordinator import Tk103bConfigEntry
from .issues import hand_back

LONGEST_NAME = 80
"""The bridge takes no longer text."""

NOTHING = probatio.Schema({})
"""Asked of a person: only to go on."""

IssueData = dict[str, str | int | float | None]


async def async_create_fix_flow(
    _hass: HomeAssistant, _issue_id: str, data: IssueData | None
) -> RepairsFlow:
    """Return the flow for an issue, by its kind."""
    return FLOWS.get(str((data or {}).get("kind")), CheckFlow)()


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
        schema: probatio.Schema = NOTHING,
        errors: dict[str, str] | None = None,
        refusal: str = "",
    ) -> RepairsFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
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
    """Nothing can be done from here: it says what to do, and looks whether it is done."""

    async def async_step_init(self, _user_input: Answers = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: Answers = None) -> RepairsFlowResult:
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


class HandBackFlow(CheckFlow):
    """The bridge of an entry that is gone still has to make its entities again."""

    @override
    async def _unsolved(self) -> str:
        base_topic = self._fact("base_topic")
        try:
            info = await async_probe(self.hass, base_topic)
            if hand_back(info["instance"]).issue_id != self.issue_id:
                return "other_bridge"
            if info["entities"] == "component":
                await async_ask(self.hass, base_topic, "entities", {"owner": "discovery"})
        except ProbeError as error:
            # What has no entities by its own configuration makes none for us either.
            return str(error).removeprefix("entities_off")
        return ""


class PendingTrackerFlow(IssueFlow):
    """An unknown tracker: give it a name, or keep it out."""

    async def async_step_init(self, _user_input: Answers = None) -> RepairsFlowResult:
        """Ask which."""
        return self.async_show_menu(
            step_id="init", menu_options=["accept", "block"], description_placeholders=self._words()
        )

    async def async_step_accept(self, user_input: Answers = None) -> RepairsFlowResult:
        """Ask for the name of the new vehicle."""
        schema = probatio.Schema({probatio.Required("name"): selector({"text": {}})})
        if user_input is None:
            return self._form("accept", schema)
        name = user_input["name"].strip()
        if not name or len(name) > LONGEST_NAME:
            return self._form("accept", schema, {"name": "invalid_name"})
        return await self._answer("accept", schema, name=name)

    async def async_step_block(self, user_input: Answers = None) -> RepairsFlowResult:
        """Ask whether to hang up on it from now on."""
        if user_input is None:
            return self._form("block")
        return await self._answer("block", NOTHING)

    async def _answer(self, verb: str, schema: probatio.Schema, **wish: str) -> RepairsFlowResult:
        if (entry := self._entry()) is None:
            return self.async_abort(reason="not_loaded")
        body = {"id": self._fact("id"), "waiting": True, **wish}
        if refused := await _refusal(entry, f"device/{verb}", body):
            return self._form(verb, schema, {"base": "refused"}, refused)
        return self.async_create_entry(data={})


class SameKeyFlow(IssueFlow):
    """Two bridges have a vehicle with one key: one of them gives it up, with its history kept."""

    async def async_step_init(self, _user_input: Answers = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_keep()

    async def async_step_keep(self, user_input: Answers = None) -> RepairsFlowResult:
        """Ask which bridge keeps the vehicle, and have the other remove it."""
        first, second = self._entry("first_entry_id"), self._entry("second_entry_id")
        if first is None or second is None:
            return self.async_abort(reason="not_loaded")
        options = [{"value": one.entry_id, "label": one.title} for one in (first, second)]
        choice = selector({"select": {"options": options, "mode": "list"}})
        schema = probatio.Schema({probatio.Required("keeper"): choice})
        if user_input is None:
            return self._form("keep", schema)
        keeps_first = user_input["keeper"] == first.entry_id
        keeper, other = (first, second) if keeps_first else (second, first)
        key = self._fact("second_key" if keeps_first else "first_key")
        if refused := await _refusal(other, "device/remove", {"key": key}):
            return self._form("keep", schema, {"base": "refused"}, refused)
        # Its entities could not all be added while the other's had their ids.
        self.hass.config_entries.async_schedule_reload(keeper.entry_id)
        return self.async_create_entry(data={})


FLOWS: dict[str, type[IssueFlow]] = {
    "double_ownership": TakeOverFlow,
    "entities_off": TakeOverFlow,
    "hand_back": HandBackFlow,
    "pending_tracker": PendingTrackerFlow,
    "same_key": SameKeyFlow,
}
"""What can be done from here; of all else is told where to do it."""


async def _refusal(entry: Tk103bConfigEntry, verb: str, body: dict[str, Any]) -> str:
    """Ask a bridge; return why it would not, or ""."""
    try:
        await entry.runtime_data.request(verb, body)
    except HomeAssistantError as error:
        return str(error)
    return ""
