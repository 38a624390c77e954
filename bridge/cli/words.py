"""The words of the command line, and what is done about each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from bridge import __version__, export, simulator
from bridge.cli import bridge, frames, importing, past, safety, send, smsplan, vehicles, verify
from bridge.config import LogLevel
from bridge.contract import OWNERS
from bridge.importing import FIELDS, KINDS
from bridge.protocols.registry import PROTOCOLS
from bridge.smsplan import ALIASES, FAMILIES
from bridge.verify import BY_NAME

AddCommand = Callable[..., argparse.ArgumentParser]

LEVELS = get_args(LogLevel)


def parser() -> argparse.ArgumentParser:
    """Return the parser; `command` of what it returns does what was asked."""
    parser = argparse.ArgumentParser(
        prog="tk103b-bridge",
        description="GPS trackers of the TK103 family on one port, published over MQTT.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add: AddCommand = commands.add_parser
    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "--config", type=Path, metavar="FILE",
        help="configuration file (default: tk103b-bridge.yaml in this folder, if there is one)",
    )  # fmt: skip
    _add_bridge(add, configured)
    _add_vehicles(add, configured)
    _add_send(add, configured)
    _add_past(add, configured)
    _add_import(add, configured)
    _add_safety(add, configured)
    _add_verify(add, configured)
    _add_sms_plan(add)
    _add_decode(add)
    _add_simulate(add)
    return parser


def _add_bridge(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    run = add("run", parents=[configured], help="start the bridge")
    run.add_argument("--demo", action="store_true", help="with a simulated car driving around")
    run.add_argument("--log-level", choices=LEVELS)
    run.set_defaults(command=bridge.run)

    check = add(
        "check-config", parents=[configured], help="check the configuration and say what is wrong"
    )
    check.set_defaults(command=bridge.check_config)

    health = add("health", parents=[configured], help="ask the running bridge how it is")
    health.add_argument("--json", action="store_true", help="print JSON")
    health.set_defaults(command=bridge.health)

    alive = add(
        "healthcheck", parents=[configured],
        help="say whether the bridge is alive, for whoever starts it anew if it is not",
    )  # fmt: skip
    alive.set_defaults(command=bridge.check_health)


def _add_vehicles(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    listed = add("vehicles", parents=[configured], help="list vehicles and trackers that wait")
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(command=vehicles.vehicles)

    accept = add(
        "accept", parents=[configured], help="accept a tracker: it becomes a vehicle",
        description="Accept a tracker. It need not have reported yet: its id (IMEI) is on its "
        "label.",
    )  # fmt: skip
    which = accept.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", default="", metavar="ID", help="the tracker's id")
    which.add_argument(
        "--csv", type=Path, metavar="FILE", help="many at once: lines of id,name,owner"
    )
    accept.add_argument("--name", default="", help="what the vehicle is called")
    accept.add_argument("--key", default="", help="its word in topics; left out: made of the name")
    accept.add_argument("--owner", default="", help="whose it is")
    accept.set_defaults(command=vehicles.accept)

    block = add("block", parents=[configured], help="refuse a tracker")
    block.add_argument("id", metavar="ID")
    block.set_defaults(command=vehicles.block)

    remove = add("remove", parents=[configured], help="take a vehicle away")
    remove.add_argument("key", metavar="KEY")
    remove.add_argument("--block", action="store_true", help="and refuse its trackers")
    remove.add_argument("--purge", action="store_true", help="and forget its history")
    remove.set_defaults(command=vehicles.remove)

    rename = add("rename", parents=[configured], help="call a vehicle another name")
    rename.add_argument("key", metavar="KEY")
    rename.add_argument("name", metavar="NAME")
    rename.set_defaults(command=vehicles.rename)

    entities = add(
        "entities", parents=[configured], help="say who makes the entities in Home Assistant"
    )
    entities.add_argument("owner", choices=OWNERS)
    entities.set_defaults(command=vehicles.entities)

    capture = add(
        "capture", parents=[configured],
        help="print a tracker's last frames, redacted, to be pasted into a public issue",
    )  # fmt: skip
    capture.add_argument("id", metavar="ID")
    capture.set_defaults(command=vehicles.capture)


def _add_send(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    told = add(
        "send", parents=[configured], help="give a vehicle's tracker a command",
        description="Give a vehicle's tracker a command, such as request_position or "
        "set_interval seconds=30, and print what comes of it. What a tracker obeys: see vehicles.",
    )  # fmt: skip
    told.add_argument("key", metavar="KEY", help="the vehicle's key")
    told.add_argument("word", metavar="COMMAND", help="such as request_position")
    told.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="such as seconds=30")
    told.add_argument(
        "--wait", type=float, default=90.0, metavar="S",
        help="how long to wait for the outcome (default: %(default)g)",
    )  # fmt: skip
    told.add_argument("--json", action="store_true", help="print JSON")
    told.set_defaults(command=send.send)


def _add_past(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    asked = argparse.ArgumentParser(add_help=False)
    asked.add_argument("key", metavar="KEY")
    times = "today, yesterday, 2h or 3d (ago), 2026-05-01, or 2026-05-01T10:00:00+02:00"
    asked.add_argument(
        "--from", dest="since", metavar="TIME", default="today",
        help=f"{times} (default: %(default)s)",
    )  # fmt: skip
    asked.add_argument("--to", dest="until", metavar="TIME", default="", help="(default: now)")

    history = add("history", parents=[configured, asked], help="print where a vehicle has been")
    history.add_argument(
        "--all", dest="everything", action="store_true",
        help="every report, whatever is thought of its position",
    )  # fmt: skip
    history.add_argument("--json", action="store_true", help="print JSON")
    history.set_defaults(command=past.history)

    trips = add("trips", parents=[configured, asked], help="print a vehicle's trips")
    trips.add_argument("--json", action="store_true", help="print JSON")
    trips.set_defaults(command=past.trips, since="30d")

    holes = add("gaps", parents=[configured, asked], help="print the holes in a vehicle's track")
    holes.add_argument("--json", action="store_true", help="print JSON")
    holes.set_defaults(command=past.gaps, since="30d")

    exported = add(
        "export", parents=[configured, asked], help="write a vehicle's track for other programs"
    )
    exported.add_argument("--format", choices=tuple(export.FORMATS), required=True)
    exported.add_argument(
        "--output", type=Path, metavar="FILE", help="where to (default: standard output)"
    )
    exported.set_defaults(command=past.export_track)

    replay = add(
        "replay", parents=[configured], help="play a journal or a capture once more",
        description="Have today's program and configuration decode and judge once more what came "
        "then, into a data folder of its own. FILE is a journal.db, a data folder, or what "
        "'capture' has printed.",
    )  # fmt: skip
    replay.add_argument("source", type=Path, metavar="FILE")
    replay.add_argument("--into", type=Path, metavar="FOLDER", required=True, help="an empty one")
    replay.add_argument("--publish", action="store_true", help="publish it, below --base-topic")
    replay.add_argument("--base-topic", default="", metavar="TOPIC", help="not the bridge's own")
    replay.add_argument(
        "--speed", type=float, default=0.0, metavar="X",
        help="X times as fast as it was (default: as fast as can be)",
    )  # fmt: skip
    replay.set_defaults(command=past.play_again)


def _add_import(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    brought = add(
        "import", parents=[configured], help="put files of points into a vehicle's history",
        description="Put what was driven into the history: frames as trackers sent them, a "
        "capture, GPX, CSV, GeoJSON. The bridge must not run meanwhile.",
    )  # fmt: skip
    option = brought.add_argument
    option("files", nargs="+", type=Path, metavar="FILE")
    option(
        "--vehicle", default="", metavar="KEY",
        help="whose points those are of which the file does not say it",
    )  # fmt: skip
    option("--format", choices=KINDS, help="(default: told by the content)")
    option(
        "--map", action="append", default=[], metavar="FIELD=COLUMN,...",
        help=f"columns of a CSV file, by heading or number; fields are {', '.join(FIELDS)}",
    )  # fmt: skip
    option(
        "--timezone", default="", metavar="ZONE",
        help="of times in a CSV file that name none: Europe/Berlin, UTC, +02:00",
    )  # fmt: skip
    option(
        "--time-format", default="", metavar="FORMAT",
        help="of times in a CSV file, as %%d/%%m/%%Y %%H:%%M:%%S",
    )  # fmt: skip
    option(
        "--rejected", type=Path, metavar="FILE",
        help="where lines are kept that are none (default: beside each file, as FILE.rejected)",
    )  # fmt: skip
    option("--publish", action="store_true", help="have the bridge tell the broker of it, too")
    option("--dry-run", action="store_true", help="only say what would come of it")
    brought.set_defaults(command=importing.bring_in)


def _add_safety(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    backup = add(
        "backup", parents=[configured], help="save vehicles, history and configuration in one file",
        description="Save vehicles, history and configuration in one file, while the bridge runs.",
    )  # fmt: skip
    backup.add_argument(
        "file", nargs="?", type=Path, metavar="FILE.zip",
        help="where to (default: a name with date and time, in this folder)",
    )  # fmt: skip
    backup.add_argument("--with-secrets", action="store_true", help="passwords too")
    backup.set_defaults(command=safety.back_up)

    restore = add(
        "restore", parents=[configured], help="put a backup into the data folder",
        description="Put a backup into the data folder, here or on another machine. The bridge has "
        "the same identity there; it must not run meanwhile.",
    )  # fmt: skip
    restore.add_argument("file", type=Path, metavar="FILE.zip")
    restore.add_argument(
        "--force", action="store_true", help="where vehicles are known: move those aside"
    )
    restore.set_defaults(command=safety.restore)

    doctor = add("doctor", parents=[configured], help="look for what ails, and say what to do")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(command=safety.examine)


def _add_verify(add: AddCommand, configured: argparse.ArgumentParser) -> None:
    checked = add(
        "verify", parents=[configured], help="check a real tracker, step by step, at the car",
        description="Check a real tracker: turn the key, open the door, press SOS, drive a little, "
        "and see what of it arrives. Ends with what this unit never says.",
    )  # fmt: skip
    checked.add_argument("key", metavar="KEY", help="the vehicle's word in topics")
    checked.add_argument(
        "--timeout", type=verify.seconds, metavar="S",
        help="seconds a step may take (default: until Enter; 120 where nobody can press it)",
    )  # fmt: skip
    checked.add_argument(
        "--only", type=verify.step_names, default=(), metavar="STEP,...",
        help=f"of {', '.join(BY_NAME)}; each that is named is necessary then",
    )  # fmt: skip
    checked.add_argument("--show-position", action="store_true", help="print where it is")
    checked.add_argument("--json", action="store_true", help="print the summary as JSON")
    checked.set_defaults(command=verify.verify)


def _add_sms_plan(add: AddCommand) -> None:
    planned = add(
        "sms-plan", help="list the texts that set a tracker up by SMS",
        description="List the texts that set a tracker up by SMS, in order, and those that take it "
        "out of service. Nothing is sent: you send them, from any phone.",
    )  # fmt: skip
    option = planned.add_argument
    option(
        "--family", required=True, metavar="FAMILY",
        help=f"{', '.join(FAMILIES)}; also {', '.join(ALIASES)}",
    )  # fmt: skip
    option("--host", required=True, help="public IPv4 address or host name of this bridge")
    option("--port", default="8888", help="(default: %(default)s)")
    option("--transport", choices=("tcp", "udp"), default="tcp", help="(default: %(default)s)")
    option(
        "--interval", dest="interval_s", default="30", metavar="S",
        help="seconds between positions (default: %(default)s)",
    )  # fmt: skip
    option("--apn", default="", help="the way into the internet, of the SIM card's provider")
    option("--apn-user", default="", metavar="NAME", help="if the provider wants one")
    option("--apn-password", default="", metavar="WORD")
    option(
        "--password", default="", metavar="DIGITS",
        help="the tracker's password now (default: that of the factory)",
    )  # fmt: skip
    option("--new-password", default="", metavar="DIGITS", help="the one it shall have")
    option("--admin", default="", metavar="PHONE", help="the only number it shall obey")
    option("--json", action="store_true", help="print JSON")
    planned.set_defaults(command=smsplan.sms_plan)


def _add_decode(add: AddCommand) -> None:
    decode = add(
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
    decode.set_defaults(command=frames.decode)


def _add_simulate(add: AddCommand) -> None:
    simulate = add(
        "simulate", help="be a tracker",
        description="Behave like a real tracker on a drive; stops after --count reports.",
    )  # fmt: skip
    option = simulate.add_argument
    option("--protocol", choices=[known.name for known in PROTOCOLS], default="gps103")
    option("--transport", choices=("tcp", "udp"), default="tcp")
    option("--host", default="127.0.0.1")
    option("--port", type=int, default=8888)
    option("--id", default="", help="the tracker's id (default: a made-up one)")
    option("--count", type=int, default=0, help="reports to send (default: until stopped)")
    option("--interval", type=float, default=30.0, metavar="S", help="seconds between reports")
    option("--heartbeat", type=float, default=60.0, metavar="S", help="seconds between heartbeats")
    option(
        "--repeat", type=float, default=180.0, metavar="S", help="seconds until an alarm repeats"
    )
    option("--route", default=simulator.BUILT_IN, help="a GPX file, or built-in")
    option("--start", type=float, default=0.0, metavar="S", help="seconds into the route")
    option(
        "--alarm", action="append", default=[], metavar="KIND@N", help="alarm with the Nth report"
    )
    option("--tunnel", default="", metavar="N-M", help="reports without a fix")
    option("--late", type=int, default=0, metavar="N", help="upload N old reports first")
    option("--keep", action="store_true", help="keep what could not be sent and send it later")
    option("--card", action="store_true", help="write it to a memory card, for upload on command")
    option(
        "--commands", choices=tuple(simulator.Obedience), type=simulator.Obedience,
        default=simulator.Obedience.OBEY, help="what it makes of commands",
    )  # fmt: skip
    option(
        "--dialect", choices=tuple(simulator.Dialect), type=simulator.Dialect,
        default=simulator.Dialect.BOTH, help="gps103: the commands it knows",
    )  # fmt: skip
    option("--utc-offset", default="+08:00", help="of the tracker's own clock")
    option("--no-wait", action="store_true", help="do not wait for replies")
    option("--fragment", type=int, default=0, metavar="BYTES", help="write in small pieces")
    option("--jitter", type=float, default=0.0, metavar="S")
    option("--seed", type=int, help="repeat the same randomness")
    option(
        "--binary-every", type=int, default=0, metavar="N", help="h02: each Nth record in binary"
    )
    option("--attempts", type=int, default=5, help="failed connections until it gives up; 0: never")
    option("--speed-up", type=float, default=1.0, metavar="X", help="run the tracker's time faster")
    option("--verbose", action="store_true", help="print every frame and reply")
    option("--log-level", choices=LEVELS)
    simulate.set_defaults(command=frames.simulate)
