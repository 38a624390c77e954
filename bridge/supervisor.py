"""Under Home Assistant: the app's options and the Supervisor's broker, as configuration.

    /data/options.json, http://supervisor/services/mqtt --settings--> TK103B__... variables

So an option of the app is the option of the same meaning in the configuration, checked like it, and
wins over a file. What the app leaves to the file is not in its options.

The container begins as root, because the Supervisor makes its data folder so; before anything
else is done the folder is given to the account of the image, and root is given up.
"""

from __future__ import annotations

import json
import os
import pwd
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError

from bridge.errors import BrokerError, ConfigError, StorageError

TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the name of a variable
ADDRESS = "http://supervisor"
DATA = Path("/data")
CONFIGURATION = Path("/config/tk103b-bridge.yaml")
"""Where a person may put a file, for what the app has no options for."""

ACCOUNT = "bridge"
"""Of the image."""
OPTIONS_FILE = "options.json"
ATTEMPTS = 10
PAUSE_S = 1.0
PATIENCE_S = 5.0

OPTIONS = {
    "log_level": "TK103B__LOG__LEVEL",
    "entities": "TK103B__HOME_ASSISTANT__ENTITIES",
    "unknown_trackers": "TK103B__ACCESS__UNKNOWN",
    "history_days": "TK103B__HISTORY__DAYS",
    "base_topic": "TK103B__MQTT__BASE_TOPIC",
}
"""Option of the app -> the configuration's."""

SERVICE = {
    "host": "TK103B__MQTT__HOST",
    "port": "TK103B__MQTT__PORT",
    "username": "TK103B__MQTT__USERNAME",
    "password": "TK103B__MQTT__PASSWORD",
}
"""What the Supervisor says of its broker -> the configuration's."""


class Expected(NamedTuple):
    """The tracker that is accepted beforehand: the id on its label, what its vehicle is called."""

    device_id: str
    name: str


class Supervised(NamedTuple):
    """What the Supervisor has given us."""

    environ: dict[str, str]
    """To be put over the environment."""
    expected: Expected | None


def supervised(environ: Mapping[str, str], data: Path) -> bool:
    """Whether the Supervisor has started this container."""
    return bool(environ.get(TOKEN)) and (data / OPTIONS_FILE).exists()


def consult(environ: Mapping[str, str], data: Path, address: str) -> Supervised:
    """Read the app's options and ask for the broker.

    Raises ConfigError for options that are none, BrokerError where the Supervisor has no broker.
    """
    options = _options(data / OPTIONS_FILE)
    return Supervised(settings(options, _service(address, environ[TOKEN])), expected(options))


def settings(options: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, str]:
    """Return options and broker as variables of the environment; what is not given is left out."""
    given = {
        **{variable: options.get(name) for name, variable in OPTIONS.items()},
        **{variable: service.get(name) for name, variable in SERVICE.items()},
        "TK103B__MQTT__TLS": "true" if service.get("ssl") else None,
    }
    return {name: str(value) for name, value in given.items() if value not in {None, ""}}


def expected(options: Mapping[str, Any]) -> Expected | None:
    """Return the first tracker; None: there is no id among the options."""
    device_id = str(options.get("tracker_id") or "").strip()
    name = str(options.get("tracker_name") or "").strip()
    return Expected(device_id, name) if device_id else None


def give_up_root(data: Path, account: str) -> None:
    """Give the data folder to an account and become that; nothing, where we are not root.

    The app's options stay the Supervisor's: they are read before, and hold what we do not need.
    Raises StorageError where the folder cannot be given away.
    """
    if os.geteuid() != 0:
        return
    _, _, uid, gid, *_ = pwd.getpwnam(account)
    try:
        os.chown(data, uid, gid)
        for folder, folders, files in os.walk(data):
            for name in {*folders, *files} - {OPTIONS_FILE}:
                path = Path(folder, name)
                os.chown(path, uid, gid, follow_symlinks=False)
    except OSError as error:
        raise StorageError(f"cannot own the data folder {data}: {error.strerror}") from error
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _options(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except ValueError as error:
        raise ConfigError(f"is no JSON: {error}", file=str(path)) from error
    if not isinstance(found, dict):
        raise ConfigError("must hold an object", file=str(path))
    return found


def _service(address: str, token: str) -> dict[str, Any]:
    """Return what the Supervisor says of its MQTT service; it may itself still be starting."""
    request = urllib.request.Request(  # noqa: S310 - the address is ours
        f"{address}/services/mqtt", headers={"Authorization": f"Bearer {token}"}
    )
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return _data(answer.read())
        except HTTPError as error:
            if error.code < 500:
                raise BrokerError(
                    "Home Assistant has no MQTT broker for apps: install the app Mosquitto broker "
                    f"and start it ({_said(error.read()) or error.reason})"
                ) from error
            fault = f"{error.code} {error.reason}"
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            fault = str(getattr(error, "reason", error))
    raise BrokerError(f"the Supervisor does not say which broker to use: {fault}")


def _data(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
        data = answer["data"] if answer["result"] == "ok" else None
    except (ValueError, TypeError, KeyError):
        data = None
    if not isinstance(data, dict) or not data.get("host"):
        raise BrokerError("the Supervisor's answer names no broker")
    return data


def _said(body: bytes) -> str:
    """Return the Supervisor's own words of a refusal."""
    try:
        return str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        return ""
