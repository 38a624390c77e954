"""From the declared blocks to the check of a whole document: texts in, the parts of `Config` out.

Only vehicles stay as they were written, by their keys and each with what is given for it: where
they stand is for the reader to add.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import voluptuous as vol

from bridge import options
from bridge.config.blocks import (
    SECTIONS,
    Config,
    Differing,
    Keyed,
    Listen,
    Mqtt,
    Switched,
    Tls,
    VehicleConfig,
)
from bridge.options import Mistake, switch
from bridge.yamlfile import Value


def _listening(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("tcp") is False and given.get("udp") is False:
        raise Mistake("must be on where tcp is off", at="udp")
    return given


def _certified(given: dict[str, Any]) -> dict[str, Any]:
    if "key" in given and "certificate" not in given:
        raise Mistake("needs a certificate beside it", at="key")
    return given


def _reached(given: dict[str, Any]) -> dict[str, Any]:
    if "password" in given and "username" not in given:
        raise Mistake("needs a username beside it", at="password")
    encrypted = given.get("tls") is not None
    defaults: dict[str, Any] = {"port": 8883} if encrypted else {}
    if encrypted or "username" in given:
        defaults["host"] = "127.0.0.1"
    return defaults | given


_RULES = {Listen: _listening, Tls: _certified, Mqtt: _reached}
"""What the options of a block must be together."""


def _written(block: type[Any]) -> dict[str, object]:
    """Return option -> annotation of the fields of a block that a person can write."""
    hints = get_type_hints(block, include_extras=True)
    return {
        option.name: hint
        for option in fields(block)
        if hasattr(hint := hints[option.name], "__metadata__") or is_dataclass(hint)
    }


def _checks(block: type[Any]) -> dict[str, Any]:
    return {name: _check(hint) for name, hint in _written(block).items()}


def _check(hint: Any) -> object:  # noqa: ANN401 - an annotation has no type of its own
    match getattr(hint, "__metadata__", ()):
        case (Switched(block),):
            return vol.All(_switched, vol.Any(None, _block(block)))
        case (Differing(block),):
            return vol.All(options.block(_checks(block), _HOMES), dict)
        case (Keyed(block),):
            return vol.All(options.by_key, {options.vehicle_key: _vehicle(block)})
        case (check,):
            return check
    return _block(hint)


def _block(block: type[Any]) -> vol.All:
    rule = _RULES.get(block, dict)
    return vol.All(options.block(_checks(block), _HOMES), rule, lambda given: block(**given))


def _switched(value: Value) -> dict[str, Value] | None:
    """``true`` is a block in which nothing is set."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {} if switch(value) else None
    raise Mistake("must be true, false or a block of options", hint="such as ca: ...")


def _vehicle(block: type[Any]) -> vol.All:
    checks = _checks(block)
    checks["timezone"] = checks.pop("timezone_minutes")
    return vol.All(options.block(checks, _HOMES), _in_minutes)


def _in_minutes(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "timezone_minutes" if name == "timezone" else name: value for name, value in given.items()
    }


def _homes() -> dict[str, str]:
    """Return option -> where it belongs, for those who write it elsewhere."""
    places: dict[str, list[str]] = {}
    blocks = {**SECTIONS, "mqtt.tls": Tls, "vehicles.KEY": VehicleConfig}
    for name, block in blocks.items():
        for option in _written(block):
            places.setdefault(option.removesuffix("_minutes"), []).append(name)
    homes = {option: f"under {' or '.join(names)}" for option, names in places.items()}
    return homes | dict.fromkeys([*SECTIONS, "vehicles"], "at the left margin")


_HOMES = _homes()

DOCUMENT = vol.Schema(options.block(_checks(Config), _HOMES))
"""Raises MultipleInvalid with nothing but Mistakes in it: unknown keys are ours to refuse."""
