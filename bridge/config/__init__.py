"""Configuration: YAML and environment in, one frozen `Config` out; every default and limit is here.

    file, environment --yamlfile--> text with origins --options, voluptuous--> Config

`blocks` is the one declaration; `checks` makes of it what a document is held against, `shown` what
everybody may see, and the docs their reference. `reading` turns a mistake into a ConfigError that
says where it stands and what would be right; of several the first is raised and the others are its
notes (``__notes__``).
"""

from bridge.config.blocks import (
    SECTIONS,
    Access,
    Alarms,
    Commands,
    Config,
    Contact,
    Dialect,
    History,
    HomeAssistant,
    Limits,
    Listen,
    Log,
    LogLevel,
    Mqtt,
    Permits,
    Positions,
    ProtocolVersion,
    Rules,
    SmsFamily,
    Storage,
    Tls,
    Trips,
    VehicleConfig,
)
from bridge.config.reading import DEFAULT_FILE, check, default_file, load

__all__ = [
    "DEFAULT_FILE",
    "SECTIONS",
    "Access",
    "Alarms",
    "Commands",
    "Config",
    "Contact",
    "Dialect",
    "History",
    "HomeAssistant",
    "Limits",
    "Listen",
    "Log",
    "LogLevel",
    "Mqtt",
    "Permits",
    "Positions",
    "ProtocolVersion",
    "Rules",
    "SmsFamily",
    "Storage",
    "Tls",
    "Trips",
    "VehicleConfig",
    "check",
    "default_file",
    "load",
]
