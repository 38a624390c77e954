"""Hold device discovery payloads against Home Assistant's own schemas and templates.

Run with a Python that has Home Assistant installed; nothing of the bridge is imported. Standard
input has one device a line:

    {"topic": <discovery topic>, "payload": <device payload>, "samples": {<topic>: [<text>, ...]}}

Each payload goes the way Home Assistant's MQTT integration takes it: the schema of the device, the
options its components share, the schema of each component, the checks when an entity is added.
Then every template is rendered with each sample of its topic, as the text arrives there, an empty
one included. Standard output has one answer a line:

    {"errors": [<sentence>, ...], "rendered": {<component>: [<text>, ...]}}

Wrong is also what Home Assistant takes without a word: a key it drops, a unique id or entity id
that stands twice in the whole input, anything logged as a warning on the way.
"""

import asyncio
import importlib
import json
import logging
import math
import sys
import tempfile

import homeassistant  # noqa: F401 - puts its own validator in place of voluptuous
import probatio
from homeassistant import core, loader
from homeassistant.components.mqtt.const import ENTITY_PLATFORMS
from homeassistant.components.mqtt.discovery import TOPIC_MATCHER
from homeassistant.components.mqtt.models import MqttValueTemplate, MqttValueTemplateException
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, SHARED_OPTIONS
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES
from homeassistant.util import dt as dt_util

UNKNOWN = "None"
TEMPLATES = {"value_template": "state_topic", "json_attributes_template": "json_attributes_topic"}


class Log(logging.Handler):
    """Collects what a user would find in the log."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class Device:
    """One line of input: what is wrong with it and what its templates make of the samples."""

    def __init__(self, line, seen, log):
        self.topic = line["topic"]
        self.payload = line["payload"]
        self.samples = line.get("samples", {})
        self.seen = seen
        self.log = log
        self.errors = []
        self.rendered = {}

    def check(self):
        found = TOPIC_MATCHER.fullmatch("/".join(self.topic.split("/")[-3:]))
        if not found or found["component"] != "device":
            self.errors.append(f"{self.topic} is no topic of device discovery")
        if self.validated(DEVICE_DISCOVERY_SCHEMA, self.payload, "device") is None:
            return
        for key, component in self.payload["components"].items():
            if set(component) != {"platform"}:  # a removal
                self.component(key, component)

    def validated(self, schema, config, where):
        """Return what the schema makes of the configuration, None if it refuses it."""
        self.log.lines.clear()
        try:
            return schema(config)
        except probatio.MultipleInvalid as refused:
            self.errors.extend(f"{where}: {error}" for error in refused.errors)
        except probatio.Invalid as refused:
            self.errors.append(f"{where}: {refused}")
        finally:
            self.errors.extend(f"{where}: {line}" for line in self.log.lines)
        return None

    def component(self, key, component):
        platform = component["platform"]
        own = {option: value for option, value in component.items() if option != "platform"}
        shared = {name: self.payload[name] for name in SHARED_OPTIONS if name in self.payload}
        about = {name: self.payload[name] for name in ("device", "origin")}
        module = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
        config = self.validated(module.DISCOVERY_SCHEMA, {**about, **shared, **own}, key)
        if config is None:
            return
        self.errors.extend(f"{key}: {option} is dropped" for option in own if option not in config)
        self.identity(key, platform, config)
        if platform in {"sensor", "binary_sensor"} and config.get("entity_category") == "config":
            self.errors.append(f"{key}: a {platform} cannot be config")
        if platform == "sensor":
            self.state_class(key, config)
        if platform == "event":
            self.event_types(key, config)
        for option, topic in TEMPLATES.items():
            if option in config:
                self.render(key, platform, config, config[option], config[topic])

    def identity(self, key, platform, config):
        if platform not in ENTITY_PLATFORMS:
            return
        entity_id = config.get("default_entity_id", "")
        if not core.valid_entity_id(entity_id) or entity_id.split(".")[0] != platform:
            self.errors.append(f"{key}: {entity_id!r} is no entity id of a {platform}")
        for identity in (f"{platform} {config['unique_id']}", entity_id):
            if identity in self.seen:
                self.errors.append(f"{key}: {identity} is that of {self.seen[identity]}, too")
            self.seen[identity] = f"{key} in {self.topic}"

    def state_class(self, key, config):
        """Home Assistant warns of this only once the entity lives."""
        device_class, state_class = config.get("device_class"), config.get("state_class")
        allowed = DEVICE_CLASS_STATE_CLASSES.get(device_class)
        if state_class and allowed is not None and state_class not in allowed:
            self.errors.append(f"{key}: {state_class} is impossible with {device_class}")

    def event_types(self, key, config):
        for sample in self.samples.get(config["state_topic"], []):
            if sample and json.loads(sample).get("event_type") not in config["event_types"]:
                self.errors.append(f"{key}: {sample} is of no known type")

    def render(self, key, platform, config, template, topic):
        texts = []
        for sample in self.samples.get(topic, []):
            self.log.lines.clear()
            try:
                text = MqttValueTemplate(template).async_render_with_possible_json_value(sample)
            except MqttValueTemplateException as failed:
                self.errors.append(f"{key}: {failed}")
                continue
            texts.append(text)
            self.errors.extend(f"{key}: {line}" for line in self.log.lines)
            if not ACCEPTS[platform](config, text):
                self.errors.append(f"{key}: {text!r} is nothing for a {platform}")
        self.rendered[key] = texts


def is_sensor_value(config, text):
    if text == UNKNOWN:
        return True
    if config.get("options"):
        return text in config["options"]
    if config.get("device_class") == "timestamp":
        moment = dt_util.parse_datetime(text)
        return moment is not None and moment.tzinfo is not None
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_place(_config, text):
    """Both coordinates as numbers, or nothing at all."""
    place = json.loads(text)
    return place == {} or (
        isinstance(place, dict)
        and all(isinstance(place.get(name), int | float) for name in ("latitude", "longitude"))
    )


def is_event(config, text):
    """An empty object is passed over; with coordinates it would be on the map."""
    told = json.loads(text)
    return told == {} or (
        told["event_type"] in config["event_types"] and not {"latitude", "longitude"} & told.keys()
    )


ACCEPTS = {
    "sensor": is_sensor_value,
    "binary_sensor": lambda config, text: (
        text in {config["payload_on"], config["payload_off"], UNKNOWN}
    ),
    "switch": lambda config, text: text in {config["state_on"], config["state_off"], UNKNOWN},
    "device_tracker": is_place,
    "event": is_event,
}


async def main():
    log = Log()
    logging.getLogger().addHandler(log)
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        # Templates need an instance to belong to; it is never started.
        hass = core.HomeAssistant(folder)
        loader.async_setup(hass)
        for line in sys.stdin:
            device = Device(json.loads(line), seen, log)
            device.check()
            answer = {"errors": device.errors, "rendered": device.rendered}
            sys.stdout.write(json.dumps(answer) + "\n")
        await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main())
