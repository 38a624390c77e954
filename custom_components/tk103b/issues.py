"""What a person should do something about, as issues that come and go with the facts.

    what the bridge says -> issues of each kind -> Home Assistant's issue registry

Each kind is a method that yields the issues there are now; `repairs` has a flow for each. Ids of
trackers and keys of vehicles stand in no issue id: those go into diagnostics.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.issue_registry import IssueSeverity
from homeassistant.util import dt as dt_util

from .const import CONF_BASE_TOPIC, CONF_INSTANCE, DOMAIN, SCHEMAS
from .contract import GUEST_SLOTS, PROJECT_URL, Guest, State, device_id
from .coordinator import BridgeCoordinator, Tk103bConfigEntry

FIX_WITHIN = timedelta(minutes=30)
"""A receiver that has been connected for so long and has no fix stands in the wrong place."""

_LEARN_MORE = f"{PROJECT_URL}/blob/main/docs/troubleshooting.md"

_OTHER_OWNERS = {"discovery": "double_ownership", "off": "entities_off"}
_SEVERE = {
    *_OTHER_OWNERS.values(),
    "bridge_too_old",
    "bridge_too_new",
    "same_key",
}


class Issue(NamedTuple):
    """One issue: its kind, and by what it is told from others of that, whatever changes of it."""

    kind: str
    subject: str
    facts: dict[str, str]
    """What its words are filled in with, and what its flow has to know."""

    @property
    def issue_id(self) -> str:
        """A name that tells nothing of its subject."""
        digest = hashlib.blake2b(self.subject.encode(), digest_size=8).hexdigest()
        return f"{self.kind}_{digest}"

    @callback
    def async_create(
        self, hass: HomeAssistant, entry: ConfigEntry, *, is_persistent: bool = False
    ) -> None:
        """Have it shown, or brought up to date."""
        is_error = self.kind in _SEVERE
        ir.async_create_issue(
            hass,
            DOMAIN,
            self.issue_id,
            data={"kind": self.kind, "entry_id": entry.entry_id, **self.facts},
            is_fixable=True,
            is_persistent=is_persistent,
            learn_more_url=_LEARN_MORE,
            severity=IssueSeverity.ERROR if is_error else IssueSeverity.WARNING,
            translation_key=self.kind,
            translation_placeholders=self.facts,
        )


def hand_back(instance: str, **facts: str) -> Issue:
    """Return the issue that a bridge, whose entry is gone, still has to make its entities again."""
    return Issue("hand_back", instance, facts)


@callback
def async_ask_for_hand_back(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Say that the bridge of a removed entry does not know yet. It outlives a restart."""
    facts = {"title": entry.title, "base_topic": entry.data[CONF_BASE_TOPIC]}
    command = "tk103b-bridge entities discovery"
    issue = hand_back(entry.data[CONF_INSTANCE], command=command, **facts)
    issue.async_create(hass, entry, is_persistent=True)


@callback
def async_forget_hand_back(hass: HomeAssistant, instance: str) -> None:
    """Delete that issue: the bridge is ours again, or has been told."""
    ir.async_delete_issue(hass, DOMAIN, hand_back(instance).issue_id)


def too_far_apart(schema: object) -> str | None:
    """Return `bridge_too_old` or `bridge_too_new` for a schema that we do not read, else None."""
    if not isinstance(schema, int) or schema < min(SCHEMAS):
        return "bridge_too_old"
    return "bridge_too_new" if schema > max(SCHEMAS) else None


class IssueKeeper:
    """Creates and deletes the issues of one entry as facts change."""

    def __init__(self, coordinator: BridgeCoordinator) -> None:
        self._hass = coordinator.hass
        self._entry: Tk103bConfigEntry = coordinator.entry
        self._coordinator = coordinator
        self._raised: dict[str, Issue] = {}
        self._without_fix: dict[str, datetime] = {}
        """Since when a vehicle has been seen connected, without ever having had a fix."""

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """Look now and whenever the bridge says something of itself; return what ends it.

        It says something each minute, so time is looked at, too. At the end all issues go.
        """
        forget = self._coordinator.async_listen(self._look)
        self._look()

        @callback
        def stop() -> None:
            forget()
            self._settle({})

        return stop

    @callback
    def _look(self) -> None:
        # What a bridge that is away has said last may be old: neither is anything new, nor solved.
        if self._coordinator.online:
            found = chain(
                self._about_the_bridge(),
                self._pending_tracker(),
                self._wrong_time_zone(),
                self._never_a_fix(),
                self._same_key(),
            )
            self._settle({issue.issue_id: issue for issue in found})

    def _settle(self, found: dict[str, Issue]) -> None:
        for issue in found.values():
            issue.async_create(self._hass, self._entry)
        for issue_id in self._raised.keys() - found.keys():
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
        self._raised = found

    # --- the kinds --------------------------------------------------------------------------------

    def _issue(self, kind: str, subject: str = "", **facts: str) -> Issue:
        return Issue(kind, f"{self._entry.entry_id} {subject}", facts)

    def _about_the_bridge(self) -> Iterator[Issue]:
        """Yield that it is too far apart, or else who makes the entities instead of us."""
        info, title = self._coordinator.info, self._entry.title
        if kind := too_far_apart(info.get("schema")):
            version, schema = str(info.get("version", "?")), str(info.get("schema", "?"))
            oldest, newest = str(min(SCHEMAS)), str(max(SCHEMAS))
            yield self._issue(
                kind, title=title, version=version, schema=schema, oldest=oldest, newest=newest
            )
        elif kind := _OTHER_OWNERS.get(info.get("entities", "")):
            yield self._issue(kind, title=title)

    def _pending_tracker(self) -> Iterator[Issue]:
        """Yield the trackers most likely somebody's own; one that is shown stays while it waits."""
        shown = {issue.facts.get("id") for issue in self._raised.values()}

        def rank(guest: Guest) -> tuple[bool, bool, int]:
            placed = guest.get("has_position", False)
            return not placed, guest["id"] not in shown, -guest.get("reports", 0)

        for guest in sorted(self._coordinator.devices["guests"], key=rank)[:GUEST_SLOTS]:
            tracker, protocol = guest["id"], guest.get("protocol", "?")
            facts = {"id": tracker, "ending": tracker[-4:], "protocol": protocol}
            yield self._issue("pending_tracker", tracker, title=self._entry.title, **facts)

    def _wrong_time_zone(self) -> Iterator[Issue]:
        for row in self._coordinator.devices["vehicles"]:
            if advice := row.get("advice"):
                name = row.get("name", row["key"])
                yield self._issue("wrong_time_zone", row["key"], vehicle=name, advice=advice)

    def _never_a_fix(self) -> Iterator[Issue]:
        now, before, self._without_fix = dt_util.utcnow(), self._without_fix, {}
        for row in self._coordinator.devices["vehicles"]:
            key = row["key"]
            vehicle = self._coordinator.vehicles.get(key)
            state = vehicle.state if vehicle else State()
            # In private mode no place is told, so there is nothing to miss.
            private = state.get("private") or row.get("private")
            if state.get("link") != "connected" or "fix_time" in state or private:
                continue
            self._without_fix[key] = since = before.get(key, now)
            if now - since >= FIX_WITHIN:
                minutes = str(int(FIX_WITHIN.total_seconds() // 60))
                name = row.get("name", key)
                yield self._issue("never_a_fix", key, vehicle=name, minutes=minutes)

    def _same_key(self) -> Iterator[Issue]:
        """Yield vehicles that another bridge has under the same device id, and so unique ids."""
        mine = {
            device_id(self._coordinator.namespace, row["key"]): row
            for row in self._coordinator.devices["vehicles"]
        }
        others: list[Tk103bConfigEntry] = self._hass.config_entries.async_loaded_entries(DOMAIN)
        for other in others:
            for theirs in other.runtime_data.devices["vehicles"]:
                twin = device_id(other.runtime_data.namespace, theirs["key"])
                if twin not in mine or other.entry_id == self._entry.entry_id:
                    continue
                # The same from either side.
                (first, one), (second, two) = sorted(
                    ((self._entry, mine[twin]), (other, theirs)), key=lambda side: side[0].entry_id
                )
                facts = {
                    "vehicle": one.get("name", one["key"]),
                    "first": first.title,
                    "first_entry_id": first.entry_id,
                    "first_key": one["key"],
                    "second": second.title,
                    "second_entry_id": second.entry_id,
                    "second_key": two["key"],
                }
                yield Issue("same_key", f"{twin} {first.entry_id} {second.entry_id}", facts)
