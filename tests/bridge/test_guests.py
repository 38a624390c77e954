"""Strangers wait in bounded memory, and a crowd of made-up ones does not push out a real one."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import guests as module
from bridge.contract import Guest as GuestPayload
from bridge.frames import FrameRecord
from bridge.guests import (
    GONE,
    Guest,
    GuestChange,
    Guests,
    Waiting,
    is_plausible,
    is_shared,
)
from bridge.model import NO_STATUS, CommandResult, Fix, Heartbeat, Login, Report

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REAL = "864000000000017"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def report(device_id: str = REAL, fix: Fix | None = None, keyword: str = "tracker") -> Report:
    return Report(
        device_id=device_id,
        protocol="gps103",
        received_at=NOON,
        keyword=keyword,
        fix=fix,
        status=NO_STATUS,
        extra={},
    )


HERE = Fix(valid=True, latitude=47.5, longitude=-8.25)
POSITION = report(fix=HERE)
LOGIN = Login(device_id=REAL, protocol="gps103", received_at=NOON)
HEARTBEAT = Heartbeat(device_id=REAL, protocol="gps103", received_at=NOON)


def saw(
    room: Guests,
    device_id: str = REAL,
    seconds: float = 0,
    message=POSITION,
    *,
    source: str = "198.18.0.1",
    transport: str = "tcp",
):
    return room.saw(
        device_id,
        source=source,
        protocol=message.protocol,
        transport=transport,
        now=at(seconds),
        message=message,
    )


# One guest.


@pytest.mark.parametrize(
    ("message", "plausible"),
    [
        (POSITION, True),
        (report(fix=Fix(valid=True, latitude=0.0, longitude=-8.25)), True),
        (report(fix=Fix(valid=True, latitude=-47.5, longitude=0.0)), True),
        (report(fix=Fix(valid=False, latitude=47.5, longitude=8.25)), False),
        (report(fix=Fix(valid=True, latitude=0.0, longitude=0.0)), False),
        (report(fix=Fix(valid=True, latitude=0.009, longitude=-0.009)), False),
        (report(fix=Fix(valid=True, latitude=90.1, longitude=8.25)), False),
        (report(fix=Fix(valid=True, latitude=47.5, longitude=-180.1)), False),
        (report(), False),
        (LOGIN, False),
        (HEARTBEAT, False),
    ],
)
def test_a_plausible_position_is_a_valid_fix_away_from_zero(message, plausible):
    assert is_plausible(message) is plausible


def test_what_a_message_changes_is_told_once():
    room = Guests()
    assert saw(room, message=LOGIN) is GuestChange.NEW
    assert saw(room, message=HEARTBEAT) is None
    assert saw(room, message=report()) is None
    assert saw(room) is GuestChange.POSITION
    assert saw(room) is None
    assert saw(room, "354000000000011") is GuestChange.NEW
    assert GuestChange.NEW.is_new
    assert not GuestChange.POSITION.is_new


def test_a_guest_is_listed_as_it_was_last_seen():
    room = Guests()
    saw(room, message=LOGIN)
    saw(room, seconds=60, message=report())
    saw(room, seconds=90, transport="udp")
    (guest,) = room.listed()
    assert guest == Guest(
        id=REAL,
        first_seen=at(0),
        last_seen=at(90),
        protocol="gps103",
        transport="udp",
        reports=2,
        has_position=True,
    )
    assert msgspec.to_builtins(guest)["last_seen"] == "2026-03-01T12:01:30Z"
    assert set(Guest.__struct_fields__) == set(GuestPayload.__annotations__)


def test_the_last_reports_wait_in_order_and_are_given_once():
    room = Guests(reports=3)
    result = CommandResult(
        device_id=REAL, protocol="gps103", received_at=NOON, keyword="x", text="y"
    )
    saw(room, message=LOGIN)
    saw(room, message=result)
    sent = [report(keyword=str(number)) for number in range(5)]
    for number, one in enumerate(sent):
        saw(room, message=one, transport="udp" if number % 2 else "tcp")
    assert room.knows(REAL)
    assert room.take(REAL) == [
        Waiting(sent[2], "tcp"),
        Waiting(sent[3], "udp"),
        Waiting(sent[4], "tcp"),
    ]
    assert not room.knows(REAL)
    assert room.take(REAL) == []


def test_a_forgotten_guest_leaves_nothing_and_may_come_again():
    room = Guests()
    saw(room)
    room.forget(REAL)
    room.forget(REAL)
    assert (len(room), room.listed(), room.take(REAL)) == (0, [], [])
    assert saw(room) is GuestChange.NEW


# Many.


def fill(room: Guests, count: int, seconds: float = 0, prefix: str = "35400000000") -> list[str]:
    ids = [f"{prefix}{number:04d}" for number in range(count)]
    for number, one in enumerate(ids):
        assert saw(room, one, seconds + number / 100, source=f"{prefix}.{number}")
    return ids


def test_a_newcomer_replaces_the_oldest_that_did_not_come_back():
    room = Guests(limit=4)
    first, second, third, fourth = fill(room, 4)
    saw(room, first, 30)
    assert saw(room, seconds=31) is GuestChange.NEW
    assert list(room) == [first, third, fourth, REAL]
    assert not room.knows(second)


def test_what_follows_at_once_is_no_second_contact():
    room = Guests(limit=2)
    saw(room, REAL, 0, LOGIN)
    saw(room, REAL, 1)
    saw(room, REAL, 9.9)
    saw(room, "1", 5)
    saw(room, "2", 20)
    assert list(room) == ["1", "2"]


def test_when_all_came_back_a_newcomer_waits_until_one_is_gone():
    room = Guests(limit=2)
    often, seldom = fill(room, 2)
    for seconds in (60, 120, 170):
        saw(room, often, seconds)
    saw(room, seldom, 180)
    assert saw(room, seconds=769.9) is None
    assert list(room) == [often, seldom]
    assert saw(room, seconds=790) is GuestChange.NEW
    assert list(room) == [often, REAL], "of those gone, the one that came less often leaves"


def test_one_address_gets_a_few_places():
    room = Guests(limit=20, per_source=3, shared=lambda _: False)
    for number in range(10):
        saw(room, f"flood{number}", number, source="a")
    assert list(room) == ["flood7", "flood8", "flood9"]
    for one in list(room):
        saw(room, one, 30, source="a")
    assert saw(room, "flood10", 31, source="a") is None
    assert saw(room, REAL, 31, source="b") is GuestChange.NEW


def test_an_address_that_many_share_is_not_held_against_them():
    room = Guests(limit=5, per_source=3, shared=lambda source: source == "gateway")
    for number in range(7):
        saw(room, f"one{number}", number, source="gateway")
    assert len(room) == 5


@pytest.mark.parametrize(
    ("source", "shared"),
    [
        ("192.168.1.20", True),
        ("172.17.0.1", True),
        ("10.0.0.7", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fd00::7", True),
        ("::ffff:10.0.0.7", True),
        ("", True),
        ("localhost", True),
        ("11.22.33.44", False),
        ("::ffff:11.22.33.44", False),
        ("2a00:1450::1", False),
    ],
)
def test_private_addresses_are_shared_ones(source, shared):
    assert is_shared(source) is shared


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    interval=st.integers(15, 590),
    per_flood_second=st.sampled_from([0.05, 1, 50]),
    made_up=st.sampled_from([30, 500, 100_000]),
    sources=st.sampled_from([1, 8, 5000]),
    limit=st.integers(2, 20),
)
def test_a_flood_does_not_push_out_a_guest_that_keeps_reporting(
    *, seed, interval, per_flood_second, made_up, sources, limit
):
    random = Random(seed)  # noqa: S311 - a flood, not a secret
    room = Guests(limit=limit, per_source=3, reports=5, shared=lambda _: False)
    saw(room, seconds=0)
    saw(room, seconds=interval)
    now = last = float(interval)
    told = 2
    for _ in range(1500):
        now += random.expovariate(per_flood_second)
        while now - last >= interval:
            last += interval
            told += 1
            assert saw(room, seconds=last) is None
        number = random.randrange(made_up)
        saw(room, f"flood{number}", now, source=f"s{number % sources}")
        assert room.knows(REAL)
        assert len(room) <= limit
    places = [guest.source for guest in room._guests.values()]
    assert max(map(places.count, places)) <= 3
    assert all(len(guest.waiting) <= 5 for guest in room._guests.values())
    assert room._guests[REAL].reports == told
    assert len(room.take(REAL)) == min(5, told)


def test_a_clock_set_back_neither_frees_nor_freezes_a_place():
    room = Guests(limit=1)
    saw(room, seconds=3600)
    saw(room, seconds=0)
    assert saw(room, "1", 1) is None
    assert room.knows(REAL)


# The slots with their buttons.


def test_only_guests_with_a_position_are_shown_those_who_come_back_first():
    room = Guests()
    saw(room, "silent", message=LOGIN)
    for seconds, one in enumerate(("a", "b", "c", "d")):
        saw(room, one, seconds)
    saw(room, "d", 30)
    saw(room, "c", 31)
    assert room.slots(at(32)) == [(1, "c"), (2, "d"), (3, "a")]


def test_a_slot_stays_though_others_come_more_often():
    room = Guests()
    saw(room, "a")
    assert room.slots(at(0)) == [(1, "a")]
    for seconds in (0, 20, 40):
        for one in ("b", "c", "d"):
            saw(room, one, seconds)
    assert room.slots(at(40)) == [(1, "a"), (2, "b"), (3, "c")]
    room.take("b")
    assert room.slots(at(41)) == [(1, "a"), (2, "d"), (3, "c")]
    room.forget("c")
    assert room.slots(at(599)) == [(1, "a"), (2, "d")]
    assert room.slots(at(600)) == [(2, "d")], "gone for ten minutes"
    assert room.knows("a")
    saw(room, "a", 700)
    assert room.slots(at(700)) == [(1, "a")]


def test_a_guest_with_buttons_keeps_its_place_until_it_is_gone():
    room = Guests(limit=3)
    saw(room, "shown")
    room.slots(at(0))
    for seconds in range(1, 590):
        saw(room, f"flood{seconds}", seconds)
    assert room.slots(at(590))[0] == (1, "shown")
    for seconds in range(600, 1200):
        saw(room, f"flood{seconds}", seconds)
    assert not room.knows("shown")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["saw", "saw", "saw", "login", "take", "forget", "look"]),
        st.integers(0, 7),
        st.integers(0, 400),
    ),
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, limit=st.integers(1, 6))
def test_a_slot_changes_only_when_its_guest_is_settled_or_gone(steps, limit):
    room = Guests(limit=limit)
    now = 0
    last_seen: dict[str, int] = {}
    settled: set[str] = set()
    shown: dict[int, str] = {}
    for verb, number, pause in steps:
        now += pause
        one = f"id{number}"
        if verb in ("saw", "login"):
            saw(room, one, now, POSITION if verb == "saw" else LOGIN)
            if room.knows(one):
                last_seen[one] = now
        elif verb == "look":
            slots = dict(room.slots(at(now)))
            for slot, before in shown.items():
                if slots.get(slot) != before:
                    gone = now - last_seen[before] >= GONE.total_seconds()
                    assert before in settled or gone
            assert len(set(slots.values())) == len(slots)
            waiting = {guest.id for guest in room.listed() if guest.has_position}
            here = {each for each in waiting if now - last_seen[each] < GONE.total_seconds()}
            assert len(slots) == min(3, len(here | set(slots.values())))
            shown, settled = slots, set()
        else:
            room.take(one) if verb == "take" else room.forget(one)
            settled.add(one)


# Raw frames.


def frame(data: bytes, tracker_id: str = "", note: str = "") -> FrameRecord:
    return FrameRecord(
        tracker_id=tracker_id,
        received_at=NOON,
        direction="in",
        protocol="",
        transport="tcp",
        note=note,
        data=data,
    )


def test_frames_of_a_guest_and_what_its_address_said_besides():
    room = Guests()
    kept = [
        ("a", frame(b"?", note="unrecognised")),
        ("a", frame(b"1", REAL)),
        ("b", frame(b"2", "354000000000011")),
        ("b", frame(b"?", note="unrecognised")),
        ("a", frame(b"3", REAL, note="malformed time")),
    ]
    for source, one in kept:
        room.keep(source, one)
    assert room.frames_of(REAL) == [one for source, one in kept if source == "a"]
    assert room.frames_of("unknown") == []


def test_the_ring_of_frames_is_bounded_in_number_and_in_bytes():
    room = Guests()
    for number in range(module.RING_FRAMES + 5):
        room.keep("a", frame(b"%d" % number, REAL))
    numbers = [int(one.data) for one in room.frames_of(REAL)]
    assert numbers == list(range(5, module.RING_FRAMES + 5))
    for _ in range(200):
        room.keep("a", frame(bytes(4096), REAL))
    assert sum(len(one.data) for one in room.frames_of(REAL)) == module.RING_BYTES
