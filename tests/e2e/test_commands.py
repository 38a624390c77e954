"""Commands as people give them: on a topic, by request, on the command line; SMS both ways."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import BASE, BridgeProcess, Dial, Listener, Tracker
from tests.e2e.faults.clock import FalseClock
from tests.e2e.speech import serving
from tests.e2e.test_vehicle_requests import _connected, _report

ID = "864000000001234"
COMMAND = f"{BASE}/vehicle/golf/command"
RESULT = f"{COMMAND}/result"


def _word(word: str) -> bytes:
    return f"**,imei:{ID},{word}".encode()


async def _tell(heard: Listener, payload: Any, **options: Any) -> None:
    body = payload if isinstance(payload, str) else json.dumps(payload)
    await heard.client.publish(COMMAND, body, qos=1, **options)


async def _ended(heard: Listener, **wanted: Any) -> dict[str, Any]:
    def found() -> Any:
        for result in heard.all(RESULT):
            if result["final"] and wanted.items() <= result.items():
                return result
        return None

    try:
        ended: dict[str, Any] = await heard.until(found)
    except AssertionError:
        raise AssertionError(heard.all(RESULT)) from None
    return ended


async def _known(bridge: BridgeProcess, heard: Listener, dial: Dial) -> Tracker:
    tracker = await _connected(bridge, heard, dial)
    await tracker.say(_report(1))
    await heard.until(lambda: "arm" in _row(heard).get("commands", ()))
    return tracker


def _row(heard: Listener) -> dict[str, Any]:
    devices = heard.latest(f"{BASE}/bridge/devices") or {"vehicles": [{}]}
    row: dict[str, Any] = devices["vehicles"][0]
    return row


async def test_a_word_on_a_topic_a_request_and_the_command_line(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    tracker = await _known(bridge, heard, dial)
    await _tell(heard, "request_position")
    await tracker.hear(_word("B"))
    await tracker.say(_report(2))
    ended = await _ended(heard, command="request_position")
    assert [one["status"] for one in heard.all(RESULT)] == ["queued", "sent", "acknowledged"]
    assert ended["answer"] == "tracker"
    assert {"epoch", "seq", "at", "id"} < ended.keys()

    await _tell(heard, {"command": "set_interval", "seconds": 60, "transaction": "a"})
    await tracker.hear(_word("C,01m"))
    await tracker.say(_report(3))
    await _ended(heard, transaction="a", status="acknowledged")

    answer = await heard.ask("device/command", key="golf", command="arm", by="a test")
    assert (answer["status"], answer["data"]["status"]) == ("ok", "queued")
    await tracker.hear(_word("L"))
    await tracker.say(_report(4, "lt"))
    await _ended(heard, transaction=answer["transaction"], status="acknowledged")
    await heard.until(lambda: heard.vehicle("golf", "state").get("armed") is True)

    typed = asyncio.create_task(
        asyncio.to_thread(bridge.command, "send", "golf", "speed_limit", "kmh=90")
    )
    await tracker.hear(_word("H,090"))
    await tracker.say(_report(5, "ht"))
    done = await typed
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "speed_limit: acknowledged: ht"
    assert "on the command line" in bridge.log.read_text()


async def test_what_is_wrong_with_a_command_is_said(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    await _known(bridge, heard, dial)
    for payload, words in (
        ("fly", "there is no such command"),
        ({"command": "set_interval"}, "required field `seconds`"),
        ({"command": "time_zone", "offset": 60}, "unknown field `offset`"),
        ("{", "truncated"),
        ({"command": ["arm"]}, "there is no such command"),
        ({"command": "arm", "transaction": 2**64}, "transaction must be"),
    ):
        before = len(heard.all(RESULT))
        await _tell(heard, payload)
        await heard.until(lambda before=before: len(heard.all(RESULT)) > before)
        result = heard.latest(RESULT)
        assert (result["status"], result["reason"]) == ("refused", "bad_command")
        assert words in result["error"]
    await _tell(heard, "engine_stop")
    assert (await _ended(heard, command="engine_stop"))["reason"] == "not_enabled"
    assert (await heard.ask("device/command", key="nobody", command="arm"))["status"] == "error"
    done = await asyncio.to_thread(bridge.command, "send", "golf", "engine_stop")
    assert (done.returncode, done.stdout) == (1, "engine_stop: refused: not_enabled\n")


async def test_a_retained_command_is_refused_and_a_repeat_is_one(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    await _tell(heard, "reboot", retain=True)
    tracker = await _known(bridge, heard, dial)
    await _tell(heard, "arm", retain=True)  # also while the bridge runs
    await heard.until(lambda: heard.latest(COMMAND) == "")
    wish = {"command": "disarm", "transaction": 1}
    await _tell(heard, wish)
    await tracker.hear(_word("M"))
    bridge.stop()
    bridge.start()
    await heard.until(lambda: heard.all(f"{BASE}/bridge/state").count("online") == 2)
    await _tell(heard, wish)
    await _tell(heard, {"command": "request_position"})
    again = await dial()
    await again.say(f"##,imei:{ID},A;".encode())
    await again.say(_report(6, "mt"))
    # Sent before the restart it is still on its way, and its answer ends it; then the next.
    await again.hear(b"LOAD" + _word("B"))
    assert "reboot" not in json.dumps(heard.all(RESULT))


async def test_by_text_message_where_the_connection_is_gone(
    bridge: BridgeProcess, heard: Listener
) -> None:
    bridge.environment |= {
        "TK103B__VEHICLES__GOLF__TRACKERS": ID,
        "TK103B__VEHICLES__GOLF__PHONE": "+49 151 00000042",
        "TK103B__VEHICLES__GOLF__PASSWORD": "246810",
    }
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    now = datetime.now(UTC)
    text = (
        "help me!\nlat:52.520001\nlong:13.410002\nspeed:0.00\n"
        f"T:{now:%y/%m/%d %H:%M}\nhttp://maps.google.com/maps?f=q&q=52.520001,13.410002&z=16\n"
        "Pwr: ON Door: OFF ACC: OFF"
    )
    texts = f"{BASE}/sms/in"
    await heard.client.publish(texts, json.dumps({"from": "0151 0000 0099", "text": text}), qos=1)
    await heard.client.publish(texts, "not even JSON", qos=1)
    await heard.client.publish(texts, json.dumps({"from": "+4915100000042", "text": text}), qos=1)
    alarm = await heard.until(lambda: heard.vehicle("golf", "alarm"))
    assert (alarm["event_type"], alarm["latitude"]) == ("sos", 52.520001)
    state = await heard.until(
        lambda: (
            (heard.vehicle("golf", "state") or {}).get("transport") == "sms"
            and heard.vehicle("golf", "state")
        )
    )
    assert state["external_power"] is True
    assert (await heard.until(lambda: heard.vehicle("golf", "position")))["longitude"] == 13.410002
    assert len(heard.all(f"{BASE}/vehicle/golf/alarm")) == 1

    await _tell(heard, "engine_resume")
    sent = await heard.until(
        lambda: next((one for one in heard.all(f"{BASE}/sms/out") if "resume" in one["text"]), None)
    )
    assert (sent["to"], sent["text"]) == ("+4915100000042", "resume246810")
    answer = {"from": "+4915100000042", "text": "Resume engine Succeed"}
    await heard.client.publish(texts, json.dumps(answer), qos=1)
    ended = await _ended(heard, command="engine_resume", status="acknowledged")
    assert (ended["via"], ended["id"]) == ("sms", sent["id"])
    await _tell(heard, "engine_stop")
    assert (await _ended(heard, command="engine_stop"))["reason"] == "not_enabled"
    log = bridge.log.read_text()
    assert not any(secret in log for secret in ("246810", "00000042", "0000 0099", "52.52"))


async def test_where_an_old_command_cannot_be_told_from_a_new_one_nothing_dangerous_is_obeyed(
    bridge: BridgeProcess, heard: Listener, dial: Dial
) -> None:
    bridge.environment |= {
        "TK103B__MQTT__PROTOCOL": "3.1.1",
        "TK103B__VEHICLES__GOLF__TRACKERS": ID,
        "TK103B__VEHICLES__GOLF__COMMANDS__RAW": "true",
    }
    bridge.start()
    await bridge.listening()
    await heard.until(lambda: heard.latest(f"{BASE}/bridge/state") == "online")
    tracker = await dial()
    await tracker.say(f"##,imei:{ID},A;".encode() + _report(1))
    await tracker.hear(b"LOAD")
    await _tell(heard, {"command": "raw", "text": "B"})
    assert (await _ended(heard, command="raw"))["reason"] == "needs_mqtt_5"
    await _tell(heard, "request_position")
    await tracker.hear(_word("B"))


class _Network:
    """Mobile data between a tracker and the bridge, which can be lost."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._open = True
        self._ends: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def spanned(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._carry, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield
            self.lose()

    def lose(self) -> None:
        self._open = False
        for end in self._ends:
            end.transport.abort()

    def restore(self) -> None:
        self._open = True

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._ends.append(back)
        if not self._open:
            back.transport.abort()
            return
        far, on = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._ends.append(on)
        await asyncio.gather(_pour(near, on), _pour(far, back), return_exceptions=True)


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    while data := await source.read(4096):
        into.write(data)
    into.close()


async def _gaps(bridge: BridgeProcess) -> Any:
    asked = ("gaps", "golf", "--from", "2h", "--to", "2099-01-01", "--json")
    done = await asyncio.to_thread(bridge.command, *asked)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


UNSEEN = timedelta(minutes=13)
SEEN = timedelta(minutes=10)
"""At most, before that: a slow machine has six seconds to lose it."""
FASTER = 100
"""So often the tracker's time goes by."""


@asynccontextmanager
async def _driving(bridge: BridgeProcess, port: int) -> AsyncIterator[None]:
    """Have a car with a memory card drive from a while ago, at its pace, to now and beyond."""
    clock = FalseClock(bridge.folder)
    clock.step(-UNSEEN - SEEN)
    driving = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "simulate", "--port", str(port), "--id", ID),
        *("--card", "--attempts", "0", "--utc-offset", "0", "--start", "192"),
        *("--interval", "30", "--heartbeat", "9999", "--speed-up", str(FASTER)),
        env=bridge.environment | clock.environment(),
    )
    try:
        yield
    finally:
        driving.terminate()
        await driving.wait()


async def test_data_is_lost_it_texts_data_is_back_and_the_card_fills_the_gap(
    bridge: BridgeProcess, heard: Listener
) -> None:
    bridge.environment |= {
        "TK103B__VEHICLES__GOLF__TRACKERS": ID,
        "TK103B__VEHICLES__GOLF__PHONE": "+4915100000042",
    }
    await serving(bridge, heard)
    network = _Network(bridge.port)
    async with network.spanned(), _driving(bridge, network.port):
        history = f"{BASE}/vehicle/golf/history"
        await heard.until(lambda: len(heard.all(history)) >= 2)
        network.lose()
        unseen = datetime.now(UTC) - datetime.fromisoformat(heard.latest(history)["fix"]["time"])
        assert unseen > UNSEEN
        over = asyncio.get_running_loop().time() + unseen.total_seconds() / FASTER
        await heard.until(lambda: heard.vehicle("golf", "state")["link"] != "connected")
        assert (await _gaps(bridge))["gaps"] == []

        text = f"lat:52.456501\nlong:13.330002\nspeed:40.00\nT:{datetime.now(UTC):%y/%m/%d %H:%M}"
        relayed = json.dumps({"from": "+4915100000042", "text": text})
        await heard.client.publish(f"{BASE}/sms/in", relayed, qos=1)
        position = await heard.until(lambda: heard.vehicle("golf", "position"))
        assert (position["latitude"], position["longitude"]) == (52.456501, 13.330002)
        await heard.until(lambda: heard.vehicle("golf", "state")["transport"] == "sms")

        await heard.until(lambda: asyncio.get_running_loop().time() > over)
        network.restore()
        await heard.until(lambda: heard.vehicle("golf", "state")["link"] == "connected")
        found = await _gaps(bridge)
        (gap,) = found["gaps"]
        assert gap["distance_km"] > 1
        for day in found["days"]:  # two, if it is midnight
            done = await asyncio.to_thread(
                bridge.command, "send", "golf", "upload_log", f"day={day}"
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines()[-1] == "upload_log: acknowledged: qt"
        assert await _gaps(bridge) == {"gaps": [], "days": []}
    uploads = [event for event in heard.all(f"{BASE}/bridge/event") if event["type"] == "upload"]
    assert {event["day"] for event in uploads} == set(found["days"])
    assert uploads[-1]["done"]
    assert sum(event["points"] for event in uploads if event["done"]) > UNSEEN / timedelta(
        seconds=30
    )
