"""What is said of a vehicle: exactly the payloads of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bridge import payloads
from bridge.contract import AlarmPayload, Position, State
from bridge.episodes import Ring
from bridge.model import Alarm, Cell, Fix, Report, Status
from bridge.payloads import Place
from bridge.record import Record
from bridge.vehicle import EMPTY, fold, judge
from tests.bridge.sayings import said

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
AGE = timedelta(minutes=10)
PLACE = Place("feed", 7)
FULL = Report(
    device_id="864000000001234",
    protocol="gps103",
    received_at=NOW,
    device_time=NOW - timedelta(seconds=2),
    keyword="help me",
    fix=Fix(
        time=NOW - timedelta(seconds=2), valid=True, latitude=52.52, longitude=13.41,
        speed_kmh=50.0, course_deg=90.0, altitude_m=34.0, hdop=1.2, satellites=9,
    ),
    alarm=Alarm.SOS,
    status=Status(ignition=True, battery_percent=80.0),
    cell=Cell(lac=1, cid=2),
    extra={"utc_offset_min": 60},
)  # fmt: skip


def _record(report: Report = FULL, *, late: bool = False, silent: bool = False) -> Record:
    judged = judge(EMPTY, report, now=NOW, live_age=AGE, silent=silent)
    judged = msgspec.structs.replace(judged, late=late)
    folded = fold(EMPTY, report, judged)
    return Record(report, "tcp", judged, folded.rings, folded.trip)


def _json(payload: object) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(payloads.encode(payload))
    return loaded


def test_position_is_the_last_good_fix() -> None:
    assert payloads.position(EMPTY, PLACE) is None
    position = _json(payloads.position(said(EMPTY, FULL).state, PLACE))
    assert position == {
        "latitude": 52.52,
        "longitude": 13.41,
        "gps_accuracy": 6,
        "fix_time": "2026-05-01T09:59:58Z",
        "received_at": "2026-05-01T10:00:00Z",
        "altitude_m": 34.0,
        "speed_kmh": 50.0,
        "course_deg": 90.0,
        "satellites": 9,
        "epoch": "feed",
        "seq": 7,
    }
    assert set(position) <= set(Position.__annotations__)


def _state(folded: Any, now: datetime = NOW) -> dict[str, Any]:
    return _json(
        payloads.state(
            folded,
            name="Golf",
            link="connected",
            transport="tcp",
            last_seen=NOW,
            now=now,
            place=PLACE,
        )
    )


def test_state_says_everything_known_and_nothing_else() -> None:
    assert set(_state(EMPTY)) == {
        "name", "link", "private", "transport", "last_seen", "alarms", "epoch", "seq",
    }  # fmt: skip
    state = _state(said(EMPTY, FULL).state)
    assert set(state) <= set(State.__annotations__)
    assert state["alarms"]["sos"]["count"] == 1
    assert state["ignition"] is True
    assert state["motion"] is True
    assert state["cell"] == {"lac": 1, "cid": 2}
    assert state["fix_time"] == "2026-05-01T09:59:58Z"
    assert "None" not in json.dumps(state)
    assert "null" not in json.dumps(state)


def test_an_alarm_ends_by_time_in_the_state() -> None:
    folded = said(EMPTY, FULL).state
    assert _state(folded, NOW + timedelta(hours=23))["alarms"]
    assert not _state(folded, NOW + timedelta(hours=25))["alarms"]


def test_alarm_carries_its_place_and_its_age() -> None:
    alarm = _json(payloads.alarm(_record(), Ring(Alarm.SOS, 3), PLACE, late=False))
    assert alarm == {
        "event_type": "sos",
        "time": "2026-05-01T09:59:58Z",
        "received_at": "2026-05-01T10:00:00Z",
        "keyword": "help me",
        "count": 1,
        "late": False,
        "episode": 3,
        "latitude": 52.52,
        "longitude": 13.41,
        "epoch": "feed",
        "seq": 7,
    }
    assert set(alarm) <= set(AlarmPayload.__annotations__)


def test_report_is_the_decoded_one_with_verdict_and_place() -> None:
    report = json.loads(payloads.report(_record(), PLACE, late=False))
    plain = _json(FULL)
    assert {name: report[name] for name in plain} == plain
    assert {name: report[name] for name in set(report) - set(plain)} == {
        "transport": "tcp",
        "late": False,
        "verdict": "ok",
        "epoch": "feed",
        "seq": 7,
    }


def test_age_is_judged_when_a_report_is_published() -> None:
    record = _record()
    assert not payloads.is_late(record, NOW + AGE - timedelta(seconds=3), AGE)
    assert payloads.is_late(record, NOW + AGE, AGE)
    assert payloads.is_late(_record(late=True), NOW, AGE)
    assert payloads.is_late(_record(silent=True), NOW, AGE)
    assert not payloads.is_late_alarm(record, NOW + AGE, AGE)
    assert payloads.is_late_alarm(record, NOW + AGE + timedelta(seconds=1), AGE)
    assert not payloads.is_late_alarm(_record(late=True), NOW, AGE)
