"""SMS: every text of the corpus means exactly what it says, and laws hold for any text at all."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Alarm, CommandResult, Message, Report
from bridge.protocols import gps103, sms
from tests.bridge.corpus import FOLDER
from tests.bridge.laws import legal

ID = "864000000001010"
AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
LEAST_TEXTS = 40


class Text(NamedTuple):
    """One line of the corpus."""

    id: str
    text: str
    offset_min: int | None
    messages: list[dict[str, Any]]

    def read(self, text: str | None = None) -> tuple[Message, ...]:
        return decode(self.text if text is None else text, self.offset_min)


def decode(text: str, offset_min: int | None = 120) -> tuple[Message, ...]:
    return sms.decode(text, device_id=ID, received_at=AT, utc_offset_minutes=offset_min)


def plain(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return msgspec.json.decode(msgspec.json.encode(messages))


ROWS = [
    json.loads(line)
    for path in sorted((FOLDER / "sms").glob("*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]
TEXTS = [
    Text(row["id"], row["text"], row.get("utc_offset_minutes"), row["messages"]) for row in ROWS
]
READ = [each for each in TEXTS if each.messages]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.id)
def test_a_text_means_exactly_this(text: Text) -> None:
    assert plain(text.read()) == text.messages


def test_the_corpus_is_one() -> None:
    assert len({text.text for text in READ}) >= LEAST_TEXTS
    assert [name for name, times in Counter(text.id for text in TEXTS).items() if times > 1] == []
    assert {row["received_at"] for row in ROWS} == {"2026-05-01T10:16:00Z"}
    assert {row["source"] for row in ROWS} == {"docs/sms.md"}
    assert all(row.get("why", "x") for row in ROWS)


def test_the_words_of_alarms_are_those_of_the_network() -> None:
    assert {word.lower(): alarm for word, alarm in gps103.ALARMS.items()} == sms.ALARMS
    heard = {message.get("keyword") for text in TEXTS for message in text.messages}
    assert set(sms.ALARMS) | set(sms.STATES) <= heard


def test_each_spelling_says_the_same() -> None:
    """Lines or blanks, any case, any blanks at the ends."""
    for text in READ:
        said = text.text
        others = [said.replace("\n", " "), said.replace("\n", " \r\n"), f"\n {said}\t"]
        if "http" not in said and "APN" not in said:
            others += [said.upper(), said.lower()]
        for other in others:
            read = [_without_text(row) for row in plain(text.read(other))]
            assert read == [_without_text(row) for row in text.messages], (text.id, other)


def _without_text(message: dict[str, Any]) -> dict[str, Any]:
    """What a message says besides its own words."""
    kept = {name: value for name, value in message.items() if name != "text"}
    if "extra" in kept:
        kept["extra"] = {name: each for name, each in kept["extra"].items() if name != "text"}
    return kept


def test_a_text_that_was_cut_off_says_less_or_nothing_but_nothing_else() -> None:
    """No prefix is another alarm, another place, or an engine in another state."""
    for text in READ:
        (whole,) = text.read()
        for end in range(len(text.text)):
            for part in text.read(text.text[:end]):
                legal(part)
                if not isinstance(part, Report) or not isinstance(whole, Report):
                    continue
                assert part.alarm in (whole.alarm, None)
                assert part.status.engine_cut in (whole.status.engine_cut, None)
                if part.fix and part.fix.valid:
                    assert whole.fix
                    assert abs(part.fix.latitude - whole.fix.latitude) < 0.0001
                    assert abs(part.fix.longitude - whole.fix.longitude) < 0.0001


def test_a_stop_is_told_only_where_it_was_carried_out() -> None:
    told = {
        text.text
        for text in READ
        for each in text.messages
        if each.get("status", {}).get("engine_cut")
    }
    assert told == {"Stop engine Succeed"}


@pytest.mark.parametrize("length", [sms.LONGEST_TEXT, sms.LONGEST_TEXT + 1])
def test_what_is_too_long_is_not_looked_at(length: int) -> None:
    assert bool(decode("help me!".ljust(length))) == (length == sms.LONGEST_TEXT)


PARTS = st.sampled_from(
    [
        "help me!", "speed!", "oil 3%!", "area01 in!", "T:+20.0!", "lat:", "long:", "lon: ", "\n",
        "52.520000", "-13.410000", "200.000000", " ", "speed:", "T:26/05/01 12:15", "Last:", "T:",
        "T:00/01/01 00:00", "http://maps.google.com/maps?f=q&q=52.520000,13.410000&z=16", "Lac:",
        "2f1c 0b7e", "ffffffff ffffffff", "cid:", "Pwr: ON", "Door:", "ACC: OFF", "Battery: ",
        "100%", "1e3", "nan", "GSM Signal: ", "32", "GPS: NO GPS", "IP: 1.2.3.4 PORT: ", "65536",
        "APN:", "fix030s***n ok", "Stop engine ", "Succeed", "ok", "fail", "password err",
        "9" * 20, "\u0663", "\ud800", "\0",
    ]
)  # fmt: skip


@given(
    text=st.text(max_size=1100) | st.lists(PARTS | st.text(max_size=5), max_size=40).map("".join),
    offset_min=st.none() | st.integers(-720, 840),
)
def test_any_text_ends_as_lawful_messages_or_as_nothing(text: str, offset_min: int | None) -> None:
    for message in decode(text, offset_min):
        legal(message)
        assert isinstance(message, Report | CommandResult)
        assert (message.protocol, message.device_id, message.received_at) == ("sms", ID, AT)
        assert message.keyword.isascii()
        assert message.keyword.isprintable()


@given(
    latitude=st.integers(-90_000_000, 90_000_000),
    longitude=st.integers(-180_000_000, 180_000_000),
    cut=st.integers(0, 140),
)
def test_any_place_is_read_as_it_was_written(latitude: int, longitude: int, cut: int) -> None:
    north, east = latitude / 1e6, longitude / 1e6
    place = f"{north:.6f},{east:.6f}"
    whole = (
        f"move!\nlat:{north:.6f}\nlong:{east:.6f}\nspeed:0.00\nT:26/05/01 12:15\n"
        f"http://maps.google.com/maps?f=q&q={place}&z=16"
    )
    (report,) = decode(whole)
    assert isinstance(report, Report)
    assert report.alarm is Alarm.MOVEMENT
    assert report.fix
    assert (report.fix.valid, report.fix.latitude, report.fix.longitude) == (True, north, east)
    for message in decode(whole[:cut]):
        if isinstance(message, Report) and message.fix:
            assert abs(message.fix.latitude - north) < 0.0001
            assert abs(message.fix.longitude - east) < 0.0001
