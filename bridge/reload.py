"""Another configuration while the bridge runs: its file read anew, and options chosen by request.

    file, environment --config.load--> read --options of requests--> wanted
    wanted --what can change in place--> in force --> every room that follows
           --the rest--> waiting: holds when the bridge has started anew

No connection is dropped for it, and a mistake changes nothing. What stands in the configuration
wins over what a request has chosen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

from bridge import config as configuration
from bridge import log
from bridge.config import SECTIONS, Config
from bridge.errors import BridgeError, ConfigError, RequestError
from bridge.registry import Registry
from bridge.yamlfile import Value, is_blank

_log = logging.getLogger(__name__)

LONGEST_NAME = 80

Follow = Callable[[Config], None]
"""Goes by a configuration from now on."""
Scalar = bool | int | float | str
Chosen = Mapping[str, Mapping[str, Scalar]]
"""What requests have chosen, by section and option."""


def _all_of(*sections: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(one.name for one in fields(SECTIONS[name])) for name in sections}


_OPTIONS = _all_of(*SECTIONS)

IN_PLACE: Mapping[str, frozenset[str]] = {
    **_all_of("positions", "trips", "history", "access", "alarms", "commands", "log"),
    "home_assistant": frozenset({"entities"}),
    "limits": frozenset({
        "connections_per_address", "detection_bytes", "detection_s", "idle_s", "frame_bytes",
        "frame_s", "udp_sessions", "udp_session_s", "udp_reply_extra_bytes", "udp_reply_s",
        "live_age_s", "request_bytes", "permit_join_s",
    }),
}  # fmt: skip
"""What needs no restart, beside the vehicles: every room looks it up when it needs it, or follows.
Whatever is not named here, as new options are at first, waits for one."""

BY_REQUEST: Mapping[str, frozenset[str]] = {
    **_all_of("positions", "trips", "alarms", "commands", "log"),
    "limits": frozenset({"guests", "guests_per_address", "live_age_s", "permit_join_s"}),
}
"""What a request may choose: nothing that could lock anybody out, let anybody in for longer than
`permit_join` does, or remove any of the past; and no secret."""


class Source:
    """Where the configuration comes from; without a file, the default one once there is one.

    A file that was found stays the one that is read. Where it is gone later, or says nothing any
    more, somebody is just writing or moving it: that is a mistake, and no wish for the defaults.
    """

    def __init__(self, file: Path | None, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self._file = file
        self._said_something = False

    def read(self) -> Config:
        """Read it anew. Raises ConfigError."""
        file = self._file = self.found
        if file is None:
            return configuration.load(None, self.environ)
        # An editor may empty the file just before we read it, or fill it just after.
        blank = is_blank(file)
        read = configuration.load(file, self.environ)
        blank = blank or is_blank(file)
        if blank and self._said_something:
            raise ConfigError(
                "says nothing any more", file=str(file), hint="a file without options holds: {}"
            )
        self._said_something = not blank
        return read

    @property
    def found(self) -> Path | None:
        """The file that is read. Raises ConfigError where nobody may look for it."""
        return self._file or configuration.default_file()


class Reload:
    """Keeps the configuration that is in force. `followers` are told of every other one.

    `read` is what `source` gave at the start; the registry knows its vehicles already.
    """

    def __init__(self, read: Config, source: Source, registry: Registry) -> None:
        self.source = source
        self.followers: list[Follow] = []
        self._read = read
        self._registry = registry
        self._started = with_chosen(read, registry.options)
        self.config = self._started

    async def reload(self) -> None:
        """Read the configuration anew and go by it; a mistake is logged, and nothing changes."""
        try:
            read = await asyncio.to_thread(self.source.read)
            for secret in read.secrets:
                log.protect(secret.reveal())
            self._registry.merge_yaml(read.vehicles, read.access.block)
        except BridgeError as error:
            for line in (str(error), *getattr(error, "__notes__", ())):
                _log.error("the configuration stays as it was: %s", line)
            return
        self.tell_notices()
        vehicles = _changed_vehicles(self._read, read)
        self._settle(read, "the configuration was read anew", vehicles)
        if self.config.waiting:
            _log.warning("these wait for a restart: %s", ", ".join(self.config.waiting))

    async def check(self) -> Config:
        """Return what a bridge would start with now. Raises ConfigError where it would stumble."""
        return await asyncio.to_thread(self.source.read)

    def choose(self, options: Mapping[str, Any]) -> None:
        """Change options by request: ``{"trips": {"gap_s": 1800}}``; None takes a choice back.

        Raises RequestError or ConfigError for what cannot be, StorageError where it cannot be
        kept; nothing has changed then.
        """
        chosen = {section: dict(block) for section, block in self._registry.options.items()}
        for section, block in options.items():
            if not isinstance(block, dict):
                raise RequestError(f"{section[:LONGEST_NAME]} must be a block of options")
            for option, value in block.items():
                checked = self._checked(section, option, value)
                if checked is None:
                    chosen.get(section, {}).pop(option, None)
                else:
                    chosen.setdefault(section, {})[option] = checked
        self._registry.set_options({name: block for name, block in chosen.items() if block})
        self._settle(self._read, "options chosen by request")

    def tell_notices(self) -> None:
        """Log what the registry has to say of the vehicles in the configuration, once."""
        for notice in self._registry.notices:
            _log.warning("%s", notice)
        self._registry.notices.clear()

    def _checked(self, section: str, option: str, value: object) -> Scalar | None:
        """Return what an option becomes, None where a choice is taken back."""
        name = f"{section}.{option}"
        if len(name) > LONGEST_NAME:
            raise RequestError("no option has so long a name")
        if option not in BY_REQUEST.get(section, ()):
            if section == "vehicles" or option in _OPTIONS.get(section, ()):
                raise RequestError(f"{name} cannot be set by request: set it in the configuration")
            configuration.check(section, option, "")  # which it says of what is no option
        where = self._read.named.get((section, option))
        if where is not None:
            raise RequestError(f"{name} stands in {where}: change it there")
        if value is None:
            return None
        return cast(Scalar, configuration.check(section, option, _text(value)))

    def _settle(self, read: Config, what: str, vehicles: Iterable[str] = ()) -> None:
        """Go by what was read and chosen, and say `what` has changed."""
        wanted = with_chosen(read, self._registry.options)
        before, after = self.config, in_place(self._started, wanted)
        changed = list(different(before, after))
        changed += [name for name in after.waiting if name not in before.waiting]
        _log.info("%s: %s", what, ", ".join([*changed, *vehicles]) or "nothing changed")
        self._read, self.config = read, after
        if after.log != before.log:
            log.setup(after.log.level, after.log.format)
        for follow in self.followers:
            follow(after)


def with_chosen(read: Config, chosen: Chosen) -> Config:
    """Return a configuration with what requests have chosen, where it does not say otherwise.

    What an older or newer program has let somebody choose, and this one does not, is left out.
    """
    for section, block in chosen.items():
        values: dict[str, Any] = {}
        for option, value in block.items():
            if option not in BY_REQUEST.get(section, ()) or (section, option) in read.named:
                continue
            try:
                values[option] = configuration.check(section, option, _text(value))
            except ConfigError as error:
                _log.warning("chosen by request once, and left out now: %s", error)
        if values:
            read = replace(read, **{section: replace(getattr(read, section), **values)})
    return read


def in_place(started: Config, wanted: Config) -> Config:
    """Return what can hold now of what is wanted; the rest is as it was at the start."""
    sections = {
        name: replace(
            getattr(started, name),
            **{option: getattr(getattr(wanted, name), option) for option in IN_PLACE.get(name, ())},
        )
        for name in SECTIONS
    }
    held = replace(wanted, **sections, hidden=wanted.hidden | started.hidden)
    return replace(held, waiting=tuple(different(held, wanted)))


def different(one: Config, other: Config) -> Iterator[str]:
    """Yield the names of the options that are not the same: ``trips.gap_s``."""
    for section in SECTIONS:
        for option in fields(SECTIONS[section]):
            here, there = (getattr(getattr(each, section), option.name) for each in (one, other))
            if here != there:
                yield f"{section}.{option.name}"


def _changed_vehicles(before: Config, after: Config) -> list[str]:
    """Return which vehicles are no longer as they stood, wherever in the file that is."""
    was, now = (
        {car.key: replace(car, where="") for car in each.vehicles} for each in (before, after)
    )
    return [f"vehicles.{key}" for key in was | now if was.get(key) != now.get(key)]


def _text(value: object) -> Value:
    """Return a value of JSON as it would stand in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else cast(Value, value)
