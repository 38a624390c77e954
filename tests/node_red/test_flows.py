"""Each flow of the examples in a real Node-RED, fed by a real bridge over a real broker."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.model import Alarm
from bridge.simulator import AlarmAt
from tests.conftest import eventually
from tests.e2e.conftest import BASE
from tests.node_red.conftest import KEY, NAME, PHONE, VAN, Gateway, House
from tests.node_red.provide import INSTALLED
from tests.node_red.server import BROKER, EXAMPLES, WARNING, Flow

HOME, WORK = (52.46, 13.3), (52.4812, 13.3821)
WAY = ((0, *HOME), (300, *WORK))
"""Five minutes, 6 km."""


def live(minutes: float) -> datetime:
    """So long ago; ten minutes are news."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes)


async def test_the_map_shows_where_the_car_is(house: House) -> None:
    await house.imports(house.flow("live-map"))
    async with house.node_red.map() as first:
        await house.car.drive(*WAY, began=live(8), every_s=30)

        def newest(told: list[Any]) -> Any:
            """The newest position, and the marker made of it."""
            position = house.heard.vehicle(KEY, "position")
            markers = (one for one in told if isinstance(one, dict))
            shown = (one for one in markers if one.get("fix") == position["fix_time"])
            return next(((position, marker) for marker in shown), None)

        await eventually(lambda: newest(first))
        position, shown = newest(first)
        assert position["longitude"] > 13.37
        assert (shown["lat"], shown["lon"]) == (position["latitude"], position["longitude"])
        assert shown["speed"] == f"{position['speed_kmh']:g} kph"
        assert shown["bearing"] == position["course_deg"]
        assert (shown["name"], shown["label"], shown["icon"], shown["ttl"]) == (KEY, NAME, "car", 0)
        page = INSTALLED / "node_modules/node-red-contrib-web-worldmap/README.md"
        known = set(re.findall(r"\w+", " ".join(re.findall(r"\*\*(.+?)\*\*", page.read_text()))))
        assert set(shown) - {"name", "lat", "lon", "fix", "link"} <= known
        async with house.node_red.map() as second:  # somebody else comes, and the car is silent
            await eventually(lambda: newest(second))
            await house.heard.ask("device/private", key=KEY)
            gone = {"name": KEY, "deleted": True}
            await eventually(lambda: gone in first and gone in second)


async def test_an_sos_becomes_one_message(house: House, gateway: Gateway) -> None:
    last_alarm = f"{BASE}/vehicle/{KEY}/last_alarm"
    await house.imports(house.flow("sos-to-message", SEND_TO=gateway.url))
    alarms = (AlarmAt(Alarm.LOW_BATTERY, 2), AlarmAt(Alarm.SOS, 4))
    await house.car.drive(*WAY, began=live(8), every_s=30, alarms=alarms)
    text = await house.sidebar.first("sos-to-message-message")
    assert text.startswith(f"SOS from {NAME}, ")
    rang = await house.heard.until(
        lambda: next(
            (one for one in house.heard.all(last_alarm) if one["event_type"] == "sos"), None
        )
    )
    assert f"?mlat={rang['latitude']}&mlon={rang['longitude']}#" in text
    await eventually(lambda: gateway.taken)
    await house.node_red.press("sos-to-message-button")
    ended = await house.heard.until(
        lambda: [
            told
            for told in house.heard.all(f"{BASE}/bridge/event")
            if told["type"] == "alarm_acknowledged"
        ]
    )
    assert ended[0]["vehicle"] == KEY
    await house.heard.until(lambda: "sos" not in house.heard.vehicle(KEY, "state")["alarms"])
    assert house.sidebar.shown("sos-to-message-message") == gateway.taken == [text]


async def test_the_hours_of_a_day_are_those_with_the_ignition_on(house: House) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = midnight - timedelta(days=1)
    began = yesterday - timedelta(hours=0.5)
    # On for half an hour of the day before, for an hour, off for one, on for a quarter.
    way = ((0, *HOME), (5400, *WORK), (9000, *WORK), (9900, *HOME), (13_500, *HOME))
    await house.imports(house.flow("ignition-hours", PAGE=40))
    await house.car.drive(*way, began=began, every_s=60)
    await house.heard.until(lambda: len(house.heard.all(f"{BASE}/vehicle/{KEY}/history")) >= 226)
    await house.node_red.press("ignition-hours-nightly")
    told = await house.sidebar.first("ignition-hours-result")
    assert (told["vehicle"], told["day"]) == (KEY, yesterday.date().isoformat())
    assert 1.20 <= told["hours"] <= 1.30
    await house.node_red.press(
        "ignition-hours-today", (yesterday - timedelta(days=1)).date().isoformat()
    )
    await eventually(lambda: len(house.sidebar.shown("ignition-hours-result")) == 2)
    assert 0.45 <= house.sidebar.shown("ignition-hours-result")[1]["hours"] <= 0.52
    answers = house.heard.all(f"{BASE}/bridge/response/get_track")
    assert len(answers) > 5
    assert len({answer["transaction"] for answer in answers}) == len(answers)


async def test_arrived_and_left_are_told_once_they_last(house: House) -> None:
    tick, dwell_s = "arrived-and-left-tick", 2
    await house.imports(house.flow("arrived-and-left", DWELL_S=dwell_s))

    async def told(node: str, count: int) -> Any:
        async def ticked() -> bool:
            await house.node_red.press(tick)
            return len(house.sidebar.shown(node)) >= count

        await eventually(ticked)
        return house.sidebar.shown(node)[-1]

    beyond = (WORK[0] + 0.0024, WORK[1])
    away = ((0, *HOME), (60, HOME[0], HOME[1] + 0.01))
    # Of what comes at once the newest is told alone: so it is at home before it drives away.
    await house.car.drive((0, *HOME), (10, HOME[0], HOME[1] + 0.0005), began=live(10), every_s=10)
    await house.heard.topic(f"{BASE}/vehicle/{KEY}/position")
    begun = time.monotonic()
    await house.car.drive(*away, began=live(9), every_s=10)
    left = await told("arrived-and-left-left", 1)
    assert time.monotonic() - begun >= dwell_s
    assert (left["vehicle"], left["zone"], left["event"]) == (KEY, "Home", "left")
    passing = ((0, HOME[0], HOME[1] + 0.01), (120, *WORK), (150, *beyond))
    await house.car.drive(*passing, began=live(7), every_s=10)  # which is no arrival
    await house.car.drive((0, *beyond), (30, *WORK), began=live(3), every_s=10)
    arrived = await told("arrived-and-left-arrived", 1)
    assert (arrived["zone"], arrived["event"]) == ("Work", "arrived")
    assert datetime.fromisoformat(arrived["time"]) >= live(3)
    assert len(house.sidebar.shown("arrived-and-left-left")) == 1


async def test_a_command_comes_back_with_its_result(house: House) -> None:
    call: Flow = [
        {"id": "asker", "type": "tab", "label": "another flow"},
        {"id": "ask", "type": "inject", "z": "asker", "props": [{"p": "payload"}], "payload": "",
         "payloadType": "date", "wires": [["call"]]},
        {"id": "call", "type": "link call", "z": "asker", "linkType": "static", "timeout": "30",
         "links": ["command-with-result-call"], "wires": [["answer"]]},
        {"id": "answer", "type": "debug", "z": "asker", "active": True, "tosidebar": True,
         "complete": "payload", "targetType": "msg", "wires": []},
    ]  # fmt: skip
    flow = house.flow("command-with-result")
    next(node for node in flow if node["type"] == "delay")["timeout"] = "1"
    flow[-1:-1] = call  # so that the broker stays the last
    await house.imports(flow)
    # It drives for as long as it is asked: a report in two real seconds.
    driving = asyncio.create_task(
        house.car.drive(*WAY, began=live(8), every_s=30, speed_up=15.0, count=0)
    )
    await house.heard.until(
        lambda: (house.heard.vehicle(KEY, "state") or {}).get("link") == "connected"
    )
    await house.node_red.press("command-with-result-locate")
    result = await house.sidebar.first("command-with-result-final")
    assert (result["command"], result["status"], result["via"]) == (
        "request_position", "acknowledged", "tcp",
    )  # fmt: skip
    steps = [step["status"] for step in house.heard.all(f"{BASE}/vehicle/{KEY}/command/result")]
    assert steps == ["queued", "sent", "acknowledged"]
    await house.node_red.press("ask", {"vehicle": KEY, "command": "engine_stop"})
    refused = await house.sidebar.first("answer")
    assert (refused["status"], refused["reason"]) == ("refused", "not_enabled")
    await house.node_red.press("ask", {"vehicle": "nobodys", "command": "request_position"})
    await eventually(lambda: len(house.sidebar.shown("answer")) == 2)
    assert house.sidebar.shown("answer")[1]["status"] == "unanswered"
    # One that waits for its tracker longer than we do for the bridge, until it is given up.
    await house.node_red.press("ask", {"vehicle": VAN, "command": "version", "ttl_s": 2})
    await eventually(lambda: len(house.sidebar.shown("answer")) == 3)
    late = house.sidebar.shown("answer")[2]
    assert (late["status"], late["reason"]) == ("timed_out", "not_connected")
    house.car.stop()
    await driving


async def test_the_history_of_a_day_is_whole(house: House) -> None:
    yesterday = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(
        days=1
    )
    await house.imports(house.flow("history-of-a-day", PAGE=7))
    done = await house.car.drive((0, *HOME), (3600, *WORK), began=yesterday, every_s=60)
    assert done.reports == 61
    history = f"{BASE}/vehicle/{KEY}/history"  # one more for the ignition, switched off there
    await house.heard.until(lambda: len(house.heard.all(history)) == 62)
    await house.node_red.press("history-of-a-day-yesterday")
    points = await house.sidebar.first("history-of-a-day-points")
    reports = house.heard.all(history)
    assert [point["seq"] for point in points] == [report["seq"] for report in reports]
    times = [datetime.fromisoformat(point["time"]) for point in points]
    assert times == sorted(times)
    assert abs((times[0] - yesterday).total_seconds()) < 60
    assert abs((times[-1] - yesterday).total_seconds() - 3600) < 120
    assert len(house.heard.all(f"{BASE}/bridge/response/get_track")) > 61 / 7
    await house.node_red.press("history-of-a-day-today")
    await eventually(lambda: len(house.sidebar.shown("history-of-a-day-points")) == 2)
    assert house.sidebar.shown("history-of-a-day-points")[1] == []


async def test_texts_go_both_ways(house: House, gateway: Gateway) -> None:
    token = "a-long-word"  # noqa: S105 - of this test
    settings = {"GATEWAY_TOKEN": token, "GATEWAY_URL": gateway.url}
    await house.imports(house.flow("sms-gateway", **settings))
    # The tracker has no data connection: the command goes by SMS, and its answer comes so.
    command = json.dumps({"command": "request_position", "transaction": "where"})
    await house.heard.client.publish(f"{BASE}/vehicle/{KEY}/command", command, qos=1)
    await eventually(lambda: gateway.taken)
    assert json.loads(gateway.taken[0]) == {"to": PHONE, "text": "fix030s001n123456"}
    stamp = live(0)
    text = f"lat:52.460000 long:13.300000 speed:0.00 T:{stamp:%y/%m/%d %H:%M} Pwr: ON ACC: OFF"
    sms = {"sender": PHONE, "message": text, "receivedStamp": int(stamp.timestamp() * 1000)}
    assert await house.node_red.refusal("POST", "/tk103b/sms", sms) == 401
    assert await house.node_red.refusal("POST", "/tk103b/sms?token=wrong", sms) == 401
    assert (
        await house.node_red.refusal("POST", f"/tk103b/sms?token={token}", {"from": PHONE}) == 400
    )
    answer = await house.node_red.ask("POST", "/tk103b/sms", sms, Authorization=f"Bearer {token}")
    assert answer == {"status": "ok"}
    relayed = {"from": PHONE, "text": text, "time": f"{stamp:%Y-%m-%dT%H:%M:%S}.000Z"}
    assert await house.heard.topic(f"{BASE}/sms/in") == relayed
    position = await house.heard.topic(f"{BASE}/vehicle/{KEY}/position")
    assert (position["latitude"], position["longitude"]) == (52.46, 13.3)
    await house.heard.until(
        lambda: house.heard.vehicle(KEY, "command/result")["status"] == "acknowledged"
    )
    assert house.heard.vehicle(KEY, "command/result")["via"] == "sms"
    assert len(house.heard.all(f"{BASE}/sms/in")) == 1
    # A gateway that does not take a text is told of, without the password in it.
    gateway.status = 500
    unsent = json.dumps({"to": PHONE, "text": "begin123456", "id": "c0ffee"})
    await house.heard.client.publish(f"{BASE}/sms/out", unsent, qos=1)
    refused = await house.sidebar.first("sms-gateway-unsent")
    assert refused == {"to": PHONE, "id": "c0ffee", "error": "the gateway answered 500"}
    await gateway.close()
    await house.heard.client.publish(f"{BASE}/sms/out", unsent, qos=1)
    await eventually(lambda: len(house.sidebar.shown("sms-gateway-unsent")) == 2)
    gone = house.sidebar.shown("sms-gateway-unsent")[1]
    assert (gone["id"], "ECONNREFUSED" in gone["error"]) == ("c0ffee", True)
    assert "123456" not in "".join((*house.sidebar.complaints(WARNING), json.dumps(gone)))


async def test_all_flows_run_beside_each_other(house: House) -> None:
    names = sorted(path.stem for path in EXAMPLES.glob("*.json"))
    await house.imports(*map(house.flow, names))
    running = await house.node_red.ask("GET", "/flows")
    assert sum(node["type"] == "mqtt-broker" for node in running) == 1
    assert {node["id"] for node in running if node["type"] == "tab"} == {*names}
    assert "missing" not in house.node_red.log.read_text()


async def test_the_flow_of_the_page_tells_when_the_car_drives_off(house: House) -> None:
    page = (EXAMPLES.parents[1] / "docs" / "node-red.md").read_text()
    nodes: Flow = json.loads("[" + page.split("```json\n[")[1].split("```")[0])
    for node in nodes:
        node["z"] = "page"
        if node["type"] == "mqtt in":
            node["broker"] = BROKER
    tab = {"id": "page", "type": "tab", "label": "the page"}
    await house.imports([tab, *nodes, house.flow("live-map")[-1]])
    await house.car.drive((0, *HOME), (60, *HOME), (360, *WORK), began=live(8), every_s=30)
    shown = await house.sidebar.first(nodes[-1]["id"])
    assert (shown["name"], shown["motion"]) == (NAME, True)
