"""Telling a tracker something, and waiting for what comes of it."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from typing import Any

import msgspec

from bridge import config, orders
from bridge.cli.texts import json_text
from bridge.client import NoAnswerError, reached
from bridge.errors import RequestError

SUCCESS = frozenset({"acknowledged", "sent", "postponed"})
"""What a command may end as for the program to end well; `sent`: no answer is known to it."""

QUEUED_S = 2.0
"""Whatever can be sent is sent by then."""

WHY = {
    "unsupported": "The tracker has no word for it; what it obeys is shown by: vehicles",
    "too_many": "Twenty commands wait for this vehicle already.",
    "busy": "Another command has no answer yet. Try again in a minute.",
    "not_enabled": "Allow it for this vehicle in the configuration: commands: {engine_stop: true}",
    "raw_not_enabled": "Allow it for this vehicle in the configuration: commands: {raw: true}",
    "forbidden": "It takes away a guard of the tracker's own, and is never sent.",
    "not_connected": "The tracker is not connected.",
    "needs_tcp": "The tracker reports over UDP, where a sender can be forged: set it to TCP.",
    "session_not_trusted": "Its connection is younger than a minute, or another device or address"
    " has spoken for this tracker in the last ten minutes. Try again later.",
    "no_fresh_fix": "No good position has come in the last 30 s. Try again after request_position.",
    "too_fast": "A position of the last 30 s says that the vehicle moves, or tells no speed.",
    "fixes_disagree": "Its last positions lie too far apart for a vehicle that stands.",
    "needs_mqtt_5": "The broker speaks MQTT 3.1.1 only, where an old command looks like a new one.",
    "no_answer": "Nothing has come back. It may be asleep, or not know the word.",
}
"""What reasons of the bridge mean for whoever has typed a command."""


def send(arguments: argparse.Namespace) -> int:
    """Give a vehicle a command; print each step of it. 1: it was refused or not answered."""
    settings = config.load(arguments.config, os.environ)
    body = _body(arguments.word, arguments.arguments)
    if not arguments.wait > 0:
        raise RequestError("--wait is a number of seconds above 0")
    last: dict[str, Any] = {}

    async def follow() -> None:
        async with reached(settings) as bridge, asyncio.timeout(arguments.wait):
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
    if last.get("status") in SUCCESS:
        return 0
    why = last.get("advice") or WHY.get(last.get("reason", ""))
    if why and not arguments.json:
        print(why, file=sys.stderr)
    return 1


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


def _body(word: str, pairs: list[str]) -> dict[str, Any]:
    """Return ``set_interval seconds=30`` as a request. Raises RequestError where it is none."""
    given = {"by": _who()}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise RequestError(f"{pair!r} is no argument; write NAME=VALUE, such as seconds=30")
        given[name] = text
    try:
        wish = orders.wish({**given, "command": word}, strict=False)
    except ValueError as error:
        raise RequestError(str(error)) from None
    body: dict[str, Any] = {"by": wish.by, **msgspec.to_builtins(wish.command)}
    return body if wish.ttl_s is None else {**body, "ttl_s": wish.ttl_s}


def _line(step: dict[str, Any]) -> str:
    status = str(step.get("status", "")).replace("_", " ")
    via = f" over {step['via'].upper()}" if step.get("via") and status == "sent" else ""
    why = f": {step['reason']}" if step.get("reason") else ""
    answer = f": {step['answer']}" if step.get("answer") else ""
    return f"{step.get('command', '')}: {status}{via}{why}{answer}"
