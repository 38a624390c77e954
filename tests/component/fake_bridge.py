"""A bridge for the component's tests: says what the real one says, because that wrote it down.

`samples.json` is made by the bridge's own code (tests/bridge/component_story.py): a day of two
vehicles, told in scenes, and the answers to requests. Nothing in it is made up here.

    retained    what stands on the broker before the first scene: the bridge serves, owns the
                entities by MQTT discovery, two vehicles are parked, two trackers wait
    discovery   Home Assistant's discovery payloads of that moment
    scenes      what was said then, in order; each begins where the one before it has ended
    answers     requests, as they were made, with their answers
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant, callback

from custom_components.tk103b.contract import BRIDGE_KEY, OFFLINE, ONLINE, Topics, device_id

from .broker import Broker

GOLF, VAN, BOAT = "golf", "van", "boat"
GOLF_TRACKER, GUEST_TRACKER, SILENT_GUEST, SPARE_TRACKER = (
    "864000000001234",
    "864000000002222",
    "864000000004444",
    "864000000003333",
)
INSTANCE = "5ca1ab1e"
NAMESPACE = "tk103b"
BASE = "tk103b"

Payload = dict[str, Any]
Answer = Callable[[Payload], Any]


@cache
def _page() -> Payload:
    return json.loads((Path(__file__).parent / "samples.json").read_text("utf-8"))


def samples() -> Payload:
    """Return a copy of the samples, to be changed at will."""
    return copy.deepcopy(_page())


NOW = datetime.fromisoformat(_page()["at"])
"""When the first scene begins; freeze Home Assistant's clock here where age matters."""


class Refused(Exception):  # noqa: N818 - it is an answer
    """Raised by an answer, with the sentence the bridge refuses in."""


class FakeBridge:
    """One bridge on a broker. Change what it says with `tell`, play its day with `play`.

    `asked` holds (verb, body) of every request, without its transaction. `answers` says by verb
    what it answers: data, or a callable of the body that returns data or raises `Refused`. What is
    in `silent` is heard and not answered. `steps`: what becomes of each command; empty:
    what became of it in the story. `base_topic`, `instance`, `namespace`: another bridge.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        broker: Broker,
        *,
        base_topic: str = BASE,
        instance: str = INSTANCE,
        namespace: str = NAMESPACE,
    ) -> None:
        self.hass = hass
        self.broker = broker
        self.topics = Topics(base_topic)
        self.instance = instance
        self.namespace = namespace
        self.samples = self._renamed(samples())
        self.payloads: dict[str, Any] = dict(self.samples["retained"])
        """What it has retained last, by topic."""
        self.asked: list[tuple[str, Payload]] = []
        self.silent: set[str] = set()
        self.steps: list[Payload] = []
        self._transaction: Any = None
        """Of the request that is being answered."""
        self._hidden: dict[str, Payload] = {}
        """The places of vehicles in private mode."""
        self.answers: dict[str, Any] = {
            "permit_join": self._permit_join,
            "device/accept": self._accept,
            "device/block": self._block,
            "device/remove": self._remove,
            "device/rename": self._rename,
            "device/replace": self._replace,
            "device/acknowledge": self._acknowledge,
            "device/private": self._private,
            "device/command": self._command,
            "get_track": self._recorded("get_track"),
            "get_trips": self._recorded("get_trips"),
            "entities": self._entities,
            "republish": self._republish,
            "info": lambda _: self.info,
            "health_check": lambda _: self.payloads[self.topics.bridge_health],
        }
        broker.listeners.append(self._hear)

    def _renamed(self, page: Payload) -> Payload:
        """Put another base topic, instance and namespace in the place of the story's."""
        if (self.topics.base, self.instance, self.namespace) == (BASE, INSTANCE, NAMESPACE):
            return page
        text = json.dumps(page).replace(f'"{BASE}/', f'"{self.topics.base}/')
        text = text.replace(f'"namespace": "{NAMESPACE}"', f'"namespace": "{self.namespace}"')
        text = text.replace(f'"base_topic": "{BASE}"', f'"base_topic": "{self.topics.base}"')
        return json.loads(text.replace(INSTANCE, self.instance))

    # --- what it says -----------------------------------------------------------------------------

    def serve(self, *, discovery: bool = False) -> None:
        """Say everything retained; with `discovery` Home Assistant's discovery payloads, too."""
        for topic, payload in self.payloads.items():
            self.say(topic, payload, retain=True)
        if discovery:
            self._discover()

    def say(self, topic: str, payload: Any, *, retain: bool = False) -> None:
        """Publish a payload (text as it is, anything else as JSON)."""
        if retain and payload == "":
            self.payloads.pop(topic, None)
        elif retain:
            self.payloads[topic] = payload
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.broker.publish(topic, text.encode(), retain=retain)

    def play(self, *scenes: str) -> None:
        """Say again what the real bridge said in these scenes."""
        for scene in scenes:
            for said in self.samples["scenes"][scene]:
                self.say(said["topic"], said["payload"], retain=said["retain"])

    def tell(self, key: str, leaf: str, **changes: Any) -> Payload:
        """Publish `state` or `position` of a vehicle with changes; None takes a field away."""
        topic = self.topics.vehicle(key, leaf)
        payload = {**self.payloads.get(topic, {}), **changes}
        payload = {field: value for field, value in payload.items() if value is not None}
        if "seq" not in changes:
            payload["seq"] = payload.get("seq", 0) + 1
        self.say(topic, payload, retain=True)
        return payload

    def tell_info(self, **changes: Any) -> None:
        """Publish ``bridge/info`` with changes; None takes a field away."""
        self._change(self.topics.bridge_info, changes)

    def tell_health(self, **changes: Any) -> None:
        """Publish ``bridge/health`` with changes; None takes a field away."""
        self._change(self.topics.bridge_health, changes)

    def tell_vehicle(self, key: str, **changes: Any) -> None:
        """Publish ``bridge/devices`` with a vehicle's row changed, or with a new one."""
        devices = self.devices
        rows = {row["key"]: row for row in devices["vehicles"]}
        row = rows.setdefault(key, {"key": key, "name": key.title(), "trackers": []})
        row |= changes
        for field in [field for field, value in changes.items() if value is None]:
            del row[field]
        self._tell_devices(vehicles=list(rows.values()))

    def _change(self, topic: str, changes: Payload) -> None:
        payload = {**self.payloads[topic], **changes}
        self.say(
            topic,
            {field: value for field, value in payload.items() if value is not None},
            retain=True,
        )

    def _tell_devices(self, **changes: Any) -> None:
        self.say(self.topics.bridge_devices, {**self.devices, **changes}, retain=True)

    def goes(self) -> None:
        """Be gone: the broker publishes the last will."""
        self.say(self.topics.bridge_state, OFFLINE, retain=True)

    def comes_back(self) -> None:
        """Serve again: everything retained is told once more."""
        self.payloads[self.topics.bridge_state] = ONLINE
        self.serve()

    @property
    def info(self) -> Payload:
        """``bridge/info`` as it was told last."""
        return self.payloads[self.topics.bridge_info]

    @property
    def devices(self) -> Payload:
        """``bridge/devices`` as it was told last, a copy."""
        return copy.deepcopy(self.payloads[self.topics.bridge_devices])

    def requests(self, verb: str) -> list[Payload]:
        """Return the bodies of the requests with this verb, in order."""
        return [body for asked, body in self.asked if asked == verb]

    async def settled(self) -> None:
        """Wait until Home Assistant and this bridge have nothing more to say to one another."""
        await self.broker.quiet()

    # --- what it is asked -------------------------------------------------------------------------

    @callback
    def _hear(self, topic: str, payload: bytes, retain: bool) -> None:
        prefix = self.topics.request("")
        if not topic.startswith(prefix) or not payload:
            return
        assert not retain, "a request is never retained"
        body = json.loads(payload)
        assert isinstance(body, dict)
        verb, transaction = topic.removeprefix(prefix), body.pop("transaction", None)
        self._transaction = transaction
        self.asked.append((verb, body))
        if verb in self.silent or self.payloads[self.topics.bridge_state] != ONLINE:
            return
        answer = self.answers.get(verb, Refused(f"unknown request {verb!r}"))
        try:
            if isinstance(answer, Refused):
                raise answer
            data = answer(body) if callable(answer) else answer
            response = {"status": "ok", "data": data}
        except Refused as refusal:
            response = {"status": "error", "error": str(refusal)}
        if transaction is not None:
            response["transaction"] = transaction
        self.say(self.topics.response(verb), response)

    def refuse(self, verb: str, sentence: str) -> None:
        """Refuse a request from now on."""
        self.answers[verb] = Refused(sentence)

    def _recorded(self, name: str) -> Answer:
        def answer(body: Payload) -> Any:
            self._row(body["key"])
            if body["key"] in self._hidden:
                raise Refused(self.samples["answers"]["track in private mode"]["response"]["error"])
            page = name if "limit" not in body else f"{name} first page"
            return copy.deepcopy(self.samples["answers"][page]["response"]["data"])

        return answer

    def _row(self, key: str) -> Payload:
        for row in self.devices["vehicles"]:
            if row["key"] == key:
                return row
        known = ", ".join(sorted(row["key"] for row in self.devices["vehicles"]))
        raise Refused(f"there is no vehicle {key!r}; known are {known}")

    def _permit_join(self, body: Payload) -> Payload:
        seconds = body.get("time", 254)
        self.tell_info(permit_join=bool(seconds))
        return {"time": seconds}

    def _accept(self, body: Payload) -> Payload:
        devices = self.devices
        waiting = [guest for guest in devices["guests"] if guest["id"] == body["id"]]
        if body.get("waiting") and not waiting:
            raise Refused("no tracker with this id is waiting now")
        name = body.get("name") or f"Tracker {body['id'][-4:]}"
        key = body.get("key") or name.lower().replace(" ", "_")
        self._tell_devices(
            guests=[guest for guest in devices["guests"] if guest not in waiting],
            vehicles=[*devices["vehicles"], {"key": key, "name": name, "trackers": [body["id"]]}],
        )
        state = {"name": name, "link": "connected", "private": False, "alarms": {}, "seq": 1}
        self.say(self.topics.vehicle(key, "state"), state, retain=True)
        return {"key": key, "name": name, "waited": bool(waiting)}

    def _block(self, body: Payload) -> Payload:
        guests = self.devices["guests"]
        if body.get("waiting") and body["id"] not in {guest["id"] for guest in guests}:
            raise Refused("no tracker with this id is waiting now")
        self._tell_devices(guests=[guest for guest in guests if guest["id"] != body["id"]])
        return {"id": body["id"]}

    def _remove(self, body: Payload) -> Payload:
        gone = self._row(body["key"])
        for leaf in ("position", "state", "last_alarm"):
            self.say(self.topics.vehicle(gone["key"], leaf), "", retain=True)
        rows = self.devices["vehicles"]
        self._tell_devices(vehicles=[row for row in rows if row["key"] != gone["key"]])
        return {"key": gone["key"]}

    def _rename(self, body: Payload) -> Payload:
        self._row(body["key"])
        self.tell_vehicle(body["key"], name=body["name"])
        self.tell(body["key"], "state", name=body["name"])
        return {"key": body["key"], "name": body["name"]}

    def _replace(self, body: Payload) -> Payload:
        self._row(body["key"])
        self.tell_vehicle(body["key"], trackers=[body["id"]])
        return {"key": body["key"], "trackers": [body["id"]]}

    def _acknowledge(self, body: Payload) -> Payload:
        self._row(body["key"])
        state = self.payloads[self.topics.vehicle(body["key"], "state")]
        wanted = [body["alarm"]] if body.get("alarm") else list(state["alarms"])
        seen = [kind for kind in state["alarms"] if kind in wanted]
        if not seen:
            raise Refused(f"no such alarm of {body['key']} is going on")
        left = {kind: one for kind, one in state["alarms"].items() if kind not in seen}
        self.tell(body["key"], "state", alarms=left)
        return {"key": body["key"], "alarms": seen}

    def _command(self, body: Payload) -> Payload:
        self._row(body["key"])
        if body.get("seconds", 5) < 5:
            raise Refused(self.samples["answers"]["bad command"]["response"]["error"])
        told = [self.go_on(body["key"], body["command"], **step) for step in self._steps(body)]
        return {name: one for name, one in told[0].items() if name not in ("epoch", "seq")}

    def _steps(self, body: Payload) -> list[Payload]:
        if self.steps:
            return self.steps
        scenes = self.samples["scenes"]
        scene = scenes.get(body["command"], scenes["request_position"])
        told = [said["payload"] for said in scene if said["topic"].endswith("/command/result")]
        own = {"id", "at", "transaction", "command"}
        return [{name: one for name, one in step.items() if name not in own} for step in told]

    def go_on(self, key: str, command: str, **step: Any) -> Payload:
        """Tell a step of the command that was asked for last."""
        answers = self.samples["answers"]
        first = answers.get(command, answers["request_position"])["response"]["data"]
        own = {name: first[name] for name in ("id", "at")} | {"transaction": self._transaction}
        told = {"final": False, **own, "command": command, **step}
        self.say(self.topics.vehicle(key, "command/result"), told)
        return told

    def _private(self, body: Payload) -> Payload:
        key, enabled = body["key"], body["enabled"]
        self._row(key)
        position = self.topics.vehicle(key, "position")
        if enabled and position in self.payloads:
            self._hidden[key] = self.payloads[position]
            for leaf in ("position", "last_alarm"):
                self.say(self.topics.vehicle(key, leaf), "", retain=True)
        self.tell_vehicle(key, private=enabled or None)
        self.tell(key, "state", private=enabled)
        if not enabled and key in self._hidden:
            self.say(position, self._hidden.pop(key), retain=True)
        return {"key": key, "enabled": enabled}

    def _entities(self, body: Payload) -> Payload:
        owner = body["owner"]
        self.tell_info(entities=owner)
        if owner == "discovery":
            self._discover()
        else:
            letting_go = owner == "component" and not body.get("confirmed")
            for topic in self.samples["discovery"]:
                if topic in self.broker.retained or letting_go:
                    self._farewell(topic, letting_go=letting_go)
        return {"owner": owner}

    def _discover(self) -> None:
        for topic, payload in self.samples["discovery"].items():
            self.broker.publish(topic, json.dumps(payload).encode(), retain=True)

    def _farewell(self, topic: str, *, letting_go: bool) -> None:
        payload = b'{"migrate_discovery":true}' if letting_go else b""
        self.broker.publish(topic, payload, retain=True)

    def _republish(self, _: Payload) -> Payload:
        self.serve(discovery=self.info["entities"] == "discovery")
        return {}

    # --- where things are -------------------------------------------------------------------------

    def device(self, key: str = BRIDGE_KEY) -> str:
        """Return the device identifier of a vehicle, or of the bridge."""
        return device_id(self.namespace, key)
