"""The port lies open to the internet: strangers knock in every way, and the car reports on."""

from __future__ import annotations

import asyncio
import hashlib
import random
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest

from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
from tests.conftest import PATIENCE_S, eventually
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker

ID = "864000000001234"
TRACKERS = tuple(f"8640000000020{number:02d}" for number in range(20))
CROWD = 5000
ILLEGAL = (
    *(
        "",
        " ",
        "..",
        "../../etc/passwd",
        "a/b",
        "+",
        "#",
        '"',
        "<b>1</b>",
        "${jndi}",
        "%00",
        "\xb2",
    ),
    *("'; DROP TABLE report; --", "1\0" * 7, "864000000000\0\n1", "8" * 33),
)
FORMS = (
    "##,imei:{id},A;",
    "imei:{id},tracker,261122120000,,F,120000.000,A,5231.0000,N,01324.6000,E,0,0;",
    "{id};",
    "({id}BP05261122A5231.0000N01324.6000E000.0120000000.0000000000L00000000)",
    "*HQ,{id},V1,120000,A,5231.0000,N,01324.6000,E,0,0,221126,FFFFFFFF#",
    "261122120000,,GPRMC,120000.000,A,5231.0000,N,01324.6000,E,0,0,221126,,,A*6A,F,,imei:{id},\n",
)
"""What trackers say, of four protocols."""
ROUNDS = 40
SCANS = (
    b"GET / HTTP/1.1\r\nHost: 192.0.2.7:8888\r\n\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo\r\n\r\n",
    hashlib.shake_128(b"noise").digest(400),
)


def _position(number: int, tracker: str = ID) -> bytes:
    at = datetime.now(UTC) - timedelta(minutes=5) + timedelta(seconds=number)
    return (
        f"imei:{tracker},help me,{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
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


# --- no trace -------------------------------------------------------------------------------------


def _probes() -> list[bytes]:
    """Return what scanners send first, and what trackers say with ids that are none."""
    cookie = b"Cookie: mstshash=hello\r\n\1\0\x08\0\3\0\0\0"
    chance = random.Random(8888)  # noqa: S311 - the same noise each time
    return [
        *SCANS,
        b"\3\0\0" + bytes([len(cookie) + 11, len(cookie) + 6]) + b"\xe0\0\0\0\0\0" + cookie,
        b"\r\n\r\n",
        b"HELP\r\n",
        b"\0\x1e\0\6\1\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3",
        b"\0\0\0\xa4\xffSMB" + bytes(160),
        b"TNMP\4\0\0\0TNME\0\0\4\0",
        b"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x16\3\0\0S\1\0\0O\3\0" + chance.randbytes(70),
        *(chance.randbytes(chance.randrange(1, 400)) for _ in range(10)),
        *(form.format(id=one).encode() for one in ILLEGAL for form in FORMS),
    ]


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", FORMS)
def test_with_an_id_these_would_be_understood(form: str) -> None:
    connection = Connection(PROTOCOLS, datagrams=True)
    connection.receive_data(form.format(id=ID[:15]).encode())
    assert all(isinstance(event, Received) for event in connection.events(datetime.now(UTC)))


async def test_scanners_and_impossible_ids_leave_nothing_behind(
    bridge: BridgeProcess, heard: Listener
) -> None:
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    before = (await heard.ask("health_check"))["data"]
    sizes, topics = _sizes(bridge.folder / "data"), {topic for topic, _, _ in heard.messages}
    lines = len(bridge.log.read_text().splitlines())
    probes = _probes()
    for probe in probes * 3:
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(probe)
        writer.close()
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(probe, ("127.0.0.1", bridge.port))

    async def all_gone() -> dict[str, int] | None:
        health = (await heard.ask("health_check"))["data"]
        busy = health["rejected"] < len(probes) or health["connections"]
        return None if busy else health

    after = await eventually(all_gone)
    assert isinstance(after, dict)
    assert after["guests"] == 0
    assert after["rss_mb"] - before["rss_mb"] < 10
    assert _sizes(bridge.folder / "data") == sizes
    assert {topic for topic, _, _ in heard.messages} - topics <= {f"{BASE}/bridge/health"}
    log = bridge.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) - lines <= 3
    assert bridge.stop() == 0


# --- five thousand --------------------------------------------------------------------------------


@asynccontextmanager
async def _crowd(port: int) -> AsyncIterator[None]:
    """Have five thousand strangers connected, as far as they are let in, and dialling again."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.e2e.crowd",
        str(port),
        str(CROWD),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(4 * PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n"
        yield
        assert process.returncode is None
    finally:
        process.kill()
        await process.wait()


async def _timed(tracker: Tracker, said: bytes, answer: bytes) -> float:
    start = time.perf_counter()
    await tracker.say(said)
    await tracker.hear(answer)
    return time.perf_counter() - start


async def _beats(trackers: dict[str, Tracker], times: int) -> list[float]:
    """Return how long the answers to heartbeats take."""
    return [
        await _timed(tracker, f"{device_id};".encode(), b"ON")
        for _ in range(times)
        for device_id, tracker in trackers.items()
    ]


async def _joins(dial: Dial, device_id: str) -> tuple[Tracker, float]:
    """Connect, log in, and have an SOS confirmed, so on disk; return how long it took."""
    start = time.perf_counter()
    tracker = await dial()
    await tracker.say(f"##,imei:{device_id},A;".encode())
    await tracker.hear(b"LOAD")
    await tracker.say(_position(0, device_id))
    await tracker.hear(f"**,imei:{device_id},E;".encode())
    return tracker, time.perf_counter() - start


async def test_five_thousand_strangers_leave_room_for_the_trackers(
    bridge: BridgeProcess, heard: Listener, dial: Dial, capsys: pytest.CaptureFixture[str]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CROWD + 200:
        pytest.skip("this system lets no process open so many connections")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    for device_id in TRACKERS:
        assert (await heard.ask("device/accept", id=device_id))["status"] == "ok"
    there, late = TRACKERS[:10], TRACKERS[10:]
    joined = {device_id: await _joins(dial, device_id) for device_id in there}
    trackers = {device_id: tracker for device_id, (tracker, _) in joined.items()}
    calm = await _beats(trackers, 20)
    async with _crowd(bridge.port):
        health = (await heard.ask("health_check"))["data"]
        assert 900 <= health["connections"] <= 1000
        stormy = await _beats(trackers, 20)
        joining = {device_id: await _joins(dial, device_id) for device_id in late}
        trackers |= {device_id: tracker for device_id, (tracker, _) in joining.items()}
        await _beats(trackers, 2)
        after = (await heard.ask("health_check"))["data"]
    before_s = median(seconds for _, seconds in joined.values())
    during_s = [seconds for _, seconds in joining.values()]
    with capsys.disabled():
        sys.stdout.write(
            f"\nheartbeat answered in {1000 * median(calm):.2f} ms, among {CROWD} strangers in "
            f"{1000 * median(stormy):.2f} (worst {1000 * max(stormy):.0f}): "
            f"ratio {median(stormy) / median(calm):.1f}\n"
            f"login and SOS confirmed in {1000 * before_s:.1f} ms, among them in "
            f"{1000 * median(during_s):.1f} (worst {1000 * max(during_s):.0f}): "
            f"ratio {median(during_s) / before_s:.1f}\n"
            f"memory {health['rss_mb']} MB, then {after['rss_mb']}\n"
        )
    assert max(*stormy, *during_s) < 5
    assert after["connections"] <= 1000
    assert after["guests"] <= 20
    kinds = [event["type"] for event in heard.all(f"{BASE}/bridge/event")]
    assert kinds.count("connected") == len(TRACKERS)
    assert "disconnected" not in kinds
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log.read_text()
