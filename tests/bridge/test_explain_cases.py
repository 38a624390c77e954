"""``decode --cases``: JSON lines in, JSON lines out, each line one fresh connection."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.explain import run_cases
from tests.bridge.corpus import FOLDER

RECEIVED_AT = "2026-05-01T10:16:00Z"
CORPUS = sorted(path for path in FOLDER.glob("*/*.jsonl") if path.parent.name != "sms")
"""Those of the protocols: a text message is no frame."""

LONG = "864000000000115"
LOGIN = f"##,imei:{LONG},A;"
HEARTBEAT = f"{LONG};"
PLACE = "F,101530.000,A,4807.2400,N,01131.5000,E,31.21,123.45,512.3,1,0,45.10%,,21"
POSITION = f"imei:{LONG},tracker,260501121530,,{PLACE};"
SOS = f"imei:{LONG},help me,260501121530,,{PLACE};"
TK103 = "(087000000012BR00260501A4807.2400N01131.5000E046.0101530087.3101000000L0000A1B2)"


def case(*chunks: str, **fields: object) -> dict[str, object]:
    return {
        "id": "one",
        "transport": "tcp",
        "encoding": "latin-1",
        "chunks": list(chunks),
        "received_at": RECEIVED_AT,
    } | fields


def answers(*lines: object) -> list[dict]:
    """What `run_cases` writes for lines: text and bytes as they are, anything else as JSON."""
    out = io.StringIO()
    run_cases((line if isinstance(line, str | bytes) else json.dumps(line) for line in lines), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def events(*chunks: str, **fields: object) -> list[dict]:
    (answer,) = answers(case(*chunks, **fields))
    return answer["events"]


# --- what an answer is ---------------------------------------------------------------------


def test_an_answer_in_full() -> None:
    assert answers(case(LOGIN, HEARTBEAT)) == [
        {
            "id": "one",
            "protocol": "gps103",
            "events": [
                {
                    "frame": LOGIN.encode().hex(),
                    "reply": b"LOAD".hex(),
                    "messages": [
                        {
                            "type": "login",
                            "device_id": LONG,
                            "protocol": "gps103",
                            "received_at": RECEIVED_AT,
                        }
                    ],
                },
                {
                    "frame": HEARTBEAT.encode().hex(),
                    "reply": b"ON".hex(),
                    "messages": [
                        {
                            "type": "heartbeat",
                            "device_id": LONG,
                            "protocol": "gps103",
                            "received_at": RECEIVED_AT,
                        }
                    ],
                },
            ],
        }
    ]


def test_a_report_has_the_names_of_the_vocabulary() -> None:
    (event,) = events(TK103)
    assert event["reply"] == ""
    assert event["messages"] == [
        {
            "type": "report",
            "device_id": "087000000012",
            "protocol": "tk103",
            "received_at": RECEIVED_AT,
            "device_time": "2026-05-01T10:15:30Z",
            "keyword": "BR00",
            "fix": {
                "time": "2026-05-01T10:15:30Z",
                "valid": True,
                "latitude": pytest.approx(48.120667, abs=1e-6),
                "longitude": 11.525,
                "speed_kmh": 46.0,
                "course_deg": 87.31,
            },
            "status": {
                "ignition": True,
                "door_open": False,
                "external_power": True,
                "engine_cut": False,
                "odometer_km": 41.394,
            },
            "extra": {},
        }
    ]


def test_the_receipt_of_an_alarm_belongs_to_the_reply() -> None:
    (event,) = events(SOS)
    assert bytes.fromhex(event["reply"]).decode() == f"**,imei:{LONG},E;"
    (glued,) = events(HEARTBEAT[:-1] + SOS)
    assert bytes.fromhex(glued["reply"]).decode() == f"ON**,imei:{LONG},E;"


def test_blank_delimiters_and_noise_make_no_event() -> None:
    assert [event["frame"] for event in events(f"\r\n{LOGIN}\r\n\r\n")] == [LOGIN.encode().hex()]
    assert [event["frame"] for event in events(f"{TK103}\r\nnoise{TK103}")] == [
        TK103.encode().hex()
    ] * 2


@pytest.mark.parametrize("chunks", [[], [""], ["\r\n", " "]])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_no_bytes_make_no_event(chunks: list[str], transport: str) -> None:
    assert answers(case(*chunks, transport=transport)) == [
        {"id": "one", "protocol": None, "events": []}
    ]


def test_empty_chunks_are_harmless() -> None:
    assert events("", POSITION[:20], "", POSITION[20:], "") == events(POSITION)
    assert events("", POSITION, "", transport="udp") == events(POSITION)


def test_an_unfinished_frame_is_truncated() -> None:
    assert events(LOGIN, POSITION[:40]) == [
        *events(LOGIN),
        {"frame": POSITION[:40].encode().hex(), "rejected": "truncated"},
    ]
    assert events(TK103[:40], transport="udp") == [
        {"frame": TK103[:40].encode().hex(), "rejected": "truncated"}
    ]


def test_a_frame_that_breaks_its_grammar() -> None:
    broken = POSITION.replace("4807", "9807")
    (answer,) = answers(case(broken))
    assert answer["protocol"] == "gps103"
    assert answer["events"] == [{"frame": broken.encode().hex(), "rejected": "malformed latitude"}]


@pytest.mark.parametrize(
    "chunks",
    [
        ["GET / HTTP/1.1\r\n\r\n"],
        ["GET ", "/ HTTP/1.1\r\n", "\r\n"],
        [*"GET / HTTP/1.1\r\n\r\n"],
    ],
)
def test_a_stream_nobody_claims_is_one_event(chunks: list[str]) -> None:
    assert answers(case(*chunks)) == [
        {
            "id": "one",
            "protocol": None,
            "events": [
                {
                    "frame": b"GET / HTTP/1.1\r\n\r\n".hex(),
                    "rejected": "unrecognised",
                    "protocol": None,
                }
            ],
        }
    ]


def test_each_datagram_is_detected_anew() -> None:
    (answer,) = answers(case("GET /", "GET /", TK103, LOGIN, transport="udp"))
    assert answer["protocol"] == "tk103"
    assert [event.get("rejected") for event in answer["events"]] == [
        "unrecognised", "unrecognised", None, None,
    ]  # fmt: skip
    assert [event["messages"][0]["protocol"] for event in answer["events"][2:]] == [
        "tk103", "gps103",
    ]  # fmt: skip


def test_a_datagram_may_lack_its_delimiter() -> None:
    assert events(POSITION[:-1], transport="udp")[0]["messages"] == events(POSITION)[0]["messages"]
    assert events(POSITION[:-1])[0]["rejected"] == "truncated"


def test_a_protocol_claimed_without_a_frame_is_named() -> None:
    assert answers(case("(", transport="udp"), case("imei:", transport="tcp")) == [
        {
            "id": "one",
            "protocol": "tk103",
            "events": [{"frame": b"(".hex(), "rejected": "truncated"}],
        },
        {
            "id": "one",
            "protocol": "gps103",
            "events": [{"frame": b"imei:".hex(), "rejected": "truncated"}],
        },
    ]


@given(data=st.data())
def test_how_a_stream_is_chopped_changes_nothing(data: st.DataObject) -> None:
    stream = f"{LOGIN}{POSITION}\r\n{SOS[:60]}"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert events(*chunks) == events(stream)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_our_corpus_is_a_file_of_cases(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    for line, answer in zip(lines, answers(*lines), strict=True):
        case = json.loads(line)
        for event in case["events"]:
            if "reply" in event and case["encoding"] == "latin-1":
                event["reply"] = event["reply"].encode("latin-1").hex()
            elif event.get("rejected") == "unrecognised":
                event["protocol"] = None
        assert answer["id"] == case["id"]
        assert answer["events"] == case["events"], case["id"]


# --- what a line is -----------------------------------------------------------------------------


def test_hex_and_latin_1() -> None:
    assert events(TK103.encode().hex().upper(), encoding="hex") == events(TK103)
    assert events("\xff\xfe") == [{"frame": "fffe", "rejected": "unrecognised", "protocol": None}]


@pytest.mark.parametrize(
    "text",
    ["2026-05-01T10:16:00Z", "2026-05-01T12:16:00+02:00", "2026-05-01T10:16:00.000-00:00"],
)
def test_the_time_is_told_in_utc(text: str) -> None:
    (event,) = events(LOGIN, received_at=text)
    assert event["messages"][0]["received_at"] == RECEIVED_AT


@pytest.mark.parametrize("case_id", ["", "a b", 7, -1])
def test_an_id_is_echoed_as_it_is(case_id: str | int) -> None:
    (answer,) = answers(case(LOGIN, id=case_id))
    assert answer["id"] == case_id


@pytest.mark.parametrize(
    "fields",
    [
        {"transport": "sctp"},
        {"transport": None},
        {"encoding": "utf-8"},
        {"encoding": "hex", "chunks": ["0g"]},
        {"encoding": "hex", "chunks": ["012"]},
        {"chunks": "imei:"},
        {"chunks": [1]},
        {"chunks": ["Ā"]},
        {"received_at": "2026-05-01T10:16:00"},
        {"received_at": "yesterday"},
        {"received_at": 1777630560},
        {"received_at": "0001-01-01T00:00:00+02:00"},
        {"received_at": "9999-12-31T23:59:59-02:00"},
    ],
)
def test_no_valid_case_but_a_readable_id(fields: dict[str, object]) -> None:
    (answer,) = answers(case(LOGIN) | fields)
    assert answer["id"] == "one"
    assert answer.keys() == {"id", "error"}
    assert answer["error"]


@pytest.mark.parametrize("key", ["transport", "encoding", "chunks", "received_at"])
def test_a_missing_key_is_named(key: str) -> None:
    (answer,) = answers({name: value for name, value in case(LOGIN).items() if name != key})
    assert key in answer["error"]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        '{"id": "one"',
        "[]",
        '"one"',
        "1",
        "null",
        "{}",
        "[" * 100_000,
        b'{"id": "\xff"}',
        json.dumps(case(LOGIN, id=None)),
        json.dumps(case(LOGIN, id=["one"])),
        json.dumps(case(LOGIN, id=True)),
    ],
    ids=range(12),
)
def test_no_case_and_no_id(line: str | bytes) -> None:
    (answer,) = answers(line)
    assert answer["id"] is None
    assert answer["error"]


def test_the_run_goes_on_and_counts() -> None:
    out = io.StringIO()
    lines = [json.dumps(case(LOGIN)), "", "nonsense", "  \n", json.dumps(case(TK103, id="two"))]
    assert run_cases(lines, out) == 1
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [answer["id"] for answer in found] == ["one", None, "two"]
    assert "events" in found[2]


def test_an_answer_comes_before_the_next_line_is_read() -> None:
    out = io.StringIO()

    def lines() -> Iterator[bytes]:
        yield json.dumps(case(LOGIN)).encode()
        assert out.getvalue().count("\n") == 1
        yield json.dumps(case(LOGIN)).encode()

    assert run_cases(lines(), out) == 0


def test_nothing_is_kept_between_lines() -> None:
    first, second = answers(case(LOGIN), case(POSITION))
    assert [second] == answers(case(POSITION))
    assert first["protocol"] == "gps103"


def test_answers_are_ascii_whatever_a_stranger_sends() -> None:
    out = io.StringIO()
    run_cases([json.dumps(case("(864000000000115,ZC03,010526,101530,$\x9b31m\xe9$)"))], out)
    assert out.getvalue().isascii()
    assert json.loads(out.getvalue())["events"][0]["messages"][0]["text"] == "\x9b31m\xe9"
