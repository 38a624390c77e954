"""What trackers can be told by SMS, as exact texts, and what their answers mean."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import command as c
from bridge.protocols import sms
from bridge.protocols.encoding import Outcome, Target, UnsupportedCommandError, encode
from bridge.protocols.registry import VOCABULARIES
from bridge.protocols.sms_commands import interval

SMS = VOCABULARIES["sms"]
ID = "864000000001010"
NOW = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)

ACKNOWLEDGED, REFUSED, POSTPONED = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.POSTPONED

TEXTS: list[tuple[str, c.Command, str]] = [
    ("coban", c.RequestPosition(), "fix030s001n123456"),
    ("coban", c.SetInterval(seconds=30), "fix030s***n123456"),
    ("coban", c.SetInterval(seconds=600), "fix600s***n123456"),
    ("coban", c.SetInterval(seconds=7200), "fix120m***n123456"),
    ("coban", c.StopReporting(), "nofix123456"),
    ("coban", c.Arm(), "arm123456"),
    ("coban", c.Disarm(), "disarm123456"),
    ("coban", c.AcknowledgeAlarm(), "help me123456"),
    ("coban", c.StopEngine(), "stop123456"),
    ("coban", c.ResumeEngine(), "resume123456"),
    ("coban", c.SpeedLimit(kmh=80), "speed123456 080"),
    ("coban", c.SpeedLimit(kmh=0), "nospeed123456"),
    ("coban", c.MovementAlarm(), "move123456"),
    ("coban", c.MovementAlarm(enabled=False), "nomove123456"),
    (
        "coban",
        c.Fence(north=52.5, west=13.25, south=52.0, east=13.5),
        "stockade123456 52.500000,13.250000; 52.000000,13.500000",
    ),
    ("coban", c.ClearFence(), "nostockade123456"),
    ("coban", c.SetTimeZone(), "time zone123456 0"),
    ("coban", c.SetTimeZone(offset_minutes=-180), "time zone123456 -3"),
    ("coban", c.LessGprs(), "less gprs123456 on"),
    ("coban", c.LessGprs(enabled=False), "less gprs123456 off"),
    ("coban", c.UploadLog(day=date(2026, 4, 30)), "load123456 20260430"),
    ("coban", c.Reboot(), "reset123456"),
    ("coban", c.Identify(), "imei123456"),
    ("coban", c.Raw(text="check123456"), "check123456"),
    ("xexun", c.RequestPosition(), "t030s001n123456"),
    ("xexun", c.SetInterval(seconds=60), "t060s***n123456"),
    ("xexun", c.StopReporting(), "notn123456"),
    ("xexun", c.StopEngine(), "powercar123456 11"),
    ("xexun", c.ResumeEngine(), "powercar123456 00"),
    ("xexun", c.Raw(text="check123456"), "check123456"),
    ("kxtech", c.StopEngine(), "stopelec123456"),
    ("kxtech", c.ResumeEngine(), "supplyelec123456"),
    ("kxtech", c.Raw(text="AllMonitor"), "AllMonitor"),
    ("h02", c.Raw(text="RCONF"), "RCONF"),
]


def text_of(dialect: str, command: c.Command, **more: Any) -> str:
    target = Target(device_id=ID, now=NOW, dialect=dialect, **more)
    return encode("sms", SMS, command, target).decode("ascii")


@pytest.mark.parametrize(("dialect", "command", "text"), TEXTS)
def test_a_command_is_this_text(dialect: str, command: c.Command, text: str) -> None:
    assert text_of(dialect, command) == text


def test_every_word_of_every_family_is_shown() -> None:
    shown = {(dialect, type(command)) for dialect, command, _ in TEXTS}
    assert shown == {(dialect, kind) for dialect, table in SMS.dialects.items() for kind in table}


def test_the_password_is_in_every_text_but_raw_ones() -> None:
    for dialect, command, text in TEXTS:
        if not isinstance(command, c.Raw):
            own = text_of(dialect, command, password="654320")  # noqa: S106 - made up
            assert own == text.replace("123456", "654320")


@pytest.mark.parametrize(
    "command", [c.SetInterval(seconds=9), c.SetTimeZone(offset_minutes=330), c.TakePhoto()]
)
def test_what_no_text_can_say_is_refused(command: c.Command) -> None:
    with pytest.raises(UnsupportedCommandError):
        text_of("coban", command)


@given(st.integers(10, 86_400))
def test_an_interval_has_three_digits_and_is_as_exact_as_they_allow(seconds: int) -> None:
    told = interval(seconds)
    length = {"s": 1, "m": 60, "h": 3600}[told[3:]]
    assert abs(int(told[:3]) * length - seconds) <= length / 2
    assert (length == 1) == (seconds <= 999)


def test_the_page_has_every_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sms.md").read_text("utf-8")
    assert {word for word in SMS.dialects if f"`{word}`" not in page} == set()
    told = [text.split("123456")[0] for _, command, text in TEXTS if not isinstance(command, c.Raw)]
    assert {word for word in told if f"`{word}123456" not in page} <= {
        "fix600s***n",
        "fix120m***n",
        "t060s***n",
    }
    assert {command.name for _, command, _ in TEXTS if f"`{command.name}`" not in page} <= {
        "disarm"
    }


# --- answers ----------------------------------------------------------------------------------

LOCATION = "lat:52.520000 long:13.410000 speed:0.00 T:26/05/01 12:15"
NO_FIX = "Lac:2f1c 0b7e T:26/05/01 12:15"

ANSWERS: list[tuple[type[c.Command], str, Outcome | None]] = [
    (c.RequestPosition, LOCATION, ACKNOWLEDGED),
    (c.RequestPosition, NO_FIX, ACKNOWLEDGED),
    (c.RequestPosition, f"speed! {LOCATION}", None),
    (c.RequestPosition, "fix030s001n ok", None),
    (c.RequestPosition, "fix030s001n fail", REFUSED),
    (c.RequestPosition, "password err", REFUSED),
    (c.RequestPosition, "Battery: 100% GPRS: ON", None),
    (c.SetInterval, "fix030s***n ok", ACKNOWLEDGED),
    (c.SetInterval, "t030s***n ok", ACKNOWLEDGED),
    (c.SetInterval, "nofix ok", None),
    (c.StopReporting, "nofix ok", ACKNOWLEDGED),
    (c.AcknowledgeAlarm, "help me! ok!", ACKNOWLEDGED),
    (c.AcknowledgeAlarm, "help me!", None),
    (c.StopEngine, "Stop engine Succeed", ACKNOWLEDGED),
    (c.StopEngine, "it will be executed after speed less than 20KM/H", POSTPONED),
    (c.StopEngine, "Stop engine fail", REFUSED),
    (c.StopEngine, "Resume engine Succeed", None),
    (c.StopEngine, "quickstop ok", None),
    (c.ResumeEngine, "Resume engine Succeed", ACKNOWLEDGED),
    (c.ResumeEngine, "Stop engine Succeed", None),
    (c.SpeedLimit, "speed ok", ACKNOWLEDGED),
    (c.SpeedLimit, f"speed! {LOCATION}", None),
    (c.MovementAlarm, "move ok", ACKNOWLEDGED),
    (c.Fence, "stockade ok", ACKNOWLEDGED),
    (c.SetTimeZone, "time ok", ACKNOWLEDGED),
    (c.SetTimeZone, "time zone ok", ACKNOWLEDGED),
    (c.LessGprs, "less gprs on ok", ACKNOWLEDGED),
    (c.Reboot, "reset ok", ACKNOWLEDGED),
    (c.Identify, ID, ACKNOWLEDGED),
]


@pytest.mark.parametrize(("kind", "text", "outcome"), ANSWERS)
def test_an_answer_means_this(kind: type[c.Command], text: str, outcome: Outcome | None) -> None:
    (message,) = sms.decode(text, device_id=ID, received_at=NOW)
    assert SMS.answers[kind](message) is outcome


def test_every_answer_that_is_known_is_shown() -> None:
    assert {kind for kind, _, outcome in ANSWERS if outcome is ACKNOWLEDGED} == set(SMS.answers)
    assert set(SMS.answers) <= SMS.kinds()


# --- danger -------------------------------------------------------------------------------------

COMMANDS = [(dialect, kind) for dialect, table in SMS.dialects.items() for kind in table]
STOPPING = [dialect for dialect, kind in COMMANDS if kind is c.StopEngine]
HARMLESS = [
    (dialect, command) for dialect, command, _ in TEXTS if type(command) is not c.StopEngine
]
PASSWORDS = st.from_regex(r"[0-9]{6}", fullmatch=True)


@given(dialect=st.sampled_from(STOPPING), password=PASSWORDS, upper=st.booleans())
def test_every_stop_is_known_for_one(dialect: str, password: str, *, upper: bool) -> None:
    text = text_of(dialect, c.StopEngine(), password=password)
    for written in (text.upper() if upper else text, f"  {text}", text[:2] + " " + text[2:]):
        assert SMS.cuts_engine(written.encode())


@given(which=st.sampled_from(HARMLESS), password=PASSWORDS)
def test_nothing_else_is_taken_for_a_stop(which: tuple[str, c.Command], password: str) -> None:
    assert not SMS.cuts_engine(text_of(*which, password=password).encode())


@pytest.mark.parametrize("text", ["9400000", "9410000", " 5550000", "6660000", "stop", "Relay,1#"])
def test_what_may_be_one_in_another_family_counts(text: str) -> None:
    assert SMS.cuts_engine(text.encode())


@pytest.mark.parametrize("text", ["quickstop123456", "QuickStop 123456", "quick stop123456"])
def test_the_guard_is_never_taken_away(text: str) -> None:
    assert SMS.forbids(text.encode())
    assert SMS.cuts_engine(text.encode())
    assert not any(SMS.forbids(told.encode()) for _, _, told in TEXTS)
