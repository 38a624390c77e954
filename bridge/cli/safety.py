"""Before and after a mishap: save everything, put it back, look for what ails."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from bridge import backup, config, doctor
from bridge.cli.folder import check_exists
from bridge.cli.texts import json_text
from bridge.program import called


def back_up(arguments: argparse.Namespace) -> None:
    """Write a backup, be the bridge running or not."""
    settings = config.load(arguments.config, os.environ)
    check_exists(settings)
    now = datetime.now(UTC)
    target = arguments.file or Path(backup.default_name(now))
    manifest = backup.back_up(
        settings,
        _config_file(arguments),
        os.environ,
        target,
        with_secrets=arguments.with_secrets,
        now=now,
    )
    print(f"{target}: {_content(manifest)}, {target.stat().st_size / 1e6:.1f} MB.")
    if manifest.with_secrets:
        print("It holds passwords: keep it where you keep those.")
    _print_left_out(manifest)


def restore(arguments: argparse.Namespace) -> None:
    """Put a backup into the data folder."""
    settings = config.load(arguments.config, os.environ)
    restored = backup.restore(
        arguments.file,
        settings,
        _config_file(arguments),
        force=arguments.force,
        now=datetime.now(UTC),
    )
    manifest = restored.manifest
    print(f"Restored into {restored.folder}: {_content(manifest)}, as of {_day(manifest)}.")
    if restored.aside:
        print(f"What was there before lies in {restored.aside}.")
    for path in restored.written:
        print(f"Its configuration: {path}")
    if restored.written and not manifest.with_secrets:
        print(f"Passwords are not in it: '{called()} check-config' says what is missing.")
    _print_left_out(manifest)
    print("Do not run the bridge that was saved any more: this one has its identity.")


def examine(arguments: argparse.Namespace) -> int:
    """Look for what ails, and print it as a table; 1 where something is bad."""
    settings = config.load(arguments.config, os.environ)
    findings = asyncio.run(doctor.examine(settings))
    if arguments.json:
        print(json_text([finding.described for finding in findings]))
    else:
        print("\n".join(doctor.told(findings, ansi=sys.stdout.isatty())))
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def _config_file(arguments: argparse.Namespace) -> Path | None:
    """Return the file that `config.load` has read."""
    given: Path | None = arguments.config
    return given or config.default_file()


def _content(manifest: backup.Manifest) -> str:
    count = manifest.vehicles
    return f"{count} vehicle{'' if count == 1 else 's'}, journal up to row {manifest.last_seq}"


def _day(manifest: backup.Manifest) -> str:
    return f"{manifest.created_at:%Y-%m-%d %H:%M} UTC"


def _print_left_out(manifest: backup.Manifest) -> None:
    if manifest.left_out:
        print("Not in it, though the bridge was configured with them:")
        for one in manifest.left_out:
            print(f"  {one}")
