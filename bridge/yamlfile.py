"""Settings as they were written: every value the text a person typed, with the place it stands.

YAML itself would read ``off`` as False, ``012345670123`` as an octal number and ``+02:00`` as 120.
So nothing is typed here: `bridge.config` knows what each option is and reads the text as that, for
the file and for the environment alike.

    KEY: !secret NAME           the value of NAME in secrets.yaml beside the file
    KEY: !env NAME [DEFAULT]    an environment variable
    TK103B__MQTT__HOST=...      sets mqtt.host, whatever the file says
    TK103B__MQTT__PASSWORD_FILE=...   the same, with the value in a file of its own

An empty environment variable counts as not set: compose files leave such behind. No value ever
stands in an error of this module, as it may be a secret; keys and names do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import yaml

from bridge.errors import ConfigError

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
Trail = tuple[str | int, ...]
"""The way to a value: ``("vehicles", "golf", "trackers", 0)``."""

ENVIRONMENT_PREFIX = "TK103B__"
SECRETS_FILE = "secrets.yaml"
SWITCHES = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
"""YAML's words for a switch, and the digits that environments prefer."""

_STANDARD_TAG = "tag:yaml.org,2002:"
_NULL_TAG = _STANDARD_TAG + "null"
_SECRET_TAG = "!secret"  # noqa: S105 - a tag, no password
_ENV_TAG = "!env"
_DEPTH = 8
"""Twice what any option needs; an alias that contains itself would never end."""


class Origin(NamedTuple):
    """Where a value comes from: a line of a file, or an environment variable by its name."""

    file: str
    line: int | None = None
    literal: bool = True
    """The value itself stands there: it may be quoted in an error, unless the option is secret."""

    @property
    def where(self) -> str:
        """``file:line``, or the variable's name."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(slots=True)
class Document:
    """Nested options as text, the origin of each, and which values are secrets by their source."""

    value: Value = None
    origins: dict[Trail, Origin] = field(default_factory=dict)
    secrets: set[Trail] = field(default_factory=set)

    def origin(self, trail: Trail) -> Origin:
        """Return the origin of a value, else that of the closest block around it."""
        while trail not in self.origins and trail:
            trail = trail[:-1]
        return self.origins.get(trail, Origin(""))

    def put(self, trail: Trail, text: str, origin: Origin) -> None:
        """Set one option, making the blocks around it; a plain switch may become a block."""
        if not isinstance(self.value, dict):
            self.value = {}
        block = self.value
        for depth, part in enumerate(trail[:-1], 1):
            inner = block.get(str(part))
            if not isinstance(inner, dict):
                if isinstance(inner, list) or (inner and inner.lower() not in SWITCHES):
                    outer = self.origin(trail[:depth])
                    raise ConfigError(
                        f"{dotted(trail[:depth])} is a value and cannot hold {trail[depth]}",
                        file=origin.file,
                        hint=f"the value stands in {outer.where}",
                    )
                inner = block[str(part)] = {}
                self.origins.setdefault(trail[:depth], origin)
            block = inner
        for old in [known for known in self.origins if known[: len(trail)] == trail]:
            del self.origins[old]
            self.secrets.discard(old)
        block[str(trail[-1])] = text
        self.origins[trail] = origin


def dotted(trail: Iterable[str | int]) -> str:
    """Return a trail as people write it: ``vehicles.golf.trackers[0]``."""
    text = ""
    for part in trail:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return what `word` was most likely meant to be, None if nothing is near."""
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1)), None)


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Read a YAML file. Raises ConfigError for what is no YAML, double keys and missing secrets."""
    reader = _Reader(path, environ)
    node = _compose(path)
    if node is not None:
        reader.document.value = reader.value(node, ())
    return reader.document


def is_blank(path: Path) -> bool:
    """Whether a file says nothing: it is empty, or all comments. Raises ConfigError as `read`."""
    lines = (line.strip() for line in _text(path, str(path)).splitlines())
    return all(not line or line.startswith("#") for line in lines)


def override(document: Document, environ: Mapping[str, str]) -> None:
    """Let ``TK103B__SECTION__OPTION`` and ``..._FILE`` variables win over what the file says."""
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or not text:
            continue
        parts = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if not all(parts):
            hint = f"{ENVIRONMENT_PREFIX}MQTT__HOST is mqtt.host"
            raise ConfigError("names no option", file=name, hint=hint)
        if not parts[-1].endswith("_file"):
            document.put(tuple(parts), text, Origin(name))
            continue
        twin = name.removesuffix("_FILE")
        if environ.get(twin):
            raise ConfigError(f"{twin} is set too", file=name, hint="keep one of the two")
        parts[-1] = parts[-1].removesuffix("_file")
        content = _text(Path(text), name).rstrip("\r\n")
        if not content:
            raise ConfigError(f"{text} is empty", file=name)
        document.put(tuple(parts), content, Origin(name, literal=False))
        document.secrets.add(tuple(parts))


class _Reader:
    """Walks the nodes of one file and fills a `Document`."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.document = Document()
        self._path = path
        self._environ = environ
        self._secrets: dict[str, str] | None = None

    def value(self, node: yaml.Node, trail: Trail) -> Value:
        line = _line(node)
        self.document.origins.setdefault(trail, Origin(str(self._path), line))
        if len(trail) > _DEPTH:
            raise ConfigError("nested too deeply", file=str(self._path), line=line)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, trail)
        if not node.tag.startswith(_STANDARD_TAG):
            raise self._unknown_tag(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*trail, index)) for index, item in enumerate(node.value)]
        block: dict[str, Value] = {}
        for key, key_node, inner in _pairs(node, self._path):
            self.document.origins[*trail, key] = Origin(str(self._path), _line(key_node))
            block[key] = self.value(inner, (*trail, key))
        return block

    def _scalar(self, node: yaml.ScalarNode, trail: Trail) -> str | None:
        if node.tag == _NULL_TAG:
            return None
        if node.tag.startswith(_STANDARD_TAG):
            return str(node.value)
        if node.tag == _SECRET_TAG:
            self.document.secrets.add(trail)
            text = self._secret(node)
        elif node.tag == _ENV_TAG:
            text = self._env(node)
        else:
            raise self._unknown_tag(node)
        origin = self.document.origins[trail]
        self.document.origins[trail] = origin._replace(literal=False)
        return text

    def _secret(self, node: yaml.ScalarNode) -> str:
        path = self._path.with_name(SECRETS_FILE)
        if self._secrets is None:
            if not path.is_file():
                raise ConfigError(
                    f"!secret {node.value}: there is no {path}",
                    file=str(self._path),
                    line=_line(node),
                    hint=f"write it beside {self._path.name}, with a line: {node.value}: ...",
                )
            root = _compose(path)
            self._secrets = {
                key: str(inner.value)
                for key, _, inner in (_pairs(root, path) if root is not None else ())
                if isinstance(inner, yaml.ScalarNode)
            }
        if node.value in self._secrets:
            return self._secrets[node.value]
        near = closest(node.value, self._secrets)
        raise ConfigError(
            f"!secret {node.value}: {path} has no such name",
            file=str(self._path),
            line=_line(node),
            hint=f"did you mean {near}?" if near else f"add a line there: {node.value}: ...",
        )

    def _env(self, node: yaml.ScalarNode) -> str:
        name, _, default = node.value.partition(" ")
        text = self._environ.get(name) or default.strip()
        if not text:
            raise ConfigError(
                f"!env {name}: the environment variable is not set",
                file=str(self._path),
                line=_line(node),
                hint=f"set it, or give a default: !env {name} DEFAULT",
            )
        return text

    def _unknown_tag(self, node: yaml.Node) -> ConfigError:
        return ConfigError(
            "this tag means nothing here",
            file=str(self._path),
            line=_line(node),
            hint="only `!secret NAME` and `!env NAME` are known; a text that begins with ! needs"
            " quotes",
        )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _pairs(node: yaml.Node, path: Path) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield key, key node and value node of a mapping, each key once."""
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError("must hold `name: value` lines", file=str(path), line=_line(node))
    first: dict[str, int] = {}
    for key_node, inner in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError("a key must be one word", file=str(path), line=_line(key_node))
        key = str(key_node.value)
        if key in first:
            raise ConfigError(
                f"{key} stands here twice",
                file=str(path),
                line=_line(key_node),
                hint=f"first in line {first[key]}; put both together",
            )
        first[key] = _line(key_node)
        yield key, key_node, inner


def _text(path: Path, source: str) -> str:
    """Return a file's text; `source` is what an error names: the file, or who asked for it."""
    subject = "" if source == str(path) else f"{path} "
    try:
        return path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise ConfigError(
            f"{subject}is a folder, not a file",
            file=source,
            hint="Docker makes one where a file to be mounted does not exist",
        ) from None
    except OSError as error:
        raise ConfigError(f"{subject}cannot be read: {error.strerror}", file=source) from None
    except ValueError:
        raise ConfigError(
            f"{subject}is no UTF-8 text", file=source, hint="save it as UTF-8"
        ) from None


def _compose(path: Path) -> yaml.Node | None:
    text = _text(path, str(path))
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            "a character that YAML does not allow",
            file=str(path),
            line=text.count("\n", 0, error.position) + 1,
        ) from None
    except RecursionError:
        raise ConfigError("nested too deeply", file=str(path)) from None
    except (ValueError, OverflowError):
        raise ConfigError(
            "this is no YAML: no character or version has such a number",
            file=str(path),
            hint=r"a text with \U or \u in it needs single quotes, or none",
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or ""
        hint = next((hint for sign, hint in _YAML_HINTS if sign in problem), "")
        # Some problems name the text, which may be a password somebody forgot to quote.
        told = problem and not any(sign in problem for sign in _YAML_QUOTING)
        raise ConfigError(
            f"this is no YAML: {problem}" if told else "this is no YAML",
            file=str(path),
            line=mark.line + 1 if mark else None,
            hint=hint,
        ) from None


_YAML_QUOTING = ("undefined alias", "tag handle", "occurrence", "another document")
_YAML_HINTS = (
    (r"'\t'", "indent with spaces, never with a tab"),
    ("cannot start any token", "a text that begins with @, % or ` needs quotes"),
    ("mapping values are not allowed", "check the indentation; a text with `: ` needs quotes"),
    ("could not find expected ':'", "the line before lacks its colon, or a quote is not closed"),
    ("unexpected end of stream", "a quote is not closed"),
    ("block end", "this line is indented differently from those around it"),
    ("undefined alias", "a text that begins with * needs quotes"),
    ("alphabetic or numeric", "a text that begins with * or & needs quotes"),
    ("occurrence", "a text that begins with & needs quotes"),
    ("tag handle", "a text that begins with ! needs quotes"),
    ("another document", "one file, one document: remove the line `---`"),
)
