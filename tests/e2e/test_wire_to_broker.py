"""Raw bytes in, exact reply bytes out, JSON and discovery on a real broker; each protocol, both
transports."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from tests.conftest import PATIENCE_S
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener


class Talk(NamedTuple):
    """What a tracker of a protocol says and must hear; `{}` fields are filled with the time."""

    device_id: str
    login: bytes
    welcome: bytes
    position: str
    alarm: str
    receipt: bytes
    heartbeat: bytes = b""
    pulse: bytes = b""


TALKS = {
    "gps103": Talk(
        device_id="864000000001234",
        login=b"##,imei:864000000001234,A;",
        welcome=b"LOAD",
        position="imei:864000000001234,tracker,{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
        "5231.2000,N,01324.6000,E,27.00,90.50,34.5,1,0,45.16%,,;",
        alarm="imei:864000000001234,help me,{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
        "5231.2600,N,01324.6000,E,0.00,0,;",
        receipt=b"**,imei:864000000001234,E;",
        heartbeat=b"864000000001234;",
        pulse=b"ON",
    ),
    "tk103": Talk(
        device_id="087000000012",
        login=b"(087000000012BP00000087000000012HSO)",
        welcome=b"(087000000012AP01HSO)",
        position="(087000000012BR00{now:%y%m%d}A5231.2000N01324.6000E050.0{now:%H%M%S}"
        "090.5001000000L00000539)",
        alarm="(087000000012BO012{now:%y%m%d}A5231.2600N01324.6000E000.0{now:%H%M%S}"
        "000.0001000000L00000539)",
        receipt=b"",
    ),
}


def _frame(template: str, ago_s: int) -> bytes:
    return template.format(now=datetime.now(UTC) - timedelta(seconds=ago_s)).encode()


class Datagrams:
    """A tracker on UDP, with the interface of `Tracker`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(PATIENCE_S)

    async def say(self, data: bytes) -> None:
        self._socket.send(data)

    async def hear(self, expected: bytes) -> None:
        assert await asyncio.to_thread(self._socket.recv, 2048) == expected

    async def leave(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("protocol", TALKS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_tracker_reports(
    protocol: str, transport: str, bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    talk = TALKS[protocol]
    accepted = bridge.command("accept", talk.device_id, "--name", "Golf")
    assert accepted.stdout == f"Accepted {talk.device_id} as Golf (key golf).\n", accepted
    bridge.start()
    await bridge.listening()
    tracker = await dial() if transport == "tcp" else Datagrams(bridge.port)

    await tracker.say(talk.login)
    await tracker.hear(talk.welcome)
    if talk.heartbeat:
        await tracker.say(talk.heartbeat)
        await tracker.hear(talk.pulse)
    await tracker.say(_frame(talk.position, 5))
    position = await heard.topic(f"{BASE}/vehicle/golf/position")
    assert position["latitude"] == pytest.approx(52.52)
    assert position["longitude"] == pytest.approx(13.41)
    assert position["speed_kmh"] == pytest.approx(50.0)
    assert position["gps_accuracy"] > 0
    report = await heard.topic(f"{BASE}/vehicle/golf/report")
    assert report["device_id"] == talk.device_id
    assert report["protocol"] == protocol
    assert report["transport"] == transport
    assert report["verdict"] == "ok"
    assert report["seq"] == position["seq"] == 1

    await tracker.say(_frame(talk.alarm, 1))
    if talk.receipt:
        await tracker.hear(talk.receipt)
    alarm = await heard.topic(f"{BASE}/vehicle/golf/alarm")
    assert alarm["event_type"] == "sos"
    assert alarm["late"] is False
    assert alarm["seq"] == 2
    await heard.until(lambda: "sos" in heard.vehicle("golf", "state")["alarms"])
    state = heard.vehicle("golf", "state")
    assert state["link"] == "connected"
    assert state["protocol"] == protocol
    assert heard.vehicle("golf", "last_alarm") == alarm

    def shows_ignition() -> bool:
        payload = heard.latest(f"homeassistant/device/{BASE}_golf/config")
        return payload is not None and "sos_alarm" in payload["components"]

    await heard.until(shows_ignition)
    payload = heard.latest(f"homeassistant/device/{BASE}_golf/config")
    ignition = payload["components"]["ignition"]
    assert ignition["unique_id"] == f"{BASE}_golf_ignition"
    assert ignition["default_entity_id"] == "binary_sensor.golf_ignition"
    assert payload["components"]["tracker"]["default_entity_id"] == "device_tracker.golf"
    await tracker.leave()
    assert bridge.stop() == 0
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "offline")
