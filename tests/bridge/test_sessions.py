"""Replies keep their order whatever commits when; a tracker has one session, the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.protocols.connection import Connection
from bridge.protocols.registry import PROTOCOLS
from bridge.sessions import ALTERNATING, Session, Sessions, Takeover

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IDLE = timedelta(minutes=30)
GOLF, VAN = "864000000001234", "864000000005678"


def session(transport="tcp", address="192.0.2.7", last_seen=NOON) -> tuple[Session, list[bytes]]:
    sent: list[bytes] = []
    made = Session(
        transport=transport,
        peer=f"{address}:4000",
        address=address,
        connection=Connection(PROTOCOLS, datagrams=transport == "udp"),
        send=sent.append,
        close=lambda _: None,
        since=NOON,
        last_seen=last_seen,
    )

    def close(reason: str) -> None:
        made.closed = True
        sent.append(f"<{reason}>".encode())

    made.close = close
    return made, sent


def identify(known: Sessions, one: Session, tracker_id=GOLF, at=NOON) -> Takeover | None:
    return known.identify(one, tracker_id, f"key of {tracker_id}", at)


# --- replies --------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=12), st.randoms(use_true_random=False))
def test_replies_leave_in_the_order_of_their_frames_whichever_commits_first(ready, chance):
    one, sent = session()
    held = [one.hold(b"%d" % number, ready=now) for number, now in enumerate(ready)]
    one.flush()
    barrier = ready.index(False) if False in ready else len(ready)
    assert sent == [b"%d" % number for number in range(barrier)]
    chance.shuffle(held)
    for pending in held:
        pending.ready = True
        one.flush()
    assert sent == [b"%d" % number for number in range(len(ready))]
    assert one.waiting == 0


def test_a_barrier_without_a_reply_holds_up_what_comes_after_it():
    one, sent = session()
    silent = one.hold(b"", ready=False)
    one.hold(b"ON", ready=True)
    one.flush()
    assert sent == []
    silent.ready = True
    one.flush()
    assert sent == [b"ON"]


def test_a_reply_goes_the_way_its_question_came():
    one, first = session("udp")
    pending = one.hold(b"1", ready=False)
    second: list[bytes] = []
    one.send = second.append
    one.hold(b"2", ready=True)
    pending.ready = True
    one.flush()
    assert (first, second) == ([b"1"], [b"2"])


def test_a_withdrawn_reply_is_never_sent_and_holds_up_nobody():
    one, sent = session()
    first, twin = one.hold(b"E", ready=False), one.hold(b"E", ready=False)
    one.hold(b"ON", ready=True)
    one.withdraw(twin)
    assert sent == []
    first.ready = True
    one.flush()
    assert sent == [b"E", b"ON"]


def test_what_is_ready_is_released_past_what_is_not():
    one, sent = session()
    report = one.hold(b"E", ready=False)
    one.hold(b"LOAD", ready=True)
    one.hold(b"ON", ready=True)
    one.release()
    assert sent == [b"LOAD", b"ON"]
    report.ready = True
    one.flush()
    assert sent == [b"LOAD", b"ON", b"E"]


def test_nothing_is_sent_to_who_is_gone():
    one, sent = session()
    one.hold(b"ON", ready=True)
    one.closed = True
    one.flush()
    assert sent == []
    assert one.waiting == 0


def test_it_closes_after_the_last_reply_and_once():
    one, sent = session()
    pending = one.hold(b"E", ready=False)
    one.finish()
    assert not one.closed
    pending.ready = True
    one.flush()
    one.flush()
    assert sent == [b"E", b"<>"]


def test_it_closes_at_once_where_no_reply_is_due():
    one, sent = session()
    one.finish()
    assert sent == [b"<>"]


# --- who speaks for a tracker ---------------------------------------------------------------------


def test_the_newest_session_speaks_for_a_tracker():
    known = Sessions(IDLE)
    (older, _), (newer, _) = session(), session()
    assert identify(known, older) is None
    assert identify(known, older) is None
    assert identify(known, newer) == Takeover(older, refused=False, alternating=False)
    assert known.of(GOLF) is newer
    assert known.leave(older) == {}
    assert known.leave(newer) == {GOLF: f"key of {GOLF}"}
    assert known.of(GOLF) is None
    assert len(known) == 0


def test_who_takes_the_place_of_a_closed_one_takes_over_from_nobody():
    known = Sessions(IDLE)
    (older, _), (newer, _) = session(), session()
    identify(known, older)
    older.closed = True
    assert identify(known, newer) is None


@pytest.mark.parametrize(
    ("older", "newer", "silent_s", "refused"),
    [
        ("tcp", "udp", 0, True),
        ("tcp", "udp", 1799, True),
        ("tcp", "udp", -60, True),
        ("tcp", "udp", 1800, False),
        ("udp", "udp", 0, False),
        ("udp", "tcp", 0, False),
        ("tcp", "tcp", 0, False),
    ],
)
def test_a_datagram_takes_over_only_from_a_silent_connection(older, newer, silent_s, refused):
    known = Sessions(IDLE)
    first, _ = session(older, last_seen=NOON - timedelta(seconds=silent_s))
    second, _ = session(newer)
    identify(known, first)
    takeover = identify(known, second)
    assert takeover is not None
    assert takeover.refused is refused
    assert takeover.alternating is refused
    assert known.of(GOLF) is (first if refused else second)
    assert second.speaks_for == ({} if refused else {GOLF: f"key of {GOLF}"})


@pytest.mark.parametrize(
    ("addresses", "gap", "alternating"),
    [
        ("AB", timedelta(seconds=10), [False]),
        ("ABA", timedelta(seconds=10), [False, True]),
        ("ABAB", timedelta(seconds=10), [False, True, True]),
        ("ABA", ALTERNATING + timedelta(seconds=1), [False, False]),
        ("AAA", timedelta(seconds=10), [False, False]),
        ("ABCD", timedelta(seconds=10), [False, False, False]),
    ],
)
def test_two_devices_are_told_from_one_that_moves(addresses, gap, alternating):
    known = Sessions(IDLE)
    seen = []
    for number, address in enumerate(addresses):
        one, _ = session(address=address)
        takeover = identify(known, one, at=NOON + gap * number)
        if takeover is not None:
            seen.append(takeover.alternating)
    assert seen == alternating


def test_a_gateway_leaves_with_all_it_spoke_for():
    known = Sessions(IDLE)
    (gateway, _), (other, _) = session(), session()
    for tracker_id in (GOLF, VAN):
        identify(known, gateway, tracker_id)
    assert identify(known, other, VAN) is not None
    assert gateway.is_known
    assert list(known.leave(gateway)) == [GOLF]
    assert list(known.leave(other)) == [VAN]
    assert len(known) == 0


def test_what_is_remembered_of_takeovers_is_bounded():
    known = Sessions(IDLE)
    for number in range(1500):
        for _ in range(2):
            one, _ = session()
            identify(known, one, str(number))
    assert len(known._replaced) == 1000
