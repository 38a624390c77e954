"""Faults of the disk under the data folder, and of the files on it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.registry import Registry
from tests.e2e.conftest import BASE
from tests.e2e.faults.stage import BOX, CARS, Stage

_SIZE_MB = 24


class SmallDisk:
    """A file system of its own, so small that it can be full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (65_536, 1):
                try:
                    while True:
                        ballast.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        """Give it all back."""
        self._ballast.unlink()

    def let_write(self, *, allowed: bool) -> None:
        """Let it be written, or be read only as a disk after an error."""
        _mount("-o", "remount,rw" if allowed else "remount,ro", str(self._path))


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Put a disk of its own at a folder; where none may be mounted, as in many containers, skip."""
    path.mkdir(mode=0o700, exist_ok=True)
    refused = _mount("-t", "tmpfs", "-o", f"size={_SIZE_MB}m,mode=0700", "tmpfs", str(path))
    if refused:
        pytest.skip(f"NO DISK COULD BE MOUNTED ({refused}), so nothing was proven here. Be root")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*arguments: str) -> str:
    """Mount, and return why that was refused."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        return str(missing)
    return done.stderr.strip() if done.returncode else ""


async def full(stage: Stage) -> None:
    """Nothing more fits for a while (rule D)."""
    rounds = 5 if stage.long else 1
    waiting = 400 if stage.long else 40
    with small_disk(stage.data) as disk:
        await stage.start()
        box = await stage.box()
        await box.report(20)
        for round_ in range(rounds):
            await stage.settled()
            noticed = stage.log.count("can be written again")
            disk.fill()
            first = box.frame()
            await box.say(first)
            await stage.logs("the journal cannot be written", round_ + 1)
            await box.say(*(box.frame() for _ in range(waiting)), box.frame("help me"))
            await box.pulse()  # answered, and nothing said before it is confirmed
            unplaced = waiting + 2
            await stage.ear.until(lambda told=(round_ + 1) * unplaced: stage.unjournalled() == told)
            # The first rings at once; the others are repetitions in the same episode.
            await stage.ear.until(lambda: stage.ear.said("alarm"))
            await box.pulse()
            disk.free()
            await stage.logs("the journal can be written again", noticed + 1)
            await box.receipt()
            await box.report(20)
        stage.injected = f"full {rounds} times, {waiting + 2} reports meanwhile"
        await stage.count()
    assert len(stage.tally.rows) == stage.tally.sent.total()
    rung = {(body["event_type"], body.get("journalled")) for body in stage.ear.said("alarm")}
    assert rung == {("sos", False)}, rung


async def read_only(stage: Stage) -> None:
    """The folder can be read and not written when the bridge starts."""
    rounds = 5 if stage.long else 1
    with small_disk(stage.data) as disk:
        await stage.start()
        for _ in range(rounds):
            box = await stage.box()
            await box.report(20)
            await stage.settled()
            assert await stage.stop_bridge() == 0
            disk.let_write(allowed=False)
            before = len(stage.log)
            stage.bridge.start()
            assert await stage.ends(stage.bridge) == 4
            told = stage.log[before:].strip()
            assert str(stage.data) in told, told
            assert "Read-only file system" in told, told
            assert len(told.splitlines()) == 1, told
            disk.let_write(allowed=True)
            await stage.start_bridge()
        box = await stage.box()
        await box.report(20)
        stage.injected = f"read only at {rounds} starts"
        await stage.count()
    assert len({epoch for epoch, _ in stage.tally.rows}) == 1


async def journal_damaged(stage: Stage) -> None:
    """The journal is found damaged at the start: moved aside, said loudly, begun anew."""
    await stage.start()
    kinds = list(_JOURNAL_DAMAGE) * (3 if stage.long else 1)
    journal = stage.data / "journal.db"
    for round_, kind in enumerate(kinds, 1):
        for car in stage.cars(2, 60):
            await car.arrived()
        box = await stage.box()
        await box.report(20)
        await stage.settled()
        assert await stage.stop_bridge() == 0
        stage.tally.read(journal)
        _JOURNAL_DAMAGE[kind](stage, journal)
        await stage.start_bridge()
        aside = [one.name for one in stage.data.iterdir() if _ASIDE.fullmatch(one.name)]
        assert len(aside) == round_, (kind, aside)
        assert max(aside) in stage.log, stage.log
        vehicles = {one["key"] for one in stage.ear.told("devices")[-1]["vehicles"]}
        assert vehicles == {*CARS.values(), "box"}, (kind, vehicles)
    box = await stage.box()
    await box.report(20)
    stage.injected = f"{len(kinds)} times: {', '.join(_JOURNAL_DAMAGE)}"
    await stage.count()
    assert len({epoch for epoch, _ in stage.tally.rows}) == len(kinds) + 1


_ASIDE = re.compile(r"journal\.db\.damaged-\d{8}-\d{6}")


def _overwrite_header(_: Stage, journal: Path) -> None:
    with journal.open("r+b") as file:
        file.write(b"not a database of anybody, by now")


def _overwrite_pages(stage: Stage, journal: Path) -> None:
    with journal.open("r+b") as file:
        for page in range(1, journal.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(stage.random.randbytes(2048))


def _cut_in_half(_: Stage, journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2 + 100)


_JOURNAL_DAMAGE: dict[str, Callable[[Stage, Path], None]] = {
    "header overwritten": _overwrite_header,
    "pages overwritten": _overwrite_pages,
    "cut in half": _cut_in_half,
}


async def registry_damaged(stage: Stage) -> None:
    """The list of vehicles is found damaged at the start: its predecessor is used."""
    stage.accept()
    Registry.open(stage.data, BASE).rename("box", "The box")  # so the predecessor knows it too
    await stage.start()
    path = stage.data / "registry.json"
    kinds = list(_REGISTRY_DAMAGE) * (5 if stage.long else 1)
    for kind in kinds:
        box = await stage.box()
        await box.report(20)
        await stage.stop_bridge()
        path.write_bytes(_REGISTRY_DAMAGE[kind](path.read_bytes()))
        before = len(stage.log)
        await stage.start_bridge()
        assert "its predecessor is used" in stage.log[before:]
        vehicles = {one["key"] for one in stage.ear.told("devices")[-1]["vehicles"]}
        assert vehicles == {*CARS.values(), "box"}, (kind, vehicles)
    box = await stage.box()
    await box.report(20)
    stage.injected = f"{len(kinds)} times: {', '.join(_REGISTRY_DAMAGE)}"
    await stage.count()
    assert len({epoch for epoch, _ in stage.tally.rows}) == 1


_REGISTRY_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "all zeros": lambda data: bytes(len(data)),
    "an id twice": lambda data: data.replace(BOX.encode(), next(iter(CARS)).encode()),
}
