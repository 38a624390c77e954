"""What was committed is published, whatever happens to the bridge in between."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

from tests.conftest import Mosquitto, eventually
from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, listening

ID = "864000000001234"


def _position(number: int, start: datetime) -> bytes:
    at = start + timedelta(seconds=number)
    return (
        f"imei:{ID},tracker,{at:%y%m%d%H%M%S},,F,{at:%H%M%S}.000,A,"
        f"5231.{number:04d},N,01324.6000,E,27.00,90.50;"
    ).encode()


async def test_a_kill_in_mid_stream_loses_no_committed_report(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    """`help me` is answered after its commit, so each receipt is a report that must appear."""
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    start = datetime.now(UTC) - timedelta(minutes=5)
    tracker = await dial()
    answered = 0
    for number in range(60):
        await tracker.say(_position(number, start).replace(b",tracker,", b",help me,"))
        await tracker.hear(f"**,imei:{ID},E;".encode())
        answered += 1
        if number == 40:
            # More is on its way, answered by nobody: it may or may not be on disk.
            await tracker.say(b"".join(_position(more, start) for more in range(100, 140)))
            bridge.stop(signal.SIGKILL)
            break
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "offline")
    bridge.start()
    await heard.until(lambda: heard.all(f"{BASE}/bridge/state").count("online") == 2)

    def everything_heard() -> bool:
        seqs = {
            report["seq"]
            for leaf in ("report", "history")
            for report in heard.all(f"{BASE}/vehicle/golf/{leaf}")
            if report.get("type") == "report"
        }
        return len(seqs) >= answered and seqs == set(range(1, max(seqs) + 1))

    await heard.until(everything_heard)

    async def nothing_left() -> bool:
        health = await heard.ask("health_check")
        return health["data"]["journal_lag"]["mqtt"] == 0

    await eventually(nothing_left)
    epochs = {report["epoch"] for report in heard.all(f"{BASE}/vehicle/golf/report")}
    assert len(epochs) == 1


async def test_a_broker_outage_loses_nothing(
    bridge: BridgeProcess, heard: Listener, dial: Dial, mosquitto: Mosquitto
) -> None:
    """What is taken while nobody listens is published in order, once the broker is back."""
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    start = datetime.now(UTC) - timedelta(minutes=5)
    tracker = await dial()
    await tracker.say(_position(0, start))
    await heard.until(lambda: len(heard.all(f"{BASE}/vehicle/golf/report")) == 1)
    mosquitto.stop()
    await tracker.say(b"".join(_position(number, start) for number in range(1, 300)))
    await tracker.say(f"{ID};".encode())
    await tracker.hear(b"ON")  # answered after what came before it was committed
    mosquitto.start()
    async with listening(mosquitto.port) as again:
        await again.until(lambda: len(again.all(f"{BASE}/vehicle/golf/report")) >= 299)
        seqs = [report["seq"] for report in again.all(f"{BASE}/vehicle/golf/report")]
        assert sorted(set(seqs)) in (list(range(1, 301)), list(range(2, 301)))
        assert seqs == sorted(seqs)
        await again.until(lambda: again.vehicle("golf", "position")["seq"] == 300)


async def test_old_news_is_told_as_history(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    """An upload of stored points moves nothing live, and an old SOS says that it is late."""
    bridge.command("accept", ID, "--name", "Golf")
    bridge.start()
    await bridge.listening()
    tracker = await dial()
    now = datetime.now(UTC)
    await tracker.say(_position(1, now - timedelta(seconds=2)))
    position = await heard.topic(f"{BASE}/vehicle/golf/position")
    old = now - timedelta(hours=3)
    await tracker.say(b"imei:%s,load,,,L,;" % ID.encode())
    await tracker.say(_position(2, old) + _position(3, old).replace(b",tracker,", b",help me,"))
    await tracker.hear(f"**,imei:{ID},E;".encode())
    await tracker.say(b"imei:%s,qt,,,L,;" % ID.encode())

    def told() -> bool:
        return len(heard.all(f"{BASE}/vehicle/golf/history")) >= 3

    await heard.until(told)
    history = heard.all(f"{BASE}/vehicle/golf/history")
    assert [told.get("seq") for told in history] == [3, 4, 4]
    assert all(told["late"] for told in history)
    assert history[2]["event_type"] == "sos"
    alarm = await heard.topic(f"{BASE}/vehicle/golf/alarm")
    assert alarm["late"] is True
    assert await heard.topic(f"{BASE}/vehicle/golf/last_alarm") == alarm
    await tracker.say(_position(4, now - timedelta(seconds=2)))
    await heard.until(lambda: heard.vehicle("golf", "position")["seq"] == 6)
    seqs = [told["seq"] for told in heard.all(f"{BASE}/vehicle/golf/position")]
    assert seqs == [position["seq"], 6]
