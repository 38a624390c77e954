"""The actions: what people and automations ask of a bridge, in Home Assistant's words."""

import re
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
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
from homeassistant.util.file import WriteError, write_utf8_file

from . import commands, export
from .const import DOMAIN
from .contract import ALARM_KINDS
from .coordinator import BridgeCoordinator, failure
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

    async def ask(self, verb: str, **body: str | bool) -> dict[str, Any]:
        """Ask its bridge something about it; what is empty is left out."""
        wish = {name: value for name, value in body.items() if value not in ("", False)}
        answer: dict[str, Any] = await self.coordinator.request(verb, {"key": self.key, **wish})
        return answer


# --- the actions ----------------------------------------------------------------------------------


async def _get_track(call: ServiceCall) -> ServiceResponse:
    body = {**_span(call), "all": call.data["all_reports"]}
    return await _pages(_vehicle(call), "get_track", body, MOST_POINTS)


async def _get_trips(call: ServiceCall) -> ServiceResponse:
    return await _pages(_vehicle(call), "get_trips", _span(call), MOST_POINTS)


async def _export_track(call: ServiceCall) -> ServiceResponse:
    vehicle, span, form = _vehicle(call), _span(call), call.data["format"]
    path = _folder(call.hass) / _file_name(call, vehicle, span)
    track = await _pages(vehicle, "get_track", span, MOST_EXPORTED)
    if not track["complete"]:
        raise failure(ServiceValidationError, "track_too_long", most=str(MOST_EXPORTED))
    driven = await _pages(vehicle, "get_trips", span, MOST_EXPORTED)
    points, trips = track["points"], driven["trips"]

    def make() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_utf8_file(str(path), export.FORMATS[form](vehicle.name, points, trips))

    try:
        await call.hass.async_add_executor_job(make)
    except (OSError, WriteError) as error:
        told = {"path": str(path), "error": getattr(error, "strerror", None) or str(error)}
        raise failure(HomeAssistantError, "cannot_write", **told) from error
    return {"path": str(path), "points": len(points), "trips": len(trips)}


async def _accept_tracker(call: ServiceCall) -> ServiceResponse:
    wish = {name: call.data[name] for name in ("name", "key", "owner") if call.data.get(name)}
    wish["id"] = call.data["tracker"]
    accepted: ServiceResponse = await _bridge(call).request("device/accept", wish)
    return accepted


async def _replace_tracker(call: ServiceCall) -> ServiceResponse:
    new, old = call.data["tracker"], call.data.get("old", "")
    return await _vehicle(call).ask("device/replace", id=new, old=old)


async def _acknowledge_alarm(call: ServiceCall) -> ServiceResponse:
    return await _vehicle(call).ask("device/acknowledge", alarm=call.data.get("alarm", ""))


async def _send_command(call: ServiceCall) -> ServiceResponse:
    """Who asks for the response sees for himself what came of it; others are told in an error."""
    vehicle, wait = _vehicle(call), call.data["wait"]
    by = await commands.async_asker(call.hass, call.context)
    wish = {**call.data.get("arguments", {}), "command": call.data["command"], "by": by}
    step = await vehicle.coordinator.command(vehicle.key, wish, wait=wait)
    if not call.return_response:
        commands.complain(step, waiting_is_fine=not wait)
    return commands.answer(step)


type _Fields = dict[probatio.Marker, Any]


@dataclass(frozen=True, slots=True)
class _Action:
    carry_out: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    fields: _Fields
    response: SupportsResponse = SupportsResponse.OPTIONAL
    admin: bool = False
    """Only for people who may configure Home Assistant, and for automations."""


def _required(*names: str) -> _Fields:
    return {probatio.Required(name): cv.string for name in names}


def _optional(*names: str) -> _Fields:
    return {probatio.Optional(name): cv.string for name in names}


_OF_VEHICLE = _required(ATTR_DEVICE_ID)
_IN_SPAN: _Fields = {
    **_OF_VEHICLE,
    probatio.Optional("start_time"): cv.datetime,
    probatio.Optional("end_time"): cv.datetime,
}
_ALL_REPORTS: _Fields = {probatio.Optional("all_reports", default=False): cv.boolean}
_FORMAT: _Fields = {probatio.Optional("format", default="gpx"): probatio.In([*export.FORMATS])}
_ALARM: _Fields = {probatio.Optional("alarm"): probatio.In(ALARM_KINDS)}
_COMMAND: _Fields = {
    **_required("command"),
    probatio.Optional("arguments"): {str: object},
    probatio.Optional("wait", default=True): cv.boolean,
}

ACTIONS: Mapping[str, _Action] = {
    "get_track": _Action(_get_track, _IN_SPAN | _ALL_REPORTS, SupportsResponse.ONLY),
    "get_trips": _Action(_get_trips, _IN_SPAN, SupportsResponse.ONLY),
    "export_track": _Action(_export_track, _IN_SPAN | _FORMAT | _optional("file_name")),
    "accept_tracker": _Action(
        _accept_tracker,
        _required("tracker", "name") | _optional("key", "owner", ATTR_DEVICE_ID),
        admin=True,
    ),
    "replace_tracker": _Action(
        _replace_tracker, _OF_VEHICLE | _required("tracker") | _optional("old"), admin=True
    ),
    "acknowledge_alarm": _Action(_acknowledge_alarm, _OF_VEHICLE | _ALARM),
    "send_command": _Action(_send_command, _OF_VEHICLE | _COMMAND, admin=True),
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
        name = device.name_by_user or device.name or device.id
        raise failure(ServiceValidationError, "not_a_vehicle", device=name)
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


def _span(call: ServiceCall) -> dict[str, str]:
    """Return from when to when: the day before the end, and now, where nothing is said.

    In the words of a request. A time without a zone is one of Home Assistant's own.
    """
    try:
        until = dt_util.as_utc(call.data.get("end_time") or dt_util.utcnow())
        since = dt_util.as_utc(call.data.get("start_time") or until - DAY)
    except OverflowError:
        raise failure(ServiceValidationError, "no_such_time") from None
    if since >= until:
        raise failure(ServiceValidationError, "start_after_end")
    return {"from": since.isoformat(), "to": until.isoformat()}


async def _pages(
    vehicle: Vehicle, verb: str, body: Mapping[str, str | bool], most: int
) -> dict[str, Any]:
    """Return an answer that comes in pages: its lists, put together, and whether it is `complete`.

    No list is longer than `most`: more is not worth having at once. A page may be empty and not
    the last.
    """
    lists: defaultdict[str, list[Any]] = defaultdict(list)
    after: str | None = ""
    while after is not None and all(len(found) < most for found in lists.values()):
        page = await vehicle.ask(verb, **body, after=after)
        after = page.pop("next", None)
        for name, more in page.items():
            lists[name] += more
    complete = after is None and all(len(found) <= most for found in lists.values())
    return {**{name: found[:most] for name, found in lists.items()}, "complete": complete}


# --- files ----------------------------------------------------------------------------------------


def _folder(hass: HomeAssistant) -> Path:
    folders = hass.config.media_dirs
    media = folders.get("local") or next(iter(folders.values()), None)
    if media is None:
        raise failure(ServiceValidationError, "no_media_folder")
    return Path(media) / FOLDER


def _file_name(call: ServiceCall, vehicle: Vehicle, span: Mapping[str, str]) -> str:
    """Return a name that leads nowhere else, with the ending of its format."""
    moments = (dt_util.as_local(datetime.fromisoformat(moment)) for moment in span.values())
    days = (f"{moment:%Y%m%d-%H%M}" for moment in moments)
    name = call.data.get("file_name") or "_".join((vehicle.key, *days))
    if not _FILE_NAME.fullmatch(name):
        raise failure(ServiceValidationError, "invalid_file_name", name=name)
    ending = f".{call.data['format']}"
    return name if name.lower().endswith(ending) else f"{name}{ending}"
