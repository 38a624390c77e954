"""How one talks with Home Assistant: its REST interface, and its websocket."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.conftest import PATIENCE_S

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RefusedError(AssertionError):
    """Home Assistant answered that it will not."""


async def rest(
    method: str, url: str, *, token: str = "", body: Any = None, form: dict[str, str] | None = None
) -> Any:
    """Ask, and return the JSON of the answer. Raises RefusedError, or OSError if nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    elif body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own

    def answer() -> Any:
        try:
            with _direct.open(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(f"{method} {url}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    return await asyncio.to_thread(answer)


class Conversation:
    """An open websocket: commands and their results, and the events one asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._awaited: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, Callable[[Any], None]] = {}

    async def ask(self, kind: str, **fields: Any) -> Any:
        """Send one command and return its result, or raise RefusedError."""
        return await self._send(next(self._numbers), {"type": kind, **fields})

    async def listen(self, kind: str, hear: Callable[[Any], None], **fields: Any) -> None:
        """Have every event of a subscription heard, from before this returns on."""
        number = next(self._numbers)
        self._listeners[number] = hear
        await self._send(number, {"type": kind, **fields})

    async def _send(self, number: int, command: dict[str, Any]) -> Any:
        self._awaited[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, **command}))
        async with asyncio.timeout(4 * PATIENCE_S):
            told = await answer
        if not told["success"]:
            raise RefusedError(f"{command}: {told['error']}")
        return told["result"]

    async def hear(self) -> None:
        """Take what comes, until the connection ends."""
        with suppress(websockets.ConnectionClosed):
            async for text in self._socket:
                told = json.loads(text)
                if told["type"] == "event":
                    self._listeners[told["id"]](told["event"])
                elif told["type"] == "result":
                    self._awaited.pop(told["id"]).set_result(told)
        for answer in self._awaited.values():
            answer.set_exception(ConnectionError("Home Assistant has hung up"))


@asynccontextmanager
async def conversation(url: str, token: str) -> AsyncIterator[Conversation]:
    """Open the websocket of the Home Assistant at an ``http://`` URL."""
    address = url.replace("http", "ws", 1) + "/api/websocket"
    async with websockets.connect(address, proxy=None, max_size=None) as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "auth", "access_token": token}))
        told = json.loads(await socket.recv())
        assert told["type"] == "auth_ok", told
        talk = Conversation(socket)
        hearing = asyncio.create_task(talk.hear())
        try:
            yield talk
        finally:
            await socket.close()
            await hearing
