"""Commands as they are typed, and what is said of those that come to nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge import orders
from bridge.cli.send import WHY, _body
from bridge.errors import RequestError

PAGE = Path(__file__).parents[2] / "docs/commands.md"


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("raw text=100", {"text": "100"}),
        ("raw text=true", {"text": "true"}),
        ("output data=1", {"data": "1"}),
        ("sos_number phone=4915100000042", {"phone": "4915100000042"}),
        ("set_interval seconds=30 ttl_s=60", {"seconds": 30, "ttl_s": 60}),
        ("movement_alarm enabled=false", {"enabled": False}),
        ("movement_alarm enabled=False", {"enabled": False}),
        ("upload_log day=2026-05-01", {"day": "2026-05-01"}),
        ("fence north=2 west=1.5 south=1 east=2", {"north": 2, "west": 1.5, "south": 1, "east": 2}),
        ("arm by=me", {"by": "me"}),
    ],
)
def test_what_is_typed_is_taken_as_the_command_wants_it(
    typed: str, arguments: dict[str, Any]
) -> None:
    word, *pairs = typed.split()
    body = _body(word, pairs)
    assert body.items() >= {"command": word, **arguments}.items()
    orders.wish(body)  # the bridge takes it


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("fly", "there is no such command; there are acknowledge_alarm, arm,"),
        ("set_interval", "set_interval: missing required field `seconds`"),
        ("set_interval 30", "'30' is no argument; write NAME=VALUE"),
        ("set_interval seconds=30s", "set_interval: seconds: Expected `int`"),
        ("set_interval seconds=1", "set_interval: seconds: Expected `int` >= 5"),
        ("set_interval interval=30", "set_interval: contains unknown field `interval`"),
        ("sos_number phone=me", "sos_number: phone: not written as it must be"),
        ("upload_log day=yesterday", "upload_log: day: "),
        ("arm ttl_s=1h", "ttl_s must be a whole number from 1"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(typed: str, words: str) -> None:
    word, *pairs = typed.split()
    with pytest.raises(RequestError, match=re.escape(words)):
        _body(word, pairs)


def test_every_reason_of_the_page_is_told_in_words() -> None:
    _, _, table = PAGE.read_text().partition("| reason | what to do |")
    named = re.findall(r"^\| (.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    reasons = {word for cell in named for word in re.findall(r"`(\w+)`", cell)} - orders.NAMES
    assert reasons - {"bad_command"} | {"no_answer"} == WHY.keys()
