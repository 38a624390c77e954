"""What was: a vehicle's points and trips as tables, in other programs' formats, and once more.

The journal is read as it lies in the data folder, whether a bridge runs there or not.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge import config, export, log, replay
from bridge import gaps as holes
from bridge import history as past
from bridge.cli.folder import check_exists
from bridge.cli.texts import json_text, table
from bridge.config import Config
from bridge.errors import RequestError, StorageError
from bridge.history import Point, Span, Travels
from bridge.journal import Journal
from bridge.program import called
from bridge.trips import Limits


class _Asked(NamedTuple):
    """A vehicle's past, opened."""

    settings: Config
    journal: Journal
    key: str
    name: str
    span: Span


@contextmanager
def _asked(arguments: argparse.Namespace) -> Iterator[_Asked]:
    """Open what was asked for. Raises RequestError for a vehicle or a time that there is not."""
    settings = config.load(arguments.config, os.environ)
    check_exists(settings)
    now = datetime.now(UTC)
    span = past.span(
        past.local_moment(arguments.since, "--from", now),
        past.local_moment(arguments.until, "--to", now) if arguments.until else now,
    )
    folder = settings.storage.path
    known = past.known_vehicles(folder)
    with past.opened(folder) as journal:
        keys = sorted({*known, *journal.vehicles()})
        if arguments.key not in keys:
            raise RequestError(
                f"there is no vehicle {arguments.key[:40]!r} in {folder}; "
                + (f"known are {', '.join(keys)}" if keys else "none is known")
            )
        vehicle = known.get(arguments.key)
        name = vehicle.name if vehicle is not None else arguments.key
        yield _Asked(settings, journal, arguments.key, name, span)


# --- points ---------------------------------------------------------------------------------------

_COLUMNS = "{:25}  {:>10} {:>11}  {:>5}  {:12}  {}"


def history(arguments: argparse.Namespace) -> None:
    """Print a vehicle's points and what they add up to."""
    with _asked(arguments) as asked:
        found = past.every_point(
            asked.journal, asked.key, asked.span, everything=arguments.everything
        )
        if arguments.json:
            points = msgspec.to_builtins(list(found))
            print(json_text({"points": points, **_builtins(_travels(asked))}))
            return
        count = 0
        for point in found:
            if not count:
                heading = ("TIME", "LATITUDE", "LONGITUDE", "KM/H", "VERDICT", "ALARM")
                print(_COLUMNS.format(*heading))
            count += 1
            print(_row(point))
        travels = _travels(asked)
        print(("\n" if count else "") + _summary(asked, count, travels))


def _row(point: Point) -> str:
    """Return a point as a line; its time is local."""
    place = ("", "")
    if point.latitude is not None and point.longitude is not None:
        place = (f"{point.latitude:.6f}", f"{point.longitude:.6f}")
    speed = "" if point.speed_kmh is None else f"{point.speed_kmh:.0f}"
    # In brackets: it rang no more, or was old news when it came.
    alarm = "" if point.alarm is None else str(point.alarm) if point.rang else f"({point.alarm})"
    cells = (_local(point.time), *place, speed, point.verdict or "", alarm)
    return _COLUMNS.format(*cells).rstrip()


def _summary(asked: _Asked, count: int, travels: Travels) -> str:
    kilometres = sum(trip.distance_m for trip in travels.trips) / 1000
    parts = (
        _counted(count, "point"),
        _counted(len(travels.trips), "trip"),
        f"{kilometres:.1f} km",
        _counted(len(travels.stops), "stop"),
    )
    since, until = map(_local, asked.span)
    return f"{asked.name}, {since} to {until}: {', '.join(parts)}."


def gaps(arguments: argparse.Namespace) -> None:
    """Print the holes in a vehicle's track, and how to have its tracker fill them."""
    with _asked(arguments) as asked:
        found = holes.of_vehicle(asked.journal, asked.key, asked.span)
    days = holes.days(found)
    if arguments.json:
        print(json_text({"gaps": msgspec.to_builtins(found), "days": msgspec.to_builtins(days)}))
        return
    rows = [("FROM", "TO", "KM, STRAIGHT")]
    rows += [(_local(gap.since), _local(gap.until), f"{gap.distance_km:.1f}") for gap in found]
    if not found:
        print(f"{asked.name} was never seen far from where it was before: there is no gap.")
        return
    print("\n".join(table(rows)))
    print("\nIts memory card may know more, where it has one:")
    for day in days:
        print(f"  {called()} send {asked.key} upload_log day={day}")


# --- trips ----------------------------------------------------------------------------------------


def trips(arguments: argparse.Namespace) -> None:
    """Print a vehicle's trips and how long it stood after each."""
    with _asked(arguments) as asked:
        travels = _travels(asked)
    if arguments.json:
        print(json_text(_builtins(travels)))
        return
    stood = {stop.since: stop.duration_s for stop in travels.stops}
    rows = [("START", "END", "TOOK", "KM", "MAX KM/H", "FROM", "TO", "THEN STOOD")]
    for trip in travels.trips:
        most, pause_s = trip.max_speed_kmh, stood.get(trip.ended_at)
        rows.append((
            _local(trip.started_at),
            _local(trip.ended_at),
            _took(trip.duration_s),
            f"{trip.distance_m / 1000:.1f}",
            "" if most is None else f"{most:.0f}",
            f"{trip.start.latitude:.5f},{trip.start.longitude:.5f}",
            f"{trip.end.latitude:.5f},{trip.end.longitude:.5f}",
            "" if pause_s is None else _took(pause_s),
        ))  # fmt: skip
    if travels.trips:
        print("\n".join(table(rows)) + "\n")
    kilometres = sum(trip.distance_m for trip in travels.trips) / 1000
    since, until = map(_local, asked.span)
    count = _counted(len(travels.trips), "trip")
    print(f"{asked.name}, {since} to {until}: {count}, {kilometres:.1f} km.")


def _travels(asked: _Asked) -> Travels:
    return past.every_trip(asked.journal, asked.key, asked.span)


def _builtins(travels: Travels) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(travels.payload())
    return told


# --- export ---------------------------------------------------------------------------------------


def export_track(arguments: argparse.Namespace) -> None:
    """Write a vehicle's track in the format of another program."""
    with _asked(arguments) as asked:
        rules = asked.settings.rules(asked.key).trips
        track = export.Track(
            name=asked.name,
            points=past.every_point(asked.journal, asked.key, asked.span),
            trips=_travels(asked).trips,
            limits=Limits(min_distance_m=rules.min_distance_m, gap=timedelta(seconds=rules.gap_s)),
        )
        pieces = export.FORMATS[arguments.format](track)
        target: Path | None = arguments.output
        if target is None:
            sys.stdout.writelines(pieces)
            return
        try:
            # Where a car has been is nobody else's business.
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
        except OSError as error:
            raise StorageError(f"cannot write {target}: {error.strerror}") from error
        print(f"{target}: {target.stat().st_size / 1000:.1f} kB.")


# --- replay ---------------------------------------------------------------------------------------


def play_again(arguments: argparse.Namespace) -> None:
    """Play a journal or a capture into a fresh data folder, and print what came of it."""
    if arguments.publish != bool(arguments.base_topic):
        raise RequestError("--publish and --base-topic belong together")
    if not 0 <= arguments.speed < math.inf:
        raise RequestError("--speed must be a number from 0 up")
    settings = config.load(arguments.config, os.environ)
    for secret in settings.secrets:
        log.protect(secret.reveal())
    log.setup("warning", settings.log.format)
    outcome = asyncio.run(
        replay.replay(
            arguments.source,
            arguments.into,
            settings,
            base_topic=arguments.base_topic,
            speed=arguments.speed,
        )
    )
    print("\n".join(_told(outcome)))


def _told(outcome: replay.Outcome) -> Iterator[str]:
    acts = f", {_counted(outcome.acts, 'act')}" if outcome.acts else ""
    yield f"{outcome.read} read: {_counted(outcome.reports, 'report')}{acts}."
    if outcome.unreadable:
        yield f"{_counted(outcome.unreadable, 'row')} cannot be read."
    for reason, count in outcome.rejected.most_common():
        yield f"{_counted(count, 'frame')} rejected: {reason}."
    if outcome.decoded_anew:
        yield f"{_counted(outcome.decoded_anew, 'line')} decoded otherwise than in the capture."
    for (then, now), count in outcome.verdicts.most_common():
        yield f"{_counted(count, 'verdict')} changed: {then} -> {now}."
    for key, (before, after) in outcome.trips.items():
        yield (
            f"{key}: {_counted(before.trips, 'trip')}, {before.kilometres} km then;"
            f" {_counted(after.trips, 'trip')}, {after.kilometres} km now."
        )


def _local(moment: datetime) -> str:
    """Return a time as clocks here show it, with its offset to UTC."""
    return moment.astimezone().isoformat(" ", "seconds")


def _took(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
