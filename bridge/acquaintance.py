"""What the registry knows, as values: vehicles, ids, and how the configuration is merged in.

Ids. A tracker is known by the 15 digits of its IMEI; some protocols send a short form, the last 11
digits with or without a 0 before. An id that is listed is matched as it stands, a short form by
itself only where exactly one accepted IMEI has it.

Keys. Topics, unique ids and history hang on a vehicle's key, so it is chosen once and never
changes: a-z, 0-9 and _, at most 40 characters, unique.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from typing import Any, Protocol

import msgspec
from slugify import slugify

from bridge.errors import ConfigError, RequestError

RESERVED_KEYS = frozenset({"bridge", "sms", "vehicle"})
"""Words that stand where a vehicle's key stands, in topics and unique ids."""

KEY_LENGTH = 40
NAME_LENGTH = 80

_KEY = re.compile(rf"[a-z0-9_]{{1,{KEY_LENGTH}}}")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


class Vehicle(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle that was accepted."""

    key: str
    name: str
    owner: str = ""
    icon: str = ""
    trackers: tuple[str, ...] = ()
    accepted_at: datetime
    private: bool = False
    """No place of it leaves the bridge."""
    removed: bool = False
    """No longer accepted; its key stays reserved until it is forgotten."""

    from_yaml: bool = False
    """The configuration names it now. This field and the next are not stored."""
    timezone_minutes: int | None = None
    """Offset of its tracker's local clock, as configured."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id its trackers may report with: those listed and the short forms of IMEIs."""
        forms = (form for tracker in self.trackers for form in (tracker, *_short_forms(tracker)))
        return tuple(dict.fromkeys(forms))


class YamlVehicle(Protocol):
    """A vehicle as the configuration names it; `bridge.config.VehicleConfig` is one."""

    @property
    def key(self) -> str:
        """What it is called in topics."""

    @property
    def name(self) -> str | None:
        """What people call it."""

    @property
    def owner(self) -> str | None:
        """Whose it is."""

    @property
    def icon(self) -> str | None:
        """A name of Material Design Icons."""

    @property
    def trackers(self) -> tuple[str, ...]:
        """The ids of its trackers."""

    @property
    def timezone_minutes(self) -> int | None:
        """Offset of its tracker's local clock."""

    @property
    def where(self) -> str:
        """Where it stands: ``file:line``."""

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that stand there; they win."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the registry's file: `entities` and `options` are what requests have chosen."""

    schema: int
    instance: str
    namespace: str
    entities: str | None = None
    options: dict[str, dict[str, bool | int | float | str]] = {}
    vehicles: tuple[Vehicle, ...] = ()
    blocked: tuple[str, ...] = ()


def holders(vehicles: Sequence[Vehicle], refused: Container[str]) -> dict[str, Vehicle]:
    """Return whose each id is, short forms included, for the ids that are accepted."""
    listed = {
        tracker: vehicle
        for vehicle in vehicles
        for tracker in vehicle.trackers
        if not vehicle.removed and tracker not in refused
    }
    short: dict[str, list[Vehicle]] = {}
    for tracker, vehicle in listed.items():
        for form in _short_forms(tracker):
            short.setdefault(form, []).append(vehicle)
    return listed | {
        form: of[0]
        for form, of in short.items()
        if len(of) == 1 and form not in listed and form not in refused
    }


def box(tracker: str) -> str:
    """Return the same text for an IMEI and its short forms, which are one tracker."""
    length = len(tracker)
    if tracker.isdigit() and (length in (11, 15) or (length == 12 and tracker[0] == "0")):
        return tracker[-11:]
    return tracker


def free_key(name: str, device_id: str, taken: Container[str]) -> str:
    """Return the key made of a name, with the last digits of the id where it is empty or taken."""
    slug = slugify(name, separator="_", max_length=KEY_LENGTH)
    if slug and slug not in RESERVED_KEYS and slug not in taken:
        return slug
    stem, digits = slug or "tracker", device_id.lower()
    endings = chain(
        (digits[-length:] for length in range(min(4, len(digits)), len(digits) + 1)),
        (f"{digits[-4:]}_{number}" for number in count(2)),
    )
    keys = (f"{stem[: KEY_LENGTH - 1 - len(end)].rstrip('_')}_{end}" for end in endings)
    return next(key for key in keys if key not in taken)


def title(key: str) -> str:
    """Return a name made of a key."""
    return key.replace("_", " ").strip().title() or key


def is_id(text: str) -> bool:
    """Whether this can be a tracker's id: it may then stand in a topic, a file name, a page."""
    return _ID.fullmatch(text) is not None


def is_key(text: str) -> bool:
    """Whether this can be a vehicle's key."""
    return _KEY.fullmatch(text) is not None and text not in RESERVED_KEYS


def check_id(device_id: str) -> None:
    """Raise RequestError for what is no tracker id."""
    if not is_id(device_id):
        raise RequestError(f"{device_id[:32]!r} is no tracker id")


def check_key(key: str) -> None:
    """Raise RequestError for what is no key."""
    if not is_key(key):
        raise RequestError(
            f"{key[:KEY_LENGTH]!r} cannot be a key: a-z, 0-9 and _, at most {KEY_LENGTH}"
            f" characters, and none of {', '.join(sorted(RESERVED_KEYS))}"
        )


def check_words(field: str, text: str) -> str:
    """Return a display text without the blanks around it; RequestError for what is none."""
    text = text.strip()
    if len(text) > NAME_LENGTH or not text.isprintable():
        raise RequestError(f"the {field} must be one line of at most {NAME_LENGTH} characters")
    return text


def merge(
    content: Content, vehicles: Sequence[YamlVehicle], blocked: Collection[str]
) -> tuple[Content, list[str]]:
    """Return the content with the configuration merged in, and what a person should know of it.

    The fields named there win; an id that stands there leaves any other vehicle and is blocked no
    longer. A vehicle that no longer stands there stays. Raises ConfigError for a contradiction.
    """
    owners = _owners_of_ids(vehicles, blocked)
    notices: list[str] = []
    merged = {known.key: _without_moved(known, owners, notices) for known in content.vehicles}
    for given in vehicles:
        merged[given.key] = _merge(merged.get(given.key), given, notices)
    for vehicle in merged.values():
        refused = () if vehicle.removed else sorted(set(vehicle.trackers).intersection(blocked))
        notices += [
            f"tracker {one} of {vehicle.key} is blocked by the configuration" for one in refused
        ]
    freed = sorted(owners.keys() & set(content.blocked))
    notices += [
        f"tracker {one} is no longer blocked: it stands in {owners[one].where}" for one in freed
    ]
    return (
        msgspec.structs.replace(
            content,
            vehicles=tuple(merged.values()),
            blocked=tuple(one for one in content.blocked if one not in owners),
        ),
        notices,
    )


def _short_forms(tracker: str) -> tuple[str, ...]:
    if len(tracker) != 15 or not tracker.isdigit():
        return ()
    return tracker[-11:], f"0{tracker[-11:]}"


def _owners_of_ids(
    vehicles: Sequence[YamlVehicle], blocked: Collection[str]
) -> dict[str, YamlVehicle]:
    """Return which vehicle of the configuration each id listed there belongs to."""
    owners: dict[str, YamlVehicle] = {}
    keys: set[str] = set()
    for given in vehicles:
        if not is_key(given.key) or given.key in keys:
            raise _mistake(given, f"{given.key[:KEY_LENGTH]!r} cannot be the key of a vehicle")
        keys.add(given.key)
        for tracker in given.trackers:
            if not is_id(tracker):
                raise _mistake(given, f"{tracker[:32]!r} is no tracker id")
            if tracker in owners:
                other = owners[tracker]
                raise _mistake(
                    given, f"tracker {tracker} stands in {other.key} already, {other.where}"
                )
            if tracker in blocked:
                raise _mistake(given, f"tracker {tracker} stands in access.block too")
            owners[tracker] = given
    return owners


def _mistake(given: YamlVehicle, message: str) -> ConfigError:
    file, _, line = given.where.rpartition(":")
    if file and line.isdigit():
        return ConfigError(message, file=file, line=int(line))
    return ConfigError(message, file=given.where)


def _without_moved(known: Vehicle, owners: dict[str, YamlVehicle], notices: list[str]) -> Vehicle:
    """Return a vehicle without the ids that the configuration gives to another one."""
    moved = [one for one in known.trackers if one in owners and owners[one].key != known.key]
    if not known.removed:
        notices += [
            f"tracker {one} moved from {known.key} to {owners[one].key}, {owners[one].where}"
            for one in moved
        ]
    rest = tuple(one for one in known.trackers if one not in moved)
    return msgspec.structs.replace(known, trackers=rest, from_yaml=False, timezone_minutes=None)


def _merge(known: Vehicle | None, given: YamlVehicle, notices: list[str]) -> Vehicle:
    """Return a vehicle as the configuration and the registry together have it."""
    now = datetime.now(UTC)
    if known is None:
        known = Vehicle(key=given.key, name=title(given.key), accepted_at=now)
    elif known.removed:
        notices.append(f"{given.key} was removed; it is back, for it stands in {given.where}")
        known = msgspec.structs.replace(known, removed=False, trackers=(), accepted_at=now)
    named: dict[str, Any] = {
        "name": given.name or known.name,
        "owner": given.owner or "",
        "icon": given.icon or "",
        "trackers": given.trackers,
    }
    named = {field: value for field, value in named.items() if field in given.given}
    left = set(known.trackers).difference(named.get("trackers", known.trackers))
    notices += [
        f"tracker {one} no longer belongs to {given.key}: {given.where} lists its trackers"
        for one in sorted(left)
    ]
    return msgspec.structs.replace(
        known, **named, from_yaml=True, timezone_minutes=given.timezone_minutes
    )
