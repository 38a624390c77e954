"""Every line of every corpus means exactly what it says, and laws hold over all their frames."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.explain.cases import converse
from bridge.protocols.base import Claim
from bridge.protocols.connection import UNRECOGNISED, Event, Received
from bridge.protocols.registry import PROTOCOLS
from tests.bridge.corpus import FOLDER, FRAMES, LINES, Line, plain
from tests.bridge.laws import AT, NAMES, lawful

LEAST_FRAMES = 40
STREAMS = [line for line in LINES if line.transport == "tcp"]

BITS_FLIPPED_A_FRAME = 12
SPLICES = 400


# --- the corpus itself ------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.id)
def test_a_line_means_exactly_this(line: Line) -> None:
    encoding = line.row["encoding"]
    assert [plain(event, encoding) for event in line.replay()] == line.row["events"]


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_has_a_corpus(name: str) -> None:
    frames = [frame for line in LINES if line.protocol == name for frame in line.frames]
    assert len(set(frames)) >= LEAST_FRAMES


def test_every_corpus_belongs_to_a_protocol() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {*NAMES, "sms"}
    for path in FOLDER.glob("*/*.jsonl"):
        for text in path.read_text("utf-8").splitlines():
            assert json.loads(text)["id"].startswith(f"{path.parent.name}/")


def test_every_line_has_a_name_of_its_own_and_a_source() -> None:
    assert [name for name, times in Counter(line.id for line in LINES).items() if times > 1] == []
    assert [line.id for line in LINES if not line.row["source"].strip()] == []
    assert [line.id for line in LINES if not line.row.get("why", "x").strip()] == []


# --- a: whose language is this? ---------------------------------------------------------------


def claims(data: bytes, *, final: bool) -> dict[str, Claim]:
    return {protocol.name: protocol.claim(data, final) for protocol in PROTOCOLS}


def yes(data: bytes, *, final: bool) -> list[str]:
    return [name for name, claim in claims(data, final=final).items() if claim is Claim.YES]


def unrecognised(line: Line) -> bool:
    """What nobody claims stands in a corpus too."""
    return any(event.get("rejected") == UNRECOGNISED for event in line.row["events"])


@pytest.mark.parametrize("name", NAMES)
def test_no_prefix_is_claimed_twice_and_the_speaker_never_declines(name: str) -> None:
    spoken = [line for line in STREAMS if line.protocol == name and not unrecognised(line)]
    for stream in (b"".join(line.chunks).lstrip(b"\r\n ") for line in spoken):
        assert yes(stream, final=True) == [name]
        for length in range(1, len(stream)):
            opening = stream[:length]
            assert claims(opening, final=False)[name] is not Claim.NO, opening
            assert yes(opening, final=False) in ([], [name]), opening
            assert len(yes(opening, final=True)) <= 1, opening


def test_a_whole_frame_is_claimed_by_exactly_one() -> None:
    """One that does not open its stream may stand behind noise that nobody would claim."""
    for line in LINES:
        openings = [b"".join(line.chunks)] if line.transport == "tcp" else line.chunks
        for frame in line.frames:
            whole, mine = yes(frame, final=True), [line.protocol]
            if any(opening.lstrip(b"\r\n ").startswith(frame) for opening in openings):
                assert whole == mine, frame
                assert yes(frame, final=False) == mine or line.transport == "udp", frame
            assert whole in (mine, []), frame


# --- b: chunking is invisible -----------------------------------------------------------------


def as_stream(*chunks: bytes) -> list[Event]:
    return converse(chunks, "tcp", AT)[1]


def as_datagrams(*chunks: bytes) -> list[Event]:
    return converse(chunks, "udp", AT)[1]


def test_every_frame_may_be_split_anywhere() -> None:
    for frame in FRAMES:
        whole = as_stream(frame)
        for at in range(1, len(frame)):
            assert as_stream(frame[:at], frame[at:]) == whole, (frame, at)


def test_every_stream_may_come_byte_by_byte() -> None:
    for line in STREAMS:
        stream = b"".join(line.chunks)
        assert line.replay([bytes([byte]) for byte in stream]) == line.replay([stream]), line.id


@given(
    line=st.sampled_from(STREAMS),
    cuts=st.lists(st.floats(0.0, 1.0, exclude_max=True), max_size=12),
)
@settings(deadline=None)
def test_every_stream_may_be_chopped_at_random(line: Line, cuts: list[float]) -> None:
    stream = b"".join(line.chunks)
    places = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
    chopped = [stream[begin:end] for begin, end in pairwise(places)]
    assert line.replay(chopped) == line.replay([stream])


# --- c, d, f: whatever comes ends as Received or Rejected, its values legal and JSON ----------


def both_ways(data: bytes) -> None:
    lawful(as_stream(data), data)
    lawful(as_datagrams(data), data)


def test_every_frame_is_lawful() -> None:
    for frame in FRAMES:
        both_ways(frame)


def test_every_truncation_is_lawful() -> None:
    for frame in FRAMES:
        for end in range(len(frame)):
            both_ways(frame[:end])


def test_flipped_bits_are_lawful() -> None:
    chance = random.Random(103)  # noqa: S311 - to be repeatable, not to be secret
    for frame in FRAMES:
        for _ in range(BITS_FLIPPED_A_FRAME):
            flipped = bytearray(frame)
            flipped[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            both_ways(bytes(flipped))


def test_spliced_frames_are_lawful() -> None:
    chance = random.Random(103)  # noqa: S311 - to be repeatable, not to be secret
    for _ in range(SPLICES):
        first, second = chance.choices(FRAMES, k=2)
        both_ways(first[: chance.randrange(len(first))] + second[chance.randrange(len(second)) :])


def test_a_datagram_means_what_a_stream_means() -> None:
    """But for frames that only a datagram may leave open."""
    for frame in FRAMES:
        streamed = as_stream(frame)
        if isinstance(streamed[-1], Received):
            assert as_datagrams(frame) == streamed


def test_json_has_no_null() -> None:
    """What is unknown is left out; and an infinity or NaN would be written as null."""

    def nulls(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(nulls, value.values()))
        return any(map(nulls, value)) if isinstance(value, list) else value is None

    for frame in FRAMES:
        for event in as_datagrams(frame):
            if isinstance(event, Received):
                assert not nulls(msgspec.json.decode(msgspec.json.encode(event.messages)))
