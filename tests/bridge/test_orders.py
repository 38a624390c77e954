"""The life of a command and the gates before an engine stop, as laws."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import danger, orders
from bridge.command import Arm, SetInterval, StopEngine
from bridge.danger import GATES, Heard, Scene
from bridge.model import Fix
from bridge.orders import Order, Status
from bridge.texts import is_same_number
from tests.bridge.sayings import NOW


def order(
    number: int, status: Status = Status.QUEUED, *, final: bool = False, minutes: float = 0
) -> Order:
    at = NOW + timedelta(minutes=minutes)
    return Order(
        id=str(number), command=Arm(), asked_at=at, until=at, at=at, status=status, final=final
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(Status), st.booleans(), st.floats(0, 60)),
        max_size=60,
    )
)
def test_open_orders_are_never_forgotten_and_ended_ones_are_bounded(
    told: list[tuple[int, Status, bool, float]],
) -> None:
    known: tuple[Order, ...] = ()
    latest: dict[str, Order] = {}
    for number, status, final, minutes in sorted(told, key=lambda one: one[3]):
        step = order(number, status, final=final, minutes=minutes)
        known, latest[step.id] = orders.step(known, step), step
        assert known[-1] == step
        assert [one.id for one in known] == list(dict.fromkeys(one.id for one in known))
        assert {one.id for one in latest.values() if not one.final} <= {one.id for one in known}
        assert sum(one.final for one in known) <= orders.MOST_ENDED + 1
        assert all(one is known[-1] or one.is_open for one in known)  # nobody can repeat them


@pytest.mark.parametrize(
    ("payload", "command", "transaction", "ttl_s"),
    [
        (b"arm", Arm(), None, None),
        (b" arm\n", Arm(), None, None),
        (b'{"command":"arm","transaction":"x"}', Arm(), "x", None),
        (b'{"command":"set_interval","seconds":30,"ttl_s":60}', SetInterval(seconds=30), None, 60),
    ],
)
def test_a_wish_is_read(
    payload: bytes, command: object, transaction: object, ttl_s: int | None
) -> None:
    wish = orders.read_wish(payload)
    assert (wish.command, wish.transaction, wish.ttl_s) == (command, transaction, ttl_s)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"fly", b"{", b"{}", b'{"command":"arm","wings":2}', b'{"command":"set_interval"}',
        b'{"command":"arm","ttl_s":0}', b'{"command":"arm","ttl_s":true}',
        b'{"command":"arm","by":"a\\nb"}', b'{"command":"arm","transaction":[1]}',
        b'{"command":"arm","transaction":"' + b"x" * 81 + b'"}', b"{" + b'"a":{' * 5000, b"\xff",
        b'{"command":["arm"]}', b'{"command":{}}', b'{"command":"arm","transaction":true}',
        b'{"command":"arm","transaction":9223372036854775808}',
    ],
)  # fmt: skip
def test_what_is_no_wish_is_refused_in_words(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        orders.read_wish(payload)


@given(st.binary(max_size=200))
def test_any_payload_is_a_wish_or_a_value_error(payload: bytes) -> None:
    try:
        orders.read_wish(payload)
    except ValueError:
        return


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(
    st.sampled_from(sorted(orders.NAMES)) | _json,
    st.dictionaries(st.sampled_from(("transaction", "by", "ttl_s", "seconds", "text")), _json),
)
def test_any_object_is_a_wish_that_its_journal_holds_or_a_value_error(
    command: object, more: dict[str, object]
) -> None:
    try:
        wish = orders.wish({"command": command, **more})
    except ValueError:
        return
    one = order(1)
    one = msgspec.structs.replace(one, command=wish.command, transaction=wish.transaction)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Order) == one


def test_an_order_survives_its_journal() -> None:
    one = order(1)
    whole = msgspec.structs.replace(one, command=StopEngine(), transaction="x", by="somebody")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=Order) == whole


# --- danger ---------------------------------------------------------------------------------------


def heard(
    seconds_ago: float,
    *,
    speed_kmh: float | None = 0.0,
    north_m: float = 0,
    believed: bool = True,
) -> Heard:
    at = NOW - timedelta(seconds=seconds_ago)
    fix = Fix(
        time=at, valid=True, latitude=52.5 + north_m / 111_195, longitude=13.4, speed_kmh=speed_kmh
    )
    return Heard(at, at, fix, believed)


OPEN = Scene(
    now=NOW, allowed=True, max_speed_kmh=5, min_session_s=60, transport="tcp",
    session_s=60, fixes=(heard(20), heard(10)),
)  # fmt: skip


def but(**changes: object) -> Scene:
    return Scene(**{name: changes.get(name, getattr(OPEN, name)) for name in Scene.__slots__})


def test_all_gates_can_be_open() -> None:
    assert danger.refusal(OPEN) == ""
    assert danger.refusal(but(fixes=(heard(900), heard(5, north_m=49)))) == ""
    assert danger.refusal(but(others=(heard(60, speed_kmh=100),))) == ""


CLOSED = [
    ("not_enabled", but(allowed=False)),
    ("not_connected", but(transport="")),
    ("needs_tcp", but(transport="udp")),
    ("needs_tcp", but(transport="sms")),
    ("session_not_trusted", but(session_s=59.9)),
    ("session_not_trusted", but(session_s=None)),
    ("session_not_trusted", but(disturbed_at=[NOW - timedelta(minutes=9.9)])),
    ("session_not_trusted", but(disturbed_at=[NOW + timedelta(minutes=1)])),
    ("no_fresh_fix", but(fixes=())),
    ("no_fresh_fix", but(fixes=(heard(50), heard(30.1)))),
    ("no_fresh_fix", but(fixes=(heard(20), heard(-31)))),
    ("no_fresh_fix", but(fixes=(heard(20), heard(10), heard(5, believed=False)))),
    ("too_fast", but(fixes=(heard(20), heard(10, speed_kmh=5.1)))),
    ("too_fast", but(fixes=(heard(20, speed_kmh=50), heard(10)))),
    ("too_fast", but(fixes=(heard(20), heard(15, speed_kmh=50, believed=False), heard(10)))),
    ("too_fast", but(others=(heard(20, speed_kmh=50),))),
    ("too_fast", but(others=(heard(20, speed_kmh=50, believed=False),))),
    ("too_fast", but(fixes=(heard(20), heard(10, speed_kmh=None)))),
    ("too_fast", but(fixes=(heard(20), heard(10, speed_kmh=float("nan"))))),
    ("too_fast", but(max_speed_kmh=90, fixes=(heard(20), heard(10, speed_kmh=21)))),
    ("fixes_disagree", but(fixes=(heard(10),))),
    ("fixes_disagree", but(fixes=(heard(10), heard(10)))),
    ("fixes_disagree", but(fixes=(heard(10), heard(9)))),
    ("fixes_disagree", but(fixes=(heard(1000), heard(9)))),
    ("fixes_disagree", but(fixes=(heard(20, believed=False), heard(9)))),
    ("fixes_disagree", but(fixes=(heard(10), heard(20)))),
    ("fixes_disagree", but(fixes=(heard(20), heard(10, north_m=90)))),
]


@given(st.floats(6, 300), st.floats(10, 200))
def test_a_car_that_moves_is_not_stopped_whatever_speed_it_tells(
    speed_kmh: float, seconds: float
) -> None:
    way_m = speed_kmh / 3.6 * seconds
    scene = but(fixes=(heard(5 + seconds), heard(5, north_m=way_m)))
    assert danger.refusal(scene) == ("fixes_disagree" if way_m > 50 + 5 / 3.6 * seconds else "")


@pytest.mark.parametrize(("reason", "scene"), CLOSED)
def test_each_gate_closes(reason: str, scene: Scene) -> None:
    assert danger.refusal(scene) == reason


def test_no_gate_is_left_untried() -> None:
    assert {reason for reason, _ in CLOSED} == set(GATES)


# --- phone numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+49 151 00000042", "+4915100000042", True),
        ("0049 151 00000042", "+4915100000042", True),
        ("0151/00000042", "+4915100000042", True),
        ("4915100000042", "+4915100000042", True),
        ("+4915100000043", "+4915100000042", False),
        ("0000042", "+4915100000042", False),
        ("", "", False),
        ("anonymous", "", False),
    ],
)
def test_a_number_is_the_same_with_its_countrys_prefix_or_without(
    one: str, other: str, *, same: bool
) -> None:
    assert is_same_number(one, other) is same
    assert is_same_number(other, one) is same
