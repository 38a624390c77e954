"""docs/reference/configuration.md: every option, made out of `bridge.config`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from bridge import options
from bridge.config import Config, Permits, Tls, VehicleConfig, blocks
from bridge.reload import BY_REQUEST, IN_PLACE
from tests.reference.markdown import code, page, sentence, table
from tests.reference.sources import notes, words

_NOTES = notes(blocks)
_CHECKS: dict[object, str] = {
    options.switch: "true or false",
    options.host: "a host name or an address",
    options.secret: "a text, never printed",
    options.phone: "a phone number, never printed",
    options.tracker_password: "six digits, never printed",
    options.topic: "words with slashes between",
    options.path: "a path",
    options.readable_file: "a file",
    options.icon: "an icon such as `mdi:car`",
    options.utc_offset: "an offset such as `+02:00`, or `UTC`",
    options.TRACKER_IDS: "a list of tracker ids",
    options.NETWORKS: "a list of addresses and networks",
}
_BLOCKS = {
    **{name: f"a block as [{name}](#{name})" for name in ("positions", "trips", "history")},
    "commands": "a block, see [below](#vehicleskeycommands)",
    "tls": "true, false, or a block, see [below](#mqtttls)",
}
"""Options that are blocks; a vehicle may have some of its own, with what is different for it."""


def render() -> str:
    """Return the page."""
    return page("Configuration: every option", _blocks())


def _blocks() -> Iterator[str]:
    yield (
        "What the file is, where it is looked for and how values come from elsewhere stands in"
        " [configuration](../configuration.md). As an environment variable an option is called by"
        " its place: `mqtt.host` is `TK103B__MQTT__HOST`. What holds *at once*"
        " does so when the file is read anew; *by request* is the request `options`."
    )
    for section in fields(Config):
        if section.name == "vehicles":
            yield from _vehicles()
        elif is_dataclass(section.default):
            yield from _section(section.name, type(section.default))
            if section.name == "mqtt":
                yield from _section("mqtt.tls", Tls)


def _vehicles() -> Iterator[str]:
    yield "## vehicles\n"
    yield "Vehicles by their keys (a-z, 0-9 and _). Each may have:"
    yield _table("vehicles", VehicleConfig)
    yield from _section("vehicles.KEY.commands", Permits)


def _section(name: str, section: type[Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield words(section.__doc__ or "")
    yield _table(name, section)


def _table(place: str, section: type[Any]) -> str:
    hints = get_type_hints(section, include_extras=True)
    rows = []
    for option in fields(section):
        hint = hints[option.name]
        if not (hasattr(hint, "__metadata__") or is_dataclass(hint)):
            continue
        name = option.name.removesuffix("_minutes")
        note = _NOTES.get(f"{section.__name__}.{option.name}", "")
        rows.append(
            (
                code(name),
                _kind(option, hint),
                code(_default(option)),
                _holds(place, option.name),
                sentence(note),
            )
        )
    return table(("option", "is", "default", "a change holds", ""), rows)


def _holds(place: str, option: str) -> str:
    """Return from when on a change holds."""
    if option in BY_REQUEST.get(place, ()):
        return "at once, by request too"
    at_once = place.startswith("vehicles") or option in IN_PLACE.get(place, ())
    return "at once" if at_once else "after a restart"


def _kind(option: Field[Any], hint: Any) -> str:
    if option.name in _BLOCKS:
        return _BLOCKS[option.name]
    (check,) = hint.__metadata__
    if check in _CHECKS:
        return _CHECKS[check]
    # A check that was made of bounds, or of words, still has them.
    match inspect.getclosurevars(check).nonlocals:
        case {"choices": choices}:
            return ", ".join(map(code, choices))
        case {"limit": limit}:
            return f"a text of at most {limit} characters"
        case {"low": low, "high": high}:
            whole = "" if float in {hint.__origin__, *get_args(hint.__origin__)} else "whole "
            return f"a {whole}number from {low:,} to {high:,}"
    raise LookupError(f"no words for the check of {option.name}")


def _default(option: Field[Any]) -> str:
    value = option.default
    if value is MISSING or value is None or value == ():
        return ""
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float() | Path():
            return f"{value}"
        case _:
            return ""
