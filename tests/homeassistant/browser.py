"""Chromium without a window, spoken to by its DevTools protocol: what a person would see."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.conftest import eventually
from tests.homeassistant.hass import HomeAssistant
from tests.homeassistant.speaking import rest

LOAD_S = 60.0
"""The first page of a new Home Assistant compiles a lot."""
UNANSWERED = 0
"""The number of commands of which nobody awaits the result."""

STILL_S = 0.5
"""Nothing has moved for so long: whatever fades in has done so."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # of no use to root in a container, who may not have it
    "--disable-3d-apis",  # the map is then made of pictures, for which we have some
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but this machine
    "--remote-debugging-port=0",
)

STREETS = """\
<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256">
<rect width="256" height="256" fill="#f3f0e9"/>
<rect x="136" y="16" width="104" height="72" rx="8" fill="#cfe6c2"/>
<g stroke="#dcd6c8" stroke-width="12"><path d="M0 104H256M112 0V256"/></g>
<g stroke="#fff" stroke-width="9"><path d="M0 104H256M112 0V256"/></g>
<g stroke="#fff" stroke-width="4"><path d="M0 180H256M184 104V256M40 0V104"/></g>
</svg>
"""
"""A tile of a town that is nowhere: the real map is on the Internet."""


def chromium() -> str:
    """Return the path of Chromium, or skip; where CI runs, a missing one is a failure."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        message = "CHROMIUM IS MISSING, so nobody looked. Try: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


EYES = """\
window.everyNode = (node = document) => [
  node, ...[...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].flatMap(everyNode),
];
window.everyText = () => everyNode()
  .filter(node => node.nodeType == Node.TEXT_NODE).map(node => node.data).join(" ");
window.everyIcon = () => everyNode()
  .filter(node => node.localName == "ha-icon" && node.checkVisibility())
  .every(node => node.shadowRoot?.querySelector("ha-svg-icon")?.shadowRoot?.querySelector("path"))
  && everyNode().filter(node => node.localName == "img").every(node => node.complete);
"""
"""Sees those parts of a page, too, that its components keep to themselves."""


class Page:
    """One page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._awaited: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Send one command of the protocol and return its result."""
        number = next(self._numbers)
        self._awaited[number] = answer = asyncio.get_running_loop().create_future()
        await self._send(method, number, **parameters)
        async with asyncio.timeout(LOAD_S):
            return await answer

    async def _send(self, method: str, number: int = UNANSWERED, **parameters: Any) -> None:
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(message))

    async def hear(self) -> None:
        """Take what comes, until the browser ends."""
        with suppress(websockets.ConnectionClosed):
            async for text in self._socket:
                told = json.loads(text)
                if told.get("id") == UNANSWERED:
                    continue  # the page may have gone on and want it no more
                if "id" in told:
                    answer = self._awaited.pop(told["id"])
                    if "error" in told:
                        answer.set_exception(AssertionError(told["error"]))
                    else:
                        answer.set_result(told["result"])
                elif told["method"] == "Fetch.requestPaused":
                    await self._stand_in(told["params"])

    async def _stand_in(self, paused: dict[str, Any]) -> None:
        """Answer what Home Assistant would ask the Internet for: the map, the brands of others."""
        request, url = {"requestId": paused["requestId"]}, paused["request"]["url"]
        if "/api/map_tiles/" in url:
            kind = [{"name": "Content-Type", "value": "image/svg+xml"}]
            tile = base64.b64encode(STREETS.encode()).decode()
            given = {"responseCode": 200, "responseHeaders": kind, "body": tile}
            await self._send("Fetch.fulfillRequest", **request, **given)
        elif "/tk103b/" in url:
            await self._send("Fetch.continueRequest", **request)
        else:
            await self._send("Fetch.failRequest", **request, errorReason="AddressUnreachable")

    async def open(self, url: str) -> None:
        """Go to a page of Home Assistant."""
        await self.ask("Page.navigate", url=url)

    async def evaluate(self, script: str) -> Any:
        """Return what an expression comes to on the page."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true there."""
        return await eventually(lambda: self.evaluate(script), within_s=LOAD_S)

    async def shows(self, *words: str) -> None:
        """Wait until all of these stand on the page."""
        await self.until(f"{json.dumps(words)}.every(word => everyText().includes(word))")

    async def photograph(self, file: Path) -> None:
        """Write what is to be seen as a PNG, once every icon is there and nothing moves."""
        await self.until("everyIcon()")
        seen: list[str] = []

        async def still() -> bool:
            await asyncio.sleep(STILL_S)
            taken = await self.ask("Page.captureScreenshot", format="png")
            seen.append(taken["data"])
            return seen[-2:] == [taken["data"]] * 2

        await eventually(still, within_s=LOAD_S)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(seen[-1]))


@asynccontextmanager
async def browsing(hass: HomeAssistant, folder: Path) -> AsyncIterator[Page]:
    """Open a browser that is logged in to a Home Assistant; `folder` is for what it keeps."""
    process = await asyncio.create_subprocess_exec(
        chromium(),
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = folder / "DevToolsActivePort"
        await eventually(lambda: port.exists() and port.read_text())
        listed = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
        [page] = [one for one in await rest("GET", listed) if one["type"] == "page"]
        address = page["webSocketDebuggerUrl"]
        async with websockets.connect(address, proxy=None, max_size=None) as socket:
            opened = Page(socket)
            hearing = asyncio.create_task(opened.hear())
            await _log_in(opened, hass)
            yield opened
            await socket.close()
            await hearing
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _log_in(page: Page, hass: HomeAssistant) -> None:
    """Give the frontend what it would have kept of a log-in."""
    tokens = {
        "hassUrl": hass.url,
        "clientId": f"{hass.url}/",
        "access_token": hass.token,
        "refresh_token": "",
        "token_type": "Bearer",
        "expires_in": 86_400,
        "expires": 4_102_444_800_000,
    }
    kept = f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))});"
    await page.ask("Page.enable")
    await page.ask("Page.addScriptToEvaluateOnNewDocument", source=EYES + kept)
    asked = [{"urlPattern": f"*/api/{path}/*"} for path in ("map_tiles", "brands")]
    await page.ask("Fetch.enable", patterns=asked)
    await page.ask(
        "Emulation.setDeviceMetricsOverride",
        width=1280, height=800, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
