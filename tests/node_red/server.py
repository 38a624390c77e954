"""A real Node-RED without a screen: started once, given flows over its admin API, stopped by us."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import PATIENCE_S, eventually, free_port

Flow = list[dict[str, Any]]

EXAMPLES = Path(__file__).parents[2] / "examples" / "node-red"
BROKER = "tk103b-broker"
"""The id of the one broker node that all examples share."""

SETTINGS = """\
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: PORT,
    flowFile: "flows.json",
    credentialSecret: false,
    debugMaxLength: 1000000,
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false } },
    logging: { console: { level: "info", metrics: false, audit: false } },
};
"""

ERROR, WARNING = 20, 30
"""The levels with which a node complains."""


def example(name: str, mqtt_port: int, **settings: Any) -> Flow:
    """Return an example as a person sets it up: the broker, and what its tab asks for."""
    flow: Flow = json.loads((EXAMPLES / f"{name}.json").read_text())
    for node in flow:
        if node["id"] == BROKER:
            node.update(broker="127.0.0.1", port=str(mqtt_port))
        if node["type"] == "tab":
            known = {variable["name"]: variable for variable in node["env"]}
            for setting, value in settings.items():
                is_text = isinstance(value, str)
                known[setting]["value"] = value if is_text else json.dumps(value)
    return flow


class NodeRed:
    """One Node-RED on a loopback port, with a folder of its own."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "node-red.log"
        self._folder = folder
        self._program = installed / "node_modules" / "node-red" / "red.js"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = self._folder / "settings.js"
        settings.write_text(SETTINGS.replace("PORT", str(self.port)))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", str(self._program), "--userDir", str(self._folder), "-s", str(settings)],
                env={**os.environ, "HOME": str(self._folder), "TZ": "UTC", "NO_COLOR": "1"},
                stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def running(self) -> None:
        """Wait until it answers, with all of its nodes loaded."""

        async def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            try:
                return bool(await self.ask("GET", "/nodes"))
            except URLError:
                return False

        await eventually(answers)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request with a body of JSON, and return the JSON or the text of the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
        )

        def send() -> bytes:
            # S310: the address begins with http.
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return bytes(answer.read())

        text = (await asyncio.to_thread(send)).decode()
        return json.loads(text) if text[:1] in {"{", "["} else text

    async def refusal(self, method: str, path: str, body: Any) -> int:
        """Make a request that is refused, and return with which status."""
        try:
            await self.ask(method, path, body)
        except HTTPError as error:
            error.close()
            return error.code
        raise AssertionError("it was not refused")

    async def deploy(self, *flows: Flow) -> None:
        """Let these flows run, and no others; nodes of the same id are one, as after an import."""
        nodes = {node["id"]: node for flow in flows for node in flow}
        await self.ask("POST", "/flows", list(nodes.values()))

    async def press(self, node: str, payload: Any = None) -> None:
        """Press the button of an inject node, with another payload where one is given."""
        props = [{"p": "payload", "v": json.dumps(payload), "vt": "json"}]
        body = {} if payload is None else {"__user_inject_props__": props}
        await self.ask("POST", f"/inject/{node}", body)

    @asynccontextmanager
    async def sidebar(self) -> AsyncIterator[Sidebar]:
        """Read the debug sidebar."""
        async with _talking(f"ws://127.0.0.1:{self.port}/comms") as (connection, said):
            await connection.send(json.dumps({"subscribe": "debug"}))
            yield Sidebar(said)

    @asynccontextmanager
    async def map(self) -> AsyncIterator[list[Any]]:
        """Open the map as a browser does; what it is told comes in.

        Markers are objects. A list is what the map remembers by itself, for an hour.
        """
        path = "/worldmap/socket/websocket"
        async with _talking(f"ws://127.0.0.1:{self.port}{path}") as (connection, said):
            await connection.send(json.dumps({"action": "connected"}))
            yield said


class Sidebar:
    """What debug nodes have shown, and what nodes complained about."""

    def __init__(self, said: list[Any]) -> None:
        self._said = said

    def shown(self, node: str) -> list[Any]:
        """Return what a debug node has shown, in order."""
        return [_value(data) for data in self._data() if data["id"] == node and "level" not in data]

    def complaints(self, level: int = ERROR) -> list[str]:
        """Return the complaints of one level."""
        return [
            f"{data['id']}: {data['msg']}" for data in self._data() if data.get("level") == level
        ]

    async def first(self, node: str) -> Any:
        """Return what a debug node shows first, as soon as it does."""
        await eventually(lambda: self.shown(node))
        return self.shown(node)[0]

    def _data(self) -> Iterable[dict[str, Any]]:
        together = (told for many in self._said for told in many)
        return (told["data"] for told in together if told.get("topic") == "debug")


def _value(data: dict[str, Any]) -> Any:
    text = data["msg"]
    return text if data.get("format", "").startswith("string") else json.loads(text)


@asynccontextmanager
async def _talking(
    address: str,
) -> AsyncIterator[tuple[ClientConnection, list[Any]]]:
    said: list[Any] = []

    async def listen() -> None:
        try:
            async for text in connection:
                told = json.loads(text)
                said.append(told)
        except ConnectionClosed:
            pass

    async with connect(address, proxy=None) as connection:
        task = asyncio.create_task(listen())
        yield connection, said
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
