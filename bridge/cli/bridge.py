"""The bridge itself: run it, check what it is told to do, ask how it is."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine

from bridge import app, config, log, simulator
from bridge.cli.folder import is_locked
from bridge.cli.texts import json_text
from bridge.client import NoAnswerError, reached
from bridge.config import Config
from bridge.intake import Intake

DEMO_ID = "864000000000017"
DEMO_NAME = "Demo car"


def run(arguments: argparse.Namespace) -> None:
    """Start the bridge and stay until it is stopped."""
    settings = config.load(arguments.config, os.environ)
    for secret in settings.secrets:
        log.protect(secret.reveal())
    log.setup(arguments.log_level or settings.log.level, settings.log.format)
    asyncio.run(app.serve(settings, _demo(settings) if arguments.demo else None))


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what stands for every address


def _demo(settings: Config) -> Callable[[Intake], Coroutine[None, None, None]]:
    """Return the demo: a car of its own, accepted beforehand, driving around."""
    listen = settings.listen

    async def drive(intake: Intake) -> None:
        if intake.registry.match(DEMO_ID) is None:
            intake.accept(DEMO_ID, name=DEMO_NAME, now=intake.clock())
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
