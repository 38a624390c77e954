"""tk103: laws that hold for whatever a peer sends, and the reference readings where they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.model import CommandResult, Fix, Login, Message, Report
from bridge.protocols import tk103
from bridge.protocols.base import Claim, Context
from bridge.protocols.connection import Connection, Event, Received, Rejected

AT = datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
CORPUS = Path(__file__).parents[1] / "corpus" / "tk103"
REFERENCE = Path(__file__).parents[2] / "../shared/corpus"

USUAL = b"(087000000012BR00260501A4807.5000N01131.5000E046.0101530087.3101000000L0000A1B2)"


def listen(*chunks: bytes, datagrams: bool = False, claimed: bool = True) -> list[Event]:
    """Return what a peer's bytes come to; `claimed`: tk103 is already known to be spoken."""
    connection = Connection((tk103.PROTOCOL,), datagrams=datagrams)
    if claimed:
        connection.protocol = tk103.PROTOCOL
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events(AT)
    connection.receive_eof()
    return [*events, *connection.events(AT)]


def messages(events: list[Event]) -> list[Message]:
    return [
        message for event in events if isinstance(event, Received) for message in event.messages
    ]


# --- the opening, the fast way and the long way ---------------------------------------------


@pytest.mark.parametrize(
    ("data", "final", "claim"),
    [
        (b"(", False, Claim.UNDECIDED),
        (b"(087", False, Claim.UNDECIDED),
        (b"(0870", False, Claim.YES),
        (b"((087", False, Claim.YES),
        (b"(1)", False, Claim.YES),
        (b"(", True, Claim.YES),
        (b"(\x00", False, Claim.NO),
        (b"(0{1}", False, Claim.NO),
        (b"imei:", False, Claim.NO),
        (b")", False, Claim.NO),
        (b"", False, Claim.UNDECIDED),
        (b"", True, Claim.NO),
    ],
)
def test_five_bytes_settle_it(data, final, claim):
    assert tk103.claim(data, final) is claim


def test_the_identity_stays_with_the_connection():
    connection = Connection((tk103.PROTOCOL,))
    connection.receive_data(b"(864000000002345,ZC20,010526,101530,6,402,65535,255)" + USUAL)
    seen = [connection.device_id for _event in connection.events(AT)]
    assert seen == ["864000000002345", "087000000012"]


def both_ways(frame: bytes) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return a BR body as the fast way reads it, and as the long way does; None: not at all."""
    text = frame.decode("latin-1")
    report = tk103._interval(frame, text, Context(received_at=AT))
    said = tk103._position(text[13:17], text[17:-1], year_first=True)
    names = tk103._Said.__struct_fields__
    fast = report and {name: getattr(report, name) for name in names}
    return fast, said and msgspec.structs.asdict(said)


def test_the_usual_frame_takes_the_fast_way():
    fast, slow = both_ways(USUAL)
    assert fast == slow is not None


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(17, len(USUAL) - 2), st.sampled_from("0123456789 .NSWAVLF")),
        max_size=3,
    ),
    st.sampled_from(["", "T113", "+021.5", ",260501,101530"]),
)
def test_both_ways_agree(changes, tail):
    text = bytearray(USUAL)
    for place, character in changes:
        text[place] = ord(character)
    frame = bytes(text[:-1]) + tail.encode() + b")"
    try:
        fast, slow = both_ways(frame)
    except ValueError:
        assume(False)  # noqa: FBT003 - the long way refuses a value, as the fast way must have
    if fast is not None:
        assert fast == slow


# --- laws -------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file, none where it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def corpus_frames() -> list[bytes]:
    rows = [row for path in CORPUS.glob("*.jsonl") for row in lines(path)]
    return sorted({bytes.fromhex(event["frame"]) for row in rows for event in row["events"]})


FRAMES = corpus_frames()
frames = st.sampled_from(FRAMES)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame cut short, with bits flipped, or spliced with another."""
    frame = draw(frames)
    match draw(st.sampled_from(["truncated", "flipped", "spliced"])):
        case "truncated":
            return frame[: draw(st.integers(0, len(frame)))]
        case "flipped":
            data = bytearray(frame)
            for bit in draw(st.sets(st.integers(0, len(frame) * 8 - 1), max_size=4)):
                data[bit // 8] ^= 1 << bit % 8
            return bytes(data)
        case _:
            other = draw(frames)
            end, begin = draw(st.integers(0, len(frame))), draw(st.integers(0, len(other)))
            return frame[:end] + other[begin:]


def check_bounds(message: Message) -> None:
    assert re.fullmatch("[0-9A-Za-z]{1,32}", message.device_id)
    assert message.protocol == "tk103"
    again = msgspec.json.decode(msgspec.json.encode(message), type=Message)
    assert again == message
    if not isinstance(message, Report):
        return
    assert re.fullmatch("[A-Z]{2}[0-9A-Z]{2}", message.keyword)
    if message.fix is not None:
        check_fix(message.fix)
    status, cell = message.status, message.cell
    assert status.odometer_km is None or 0 <= status.odometer_km <= 0xFFFFFFFF / 1000
    assert status.battery_percent is None or 0 <= status.battery_percent <= 100
    assert status.battery_v is None or 0 <= status.battery_v < 6554
    assert status.external_v is None or 0 <= status.external_v < 6554
    assert status.temperature_c is None or -1000 < status.temperature_c < 1000
    assert cell is None or (cell.mcc <= 999 and cell.mnc <= 999 and cell.lac <= 0xFFFF)
    assert len(message.extra.get("payload", "")) <= 256


def check_fix(fix: Fix) -> None:
    assert -90 <= fix.latitude <= 90
    assert -180 <= fix.longitude <= 180
    assert fix.speed_kmh is None or 0 <= fix.speed_kmh <= 1000
    assert fix.course_deg is None or 0 <= fix.course_deg <= 360
    assert fix.altitude_m is None or -1000 <= fix.altitude_m <= 20000
    assert fix.satellites is None or 0 <= fix.satellites <= 99
    assert fix.time is None or 2000 <= fix.time.year < 2100


@settings(deadline=None, max_examples=400)
@given(st.lists(damaged(), min_size=1, max_size=3))
def test_damaged_frames_end_as_received_or_rejected(pieces):
    for datagrams in (False, True):
        for event in listen(*pieces, datagrams=datagrams):
            if isinstance(event, Received):
                assert event.messages
                assert re.fullmatch(rb"(\([0-9A-Za-z]{1,32}AP(01HSO|05)\))?", event.reply)
                for message in event.messages:
                    check_bounds(message)
            else:
                assert isinstance(event, Rejected)
                assert event.frame
                assert re.fullmatch(
                    "malformed( [a-z]+)?|truncated|too long|unrecognised", event.reason
                )


@settings(deadline=None, max_examples=150)
@given(st.data(), st.lists(st.one_of(frames, damaged(), st.just(b"\r\n x)$")), max_size=5))
def test_chunking_is_invisible(data, pieces):
    stream = b"(0870" + b"".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert listen(*chunks, claimed=False) == listen(stream, claimed=False)


def test_a_session_of_datagrams_is_read_as_the_stream_is():
    whole = [frame for frame in FRAMES if frame.endswith(b")") and not listen(frame)[1:]]
    as_stream = [event for frame in whole for event in listen(frame)]
    assert listen(*whole, datagrams=True) == as_stream


# --- the reference readings, where they are ---------------------------------------------------


class Deviation(NamedTuple):
    """What we read differently from the reference, on purpose."""

    fields: frozenset[str]
    why: str


def on(fields: str, why: str) -> Deviation:
    return Deviation(frozenset(fields.split()), why)


ELEVEN = on("id", "an id of 11 digits does not include the parenthesis")
NO_SUCH_DATE = on("time", "a date that does not exist is no time")
STATUS_READ = on("ignition external_power", "STATUS is read behind a comma too")

DEVIATIONS = {
    "real/1": on(
        "battery_v battery_percent", "BS51 is big-endian, and its volts are the battery's"
    ),
    "real/2": on("external_power", "BS50's flag says that the pack charges: Status.charging"),
    "real/8": STATUS_READ,
    "real/18": on("id time", "15 digits are the id, BP02 the command, and 170304 the year first"),
    "real/25": on("messages", "a well-formed command of unknown meaning is kept as text"),
    "real/26": ELEVEN,
    "real/41": ELEVEN,
    "real/30": NO_SUCH_DATE,
    "real/31": NO_SUCH_DATE,
    "real/53": on("ignition external_power odometer_km", "STATUS and odometer in the comma style"),
    "stream/47": on("replies", "a stray parenthesis does not cost the login"),
    "stream/50": on("messages", "an alarm without a place is an alarm"),
    "stream/53": on("messages", "a datagram may hold two frames"),
}


class Reading(NamedTuple):
    """One line of the reference: what was sent, and what it was read as."""

    chunks: list[bytes]
    datagrams: bool
    results: list[dict[str, Any]]
    replies: list[str]


def readings() -> Iterator[tuple[str, Reading]]:
    for row in lines(REFERENCE / "tk103.jsonl"):
        yield f"real/{row['index']}", reading(row)
    for row in lines(REFERENCE / "tk103.synthetic.jsonl"):
        yield f"synthetic/{row['id']}", reading(row)
    for number, row in enumerate(lines(REFERENCE / "framing.jsonl"), 1):
        if row["protocol"] == "tk103":
            yield f"stream/{number}", reading(row)


def reading(row: dict[str, Any]) -> Reading:
    parts = row.get("frames") or [{"result": row.get("result"), "response": row.get("response")}]
    texts = row.get("chunks") or [row["frame"]]
    in_hex = row.get("encoding") == "hex"
    return Reading(
        chunks=[bytes.fromhex(text) if in_hex else text.encode("latin-1") for text in texts],
        datagrams=row.get("transport") == "udp",
        results=[result for part in parts for result in part["result"] or ()],
        replies=[reply["data"] for part in parts for reply in part["response"] or ()],
    )


def theirs(result: dict[str, Any]) -> dict[str, Any]:
    """Return the reference's reading under our names, in our units."""
    said = result["attributes"]
    alarm = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), said.get("alarm", ""))
    found: dict[str, Any] = {
        "id": result["uniqueId"],
        "time": result["deviceTime"] and datetime.fromisoformat(result["deviceTime"]),
        "alarm": alarm.replace("lowspeed", "low_speed") or None,
        "ignition": said.get("ignition"),
        "external_power": said.get("charge"),
        "battery_percent": said.get("batteryLevel"),
        "battery_v": said.get("battery"),
        "external_v": said.get("power"),
        "odometer_km": said["odometer"] / 1000 if "odometer" in said else None,
        "vin": said.get("vin"),
        "result": said.get("result"),
        "fix": not result["outdated"],
    }
    if not result["outdated"]:
        found |= {name: result[name] for name in ("valid", "latitude", "longitude", "course")}
        found["speed_kmh"] = result["speed_knots"] * 1.852
    towers = (result["network"] or {}).get("cellTowers", ())
    found["cells"] = {
        (tower["mobileCountryCode"], tower["mobileNetworkCode"], tower["locationAreaCode"],
         tower["cellId"]) for tower in towers
    }  # fmt: skip
    return found


def ours(message: Message) -> dict[str, Any]:
    if isinstance(message, CommandResult):
        return {
            "id": message.device_id,
            "time": message.device_time,
            "result": message.text,
            "fix": False,
        }
    assert isinstance(message, Report)
    status = message.status
    found: dict[str, Any] = {
        "id": message.device_id,
        "time": message.device_time,
        "alarm": message.alarm,
        "ignition": status.ignition,
        "external_power": status.external_power,
        "battery_percent": status.battery_percent,
        "battery_v": status.battery_v,
        "external_v": status.external_v,
        "odometer_km": status.odometer_km,
        "vin": message.extra.get("vin"),
        "fix": message.fix is not None,
    }
    if message.fix is not None:
        names = ("valid", "latitude", "longitude", "speed_kmh")
        found |= {name: getattr(message.fix, name) for name in names}
        found["course"] = message.fix.course_deg
    if message.cell is not None:
        found["cells"] = {msgspec.structs.astuple(message.cell)}
        found["cells"] |= {tuple(cell.values()) for cell in message.extra.get("cells", ())}
    return found


TOLERANCE = {"latitude": 1e-6, "longitude": 1e-6, "speed_kmh": 0.01}


def differs(name: str, reference: Any, found: Any) -> bool:
    if name == "cells":  # of BZ00 the reference reads the first cell only
        return not (reference or set()) <= (found or set())
    if isinstance(reference, float) and isinstance(found, float):
        return abs(reference - found) > TOLERANCE.get(name, 1e-9)
    return reference != found


READINGS = dict(readings())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
@pytest.mark.parametrize("name", READINGS)
def test_reference(name):
    case = READINGS[name]
    events = listen(*case.chunks, datagrams=case.datagrams)
    told = [message for message in messages(events) if not isinstance(message, Login)]
    replies = [event.reply.decode() for event in events if isinstance(event, Received)]
    found: set[str] = set()
    if [reply for reply in replies if reply] != case.replies:
        found.add("replies")
    if len(told) != len(case.results):
        found.add("messages")
    for message, result in zip(told, case.results, strict=False):
        left, right = theirs(result), ours(message)
        found |= {
            field for field in left | right if differs(field, left.get(field), right.get(field))
        }
    deviation = DEVIATIONS.get(name)
    assert found == (deviation.fields if deviation else frozenset())


@pytest.mark.skipif(not READINGS, reason="the reference corpus is not here")
def test_every_deviation_is_still_one():
    assert DEVIATIONS.keys() <= READINGS.keys()
