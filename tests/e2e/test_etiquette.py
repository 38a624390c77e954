"""A bridge that is changed while it runs: SIGHUP, options, log level, backup, restart."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bridge.app import Life
from tests.conftest import PATIENCE_S, eventually, free_port
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker
from tests.e2e.speech import (
    LOAD,
    ON,
    another_life,
    devices,
    guests,
    heartbeat,
    keys,
    login,
    position,
    serving,
)

GOLF, BOAT = "864000000009201", "864000000009202"
YAML = f"""\
vehicles:
  golf: {{trackers: [{GOLF}], name: Golf}}
trips: {{gap_s: 1800}}
"""


class House:
    """A bridge with a file, and what it says of itself."""

    def __init__(self, bridge: BridgeProcess, heard: Listener) -> None:
        self.bridge = bridge
        self.heard = heard
        self.file = bridge.folder / "car.yaml"
        self.file.write_text(YAML)

    @property
    def info(self) -> Any:
        return self.heard.latest(f"{BASE}/bridge/info")

    @property
    def data(self) -> Path:
        return Path(self.bridge.environment["TK103B__STORAGE__PATH"])

    def written(self) -> os.stat_result:
        """When and how the registry was last written."""
        return (self.data / "registry.json").stat()

    @property
    def log(self) -> str:
        return self.bridge.log.read_text()

    @property
    def pid(self) -> int:
        assert self.bridge.process is not None
        return self.bridge.process.pid

    async def start(self) -> None:
        await serving(self.bridge, self.heard, "--config", str(self.file))

    async def reload(self, text: str, told: str) -> None:
        """Have the file read anew, and wait for the word on it."""
        seen = self.log.count(told)
        self.file.write_text(text)
        os.kill(self.pid, signal.SIGHUP)
        await eventually(lambda: self.log.count(told) > seen)

    async def restart(self) -> None:
        """Have it begin again, and wait until it has."""
        async with another_life(self.heard):
            assert (await self.heard.ask("restart"))["status"] == "ok"

    async def choose(self, **options: Any) -> Any:
        return await self.heard.ask("options", options=options)


@pytest.fixture
def house(bridge: BridgeProcess, heard: Listener) -> House:
    return House(bridge, heard)


async def goes_on(tracker: Tracker, device_id: str) -> None:
    """Whether the bridge still answers on the same connection."""
    await tracker.say(heartbeat(device_id))
    await tracker.hear(ON)


async def connected(dial: Dial, device_id: str) -> Tracker:
    tracker = await dial()
    await tracker.say(login(device_id))
    await tracker.hear(LOAD)
    return tracker


# --- SIGHUP ---------------------------------------------------------------------------------------


async def test_a_file_is_read_anew_and_nobody_is_hung_up_on(house: House, dial: Dial) -> None:
    await house.start()
    golf, boat = await connected(dial, GOLF), await connected(dial, BOAT)
    await boat.say(position(BOAT))
    await house.heard.until(lambda: guests(house.heard) == [BOAT])
    text = YAML.replace("name: Golf", "name: Red Golf").replace("1800", "900")
    boats = f"  boat: {{trackers: [{BOAT}], history: {{days: 3}}}}\ntrips"
    await house.reload(text.replace("trips", boats), "the configuration was read anew")
    assert "vehicles.golf" in house.log
    assert "vehicles.boat" in house.log
    await goes_on(golf, GOLF)
    await goes_on(boat, BOAT)
    heard = house.heard
    await heard.until(lambda: house.info["config"]["trips"]["gap_s"] == 900)
    await heard.until(lambda: heard.vehicle("golf", "state")["name"] == "Red Golf")
    await heard.until(lambda: keys(heard) == ["golf", "boat"])
    await heard.until(lambda: heard.vehicle("boat", "state")["link"] == "connected")
    await boat.say(position(BOAT, minutes="32.4000"))
    await heard.until(lambda: heard.vehicle("boat", "report"))
    assert heard.vehicle("boat", "report")["fix"]["latitude"] == 52.54
    assert house.info["restart_required"] is False


async def test_a_broken_file_changes_nothing_and_the_log_says_where(
    house: House, dial: Dial
) -> None:
    await house.start()
    golf = await connected(dial, GOLF)
    await house.reload(
        YAML.replace("gap_s", "gaps"), f"stays as it was: {house.file}:3: trips.gaps is no option"
    )
    await house.reload("vehicles: [\n", f"stays as it was: {house.file}:")
    await goes_on(golf, GOLF)
    info = await house.heard.ask("info")
    assert info["data"]["config"]["trips"]["gap_s"] == 1800
    assert keys(house.heard) == ["golf"]
    await house.reload(YAML.replace("1800", "900"), "read anew: trips.gap_s")


ODD = (
    r'mqtt: {host: "\UFFFFFFFF"}',
    f"a: {'[' * 600}",
    "",
)
"""What stumbles a YAML reader, and what an editor leaves for a moment."""


async def test_whatever_stands_in_the_file_the_bridge_goes_on(house: House, dial: Dial) -> None:
    await house.start()
    golf = await connected(dial, GOLF)
    for text in ODD:
        await house.reload(text, f"stays as it was: {house.file}: ")
        for verb in ("backup", "restart"):
            assert str(house.file) in (await house.heard.ask(verb))["error"]
        await goes_on(golf, GOLF)
    house.file.unlink()
    assert "cannot be read" in (await house.heard.ask("restart"))["error"]
    assert keys(house.heard) == ["golf"]
    await goes_on(golf, GOLF)
    await house.reload(YAML, "read anew: nothing changed")
    assert (await house.heard.ask("backup"))["status"] == "ok"
    assert "a backup was made just now" in (await house.heard.ask("backup"))["error"]


async def test_the_file_of_the_folder_is_missed(house: House, dial: Dial) -> None:
    """One that nobody has named is no less a configuration when it is away for a moment."""
    bridge, heard = house.bridge, house.heard
    default = bridge.folder / "tk103b-bridge.yaml"
    default.write_text(YAML)
    bridge.environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    bridge.environment["PYTHONSAFEPATH"] = "yes"
    with pytest.MonkeyPatch.context() as there:
        there.chdir(bridge.folder)
        await serving(bridge, heard)
    golf = await connected(dial, GOLF)
    await heard.until(lambda: keys(heard) == ["golf"])
    default.unlink()
    told = "stays as it was: tk103b-bridge.yaml: cannot be read"
    os.kill(house.pid, signal.SIGHUP)
    await eventually(lambda: told in house.log)
    assert "cannot be read" in (await heard.ask("restart"))["error"]
    assert (await heard.ask("info"))["data"]["config"]["trips"]["gap_s"] == 1800
    await goes_on(golf, GOLF)


async def test_the_same_file_changes_nothing(house: House, dial: Dial) -> None:
    await house.start()
    golf = await connected(dial, GOLF)
    await house.heard.until(lambda: house.heard.vehicle("golf", "state")["link"] == "connected")
    kept, info, known = house.written(), house.info, devices(house.heard)["vehicles"][0]
    await house.reload(YAML, "read anew: nothing changed")
    await goes_on(golf, GOLF)
    assert (await house.heard.ask("info"))["data"] == info
    assert house.written() == kept
    now = devices(house.heard)["vehicles"][0]
    assert {**now, "last_seen": ""} == {**known, "last_seen": ""}


async def test_what_cannot_change_in_place_waits_for_a_restart(house: House) -> None:
    await house.start()
    await house.reload(YAML + "mqtt: {keepalive: 30}\n", "wait for a restart: mqtt.keepalive")
    await house.heard.until(lambda: house.info["restart_required"])
    assert house.info["config"]["mqtt"]["keepalive"] == 60
    pid = house.pid
    await house.restart()
    await house.heard.until(lambda: not house.info["restart_required"])
    assert house.info["config"]["mqtt"]["keepalive"] == 30
    assert house.bridge.process is not None
    assert house.bridge.process.poll() is None, "it is still the same process"
    assert house.pid == pid
    assert house.bridge.stop() == 0


# --- requests -------------------------------------------------------------------------------------


async def test_a_restart_is_clean_and_waits_for_a_good_configuration(
    house: House, dial: Dial
) -> None:
    await house.start()
    golf = await connected(dial, GOLF)
    house.file.write_text("trips: {gap_s: soon}\n")
    refused = await house.heard.ask("restart")
    assert f"{house.file}:1: trips.gap_s must be a whole number" in refused["error"]
    await goes_on(golf, GOLF)
    house.file.write_text(YAML)
    await golf.say(position(GOLF))
    states = f"{BASE}/bridge/state"
    seen = len(house.heard.all(states))
    await house.restart()
    assert await golf.hung_up()
    assert house.heard.all(states)[seen:] == ["offline", "online"]
    assert house.heard.vehicle("golf", "position")["latitude"] == 52.52
    await goes_on(await connected(dial, GOLF), GOLF)
    os.kill(house.pid, signal.SIGHUP)
    await eventually(lambda: "nothing changed" in house.log)


async def test_a_restart_waits_for_a_port_that_is_free(house: House, dial: Dial) -> None:
    house.bridge.environment.pop("TK103B__LISTEN__PORT")
    old, new = house.bridge.port, free_port()
    house.file.write_text(f"{YAML}listen: {{port: {old}}}\n")
    await house.start()
    golf = await connected(dial, GOLF)
    house.file.write_text(f"{YAML}listen: {{port: {new}}}\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", new))
        other.listen()
        refused = await house.heard.ask("restart")
        assert f"cannot listen on 127.0.0.1:{new}" in refused["error"]
        await goes_on(golf, GOLF)
    await house.restart()
    house.bridge.port = new
    await house.bridge.listening()


async def test_systemd_is_not_told_that_a_bridge_stops_which_begins_again(house: House) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(house.bridge.folder / "notify"))
        manager.settimeout(PATIENCE_S)
        house.bridge.environment["NOTIFY_SOCKET"] = str(house.bridge.folder / "notify")
        await house.start()
        await house.restart()
        await house.bridge.listening()
        assert manager.recv(200) == b"READY=1"
        assert await asyncio.to_thread(manager.recv, 200) == b"READY=1"
        assert house.bridge.stop() == 0
        assert manager.recv(200) == b"STOPPING=1"


def test_whoever_asks_for_the_end_gets_it() -> None:
    life = Life()
    life.restart()
    assert (life.again, life.over.is_set()) == (True, True)
    life.stop()
    assert not life.again
    life.restart()
    assert not life.again


async def test_options_hold_at_once_and_over_a_restart(house: House) -> None:
    await house.start()
    answer = await house.choose(alarms={"auto_receipt": False}, limits={"guests": 9})
    assert answer["data"] == {
        "options": {"alarms": {"auto_receipt": False}, "limits": {"guests": 9}},
        "restart_required": True,
    }
    await house.heard.until(lambda: house.info["restart_required"])
    assert house.info["config"]["alarms"]["auto_receipt"] is False
    assert house.info["config"]["limits"]["guests"] == 20
    await house.restart()
    await house.heard.until(lambda: not house.info["restart_required"])
    assert house.info["config"]["alarms"]["auto_receipt"] is False
    assert house.info["config"]["limits"]["guests"] == 9
    await house.choose(alarms={"auto_receipt": None})
    await house.heard.until(lambda: house.info["config"]["alarms"]["auto_receipt"] is True)


async def test_options_that_cannot_be(house: House) -> None:
    await house.start()
    for options, told in (
        ({"trips": {"gap_s": 60}}, "car.yaml:3: change it there"),
        ({"limits": {"guests": 0}}, "limits.guests must be a whole number from 1 to 1000"),
        ({"mqtt": {"host": "elsewhere"}}, "mqtt.host cannot be set by request"),
        ({"storage": {"path": "/"}}, "storage.path cannot be set by request"),
        ({"access": {"unknown": "accept"}}, "access.unknown cannot be set by request"),
        ({"history": {"days": 1}}, "history.days cannot be set by request"),
        ("all", "options must be a block"),
        (None, "options must be a block"),
    ):
        assert told in (await house.heard.ask("options", options=options))["error"]


async def test_the_log_level_at_run_time(house: House) -> None:
    await house.start()
    assert house.info["log_level"] == "info"
    assert (await house.heard.ask("log", level="debug"))["data"] == {"level": "debug"}
    await house.heard.until(lambda: house.info["log_level"] == "debug")
    wrong = await house.heard.ask("log", level="debgu")
    assert "log.level must be debug, info, warning or error, not 'debgu'" in wrong["error"]
    await house.reload(YAML, "nothing changed")
    assert (await house.heard.ask("info"))["data"]["log_level"] == "debug"
    await house.reload(YAML + "log: {level: warning}\n", "read anew: log.level")
    await house.heard.until(lambda: house.info["log_level"] == "warning")


def unpacked(path: Path) -> tuple[bytes, dict[str, bytes]]:
    """A backup's bytes, and what is in it by name."""
    assert path.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes(), {name: archive.read(name) for name in archive.namelist()}


async def test_a_backup_of_the_running_bridge(house: House) -> None:
    house.file.write_text(YAML + "mqtt: {username: anybody, password: correct-horse}\n")
    await house.start()
    made = (await house.heard.ask("backup"))["data"]
    content, members = unpacked(house.data / made["path"])
    assert (len(content), hashlib.sha256(content).hexdigest()) == (made["bytes"], made["sha256"])
    assert members.keys() == {
        "manifest.json", "registry.json", "journal.db", "tk103b-bridge.yaml",
    }  # fmt: skip
    assert not [name for name, text in members.items() if b"correct-horse" in text]
    assert GOLF.encode() in members["registry.json"]


# --- a terminal -----------------------------------------------------------------------------------


async def test_it_ends_with_the_window_it_was_started_in(house: House) -> None:
    """There a SIGHUP of somebody else's is a reload, and the terminal's own one an end."""
    window, terminal = pty.openpty()
    process = house.bridge.process = in_a_terminal(house, os.ttyname(terminal))
    await house.bridge.listening()
    await eventually(lambda: "connected to the MQTT broker" in house.log)
    await house.reload(YAML, "nothing changed")
    os.close(terminal)
    os.close(window)
    assert process.wait(PATIENCE_S) == 0
    house.bridge.process = None


def in_a_terminal(house: House, name: str) -> subprocess.Popen[bytes]:
    with house.bridge.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _IN_A_TERMINAL, name, "run", "--config", str(house.file)],
            env=house.bridge.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


_IN_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever tests may do so under nohup
os.open(sys.argv.pop(1), os.O_RDWR)  # the first one that a session leader opens is its own
from bridge.cli import main
sys.exit(main())
"""
