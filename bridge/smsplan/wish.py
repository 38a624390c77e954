"""What somebody wants of a tracker, checked: nothing goes into a text that could break it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, get_args

from bridge.errors import RequestError
from bridge.protocols.sms_commands import LONGEST_NUMBER, SHORTEST_INTERVAL_S

Family = Literal["coban", "xexun", "kxtech", "h02"]
Transport = Literal["tcp", "udp"]

FAMILIES: tuple[Family, ...] = get_args(Family)
ALIASES: dict[str, Family] = {
    **dict.fromkeys(
        ("tk103", "tk103a", "tk103b", "gps103", "gps303", "gps403", "baanool"), "coban"
    ),
    **dict.fromkeys(("cantrack", "sinotrack"), "h02"),
    "tk102": "xexun",
}
"""What else a family is called."""

DEFAULT_PASSWORDS: dict[Family, str] = {
    "coban": "123456",
    "xexun": "123456",
    "kxtech": "123456",
    "h02": "0000",
}
"""As the boxes leave the factory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a plan is made of; `read` makes one of what was typed."""

    family: Family
    host: str
    """A public IPv4 address or a host name, of this bridge or of what passes on to it."""
    port: int = 8888
    transport: Transport = "tcp"
    interval_s: int = 30
    apn: str = ""
    apn_user: str = field(default="", repr=False)
    apn_password: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    """What the tracker has now; empty: that of the factory."""
    new_password: str = field(default="", repr=False)
    """What it shall have; empty: none but the present one."""
    admin: str = field(default="", repr=False)
    """The only phone number that may command it from then on; empty: any may."""

    @property
    def current_password(self) -> str:
        """The password that the first text needs."""
        return self.password or DEFAULT_PASSWORDS[self.family]

    @property
    def final_password(self) -> str:
        """The password once all is set up."""
        return self.new_password or self.current_password

    @property
    def by_name(self) -> bool:
        """Whether the server is a host name."""
        return not _IPV4.fullmatch(self.host)


_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_HOST = re.compile(
    r"(?=.{1,80}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_WORD = re.compile(r"[!-~]{1,40}")
_PHONE = re.compile(r"\+?[0-9]{3,20}")
_MOST_DIGITS = 5
"""Of a port or an interval."""
_MOST_SECONDS = LONGEST_NUMBER * 60
"""In whole minutes of three digits."""

Reader = Callable[[str, Any], Any]


def read(body: Mapping[str, Any]) -> Wish:
    """Return the wish in a request's body; the keys are the fields of `Wish`.

    Raises RequestError, which names the field and what would be right, never what was typed.
    """
    if unknown := sorted(str(key)[:40] for key in body.keys() - _READERS.keys()):
        raise RequestError(f"unknown: {', '.join(unknown)}; known are {', '.join(_READERS)}")
    given = {name: body[name] for name in _READERS if body.get(name) not in (None, "")}
    for name in ("family", "host"):
        if name not in given:
            raise RequestError(f"{name} is missing")
    wish = Wish(**{name: _READERS[name](name, value) for name, value in given.items()})
    _check_together(wish)
    return wish


def _check_together(wish: Wish) -> None:
    """Raise RequestError where fields that are right alone do not go together."""
    if wish.family in ("coban", "xexun") and not wish.apn:
        raise RequestError("apn is missing: the word of the SIM card's provider, like internet")
    if wish.apn_password and not wish.apn_user:
        raise RequestError("apn_user is missing, as there is an apn_password")
    digits = len(DEFAULT_PASSWORDS[wish.family])
    for name, word in (("password", wish.password), ("new_password", wish.new_password)):
        if word and len(word) != digits:
            raise RequestError(f"{name} has {digits} digits on {wish.family} trackers")
    if wish.new_password == wish.current_password:
        raise RequestError("new_password is the one the tracker has")
    if wish.new_password == DEFAULT_PASSWORDS[wish.family]:
        raise RequestError("new_password is the one of the factory, which everybody knows")


def _family(name: str, value: Any) -> Family:  # noqa: ANN401 - what somebody typed
    word = str(value).lower()
    found = ALIASES.get(word, word)
    for family in FAMILIES:
        if found == family:
            return family
    raise RequestError(f"{name} is one of {', '.join((*FAMILIES, *ALIASES))}")


def _host(name: str, value: Any) -> str:  # noqa: ANN401 - what somebody typed
    text = str(value).strip()
    with suppress(ValueError):
        IPv6Address(text.strip("[]"))
        raise RequestError(f"{name}: these trackers know IPv4 only, no IPv6 address")
    if text.replace(".", "").isdigit():
        try:
            return str(IPv4Address(text))
        except ValueError as error:
            raise RequestError(f"{name} is no address: four numbers up to 255") from error
    if not _HOST.fullmatch(text):
        raise RequestError(
            f"{name} is an IPv4 address or a host name alone: no http://, and its port apart"
        )
    return text.lower()


def _number(least: int, most: int) -> Reader:
    def reader(name: str, value: Any) -> int:  # noqa: ANN401 - what somebody typed
        typed = isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS
        number = int(value) if typed else value
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise RequestError(f"{name} is a whole number from {least} to {most}")
        return number

    return reader


def _transport(name: str, value: Any) -> Transport:  # noqa: ANN401 - what somebody typed
    if value == "tcp":
        return "tcp"
    if value == "udp":
        return "udp"
    raise RequestError(f"{name} is tcp or udp")


def _text(form: re.Pattern[str], what: str) -> Reader:
    def reader(name: str, value: Any) -> str:  # noqa: ANN401 - what somebody typed
        if not isinstance(value, str) or not form.fullmatch(value):
            raise RequestError(f"{name} is {what}")
        return value

    return reader


_PASSWORD = _text(re.compile(r"[0-9]{4}|[0-9]{6}"), "a text of 6 digits (4 on h02 trackers)")
_PLAIN = _text(_WORD, "one word of at most 40 plain characters, without blanks")
_READERS: dict[str, Reader] = {
    "family": _family,
    "host": _host,
    "port": _number(1, 65535),
    "transport": _transport,
    "interval_s": _number(SHORTEST_INTERVAL_S, _MOST_SECONDS),
    "apn": _PLAIN,
    "apn_user": _PLAIN,
    "apn_password": _PLAIN,
    "password": _PASSWORD,
    "new_password": _PASSWORD,
    "admin": _text(_PHONE, "a phone number with its country code, like 0049 or +49, no blanks"),
}
