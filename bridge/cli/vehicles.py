"""Trackers and vehicles: done by the running bridge, or where none answers on its data folder."""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bridge import config, redact
from bridge.cli.folder import check_exists, folder_without_bridge, open_registry
from bridge.cli.texts import json_text, table
from bridge.client import NoAnswerError, reached
from bridge.config import Config
from bridge.contract import Topics
from bridge.errors import RequestError
from bridge.intake import full_id
from bridge.journal import Journal
from bridge.program import called
from bridge.record import moment_of
from bridge.registry import Registry

Body = dict[str, Any]
Outcome = Body | RequestError


class Entry(NamedTuple):
    """A tracker to be accepted, and where that was written."""

    where: str
    body: Body


def vehicles(arguments: argparse.Namespace) -> None:
    """List vehicles and trackers that wait."""
    settings = config.load(arguments.config, os.environ)
    topic = Topics(settings.mqtt.base_topic).bridge_devices

    async def look() -> Body:
        async with reached(settings) as bridge:
            return await bridge.retained(topic)

    try:
        devices = asyncio.run(look())
    except NoAnswerError as silence:
        check_exists(settings)
        with folder_without_bridge(settings, silence) as folder:
            known = open_registry(folder, settings).accepted()
        rows = [{"key": one.key, "name": one.name, "trackers": one.trackers} for one in known]
        devices = {"vehicles": rows, "guests": []}
    if arguments.json:
        print(json_text(devices))
    elif not devices["vehicles"] and not devices["guests"]:
        print(f"No vehicles yet. Accept one with: {called()} accept ID --name NAME")
    else:
        print("\n".join(table(_rows_of(devices))))
        for one in devices["vehicles"]:
            if one.get("commands"):
                print(f"\n{one['key']} obeys: {', '.join(one['commands'])}")


def _rows_of(devices: Body) -> list[Sequence[str]]:
    heading = ("KEY", "NAME", "TRACKER", "PROTOCOL", "LAST SEEN")
    cars = [
        (one["key"], one["name"], ", ".join(one.get("trackers", ())), *_seen(one))
        for one in devices["vehicles"]
    ]
    guests = [("-", "(waiting)", one["id"], *_seen(one)) for one in devices["guests"]]
    return [heading, *cars, *guests]


def _seen(row: Body) -> tuple[str, str]:
    return row.get("protocol", ""), row.get("last_seen", "")


def accept(arguments: argparse.Namespace) -> int:
    """Accept one tracker, or those of a file; of these, say which could not be."""
    settings = config.load(arguments.config, os.environ)
    if arguments.csv:
        entries = _read_csv(arguments.csv)
    else:
        named = {name: getattr(arguments, name) for name in ("id", "name", "key", "owner")}
        entries = [Entry("", named)]

    def offline(registry: Registry, body: Body) -> Body:
        vehicle = registry.accept(body["id"], body["name"], body["key"], body["owner"])
        return {"key": vehicle.key, "name": vehicle.name}

    outcomes = _carry_out(settings, "device/accept", [entry.body for entry in entries], offline)
    failed = 0
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, RequestError):
            if not entry.where:
                raise outcome
            failed += 1
            print(f"{entry.where}: {entry.body['id'] or 'no id'}: {outcome}", file=sys.stderr)
        else:
            done = f"Accepted {entry.body['id']} as {outcome['name']} (key {outcome['key']})."
            print(done)
            if outcome.get("waited") is False and not entry.where:
                print(
                    f"No tracker {entry.body['id']} has reported yet. Is that its id? "
                    "An IMEI has 15 digits.",
                    file=sys.stderr,
                )
    return 1 if failed else 0


def _read_csv(path: Path) -> list[Entry]:
    """Read ``id,name,owner`` lines; a first one that says so is a heading."""
    entries: list[Entry] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                where = f"{path}:{reader.line_num}"
                cells = [cell.strip() for cell in row]
                if not any(cells) or (not entries and cells[0].lower() == "id"):
                    continue
                if len(cells) > 3:
                    raise RequestError(f"{where}: more than id, name and owner")
                device_id, name, owner = (*cells, "", "")[:3]
                body = {"id": device_id, "name": name, "key": "", "owner": owner}
                entries.append(Entry(where, body))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"cannot read {path}: {error}") from error
    if not entries:
        raise RequestError(f"{path} names no tracker")
    return entries


def block(arguments: argparse.Namespace) -> None:
    """Refuse a tracker."""

    def offline(registry: Registry, body: Body) -> Body:
        registry.block(body["id"])
        return {}

    settings = config.load(arguments.config, os.environ)
    _carry_out_one(settings, "device/block", {"id": arguments.id}, offline)
    print(f"Blocked {arguments.id}.")


def remove(arguments: argparse.Namespace) -> None:
    """Take a vehicle away."""
    wanted = {"key": arguments.key, "block": arguments.block, "purge": arguments.purge}

    def offline(registry: Registry, body: Body) -> Body:
        if body["purge"]:
            raise RequestError("history can only be purged while the bridge runs")
        registry.remove(body["key"], block=body["block"])
        return {}

    settings = config.load(arguments.config, os.environ)
    _carry_out_one(settings, "device/remove", wanted, offline)
    print(f"Removed {arguments.key}.")


def rename(arguments: argparse.Namespace) -> None:
    """Give a vehicle another name; its key stays."""

    def offline(registry: Registry, body: Body) -> Body:
        registry.rename(body["key"], body["name"])
        return {}

    settings = config.load(arguments.config, os.environ)
    wanted = {"key": arguments.key, "name": arguments.name}
    _carry_out_one(settings, "device/rename", wanted, offline)
    print(f"{arguments.key} is now called {arguments.name}.")


def entities(arguments: argparse.Namespace) -> None:
    """Say who makes the entities in Home Assistant."""
    settings = config.load(arguments.config, os.environ)

    def offline(registry: Registry, body: Body) -> Body:
        if settings.home_assistant.entities == "off" and body["owner"] != "off":
            raise RequestError("home_assistant.entities is off in the configuration, which wins")
        registry.set_owner(body["owner"])
        return {}

    _carry_out_one(settings, "entities", {"owner": arguments.owner}, offline)
    print(f"Entities are now made by: {arguments.owner}.")


def capture(arguments: argparse.Namespace) -> int:
    """Print a tracker's last frames, redacted."""
    settings = config.load(arguments.config, os.environ)

    async def ask() -> list[str]:
        async with reached(settings) as bridge:
            lines: list[str] = (await bridge.ask("capture", {"id": arguments.id}))["lines"]
            return lines

    try:
        lines = asyncio.run(ask())
    except NoAnswerError as silence:
        check_exists(settings)
        with folder_without_bridge(settings, silence) as folder:
            vehicle = open_registry(folder, settings).match(arguments.id)
            journal = Journal.open(folder, moment_of=moment_of)
            frames = journal.frames_of(full_id(vehicle, arguments.id) if vehicle else arguments.id)
            lines = list(redact.capture_lines(frames))
            journal.close()
    if not lines:
        print(f"Nothing is kept of tracker {arguments.id}.", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _carry_out_one(
    settings: Config, verb: str, body: Body, offline: Callable[[Registry, Body], Body]
) -> Body:
    """Do as `_carry_out` with one request; raises RequestError where it is refused."""
    (outcome,) = _carry_out(settings, verb, [body], offline)
    if isinstance(outcome, RequestError):
        raise outcome
    return outcome


def _carry_out(
    settings: Config,
    verb: str,
    bodies: Sequence[Body],
    offline: Callable[[Registry, Body], Body],
) -> list[Outcome]:
    """Have the running bridge do it; where none answers, do the rest on its data folder."""
    outcomes: list[Outcome] = []

    async def ask() -> None:
        async with reached(settings) as bridge:
            for body in bodies:
                try:
                    outcomes.append(await bridge.ask(verb, body))
                except RequestError as refusal:
                    outcomes.append(refusal)

    try:
        asyncio.run(ask())
    except NoAnswerError as silence:
        with folder_without_bridge(settings, silence) as folder:
            registry = open_registry(folder, settings)
            for body in bodies[len(outcomes) :]:
                try:
                    outcomes.append(offline(registry, body))
                except RequestError as refusal:
                    outcomes.append(refusal)
    return outcomes
