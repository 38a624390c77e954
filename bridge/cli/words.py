"""The words of the command line, and what is done about each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from bridge import __version__, simulator
from bridge.cli import bridge, frames, vehicles
from bridge.config import LogLevel
from bridge.contract import OWNERS
from bridge.protocols.registry import PROTOCOLS

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
    option(
        "--alarm", action="append", default=[], metavar="KIND@N", help="alarm with the Nth report"
    )
    option("--tunnel", default="", metavar="N-M", help="reports without a fix")
    option("--late", type=int, default=0, metavar="N", help="upload N old reports first")
    option("--keep", action="store_true", help="keep what could not be sent and send it later")
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
