"""A real tracker, verified: who is at the car is told what to do, and sees what of it arrives."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TextIO

from bridge import config
from bridge.cli.texts import json_text, table
from bridge.client import Bridge, NoAnswerError, Notice, reached
from bridge.config import Config
from bridge.contract import Topics
from bridge.errors import RequestError
from bridge.program import called
from bridge.verify import BY_NAME, Course, Heard, Step, chosen, is_hopeless, summary, topics_of
from bridge.verify.heard import DEVICES
from bridge.verify.proofs import place

PATIENCE_S = 60.0
"""A step may take so long before anything is advised: two reports of a usual tracker."""
UNATTENDED_S = 120.0
"""What a step may take where nobody can press Enter."""

_WIDTH = 96
_INDENT = "      "


class Word(Enum):
    """What ends a wait, beside what the tracker says."""

    SKIP = "skip this step"
    STOP = "stop, and sum up"
    LOST = "the bridge is gone"


@dataclass(slots=True)
class _Session:
    """One run: what was heard, what comes next, and how to tell about it."""

    heard: Heard
    leaves: dict[str, str]
    limit_s: float | None
    where: bool
    out: TextIO
    news: asyncio.Queue[Notice | Word] = field(default_factory=asyncio.Queue)
    lost: str = ""

    def hear(self, notice: Notice) -> None:
        """Take what the bridge says."""
        self.heard.hear(self.leaves[notice.topic], notice.body, kept=notice.kept)

    def tell(self, text: str = "", indent: str = "") -> None:
        """Print lines, long ones wrapped."""
        for line in text.splitlines() or [""]:
            for part in textwrap.wrap(line, _WIDTH - len(indent)) or [""]:
                print(f"{indent}{part}".rstrip(), file=self.out, flush=True)


def verify(arguments: argparse.Namespace) -> int:
    """Lead through the steps; 0 where everything necessary was there."""
    settings = config.load(arguments.config, os.environ)
    try:
        found, name = asyncio.run(_verify(settings, arguments))
    except NoAnswerError as silence:
        raise RequestError(
            f"no bridge answers: {silence}. '{called()} health' tells more"
        ) from silence
    if arguments.json:
        print(json_text(found))
    else:
        print("\n".join(told(found, name)))
    return 0 if found["good"] else 1


def step_names(text: str) -> tuple[str, ...]:
    """Read ``STEP,STEP``; argparse tells what is wrong with it."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in BY_NAME:
            known = ", ".join(BY_NAME)
            raise argparse.ArgumentTypeError(f"no step is called {name!r}; there is {known}")
    return names


def seconds(text: str) -> float:
    """Read a positive number; argparse tells what is wrong with it."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return found


# --- the run --------------------------------------------------------------------------------------


async def _verify(settings: Config, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Return the summary of a run, and what the vehicle is called."""
    attended = sys.stdin.isatty()
    heard, topics = Heard(arguments.key), Topics(settings.mqtt.base_topic)
    session = _Session(
        heard,
        topics_of(topics, arguments.key),
        arguments.timeout or (None if attended else UNATTENDED_S),
        arguments.show_position,
        sys.stderr if arguments.json else sys.stdout,
    )
    async with reached(settings) as bridge:
        devices = await bridge.retained(topics.bridge_devices)
        heard.hear(DEVICES, devices)
        _check_known(arguments.key, devices, heard)
        listening = asyncio.create_task(_listen(bridge, session))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, session.news.put_nowait, Word.STOP)
        if attended:
            loop.add_reader(sys.stdin, _read_key, session)
        try:
            await _tune_in(session)
            courses = await _lead(session, chosen(arguments.only), attended=attended)
        finally:
            if attended:
                loop.remove_reader(sys.stdin)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    found = summary(courses, heard, arguments.only, where=session.where)
    return found, str(heard.row["name"])


def _check_known(key: str, devices: dict[str, Any], heard: Heard) -> None:
    """Raise RequestError where there is no such vehicle."""
    if heard.row:
        return
    keys = ", ".join(row["key"] for row in devices["vehicles"])
    known = f"there is {keys}" if keys else f"accept its tracker: {called()} accept ID --name NAME"
    waiting = " (one that waits to be accepted cannot be verified)" if devices["guests"] else ""
    raise RequestError(f"there is no vehicle {key!r}; {known}{waiting}")


async def _listen(bridge: Bridge, session: _Session) -> None:
    try:
        async for notice in bridge.listen(session.leaves):
            session.news.put_nowait(notice)
    except NoAnswerError as silence:
        session.lost = str(silence)
        session.news.put_nowait(Word.LOST)


async def _tune_in(session: _Session) -> None:
    """Wait for what is retained: from then on nothing is missed."""
    first = await session.news.get()
    if isinstance(first, Word):
        raise NoAnswerError(session.lost or "interrupted")
    session.hear(first)


def _read_key(session: _Session) -> None:
    """Take a line: Enter skips, the end of input (Ctrl-D) stops."""
    if sys.stdin.readline():
        session.news.put_nowait(Word.SKIP)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        session.news.put_nowait(Word.STOP)


async def _lead(session: _Session, steps: Sequence[Step], *, attended: bool) -> list[Course]:
    """Go through the steps, until one of them or a person ends it all."""
    heard = session.heard
    speaks = f", {heard.protocol}" if heard.protocol else ", not heard of yet"
    session.tell(f"{heard.row['name']} ({heard.key}){speaks}.")
    session.tell(
        "Each step waits for what proves it. Enter skips it, Ctrl-C sums up."
        if attended
        else f"Each step waits up to {session.limit_s:g} s for what proves it."
    )
    courses = [Course(step) for step in steps]
    for number, course in enumerate(courses, 1):
        session.tell()
        session.tell(f"[{number}/{len(courses)}] {course.step.name}: {course.step.ask}")
        if is_hopeless(course.step, heard):
            course.ending = "impossible"
            session.tell(f"Left out: {heard.protocol} has no word for this.", _INDENT)
            continue
        word = await _wait(session, course)
        if word is Word.LOST:
            session.tell(f"Cut short: {session.lost}.", _INDENT)
        if word in (Word.STOP, Word.LOST):
            break
        if course.ending == "too long" and course.step.name == "reports":
            session.tell("Nothing else can be tried.", _INDENT)
            break
    return courses


async def _wait(session: _Session, course: Course) -> Word | None:
    """Wait until a step is done, took too long, or is ended by the word that is returned."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    advise_at = begun + PATIENCE_S
    end_at = begun + session.limit_s if session.limit_s else None
    advised = ""
    while True:
        now = loop.time()
        for point, value in course.tick(session.heard, now - begun):
            session.tell(f"[x] {point.what}: {value} ({_took(now - begun)})", _INDENT)
        if course.done:
            course.ending = "done"
            if session.where and course.step.name == "fix":
                session.tell(place(session.heard), _INDENT)
            return None
        over = end_at is not None and now >= end_at
        if (over or now >= advise_at) and (advice := course.step.advice(session.heard)) != advised:
            session.tell(advice, _INDENT)
            advised = advice
        if over:
            course.ending = "too long"
            return None
        due = [at for at in (end_at, advise_at) if at is not None and at > now]
        news = await _next(session, min(due, default=None))
        if isinstance(news, Word):
            course.ending = "skipped"
            return news
        if news is not None:
            session.hear(news)


async def _next(session: _Session, until: float | None) -> Notice | Word | None:
    """Return what happens next, None if that is nothing until a moment of the loop's clock."""
    try:
        async with asyncio.timeout_at(until):
            return await session.news.get()
    except TimeoutError:
        return None


def _took(after_s: float) -> str:
    return "at once" if after_s < 0.5 else f"after {after_s:.0f} s"


# --- what is printed in the end -------------------------------------------------------------------

_RESULTS: dict[str, str] = {
    "done": "[x]",
    "skipped": "[ ] skipped",
    "too long": "[ ] did not come",
    "impossible": "[ ] has no word for it",
    "not tried": "[ ] not tried",
}


def told(found: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the lines of a summary."""
    speaks = " over ".join(filter(None, (found["protocol"], found["transport"].upper())))
    yield ""
    yield f"{name} ({found['vehicle']}), {speaks or 'which has never said a word'}"
    yield ""
    yield from table(_rows(found["steps"]))
    yield ""
    for said, head in (("now", "Heard now"), ("before", "Heard before, but not now")):
        names = [row["what"] for row in found["says"] if row["said"] == said]
        if names:
            yield from _wrapped(f"{head}: {', '.join(names)}.")
    never = [(row["what"], row["means"]) for row in found["says"] if row["said"] == "never"]
    if never and found["protocol"]:
        yield "Never said by this unit:"
        yield from _indented(table(never))
    impossible = [row["what"] for row in found["says"] if row["said"] == "impossible"]
    if impossible:
        yield from _wrapped(f"Not a word for in {found['protocol']}: {', '.join(impossible)}.")
    for step in found["steps"]:
        if "advice" in step:
            yield ""
            first, *rest = step["advice"].splitlines()
            yield from _wrapped(f"{step['step']}: {first}")
            yield from _indented(rest)
    yield ""
    yield (
        "Everything necessary was there."
        if found["good"]
        else "Not everything necessary was there."
    )


def _rows(steps: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    yield "STEP", "POINT", "RESULT"
    for step in steps:
        for tick in step["ticks"]:
            yield step["step"], tick["what"], f"[x] {tick['value']}"
        for what in step["missing"]:
            yield step["step"], what, _RESULTS[step["ending"]]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
