"""A configuration file as it goes into a backup: as a person wrote it, secrets taken out or along.

    password: hunter2                ->  password: !secret mqtt_password
    password: !env BROKER hunter2    ->  password: !env BROKER
    # password: hunter2              ->  # password: ***

So the configuration that is restored says by itself what it lacks, and in which line. Everything
else stays, comments too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import yaml

from bridge import yamlfile
from bridge.config import Config
from bridge.options import HIDDEN, Secret
from bridge.yamlfile import ENVIRONMENT_PREFIX, Trail, dotted

_SECRET_TAG = "!secret"  # noqa: S105 - a tag, no password
_ENV_TAG = "!env"
_SHORTEST = 4
"""Shorter texts stand in every other word: taking them out of comments would take those."""
_TOLD = re.compile(r"(#.*?(?:password|passwd|secret|token)\w*\s*:\s*)(?!!)(\S.*)", re.IGNORECASE)
"""An option that was commented out."""

Scalar = tuple[Trail, yaml.ScalarNode]


class ConfigurationFile:
    """A configuration file that `config.load` has read without complaint, as `loaded`."""

    def __init__(self, path: Path, loaded: Config, environ: Mapping[str, str]) -> None:
        self._document = yamlfile.read(path, environ)
        self._options = set(_secret_options(loaded))
        with path.open(encoding="utf-8-sig", newline="") as file:  # every line end as it is
            self.text = file.read()
        root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        self._scalars = list(_scalars(root, ())) if root is not None else []

    @property
    def storage_path(self) -> str:
        """The data folder as it stands in the file, empty where it does not."""
        return self._value(("storage", "path"))

    @property
    def variables(self) -> list[str]:
        """The environment variables that the file names."""
        found = (node.value.split()[0] for _, node in self._scalars if node.tag == _ENV_TAG)
        return sorted(set(found))

    def named_secrets(self) -> str:
        """Return what the file names with ``!secret``, as a ``secrets.yaml`` of its own."""
        found = {
            str(node.value): self._value(trail)
            for trail, node in self._scalars
            if node.tag == _SECRET_TAG
        }
        return yaml.safe_dump(found, allow_unicode=True) if found else ""

    def without_secrets(self) -> str:
        """Return the text of the file, with nothing in it that opens anything."""
        changes: dict[tuple[int, int], str] = {}
        taken_out: list[str] = []
        for trail, node in self._scalars:
            if trail not in self._options or node.tag == _SECRET_TAG or not node.value:
                continue
            if node.tag == _ENV_TAG:
                name, _, value = node.value.partition(" ")
                word = f"{_ENV_TAG} {name}"
            else:
                value = str(node.value)
                word = f"{_SECRET_TAG} {'_'.join(map(str, trail))}"
            taken_out.append(value.strip())
            changes[_span(node)] = word
        for start, end in self._told_in_comments(taken_out):
            changes.setdefault((start, end), HIDDEN)
        text = self.text
        for (start, end), word in sorted(changes.items(), reverse=True):
            old = text[start:end]
            anchor = re.match(r"(?:&\S+\s+)?", old)
            before = text[:start] + (anchor.group() if anchor else "")
            text = before + word + old[len(old.rstrip()) :] + text[end:]
        return text

    def _told_in_comments(self, secrets: list[str]) -> Iterator[tuple[int, int]]:
        """Yield where comments tell a secret: the one in use, or one that was."""
        values = [_span(node) for _, node in self._scalars]

        def is_comment(start: int, end: int) -> bool:
            return not any(start < until and since < end for since, until in values)

        told = [match.span(2) for match in _TOLD.finditer(self.text)]
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                told += [match.span() for match in re.finditer(re.escape(secret), self.text)]
        last = 0
        for start, end in sorted(told):
            if is_comment(start, end) and start >= last:
                yield start, end
                last = end

    def _value(self, trail: Trail) -> str:
        value = self._document.value
        for part in trail:
            if isinstance(value, dict) and isinstance(part, str):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                return ""
        return value if isinstance(value, str) else ""


def left_out(
    loaded: Config, environ: Mapping[str, str], file: ConfigurationFile | None
) -> list[str]:
    """Return in words what the bridge is configured with besides its file; no value among it."""
    names = {name for name, text in environ.items() if name.startswith(ENVIRONMENT_PREFIX) and text}
    names.update(file.variables if file else ())
    found = [f"environment variable {name}" for name in sorted(names)]
    for option in fields(loaded.mqtt.tls) if loaded.mqtt.tls else ():
        value = getattr(loaded.mqtt.tls, option.name)
        if isinstance(value, Path):
            found.append(f"file {value} ({dotted(('mqtt', 'tls', option.name))})")
    return found


def _secret_options(value: object, trail: Trail = ()) -> Iterator[Trail]:
    """Yield the way to every option that holds a secret, wherever its value came from."""
    if isinstance(value, Secret):
        yield trail
    elif is_dataclass(value):
        for option in fields(value):
            yield from _secret_options(getattr(value, option.name), (*trail, option.name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _secret_options(item, (*trail, getattr(item, "key", index)))


def _scalars(node: yaml.Node, trail: Trail) -> Iterator[Scalar]:
    """Yield every scalar and the way to it; that to a key ends in two empty words."""
    if isinstance(node, yaml.ScalarNode):
        yield trail, node
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _scalars(item, (*trail, index))
    elif isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield (*trail, key.value, "", ""), key
            yield from _scalars(item, (*trail, key.value))


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index
