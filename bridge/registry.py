"""Who you know: vehicles, accepted and blocked tracker ids, this bridge's own identity.

A small file of its own, ``<data folder>/registry.json``, so that a lost journal loses history and
never acquaintance. It is written whole and its predecessor kept as ``registry.json.1``; every
change is on disk before the method that made it returns.

    {"schema": 1, "instance": "9f2c41d0", "namespace": "tk103b", "entities": null,
     "options": {"trips": {"gap_s": 1800}},
     "vehicles": [{"key": "golf", "name": "My Golf", "owner": "", "icon": "",
                   "trackers": ["864000000000017"], "accepted_at": "...Z", "removed": false}],
     "blocked": []}

Vehicles of the configuration are merged in: the fields it names win and no request changes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from slugify import slugify

from bridge.acquaintance import (
    KEY_LENGTH,
    Content,
    Vehicle,
    YamlVehicle,
    box,
    check_id,
    check_key,
    check_words,
    free_key,
    holders,
    is_id,
    is_key,
    merge,
    title,
)
from bridge.contract import OWNERS
from bridge.datafolder import LockedFolder, lock_folder, predecessor, write_whole
from bridge.errors import RequestError, StorageError

__all__ = ["LockedFolder", "Registry", "Vehicle", "lock_folder"]

FILE_NAME = "registry.json"
SCHEMA = 1


class Registry:
    """Vehicles and ids, in memory and on disk alike.

    What changes something raises RequestError where that is not possible and StorageError where
    the disk refuses; either way nothing has changed. `notices` collects what belongs in the log.
    """

    def __init__(self, path: Path, content: Content) -> None:
        self.instance = content.instance
        self.namespace = content.namespace
        self.notices: list[str] = []
        self._path = path
        self._content = content
        self._vehicles: dict[str, Vehicle] = {}
        self._yaml: dict[str, YamlVehicle] = {}
        self._yaml_blocked: frozenset[str] = frozenset()
        self._blocked: frozenset[str] = frozenset()
        self._by_id: dict[str, Vehicle] = {}
        self._believe(content)

    @classmethod
    def open(cls, folder: Path, base_topic: str) -> Registry:
        """Read the registry of a data folder; a new one gets its namespace from the base topic.

        A damaged file is put aside and its predecessor used, with a notice. Raises StorageError if
        that is damaged too, the file is of a newer program, or it cannot be read or written.
        """
        path = folder / FILE_NAME
        try:
            content, notice = _read(path)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        if content is None:
            content = Content(
                schema=SCHEMA,
                instance=secrets.token_hex(4),
                namespace=slugify(base_topic, separator="_", max_length=KEY_LENGTH) or "tk103b",
            )
        registry = cls(path, content)
        if notice:
            registry.notices.append(notice)
        if not path.exists():
            registry._save(content)
        return registry

    @property
    def entities(self) -> str | None:
        """Who a request made the owner of the entities; None: nobody asked."""
        return self._content.entities

    @property
    def options(self) -> Mapping[str, Mapping[str, bool | int | float | str]]:
        """The options of the configuration that requests have chosen, by section and name."""
        return self._content.options

    def accepted(self) -> tuple[Vehicle, ...]:
        """Return the vehicles in the order in which they came, without removed ones."""
        return tuple(vehicle for vehicle in self._vehicles.values() if not vehicle.removed)

    def vehicle(self, key: str) -> Vehicle:
        """Return an accepted vehicle; RequestError if there is none with this key."""
        vehicle = self._vehicles.get(key)
        if vehicle is None or vehicle.removed:
            raise RequestError(f"there is no vehicle {key[:KEY_LENGTH]!r}")
        return vehicle

    def match(self, device_id: str) -> Vehicle | None:
        """Return whose tracker this is: by its id, or by a short form of just one accepted IMEI."""
        return self._by_id.get(device_id)

    def knows(self, device_id: str) -> bool:
        """Whether somebody has decided about this id, and be it that its vehicle was removed."""
        listed = (one.trackers for one in self._vehicles.values())
        return (
            self.match(device_id) is not None
            or self.is_blocked(device_id)
            or any(device_id in trackers for trackers in listed)
        )

    def is_blocked(self, device_id: str) -> bool:
        """Whether a person has refused this id, by request or in the configuration."""
        return device_id in self._blocked

    def merge_yaml(self, vehicles: Sequence[YamlVehicle], blocked: Collection[str] = ()) -> None:
        """Merge in the vehicles and blocked ids of the configuration, at start and reload.

        Raises ConfigError, naming file and line, for an id or key that contradicts another.
        """
        content, notices = merge(self._content, vehicles, blocked)
        self._save(content)
        self._yaml = {given.key: given for given in vehicles}
        self._yaml_blocked = frozenset(blocked)
        self._believe(content)
        self.notices += notices

    def accept(self, device_id: str, name: str = "", key: str = "", owner: str = "") -> Vehicle:
        """Make a tracker a vehicle of its own, or, with the key of a removed one, restore that.

        The key is chosen here, once: as given, or made of the name.
        """
        self._check_new(device_id)
        name, owner = check_words("name", name), check_words("owner", owner)
        now = datetime.now(UTC)
        if not key:
            vehicle = Vehicle(
                key=free_key(name, device_id, self._vehicles),
                name=name or f"Tracker {device_id[-4:]}",
                owner=owner,
                trackers=(device_id,),
                accepted_at=now,
            )
            return self._put(vehicle, accepted=device_id)
        check_key(key)
        known = self._vehicles.get(key)
        if known is None:
            known = Vehicle(key=key, name=title(key), accepted_at=now)
        elif not known.removed:
            raise RequestError(f"the key {key} is taken: choose another, or replace its tracker")
        vehicle = msgspec.structs.replace(
            known,
            name=name or known.name,
            owner=owner or known.owner,
            trackers=(device_id,),
            accepted_at=now,
            removed=False,
        )
        return self._put(vehicle, accepted=device_id)

    def block(self, device_id: str) -> None:
        """Refuse an id from now on; accepting it takes that back."""
        check_id(device_id)
        holder = self._by_id.get(device_id)
        if holder is not None:
            raise RequestError(f"{device_id} belongs to {holder.key}: remove that vehicle instead")
        self._change(blocked=self._blocked_with(device_id))

    def remove(self, key: str, *, block: bool) -> Vehicle:
        """Accept a vehicle no longer, with `block` refuse its trackers too; return what it was."""
        vehicle = self.vehicle(key)
        if vehicle.from_yaml:
            raise RequestError(f"{key} stands in {self._yaml[key].where}: take it out there first")
        gone = self._vehicles | {key: msgspec.structs.replace(vehicle, removed=True)}
        refused = vehicle.trackers if block else ()
        self._change(vehicles=tuple(gone.values()), blocked=self._blocked_with(*refused))
        return vehicle

    def forget(self, key: str) -> None:
        """Set the key of a removed vehicle free."""
        vehicle = self._vehicles.get(key)
        if vehicle is None or not vehicle.removed:
            raise RequestError(f"{key[:KEY_LENGTH]!r} is no removed vehicle")
        self._change(vehicles=tuple(one for one in self._vehicles.values() if one is not vehicle))

    def rename(self, key: str, name: str) -> Vehicle:
        """Give a vehicle another display name; the key stays."""
        vehicle = self.vehicle(key)
        self._check_free(vehicle, "name")
        name = check_words("name", name)
        if not name:
            raise RequestError("a vehicle needs a name")
        return self._put(msgspec.structs.replace(vehicle, name=name))

    def set_private(self, key: str, *, private: bool) -> Vehicle:
        """Keep a vehicle's places to ourselves from now on, or no longer."""
        return self._put(msgspec.structs.replace(self.vehicle(key), private=private))

    def replace(self, key: str, old_id: str, new_id: str) -> Vehicle:
        """Give a vehicle another tracker for `old_id`; empty: for the one it has, if it has any.

        An IMEI and its short forms are one tracker and leave together.
        """
        vehicle = self.vehicle(key)
        self._check_free(vehicle, "trackers")
        trackers = vehicle.trackers
        if old_id and old_id not in trackers:
            raise RequestError(f"{old_id[:32]!r} is no tracker of {key}")
        if not old_id and len({box(one) for one in trackers}) > 1:
            raise RequestError(f"{key} has several trackers: say which one to replace")
        self._check_new(new_id)
        old_id = old_id or next(iter(trackers), "")
        rest = [one for one in trackers if box(one) != box(old_id)]
        rest.insert(trackers.index(old_id) if old_id else 0, new_id)
        changed = msgspec.structs.replace(vehicle, trackers=tuple(rest))
        return self._put(changed, accepted=new_id)

    def set_owner(self, entities: str) -> None:
        """Keep who owns the entities in Home Assistant: one of `contract.OWNERS`."""
        if entities not in OWNERS:
            raise RequestError(f"entities must be one of {', '.join(OWNERS)}")
        self._change(entities=entities)

    def set_options(self, options: Mapping[str, Mapping[str, bool | int | float | str]]) -> None:
        """Keep what requests have chosen, in place of what they had; it was checked before."""
        self._change(options={section: dict(block) for section, block in options.items()})

    def _check_new(self, device_id: str) -> None:
        """Raise RequestError for an id that cannot become a vehicle's now."""
        check_id(device_id)
        holder = self._by_id.get(device_id)
        if holder is not None:
            raise RequestError(f"{device_id} already belongs to {holder.key}")
        if device_id in self._yaml_blocked:
            raise RequestError(f"{device_id} stands in access.block of the configuration")

    def _check_free(self, vehicle: Vehicle, field: str) -> None:
        """Raise RequestError for a field that the configuration names."""
        given = self._yaml.get(vehicle.key)
        if given is not None and field in given.given:
            raise RequestError(
                f"the {field} of {vehicle.key} stands in {given.where}: change it there"
            )

    def _put(self, vehicle: Vehicle, *, accepted: str = "") -> Vehicle:
        self._change(
            vehicles=tuple((self._vehicles | {vehicle.key: vehicle}).values()),
            blocked=tuple(one for one in self._content.blocked if one != accepted),
        )
        return vehicle

    def _blocked_with(self, *device_ids: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._content.blocked, *device_ids)))

    def _change(self, **fields: object) -> None:
        """Write what is to be, and only then believe it."""
        content = msgspec.structs.replace(self._content, **fields)
        self._save(content)
        self._believe(content)

    def _save(self, content: Content) -> None:
        data = _encode(content)
        if data != _encode(self._content) or not self._path.exists():
            write_whole(self._path, data)

    def _believe(self, content: Content) -> None:
        self._content = content
        self._vehicles = {vehicle.key: vehicle for vehicle in content.vehicles}
        self._blocked = self._yaml_blocked.union(content.blocked)
        self._by_id = holders(content.vehicles, self._blocked)


def _read(path: Path) -> tuple[Content | None, str]:
    """Return the content of the file or of its predecessor, and what is to be said of that.

    None: neither is there. What is damaged is put aside under another name.
    """
    older = predecessor(path)
    try:
        return _decode(path), ""
    except FileNotFoundError:
        if not older.exists():
            return None, ""
        fault = "is missing"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = f"is damaged ({error})"
    try:
        content = _decode(older)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path} {fault}, and its predecessor {older.name} is of no use: put a copy of one in"
            " its place, or move both away to start anew without any vehicle"
        ) from error
    if path.exists():
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        fault += f" and was put aside as {aside.name}"
    return content, f"{path} {fault}; its predecessor is used, so the last change may be lost"


def _decode(path: Path) -> Content:
    data = path.read_bytes()
    schema = msgspec.json.decode(data, type=_Versioned).schema
    if schema > SCHEMA:
        raise StorageError(
            f"{path} was written by a newer version of this program (schema {schema}, this one"
            f" knows {SCHEMA}): install that version again"
        )
    content = msgspec.json.decode(data, type=Content)
    keys = [vehicle.key for vehicle in content.vehicles]
    ids = [one for vehicle in content.vehicles if not vehicle.removed for one in vehicle.trackers]
    if not all(map(is_key, keys)) or len(set(keys)) < len(keys):
        raise msgspec.ValidationError("a key that is none, or is there twice")
    if not all(map(is_id, ids)) or len(set(ids)) < len(ids):
        raise msgspec.ValidationError("a tracker id that is none, or is there twice")
    return content


class _Versioned(msgspec.Struct):
    schema: int


def _encode(content: Content) -> bytes:
    plain = msgspec.to_builtins(content)
    for vehicle in plain["vehicles"]:
        del vehicle["from_yaml"], vehicle["timezone_minutes"]
    return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"
