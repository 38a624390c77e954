"""Telling a tracker something, and waiting for what comes of it."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from typing import Any

import msgspec

from bridge import config
from bridge.cli.texts import json_text
from bridge.client import NoAnswerError, reached
from bridge.errors import RequestError

SUCCESS = frozenset({"acknowledged", "sent", "postponed"})
"""What a command may end as for the program to end well; `sent`: no answer is known to it."""

QUEUED_S = 2.0
"""Whatever can be sent is sent by then."""


def send(arguments: argparse.Namespace) -> int:
    """Give a vehicle a command; print each step of it. 1: it was refused or not answered."""
    settings = config.load(arguments.config, os.environ)
    body = {"command": arguments.word, "by": _who(), **_given(arguments.arguments)}
    last: dict[str, Any] = {}

    async def follow() -> None:
        async with asyncio.timeout(arguments.wait), reached(settings) as bridge:
            async for step in bridge.command(arguments.key, body):
                last.update(step)
                print(json_text(step) if arguments.json else _line(step), flush=True)
                if step["status"] == "queued":
                    asyncio.get_running_loop().call_later(QUEUED_S, _say_that_it_waits, last)

    try:
        asyncio.run(follow())
    except TimeoutError:
        print(
            f"Nothing more within {arguments.wait:g} s. The bridge goes on; every step appears on"
            f" vehicle/{arguments.key}/command/result.",
            file=sys.stderr,
        )
        return 1
    except NoAnswerError as silence:
        raise RequestError(
            f"no bridge answers ({silence}): commands go through the one that runs"
        ) from None
    return 0 if last.get("status") in SUCCESS else 1


def _say_that_it_waits(last: dict[str, Any]) -> None:
    if last.get("status") == "queued":
        print(
            "It waits: the tracker is not connected now, or an earlier command has no answer yet."
            " It is sent when it can be, whether you stay here or not.",
            file=sys.stderr,
        )


def _who() -> str:
    try:
        return f"{getpass.getuser()} on the command line"
    except (KeyError, OSError):
        return "the command line"


def _given(pairs: list[str]) -> dict[str, Any]:
    """Return ``seconds=30 enabled=false`` as JSON values; what is none is a text."""
    given: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise RequestError(f"{pair!r} is no argument; write NAME=VALUE, such as seconds=30")
        try:
            given[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            given[name] = text
    return given


def _line(step: dict[str, Any]) -> str:
    status = str(step.get("status", "")).replace("_", " ")
    via = f" over {step['via'].upper()}" if step.get("via") and status == "sent" else ""
    why = f": {step['reason']}" if step.get("reason") else ""
    answer = f": {step['answer']}" if step.get("answer") else ""
    return f"{step.get('command', '')}: {status}{via}{why}{answer}"
