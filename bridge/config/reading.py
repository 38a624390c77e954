"""Files and the environment into a `Config`; each mistake with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import voluptuous as vol

from bridge import yamlfile
from bridge.config.blocks import SECTIONS, Config, VehicleConfig
from bridge.config.checks import DOCUMENT
from bridge.errors import ConfigError
from bridge.options import Mistake
from bridge.yamlfile import Document, Trail, Value, dotted

DEFAULT_FILE = Path("tk103b-bridge.yaml")


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration. Without a path: `DEFAULT_FILE` where there is one, else the defaults.

    Raises ConfigError for the first mistake in the file's order; the others are its notes.
    """
    path = path or default_file()
    document = yamlfile.read(path, environ) if path else Document()
    yamlfile.override(document, environ)
    try:
        given = DOCUMENT(document.value)
    except vol.MultipleInvalid as invalid:
        mistakes = [_error(document, fault) for fault in cast(list[Mistake], invalid.errors)]
    else:
        vehicles = tuple(
            VehicleConfig(
                key=key,
                where=document.origin(("vehicles", key)).where,
                given=frozenset(values),
                **values,
            )
            for key, values in given.pop("vehicles", {}).items()
        )
        config = Config(
            **given,
            vehicles=vehicles,
            hidden=frozenset(document.secrets),
            named=_named(document),
        )
        mistakes = list(_ids_with_two_places(config, document))
        if not mistakes:
            return config
    first, *others = sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line or 0))
    for other in others:
        first.add_note(str(other))
    raise first


def default_file() -> Path | None:
    """Return `DEFAULT_FILE` where there is one. Raises ConfigError where nobody may look."""
    try:
        DEFAULT_FILE.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot look for {DEFAULT_FILE} in this folder: {error.strerror}",
            hint="name a file with --config, or go elsewhere",
        ) from error
    return DEFAULT_FILE


def check(section: str, option: str, value: Value) -> object:
    """Return what the text of one option becomes. Raises ConfigError, as `load` does for a file."""
    try:
        given = DOCUMENT({section: {option: value}})
    except vol.MultipleInvalid as invalid:
        raise _error(Document(), cast(list[Mistake], invalid.errors)[0]) from None
    return getattr(given[section], option)


def _named(document: Document) -> dict[Trail, str]:
    """Return where the options of sections stand; one without a value counts as left out."""
    blocks = document.value if isinstance(document.value, dict) else {}
    return {
        (section, option): document.origin((section, option)).where
        for section, block in blocks.items()
        if section in SECTIONS and isinstance(block, dict)
        for option, value in block.items()
        if value is not None
    }


def _error(document: Document, fault: Mistake) -> ConfigError:
    """Say where an option stands; its text is quoted only where it was typed in the open."""
    trail = cast(Trail, tuple(fault.path))
    origin = document.origin(trail)
    sentence = f"{dotted(trail) or 'the configuration'} {fault.msg}"
    if fault.got is not None and origin.literal:
        sentence += f", not {fault.got[:40]!r}"
    return ConfigError(sentence, file=origin.file, line=origin.line, hint=fault.hint)


def _ids_with_two_places(config: Config, document: Document) -> Iterator[ConfigError]:
    """Yield an error for each tracker id in two vehicles, or both let in and blocked."""
    lists: list[tuple[Trail, tuple[str, ...]]] = [
        (("access", "block"), config.access.block),
        (("access", "allow"), config.access.allow),
        *((("vehicles", car.key, "trackers"), car.trackers) for car in config.vehicles),
    ]
    places: dict[str, Trail] = {}
    for trail, ids in lists:
        for index, tracker in enumerate(ids):
            here: Trail = (*trail, index)
            other = places.get(tracker)
            if other is None or other[:2] == ("access", "allow"):
                places[tracker] = here
                continue
            origin = document.origin(here)
            yield ConfigError(
                f"tracker {tracker} stands in {dotted(trail)} and in {dotted(other[:-1])}",
                file=origin.file,
                line=origin.line,
                hint=f"the other is {document.origin(other).where}; keep one of the two",
            )
