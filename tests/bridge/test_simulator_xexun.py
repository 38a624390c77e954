"""The simulated tracker that speaks xexun."""

from __future__ import annotations

import pytest

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL
from bridge.simulator.languages import language
from bridge.simulator.route import Place
from bridge.simulator.tracker import Happening
from tests.bridge.simulated import DRIVING, STANDING, decode, reports, tracker

XEXUN = language("xexun")


def test_lines_in_full():
    box = tracker(XEXUN, utc_offset_minutes=-210)
    box.place = Place(-8.5, 120.75, 31.5, 92.6, 7.25, 12.5, ignition=True, door_open=False)
    assert XEXUN.report(box, "help me!") == (
        b"260301065030,+15550100103,GPRMC,102030.000,A,0830.0000,S,12045.0000,E,50.00,7.25,010326,"
        b",,A*49,F,help me!, imei:864000000000104,08,31.5,F:4.16V,1,146,20631,262,01,1A2B,3C4D\n\r"
    )
    box.has_fix = False
    assert XEXUN.report(box, INTERVAL) == (
        b",+15550100103,,L, imei:864000000000104,,,F:4.16V,1,51,60978,262,01,1A2B,3C4D\n\r"
    )


def test_it_neither_logs_in_nor_beats():
    assert (XEXUN.login(tracker(XEXUN)), XEXUN.heartbeat) == ((), None)


@pytest.mark.parametrize(
    ("happening", "told"),
    [
        (Happening.IGNITION_ON, [("acc on", True)]),
        (Happening.IGNITION_OFF, [("acc off", False)]),
        (Happening.SPEEDING, []),
    ],
)
def test_the_ignition_is_told_by_its_word(happening, told):
    said = reports(decode(XEXUN.happened(tracker(XEXUN), happening)))
    assert [(report.keyword, report.status.ignition) for report in said] == told


@pytest.mark.parametrize("alarm", [None, Alarm.LOW_BATTERY, Alarm.POWER_CUT])
@pytest.mark.parametrize("has_fix", [True, False])
def test_battery_and_supply_are_measured(alarm, has_fix):
    box = tracker(XEXUN, has_fix=has_fix, alarms={alarm} if alarm else set())
    (report,) = reports(decode([XEXUN.report(box, INTERVAL)]))
    low = alarm is Alarm.LOW_BATTERY
    assert (report.status.battery_v < 3.6) is low
    assert report.status.charging is (alarm is not Alarm.POWER_CUT)


@pytest.mark.parametrize("driven_s", [STANDING, DRIVING])
def test_the_relay_obeys_the_password_without_a_word(driven_s):
    box = tracker(XEXUN, driven_s)
    assert XEXUN.obey(box, b"powercar123456 11") == []
    assert box.engine_cut
    assert XEXUN.obey(box, b"powercar654321 00") is None
    assert XEXUN.obey(box, b"powercar123456 12") is None
    assert box.engine_cut
    assert XEXUN.obey(box, b"powercar123456 00") == []
    assert not box.engine_cut
