"""The image, built and started as a container's engine would: read-only, without root, hasty.

Run by `make image`; it takes some minutes where the base has to be made, so no suite has it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, Mosquitto, free_port
from tests.packaging import building
from tests.packaging.release import ROOT
from tests.packaging.test_container_pages import asked_of_the_image, commands
from tests.packaging.test_supervisor import TOKEN, Supervisor, good, write

SUPERVISOR = "127.77.0.1"
"""An address of the loopback on which nobody else has port 80."""

TRACKER = "864000000000101"
LOGIN = f"##,imei:{TRACKER},A;"
REPORT = f"imei:{TRACKER},tracker,2605011816,,F,101600.000,A,5231.2000,N,01324.6000,E,27.00,90.5;"

CONTAINED = """
set -e
mount --rbind "$1" "$1"
mount --bind "$2" "$1/data"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount --bind "$HOSTS" "$1/etc/hosts"
mount -o remount,bind,ro "$1"
root=$1; shift 2
exec chroot --userspec="$USERSPEC" "$root" /usr/bin/env -i --chdir="$WORKDIR" "$@"
"""
"""What an engine does: a file system of its own, read-only but for /data, an account, a folder to
work in, variables."""


class Container:
    """A container of an image, with a data folder of its own and the machine's network."""

    def __init__(self, image: str, folder: Path, hosts: str = "", **settings: str) -> None:
        self.config = building.configuration(image)
        self.name, self.root = building.mounted(image)
        self.variables = [
            *self.config["Env"],
            *(f"{name}={text}" for name, text in settings.items()),
        ]
        self._started: list[subprocess.Popen[str]] = []
        self.data = folder / "data"
        self.data.mkdir()
        self._hosts = folder / "hosts"
        self._hosts.write_text(f"127.0.0.1 localhost\n{hosts}")
        self._account = "0:0"
        if self.config["User"] != "root":
            # An engine gives a new volume the owner that the image's folder has.
            owner = (self.root / "data").stat()
            os.chown(self.data, owner.st_uid, owner.st_gid)
            self._account = f"{owner.st_uid}:{owner.st_gid}"

    @property
    def health(self) -> list[str]:
        return list(self.config["Healthcheck"]["Test"][1:])

    def start(self, *command: str, given: Path = Path(os.devnull)) -> subprocess.Popen[str]:
        """Start a command, or what the image starts by itself; `given` is what it can read."""
        words = command or (*self.config["Entrypoint"], *self.config["Cmd"])
        ours = {
            "USERSPEC": self._account,
            "HOSTS": str(self._hosts),
            "WORKDIR": self.config["WorkingDir"],
        }
        with given.open("rb") as file:
            process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINED, "sh",
                 str(self.root), str(self.data), *self.variables, *words],
                env=os.environ | ours,
                text=True,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._started.append(process)
        return process

    def remove(self) -> None:
        """End what still runs, and take the container away."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        building.buildah("rm", self.name)

    def run(self, *command: str, given: Path = Path(os.devnull)) -> tuple[int, str]:
        process = self.start(*command, given=given)
        told, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, told


def account_of(process: subprocess.Popen[str]) -> str:
    """The real, effective, saved and file system's user of a process, and its groups."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return " ".join(one.split(":", 1)[1].strip() for one in lines if one[:3] in {"Uid", "Gro"})


@pytest.fixture(scope="session")
def image() -> str:
    return building.build()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def container(image: str, tmp_path: Path, mosquitto: Mosquitto, port: int) -> Iterator[Container]:
    made = Container(
        image,
        tmp_path,
        TK103B__LISTEN__HOST="127.0.0.1",
        TK103B__LISTEN__PORT=str(port),
        TK103B__MQTT__HOST="127.0.0.1",
        TK103B__MQTT__PORT=str(mosquitto.port),
        TK103B__VEHICLES__GOLF__TRACKERS=TRACKER,
    )
    yield made
    made.remove()


def connected(process: subprocess.Popen[str], port: int) -> socket.socket:
    """A connection to the trackers' port, as soon as there is one."""
    began = time.monotonic()
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        except ConnectionError:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() - began < PATIENCE_S
            time.sleep(0.005)


def test_what_the_image_says_of_itself(image: str) -> None:
    config = building.configuration(image)
    assert config["User"] == "bridge"
    assert config["ExposedPorts"].keys() == {"8888/tcp", "8888/udp"}
    assert config["Volumes"].keys() == {"/data"}
    assert config["StopSignal"] == "SIGTERM"
    for words in (config["Entrypoint"], config["Cmd"]):
        assert words[0] != "/bin/sh"
    # CMD: by exec, not CMD-SHELL.
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    # In nanoseconds: a journal that is examined before anybody is served is no illness.
    assert config["Healthcheck"]["StartPeriod"] == 600 * 10**9


def test_it_weighs_little(image: str) -> None:
    weight = building.beyond_base_mb(image)
    print(f"\n{weight:.1f} MB beyond its base")  # noqa: T201 - a figure of the documentation
    assert weight < 120


def test_a_frame_comes_out_of_it(container: Container, mosquitto: Mosquitto, port: int) -> None:
    """Start, frame, health, stop: each as fast as promised, and nothing is left unwritten."""
    assert container.run(*container.health)[0] == 1, "nobody is healthy who does not run"
    started = time.monotonic()
    process = container.start()
    peer = connected(process, port)
    listening_s = time.monotonic() - started

    peer.sendall(LOGIN.encode())
    assert peer.recv(16) == b"LOAD"
    with subprocess.Popen(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-C", "1", "-W", "20",
         "-t", "tk103b/vehicle/golf/history"],
        stdout=subprocess.PIPE,
        text=True,
    ) as heard:  # fmt: skip
        while heard.poll() is None:
            peer.sendall(REPORT.encode())
            with suppress(subprocess.TimeoutExpired):
                heard.wait(0.5)
        assert heard.stdout is not None
        assert json.loads(heard.stdout.read())["device_id"] == TRACKER

    asked = time.monotonic()
    assert container.run(*container.health) == (0, "the bridge is alive\n")
    health_s = time.monotonic() - asked
    assert account_of(process).split()[:4] == ["1000"] * 4

    stopped = time.monotonic()
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=PATIENCE_S)
    stop_s = time.monotonic() - stopped
    assert process.returncode == 0, told
    peer.close()

    figures = (
        f"listens after {listening_s:.2f} s, healthy in {health_s:.2f} s, stops in {stop_s:.2f} s"
    )
    print(f"\n{figures}")  # noqa: T201 - figures of the documentation
    assert listening_s < 1.5
    assert stop_s < 5
    with closing(sqlite3.connect(container.data / "journal.db")) as journal:
        (rows,) = journal.execute("SELECT count(*) FROM entry").fetchone()
    assert rows >= 1
    assert not (container.data / "journal.db-wal").exists(), "all of it is in the file"


def test_its_root_cannot_be_written_to(container: Container) -> None:
    code, told = container.run("python", "-c", "open('/tmp/anything', 'w')")
    assert code == 1
    assert "Read-only file system" in told


def test_a_backup_moves_in_as_its_page_says(
    container: Container, port: int, tmp_path: Path
) -> None:
    """Root's own file, that nobody else may read, ends as the bridge's."""
    process = container.start()
    connected(process, port).close()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE_S)
    assert container.run("tk103b-bridge", "backup", "saved.zip")[0] == 0
    backup = (container.data / "saved.zip").rename(tmp_path / "tk103b.zip")
    os.chown(backup, 0, 0)
    backup.chmod(0o600)
    for line in commands("moving.md", "In a container"):
        if "compose run" in line:
            words, source = asked_of_the_image(line)
            code, told = container.run(*words, given=tmp_path / source)
            assert code == 0, f"{line}\n{told}"
    assert (container.data / "registry.json").stat().st_uid == 1000
    assert "golf" in container.run("tk103b-bridge", "vehicles")[1]


# --- the app --------------------------------------------------------------------------------------


def test_the_app_starts_under_a_supervisor(
    image: str, tmp_path: Path, mosquitto: Mosquitto, port: int
) -> None:
    """As root in a folder of root's; it takes that over, gives root up, and finds its broker."""
    app = f"{building.NAME}-app"
    building.buildah(
        "bud", "--pull-never", "--format", "docker", f"--build-arg=BRIDGE={image}",
        "-t", app, ROOT / "tk103b_bridge",
    )  # fmt: skip
    stub = Supervisor(
        good(host="127.0.0.1", port=mosquitto.port, username=None, password=None),
        at=(SUPERVISOR, 80),
    )
    threading.Thread(target=stub.serve_forever, args=(0.01,), daemon=True).start()
    container = Container(
        app,
        tmp_path,
        hosts=f"{SUPERVISOR} supervisor\n",
        SUPERVISOR_TOKEN=TOKEN,
        TK103B__LISTEN__HOST="127.0.0.1",
        TK103B__LISTEN__PORT=str(port),
    )
    try:
        write(container.data, tracker_id=TRACKER, tracker_name="My Golf")
        (container.data / "options.json").chmod(0o600)
        process = container.start()
        peer = connected(process, port)
        peer.sendall(LOGIN.encode())
        assert peer.recv(16) == b"LOAD"
        assert account_of(process).split() == ["1000"] * 4, "and no groups"
        assert (container.data / "options.json").stat().st_uid == 0
        assert (container.data / "journal.db").stat().st_uid == 1000
        assert container.run(*container.health) == (0, "the bridge is alive\n")
        assert "My Golf" in container.run("tk103b-bridge", "vehicles")[1]
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, told
        peer.close()
    finally:
        container.remove()
        stub.shutdown()
        stub.server_close()
