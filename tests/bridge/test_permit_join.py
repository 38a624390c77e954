"""The open door lets in one tracker, and nobody where it is unclear which one was meant."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.errors import RequestError
from bridge.guests import Guests, Joined, PermitJoin
from bridge.model import NO_STATUS, Fix, Heartbeat, Login, Message, Report

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REAL = "864000000000017"


def report(fix: Fix | None = None) -> Report:
    return Report(
        device_id=REAL,
        protocol="gps103",
        received_at=NOON,
        keyword="tracker",
        fix=fix,
        status=NO_STATUS,
        extra={},
    )


POSITION = report(Fix(valid=True, latitude=47.5, longitude=-8.25))
LOGIN = Login(device_id=REAL, protocol="gps103", received_at=NOON)
HEARTBEAT = Heartbeat(device_id=REAL, protocol="gps103", received_at=NOON)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def saw(room: Guests, device_id: str = REAL, message: Message = POSITION) -> None:
    room.saw(device_id, source="a", protocol="gps103", transport="tcp", now=NOON, message=message)


def test_the_door_lets_in_the_first_newcomer_with_two_positions():
    room = Guests()
    saw(room, "before")
    door = PermitJoin(room)
    door.open(at(0), name="Golf")
    assert door.until == at(254)
    for message in (POSITION, POSITION):
        assert door.saw("before", at(1), message) is None
    for message in (LOGIN, HEARTBEAT, POSITION, report(), HEARTBEAT):
        assert door.saw(REAL, at(2), message) is None
    assert door.is_open(at(3))
    assert door.saw(REAL, at(4), POSITION) == Joined(REAL, "Golf")
    assert not door.is_open(at(5))
    assert door.saw("next", at(6), POSITION) is None
    assert door.saw("next", at(7), POSITION) is None
    assert door.contested is None


def test_of_two_newcomers_neither_is_let_in():
    door = PermitJoin(Guests())
    door.open(at(0))
    assert door.saw(REAL, at(1), POSITION) is None
    assert door.saw("other", at(2), HEARTBEAT) is None
    assert door.contested is None
    assert door.saw("other", at(3), POSITION) is None
    assert door.contested == (REAL, "other")
    assert not door.is_open(at(3))
    assert door.saw(REAL, at(4), POSITION) is None
    door.open(at(5))
    assert door.contested is None


def test_the_door_closes_by_itself_and_by_hand():
    door = PermitJoin(Guests())
    assert not door.is_open(at(0))
    assert door.saw(REAL, at(0), POSITION) is None
    door.open(at(0), 10)
    assert door.saw(REAL, at(9), POSITION) is None
    assert door.saw(REAL, at(10), POSITION) is None
    assert (door.is_open(at(10)), door.until) == (False, None)
    door.open(at(20), 10)
    door.close()
    assert not door.is_open(at(20))


def test_opening_it_again_keeps_who_has_come_meanwhile():
    room = Guests()
    door = PermitJoin(room)
    door.open(at(0), 60, name="Golf")
    saw(room)
    assert door.saw(REAL, at(1), POSITION) is None
    door.open(at(50), 60, name="Polo")
    assert door.until == at(110)
    assert door.saw(REAL, at(100), POSITION) == Joined(REAL, "Polo")


def test_a_door_opened_anew_counts_anew():
    room = Guests()
    door = PermitJoin(room)
    door.open(at(0), 10)
    saw(room)
    door.saw(REAL, at(1), POSITION)
    door.open(at(10), 10)
    assert door.saw(REAL, at(11), POSITION) is None, "a guest when the door was opened"
    assert door.saw("other", at(12), POSITION) is None
    assert door.saw("other", at(13), POSITION) == Joined("other", "")


@pytest.mark.parametrize("seconds", [-1, 0, 901])
def test_the_door_stays_open_for_a_quarter_of_an_hour_at_most(seconds):
    door = PermitJoin(Guests())
    with pytest.raises(RequestError, match="1 to 900 seconds"):
        door.open(at(0), seconds)
    assert not door.is_open(at(0))
    door.open(at(0), 900)
    assert door.is_open(at(899))
