"""Raw bytes in, exact reply bytes out, JSON and discovery on a real broker; each protocol, both
transports."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from bridge.protocols.gt06.framing import SHORT, build
from tests.conftest import PATIENCE_S
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener


class Talk(NamedTuple):
    """What a tracker of a protocol says and must hear; a position and an SOS at a time (UTC)."""

    device_id: str
    position: Callable[[datetime], bytes]
    alarm: Callable[[datetime], bytes]
    login: bytes = b""
    welcome: bytes = b""
    heartbeat: bytes = b""
    pulse: bytes = b""
    thanks: Callable[[bytes], bytes] = lambda _: b""
    """What a position is answered with."""
    receipt: Callable[[bytes], bytes] = lambda _: b""
    """What an SOS is answered with."""
    stamp: int = 0
    """How long the clock of the bridge is at the end of both."""


def _said(template: str) -> Callable[[datetime], bytes]:
    return lambda now: template.format(now=now).encode()


def _gt06(kind: int, tail: bytes) -> Callable[[datetime], bytes]:
    """A frame with a fix at 52.52, 13.41 or a thousandth further north for an alarm."""

    def frame(now: datetime) -> bytes:
        north = 52.521 if kind == 0x16 else 52.52
        body = struct.pack(
            ">6BBIIBH",
            *(now.year - 2000, now.month, now.day, now.hour, now.minute, now.second, 0xC9),
            *(round(north * 1.8e6), round(13.41 * 1.8e6), 50, 0x145A),
        )
        return build(SHORT, kind, b"\0\7", body + tail)

    return frame


def _h02_ack(frame: bytes) -> bytes:
    """The stamp of the answer is the clock of the bridge: only what stands before it is known."""
    assert frame.startswith(b"*HQ,864000000004111,V1,")
    return b"*HQ,864000000004111,V4,V1,"


GT06_CELL = bytes.fromhex("010601 1a2b 003c4d".replace(" ", ""))

TALKS = {
    "gps103": Talk(
        device_id="864000000001234",
        login=b"##,imei:864000000001234,A;",
        welcome=b"LOAD",
        position=_said(
            "imei:864000000001234,tracker,{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
            "5231.2000,N,01324.6000,E,27.00,90.50,34.5,1,0,45.16%,,;"
        ),
        alarm=_said(
            "imei:864000000001234,help me,{now:%y%m%d%H%M%S},,F,{now:%H%M%S}.000,A,"
            "5231.2600,N,01324.6000,E,0.00,0,;"
        ),
        receipt=lambda _: b"**,imei:864000000001234,E;",
        heartbeat=b"864000000001234;",
        pulse=b"ON",
    ),
    "tk103": Talk(
        device_id="087000000012",
        login=b"(087000000012BP00000087000000012HSO)",
        welcome=b"(087000000012AP01HSO)",
        position=_said(
            "(087000000012BR00{now:%y%m%d}A5231.2000N01324.6000E050.0{now:%H%M%S}"
            "090.5001000000L00000539)"
        ),
        alarm=_said(
            "(087000000012BO012{now:%y%m%d}A5231.2600N01324.6000E000.0{now:%H%M%S}"
            "000.0001000000L00000539)"
        ),
    ),
    "xexun": Talk(
        device_id="864000000003115",
        position=_said(
            "{now:%y%m%d%H%M%S},,GPRMC,{now:%H%M%S}.000,A,5231.2000,N,01324.6000,E,27.00,90.50,"
            "{now:%d%m%y},,,A*6B,F,, imei:864000000003115,08,34.5,F:4.12V,1,137,30211,262,01,"
            "1A2B,3C4D\n\r"
        ),
        alarm=_said(
            "{now:%y%m%d%H%M%S},,GPRMC,{now:%H%M%S}.000,A,5231.2600,N,01324.6000,E,0.00,0.00,"
            "{now:%d%m%y},,,A*6B,F,help me!, imei:864000000003115,08,34.5,F:4.12V,1,137,30211,262,"
            "01,1A2B,3C4D\n\r"
        ),
    ),
    "h02": Talk(
        device_id="864000000004111",
        login=b"*HQ,864000000004111,V0#",
        welcome=b"*HQ,864000000004111,V0#",
        position=_said(
            "*HQ,864000000004111,V1,{now:%H%M%S},A,5231.2000,N,01324.6000,E,027.00,090,"
            "{now:%d%m%y},FFFFFFFF#"
        ),
        alarm=_said(
            "*HQ,864000000004111,V1,{now:%H%M%S},A,5231.2600,N,01324.6000,E,000.00,090,"
            "{now:%d%m%y},FFFFFFFD#"
        ),
        thanks=_h02_ack,
        receipt=_h02_ack,
        stamp=len("yyyymmddHHMMSS#"),
    ),
    "gt06": Talk(
        device_id="864000000001234",
        login=build(SHORT, 0x01, b"\0\1", bytes.fromhex("0864000000001234")),
        welcome=build(SHORT, 0x01, b"\0\1"),
        heartbeat=build(SHORT, 0x13, b"\0\2", bytes.fromhex("0205040001")),
        pulse=build(SHORT, 0x13, b"\0\2"),
        position=_gt06(0x12, GT06_CELL),
        thanks=lambda _: build(SHORT, 0x12, b"\0\7"),
        alarm=_gt06(0x16, b"\x09" + GT06_CELL + bytes.fromhex("0205040101")),
        receipt=lambda _: build(SHORT, 0x16, b"\0\7"),
    ),
}


def _ago(seconds: int) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


class Datagrams:
    """A tracker on UDP, with the interface of `Tracker`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(PATIENCE_S)

    async def say(self, data: bytes) -> None:
        self._socket.send(data)

    async def hear(self, expected: bytes, more: int = 0) -> None:
        if expected:
            heard = await asyncio.to_thread(self._socket.recv, 2048)
            assert heard[: len(expected)] == expected
            assert len(heard) == len(expected) + more

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

    if talk.login:
        await tracker.say(talk.login)
        await tracker.hear(talk.welcome)
    if talk.heartbeat:
        await tracker.say(talk.heartbeat)
        await tracker.hear(talk.pulse)
    position_frame = talk.position(_ago(5))
    await tracker.say(position_frame)
    await tracker.hear(talk.thanks(position_frame), talk.stamp)
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
    assert report["seq"] == position["seq"]

    alarm_frame = talk.alarm(_ago(1))
    await tracker.say(alarm_frame)
    await tracker.hear(talk.receipt(alarm_frame), talk.stamp)
    alarm = await heard.topic(f"{BASE}/vehicle/golf/alarm")
    assert alarm["event_type"] == "sos"
    assert alarm["late"] is False
    assert alarm["seq"] > report["seq"]
    await heard.until(lambda: "sos" in heard.vehicle("golf", "state")["alarms"])
    state = heard.vehicle("golf", "state")
    assert state["link"] == "connected"
    assert state["protocol"] == protocol
    assert await heard.topic(f"{BASE}/vehicle/golf/last_alarm") == alarm

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
