"""What can be asked: each verb, what it takes and what it does, as a method and a row."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from bridge import config, gaps, history, log, orders, payloads, redact, smsplan
from bridge.contract import ALARM_KINDS, OWNERS, CommandResult, Owner, Response
from bridge.errors import BridgeError, RequestError
from bridge.intake import Intake, full_id
from bridge.registry import Vehicle
from bridge.reload import Reload
from bridge.requests.body import Body

_log = logging.getLogger(__name__)

REPEAT_WITHIN = timedelta(minutes=10)
MOST_REMEMBERED = 200
MOST_NAMED = 20
READING = frozenset({"capture", "get_gaps", "get_track", "get_trips"})
"""They change nothing and their answers are large: a repeat is read anew."""
DAY = timedelta(days=1)

Data = dict[str, Any]
"""What an answer holds."""


class Announcer(Protocol):
    """Who shows the outside world what a request has changed."""

    @property
    def sees_retained(self) -> bool:
        """Whether a retained copy of a request is known as one, so that none is obeyed twice."""

    def republish(self) -> None:
        """Send everything retained once more."""

    def info_changed(self) -> None:
        """Send ``bridge/info`` again."""

    def vehicles_changed(self) -> None:
        """Send ``bridge/devices`` again: whoever asked for a change looks there next."""

    def owner_changed(self, owner: Owner, *, confirmed: bool) -> None:
        """Hand the entities over, or take them back."""

    def forget_vehicle(self, vehicle: Vehicle, *, clear: bool) -> None:
        """Take a removed vehicle's discovery away, and with `clear` its retained topics."""

    def hide(self, key: str) -> None:
        """Take back what the outside world knows of a vehicle's places."""

    def info(self) -> dict[str, Any]:
        """Return the payload of ``bridge/info``."""

    def health(self) -> dict[str, Any]:
        """Return the payload of ``bridge/health``."""

    def identity(self) -> dict[str, Any]:
        """Return nonce, started_at and instance of this bridge."""


@dataclass(frozen=True, slots=True)
class House:
    """The bridge as a process: its configuration, how it is saved, how it is started anew."""

    reload: Reload
    back_up: Callable[[], Awaitable[Data]]
    check: Callable[[], Awaitable[None]]
    """Raises BridgeError for what would keep it from beginning again."""
    restart: Callable[[], None]
    """Has it end in good order, and begin again."""


class Requests:
    """The verbs of a bridge. Answers are remembered for repeats with the same transaction.

    Without a `house` it is no process of its own, and what asks for one is refused.
    """

    def __init__(self, intake: Intake, announcer: Announcer, house: House | None = None) -> None:
        self._intake = intake
        self._announcer = announcer
        self._house = house
        self._answered: OrderedDict[tuple[str, bytes], tuple[datetime, Response]] = OrderedDict()
        self._verbs: dict[str, Callable[[Body], Awaitable[Any]]] = {
            "permit_join": self._permit_join,
            "device/accept": self._accept,
            "device/block": self._block,
            "device/remove": self._remove,
            "device/rename": self._rename,
            "device/replace": self._replace,
            "device/acknowledge": self._acknowledge,
            "device/private": self._private,
            "device/command": self._command,
            "get_track": self._get_track,
            "get_trips": self._get_trips,
            "get_gaps": self._get_gaps,
            "capture": self._capture,
            "sms_plan": self._sms_plan,
            "entities": self._entities,
            "log": self._log_level,
            "options": self._options,
            "backup": self._backup,
            "restart": self._restart,
            "republish": self._republish,
            "info": self._info,
            "health_check": self._health,
            "whoami": self._whoami,
        }

    async def answer(self, verb: str, payload: bytes) -> Response:
        """Carry out a request and return its answer, whatever was asked."""
        now = self._intake.clock()
        transaction: Any = None
        try:
            if len(payload) > self._intake.config.limits.request_bytes:
                raise RequestError(f"request of {len(payload)} bytes is too large")
            body = Body.read(payload)
            transaction = body.transaction
            if transaction is not None:
                known = self._answered.get((verb, payload))
                if known is not None and now - known[0] < REPEAT_WITHIN:
                    return known[1]
            carry_out = self._verbs.get(verb)
            if carry_out is None:
                raise RequestError(
                    f"unknown request {verb[:40]!r}; known are {', '.join(sorted(self._verbs))}"
                )
            response: Response = {"status": "ok", "data": await carry_out(body)}
        except BridgeError as error:
            response = {"status": "error", "error": str(error)}
        if transaction is not None:
            response["transaction"] = transaction
        if transaction is not None and verb not in READING:
            self._answered[(verb, payload)] = (now, response)
            while len(self._answered) > MOST_REMEMBERED:
                self._answered.popitem(last=False)
        return response

    async def _permit_join(self, body: Body) -> Data:
        limits = self._intake.config.limits
        seconds = body.whole("time", limits.permit_join_s, 0, 900)
        name = body.text("name")
        if seconds:
            self._intake.permit_join.open(self._intake.clock(), seconds, name)
        else:
            self._intake.permit_join.close()
        self._announcer.info_changed()
        return {"time": seconds}

    async def _accept(self, body: Body) -> Data:
        device_id = body.text("id", required=True)
        waits = self._intake.guests.knows(device_id)
        if body.flag("waiting", default=False) and not waits:
            raise RequestError("no tracker with this id is waiting now")
        live = self._intake.accept(
            device_id,
            name=body.text("name"),
            key=body.text("key"),
            owner=body.text("owner"),
            now=self._intake.clock(),
        )
        self._announcer.vehicles_changed()
        return {"key": live.vehicle.key, "name": live.vehicle.name, "waited": waits}

    async def _block(self, body: Body) -> Data:
        device_id = body.text("id", required=True)
        if body.flag("waiting", default=False) and not self._intake.guests.knows(device_id):
            raise RequestError("no tracker with this id is waiting now")
        self._intake.block(device_id)
        self._announcer.vehicles_changed()
        return {"id": device_id}

    async def _remove(self, body: Body) -> Data:
        key = body.text("key", required=True)
        block, purge = body.flag("block", default=False), body.flag("purge", default=False)
        clear = body.flag("clear", default=True)
        vehicle = self._intake.remove(key, block=block, purge=purge)
        self._announcer.forget_vehicle(vehicle, clear=clear)
        self._announcer.vehicles_changed()
        return {"key": key}

    async def _rename(self, body: Body) -> Data:
        key, name = body.text("key", required=True), body.text("name", required=True)
        self._intake.changed(self._intake.registry.rename(key, name))
        self._announcer.vehicles_changed()
        return {"key": key, "name": name}

    async def _replace(self, body: Body) -> Data:
        key, new = body.text("key", required=True), body.text("id", required=True)
        vehicle = self._intake.registry.replace(key, body.text("old"), new)
        self._intake.replaced(vehicle, new)
        self._announcer.vehicles_changed()
        return {"key": key, "trackers": list(vehicle.trackers)}

    async def _acknowledge(self, body: Body) -> Data:
        key, alarm = self._key(body), body.text("alarm")
        if alarm and alarm not in ALARM_KINDS:
            raise RequestError(f"unknown alarm {alarm!r}; known are {', '.join(ALARM_KINDS)}")
        seen = self._intake.acknowledge(key, (alarm,) if alarm else (), self._intake.clock())
        return {"key": key, "alarms": list(seen)}

    async def _command(self, body: Body) -> CommandResult:
        key = self._key(body)
        try:
            return self._ordered(key, orders.wish(body.without("key")))
        except ValueError as error:
            raise RequestError(str(error)) from None

    def order(self, key: str, payload: bytes) -> CommandResult | None:
        """Take a command from the topic of a vehicle; return what no row of the journal will tell.

        That is a command which cannot be read, or noted down.
        """
        if key not in self._intake.vehicles:
            return None
        try:
            if len(payload) > self._intake.config.limits.request_bytes:
                raise RequestError("too large")
            self._ordered(key, orders.read_wish(payload))
        except (ValueError, RequestError) as error:
            if self._intake.strangers.due(f"bad command {key}", self._intake.clock()) is not None:
                _log.info("a command for %s cannot be carried out: %s", key, error)
            refused = CommandResult(
                status="refused", final=True, reason="bad_command", error=str(error)
            )
            transaction = _transaction(payload)
            return refused if transaction is None else {**refused, "transaction": transaction}
        return None

    def _ordered(self, key: str, wish: orders.Wish) -> CommandResult:
        sure = self._announcer.sees_retained
        return payloads.command(self._intake.command(key, wish._replace(sure=sure)))

    async def _private(self, body: Body) -> Data:
        key, private = self._key(body), body.flag("enabled", default=True)
        if private:
            self._announcer.hide(key)
        self._intake.changed(self._intake.registry.set_private(key, private=private))
        self._announcer.vehicles_changed()
        return {"key": key, "enabled": private}

    def _key(self, body: Body) -> str:
        key = body.text("key", required=True)
        if key not in self._intake.vehicles:
            known = ", ".join(sorted(self._intake.vehicles)[:MOST_NAMED]) or "none"
            raise RequestError(f"there is no vehicle {key!r}; known are {known}")
        return key

    async def _get_track(self, body: Body) -> history.Page:
        key, span = self._open_key(body), self._span(body)
        return await asyncio.to_thread(
            history.points,
            self._intake.journal,
            key,
            span,
            body.text("after"),
            body.whole("limit", history.MOST_POINTS, 1, history.MOST_POINTS),
            everything=body.flag("all", default=False),
        )

    async def _get_trips(self, body: Body) -> Data:
        key, span, after = self._open_key(body), self._span(body), body.text("after")
        limit = body.whole("limit", history.MOST_TRIPS, 1, history.MOST_TRIPS)
        journal = self._intake.journal
        return (
            await asyncio.to_thread(history.trips_of, journal, key, span, after, limit)
        ).payload()

    async def _get_gaps(self, body: Body) -> Data:
        key, span = self._open_key(body), self._span(body, gaps.DAYS)
        found = await asyncio.to_thread(gaps.of_vehicle, self._intake.journal, key, span)
        return {"gaps": found, "days": gaps.days(found)}

    async def _sms_plan(self, body: Body) -> Data:
        return smsplan.plan(smsplan.read(body.without("transaction"))).payload()

    def _span(self, body: Body, length: timedelta = DAY) -> history.Span:
        """Return what `from` and `to` say: `length` before `to`, and now, where they do not."""
        end = body.moment("to", self._intake.clock())
        return history.span(body.moment("from", end - length), end)

    def _open_key(self, body: Body) -> str:
        """Return the key of a vehicle whose places may be told."""
        key = self._key(body)
        if self._intake.vehicles[key].vehicle.private:
            raise RequestError(f"{key} is in private mode: none of its places leaves the bridge")
        return key

    async def _capture(self, body: Body) -> Data:
        device_id = body.text("id", required=True)
        intake = self._intake
        vehicle = intake.registry.match(device_id)
        tracker_id = full_id(vehicle, device_id) if vehicle is not None else device_id
        # What it sent as a guest stands in memory, what it sent since in the journal.
        frames = intake.guests.frames_of(tracker_id)
        frames += await asyncio.to_thread(intake.journal.frames_of, tracker_id)
        frames.sort(key=lambda frame: frame.received_at)
        return {"lines": list(redact.capture_lines(frames))}

    async def _entities(self, body: Body) -> Data:
        owner = body.text("owner", required=True)
        confirmed = body.flag("confirmed", default=False)
        if owner not in OWNERS:
            raise RequestError(f"owner is one of {', '.join(OWNERS)}, not {owner[:20]!r}")
        if self._intake.config.home_assistant.entities == "off" and owner != "off":
            raise RequestError("home_assistant.entities is off in the configuration, which wins")
        self._intake.registry.set_owner(owner)
        self._announcer.owner_changed(owner, confirmed=confirmed)
        return {"owner": owner}

    async def _log_level(self, body: Body) -> Data:
        asked = config.check("log", "level", body.text("level", required=True))
        log.set_level(str(asked))
        self._announcer.info_changed()
        return {"level": asked}

    async def _options(self, body: Body) -> Data:
        reload = self._running.reload
        reload.choose(body.block("options"))
        self._announcer.info_changed()
        return {
            "options": self._intake.registry.options,
            "restart_required": bool(reload.config.waiting),
        }

    async def _backup(self, body: Body) -> Data:
        del body
        return await self._running.back_up()

    async def _restart(self, body: Body) -> Data:
        del body
        await self._running.check()
        self._running.restart()
        return {}

    @property
    def _running(self) -> House:
        if self._house is None:
            raise RequestError("only a bridge that runs as a process of its own can do that")
        return self._house

    async def _republish(self, body: Body) -> Data:
        del body
        self._announcer.republish()
        return {}

    async def _info(self, body: Body) -> Data:
        del body
        return self._announcer.info()

    async def _health(self, body: Body) -> Data:
        del body
        return self._announcer.health()

    async def _whoami(self, body: Body) -> Data:
        del body
        return self._announcer.identity()


def _transaction(payload: bytes) -> orders.Transaction:
    """Return the transaction of a command that is wrong, so that its sender knows it again."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any]).get("transaction")
        known: orders.Transaction = msgspec.convert(said, orders.Transaction)
    except (ValueError, RecursionError):
        return None
    return known
