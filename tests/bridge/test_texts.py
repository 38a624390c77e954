"""Text messages of a tracker, as a gateway hands them over; what they cost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.config import VehicleConfig
from bridge.options import Secret
from bridge.texts import Texts
from tests.bridge.port import Port, serving
from tests.conftest import eventually

PHONE = "+4915100000042"
CAR = VehicleConfig(key="golf", phone=Secret(PHONE), sms_family="coban")
PLACE = "lat:52.520000 long:13.410000 speed:0.00"
SOS = f"help me! {PLACE}"


def taking(port: Port, sent: list[str]) -> Texts:
    intake = port.intake
    intake.downlink.post = lambda _number, text, _id: not sent.append(text)
    return Texts(intake.fleet, intake.downlink, lambda: port.clock.now)


def text(words: str, sender: object = PHONE, **more: object) -> bytes:
    return msgspec.json.encode({"from": sender, "text": words, **more})


async def test_however_often_it_rings_a_receipt_is_paid_for_once_in_two_minutes(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, cars=(CAR,)) as port:
        sent: list[str] = []
        texts = taking(port, sent)
        for said in range(1, 31):
            texts.take(text(SOS))
            await eventually(lambda said=said: len(port.world.reports) > said)
        assert sent == ["help me123456"]
        port.clock.advance(180)  # the box has not had it, and rings again
        texts.take(text(SOS))
        await eventually(lambda: len(sent) == 2)
        await eventually(lambda: len(port.world.reports) == 31 + 2 * 2)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"[]", b"\xff", b'{"from":"x"}', text(SOS, ["a"]), text(SOS, 4915100000042),
        text(SOS, ""), text(SOS, "+"), text(SOS, "00000042"), text(SOS, "+4915100000043"),
        text("x" * 3900), text("x" * 5000), text("hello"), text("\u202e\0"),
        b'{"from":"+4915100000042","text":"\\ud800"}',
    ],
)  # fmt: skip
async def test_what_is_no_text_of_a_tracker_moves_nothing(payload: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(CAR,)) as port:
        taking(port, []).take(payload)
        assert (port.counters.refused, port.counters.reports) == (1, 0)


@pytest.mark.parametrize(
    "time",
    [1e308, -1e308, 10**30, "9" * 400, "NaN", True, [], {}, "", None, "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "26/05/01,10:16:20+08"],
)  # fmt: skip
async def test_a_time_that_says_nothing_is_that_of_its_coming(time: object, tmp_path: Path) -> None:
    async with serving(tmp_path, cars=(CAR,)) as port:
        taking(port, []).take(text(PLACE, time=time))
        await eventually(lambda: port.intake.vehicles["golf"].state.fix is not None)
        assert port.counters.reports == 1


async def test_a_number_that_two_vehicles_have_moves_neither_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    twin = VehicleConfig(key="van", phone=Secret(PHONE.replace("+49", "0")), sms_family="coban")
    async with serving(tmp_path, cars=(CAR, twin)) as port:
        texts = taking(port, [])
        texts.take(text(PLACE))
        texts.take(text(PLACE, "+4915100000099"))
        assert (port.counters.refused, port.counters.reports) == (2, 0)
    assert "a number that two vehicles have" in caplog.text
    assert "a number that no vehicle has" in caplog.text
