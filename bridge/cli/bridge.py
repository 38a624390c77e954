"""The bridge itself: run it, check what it is told to do, ask how it is."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine

from bridge import app, config, healthcheck, log, program, simulator
from bridge.cli.folder import is_locked
from bridge.cli.texts import json_text
from bridge.client import NoAnswerError, reached
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.intake import Intake
from bridge.reload import Source
from bridge.supervisor import Expected

_log = logging.getLogger(__name__)

DEMO_ID = "864000000000017"
DEMO_NAME = "Demo car"


def run(arguments: argparse.Namespace) -> None:
    """Start the bridge and stay until it is stopped."""
    environ = dict(os.environ)
    if arguments.log_level:
        environ["TK103B__LOG__LEVEL"] = arguments.log_level
    source = Source(arguments.config, environ)
    settings = source.read()
    for secret in settings.secrets:
        log.protect(secret.reveal())
    log.setup(settings.log.level, settings.log.format)
    beside = _demo(settings) if arguments.demo else _expecting(arguments.expected)
    if asyncio.run(app.serve(settings, source, beside)):
        program.start_again()


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what stands for every address


def _demo(settings: Config) -> Callable[[Intake], Coroutine[None, None, None]]:
    """Return the demo: a car of its own, accepted beforehand, driving around."""
    listen = settings.listen

    async def drive(intake: Intake) -> None:
        if intake.registry.match(DEMO_ID) is None:
            _accept(intake, Expected(DEMO_ID, DEMO_NAME))
        await simulator.run(
            simulator.Options(
                device_id=DEMO_ID,
                host="127.0.0.1" if listen.host in _EVERYWHERE else listen.host,
                port=listen.port,
                transport="tcp" if listen.tcp else "udp",
                interval_s=5.0,
                attempts=0,
            )
        )

    return drive


def _expecting(
    tracker: Expected | None,
) -> Callable[[Intake], Coroutine[None, None, None]] | None:
    """Return who accepts a tracker beforehand, unless somebody has decided about it before."""
    if tracker is None:
        return None

    async def welcome(intake: Intake) -> None:
        if not intake.registry.knows(tracker.device_id):
            _accept(intake, tracker)

    return welcome


def _accept(intake: Intake, tracker: Expected) -> None:
    """Accept a tracker; where that fails the bridge runs all the same, and the log says why."""
    try:
        intake.accept(tracker.device_id, name=tracker.name, now=intake.clock())
    except BridgeError as error:
        _log.error("%s cannot be accepted: %s", tracker.name or "the expected tracker", error)


def check_config(arguments: argparse.Namespace) -> None:
    """Say that the configuration is good; loading it raises ConfigError if it is not."""
    count = len(config.load(arguments.config, os.environ).vehicles)
    print(f"The configuration is good: {count} vehicle{'' if count == 1 else 's'}.")


def health(arguments: argparse.Namespace) -> int:
    """Ask the running bridge how it is; where the broker is away, look whether one runs at all."""
    settings = config.load(arguments.config, os.environ)

    async def ask() -> dict[str, object]:
        async with reached(settings) as bridge:
            return await bridge.ask("health_check", {})

    try:
        found = asyncio.run(ask())
    except NoAnswerError as silence:
        if is_locked(settings):
            print(f"the bridge runs, but does not answer over MQTT: {silence}")
            return 0
        print(f"no bridge runs here: {silence}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json_text(found))
    else:
        for name, value in found.items():
            print(f"{name:20} {value}")
    return 1 if found.get("journal_fault") else 0


def check_health(arguments: argparse.Namespace) -> int:
    """Say whether the bridge of this data folder is alive, for whoever starts it anew if not."""
    fault = healthcheck.ask(config.load(arguments.config, os.environ).storage.path)
    print(fault or "the bridge is alive")
    return 1 if fault else 0
