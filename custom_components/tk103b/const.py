"""Names the component's rooms share."""

from datetime import timedelta
from typing import Final

from homeassistant.const import Platform

from .contract import SCHEMA

DOMAIN: Final = "tk103b"

CONF_BASE_TOPIC: Final = "base_topic"
CONF_INSTANCE: Final = "instance"
CONF_NAMESPACE: Final = "namespace"

CONF_ALARMS: Final = "alarms"
"""Option: the kinds of alarm that become binary sensors; absent means all."""
CONF_STALE_AFTER_MIN: Final = "stale_after_min"
"""Option: after so many minutes of silence what a tracker said last is unavailable; 0 is never."""
DEFAULT_STALE_AFTER_MIN: Final = 0

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.DEVICE_TRACKER,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
)

SCHEMAS: Final = (SCHEMA, SCHEMA - 1)
"""The payloads we can read: the bridge's own generation and the one before."""

REQUEST_TIMEOUT: Final = timedelta(seconds=10)
AWAY_TIMEOUT: Final = timedelta(seconds=10)
"""How long a person waits for a tracker that is not connected: a text message may reach it."""
ANSWER_TIMEOUT: Final = timedelta(seconds=70)
"""How long for the next step of a command; the bridge gives a tracker a minute to answer."""
RETAINED_TIMEOUT: Final = timedelta(seconds=10)
"""How long a broker may take to hand over what it retains of a bridge."""
LOAD_TIMEOUT: Final = timedelta(seconds=5)
"""How long MQTT discovery may take to load its entities at Home Assistant's start."""
RELEASE_TIMEOUT: Final = timedelta(seconds=30)
"""How long MQTT discovery may take to let go of its entities."""
