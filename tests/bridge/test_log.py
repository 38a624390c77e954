"""The log: context, masking, forms, and lines that do not repeat for ever."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import log
from bridge.log import HOUR, Once, bound, mask, tail

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TRACKER = "864000000000101"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch):
    """Give the process its loggers back, and start without protected texts."""
    root, ours = logging.getLogger(), logging.getLogger("bridge")
    before = root.handlers[:], root.level, ours.level
    monkeypatch.setattr(log, "_protected", [])
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def logger():
    return logging.getLogger("bridge.test")


def written(form, say, *, level="info", stream=None):
    """What `say(logger)` writes in a form."""
    stream = stream or io.StringIO()
    log.setup(level, form, stream)
    say(logging.getLogger("bridge.test"))
    return stream.getvalue()


def test_text_has_date_level_message_and_context():
    text = written(
        "text",
        lambda logger: bound(
            logger, vehicle="golf", tracker=TRACKER, protocol="gps103", peer="192.0.2.7:40112"
        ).info("reports %s", "again"),
    )
    date, clock, line = text.split(" ", 2)
    assert datetime.fromisoformat(f"{date} {clock}")
    assert line == (
        "INFO    reports again  vehicle=golf tracker=…0101 protocol=gps103 peer=192.0.2.7:40112\n"
    )


def test_a_line_without_context_ends_with_its_message():
    assert written("text", lambda logger: logger.warning("plain")).endswith(" WARNING plain\n")


def test_context_leaves_out_what_is_unknown_and_quotes_what_has_blanks():
    text = written("text", lambda logger: bound(logger, vehicle=None, name="My Golf").info("x"))
    assert text.endswith('x  name="My Golf"\n')
    assert "vehicle" not in text


def test_binding_a_bound_logger_adds_to_its_context(logger):
    first = bound(logger, vehicle="golf", peer="a")
    second = bound(first, peer="b", protocol="tk103")
    assert second.extra == {"vehicle": "golf", "peer": "b", "protocol": "tk103"}
    assert first.extra == {"vehicle": "golf", "peer": "a"}


def test_json_is_one_object_a_line_with_the_context_beside():
    (line,) = written(
        "json",
        lambda logger: bound(logger, tracker=TRACKER, frames=3, peer="192.0.2.7:1").info("é\nok"),
    ).splitlines()
    said = json.loads(line)
    assert datetime.fromisoformat(said.pop("time")).tzinfo == UTC
    assert said == {
        "level": "info",
        "message": "é\nok",
        "logger": "bridge.test",
        "tracker": "…0101",
        "frames": 3,
        "peer": "192.0.2.7:1",
    }


def test_a_context_never_hides_a_field_of_the_line():
    text = written("json", lambda logger: bound(logger, level="forged", time=0).info("x"))
    assert json.loads(text)["level"] == "info"
    assert json.loads(text)["time"] != 0


def fails(logger):
    try:
        int("+4917012345678x")
    except ValueError:
        logger.exception("broke")


def test_a_traceback_follows_indented_and_masked():
    first, *rest = written("text", fails).splitlines()
    assert first.endswith("ERROR   broke")
    assert rest[-1] == "    ValueError: invalid literal for int() with base 10: '***x'"
    assert all(line.startswith("    ") for line in rest)


def test_json_carries_the_traceback_in_its_object():
    (line,) = written("json", fails).splitlines()
    assert json.loads(line)["traceback"].endswith("'***x'")


@given(st.text())
def test_no_text_of_a_peer_makes_a_second_line(peers_text):
    for formatter in (log.TextFormatter(), log.JsonFormatter()):
        record = logging.makeLogRecord(
            {"msg": "got %s", "args": (peers_text,), "context": {"peer": peers_text}}
        )
        formatted = formatter.format(record)
        assert len(formatted.splitlines()) == 1
        assert formatted.isprintable()


def test_auto_is_short_and_coloured_on_a_terminal_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)

    def say(logger):
        logger.error("x")

    on_terminal = written("auto", say, stream=Terminal())
    clock, rest = on_terminal.split(" ", 1)
    assert len(clock) == len("14:03:07")
    assert rest == "\x1b[31mERROR  \x1b[0m x\n"
    assert written("auto", say).split(" ", 2)[2] == "ERROR   x\n"
    assert "\x1b" not in written("text", say, stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert written("auto", say, stream=Terminal()).endswith("ERROR   x\n")


def test_stderr_is_where_it_goes_by_default(capsys, logger):
    log.setup("info", "text")
    logger.info("here")
    captured = capsys.readouterr()
    assert captured.err.endswith("here\n")
    assert captured.out == ""


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", "debug info warning error"),
        ("info", "info warning error"),
        ("warning", "warning error"),
        ("error", "error"),
    ],
)
def test_level(level, heard):
    def say(logger):
        for word in ("debug", "info", "warning", "error"):
            getattr(logger, word)(word)

    lines = written("text", say, level=level).splitlines()
    assert [line.split()[-1] for line in lines] == heard.split()


@pytest.mark.parametrize("name", ["mqtt", "amqtt.broker", "paho.mqtt.client", "transitions.core"])
@pytest.mark.parametrize("level", ["debug", "error"])
def test_other_packages_are_heard_from_warning_on(name, level):
    text = written(
        "text",
        lambda _: [
            getattr(logging.getLogger(name), word)(word) for word in ("info", "warning", "error")
        ],
        level=level,
    )
    heard = [line.split()[-1] for line in text.splitlines()]
    assert heard == (["warning", "error"] if level == "debug" else ["error"])


def test_setting_up_again_does_not_double_the_lines():
    log.setup("info", "text", io.StringIO())
    assert written("text", lambda logger: logger.info("x")).count("x") == 1


def test_a_bound_logger_formats_nothing_while_the_level_is_off():
    asked = []

    class Costly:
        def __str__(self):
            asked.append(self)
            return "formatted"

    def say(logger):
        bound(logger, peer=Costly()).debug("%s", Costly())

    assert written("text", say) == ""
    assert asked == []
    assert written("text", say, level="debug").endswith("formatted  peer=formatted\n")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call +491701234567 now", "call *** now"),
        ("+1234567", "+1234567"),
        ("password123456", "password***"),
        ("password123456 654321", "password***"),
        ("adminip123456 192.0.2.1 8888", "adminip*** 192.0.2.1 8888"),
        ("admin123456 01701234567", "admin***"),
        ("fix030s005n123456", "fix030s005n***"),
        ("word1234567", "word1234567"),
        ("word12345", "word12345"),
        ("accept 864000000000101 to see it", "accept 864000000000101 to see it"),
        ("seq=123456 at 192.0.2.7:40112", "seq=123456 at 192.0.2.7:40112"),
        ("2026-03-01 12:00:00+02:00", "2026-03-01 12:00:00+02:00"),
    ],
)
def test_mask(text, masked):
    assert mask(text) == masked
    assert masked in written("text", lambda logger: logger.info(text))
    assert json.loads(written("json", lambda logger: logger.info(text)))["message"] == masked


def test_protected_texts_never_come_out_whole_or_in_part():
    log.protect("hunter")
    log.protect("hunter2 is longer")
    log.protect("hunter")
    assert mask("a hunter2 is longer, a hunter") == "a ***, a ***"
    text = written("text", lambda logger: bound(logger, peer="hunter@192.0.2.1").info("x"))
    assert text.endswith("x  peer=***@192.0.2.1\n")


def test_a_secret_too_short_to_hide_leaves_the_log_readable():
    log.protect("")
    log.protect("a")
    assert mask("a plain word") == "a plain word"


def test_tail_keeps_four_digits_and_is_stable():
    assert tail(TRACKER) == "…0101"
    assert tail(tail(TRACKER)) == tail(TRACKER)


def test_once_lets_the_first_through_and_counts_for_an_hour():
    once = Once()
    assert once.due("a", NOON) == 0
    assert once.due("a", NOON) is None
    assert once.due("a", NOON + HOUR - timedelta(seconds=1)) is None
    assert once.due("a", NOON + HOUR) == 2
    assert once.due("a", NOON + HOUR) is None
    assert once.due("b", NOON + HOUR) == 0


def test_once_speaks_after_the_clock_was_set_back():
    once = Once()
    once.due("a", NOON)
    assert once.due("a", NOON - timedelta(days=365)) == 0


def test_once_forgets_keys_whose_time_is_over_first():
    once = Once(capacity=2)
    once.due("a", NOON)
    once.due("b", NOON + timedelta(minutes=30))
    assert once.due("c", NOON + HOUR) == 0
    assert once.due("b", NOON + HOUR) is None
    assert len(once) == 2
    assert once.due("d", NOON + 3 * HOUR) == 0
    assert len(once) == 1


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 900)), max_size=200),
    st.integers(1, 10),
)
def test_once_is_bounded_in_keys_and_in_lines(calls, capacity):
    once = Once(capacity=capacity)
    now, spoken = NOON, []
    for key, later in calls:
        now += timedelta(seconds=later)
        if once.due(key, now) is not None:
            spoken.append(now)
        assert len(once) <= capacity + 1
        assert sum(now - then < HOUR for then in spoken) <= capacity + 1
