"""What is heard of a tracker becomes ticks: proofs, advice, what is never said, the summary."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.assess import Verdict
from bridge.cli.verify import seconds, step_names, told
from bridge.contract import ALARM_KINDS, Topics
from bridge.model import Fix, Status
from bridge.protocols.registry import PROTOCOLS
from bridge.vehicle import MOVING_KMH
from bridge.verify import BY_NAME, STEPS, Course, Heard, chosen, is_hopeless, summary, topics_of
from bridge.verify import proofs as p
from bridge.verify.heard import DEVICES, EVENT
from bridge.verify.steps import _DOUBTS, NO_REPORTS, NO_SKY, SILENCE, TOWED
from bridge.verify.unsaid import IMPOSSIBLE, SAYINGS, spoken
from tests.bridge.corpus import LINES

Body = dict[str, Any]

FIX = {"valid": True, "latitude": 52.52, "longitude": 13.41, "speed_kmh": 48.0, "satellites": 7}
REPORTS: list[Body] = [
    message
    for line in LINES
    for event in line.row["events"]
    for message in event.get("messages", ())
    if message["type"] == "report"
]
NAMES = [protocol.name for protocol in PROTOCOLS]


def report(**more: Any) -> Body:
    return {
        "type": "report", "protocol": "gps103", "transport": "tcp", "keyword": "tracker",
        "received_at": "2026-05-01T10:16:01.5Z", "device_time": "2026-05-01T10:16:00Z",
        "fix": FIX, "status": {}, "extra": {}, "verdict": "ok",
    } | more  # fmt: skip


def hearing(*said: tuple[str, Body], kept: bool = False, **row: Any) -> Heard:
    heard = Heard("golf")
    heard.hear(DEVICES, {"vehicles": [{"key": "van"}, {"key": "golf", **row}]}, kept=True)
    for leaf, body in said:
        heard.hear(leaf, body, kept=kept)
    return heard


def status(**inputs: bool) -> tuple[str, Body]:
    return "report", report(status=inputs)


def states(**fields: tuple[Any, ...]) -> list[tuple[str, Body]]:
    (name, values), = fields.items()  # fmt: skip
    return [("state", {name: value} if value is not None else {}) for value in values]


SOS = ("report", report(alarm="sos", keyword="help me"))
CUT = ("report", report(alarm="sos", extra={"alarms": ["power_cut"]}))

PROVEN: dict[str, list[list[tuple[str, Body]]]] = {
    "it is heard": [
        [("report", report())],
        [("history", report())],
        [(EVENT, {"type": "connected", "vehicle": "golf", "protocol": "gt06"})],
        states(last_seen=("2026-05-01T10:00:00Z", "2026-05-01T10:01:00Z")),
        states(last_seen=(None, "2026-05-01T10:01:00Z")),
    ],
    "it knows where it is": [
        [("report", report())],
        [("report", report(verdict="parked", fix=FIX | {"hdop": 1.2}))],
    ],
    "its time is right": [[("report", report())]],
    "ignition on": [[status(ignition=True)]],
    "ignition off": [[status(ignition=False)]],
    "door open": [[status(door_open=True)]],
    "door closed": [[status(door_open=False)]],
    "SOS": [[SOS], [("alarm", {"event_type": "sos", "keyword": "help me", "late": False})]],
    "power cut": [[CUT], [status(external_power=False)]],
    "speed": [[("report", report())]],
    "motion": [[("report", report()), *states(motion=(True,))]],
    "trip": [states(trip=({"distance_km": 0.2, "by": "motion"},)), [("trip", {"distance_km": 3})]],
    "odometer": [states(odometer_km=(100.0, 100.1)), states(odometer_km=(0.0, 0.1, 12.5))],
}

UNPROVEN: dict[str, list[list[tuple[str, Body]]]] = {
    "it is heard": [
        [("state", {"last_seen": "2026-05-01T10:00:00Z"})] * 2,
        [(EVENT, {"type": "connected", "vehicle": "van", "protocol": "gt06"})],
        [(EVENT, {"type": "disconnected", "vehicle": "golf"})],
        [("history", {"event_type": "sos"})],
    ],
    "it knows where it is": [
        [("report", report(verdict=str(verdict)))] for verdict in Verdict if verdict not in p.GOOD
    ]
    + [[("history", report())], [("report", report(fix=None, verdict=None))]],
    "its time is right": [
        [("report", report(device_time="2026-05-01T02:16:00Z"))],
        [("report", report(verdict="no_fix"))],
    ],
    "ignition on": [[status(ignition=False)], [("history", report(status={"ignition": True}))]],
    "door open": [[status(ignition=True)]],
    "SOS": [[("alarm", {"event_type": "sos", "late": True})], [("history", SOS[1])]],
    "power cut": [[SOS], [status(external_power=True)]],
    "speed": [[("report", report(fix=FIX | {"speed_kmh": MOVING_KMH - 1}))]],
    "motion": [[("report", report()), *states(motion=(False, None))], states(motion=(True,))],
    "trip": [states(trip=({"distance_km": 0.05},)), [("trip", {"distance_km": 3, "late": True})]],
    "odometer": [states(odometer_km=(100.0,)), states(odometer_km=(100.0, 100.0))],
}

POINTS = {point.what: point for step in STEPS for point in step.points}


def cases(table: dict[str, list[list[tuple[str, Body]]]]) -> list[Any]:
    return [
        pytest.param(what, said, id=f"{what} {number}")
        for what, alternatives in table.items()
        for number, said in enumerate(alternatives)
    ]


@pytest.mark.parametrize(("what", "said"), cases(PROVEN))
def test_what_proves_a_point(what: str, said: list[tuple[str, Body]]) -> None:
    value = POINTS[what].proof(hearing(*said))
    assert value
    assert "52.5" not in value


@pytest.mark.parametrize(("what", "said"), cases(UNPROVEN))
def test_what_does_not(what: str, said: list[tuple[str, Body]]) -> None:
    assert POINTS[what].proof(hearing(*said)) == ""


@pytest.mark.parametrize("what", POINTS)
def test_what_was_known_before_proves_nothing(what: str) -> None:
    """But for the odometer, which may be compared with what it was before."""
    assert set(PROVEN) == set(POINTS)
    assert POINTS[what].proof(hearing()) == ""
    for said in PROVEN[what]:
        if all(leaf in ("state", "alarm") for leaf, _ in said[:1]) and len(said) == 1:
            assert POINTS[what].proof(hearing(*said, kept=True)) == ""
    heard = hearing(*states(odometer_km=(41.9,)), kept=True)
    heard.hear("state", {"odometer_km": 42.3})
    assert p.odometer(heard) == "41.9 to 42.3 km"


def test_the_first_word_is_told() -> None:
    login = (EVENT, {"type": "connected", "vehicle": "golf", "protocol": "gt06",
                     "transport": "udp"})  # fmt: skip
    beats = states(last_seen=(None, "2026-05-01T10:01:00Z"))
    assert p.life(hearing(login, *beats)) == "gt06 over UDP: a login"
    assert p.life(hearing(*beats, protocol="xexun")) == "xexun: a heartbeat"
    assert p.life(hearing(login, ("report", report()))) == "gps103 over TCP: a report"


@pytest.mark.parametrize(
    ("shown", "learnt_s", "told"),
    [
        ("10:15:58Z", None, "right within 4 s"),
        ("10:16:30Z", 29000, "right within 28 s"),
        ("02:16:00Z", None, ""),
        ("02:16:00Z", 29000, ""),
        ("18:16:00Z", 28798, "7 h 59 min ahead, which the bridge corrects"),
        ("02:16:00Z", -28800, "8 h behind, which the bridge corrects"),
        ("10:11:00Z", 0, ""),  # a delay: the bridge knows that the clock is right
    ],
)
def test_a_clock_is_right_or_corrected(shown: str, learnt_s: int | None, told: str) -> None:
    heard = hearing(("report", report(device_time=f"2026-05-01T{shown}")))
    if learnt_s is not None:
        heard.hear("state", {"clock_skew_s": learnt_s}, kept=True)
    assert p.right_time(heard) == told


def test_a_tracker_that_tells_no_time() -> None:
    timeless = report()
    del timeless["device_time"]
    assert "moment of receipt" in p.right_time(hearing(("report", timeless)))


@pytest.mark.parametrize(
    ("offset_s", "told"),
    [(0, "0 s behind"), (59.6, "1 min ahead"), (-28800, "8 h behind"), (90061, "1 d 1 h ahead")],
)
def test_offsets_in_words(offset_s: float, told: str) -> None:
    assert p.offset_text(offset_s) == told


@pytest.mark.parametrize("verdict", [str(each) for each in Verdict if each not in p.GOOD])
def test_every_doubt_about_a_position_has_its_advice(verdict: str) -> None:
    advice = BY_NAME["fix"].advice
    assert advice(hearing(("report", report(verdict=verdict)))) == _DOUBTS[verdict]


def test_advice_goes_by_what_was_heard() -> None:
    life, fix, time = (BY_NAME[name].advice for name in ("reports", "fix", "time"))
    key, drive = BY_NAME["key"].advice, BY_NAME["drive"].advice
    login = (EVENT, {"type": "connected", "vehicle": "golf"})
    for advice in (life, fix, key, drive):
        assert advice(hearing()) == SILENCE
    assert life(hearing(login)) == ""
    assert fix(hearing(login)) == key(hearing(login)) == NO_REPORTS
    blind = ("report", {"type": "report", "received_at": "2026-05-01T10:16:00Z", "cell": {}})
    assert fix(hearing(blind)) == NO_SKY
    assert "comes with a position" in time(hearing(blind))
    good = ("report", report())
    assert fix(hearing(good)) == time(hearing(good)) == ""
    late = ("history", report(verdict="historical", device_time="2026-05-01T02:16:01.5Z"))
    assert "upload" in fix(hearing(late))
    assert "8 h behind" in time(hearing(late))
    assert time(hearing(good, advice="Text it this.")) == "Text it this."
    assert "ignition wire" in key(hearing(good))
    assert "It has only said: off. " in key(hearing(status(ignition=False)))
    assert "It has only said: open. " in BY_NAME["door"].advice(hearing(status(door_open=True)))
    assert drive(hearing(good, *states(ignition=(False,)))) == TOWED
    assert "Drive on" in drive(hearing(good, *states(ignition=(True,))))


def test_of_other_vehicles_nothing_is_heard() -> None:
    heard = hearing((EVENT, {"type": "connected", "vehicle": "van", "protocol": "h02"}))
    heard.hear(DEVICES, {"vehicles": [{"key": "van", "protocol": "h02"}]})
    assert (heard.said, heard.row, heard.protocol) == ([], {"key": "golf"}, "")
    leaves = topics_of(Topics("base"), "golf")
    assert leaves["base/vehicle/golf/report"] == "report"
    assert list(leaves)[-1] == "base/bridge/devices"  # retained: when it comes, all are heard


# --- what is never said ---------------------------------------------------------------------------


def test_every_field_has_its_saying() -> None:
    fields = [name for saying in SAYINGS for name in saying.fields]
    assert sorted(fields) == sorted(
        {*Status.__struct_fields__, *Fix.__struct_fields__} - {"valid", "latitude", "longitude"}
    )
    assert {kind for saying in SAYINGS for kind in saying.alarms} <= set(ALARM_KINDS)
    whats = [saying.what for saying in SAYINGS]
    assert len(set(whats)) == len(whats)
    assert {step.saying for step in STEPS} - {""} <= set(whats)
    assert set(Verdict) >= p.GOOD


@pytest.mark.parametrize("protocol", NAMES)
def test_a_protocol_has_no_word_for_what_no_frame_of_its_corpus_says(protocol: str) -> None:
    heard = hearing(*(("report", body) for body in REPORTS if body["protocol"] == protocol))
    unsaid = {saying.what for saying in SAYINGS if spoken(heard, saying) != "now"}
    assert unsaid == IMPOSSIBLE[protocol]
    for step in STEPS:
        if step.saying:
            whole = all(point.proof(heard) for point in step.points)
            assert whole is not is_hopeless(step, heard), step.name


def test_now_before_never_and_impossible() -> None:
    by_what = {saying.what: saying for saying in SAYINGS}
    heard = hearing(
        ("report", report(status={"ignition": True, "temperature_c": 0.0})),
        reports=["door_open"], alarms=["power_cut"],
    )  # fmt: skip
    heard.hear("alarm", {"event_type": "fuel_leak", "late": True})
    expected = {
        "ignition": "now", "temperature": "now", "fuel": "now", "speed": "now", "door": "before",
        "external power": "before", "SOS": "never", "charging": "impossible",
    }  # fmt: skip
    assert {what: spoken(heard, by_what[what]) for what in expected} == expected
    assert spoken(hearing(), by_what["charging"]) == "never"  # no protocol is known yet


# --- runs -----------------------------------------------------------------------------------------


def run(heard: Heard, only: tuple[str, ...] = (), **more: Any) -> Body:
    courses = [Course(step) for step in chosen(only)]
    for course in courses:
        course.tick(heard, 1.04)
        course.ending = "done" if course.done else "too long"
    return summary(courses, heard, only, **more)


def test_steps_are_chosen_in_the_order_of_the_table() -> None:
    assert [step.name for step in chosen(("power", "fix"))] == ["fix", "power"]
    assert [step.name for step in chosen(())] == [
        step.name for step in STEPS if not step.optional
    ]  # fmt: skip
    assert step_names(" sos,key") == ("sos", "key")
    with pytest.raises(argparse.ArgumentTypeError, match="no step is called ''; there is reports"):
        step_names("key,")
    assert seconds("1.5") == 1.5
    for text in ("0", "-1", "nan", "inf", "soon"):
        with pytest.raises(argparse.ArgumentTypeError):
            seconds(text)


def test_what_is_necessary_decides() -> None:
    good = ("report", report())
    assert run(hearing(good))["good"] is True
    assert run(hearing())["good"] is False
    assert run(hearing(("report", report(verdict="no_fix"))))["good"] is False
    assert run(hearing(good), only=("fix", "sos"))["good"] is False
    assert run(hearing(good, SOS), only=("fix", "sos"))["good"] is True


def test_a_point_is_ticked_once_and_a_step_that_was_skipped_may_still_be_proven() -> None:
    heard = hearing(status(ignition=True))
    course = Course(BY_NAME["key"])
    assert [point.what for point, _ in course.tick(heard, 2.0)] == ["ignition on"]
    assert course.tick(heard, 3.0) == []
    assert not course.done
    course.ending = "skipped"
    (half,) = summary([course], heard)["steps"]
    assert half == {
        "step": "key", "ending": "skipped", "missing": ["ignition off"],
        "ticks": [{"what": "ignition on", "value": "with 'tracker'", "after_s": 2.0}],
    }  # fmt: skip
    heard.hear(*status(ignition=False))
    (whole,) = summary([course], heard)["steps"]
    assert (whole["ending"], whole["missing"]) == ("done", [])
    assert "after_s" not in whole["ticks"][1]


@given(
    said=st.lists(
        st.tuples(st.sampled_from(["report", "history"]), st.sampled_from(REPORTS)), max_size=4
    ),
    verdict=st.sampled_from(sorted(Verdict)),
    only=st.lists(st.sampled_from(sorted(BY_NAME))).map(tuple),
)
def test_whatever_is_heard_a_summary_comes_of_it_without_coordinates(
    said: list[tuple[str, Body]], verdict: str, only: tuple[str, ...]
) -> None:
    bodies = [
        (leaf, body | ({"verdict": str(verdict)} if "fix" in body else {})) for leaf, body in said
    ]
    heard = hearing(*bodies)
    found = run(heard, only)
    text = json.dumps(found) + "\n".join(told(found, "Golf"))
    for _, body in bodies:
        fix = body.get("fix") or {}
        assert not any(
            f"{fix[name]:.3f}" in text for name in ("latitude", "longitude") if fix.get(name)
        )
    assert "position" not in found
    assert found["good"] == all(
        not step["missing"]
        for step in found["steps"]
        if BY_NAME[step["step"]].necessary or step["step"] in only
    )
    shown = run(heard, only, where=True)
    assert ("position" in shown) == bool(p.position(heard))


def test_the_summary_in_words() -> None:
    heard = hearing(
        ("report", report(protocol="xexun", status={"ignition": True})), protocol="xexun"
    )
    lines = list(told(run(heard), "My Golf"))
    assert lines[1] == "My Golf (golf), xexun over TCP"
    assert "key      ignition on           [x] with 'tracker'" in lines
    assert "key      ignition off          [ ] did not come" in lines
    assert "Heard now: ignition, speed, satellites." in lines
    assert any(line.startswith("  SOS  ") for line in lines)
    assert any(line.startswith("Not a word for in xexun: door, external power") for line in lines)
    assert lines[-1] == "Everything necessary was there."
    silent = list(told(run(hearing()), "My Golf"))
    assert silent[1] == "My Golf (golf), which has never said a word"
    assert "Never said by this unit:" not in silent
    assert max(map(len, silent + lines)) <= 110
    assert silent[-1] == "Not everything necessary was there."


def test_the_page_names_every_step_and_its_points() -> None:
    text = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    assert [name.strip() for name, _ in rows[: len(STEPS)]] == [f"`{step.name}`" for step in STEPS]
    for saying in SAYINGS:
        assert saying.what in text
