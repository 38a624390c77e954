"""What a person should do something about, as issues that come and go with the facts.

    what the bridge says -> facts of each kind -> Issue -> Home Assistant's issue registry

Each kind is a function from what is known now to the issues there are now; `repairs` has a flow for
each. Ids of trackers and keys of vehicles stand in no issue id: those go into diagnostics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.issue_registry import IssueSeverity
from homeassistant.util import dt as dt_util

from .const import DOMAIN, SCHEMAS
from .contract import GUEST_SLOTS, PROJECT_URL, Guest, Owner, State, device_id
from .coordinator import BridgeCoordinator, Tk103bConfigEntry

FIX_WITHIN = timedelta(minutes=30)
"""A receiver that has been connected for so long and has no fix stands in the wrong place."""

_LEARN_MORE = f"{PROJECT_URL}/blob/main/docs/troubleshooting.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue. `kind` is its translation key; `subject` tells it from others of its kind."""

    kind: str
    subject: str
    placeholders: dict[str, str]
    data: dict[str, str | int | float | None] = field(default_factory=dict)
    """What its flow has to know, besides `kind` and `entry_id`."""
    severity: IssueSeverity = IssueSeverity.WARNING
    shared: bool = False
    """It concerns several entries alike, and stands once."""


@dataclass(slots=True)
class Known:
    """What the kinds look at: one entry, and what was seen before."""

    hass: HomeAssistant
    entry: Tk103bConfigEntry
    coordinator: BridgeCoordinator
    raised: dict[str, Issue] = field(default_factory=dict)
    """The issues there are, by id."""
    without_fix: dict[str, datetime] = field(default_factory=dict)
    """Since when a vehicle has been seen connected, without ever having had a fix."""


def too_far_apart(schema: object) -> str | None:
    """Return `bridge_too_old` or `bridge_too_new` for a schema that we do not read, else None."""
    if not isinstance(schema, int) or schema < min(SCHEMAS):
        return "bridge_too_old"
    return "bridge_too_new" if schema > max(SCHEMAS) else None


_OTHER_OWNERS: dict[Owner, str] = {"discovery": "double_ownership", "off": "entities_off"}

# --- the kinds ------------------------------------------------------------------------------------


def _double_ownership(known: Known) -> Iterator[Issue]:
    """Yield who makes the entities instead of us, while we could."""
    owner = known.coordinator.info.get("entities")
    if known.coordinator.readable and owner in _OTHER_OWNERS:
        yield Issue(
            kind=_OTHER_OWNERS[owner],
            subject="",
            placeholders={"title": known.entry.title},
            severity=IssueSeverity.ERROR,
        )


def _pending_tracker(known: Known) -> Iterator[Issue]:
    """Yield the trackers most likely somebody's own; one that is shown stays while it waits."""
    shown = {issue.subject for issue in known.raised.values() if issue.kind == "pending_tracker"}

    def rank(guest: Guest) -> tuple[bool, bool, int]:
        placed = guest.get("has_position", False)
        return not placed, guest["id"] not in shown, -guest.get("reports", 0)

    for guest in sorted(known.coordinator.devices["guests"], key=rank)[:GUEST_SLOTS]:
        yield Issue(
            kind="pending_tracker",
            subject=guest["id"],
            placeholders={
                "id": guest["id"],
                "ending": guest["id"][-4:],
                "protocol": guest.get("protocol", "?"),
                "title": known.entry.title,
            },
            data={"id": guest["id"]},
        )


def _too_far_apart(known: Known) -> Iterator[Issue]:
    info = known.coordinator.info
    if kind := too_far_apart(info.get("schema")):
        yield Issue(
            kind=kind,
            subject="",
            placeholders={
                "title": known.entry.title,
                "version": str(info.get("version", "?")),
                "schema": str(info.get("schema", "?")),
                "oldest": str(min(SCHEMAS)),
                "newest": str(max(SCHEMAS)),
            },
            severity=IssueSeverity.ERROR,
        )


def _wrong_time_zone(known: Known) -> Iterator[Issue]:
    for row in known.coordinator.devices["vehicles"]:
        if advice := row.get("advice"):
            yield Issue(
                kind="wrong_time_zone",
                subject=row["key"],
                placeholders={"vehicle": row.get("name", row["key"]), "advice": advice},
            )


def _never_a_fix(known: Known) -> Iterator[Issue]:
    now = dt_util.utcnow()
    without_fix: dict[str, datetime] = {}
    for row in known.coordinator.devices["vehicles"]:
        key = row["key"]
        vehicle = known.coordinator.vehicles.get(key)
        state = vehicle.state if vehicle else State()
        # In private mode no place is told, so there is nothing to miss.
        private = state.get("private") or row.get("private")
        if state.get("link") != "connected" or "fix_time" in state or private:
            continue
        without_fix[key] = since = known.without_fix.get(key, now)
        if now - since >= FIX_WITHIN:
            yield Issue(
                kind="never_a_fix",
                subject=key,
                placeholders={
                    "vehicle": row.get("name", key),
                    "minutes": str(int(FIX_WITHIN.total_seconds() // 60)),
                },
            )
    known.without_fix = without_fix


def _same_key(known: Known) -> Iterator[Issue]:
    """Yield the vehicles that another bridge has under the same device id, and so unique ids."""
    others: list[Tk103bConfigEntry] = [
        entry
        for entry in known.hass.config_entries.async_loaded_entries(DOMAIN)
        if entry.entry_id != known.entry.entry_id
    ]
    for row in known.coordinator.devices["vehicles"]:
        mine = device_id(known.coordinator.namespace, row["key"])
        for other in others:
            for theirs in other.runtime_data.devices["vehicles"]:
                if device_id(other.runtime_data.namespace, theirs["key"]) != mine:
                    continue
                # The same from either side.
                (first, one), (second, two) = sorted(
                    ((known.entry, row), (other, theirs)), key=lambda side: side[0].entry_id
                )
                yield Issue(
                    kind="same_key",
                    subject=f"{mine} {first.entry_id} {second.entry_id}",
                    placeholders={
                        "vehicle": one.get("name", one["key"]),
                        "first": first.title,
                        "second": second.title,
                    },
                    data={
                        "first": first.entry_id,
                        "first_key": one["key"],
                        "second": second.entry_id,
                        "second_key": two["key"],
                    },
                    severity=IssueSeverity.ERROR,
                    shared=True,
                )


KINDS: tuple[Callable[[Known], Iterator[Issue]], ...] = (
    _double_ownership,
    _pending_tracker,
    _too_far_apart,
    _wrong_time_zone,
    _never_a_fix,
    _same_key,
)


# --- keeping them ---------------------------------------------------------------------------------


class IssueKeeper:
    """Creates and deletes the issues of one entry as facts change."""

    def __init__(
        self, hass: HomeAssistant, entry: Tk103bConfigEntry, coordinator: BridgeCoordinator
    ) -> None:
        self._known = Known(hass, entry, coordinator)

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """Look now and whenever the bridge says something of itself; return what ends it.

        It says something each minute, so time is looked at, too. At the end all issues go.
        """
        forget = self._known.coordinator.async_listen(self._look)
        self._look()

        @callback
        def stop() -> None:
            forget()
            self._settle({})

        return stop

    @callback
    def _look(self) -> None:
        # What a bridge that is away has said last may be old: neither is anything new, nor solved.
        if self._known.coordinator.online:
            self._settle(
                {
                    _issue_id(self._known.entry, issue): issue
                    for kind in KINDS
                    for issue in kind(self._known)
                }
            )

    def _settle(self, found: dict[str, Issue]) -> None:
        known = self._known
        for issue_id, issue in found.items():
            if known.raised.get(issue_id) != issue:
                _create(known.hass, known.entry, issue_id, issue)
        for issue_id in known.raised.keys() - found.keys():
            ir.async_delete_issue(known.hass, DOMAIN, issue_id)
        known.raised = found


def _create(hass: HomeAssistant, entry: ConfigEntry, issue_id: str, issue: Issue) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data={"kind": issue.kind, "entry_id": entry.entry_id, **issue.data},
        is_fixable=True,
        learn_more_url=_LEARN_MORE,
        severity=issue.severity,
        translation_key=issue.kind,
        translation_placeholders=issue.placeholders,
    )


def _issue_id(entry: ConfigEntry, issue: Issue) -> str:
    """Return a name for an issue that stays the same, and tells nothing of its subject."""
    if not issue.subject:
        return f"{issue.kind}_{entry.entry_id}"
    salt = "" if issue.shared else entry.entry_id
    digest = hashlib.blake2b(f"{salt} {issue.subject}".encode(), digest_size=8).hexdigest()
    return f"{issue.kind}_{digest}"
