"""A real, headless Home Assistant in a folder of its own, on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually, free_port
from tests.homeassistant.speaking import Conversation, RefusedError, conversation, rest

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "custom_components" / "tk103b"
BLUEPRINTS = ROOT / "examples" / "blueprints"

USER, PASSWORD = "test", "a house of its own"
START_S = 180.0
"""A cold start on a small computer, which compiles all that it imports."""
STOP_S = 60.0
SHOWN_S = 30.0
"""A word of the bridge is shown within a second; a broker that comes back is looked for in ten."""

HOME = (52.5005, 13.4)
"""Where its zone `home` lies, 100 m around; and a street begins, on the map that `browser` has."""

CONFIGURATION = """\
homeassistant:
  name: Home
  latitude: {home[0]}
  longitude: {home[1]}
  elevation: 30
  radius: 100
  time_zone: UTC
  unit_system: metric
  country: DE
  language: en
http:
  server_host: 127.0.0.1
  server_port: {port}
config:
recorder:
history:
logbook:
media_source:
webhook:
automation: !include automations.yaml
logger:
  default: warning
  logs:
    custom_components.tk103b: debug
"""

ONBOARDING = {
    "version": 4,
    "minor_version": 1,
    "key": "onboarding",
    "data": {"done": ["core_config", "analytics", "integration"]},
}
"""All but the first user: `core_config` would set up weather and radio, which ask the Internet."""

COMPLAINT = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")


def interpreter() -> str:
    """Return the Python that has Home Assistant, or skip; where CI runs, that is a failure."""
    chosen = os.environ.get("HOMEASSISTANT_PYTHON") or str(ROOT / ".venv-ha" / "bin" / "python")
    if not os.access(chosen, os.X_OK):
        message = "HOME ASSISTANT IS MISSING, so nothing was proven here. Try: make e2e"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return chosen


class HomeAssistant:
    """A Home Assistant that can be stopped and started again; it keeps what it knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self._python = interpreter()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / ".storage").mkdir(parents=True)
        (folder / ".storage" / "onboarding").write_text(json.dumps(ONBOARDING))
        (folder / "automations.yaml").write_text("[]")
        text = CONFIGURATION.format(home=HOME, port=self.port)
        (folder / "configuration.yaml").write_text(text)

    # --- the process ---

    async def start(self) -> None:
        """Start it and return when it runs: with a user, and with settings that will last."""
        self._launch()
        if not self.token:
            await self._until(self._answers)
            await self._onboard()
        await self._until(self._runs)

    def _launch(self) -> None:
        with (self.folder / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, str(Path(__file__).with_name("kept_at_home.py")),
                 "--config", str(self.folder), "--skip-pip", "--log-no-color"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it as a system does that is shut down."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_S)
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    async def _until(self, condition: Any) -> None:
        async def met() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "console.log").read_text()
            try:
                return bool(await condition())
            except OSError:
                return False

        await eventually(met, within_s=START_S)

    async def _answers(self) -> bool:
        return await rest("GET", f"{self.url}/api/onboarding") is not None

    async def _runs(self) -> bool:
        config = await self.get("config")
        assert not config["recovery_mode"], (self.folder / "console.log").read_text()
        return bool(config["state"] == "RUNNING")

    async def _onboard(self) -> None:
        """Make the first user, and keep the HTTP settings.

        Those of configuration.yaml are on trial only: not promoted, Home Assistant takes them back
        after five minutes and starts again on port 8123 of every address.
        """
        us = self.url + "/"
        user = {"name": "Test", "username": USER, "password": PASSWORD, "language": "en"}
        made = await rest(
            "POST", f"{self.url}/api/onboarding/users", body={"client_id": us, **user}
        )
        code = {"grant_type": "authorization_code", "code": made["auth_code"], "client_id": us}
        given = await rest("POST", f"{self.url}/auth/token", form=code)
        self.token = given["access_token"]
        async with self.talk() as talk:
            # This token is good for half an hour.
            self.token = await talk.ask(
                "auth/long_lived_access_token", client_name="tests", lifespan=1
            )
            if (await talk.ask("http/config"))["pending"] is not None:
                await talk.ask("http/config/promote")
            kept = await talk.ask("http/config")
        assert kept["pending"] is None, kept
        assert kept["stable"]["server_port"] == self.port, kept
        assert kept["stable"]["server_host"] in ("127.0.0.1", ["127.0.0.1"]), kept

    def install(self) -> None:
        """Put the component into its configuration folder, as HACS does, and the blueprints."""
        components = self.folder / "custom_components"
        components.mkdir()
        (components / "tk103b").symlink_to(COMPONENT)
        # No link: in a linked folder it does not look for blueprints.
        shutil.copytree(BLUEPRINTS, self.folder / "blueprints" / "automation" / "tk103b")

    # --- its interfaces ---

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[Conversation]:
        """Open its websocket."""
        async with conversation(self.url, self.token) as talk:
            yield talk

    async def ask(self, kind: str, **fields: Any) -> Any:
        """Send one websocket command and return its result."""
        async with self.talk() as talk:
            return await talk.ask(kind, **fields)

    async def get(self, path: str) -> Any:
        """Read from the REST interface."""
        return await rest("GET", f"{self.url}/api/{path}", token=self.token)

    async def post(self, path: str, body: Any = None) -> Any:
        """Send to the REST interface."""
        return await rest("POST", f"{self.url}/api/{path}", token=self.token, body=body or {})

    async def act(self, action: str, **data: Any) -> Any:
        """Call an action, as ``button.press``."""
        domain, _, name = action.partition(".")
        return await self.post(f"services/{domain}/{name}", data)

    async def answer(self, action: str, **data: Any) -> Any:
        """Call an action and return its response."""
        domain, _, name = action.partition(".")
        told = await self.post(f"services/{domain}/{name}?return_response", data)
        return told["service_response"]

    async def states(self) -> dict[str, dict[str, Any]]:
        """Return every entity's state by entity id."""
        return {state["entity_id"]: state for state in await self.get("states")}

    async def state(self, entity_id: str) -> dict[str, Any]:
        """Return one entity's state."""
        found = await self.get(f"states/{entity_id}")
        assert isinstance(found, dict)
        return found

    async def until(self, entity_id: str, *states: str) -> dict[str, Any]:
        """Wait until an entity is in one of these states (without: in any that is known)."""
        last = "missing"

        async def so() -> dict[str, Any] | None:
            nonlocal last
            try:
                found = await self.state(entity_id)
            except RefusedError:
                return None
            last = found["state"]
            met = last in states if states else last not in ("unknown", "unavailable")
            return found if met else None

        try:
            found = await eventually(so, within_s=SHOWN_S)
        except AssertionError:
            raise AssertionError(f"{entity_id} is {last}, not {states or 'known'}") from None
        assert isinstance(found, dict)
        return found

    async def registry(self, of: str) -> list[dict[str, Any]]:
        """Return the `entity` or `device` registry."""
        found = await self.ask(f"config/{of}_registry/list")
        assert isinstance(found, list)
        return found

    # --- its entries ---

    async def entries(self, domain: str) -> list[dict[str, Any]]:
        """Return the configuration entries of an integration."""
        found = await self.get(f"config/config_entries/entry?domain={domain}")
        assert isinstance(found, list)
        return found

    async def loaded(self, domain: str) -> dict[str, Any]:
        """Wait until the one entry of an integration is loaded."""

        async def so() -> dict[str, Any] | None:
            [entry] = await self.entries(domain)
            return entry if entry["state"] == "loaded" else None

        found = await eventually(so, within_s=START_S)
        assert isinstance(found, dict)
        return found

    async def flow(self, flow: dict[str, Any], *steps: dict[str, Any]) -> dict[str, Any]:
        """Go through a configuration flow: what is filled in, step by step; return its end."""
        for step in steps:
            assert flow["type"] == "form", flow
            flow = await self.post(f"config/config_entries/flow/{flow['flow_id']}", step)
            assert not flow.get("errors"), flow
        return flow

    async def remove(self, entry: dict[str, Any]) -> None:
        """Remove a configuration entry."""
        path = f"{self.url}/api/config/config_entries/entry/{entry['entry_id']}"
        await rest("DELETE", path, token=self.token)

    async def connect(self, port: int) -> None:
        """Add the MQTT integration, connected to a broker of this machine."""
        flow = await self.post("config/config_entries/flow", {"handler": "mqtt"})
        other = {"set_client_cert": False, "set_ca_cert": "off"}
        broker = {"broker": "127.0.0.1", "port": port, "protocol": "5", "other_settings": other}
        made = await self.flow(flow, broker)
        assert made["type"] == "create_entry", made
        await self.loaded("mqtt")

    # --- what it says in its log ---

    def complaints(self, word: str = "tk103b") -> list[str]:
        """Return what was logged at warning or above and names a word, tracebacks included."""
        text = (self.folder / "console.log").read_text()
        records = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", text, flags=re.MULTILINE)
        return [one for one in records if COMPLAINT.match(one) and word in one.lower()]
