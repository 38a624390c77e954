"""Frames: explain what a tracker sent, or be a tracker."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from bridge import explain, log, simulator
from bridge.errors import RequestError


def decode(arguments: argparse.Namespace) -> int:
    """Explain frames, or answer cases."""
    if arguments.cases:
        _cases(arguments.frame)
        return 0
    parts = explain.read_frames(
        arguments.frame, as_hex=arguments.hex, lines=arguments.lines, stdin=sys.stdin.buffer
    )
    # As a datagram a pasted frame may lack its closing byte.
    likely: explain.Transport = "tcp" if len(parts) > 1 else "udp"
    transport: explain.Transport = arguments.transport or likely
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
    return 0 if explained and all(each.understood for each in explained) else 1


def _cases(path: str | None) -> None:
    if path is None:
        explain.run_cases(sys.stdin.buffer, sys.stdout)
        return
    try:
        with Path(path).open("rb") as source:
            explain.run_cases(source, sys.stdout)
    except BrokenPipeError:  # whoever reads the answers has gone
        raise
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error


def simulate(arguments: argparse.Namespace) -> None:
    """Be a tracker until its reports are sent."""
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
        start_s=arguments.start,
        alarms=tuple(simulator.alarm_at(text) for text in arguments.alarm),
        tunnel=simulator.span(arguments.tunnel) if arguments.tunnel else None,
        late=arguments.late,
        keep=arguments.keep,
        card=arguments.card,
        commands=arguments.commands,
        dialect=arguments.dialect,
        utc_offset_minutes=simulator.utc_offset(arguments.utc_offset),
        wait=not arguments.no_wait,
        fragment=arguments.fragment,
        jitter_s=arguments.jitter,
        seed=arguments.seed,
        speed_up=arguments.speed_up,
        binary_every=arguments.binary_every,
        attempts=arguments.attempts,
    )
    tell = _print_event if arguments.verbose else _print_nothing

    async def drive() -> simulator.Summary:
        tracker = simulator.Simulator(options, on_event=tell)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, tracker.stop)
        return await tracker.run()

    print(asyncio.run(drive()))


def _print_nothing(_: simulator.Event) -> None: ...


def _print_event(event: simulator.Event) -> None:
    what = event.data.decode("latin-1") if event.data.isascii() else event.data.hex()
    print(f"{event.kind:12} {what or event.reason}", flush=True)
