"""The actions: what people and automations ask of a bridge, in Home Assistant's words."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import probatio
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import service
from homeassistant.util import dt as dt_util

from . import export
from .const import DOMAIN
from .contract import ALARM_KINDS
from .coordinator import BridgeCoordinator
from .entity import vehicle_of

DAY = timedelta(days=1)

MOST_POINTS = 10_000
"""In one answer to `get_track`: some 1.5 MB, which the browser still shows."""
MOST_EXPORTED = 200_000
"""In one file: half a year of driving two hours a day, a point every few seconds."""

FOLDER = DOMAIN
"""Of the media folder, for what is exported."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}")


class Vehicle(NamedTuple):
    """A vehicle that an action is about."""

    coordinator: BridgeCoordinator
    key: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.coordinator.vehicles[self.key].row.get("name", self.key)

    async def ask(self, verb: str, **body: str | bool) -> Any:  # noqa: ANN401 - what it answers, the verb alone knows
        """Ask its bridge something about it; what is empty is left out."""
        wish = {name: value for name, value in body.items() if value not in ("", False)}
        return await self.coordinator.request(verb, {"key": self.key, **wish})


class Span(NamedTuple):
    """From when to when, aware."""

    since: datetime
    until: datetime

    def body(self) -> dict[str, str]:
        """Return it as a request has it."""
        return {"from": self.since.isoformat(), "to": self.until.isoformat()}


# --- the actions ----------------------------------------------------------------------------------


async def _get_track(call: ServiceCall) -> ServiceResponse:
    vehicle, span = _vehicle(call), _span(call)
    everything = call.data["all_reports"]
    pages = _Pages(vehicle, "get_track", {**span.body(), "all": everything}, MOST_POINTS)
    return {"points": await pages.read("points"), "complete": pages.complete}


async def _get_trips(call: ServiceCall) -> ServiceResponse:
    pages = _Pages(_vehicle(call), "get_trips", _span(call).body(), MOST_POINTS)
    trips = await pages.read("trips")
    return {"trips": trips, "stops": pages.others.get("stops", []), "complete": pages.complete}


async def _export_track(call: ServiceCall) -> ServiceResponse:
    vehicle, span, form = _vehicle(call), _span(call), call.data["format"]
    path = _folder(call.hass) / _file_name(call, vehicle, span)
    track = _Pages(vehicle, "get_track", span.body(), MOST_EXPORTED)
    points = await track.read("points")
    if not track.complete:
        raise _invalid("track_too_long", most=str(MOST_EXPORTED))
    trips = await _Pages(vehicle, "get_trips", span.body(), MOST_EXPORTED).read("trips")

    def make() -> None:
        _write(path, export.FORMATS[form](vehicle.name, points, trips))

    try:
        await call.hass.async_add_executor_job(make)
    except OSError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="cannot_write",
            translation_placeholders={"path": str(path), "error": error.strerror or str(error)},
        ) from error
    return {"path": str(path), "points": len(points), "trips": len(trips)}


async def _accept_tracker(call: ServiceCall) -> ServiceResponse:
    wish = {"id": call.data["tracker"], "name": call.data["name"]}
    for field in ("key", "owner"):
        if value := call.data.get(field):
            wish[field] = value
    accepted: ServiceResponse = await _bridge(call).request("device/accept", wish)
    return accepted


async def _replace_tracker(call: ServiceCall) -> ServiceResponse:
    ask = partial(_vehicle(call).ask, "device/replace")
    replaced: ServiceResponse = await ask(id=call.data["tracker"], old=call.data.get("old", ""))
    return replaced


async def _acknowledge_alarm(call: ServiceCall) -> ServiceResponse:
    ask = partial(_vehicle(call).ask, "device/acknowledge")
    seen: ServiceResponse = await ask(alarm=call.data.get("alarm", ""))
    return seen


type _Fields = dict[probatio.Marker, Any]


@dataclass(frozen=True, slots=True)
class _Action:
    carry_out: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    fields: _Fields
    response: SupportsResponse = SupportsResponse.OPTIONAL
    admin: bool = False
    """Only for people who may configure Home Assistant, and for automations."""


_OF_VEHICLE: _Fields = {probatio.Required(ATTR_DEVICE_ID): cv.string}
_IN_SPAN: _Fields = {
    **_OF_VEHICLE,
    probatio.Optional("start_time"): cv.datetime,
    probatio.Optional("end_time"): cv.datetime,
}

ACTIONS: Mapping[str, _Action] = {
    "get_track": _Action(
        _get_track,
        {**_IN_SPAN, probatio.Optional("all_reports", default=False): cv.boolean},
        SupportsResponse.ONLY,
    ),
    "get_trips": _Action(_get_trips, _IN_SPAN, SupportsResponse.ONLY),
    "export_track": _Action(
        _export_track,
        {
            **_IN_SPAN,
            probatio.Optional("format", default="gpx"): probatio.In(tuple(export.FORMATS)),
            probatio.Optional("file_name"): cv.string,
        },
    ),
    "accept_tracker": _Action(
        _accept_tracker,
        {
            probatio.Optional(ATTR_DEVICE_ID): cv.string,
            probatio.Required("tracker"): cv.string,
            probatio.Required("name"): cv.string,
            probatio.Optional("key"): cv.string,
            probatio.Optional("owner"): cv.string,
        },
        admin=True,
    ),
    "replace_tracker": _Action(
        _replace_tracker,
        {
            **_OF_VEHICLE,
            probatio.Required("tracker"): cv.string,
            probatio.Optional("old"): cv.string,
        },
        admin=True,
    ),
    "acknowledge_alarm": _Action(
        _acknowledge_alarm, {**_OF_VEHICLE, probatio.Optional("alarm"): probatio.In(ALARM_KINDS)}
    ),
}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions: once, and whether or not a bridge is there."""
    for name, action in ACTIONS.items():
        schema = probatio.Schema(action.fields)
        register = hass.services.async_register
        if action.admin:
            register = partial(service.async_register_admin_service, hass)
        register(DOMAIN, name, action.carry_out, schema, supports_response=action.response)


# --- what they are about --------------------------------------------------------------------------


def _vehicle(call: ServiceCall) -> Vehicle:
    device, entry = service.async_get_device_and_config_entry(
        call.hass, DOMAIN, call.data[ATTR_DEVICE_ID]
    )
    coordinator: BridgeCoordinator = entry.runtime_data
    key = vehicle_of(coordinator.namespace, device)
    if key is None or key not in coordinator.vehicles:
        raise _invalid("not_a_vehicle", device=device.name_by_user or device.name or device.id)
    return Vehicle(coordinator, key)


def _bridge(call: ServiceCall) -> BridgeCoordinator:
    """Return the bridge of the device that is named; the only one where none is."""
    device_id = call.data.get(ATTR_DEVICE_ID)
    if device_id is None:
        entry = service.async_get_config_entry(call.hass, DOMAIN, None)
    else:
        _, entry = service.async_get_device_and_config_entry(call.hass, DOMAIN, device_id)
    coordinator: BridgeCoordinator = entry.runtime_data
    return coordinator


def _span(call: ServiceCall) -> Span:
    """Return from when to when: the day before the end, and now, where nothing is said.

    A time without a zone is one of Home Assistant's own.
    """
    until = dt_util.as_utc(call.data.get("end_time") or dt_util.utcnow())
    since = dt_util.as_utc(call.data.get("start_time") or until - DAY)
    if since >= until:
        raise _invalid("start_after_end")
    return Span(since, until)


class _Pages:
    """What the bridge answers in pages, up to a bound of what is worth having at once."""

    def __init__(
        self, vehicle: Vehicle, verb: str, body: Mapping[str, str | bool], most: int
    ) -> None:
        self._vehicle = vehicle
        self._verb = verb
        self._body = body
        self._most = most
        self.complete = False
        """Nothing was left out."""
        self.others: dict[str, list[Any]] = {}
        """The other lists of the pages."""

    async def read(self, field: str) -> list[Any]:
        """Return a list of all pages, and keep the others. A page may be empty and not the last."""
        found: list[Any] = []
        after = ""
        while len(found) < self._most:
            page = await self._vehicle.ask(self._verb, **self._body, after=after)
            found += page[field]
            for name, more in page.items():
                if name not in (field, "next"):
                    self.others.setdefault(name, []).extend(more)
            after = page.get("next", "")
            if not after:
                self.complete = len(found) <= self._most
                break
        return found[: self._most]


# --- files ----------------------------------------------------------------------------------------


def _folder(hass: HomeAssistant) -> Path:
    folders = hass.config.media_dirs
    media = folders.get("local") or next(iter(folders.values()), None)
    if media is None:
        raise _invalid("no_media_folder")
    return Path(media) / FOLDER


def _file_name(call: ServiceCall, vehicle: Vehicle, span: Span) -> str:
    """Return a name that leads nowhere else, with the ending of its format."""
    days = (f"{dt_util.as_local(moment):%Y%m%d-%H%M}" for moment in span)
    name = call.data.get("file_name") or "_".join((vehicle.key, *days))
    if not _FILE_NAME.fullmatch(name):
        raise _invalid("invalid_file_name", name=name)
    ending = f".{call.data['format']}"
    return name if name.lower().endswith(ending) else f"{name}{ending}"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, in place of one of the same name. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _invalid(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
