"""What of a configuration may be shown to everybody who reads a topic."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from bridge.options import HIDDEN
from bridge.yamlfile import Trail

_PRIVATE: frozenset[Trail] = frozenset(
    {("mqtt", "username"), ("access", "allow"), ("access", "block")}
)


def shown(value: object, trail: Trail, hidden: frozenset[Trail]) -> object:
    """Return a value as JSON: stars for a secret, and for what was read from one."""
    if is_dataclass(value):
        inner = ((option.name, (*trail, option.name)) for option in fields(value))
        return {
            name: shown(getattr(value, name), place, hidden)
            for name, place in inner
            if place not in _PRIVATE
        }
    if value is None:
        return None
    if trail in hidden:
        return HIDDEN
    if isinstance(value, tuple):
        return [shown(one, (*trail, index), hidden) for index, one in enumerate(value)]
    return value if isinstance(value, bool | int | float) else str(value)
