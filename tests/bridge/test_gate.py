"""Rates are kept for each sender in bounded memory; whoever owns a network is one sender."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listener.gate import Budget, place_of, source_of


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.6)), max_size=120),
)
def test_nobody_gets_more_than_a_burst_and_the_rate(rate, draws):
    budget = Budget(rate)
    now, heard = 1000.0, {"a": [], "b": [], "c": []}
    for sender, pause in draws:
        now += pause
        if budget.draw(sender, now):
            heard[sender].append(now)
        else:
            # Refused only where the last second, and what it still had to pay for, was used up.
            assert len([at for at in heard[sender] if at > now - 2]) >= rate
    for times in heard.values():
        for first, start in enumerate(times):
            within = sum(at <= start + 1 for at in times[first:])
            assert within <= 2 * rate


@pytest.mark.parametrize("rate", [1, 3, 7, 20, 1000])
def test_a_burst_is_one_seconds_worth(rate):
    budget = Budget(rate)
    assert [budget.draw("a", 5.0) for _ in range(rate + 2)] == [True] * rate + [False] * 2
    assert budget.draw("b", 5.0)
    assert budget.draw("a", 5.0 + 1.01 / rate)
    assert not budget.draw("a", 5.0 + 1.01 / rate)


@pytest.mark.parametrize("at_once", [1, 5, 20])
def test_a_burst_is_what_was_asked_for_and_the_rate_comes_after_it(at_once):
    budget = Budget(0.5, at_once=at_once)
    assert [budget.draw("a", 5.0) for _ in range(at_once + 2)] == [True] * at_once + [False] * 2
    assert not budget.draw("a", 6.9)
    assert budget.draw("a", 7.1)
    assert not budget.draw("a", 7.1)


@given(st.lists(st.floats(0, 0.6), max_size=60))
def test_what_is_afforded_is_what_can_be_drawn(pauses):
    budget, now = Budget(3), 1000.0
    for pause in pauses:
        now += pause
        assert budget.affords("a", now) == budget.affords("a", now) == budget.draw("a", now)


def test_who_has_paid_is_forgotten():
    budget = Budget(10)
    for number in range(100):
        budget.draw(f"sender {number}", number / 1000)
    assert len(budget) == 100
    budget.draw("another", 60.0)
    assert len(budget) == 1


def test_forged_senders_keep_no_newcomer_out_and_fill_no_memory():
    budget = Budget(10, most=50)
    assert all(budget.draw(f"forged {number}", 5.0) for number in range(1000))
    assert len(budget) == 50
    assert budget.draw("real", 5.0)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("?", "?"),
    ],
)
def test_a_sender_is_an_address_or_a_network_of_ipv6(host, source):
    assert source_of(host) == source


@pytest.mark.parametrize(
    ("addr", "place"),
    [
        (("192.0.2.7", 4000), ("192.0.2.7", 4000)),
        (("::ffff:192.0.2.7", 4000, 0, 0), ("192.0.2.7", 4000)),
        (("2001:db8::1", 4000, 0, 0), ("2001:db8::1", 4000)),
        (("fe80::1%eth0", 4000, 0, 2), ("fe80::1%eth0", 4000)),
        (None, ("?", 0)),
    ],
)
def test_a_place_is_host_and_port(addr, place):
    assert place_of(addr) == place
