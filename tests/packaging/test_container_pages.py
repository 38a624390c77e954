"""What the pages say to type for a container, followed line by line.

`docker compose run` is played by this process: its options are read, and the words that the image
would run are run. What the engine itself does is not tried here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from bridge.journal import Journal
from tests.conftest import free_port
from tests.packaging.release import ROOT

PROGRAM = "tk103b-bridge"
"""What the image begins with."""

RUN = ArgumentParser(exit_on_error=False)
RUN.add_argument("--rm", action="store_true", required=True)
RUN.add_argument("-T", action="store_true")
RUN.add_argument("--no-deps", action="store_true", required=True)
RUN.add_argument("--entrypoint", default=PROGRAM)
RUN.add_argument("service")


def commands(page: str, heading: str) -> list[str]:
    """Return the lines of the first block of shell commands below a heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def asked_of_the_image(line: str) -> tuple[list[str], str]:
    """Return the words that a line has the image run, and the file that it gives to them."""
    words, source = shlex.split(line), os.devnull
    assert words[:3] == ["docker", "compose", "run"], line
    if "<" in words:
        words, (source,) = words[: words.index("<")], words[words.index("<") + 1 :]
    given, _ = RUN.parse_known_args(words[3:])
    assert given.service == "bridge"
    assert ("<" in line) == given.T, "a terminal does not pass a file on unchanged"
    # What stands behind the service is the container's, whatever it looks like.
    return [given.entrypoint, *words[words.index("bridge") + 1 :]], source


class Volume:
    """The bridge's /data, owned as a new volume is, and the folder of compose.yaml beside it."""

    def __init__(self, folder: Path) -> None:
        self.beside, self.data = folder / "beside", folder / "data"
        self.beside.mkdir()
        self.data.mkdir(mode=0o700)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TK103B__STORAGE__PATH": str(self.data),
            # Where 1883 leads to somebody's own bridge, it is not to be told of our tracker.
            "TK103B__MQTT__PORT": str(free_port()),
        }

    def follow(self, line: str) -> str:
        """Do what a line wants of `docker compose run`; return what it prints."""
        words, source = asked_of_the_image(line)
        if words[0] == PROGRAM:
            words = [sys.executable, "-m", "bridge", *words[1:]]
        with (self.beside / source).open("rb") as file:
            done = subprocess.run(
                words, cwd=self.data, env=self.environ, stdin=file,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_moving_into_a_container(volume: Volume, tmp_path: Path) -> None:
    old = {**volume.environ, "TK103B__STORAGE__PATH": str(tmp_path / "old")}
    (tmp_path / "old").mkdir()
    Journal.open(tmp_path / "old").close()
    bridge = [sys.executable, "-m", "bridge"]
    for words in (
        ["accept", "864000000001234", "--name", "My Golf"],
        ["backup", str(volume.beside / "tk103b.zip")],
    ):
        subprocess.run([*bridge, *words], cwd=tmp_path, env=old, check=True, capture_output=True)

    lines = commands("moving.md", "In a container")
    told = [volume.follow(line) for line in lines if "compose run" in line]
    assert any("Restored into" in text for text in told)
    assert (volume.data / "registry.json").is_file()
    assert not (volume.data / "tk103b.zip").exists(), "with the passwords that may be in it"
    after = [line.split()[2] for line in lines if "compose run" not in line]
    assert after == ["stop", "up", "exec"], "and it starts when all is in its place"


def test_a_configuration_for_a_container(volume: Volume) -> None:
    (volume.beside / "tk103b-bridge.yaml").write_text("mqtt: {base_topic: home/tk103b}\n")
    lines = commands("install-container.md", "Configuration")
    told = [volume.follow(line) for line in lines if "compose run" in line]
    assert len(told) == 2
    file = volume.data / "tk103b-bridge.yaml"
    assert "home/tk103b" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0, "passwords may stand in it"


@pytest.mark.parametrize("page", ["moving.md", "install-container.md"])
def test_nothing_is_copied_into_the_volume_as_root(page: str) -> None:
    """An engine's cp gives what it copies to root, and the bridge is not root."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert not re.search(r"(compose|podman|docker) cp \S+ \S+:/", text)
    dockerfile = (ROOT / "Dockerfile").read_text()
    # What the lines rely on.
    assert "WORKDIR /data" in dockerfile
    assert "USER bridge" in dockerfile
    assert "TK103B__STORAGE__PATH=/data" in dockerfile
