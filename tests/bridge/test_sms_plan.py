"""The plan for setting a tracker up: every text in its place, and what is said beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import cli, smsplan
from bridge.errors import RequestError
from bridge.protocols.registry import VOCABULARIES
from bridge.smsplan.places import trouble
from bridge.smsplan.planning import LONGEST_TEXT

USUAL: dict[str, Any] = {"family": "coban", "apn": "internet", "host": "8.8.4.4"}
FULL: dict[str, Any] = {
    **USUAL,
    "port": 9000,
    "transport": "udp",
    "interval_s": 90,
    "apn_user": "web",
    "apn_password": "gprs",
    "password": "111222",
    "new_password": "654320",
    "admin": "004915100000000",
}


def planned(**wanted: Any) -> smsplan.Plan:
    return smsplan.plan(smsplan.read({**USUAL, **wanted}))


def texts(steps: tuple[smsplan.Step, ...]) -> list[str]:
    return [step.text for step in steps]


def warned(plan: smsplan.Plan, word: str) -> bool:
    return any(word in warning for warning in plan.warnings)


# --- the texts ----------------------------------------------------------------------------------


def test_the_least_that_sets_up_a_coban_box() -> None:
    plan = planned()
    assert texts(plan.steps) == [
        "begin123456",
        "time zone123456 0",
        "apn123456 internet",
        "adminip123456 8.8.4.4 8888",
        "gprs123456,0,0",
        "protocol123456 18",
        "fix030s***n123456",
        "check123456",
    ]
    assert [step.answer for step in plan.steps[:-1]] == [
        "begin ok",
        "time ok, or time zone ok",
        "apn ok",
        "adminip ok",
        "gprs ok",
        "protocol18 ok",
        "fix030s***n ok",
    ]
    assert texts(plan.out_of_service) == [
        "resume123456",
        "nofix123456",
        "noadminip123456",
        "sms123456",
        "begin123456",
    ]


def test_the_page_shows_what_is_planned() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sms.md").read_text("utf-8")
    plan = planned(host="203.0.113.7", new_password="654320")  # noqa: S106 - made up
    for steps, heading in ((plan.steps, "Set a tracker up"), (plan.out_of_service, "Sell the car")):
        section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w[^`]*)` \| (?:`|several)", section, re.MULTILINE) == texts(
            steps
        )


def test_everything_that_can_be_wanted_of_one() -> None:
    plan = planned(**FULL)
    assert texts(plan.steps) == [
        "begin111222",
        "password111222 654320",
        "time zone654320 0",
        "apn654320 internet",
        "up654320 web gprs",
        "adminip654320 8.8.4.4 9000",
        "gprs654320,0,1",
        "protocol654320 18",
        "fix090s***n654320",
        "admin654320 004915100000000",
        "check654320",
    ]
    assert texts(plan.out_of_service) == [
        "resume654320",
        "nofix654320",
        "noadminip654320",
        "sms654320",
        "password654320 123456",
        "noadmin123456 004915100000000",
        "begin123456",
    ]


def test_a_host_name_goes_by_dns_and_is_marked_as_unproven() -> None:
    plan = planned(host="Cars.Example-Fleet.io")
    (step,) = (step for step in plan.steps if "cars" in step.text)
    assert step.text == "dns123456 cars.example-fleet.io 8888"
    assert (step.answer, step.proof) == ("", "told")
    assert not any(text.startswith("adminip") for text in texts(plan.steps))
    assert warned(plan, "adminip takes no host name")


def test_xexun() -> None:
    plan = planned(**{**FULL, "family": "xexun", "password": "", "interval_s": 30, "admin": ""})
    assert texts(plan.steps) == [
        "begin123456",
        "password123456 654320",
        "apn654320 internet",
        "apnuser654320 web",
        "apnpasswd654320 gprs",
        "adminip654320 8.8.4.4 9000",
        "gprs654320",
        "t030s***n654320",
    ]
    assert "powercar654320 00" in texts(plan.out_of_service)
    assert plan.unknown
    named = planned(family="xexun", host="cars.example-fleet.io")
    assert not any("cars." in text for text in texts(named.steps))
    assert warned(named, "plan with an IPv4 address")


@pytest.mark.parametrize("family", ["h02", "cantrack", "SinoTrack"])
def test_h02_as_far_as_it_is_known(family: str) -> None:
    plan = planned(family=family, apn="")
    assert plan.family == "h02"
    assert [(step.text, step.proof) for step in plan.steps] == [("8040000 8.8.4.4 8888", "told")]
    assert plan.unknown
    assert planned(family=family, host="cars.example-fleet.io").steps == ()


def test_kxtech_has_no_text_but_the_one_that_restores_the_engine() -> None:
    plan = planned(family="kxtech", apn="")
    assert plan.steps == ()
    assert texts(plan.out_of_service) == ["supplyelec123456"]
    assert plan.unknown


@given(
    family=st.sampled_from(["coban", "xexun", "kxtech"]),
    host=st.sampled_from(["8.8.4.4", "cars.example-fleet.io", f"{'a' * 60}.{'b' * 15}.io"]),
    word=st.from_regex(r"[!-~]{1,40}", fullmatch=True),
    new_password=st.none() | st.from_regex(r"[2-9]{6}", fullmatch=True),
    seconds=st.integers(10, 59_940),
    transport=st.sampled_from(["tcp", "udp"]),
)
def test_whatever_is_wanted_every_text_can_be_sent(**drawn: Any) -> None:
    word, seconds = drawn.pop("word"), drawn.pop("seconds")
    access = {"apn": word, "apn_user": word, "apn_password": word}
    plan = planned(**drawn, **access, interval_s=seconds, admin="+49151")
    for step in (*plan.steps, *plan.out_of_service):
        assert len(step.text) <= LONGEST_TEXT
        assert step.text.isascii()
        assert step.text.isprintable()
        assert step.text == step.text.strip()
        assert step.why
        assert not VOCABULARIES["sms"].forbids(step.text.replace(word, "").encode())
    assert json.loads(json.dumps(plan.payload())) == plan.payload()


def test_no_plan_holds_a_stop() -> None:
    for family in smsplan.FAMILIES:
        plan = planned(family=family)
        for step in (*plan.steps, *plan.out_of_service):
            assert not VOCABULARIES["sms"].cuts_engine(step.text.encode())


# --- what is said beside them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({}, "The password stays"),
        ({"password": "111222"}, "again after begin"),
        ({"family": "h02"}, "by its manual"),
        ({}, "No number is set"),
        ({"admin": "+49151"}, "only such numbers"),
        ({}, "wait for its answer"),
        ({}, ",1,1"),
        ({"interval_s": 19}, "19 seconds may be refused"),
        ({"transport": "udp"}, "UDP port 8888"),
        ({}, "If this address ever changes"),
        ({"host": "192.168.1.5"}, "private"),
    ],
)
def test_a_warning_where_there_is_reason(wanted: dict[str, Any], word: str) -> None:
    assert warned(planned(**wanted), word)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"new_password": "654320"}, "The password stays"),
        ({"new_password": "654320"}, "again after begin"),
        ({"admin": "+49151"}, "No number is set"),
        ({"interval_s": 20}, "may be refused"),
        ({"host": "cars.example-fleet.io"}, "If this address ever changes"),
        ({"family": "xexun"}, ",1,1"),
    ],
)
def test_no_warning_without(wanted: dict[str, Any], word: str) -> None:
    assert not warned(planned(**wanted), word)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.178.20", "private"),
        ("127.0.0.1", "loopback"),
        ("169.254.3.4", "link-local"),
        ("100.64.0.1", "CGNAT"),
        ("100.127.255.255", "CGNAT"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.7", "documentation"),
        ("0.0.0.0", "no address"),
        ("224.0.0.1", "no address"),
        ("255.255.255.255", "no address"),
        ("bridge.local", "own network"),
        ("bridge.lan", "own network"),
        ("bridge", "own network"),
        ("localhost", "own network"),
        ("fritz.box", "own network"),
        ("nas.home.arpa", "own network"),
        ("cars.example.com", "for documents"),
        ("example.org", "for documents"),
        ("8.8.4.4", ""),
        ("100.63.255.255", ""),
        ("100.128.0.0", ""),
        ("172.32.0.1", ""),
        ("192.169.0.1", ""),
        ("cars.example-fleet.io", ""),
        ("local.example-fleet.io", ""),
    ],
)
def test_an_address_that_no_tracker_reaches(host: str, word: str) -> None:
    said = trouble(host)
    assert bool(said) == bool(word)
    assert word in said
    assert not said or said.startswith(f"{host} is ")


# --- what may be typed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"family": "gt06"}, "family is one of coban"),
        ({"family": ""}, "family is missing"),
        ({"host": ""}, "host is missing"),
        ({"host": "8.8.4"}, "host is no address"),
        ({"host": "8.8.4.400"}, "host is no address"),
        ({"host": "8.8.4.4:8888"}, "host name alone: no http://, and its port apart"),
        ({"host": "cars.example-fleet.io:8888"}, "and its port apart"),
        ({"host": "http://cars.example-fleet.io/"}, "no http://"),
        ({"host": "2001:db8::1"}, "IPv4 only"),
        ({"host": "[2001:db8::1]"}, "IPv4 only"),
        ({"host": "cars..example-fleet.io"}, "host is an IPv4 address or"),
        ({"host": "cars.example-fleet.io 1"}, "host is an IPv4 address or"),
        ({"port": 0}, "port is a whole number from 1 to 65535"),
        ({"port": "9" * 5000}, "port is a whole number"),
        ({"port": "none"}, "port is a whole number"),
        ({"port": True}, "port is a whole number"),
        ({"transport": "sctp"}, "transport is tcp or udp"),
        ({"interval_s": 9}, "interval_s is a whole number from 10"),
        ({"interval_s": 1.5}, "interval_s is a whole number"),
        ({"apn": ""}, "apn is missing"),
        ({"apn": "two words"}, "apn is one word"),
        ({"apn": "ünternet"}, "apn is one word"),
        ({"apn": "a" * 41}, "apn is one word"),
        ({"apn": "internet\n"}, "apn is one word"),
        ({"apn_password": "gprs"}, "apn_user is missing"),
        ({"password": "12345"}, "password is a text of 6 digits"),
        ({"password": 123456}, "password is a text of 6 digits"),
        ({"password": "1234"}, "password has 6 digits on coban"),
        ({"family": "h02", "password": "123456"}, "password has 4 digits on h02"),
        ({"new_password": "123456"}, "new_password is the one the tracker has"),
        ({"password": "111222", "new_password": "123456"}, "which everybody knows"),
        ({"admin": "+49 151"}, "admin is a phone number"),
        ({"colour": "red"}, "unknown: colour"),
    ],
)
def test_what_cannot_be_right_is_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(RequestError, match=re.escape(word)):
        planned(**wrong)


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=90)


@given(
    st.dictionaries(st.sampled_from([*FULL, "colour"]), JSON | st.lists(JSON)),
    st.sampled_from([{}, USUAL, FULL]),
)
def test_any_body_is_a_wish_or_refused(body: dict[str, Any], known: dict[str, Any]) -> None:
    try:
        wish = smsplan.read({**known, **body})
    except RequestError:
        return
    assert smsplan.plan(wish).payload()


@pytest.mark.parametrize(
    "secret", [{"password": "98765"}, {"new_password": "9876x"}, {"apn_password": "top secret"}]
)
def test_a_refusal_shows_no_secret(secret: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        planned(**secret, apn_user="web")
    assert next(iter(secret.values())) not in str(refused.value)


def test_nothing_secret_shows_by_accident() -> None:
    wish = smsplan.read(FULL)
    for shown in (repr(wish), repr(smsplan.plan(wish))):
        for secret in ("111222", "654320", "gprs654", "0049151", "'web'"):
            assert secret not in shown


def test_numbers_may_be_typed_as_text() -> None:
    assert planned(port="9000", interval_s="60") == planned(port=9000, interval_s=60)


# --- the command line ---------------------------------------------------------------------------


TYPED = ("sms-plan", "--family", "coban", "--apn", "internet", "--host", "203.0.113.7")


def test_it_is_printed_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*TYPED, "--new-password", "654320", "--interval", "60"]) == 0
    out, err = capsys.readouterr()
    assert not err
    lines = out.splitlines()
    assert "  2. password123456 654320" in lines
    assert "     answer: password ok" in lines
    assert "  7. protocol654320 18" in lines
    assert "  8. fix060s***n654320" in lines
    assert "Mind:" in lines
    assert "Before you sell the car:" in lines
    assert "203.0.113.7 is an address of documentation" in out
    assert max(map(len, lines)) <= 100


def test_it_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*TYPED, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == planned(host="203.0.113.7").payload()
    assert told["steps"][0] == {
        "text": "begin123456",
        "answer": "begin ok",
        "why": told["steps"][0]["why"],
        "proof": "written",
    }
    assert set(told) == {"family", "steps", "warnings", "unknown", "out_of_service"}


def test_a_family_without_texts_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sms-plan", "--family", "kxtech", "--host", "8.8.4.4"]) == 0
    out = capsys.readouterr().out
    assert "(no text is known)" in out
    assert "Not known for this family:" in out


def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*TYPED, "--password", "12"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err == "tk103b-bridge: password is a text of 6 digits (4 on h02 trackers)\n"
