"""What to mind when a plan is carried out."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.smsplan.places import trouble
from bridge.smsplan.wish import DEFAULT_PASSWORDS, Wish

SHORTEST_BY_SMS_S = 20
"""Seconds between positions that every box takes in a text."""

_KNOWN = ("coban", "xexun")
"""The families whose texts for passwords and numbers are known."""


def warnings(wish: Wish) -> Iterator[str]:
    """Yield what to mind, a sentence or a few each."""
    yield (
        "Send one text, wait for its answer, then the next: a box that is busy loses them. No "
        "answer within some minutes: look for reception and credit, and send it again."
    )
    yield "The SIM card must not ask for a PIN."
    yield from _place(wish)
    yield from _password(wish)
    if wish.family in _KNOWN:
        yield from _owner(wish)
    if wish.family == "coban":
        yield from _network(wish)


def _place(wish: Wish) -> Iterator[str]:
    yield trouble(wish.host) or (
        f"Whoever has {wish.host} must pass {wish.transport.upper()} port {wish.port} on to the "
        "port on which this bridge listens."
    )
    if not wish.by_name:
        yield (
            "If this address ever changes, the tracker is lost until a text tells it the new one: "
            "ask for a fixed address, or let a rented server with one pass on."
        )
    elif wish.family == "coban":
        yield (
            "adminip takes no host name: the box would store 0.0.0.0. Where dns is not obeyed, and "
            "check shows another server, plan again with the IPv4 address."
        )
    elif wish.family == "xexun":
        yield "adminip takes no host name, and no other text is known: plan with an IPv4 address."


def _password(wish: Wish) -> Iterator[str]:
    default = DEFAULT_PASSWORDS[wish.family]
    if wish.family not in _KNOWN:
        yield (
            "Change its password by its manual: whoever learns the number of its SIM card may "
            "follow the car, and cut its engine where a relay is connected."
        )
    elif wish.final_password == default:
        yield (
            "The password stays that of the factory: whoever learns the number of its SIM card can "
            "follow the car, and cut its engine where a relay is connected. Give it a new password."
        )
    elif wish.current_password != default:
        yield (
            f"Some boxes have the factory's password ({default}) again after begin: if the text "
            "after it is not answered, plan once more with that one as the present password."
        )


def _owner(wish: Wish) -> Iterator[str]:
    if wish.admin:
        yield (
            "Once a number is set only such numbers are obeyed (five at most): send the texts from "
            "it, and add the number of the bridge's SMS gateway in the same way, if there is one."
        )
    else:
        yield "No number is set: whoever knows the password is obeyed."


def _network(wish: Wish) -> Iterator[str]:
    yield (
        "Of gprs...,A,B the first digit keeps the heartbeat (0) or turns it off "
        "(1), the second means TCP (0) or UDP (1). Lists in circulation end in ,1,1, which is UDP "
        "without a heartbeat: whether the tracker lives shows by its positions alone then."
    )
    if wish.interval_s < SHORTEST_BY_SMS_S:
        yield (
            f"{wish.interval_s} seconds may be refused: some boxes take no less than "
            f"{SHORTEST_BY_SMS_S} in a text, 10 over the network. Then send {SHORTEST_BY_SMS_S:03}s"
            ", and let the bridge set the shorter one."
        )
