"""What a tracker's answer says of a command: the words of each protocol, read as they come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge import command as c
from bridge.model import CommandResult, Message
from bridge.protocols.connection import Connection, Received
from bridge.protocols.encoding import Outcome
from bridge.protocols.gt06.framing import SHORT, build
from bridge.protocols.registry import PROTOCOLS, VOCABULARIES

NOW = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
ID = "864000000001234"
DONE, REFUSED, LATER = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.POSTPONED
GPS103 = f"imei:{ID},%s,2605011215,,F,101530.000,A,5231.2000,N,01324.6000,E,0.00,83.95;"
TK103 = "(087000000012%s260501A5231.2000N01324.6000E000.0101530083.9500%s00000L00000000)"
H02 = "*HQ,7090000411,V4,%s,101500,101530,A,4807.5000,N,01131.5000,E,14.28,028,010526,FFFFFBFF#"


def heard(*frames: str | bytes) -> list[Message]:
    """What frames of one connection say."""
    connection = Connection(PROTOCOLS)
    for frame in frames:
        connection.receive_data(frame.encode() if isinstance(frame, str) else frame)
    connection.receive_eof()
    messages: list[Message] = []
    for event in connection.events(NOW):
        assert isinstance(event, Received), event
        messages += event.messages
    return messages


def text(words: str) -> list[Message]:
    """What a gt06 box says that answers with these words."""
    said = bytes(4) + words.encode()
    body = bytes((len(said),)) + said + b"\0\2"
    login = build(SHORT, 0x01, b"\0\1", bytes.fromhex("0864000000001234"))
    return heard(login, build(SHORT, 0x15, b"\0\2", body))[1:]


def outcome(protocol: str, command: type[c.Command], messages: list[Message]) -> Outcome | None:
    judge = VOCABULARIES[protocol].answers[command]
    return next((found for one in messages if (found := judge(one)) is not None), None)


@pytest.mark.parametrize(
    ("command", "words", "means"),
    [
        (c.RequestPosition, "tracker 001", DONE),
        (c.SetInterval, "tracker 001", DONE),
        (c.StopReporting, "dt 102", DONE),
        (c.AcknowledgeAlarm, "et 104", DONE),
        (c.StopEngine, "jt 109", DONE),
        (c.StopEngine, "509", LATER),
        (c.ResumeEngine, "kt 110", DONE),
        (c.Arm, "lt 111", DONE),
        (c.Arm, "lf 511", REFUSED),
        (c.Disarm, "mt 112", DONE),
        (c.SpeedLimit, "ht 107", DONE),
        (c.MovementAlarm, "gt 105 106", DONE),
        (c.Fence, "ot 114", DONE),
        (c.ClearFence, "pt 115", DONE),
        (c.SetTimeZone, "it 108", DONE),
        (c.LessGprs, "tt xt 118 119", DONE),
        (c.UploadLog, "qt 116", DONE),
        (c.TakePhoto, "vt01 vt12", DONE),
        (c.Raw, "ht lt 107", DONE),
        (c.Raw, "lf", REFUSED),
        (c.Raw, "509", LATER),
        (c.Raw, "tracker 001", None),
    ],
)
def test_gps103(command: type[c.Command], words: str, means: Outcome | None) -> None:
    for word in words.split():
        assert outcome("gps103", command, heard(GPS103 % word)) is means
        bare = word.isdecimal() or word.endswith(("t", "f"))
        if bare and word not in ("001", "tracker"):  # as some boxes send it
            assert outcome("gps103", command, heard(GPS103 % "tracker", f"imei:{ID},{word};")[1:])


def test_an_answer_to_one_command_is_none_to_another() -> None:
    for kind, judge in VOCABULARIES["gps103"].answers.items():
        if kind not in (c.StopEngine, c.Raw):
            assert judge(heard(GPS103 % "jt")[0]) is None


def test_old_reports_of_an_upload_answer_nothing_but_the_upload() -> None:
    _, old, end, *_ = heard(GPS103 % "load", GPS103 % "tracker", GPS103 % "qt")
    answers = VOCABULARIES["gps103"].answers
    assert answers[c.RequestPosition](old) is None
    assert [answers[c.UploadLog](one) for one in (old, end)] == [None, DONE]


@pytest.mark.parametrize(
    ("command", "frame", "means"),
    [
        (c.RequestPosition, TK103 % ("BP04", "0"), DONE),
        (c.RequestPosition, TK103 % ("BR00", "0"), DONE),
        (c.RequestPosition, "(087000000012ZC03,010526,101530,$ok$)", None),
        (c.StopEngine, TK103 % ("BR00", "8"), DONE),
        (c.StopEngine, TK103 % ("BR00", "0"), None),
        (c.ResumeEngine, TK103 % ("BR00", "0"), DONE),
        (c.ResumeEngine, TK103 % ("BR00", "8"), None),
        (c.RequestVersion, "(087000000012ZC03,010526,101530,$version 1$)", DONE),
        (c.Raw, "(087000000012ZC03,010526,101530,$any$)", DONE),
        (c.Raw, TK103 % ("BR00", "0"), None),
    ],
)
def test_tk103(command: type[c.Command], frame: str, means: Outcome | None) -> None:
    assert outcome("tk103", command, heard(frame)) is means


@pytest.mark.parametrize(
    ("command", "said", "means"),
    [
        (c.StopEngine, "S20,DONE", DONE),
        (c.StopEngine, "S20,ERROR", REFUSED),
        (c.StopEngine, "SCF,DONE", None),
        (c.ResumeEngine, "S20,OK", DONE),
        (c.Arm, "SCF,DONE", DONE),
        (c.Disarm, "SCF,error", REFUSED),
        (c.SetInterval, "S71,DONE", DONE),
        (c.SetInterval, "D1,DONE", DONE),
        (c.SetInterval, "S20,DONE", None),
        (c.Raw, "S17", DONE),
        (c.Raw, "R8,ERROR", REFUSED),
    ],
)
def test_h02(command: type[c.Command], said: str, means: Outcome | None) -> None:
    assert outcome("h02", command, heard(H02 % said)) is means
    assert outcome("h02", command, heard(f"*HQ,7090000411,V4,{said}#")) is means


@pytest.mark.parametrize(
    ("command", "words", "means"),
    [
        (c.StopEngine, "Relay=Success!", DONE),
        (c.StopEngine, "DYD=Success!", DONE),
        (c.StopEngine, "Already in the state of fuel supply cut off", DONE),
        (c.StopEngine, "DYD=Unvalued Fix", REFUSED),
        (c.StopEngine, "DYD=Speed Limit, Speed 40km/h", REFUSED),
        (c.StopEngine, "anything", None),
        (c.StopEngine, "HFYD=Success!", None),
        (c.StopEngine, "Restore fuel supply: Success!", None),
        (c.StopEngine, "Already in the state of fuel supply", None),
        (c.StopEngine, "Cut off the fuel supply: Success!", DONE),
        (c.ResumeEngine, "Cut off the fuel supply: Success!", None),
        (c.ResumeEngine, "DYD=Success!", None),
        (c.ResumeEngine, "Already in the state of fuel supply", DONE),
        (c.ResumeEngine, "Restore fuel supply: Success!", DONE),
        (c.ResumeEngine, "HFYD=Fail!", REFUSED),
        (c.Raw, "Battery:4.10V,NORMAL", DONE),
        (c.Raw, "Error: no such command", REFUSED),
    ],
)
def test_gt06(command: type[c.Command], words: str, means: Outcome | None) -> None:
    assert outcome("gt06", command, text(words)) is means


def test_nothing_answers_a_command_of_xexun() -> None:
    assert not VOCABULARIES["xexun"].answers


@pytest.mark.parametrize(
    ("protocol", "messages", "dialect"),
    [
        ("gps103", heard(GPS103 % "tracker"), "letters"),
        ("gps103", heard(GPS103 % "001"), "numbers"),
        ("gps103", heard(GPS103 % "lf"), "letters"),
        ("gps103", heard(GPS103 % "509"), "numbers"),
        ("gps103", heard(GPS103 % "106"), None),
        ("gps103", heard(GPS103 % "qt"), None),
        ("gps103", heard(GPS103 % "help me"), None),
        ("h02", heard(H02 % "D1,DONE"), "d1"),
        ("h02", heard(H02 % "S71,DONE"), "s71"),
        ("h02", heard(H02 % "D1,ERROR"), None),
        ("h02", heard(H02 % "S20,DONE"), None),
        ("gt06", text("Relay=Success!"), "relay"),
        ("gt06", text("HFYD=Success!"), "dyd"),
        ("gt06", text("Battery:4.10V"), None),
        ("tk103", heard(TK103 % ("BR00", "0")), None),
        ("xexun", [CommandResult(device_id=ID, protocol="x", received_at=NOW, keyword="", text="")],
         None),
    ],
)  # fmt: skip
def test_a_message_gives_its_dialect_away(
    protocol: str, messages: list[Message], dialect: str | None
) -> None:
    assert VOCABULARIES[protocol].shows(messages[0]) == dialect
