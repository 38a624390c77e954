"""Start-up under Home Assistant: a stub answers what the real Supervisor is asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bridge import config, healthcheck, supervisor
from bridge.errors import BrokerError, ConfigError
from bridge.supervisor import Expected
from tests.conftest import PATIENCE_S, Mosquitto, free_port

TOKEN = "of-the-supervisor"  # noqa: S105 - made up
IMEI = "864000000000101"
SERVICE = {
    "addon": "core_mosquitto", "host": "127.0.0.1", "port": 1883, "ssl": False,
    "protocol": "3.1.1", "username": "addons", "password": "made up: 1234",
}  # fmt: skip


class Supervisor(ThreadingHTTPServer):
    """Answers ``GET /services/mqtt`` as the Supervisor does; `answers` come one after the other."""

    def __init__(self, *answers: tuple[int, Any], at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(at, Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Supervisor

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        code, data = self.server.answers[0]
        if len(self.server.answers) > 1:
            self.server.answers.pop(0)
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def good(**changed: Any) -> tuple[int, Any]:
    return 200, {"result": "ok", "data": {**SERVICE, **changed}}


def refused(words: str) -> tuple[int, Any]:
    return 400, {"result": "error", "message": words}


def write(folder: Path, **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    given = {"tracker_id": "", "tracker_name": "", **options}
    (folder / "options.json").write_text(json.dumps(given))
    return folder


# --- what becomes of options and answers ----------------------------------------------------------


def test_the_brokers_account_becomes_configuration(serve: Any, tmp_path: Path) -> None:
    stub = serve(good())
    given = supervisor.consult({"SUPERVISOR_TOKEN": TOKEN}, write(tmp_path), stub.address)
    assert stub.asked == [("/services/mqtt", f"Bearer {TOKEN}")]
    found = config.load(None, given.environ).mqtt
    assert (found.host, found.port, found.username, found.tls) == (
        "127.0.0.1",
        1883,
        "addons",
        None,
    )
    assert found.password is not None
    assert found.password.reveal() == SERVICE["password"]
    assert given.expected is None


def test_every_option_becomes_configuration() -> None:
    options = {
        "log_level": "debug", "entities": "component", "unknown_trackers": "ignore",
        "history_days": 0, "base_topic": "home/tk103b",
    }  # fmt: skip
    assert options.keys() == supervisor.OPTIONS.keys()
    found = config.load(None, supervisor.settings(options, {**SERVICE, "ssl": True}))
    assert found.log.level == "debug"
    assert found.home_assistant.entities == "component"
    assert found.access.unknown == "ignore"
    assert found.history.days == 0
    assert found.mqtt.base_topic == "home/tk103b"
    assert found.mqtt.tls is not None


def test_what_is_left_out_is_left_to_the_file() -> None:
    given = supervisor.settings({"tracker_id": IMEI, "log_level": None}, {"host": "broker"})
    assert given == {"TK103B__MQTT__HOST": "broker"}


def test_the_first_tracker() -> None:
    assert supervisor.expected({"tracker_id": f" {IMEI} ", "tracker_name": "My Golf"}) == Expected(
        IMEI, "My Golf"
    )
    assert supervisor.expected({"tracker_id": "", "tracker_name": "My Golf"}) is None


def test_a_supervisor_that_still_starts_is_asked_again(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_S", 0.0)
    stub = serve((503, b""), (502, b"<html>"), good())
    given = supervisor.consult({"SUPERVISOR_TOKEN": TOKEN}, write(tmp_path), stub.address)
    assert given.environ["TK103B__MQTT__HOST"] == "127.0.0.1"
    assert len(stub.asked) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused("Service not enabled"), "install the app Mosquitto broker .*Service not enabled"),
        ((401, b"no JSON"), "install the app Mosquitto broker"),
        ((200, b"no JSON"), "names no broker"),
        ((200, {"result": "ok", "data": {}}), "names no broker"),
        ((200, []), "names no broker"),
    ],
)
def test_what_it_cannot_say_is_said_in_words(
    serve: Any, tmp_path: Path, answer: tuple[int, Any], words: str
) -> None:
    stub = serve(answer)
    with pytest.raises(BrokerError, match=words):
        supervisor.consult({"SUPERVISOR_TOKEN": TOKEN}, write(tmp_path), stub.address)
    assert len(stub.asked) == 1


def test_nobody_there_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_S", 0.0)
    with pytest.raises(BrokerError, match="does not say which broker"):
        supervisor.consult(
            {"SUPERVISOR_TOKEN": TOKEN}, write(tmp_path), f"http://127.0.0.1:{free_port()}"
        )


@pytest.mark.parametrize("content", ["no JSON", "[]"])
def test_options_that_are_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(content)
    with pytest.raises(ConfigError):
        supervisor.consult({"SUPERVISOR_TOKEN": TOKEN}, tmp_path, "http://127.0.0.1:9")


def test_elsewhere_there_is_no_supervisor(tmp_path: Path) -> None:
    assert not supervisor.supervised({"SUPERVISOR_TOKEN": TOKEN}, tmp_path)
    assert not supervisor.supervised({}, write(tmp_path))
    assert supervisor.supervised({"SUPERVISOR_TOKEN": TOKEN}, tmp_path)


# --- the whole start ------------------------------------------------------------------------------

STARTED = """
import sys
from pathlib import Path
from bridge import supervisor
supervisor.DATA = Path(sys.argv[1])
supervisor.ADDRESS, supervisor.ACCOUNT = sys.argv[2:4]
supervisor.CONFIGURATION = supervisor.DATA / "tk103b-bridge.yaml"
from bridge.cli import main
sys.exit(main(sys.argv[4:]))
"""
"""The program as the app starts it, but for the places, which are the container's."""


class App:
    """The app's process; its data folder is given to an account, if need be to whoever we are."""

    def __init__(
        self,
        data: Path,
        stub: Supervisor,
        *,
        account: str = "",
        python: Sequence[str] = (sys.executable,),
    ) -> None:
        self.data = data
        account = account or pwd.getpwuid(os.geteuid()).pw_name
        self.command = [*python, "-c", STARTED, str(data), stub.address, account]
        self.environ = {
            **{name: text for name, text in os.environ.items() if "TK103B" not in name},
            "SUPERVISOR_TOKEN": TOKEN,
            "TK103B__STORAGE__PATH": str(data),
            "TK103B__LISTEN__HOST": "127.0.0.1",
            "TK103B__LISTEN__PORT": str(free_port()),
        }

    @contextmanager
    def started(self) -> Iterator[None]:
        """Let it run for the time of the body; then it ends by itself, when it is told to."""
        self.process = subprocess.Popen(
            [*self.command, "run"], env=self.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
            self.process.terminate()
            self.log, _ = self.process.communicate(timeout=PATIENCE_S)
            assert self.process.returncode == 0, self.log
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            [*self.command, *arguments], env=self.environ, text=True, timeout=PATIENCE_S,
            check=True, capture_output=True,
        ).stdout  # fmt: skip


async def devices(port: int) -> dict[str, Any]:
    """What the bridge keeps on ``bridge/devices`` once it knows a vehicle."""
    async with asyncio.timeout(PATIENCE_S), aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("tk103b/bridge/devices")
        async for message in client.messages:
            found: dict[str, Any] = json.loads(bytes(message.payload))
            if found["vehicles"]:
                return found
    raise AssertionError("the broker hung up")


async def test_the_app_starts_with_its_first_tracker(
    serve: Any, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """Options and broker are asked for, the tracker is accepted: once, whatever becomes of it."""
    account = {"username": None, "password": None, "port": mosquitto.port}
    stub = serve(good(**account))
    data = write(tmp_path / "data", tracker_id=IMEI, tracker_name="My Golf")
    (data / "tk103b-bridge.yaml").write_text("limits:\n  whoami_s: 0.2\nmqtt:\n  host: nowhere\n")
    app = App(data, stub)

    with app.started():
        (car,) = (await devices(mosquitto.port))["vehicles"]
        assert (car["key"], car["name"], car["trackers"]) == ("my_golf", "My Golf", [IMEI])
        assert "my_golf" in await asyncio.to_thread(until_answered, app, "vehicles")
        await asyncio.to_thread(app.run, "remove", "my_golf")
    assert TOKEN not in app.log

    with app.started():
        assert "No vehicles yet" in await asyncio.to_thread(until_answered, app, "vehicles")


def until_answered(app: App, *arguments: str) -> str:
    """Ask once the bridge is there to answer; before, its folder would be asked, or is in use."""
    deadline = time.monotonic() + PATIENCE_S
    while healthcheck.ask(app.data):
        assert app.process.poll() is None, app.process.communicate()[0]
        assert time.monotonic() < deadline, "it never came to live"
        time.sleep(0.01)
    return app.run(*arguments)
