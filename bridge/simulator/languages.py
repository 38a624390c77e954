"""Every protocol a tracker can be simulated in: the one line a new one adds."""

from __future__ import annotations

from bridge.errors import ConfigError
from bridge.simulator import gps103, gt06, h02, tk103, xexun
from bridge.simulator.language import Language

LANGUAGES: tuple[Language, ...] = (
    gps103.LANGUAGE,
    tk103.LANGUAGE,
    xexun.LANGUAGE,
    h02.LANGUAGE,
    gt06.LANGUAGE,
)


def language(name: str) -> Language:
    """Return the language of that name; ConfigError names those there are."""
    for known in LANGUAGES:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in LANGUAGES)
    raise ConfigError(f"no simulator speaks {name!r}", hint=f"there is {names}")
