"""Kinds of options: what the text of each must be, what it becomes, what is said if it is not.

A check takes what `bridge.yamlfile` read, a text, a list or a block, and returns the value or
raises `Mistake`, which finishes the sentence that begins with the option's name: "must be ...".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, get_args

import voluptuous as vol

from bridge.yamlfile import SWITCHES, Value, closest

Check = Callable[[Value], Any]
Network = IPv4Network | IPv6Network

RESERVED_KEYS = frozenset({"bridge", "sms", "vehicle"})
"""Words that stand where a vehicle's key stands, in topics and unique ids."""

HIDDEN = "***"


class Secret:
    """A text that prints as stars and that no serialiser takes: deliberately no `str`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Mistake(vol.Invalid):
    """What is wrong with an option, the text found (where it may be quoted), and the likely fix.

    `at` names the option inside of the block that was checked.
    """

    def __init__(
        self, message: str, *, got: str | None = None, hint: str = "", at: str | None = None
    ) -> None:
        super().__init__(message, [at] if at else None)
        self.got = got
        self.hint = hint


def block(options: Mapping[str, Any], homes: Mapping[str, str]) -> vol.All:
    """Check a block of options; one without a value counts as left out.

    `homes` says of options of other blocks where they belong, for those who misplace them.
    """

    def given(value: Value) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Mistake("must be a block of options", hint=f"such as {next(iter(options))}: ...")
        return {key: text for key, text in value.items() if text is not None or key not in options}

    def unknown(key: str) -> None:
        near = closest(key, options)
        if key in homes:
            hint = f"it belongs {homes[key]}"
        elif near:
            hint = f"did you mean {near}?"
        else:
            hint = f"known here: {', '.join(options)}"
        raise Mistake("is no option", hint=hint)

    return vol.All(given, {**{vol.Optional(key): options[key] for key in options}, unknown: object})


def text(value: Value) -> str:
    """One line of printable text, without the blanks around it."""
    if value is None:
        raise Mistake("must not be empty")
    if not isinstance(value, str):
        raise Mistake("must be a single value", hint="here stands a block or a list")
    stripped = value.strip()
    if not stripped or not stripped.isprintable():
        raise Mistake("must be one line of printable text")
    return stripped


def words(limit: int) -> Check:
    """A text of so many characters at most."""

    def check(value: Value) -> str:
        words = text(value)
        if len(words) > limit:
            raise Mistake(f"must have at most {limit} characters")
        return words

    return check


def secret(value: Value) -> Secret:
    """A text that is never quoted. Blanks may belong to it, a closing line end does not."""
    text(value)
    return Secret(str(value).strip("\r\n"))


def phone(value: Value) -> Secret:
    """A phone number, best with its country's prefix; never quoted."""
    # In +49 (0) 151 the digit in brackets is dialled inside the country only.
    within = re.sub(r"^(\+[\d ]+)\(0\)", r"\1", text(value))
    number = re.sub(r"[ /().-]", "", within)
    if not re.fullmatch(r"\+?[0-9]{5,20}", number):
        raise Mistake("must be a phone number", hint="such as +49 151 ...")
    return Secret(number)


def tracker_password(value: Value) -> Secret:
    """A tracker's password, which is six digits everywhere; never quoted."""
    digits = text(value)
    if not re.fullmatch(r"[0-9]{6}", digits):
        raise Mistake("must be six digits", hint="123456 is the factory's")
    return Secret(digits)


def whole(low: int, high: int) -> Check:
    """A whole number within bounds, both included."""

    def check(value: Value) -> int:
        digits = text(value)
        if not re.fullmatch(r"[0-9]{1,12}", digits) or not low <= int(digits) <= high:
            raise Mistake(f"must be a whole number from {low} to {high}", got=digits)
        return int(digits)

    return check


def number(low: float, high: float) -> Check:
    """A number within bounds, both included."""

    def check(value: Value) -> float:
        digits = text(value)
        decimal = re.fullmatch(r"[+-]?[0-9]{1,9}(\.[0-9]{1,6})?", digits)
        if not decimal or not low <= float(digits) <= high:
            raise Mistake(f"must be a number from {low:.10g} to {high:.10g}", got=digits)
        return float(digits)

    return check


def switch(value: Value) -> bool:
    """True or false, in any of the words for it."""
    word = text(value)
    if word.lower() not in SWITCHES:
        raise Mistake("must be true or false", got=word)
    return SWITCHES[word.lower()]


def one_of(literal: object) -> Check:
    """One of the words of a `Literal`, in any case."""
    choices: tuple[str, ...] = get_args(literal)

    def check(value: Value) -> str:
        word = text(value)
        if word.lower() in choices:
            return word.lower()
        near = closest(word, choices)
        raise Mistake(
            f"must be {', '.join(choices[:-1])} or {choices[-1]}",
            got=word,
            hint=f"did you mean {near}?" if near else "",
        )

    return check


def host(value: Value) -> str:
    """A host name or an address. Never quoted: people paste URLs with a password in them."""
    name = text(value)
    if re.search(r"[\s/@]", name) or name.count(":") == 1:
        raise Mistake(
            "must be a host name or an address, nothing else",
            hint="no mqtt://, account or port: they are options of their own",
        )
    return name


def topic(value: Value) -> str:
    """Levels of an MQTT topic that every broker takes as they are.

    NATS hangs up at a blank or a dot, RabbitMQ makes a dot a slash; wildcards cannot be published
    to; a slash at an end makes an empty level. Something must be left for unique ids, too.
    """
    levels = text(value)
    legal = re.fullmatch(r"[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,4}", levels)
    if not legal or not any(map(str.isalnum, levels)):
        raise Mistake(
            "must be words of letters, digits, _ and - with single slashes between",
            got=levels,
            hint="at blanks and dots some brokers hang up, wildcards + and # cannot be published"
            " to, and a slash at an end makes an empty level",
        )
    return levels


def path(value: Value) -> Path:
    """A path; ``~`` is the home folder."""
    written = text(value)
    try:
        return Path(written).expanduser()
    except RuntimeError:
        raise Mistake("begins with the home folder of nobody", got=written) from None


def readable_file(value: Value) -> Path:
    """The path of a file that is there."""
    file = path(value)
    if not os.access(file, os.R_OK) or file.is_dir():
        raise Mistake("must be a file that exists and that we may read", got=str(file))
    return file


def icon(value: Value) -> str:
    """A name from one of Home Assistant's icon sets."""
    name = text(value)
    if not re.fullmatch(r"[a-z0-9-]+:[a-z0-9-]+", name):
        raise Mistake("must be an icon of Home Assistant", got=name, hint="such as mdi:car")
    return name


def utc_offset(value: Value) -> int:
    """``+05:45``, ``-3``, ``UTC``, ``UTC+2``, as minutes east of UTC."""
    offset = text(value)
    match = re.fullmatch(
        r"(?:(?:UTC|GMT)?([+-])([0-9]{1,2})(?::(00|15|30|45))?|UTC|GMT|Z)", offset.upper()
    )
    if match:
        sign, hours, minutes = match.groups("0")
        total = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)
        if -12 * 60 <= total <= 14 * 60:
            return total
    raise Mistake(
        "must be UTC or an offset from -12:00 to +14:00",
        got=offset,
        hint="a tracker's clock knows neither places nor summer time: write +02:00",
    )


def tracker_id(value: Value) -> str:
    """What a tracker calls itself."""
    digits = text(value)
    if not re.fullmatch(r"[0-9]{4,20}", digits):
        raise Mistake("must be a tracker id of 4 to 20 digits, mostly its IMEI", got=digits)
    return digits


def _list_of(things: str, hint: str) -> Check:
    """One thing, or several with commas between, stand for a list: so a variable can say it."""

    def listed(value: Value) -> list[Any]:
        if isinstance(value, dict):
            raise Mistake(f"must be a list of {things}", hint=hint)
        return value if isinstance(value, list) else re.split(r"[,\s]+", text(value))

    return listed


def _each_once(ids: list[str]) -> tuple[str, ...]:
    for index, tracker in enumerate(ids):
        if tracker in ids[:index]:
            raise Mistake(f"holds {tracker} twice", hint="was another tracker meant?")
    return tuple(ids)


TRACKER_IDS = vol.All(_list_of("tracker ids", "as in [ID, ID]"), [tracker_id], _each_once)
"""A list of tracker ids, read as text: as a number YAML would lose leading zeros and more."""


def network(value: Value) -> Network:
    """An address, or the network of several, that somebody trusted has."""
    written = text(value)
    try:
        found = ip_network(written, strict=False)
    except ValueError:
        raise Mistake(
            "must be an address or a network", got=written, hint="such as 10.8.0.1 or 10.8.0.0/24"
        ) from None
    if ip_address(written.partition("/")[0]) != found.network_address:
        raise Mistake("must be an address or a network", got=written, hint=f"did you mean {found}?")
    if not found.prefixlen:
        raise Mistake("must leave somebody out", got=written, hint="name the proxy's own address")
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped:
        raise Mistake("must be written as IPv4", got=written)
    return found


NETWORKS = vol.All(_list_of("addresses", "as in [10.8.0.1]"), [network], vol.Coerce(tuple))
"""A list of addresses and networks."""


def vehicle_key(key: str) -> str:
    """What topics and unique ids hang on."""
    if not re.fullmatch(r"[a-z0-9_]{1,40}", key):
        likely = re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_")[:40]
        raise Mistake(
            "must have a key of a-z, 0-9 and _, 40 characters at most",
            hint=f"write {likely}, and the rest as its name" if likely else "",
        )
    if key in RESERVED_KEYS:
        raise Mistake("has a key that topics need for themselves", hint=f"write {key}_1")
    return key


def by_key(value: Value) -> dict[str, Any]:
    """A block whose keys the person has chosen."""
    if not isinstance(value, dict):
        raise Mistake("must hold vehicles by their keys", hint="as in golf: {name: My Golf}")
    return value
