"""SUPPORTED.md, made from the corpus and the encoders' tables: ``make supported``.

Nothing in it is written by hand, so it claims what tests prove, and no more. A *case* is a line of
the corpus; the number beside a word says in how many cases it is met.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bridge import command as c
from bridge.model import Alarm, Status
from bridge.protocols.encoding import Target, UnsupportedCommandError, encode
from bridge.protocols.registry import PROTOCOLS, VOCABULARIES
from tests.bridge.corpus import LINES, Line

PAGE = Path(__file__).parents[1] / "SUPPORTED.md"

SAMPLES: tuple[c.Command, ...] = (
    c.RequestPosition(),
    c.SetInterval(seconds=60),
    c.StopReporting(),
    c.Arm(),
    c.Disarm(),
    c.AcknowledgeAlarm(),
    c.StopEngine(),
    c.ResumeEngine(),
    c.SpeedLimit(kmh=80),
    c.MovementAlarm(enabled=True),
    c.MovementAlarm(enabled=False),
    c.Fence(north=48.25, west=11.25, south=48.125, east=11.5),
    c.ClearFence(),
    c.SetTimeZone(offset_minutes=0),
    c.LessGprs(enabled=True),
    c.LessGprs(enabled=False),
    c.UploadLog(day=date(2026, 5, 1)),
    c.Reboot(),
    c.RequestVersion(),
    c.ResetOdometer(),
    c.SwitchOutput(data="1"),
    c.TakePhoto(),
    c.Identify(),
    c.SosAlarm(enabled=True),
    c.SosAlarm(enabled=False),
    c.SetServer(address="203.0.113.7", port=8888),
    c.SosNumber(phone="+15550100123"),
    c.Raw(text="WORDS"),
)
"""Each command of the vocabulary, switches both ways."""

_NOW = datetime(2026, 5, 1, 10, 15, 30, tzinfo=UTC)
_IDS = {"tk103": "087000000012"}
_USUAL_ID = "864000000000101"
_NAMES = tuple(protocol.name for protocol in PROTOCOLS)
_FIX = ("speed_kmh", "course_deg", "altitude_m", "hdop", "satellites")
_WIDTH = 108
_GLUE = "\x00"

Thing = TypeVar("Thing")


def render() -> str:
    """Return the whole page."""
    blocks = [*_head(), *_overview(), *_alarms(), *_fields()]
    for name in _NAMES:
        blocks += _protocol(name)
    return "\n".join(blocks)


def _cases(name: str) -> list[Line]:
    return [line for line in LINES if line.protocol == name]


def _events(line: Line) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = line.row["events"]
    return events


def _messages(line: Line) -> list[dict[str, Any]]:
    return [message for event in _events(line) for message in event.get("messages", ())]


def _refusals(line: Line) -> set[str]:
    return {event["rejected"] for event in _events(line) if "rejected" in event}


def _said(line: Line) -> set[tuple[str, str]]:
    """Return (type, keyword) of every message; a type without keywords has a blank one."""
    return {(message["type"], message.get("keyword", "")) for message in _messages(line)}


def _rung(line: Line) -> set[str]:
    reports = [message for message in _messages(line) if "alarm" in message]
    return {kind for each in reports for kind in (each["alarm"], *each["extra"].get("alarms", ()))}


def _told(line: Line) -> set[str]:
    """Return the fields of a fix or status that a case has a value of, and ``fix`` and ``cell``."""
    told: set[str] = set()
    for message in _messages(line):
        told.update(message.get("status", ()), message.get("fix", ()))
        told.update({"fix", "cell"}.intersection(message))
    return told


def _count(things: Iterable[Iterable[Thing]]) -> Counter[Thing]:
    return Counter(thing for each in things for thing in each)


# --- the page, part by part -----------------------------------------------------------------------


def _head() -> Iterator[str]:
    captured = sum(line.row["source"] == "capture" for line in LINES)
    origin = (
        f"{captured} of {len(LINES)} came from real boxes, the others are"
        if captured
        else "None came from a real box yet: all are"
    )
    yield "# What is understood\n"
    yield _paragraph(
        "This page is made by `make supported` from `tests/corpus` and from the encoders in"
        " `bridge/protocols`: a list of what tests prove. What the words mean, and where they are"
        " known from, stands in [docs/protocols.md](docs/protocols.md)."
    )
    yield _paragraph(
        "A *case* is one line of the corpus: a conversation and exactly what must come of it."
        f" {origin} written from the grammar. The numbers below say in how many cases something is"
        " met."
    )


def _overview() -> Iterator[str]:
    cases = [_cases(name) for name in _NAMES]
    rows: list[tuple[str, list[int]]] = [
        ("cases", [len(each) for each in cases]),
        ("of these over UDP", [sum(line.transport == "udp" for line in each) for each in cases]),
        ("of these with something to refuse", [sum(map(bool, map(_refusals, c))) for c in cases]),
        ("of these against a certain misreading", [len(_pinned(each)) for each in cases]),
        (
            "different frames understood",
            [len({frame for line in each for frame in line.frames}) for each in cases],
        ),
        ("kinds of alarm", [len(_count(map(_rung, each))) for each in cases]),
        ("commands there are bytes for", [len(VOCABULARIES[name].kinds()) for name in _NAMES]),
    ]
    yield _table(("", *map(_linked, _NAMES)), [(label, *map(str, row)) for label, row in rows])


def _linked(name: str) -> str:
    return f"[{name}](#{name})"


def _alarms() -> Iterator[str]:
    yield "## Alarms\n"
    yield _paragraph(
        "The most severe first. Of several in one frame it is the alarm, the others are told beside"
        " it. A kind without numbers is in the vocabulary, but no case has it."
    )
    yield _matrix([str(kind) for kind in Alarm], [_count(map(_rung, _cases(n))) for n in _NAMES])


def _fields() -> Iterator[str]:
    yield "## Positions, inputs and telemetry\n"
    yield _paragraph(
        "`fix` is a position, with a lock or marked as one without; `cell` the GSM cell. What else"
        " a frame says stands in `extra` of its report."
    )
    rows = ("fix", *_FIX, "cell", *Status.__struct_fields__)
    yield _matrix(rows, [_count(map(_told, _cases(name))) for name in _NAMES])


def _matrix(rows: Sequence[str], counts: Sequence[Counter[str]]) -> str:
    table = [(_code(row), *(str(each[row] or "") for each in counts)) for row in rows]
    return _table(("", *_NAMES), table)


def _protocol(name: str) -> Iterator[str]:
    cases = _cases(name)
    yield f"## {name}\n"
    yield f"[How it reads](docs/protocols.md#{name})\n"
    kinds = _count(map(_said, cases))
    for kind in ("login", "heartbeat", "report", "command_result"):
        words = Counter({word: times for (each, word), times in kinds.items() if each == kind})
        if words:
            keyed = len(words) > 1 or "" not in words
            counts = _counted(words) if keyed else f"{words['']}"
            yield _paragraph(f"**{kind}**{' by keyword' if keyed else ''}: {counts}")
    refusals = _count(map(_refusals, cases))
    if refusals:
        yield _paragraph(f"**refused** as: {_counted(refusals)}")
    yield from _commands(name)
    yield from _misreadings(cases)


def _counted(words: Counter[str]) -> str:
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_code(word) if word else '*none*'} {times}" for word, times in ordered)


def _commands(name: str) -> Iterator[str]:
    yield f"### Commands of {name}\n"
    dialects = tuple(VOCABULARIES[name].dialects)
    rows = [
        (_command(sample), *(_wire(name, sample, dialect) for dialect in dialects))
        for sample in SAMPLES
        if type(sample) in VOCABULARIES[name].kinds()
    ]
    yield _table(("command", *dialects), rows)


def _command(sample: c.Command) -> str:
    arguments = msgspec.to_builtins(sample)
    name = arguments.pop("command")
    words = {True: "on", False: "off"}
    said = ", ".join(
        words[value] if isinstance(value, bool) else f"{argument} {value}"
        for argument, value in arguments.items()
    )
    return f"{_code(name)} {said}".rstrip()


def _wire(name: str, sample: c.Command, dialect: str) -> str:
    """Return what goes to a tracker, blank where its dialect has no word for it."""
    device_id = _IDS.get(name, _USUAL_ID)
    target = Target(device_id=device_id, now=_NOW, password="123456", dialect=dialect)  # noqa: S106 - as boxes come
    try:
        data = encode(name, VOCABULARIES[name], sample, target)
    except UnsupportedCommandError:
        return ""
    return _code(data.decode() if data.isascii() and data.decode().isprintable() else data.hex())


def _pinned(cases: Iterable[Line]) -> list[Line]:
    return [line for line in cases if "why" in line.row]


def _misreadings(cases: Iterable[Line]) -> Iterator[str]:
    """List what would go wrong, in the order of the corpus: some lines refer to the one before."""
    rows = [
        (
            _code(line.id.partition("/")[2]),
            line.row["source"].split(", ")[-1],
            _plain(line.row["why"]),
        )
        for line in _pinned(cases)
    ]
    yield f"<details><summary>{len(rows)} cases against a certain misreading</summary>\n"
    yield _table(("case", "section", "why"), rows)
    yield "</details>\n"


# --- Markdown -------------------------------------------------------------------------------------


def _code(text: str) -> str:
    return f"`{text}`"


def _plain(text: str) -> str:
    return re.sub(r"([*<\[])", r"\\\1", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _paragraph(text: str) -> str:
    """Wrap between words, but not within code."""
    glued = re.sub(r"`[^`]*` ?", lambda code: code[0].replace(" ", _GLUE), text)
    lines = textwrap.wrap(glued, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(_GLUE, " ") + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
