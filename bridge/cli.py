"""The command line: what can be typed, and what is printed.

Exit codes: 0 done, 1 refused or not found, 2 a mistake in the configuration or the command, 3 another
bridge serves the base topic, 4 the data folder cannot be used, 5 the broker refuses us.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge import __version__, app, client, config, explain, log, redact, simulator
from bridge.config import Config
from bridge.contract import Topics
from bridge.datafolder import lock_folder
from bridge.errors import BridgeError, RequestError, StorageError
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.protocols.registry import PROTOCOLS
from bridge.registry import Registry

DEMO_ID = "864000000000017"
DEMO_NAME = "Demo car"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int | None = arguments.command(arguments)
    except BridgeError as error:
        for line in (f"tk103b-bridge: {error}", *getattr(error, "__notes__", ())):
            print(line, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code or 0


# --- the bridge ---------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> None:
    settings = _load(arguments)
    for secret in settings.secrets:
        log.protect(secret.reveal())
    log.setup(arguments.log_level or settings.log.level, settings.log.format)
    asyncio.run(app.serve(settings, _demo(settings) if arguments.demo else None))


def _demo(settings: Config) -> Callable[[Intake], Any]:
    """Return the demo: a car of its own, accepted beforehand, driving around."""

    async def drive(intake: Intake) -> None:
        if intake.registry.match(DEMO_ID) is None:
            intake.accept(DEMO_ID, name=DEMO_NAME, now=intake.clock())
        await simulator.run(
            simulator.Options(
                device_id=DEMO_ID,
                port=settings.listen.port,
                transport="tcp" if settings.listen.tcp else "udp",
                interval_s=5.0,
                attempts=0,
            )
        )

    return drive


def _check_config(arguments: argparse.Namespace) -> None:
    settings = _load(arguments)
    count = len(settings.vehicles)
    print(f"The configuration is good: {count} vehicle{'' if count == 1 else 's'}.")


def _health(arguments: argparse.Namespace) -> int:
    """Ask the running bridge how it is; where the broker is away, look whether one runs at all."""
    settings = _load(arguments)
    try:
        health = asyncio.run(client.ask(settings, "health_check", {}))
    except client.NoAnswerError:
        if _is_locked(settings):
            print("the bridge runs; the broker does not answer")
            return 0
        print("no bridge runs here", file=sys.stderr)
        return 1
    if arguments.json:
        print(_json(health))
    else:
        for name, value in health.items():
            print(f"{name:20} {value}")
    return 1 if health.get("journal_fault") else 0


# --- trackers and vehicles ----------------------------------------------------------------------


def _vehicles(arguments: argparse.Namespace) -> None:
    settings = _load(arguments)
    topics = Topics(settings.mqtt.base_topic)
    try:
        devices = asyncio.run(client.retained(settings, topics.bridge_devices))
    except client.NoAnswerError:
        registry = Registry.open(_existing(settings), settings.mqtt.base_topic)
        registry.merge_yaml(settings.vehicles, settings.access.block)
        rows = [
            {"key": known.key, "name": known.name, "trackers": list(known.trackers)}
            for known in registry.accepted()
        ]
        devices = {"vehicles": rows, "guests": []}
    if arguments.json:
        print(_json(devices))
        return
    table = [("KEY", "NAME", "TRACKER", "PROTOCOL", "LAST SEEN")]
    for row in devices["vehicles"]:
        trackers = ", ".join(row.get("trackers", ()))
        table.append(
            (row["key"], row["name"], trackers, row.get("protocol", ""), row.get("last_seen", ""))
        )
    for row in devices["guests"]:
        table.append(("-", "(waiting)", row["id"], row.get("protocol", ""), row["last_seen"]))
    if len(table) == 1:
        print("No vehicles yet. Accept one with: tk103b-bridge accept ID --name NAME")
        return
    widths = [max(len(str(line[column])) for line in table) for column in range(5)]
    for line in table:
        cells = (str(cell).ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _accept(arguments: argparse.Namespace) -> int:
    settings = _load(arguments)
    if arguments.csv is None and not arguments.id:
        raise RequestError("name the tracker's id, or a file with --csv")
    wanted = (
        _rows(arguments.csv)
        if arguments.csv
        else [
            {
                "id": arguments.id,
                "name": arguments.name,
                "key": arguments.key,
                "owner": arguments.owner,
            }
        ]
    )
    failed = 0
    for body in wanted:
        try:
            done = _ask_or_do(settings, "device/accept", body, _accept_offline)
        except RequestError as error:
            if arguments.csv is None:
                raise
            failed += 1
            print(f"{body['id']}: {error}", file=sys.stderr)
        else:
            print(f"Accepted {body['id']} as {done['name']} (key {done['key']}).")
    return 1 if failed else 0


def _accept_offline(registry: Registry, body: dict[str, Any]) -> dict[str, Any]:
    vehicle = registry.accept(body["id"], body["name"], body["key"], body["owner"])
    return {"key": vehicle.key, "name": vehicle.name}


def _rows(path: Path) -> list[dict[str, str]]:
    """Read ``id,name,owner`` lines; a first line that says so is a heading."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"cannot read {path}: {error}") from error
    if lines and lines[0][0].strip().lower() == "id":
        del lines[0]
    wanted = []
    for number, row in enumerate(lines, start=1):
        if len(row) > 3:
            raise RequestError(f"{path}: entry {number} has more than id, name and owner")
        device_id, name, owner = (*(cell.strip() for cell in row), "", "")[:3]
        wanted.append({"id": device_id, "name": name, "key": "", "owner": owner})
    return wanted


def _block(arguments: argparse.Namespace) -> None:
    def offline(registry: Registry, body: dict[str, Any]) -> dict[str, Any]:
        registry.block(body["id"])
        return {}

    _ask_or_do(_load(arguments), "device/block", {"id": arguments.id}, offline)
    print(f"Blocked {arguments.id}.")


def _entities(arguments: argparse.Namespace) -> None:
    def offline(registry: Registry, body: dict[str, Any]) -> dict[str, Any]:
        registry.set_owner(body["owner"])
        return {}

    _ask_or_do(_load(arguments), "entities", {"owner": arguments.owner}, offline)
    print(f"Entities are now made by: {arguments.owner}.")


def _capture(arguments: argparse.Namespace) -> int:
    settings = _load(arguments)
    try:
        lines = asyncio.run(client.ask(settings, "capture", {"id": arguments.id}))["lines"]
    except client.NoAnswerError:
        with lock_folder(_existing(settings)) as folder:
            journal = Journal.open(folder.path)
            lines = list(redact.capture_lines(journal.frames_of(arguments.id)))
            journal.close()
    if not lines:
        print(f"Nothing is kept of tracker {arguments.id}.", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _ask_or_do(
    settings: Config,
    verb: str,
    body: dict[str, Any],
    do: Callable[[Registry, dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Have the running bridge do it; where none answers, do it on the data folder under its lock."""
    try:
        done: dict[str, Any] = asyncio.run(client.ask(settings, verb, body))
    except client.NoAnswerError:
        try:
            with lock_folder(settings.storage.path) as folder:
                registry = Registry.open(folder.path, settings.mqtt.base_topic)
                registry.merge_yaml(settings.vehicles, settings.access.block)
                return do(registry, body)
        except StorageError as error:
            raise StorageError(
                f"{error}. A bridge runs, but does not answer over MQTT: is this its "
                "configuration file (--config)?"
            ) from error
    return done


def _existing(settings: Config) -> Path:
    path = settings.storage.path
    if not path.is_dir():
        raise StorageError(
            f"there is no data folder {path}: start the bridge first, or name its configuration "
            "file with --config"
        )
    return path


def _is_locked(settings: Config) -> bool:
    if not settings.storage.path.is_dir():
        return False
    try:
        lock_folder(settings.storage.path).close()
    except StorageError:
        return True
    return False


# --- frames -------------------------------------------------------------------------------------


def _decode(arguments: argparse.Namespace) -> int:
    if arguments.cases:
        source = Path(arguments.frame).open("rb") if arguments.frame else sys.stdin.buffer
        with source:
            explain.run_cases(source, sys.stdout)
        return 0
    parts = explain.read_frames(
        arguments.frame, as_hex=arguments.hex, lines=arguments.lines, stdin=sys.stdin.buffer
    )
    # As a datagram a pasted frame may lack its closing byte.
    transport = arguments.transport or ("tcp" if len(parts) > 1 else "udp")
    now = datetime.now(UTC)
    explained = [
        each
        for part in parts
        for each in explain.explain(part, transport=transport, received_at=now)
    ]
    if arguments.json:
        print(explain.render_json(explained))
    else:
        print(explain.render_table(explained, ansi=sys.stdout.isatty()))
    return 0 if explained and not any(each.hint for each in explained) else 1


def _simulate(arguments: argparse.Namespace) -> int:
    log.setup(arguments.log_level or "warning", "auto")
    options = simulator.Options(
        protocol=arguments.protocol,
        transport=arguments.transport,
        host=arguments.host,
        port=arguments.port,
        device_id=arguments.id,
        count=arguments.count,
        interval_s=arguments.interval,
        heartbeat_s=arguments.heartbeat,
        repeat_s=arguments.repeat,
        route=arguments.route,
        alarms=tuple(simulator.alarm_at(text) for text in arguments.alarm),
        tunnel=simulator.span(arguments.tunnel) if arguments.tunnel else None,
        late=arguments.late,
        keep=arguments.keep,
        utc_offset_minutes=simulator.utc_offset(arguments.utc_offset),
        wait=not arguments.no_wait,
        fragment=arguments.fragment,
        jitter_s=arguments.jitter,
        seed=arguments.seed,
        speed_up=arguments.speed_up,
    )
    if arguments.verbose:
        summary = asyncio.run(simulator.run(options, on_event=_print_event))
    else:
        summary = asyncio.run(simulator.run(options))
    print(summary)
    return 0


def _print_event(event: simulator.Event) -> None:
    what = event.data.decode("latin-1") if event.data.isascii() else event.data.hex()
    print(f"{event.kind:12} {what or event.reason}", flush=True)


# --- words --------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tk103b-bridge",
        description="GPS trackers of the TK103 family on one port, published over MQTT.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "--config", type=Path, metavar="FILE",
        help="configuration file (default: tk103b-bridge.yaml in this folder, if there is one)",
    )  # fmt: skip

    run = commands.add_parser("run", parents=[configured], help="start the bridge")
    run.add_argument("--demo", action="store_true", help="with a simulated car driving around")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check-config", parents=[configured], help="check the configuration and say what is wrong"
    )
    check.set_defaults(command=_check_config)

    health = commands.add_parser(
        "health", parents=[configured], help="ask the running bridge how it is"
    )
    health.add_argument("--json", action="store_true")
    health.set_defaults(command=_health)

    vehicles = commands.add_parser(
        "vehicles", parents=[configured], help="list vehicles and trackers that wait"
    )
    vehicles.add_argument("--json", action="store_true")
    vehicles.set_defaults(command=_vehicles)

    accept = commands.add_parser(
        "accept", parents=[configured], help="accept a tracker: it becomes a vehicle",
        description="Accept a tracker. It need not have reported yet: its id (IMEI) is on its "
        "label.",
    )  # fmt: skip
    accept.add_argument("id", nargs="?", default="", metavar="ID", help="the tracker's id")
    accept.add_argument("--name", default="", help="what the vehicle is called")
    accept.add_argument("--key", default="", help="its word in topics; made from the name if left out")
    accept.add_argument("--owner", default="", help="whose it is")
    accept.add_argument(
        "--csv", type=Path, metavar="FILE", help="many at once: lines of id,name,owner"
    )
    accept.set_defaults(command=_accept)

    block = commands.add_parser("block", parents=[configured], help="refuse a tracker")
    block.add_argument("id", metavar="ID")
    block.set_defaults(command=_block)

    entities = commands.add_parser(
        "entities", parents=[configured], help="say who makes the entities in Home Assistant"
    )
    entities.add_argument("owner", choices=("discovery", "component", "off"))
    entities.set_defaults(command=_entities)

    capture = commands.add_parser(
        "capture", parents=[configured],
        help="print a tracker's last frames, redacted, to be pasted into a public issue",
    )  # fmt: skip
    capture.add_argument("id", metavar="ID")
    capture.set_defaults(command=_capture)

    _add_decode(commands)
    _add_simulate(commands)
    return parser


def _add_decode(commands: Any) -> None:
    decode = commands.add_parser(
        "decode", help="explain a frame",
        description="Explain what a tracker sent. Without FRAME it is read from standard input.",
    )  # fmt: skip
    decode.add_argument("frame", nargs="?", metavar="FRAME", help="a frame, or a file with frames")
    decode.add_argument("--hex", action="store_true", help="the frame is hexadecimal")
    decode.add_argument("--lines", action="store_true", help="each line is a connection of its own")
    decode.add_argument("--transport", choices=("tcp", "udp"), help="how it came")
    decode.add_argument("--json", action="store_true", help="print JSON")
    decode.add_argument(
        "--cases", action="store_true", help="read cases as JSON lines, answer with JSON lines"
    )
    decode.set_defaults(command=_decode)


def _add_simulate(commands: Any) -> None:
    simulate = commands.add_parser(
        "simulate", help="be a tracker",
        description="Behave like a real tracker on a drive; stops after --count reports.",
    )  # fmt: skip
    add = simulate.add_argument
    add("--protocol", choices=[known.name for known in PROTOCOLS], default="gps103")
    add("--transport", choices=("tcp", "udp"), default="tcp")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8888)
    add("--id", default="", help="the tracker's id (default: a made-up one)")
    add("--count", type=int, default=0, help="reports to send (default: until stopped)")
    add("--interval", type=float, default=30.0, metavar="S", help="seconds between reports")
    add("--heartbeat", type=float, default=60.0, metavar="S", help="seconds between heartbeats")
    add("--repeat", type=float, default=180.0, metavar="S", help="seconds until an alarm repeats")
    add("--route", default=simulator.BUILT_IN, help="a GPX file, or built-in")
    add("--alarm", action="append", default=[], metavar="KIND@N", help="alarm with the Nth report")
    add("--tunnel", default="", metavar="N-M", help="reports without a fix")
    add("--late", type=int, default=0, metavar="N", help="upload N old reports first")
    add("--keep", action="store_true", help="keep what could not be sent and send it later")
    add("--utc-offset", default="+08:00", help="of the tracker's own clock")
    add("--no-wait", action="store_true", help="do not wait for replies")
    add("--fragment", type=int, default=0, metavar="BYTES", help="write in small pieces")
    add("--jitter", type=float, default=0.0, metavar="S")
    add("--seed", type=int, help="repeat the same randomness")
    add("--speed-up", type=float, default=1.0, metavar="X", help="run the tracker's time faster")
    add("--verbose", action="store_true", help="print every frame and reply")
    add("--log-level", choices=("debug", "info", "warning", "error"))
    simulate.set_defaults(command=_simulate)


def _load(arguments: argparse.Namespace) -> Config:
    return config.load(arguments.config, os.environ)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


