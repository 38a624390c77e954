"""The log: one line an event, with whom it concerns, fit to be pasted into a public issue.

    14:03:07 INFO    Reports again  vehicle=golf tracker=…0101 protocol=gps103 peer=192.0.2.7:40112

Everything passes `mask` on its way out: phone numbers, passwords of SMS commands and what was given
to `protect` become stars, control characters become escapes (a peer must not write lines of its
own), a tracker's id in the context keeps its last four digits. Coordinates are never logged, and a
full id only in the text of a line that asks its owner to accept it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Hashable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

HOUR = timedelta(hours=1)

_STARS = "***"
_PHONE = re.compile(r"\+\d{8,}")
_PASSWORD = re.compile(r"(?<=[A-Za-z])\d{6}(?!\d)(?:\s+\d{6,})*")
"""``password123456 654321``, ``adminip123456 192.0.2.1 8888``: six digits after a word, and numbers
that follow (a new password, a phone number without its plus)."""
_SHORTEST_SECRET = 4
"""Shorter ones stand in every other word: stars for them would make the log unreadable."""

_protected: list[str] = []


def setup(level: str, form: str, stream: TextIO | None = None) -> None:
    """Log to `stream`, stderr by default, from debug, info, warning or error on.

    `form` is ``text`` (dates, no colours), ``json`` (an object a line, UTC), or ``auto``: text,
    with the time of day and colours where a person looks at a terminal. Other packages are heard
    from warning on, whatever the level.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    terminal = form == "auto" and stream.isatty()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(terminal=terminal))
    logging.getLogger().handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Log from debug, info, warning or error on, in the form and to the place of `setup`."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler.formatter, TextFormatter | JsonFormatter):
            handler.setLevel(threshold)
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger("bridge").setLevel(threshold)


def current_level() -> str:
    """Return from which level on is logged now."""
    return logging.getLevelName(logging.getLogger("bridge").getEffectiveLevel()).lower()


def bound(logger: logging.Logger | Bound, **context: object) -> Bound:
    """Return a logger whose lines carry a context; binding a bound one adds to what it has.

    The names are vehicle, tracker, protocol, peer; what is None is left out. Nothing is formatted
    while the level is off.
    """
    if isinstance(logger, Bound):
        return Bound(logger.logger, {**(logger.extra or {}), **context})
    return Bound(logger, context)


class Bound(logging.LoggerAdapter[logging.Logger]):
    """A logger with a context; made by `bound`."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Hand the context to the formatter."""
        kwargs["extra"] = {"context": self.extra}
        return msg, kwargs


def protect(secret: str) -> None:
    """Never let this text into the log, unless it is shorter than four characters."""
    if len(secret) >= _SHORTEST_SECRET and secret not in _protected:
        _protected.append(secret)
        _protected.sort(key=len, reverse=True)  # one may stand within another


def mask(text: str) -> str:
    """Return the text without secrets, phone numbers and passwords of SMS commands."""
    for secret in _protected:
        text = text.replace(secret, _STARS)
    return _PASSWORD.sub(_STARS, _PHONE.sub(_STARS, text))


def tail(device_id: str) -> str:
    """Return the last four digits of a tracker's id, as ``…0101``."""
    return f"…{device_id[-4:]}"


class Once:
    """Lets a line that repeats itself through once in a while, and counts what it held back.

    Keys may be strangers' addresses, so they are bounded: where the table is full of fresh ones,
    all further keys share one place, and a flood of them is one line, not one each.
    """

    def __init__(self, every: timedelta = HOUR, capacity: int = 1000) -> None:
        self._every = every
        self._capacity = capacity
        self._spoken: dict[Hashable, tuple[datetime, int]] = {}
        """Key -> when it was let through, and how often it was held back since; oldest first."""

    def __len__(self) -> int:
        return len(self._spoken)

    def due(self, key: Hashable, now: datetime) -> int | None:
        """Return how many were held back since the last one if the line is due, None if it is not.

        A clock that was set back makes every line due.
        """
        if key not in self._spoken and len(self._spoken) >= self._capacity:
            self._forget(now)
            if len(self._spoken) >= self._capacity:
                key = _OTHERS
        since, held = self._spoken.get(key, (None, 0))
        if since is not None and self._fresh(since, now):
            self._spoken[key] = (since, held + 1)
            return None
        self._spoken.pop(key, None)
        self._spoken[key] = (now, 0)
        return held

    def _fresh(self, since: datetime, now: datetime) -> bool:
        return timedelta(0) <= now - since < self._every

    def _forget(self, now: datetime) -> None:
        """Drop keys from the oldest on as long as their time is over."""
        while self._spoken:
            oldest = next(iter(self._spoken))
            if self._fresh(self._spoken[oldest][0], now):
                return
            del self._spoken[oldest]


_OTHERS = object()


class TextFormatter(logging.Formatter):
    """For people: time, level, message, context; a traceback follows in lines of its own."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__(datefmt="%H:%M:%S" if terminal else "%Y-%m-%d %H:%M:%S")
        self._colours = _COLOURS if terminal and not os.environ.get("NO_COLOR") else {}

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and those of a traceback."""
        start, end = self._colours.get(record.levelno, ("", ""))
        moment = self.formatTime(record, self.datefmt)
        message = _one_line(mask(record.getMessage()))
        context = " ".join(f"{name}={_word(value)}" for name, value in _context(record).items())
        line = f"{moment} {start}{record.levelname:<7}{end} {message}"
        trace = [f"    {_one_line(part)}" for part in _trace(self, record).splitlines()]
        return "\n".join([f"{line}  {context}" if context else line, *trace])


class JsonFormatter(logging.Formatter):
    """For machines: one object a line; a context never hides the line's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": mask(record.getMessage()),
            "logger": record.name,
        }
        for name, value in _context(record).items():
            line.setdefault(name, value)
        trace = _trace(self, record)
        if trace:
            line["traceback"] = trace
        return json.dumps(line)


_RESET = "\x1b[0m"
_COLOURS = {
    logging.DEBUG: ("\x1b[2m", _RESET),
    logging.WARNING: ("\x1b[33m", _RESET),
    logging.ERROR: ("\x1b[31m", _RESET),
    logging.CRITICAL: ("\x1b[1;31m", _RESET),
}


def _context(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record concerns, masked, without what is unknown."""
    context: Mapping[str, object] = getattr(record, "context", None) or {}
    return {
        name: value
        if isinstance(value, bool | int | float)
        else mask(tail(str(value)) if name == "tracker" else str(value))
        for name, value in context.items()
        if value is not None
    }


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return mask(formatter.formatException(record.exc_info)) if record.exc_info else ""


def _word(value: object) -> str:
    text = _one_line(str(value))
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def _one_line(text: str) -> str:
    """Return the text with control characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
