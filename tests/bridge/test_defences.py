"""Who is kept out for a while, and who never is.

At the port all addresses are this machine's, so shared; where it matters, some count as public.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Access
from bridge.listener.bans import (
    ADDRESSES_A_TRACKER,
    FORGOTTEN_S,
    LONGEST_BAN_S,
    SHORTEST_BAN_S,
    WITHIN_S,
    Bans,
    Familiar,
    is_shared,
)
from bridge.listener.gate import ARRIVALS_AT_ONCE
from tests.bridge.port import (
    GOLF,
    LOAD,
    ON,
    SCAN,
    STRANGER,
    Port,
    heartbeat,
    login,
    serving,
)
from tests.conftest import eventually

SCANNER, NEIGHBOUR, NAT = "198.18.255.7", "9.9.9.9", "100.64.3.4"


@pytest.fixture
def public(monkeypatch):
    """Let every address but 127.0.0.1 be one of the internet."""
    monkeypatch.setattr("bridge.listener.bans.is_shared", lambda source: source == "127.0.0.1")


# --- who is judged --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "shared"),
    [
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("192.168.1.1", True),
        ("127.0.0.1", True),
        ("169.254.3.3", True),
        ("100.64.0.1", True),
        ("100.127.255.255", True),
        ("fd00:1:2:3::", True),
        ("fe80::", True),
        ("::", True),
        ("?", True),
        ("9.9.9.9", False),
        ("100.63.255.255", False),
        ("100.128.0.0", False),
        ("2a00:1450:4001:801::", False),
    ],
)
def test_many_may_share_an_address_that_is_not_of_the_internet(source, shared):
    assert is_shared(source) is shared


PUBLIC = ("9.9.9.9", "8.8.4.4", "2a00:1450:4001:801::")


def bans_of(*came: str, after: int = 3, most: int = 100) -> tuple[Bans, Familiar]:
    familiar = Familiar()
    bans = Bans(after, familiar, most)
    for source in came:
        bans.came(source)
    return bans, familiar


def test_the_strike_that_is_one_too_many_is_a_ban_and_each_ban_is_twice_as_long():
    bans, _ = bans_of(*PUBLIC)
    now, lengths = 1000.0, []
    for _ in range(9):
        given_s = [bans.strike("9.9.9.9", now) for _ in range(3)]
        assert given_s[:2] == [0.0, 0.0]
        lengths.append(given_s[2])
        assert bans.hold("9.9.9.9", now + given_s[2] - 0.1)
        assert not bans.hold("8.8.4.4", now)
        now += given_s[2]
        assert not bans.hold("9.9.9.9", now)
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    now += FORGOTTEN_S
    assert [bans.strike("9.9.9.9", now) for _ in range(3)][2] == SHORTEST_BAN_S


def test_strikes_that_are_far_apart_are_no_ban():
    bans, _ = bans_of(*PUBLIC)
    assert not any(bans.strike("9.9.9.9", number * WITHIN_S / 2) for number in range(50))


def test_connections_that_were_open_when_a_ban_began_make_it_no_longer():
    bans, _ = bans_of(*PUBLIC)
    assert sum(bans.strike("9.9.9.9", 5.0) for _ in range(50)) == SHORTEST_BAN_S
    assert not bans.hold("9.9.9.9", 5.0 + SHORTEST_BAN_S)


def test_nobody_is_banned_where_that_is_switched_off():
    bans, _ = bans_of(*PUBLIC, after=0)
    assert not any(bans.strike("9.9.9.9", 5.0) for _ in range(50))


@given(
    st.lists(
        st.tuples(
            st.sampled_from((*PUBLIC, "192.168.1.1", NAT)),
            st.sampled_from(("scan", "scan", "scan", "report")),
            st.floats(0, 3 * WITHIN_S),
        ),
        max_size=60,
    )
)
def test_no_ban_is_for_many_nor_for_a_trackers_address_nor_for_the_only_way_in(visits):
    bans, familiar = bans_of()
    now, came, reported = 0.0, set(), {}
    for source, visit, pause in visits:
        now += pause
        bans.came(source)
        came.add(source)
        if visit == "report":
            familiar.note("golf", source, now)
            reported[source] = now
        ban_s = bans.strike(source, now)
        if ban_s or bans.hold(source, now):
            assert source in PUBLIC
            assert len(came.intersection(PUBLIC)) > 1
            assert now - reported.get(source, -FORGOTTEN_S) >= FORGOTTEN_S
            assert ban_s <= LONGEST_BAN_S


@pytest.mark.parametrize("source", ["192.168.1.1", "127.0.0.1", NAT, "fe80::", "?"])
def test_where_many_share_an_address_no_number_of_strikes_is_a_ban(source):
    bans, _ = bans_of(*PUBLIC, source)
    assert not any(bans.strike(source, 5.0) for _ in range(50))
    assert not bans.hold(source, 5.0)


def test_what_is_held_against_sources_is_bounded_and_forgotten():
    bans, _ = bans_of(*PUBLIC, most=50)
    for number in range(1000):
        bans.strike(f"9.9.{number // 250}.{number % 250}", 5.0)
    assert len(bans) == 50
    bans.forget(5.0 + FORGOTTEN_S - 1)
    assert len(bans) == 50
    bans.forget(5.0 + FORGOTTEN_S)
    assert not len(bans)


def test_an_address_is_familiar_for_a_day_and_only_a_few_are_of_each_tracker():
    familiar = Familiar()
    familiar.note("van", NEIGHBOUR, 0.0)
    for number in range(100):
        familiar.note("golf", f"9.9.8.{number}", float(number))
    assert familiar.knows(NEIGHBOUR, 100.0)
    assert len(familiar) == ADDRESSES_A_TRACKER + 1
    assert familiar.knows("9.9.8.99", 100.0)
    assert not familiar.knows("9.9.8.0", 100.0)
    familiar.note("golf", NEIGHBOUR, 200.0)
    familiar.forget(FORGOTTEN_S + 150)
    assert len(familiar) == 1
    assert familiar.knows(NEIGHBOUR, FORGOTTEN_S + 150)
    assert not familiar.knows(NEIGHBOUR, FORGOTTEN_S + 200)
    familiar.forget(FORGOTTEN_S + 200)
    assert not len(familiar)


# --- bans at the port -----------------------------------------------------------------------------


async def scan(port: Port, address: str, times: int = 10) -> None:
    for _ in range(times):
        wire = await port.dial(address)
        await wire.say(SCAN)
        await wire.hung_up()


async def is_let_in(port: Port, address: str) -> bool:
    """Whether a login is answered; nobody is refused who has been answered."""
    refused = port.counters.refused
    wire = await port.dial(address)
    await eventually(lambda: port.counters.refused > refused or port.streams.per_address[address])
    if port.counters.refused > refused:
        await wire.hung_up()
        return False
    wire.reset()
    await eventually(lambda: not port.streams.per_address[address])
    return True


@pytest.mark.usefixtures("public")
async def test_who_says_nothing_known_ten_times_is_kept_out_for_a_while(port, caplog):
    await scan(port, "127.0.0.3", 1)
    await scan(port, "127.0.0.2")
    said = len(caplog.messages)
    assert caplog.messages[-1] == "kept out for 60 s: 10 connections said nothing known"
    for _ in range(30):
        assert not await is_let_in(port, "127.0.0.2")
    assert await is_let_in(port, "127.0.0.3")
    port.clock.advance(SHORTEST_BAN_S)
    assert await is_let_in(port, "127.0.0.2")
    await scan(port, "127.0.0.2")
    port.clock.advance(SHORTEST_BAN_S)
    assert not await is_let_in(port, "127.0.0.2")
    port.clock.advance(SHORTEST_BAN_S)
    assert await is_let_in(port, "127.0.0.2")
    assert len(caplog.messages) == said


@pytest.mark.usefixtures("public")
async def test_an_address_of_a_tracker_is_never_kept_out(port):
    await scan(port, "127.0.0.3", 1)
    golf = await port.known(GOLF, "127.0.0.2")
    golf.reset()
    await scan(port, "127.0.0.2", 50)
    assert await is_let_in(port, "127.0.0.2")
    port.clock.advance(FORGOTTEN_S)
    await scan(port, "127.0.0.2")
    assert not await is_let_in(port, "127.0.0.2")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["private", "the only one"])
@pytest.mark.usefixtures("public")
async def test_where_all_come_through_one_address_the_connection_is_closed_and_no_more(
    address, port
):
    await scan(port, address, 50)
    await port.known(GOLF, address)


@pytest.mark.usefixtures("public")
async def test_trackers_that_are_refused_and_openings_that_never_end_count_as_well(tmp_path):
    async with serving(tmp_path, access=Access(block=(STRANGER,))) as port:
        port.intake.registry.merge_yaml((), (STRANGER,))
        await scan(port, "127.0.0.3", 1)
        for _ in range(5):
            wire = await port.dial("127.0.0.2")
            await wire.say(login(STRANGER) + heartbeat(STRANGER))
            await wire.hung_up()
        for _ in range(5):
            wire = await port.dial("127.0.0.2")
            await eventually(lambda: port.streams.peers)
            port.sweep_after(31)
            await wire.hung_up()
        assert not await is_let_in(port, "127.0.0.2")


@pytest.mark.usefixtures("public")
async def test_a_tracker_nobody_has_accepted_yet_is_not_kept_out(port):
    await scan(port, "127.0.0.3", 1)
    for keyword in (b"imei:nonsense;", b"imei:86400"):
        for _ in range(15):
            wire = await port.dial("127.0.0.2")
            await wire.say(login(STRANGER))
            await wire.hear(LOAD)
            await wire.say(keyword)
            wire.end()
            await wire.hung_up()
        port.clock.advance(60)
    assert await is_let_in(port, "127.0.0.2")


@pytest.mark.usefixtures("public")
async def test_a_banned_source_is_not_heard_in_datagrams_either(port):
    await scan(port, "127.0.0.3", 1)
    await scan(port, "127.0.0.2")
    sender = port.datagram("127.0.0.2")
    await sender.say(heartbeat(STRANGER))
    await eventually(lambda: port.counters.refused == 1)
    assert sender.is_silent()
    port.clock.advance(SHORTEST_BAN_S)
    await sender.say(heartbeat(STRANGER))
    await sender.hear(ON)


@pytest.mark.usefixtures("public")
async def test_datagrams_which_anybody_can_forge_ban_nobody(port):
    await scan(port, "127.0.0.3", 1)
    for _ in range(50):
        port.datagrams.datagram_received(SCAN, ("127.0.0.2", 4000))
        port.clock.advance(1)
    assert port.counters.rejected == 51
    assert await is_let_in(port, "127.0.0.2")


@pytest.mark.usefixtures("public")
async def test_a_source_connects_only_so_often_unless_a_tracker_came_from_there(port, caplog):
    await port.dial("127.0.0.3")
    let_in = [await is_let_in(port, "127.0.0.2") for _ in range(ARRIVALS_AT_ONCE + 5)]
    assert let_in == [True] * ARRIVALS_AT_ONCE + [False] * 5
    assert caplog.messages == ["connects too often, refused"]
    port.clock.advance(1)
    golf = await port.known(GOLF, "127.0.0.2")
    golf.reset()
    await eventually(lambda: not port.streams.per_address["127.0.0.2"])
    assert all([await is_let_in(port, "127.0.0.2") for _ in range(ARRIVALS_AT_ONCE + 5)])
