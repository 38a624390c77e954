"""How a bridge gets in: found by MQTT, named by hand, or followed to where it has moved."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast, override

import probatio
from homeassistant.components import mqtt
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import selector
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from homeassistant.setup import async_setup_component

from .const import (
    CONF_ALARMS,
    CONF_BASE_TOPIC,
    CONF_INSTANCE,
    CONF_NAMESPACE,
    CONF_STALE_AFTER_MIN,
    DEFAULT_STALE_AFTER_MIN,
    DOMAIN,
)
from .contract import ALARM_KINDS, MANUFACTURER, Info, Topics
from .coordinator import json_object, lookup
from .issues import async_forget_hand_back, hand_back, too_far_apart

DEFAULT_BASE_TOPIC = "tk103b"
"""What a bridge uses that was told no other."""

PATIENCE_S = 5
"""A bridge that runs answers within milliseconds, its broker perhaps at the other end of a VPN."""

LONGEST_STALE_MIN = 10_080
"""A week."""

_ASK_BASE_TOPIC = probatio.Schema({probatio.Required(CONF_BASE_TOPIC): selector({"text": {}})})

type Answers = dict[str, Any] | None
"""What a person has filled in, None where nobody was asked yet."""


class ProbeError(Exception):
    """No bridge that we can work with; its text is the key of what to say."""


async def async_probe(hass: HomeAssistant, base_topic: str) -> Info:
    """Ask the bridge below a base topic who it is, and return its ``bridge/info``.

    A question rather than a look at what is retained: a bridge that is gone leaves that behind, and
    one whose broker does not let us ask could not be taken over from. Raises ProbeError.
    """
    info = await async_ask(hass, base_topic, "info")
    names = ("instance", "namespace", "entities")
    if not isinstance(info, dict) or not all(isinstance(info.get(name), str) for name in names):
        raise ProbeError("not_understood")
    if apart := too_far_apart(info.get("schema")):
        raise ProbeError(apart)
    # What its configuration says wins over all that can be asked of it.
    if lookup(info, "config.home_assistant.entities") == "off":
        raise ProbeError("entities_off")
    return cast(Info, info)


async def async_ask(
    hass: HomeAssistant, base_topic: str, verb: str, body: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401 - what it answers, the verb alone knows
    """Ask a bridge that needs no entry, and return the `data` of its answer. Raises ProbeError."""
    topics, transaction = Topics(base_topic), secrets.token_hex(8)
    listening, answered = asyncio.Event(), hass.loop.create_future()

    @callback
    def hear(message: mqtt.ReceiveMessage) -> None:
        answer = json_object(str(message.payload)) or {}
        if answer.get("transaction") == transaction and not answered.done():
            answered.set_result(answer)

    if not await mqtt.async_wait_for_mqtt_client(hass) or not mqtt.is_connected(hass):
        raise ProbeError("mqtt_not_connected")
    heard_on = topics.response(verb)
    forget = await mqtt.async_subscribe(hass, heard_on, hear, qos=1)
    unwatch = mqtt.async_on_subscribe_done(hass, heard_on, 1, listening.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            # Asked before we listen, it would answer to nobody.
            await listening.wait()
            question = json.dumps({**(body or {}), "transaction": transaction})
            await mqtt.async_publish(hass, topics.request(verb), question, qos=1)
            answer = await answered
    except TimeoutError:
        raise ProbeError("no_bridge") from None
    except HomeAssistantError:
        raise ProbeError("mqtt_not_connected") from None
    finally:
        unwatch()
        forget()
    if answer.get("status") != "ok":
        raise ProbeError("not_understood")
    return answer.get("data")


class Tk103bConfigFlow(ConfigFlow, domain=DOMAIN):
    """One entry a bridge; its identity is the bridge's instance id."""

    VERSION = 1

    def __init__(self) -> None:
        self._base_topic = DEFAULT_BASE_TOPIC
        self._info: Info = {}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> Tk103bOptionsFlow:
        """Return the flow that asks for the options."""
        return Tk103bOptionsFlow()

    @override
    async def async_step_user(self, user_input: Answers = None) -> ConfigFlowResult:
        """Ask where the bridge is, and whether it is there."""
        if not await mqtt.async_wait_for_mqtt_client(self.hass):
            return self.async_abort(reason="mqtt_not_configured")
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_look(user_input[CONF_BASE_TOPIC])
            if not errors:
                return await self._async_step_next(confirmed=True)
        return self._ask_base_topic("user", self._base_topic, errors)

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Take up what a bridge says of itself on ``bridge/discovery``."""
        said = json_object(str(discovery_info.payload)) or {}
        instance, base_topic = said.get(CONF_INSTANCE), said.get(CONF_BASE_TOPIC)
        if not (isinstance(instance, str) and instance and _base_topic(base_topic)):
            return self.async_abort(reason="invalid_discovery_info")
        if ir.async_get(self.hass).async_get_issue(DOMAIN, hand_back(instance).issue_id):
            # Its entry is gone, and after a restart nothing else loads us to serve that repair.
            await async_setup_component(self.hass, DOMAIN, {})
        known = await self.async_set_unique_id(instance)
        if known is not None and known.data.get(CONF_BASE_TOPIC) == base_topic:
            self._abort_if_unique_id_configured()
        self.context["title_placeholders"] = {"name": str(base_topic)}
        if await self._async_look(str(base_topic)):
            # A bridge that has moved leaves its old announcement behind: nobody is there, so
            # nothing is changed for it.
            self._abort_if_unique_id_configured()
            return await self.async_step_confirm()
        return await self._async_step_next(confirmed=False)

    async def async_step_confirm(self, user_input: Answers = None) -> ConfigFlowResult:
        """Ask whether a bridge that was found is wanted."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_look(self._base_topic)
            if not errors:
                return await self._async_step_next(confirmed=True)
        return self._ask("confirm", errors)

    async def async_step_take_over(self, user_input: Answers = None) -> ConfigFlowResult:
        """Say that every vehicle would appear twice, and ask whether to take the entities over.

        The taking over itself is part of setting the entry up.
        """
        return self._ask("take_over") if user_input is None else self._create()

    async def async_step_new_instance(self, user_input: Answers = None) -> ConfigFlowResult:
        """Ask whether this is the bridge of an entry that we have, set up anew."""
        before = self._predecessor()
        if before is None:  # its entry has been removed meanwhile
            return await self._async_step_next(confirmed=True)
        if user_input is None:
            return self._ask("new_instance", title=before.title)
        return self.async_update_reload_and_abort(
            before, unique_id=self.unique_id, data=self._data(), reason="reconfigure_successful"
        )

    async def async_step_reconfigure(self, user_input: Answers = None) -> ConfigFlowResult:
        """Follow the bridge of an entry to another base topic, or to another instance id."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_look(user_input[CONF_BASE_TOPIC])
            # The namespace is part of each unique id, and outlives moves, backups and new machines:
            # with another one this is another bridge, and all entities would be new.
            if not errors and self._info["namespace"] != entry.data[CONF_NAMESPACE]:
                errors = {"base": "other_namespace"}
            if not errors:
                known = await self.async_set_unique_id(self._info["instance"])
                if known is not None and known.entry_id != entry.entry_id:
                    return self.async_abort(reason="already_configured")
                return self.async_update_reload_and_abort(
                    entry, unique_id=self.unique_id, data=self._data()
                )
        here = self._base_topic if errors else entry.data[CONF_BASE_TOPIC]
        return self._ask_base_topic("reconfigure", here, errors)

    # --- the steps' parts -------------------------------------------------------------------------

    async def _async_look(self, base_topic: str) -> dict[str, str]:
        """Ask the bridge below a base topic who it is; return the errors of the form."""
        self._base_topic = base_topic.strip().strip("/")
        if not _base_topic(self._base_topic):
            return {CONF_BASE_TOPIC: "invalid_base_topic"}
        try:
            self._info = await async_probe(self.hass, self._base_topic)
        except ProbeError as error:
            return {"base": str(error)}
        if self._info["entities"] != "component":
            async_forget_hand_back(self.hass, self._info["instance"])
        return {}

    async def _async_step_next(self, *, confirmed: bool) -> ConfigFlowResult:
        """Go on to what has to be asked of a bridge that has answered, or make its entry.

        Where it has one already, that follows it if it was found elsewhere.
        """
        instance = self._info["instance"]
        await self.async_set_unique_id(instance, raise_on_progress=self.source != SOURCE_USER)
        updates = None if confirmed else {CONF_BASE_TOPIC: self._base_topic}
        self._abort_if_unique_id_configured(updates=updates)
        if self._predecessor() is not None:
            return await self.async_step_new_instance()
        if self._info["entities"] == "discovery":
            return await self.async_step_take_over()
        return self._create() if confirmed else await self.async_step_confirm()

    def _predecessor(self) -> ConfigEntry | None:
        """Return the entry whose bridge this seems to be, under a new instance id.

        Raises AbortFlow where it cannot be: its unique ids would be another's.
        """
        for entry in self._async_current_entries(include_ignore=False):
            same_place = entry.data[CONF_BASE_TOPIC] == self._base_topic
            same_names = entry.data[CONF_NAMESPACE] == self._info["namespace"]
            if same_place and not same_names:
                raise AbortFlow("other_namespace")
            if same_names and not same_place and _serves(entry):
                raise AbortFlow("namespace_taken", {"title": entry.title})
            if same_names:
                return entry
        return None

    def _data(self) -> dict[str, str]:
        return {
            CONF_BASE_TOPIC: self._base_topic,
            CONF_INSTANCE: self._info["instance"],
            CONF_NAMESPACE: self._info["namespace"],
        }

    def _create(self) -> ConfigFlowResult:
        moved = "" if self._base_topic == DEFAULT_BASE_TOPIC else f" ({self._base_topic})"
        return self.async_create_entry(title=f"{MANUFACTURER}{moved}", data=self._data())

    def _ask(
        self, step_id: str, errors: dict[str, str] | None = None, **placeholders: str
    ) -> ConfigFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=probatio.Schema({}),
            errors=errors,
            description_placeholders={"base_topic": self._base_topic, **placeholders},
        )

    def _ask_base_topic(
        self, step_id: str, suggested: str, errors: dict[str, str]
    ) -> ConfigFlowResult:
        schema = self.add_suggested_values_to_schema(_ASK_BASE_TOPIC, {CONF_BASE_TOPIC: suggested})
        return self.async_show_form(step_id=step_id, data_schema=schema, errors=errors)


class Tk103bOptionsFlow(OptionsFlowWithReload):
    """Which alarms become entities, and when silence makes a vehicle unavailable."""

    async def async_step_init(self, user_input: Answers = None) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            return self.async_create_entry(data=_options(user_input))
        options = {
            CONF_ALARMS: list(ALARM_KINDS),
            CONF_STALE_AFTER_MIN: DEFAULT_STALE_AFTER_MIN,
            **self.config_entry.options,
        }
        return self.async_show_form(
            step_id="init", data_schema=self.add_suggested_values_to_schema(_OPTIONS, options)
        )


_ALARMS = {"options": [*ALARM_KINDS], "multiple": True, "mode": "dropdown"}
_MINUTES = {"min": 0, "max": LONGEST_STALE_MIN, "step": 1, "mode": "box"}
_OPTIONS = probatio.Schema(
    {
        # An empty choice is not sent at all, and means none.
        probatio.Optional(CONF_ALARMS, default=list): selector(
            {"select": {**_ALARMS, "translation_key": "alarm"}}
        ),
        probatio.Required(CONF_STALE_AFTER_MIN): selector(
            {"number": {**_MINUTES, "unit_of_measurement": "min"}}
        ),
    }
)


def _options(user_input: dict[str, Any]) -> dict[str, Any]:
    """Return options as they are kept: all alarms are no list, for kinds to come are among them."""
    chosen = [kind for kind in ALARM_KINDS if kind in user_input[CONF_ALARMS]]
    options: dict[str, Any] = {CONF_STALE_AFTER_MIN: int(user_input[CONF_STALE_AFTER_MIN])}
    return options if len(chosen) == len(ALARM_KINDS) else {CONF_ALARMS: chosen, **options}


def _serves(entry: ConfigEntry) -> bool:
    """Return whether the bridge of an entry runs at this moment."""
    return entry.state is ConfigEntryState.LOADED and entry.runtime_data.online is True


def _base_topic(value: object) -> bool:
    """Return whether a base topic can be one."""
    with suppress(probatio.Invalid):
        return bool(mqtt.valid_publish_topic(value)) and value == str(value).strip("/ ")
    return False
