"""The port lies open to the internet: strangers knock in every way, and the car reports on."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from datetime import UTC, datetime, timedelta

from tests.conftest import eventually
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker

ID = "864000000001234"
ROUNDS = 40
SCANS = (
    b"GET / HTTP/1.1\r\nHost: 192.0.2.7:8888\r\n\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo\r\n\r\n",
    hashlib.shake_128(b"noise").digest(400),
)


def _position(number: int) -> bytes:
    at = datetime.now(UTC) - timedelta(minutes=5) + timedelta(seconds=number)
    return (
        f"imei:{ID},help me,{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
        f"5231.{number:04d},N,01324.6000,E,27.00,90.50;"
    ).encode()


async def _scan(dial: Dial) -> None:
    for scan in SCANS * (ROUNDS // len(SCANS)):
        tracker = await dial()
        await tracker.say(scan)
        assert await tracker.hung_up()


async def _flood(port: int) -> None:
    """Send made-up ids and noise from many ports, as fast as it goes."""
    for number in range(ROUNDS):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            for _ in range(25):
                sender.sendto(f"8640000002{number:05d};".encode(), ("127.0.0.1", port))
                sender.sendto(SCANS[number % len(SCANS)], ("127.0.0.1", port))
        await asyncio.sleep(0)


async def _hold_places(dial: Dial) -> list[Tracker]:
    """Take more places than there are, and leave frames unfinished."""
    held = [await dial() for _ in range(60)]
    for tracker in held[::2]:
        await tracker.say(b"##,imei:8640")
    return held


async def test_strangers_leave_no_trace_and_take_nothing_from_the_car(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    car = await dial()
    await car.say(f"##,imei:{ID},A;".encode())
    await car.hear(b"LOAD")
    before = (await heard.ask("health_check"))["data"]

    async def drive() -> None:
        for number in range(ROUNDS):
            await car.say(_position(number))
            await car.hear(f"**,imei:{ID},E;".encode())

    await asyncio.gather(drive(), _scan(dial), _flood(bridge.port), _hold_places(dial))
    await drive()

    async def all_published() -> bool:
        reports = heard.all(f"{BASE}/vehicle/golf/report")
        return len({report["seq"] for report in reports}) == 2 * ROUNDS

    await eventually(all_published)
    after = (await heard.ask("health_check"))["data"]
    assert after["rejected"] >= ROUNDS
    assert after["refused"] > 0
    assert after["connections"] <= 50 + 200
    assert after["rss_mb"] - before["rss_mb"] < 30
    assert after["guests"] <= 20
    vehicles = {topic.split("/")[2] for topic, _, _ in heard.messages if "/vehicle/" in topic}
    assert vehicles == {"golf"}
    found = {topic for topic, _, _ in heard.messages if topic.startswith("homeassistant/device/")}
    assert found == {f"homeassistant/device/{BASE}_{name}/config" for name in ("golf", "bridge")}
    kinds = [event["type"] for event in heard.all(f"{BASE}/bridge/event")]
    assert kinds.count("connected") == 1
    assert "disconnected" not in kinds
    assert bridge.stop() == 0
    log = bridge.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 30
