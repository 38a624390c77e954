"""From a wish to the texts, family by family. How sure each is stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.protocols.sms_commands import interval
from bridge.smsplan.caution import warnings
from bridge.smsplan.wish import DEFAULT_PASSWORDS, Family, Wish

Proof = Literal["written", "seen", "told"]
"""*written* in a vendor's paper, *seen* in use by several, *told* by one or inferred: unproven."""

WRITTEN: Proof = "written"
SEEN: Proof = "seen"
TOLD: Proof = "told"

LONGEST_TEXT = 160
"""Characters of one SMS; no text of a plan is longer."""


@dataclass(frozen=True, slots=True)
class Step:
    """One text, what the tracker answers (empty: not known), why it is sent, and how sure it is."""

    text: str = field(repr=False)
    answer: str
    why: str
    proof: Proof = WRITTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send in this order, one at a time, each once the one before was answered."""

    family: Family
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    unknown: tuple[str, ...]
    """What could not be found out for this family, and stands in the box's own manual."""
    out_of_service: tuple[Step, ...]
    """What to send before the vehicle is sold."""
    farewell: tuple[str, ...]
    """And what to do besides."""

    def payload(self) -> dict[str, Any]:
        """Return the plan as JSON values; passwords stand in its texts."""
        return {
            "family": self.family,
            "steps": [_step(step) for step in self.steps],
            "warnings": list(self.warnings),
            "unknown": list(self.unknown),
            "out_of_service": {
                "steps": [_step(step) for step in self.out_of_service],
                "notes": list(self.farewell),
            },
        }


def _step(step: Step) -> dict[str, str]:
    return {"text": step.text, "answer": step.answer, "why": step.why, "proof": step.proof}


def plan(wish: Wish) -> Plan:
    """Return the plan for a wish."""
    steps, unknown, retire = _FAMILIES[wish.family]
    return Plan(
        family=wish.family,
        steps=tuple(steps(wish)),
        warnings=tuple(warnings(wish)),
        unknown=unknown,
        out_of_service=tuple(retire(wish)),
        farewell=_FAREWELL,
    )


# --- setting up -----------------------------------------------------------------------------------


def _coban(wish: Wish) -> list[Step]:
    word = wish.final_password
    user = [
        Step(
            f"up{word} {wish.apn_user} {wish.apn_password}".rstrip(),
            "user, password ok",
            "the name and password the mobile network wants",
        )
    ]
    if wish.by_name:
        server = Step(
            f"dns{word} {wish.host} {wish.port}",
            "",
            "where to send its reports. Undocumented: some boxes look the name up by it, others do "
            "not; the answer to check shows which server it has got",
            TOLD,
        )
    else:
        server = Step(
            f"adminip{word} {wish.host} {wish.port}", "adminip ok", "where to send its reports"
        )
    digit = "1" if wish.transport == "udp" else "0"
    every = interval(wish.interval_s)
    return [
        *_opening(wish),
        Step(
            f"time zone{word} 0",
            "time ok, or time zone ok",
            "its clock on UTC, so that no summer time and no half hour puts its reports off",
        ),
        Step(f"apn{word} {wish.apn}", "apn ok", "the way into the mobile network's internet"),
        *(user if wish.apn_user else []),
        server,
        Step(
            f"gprs{word},0,{digit}",
            "gprs ok",
            f"from SMS to the network: heartbeat on (0), over {wish.transport.upper()} ({digit})",
        ),
        Step(
            f"protocol{word} 18",
            "protocol18 ok",
            "longer reports, with altitude, ignition, door, fuel and temperature. A box that does "
            "not know it stays as it is",
            SEEN,
        ),
        Step(
            f"fix{every}***n{word}",
            f"fix{every}***n ok",
            f"a position every {wish.interval_s} seconds (told as {every}), without end",
        ),
        *_admin(wish),
        Step(
            f"check{word}",
            "several lines: Power, Battery, GPRS, GPS, ..., APN, IP, PORT",
            "to see that GPRS is ON, and which APN, server and port it has",
        ),
    ]


def _xexun(wish: Wish) -> list[Step]:
    word = wish.final_password
    user = [Step(f"apnuser{word} {wish.apn_user}", "", "the name the network wants", SEEN)]
    if wish.apn_password:
        user += [Step(f"apnpasswd{word} {wish.apn_password}", "", "and its password", SEEN)]
    server = Step(
        f"adminip{word} {wish.host} {wish.port}", "adminip ok", "where to send its reports"
    )
    every = interval(wish.interval_s)
    return [
        *_opening(wish),
        Step(f"apn{word} {wish.apn}", "apn ok", "the way into the mobile network's internet"),
        *(user if wish.apn_user else []),
        *([] if wish.by_name else [server]),
        Step(f"gprs{word}", "gprs ok", "from SMS to the network; so it is on coban boxes", TOLD),
        Step(
            f"t{every}***n{word}",
            f"t{every}***n ok",
            f"a position every {wish.interval_s} seconds (told as {every}), without end",
        ),
        *_admin(wish),
    ]


def _h02(wish: Wish) -> list[Step]:
    if wish.by_name:
        return []
    word = wish.current_password
    return [Step(f"804{word} {wish.host} {wish.port}", "", "where to send its reports", TOLD)]


def _opening(wish: Wish) -> list[Step]:
    begin = Step(
        f"begin{wish.current_password}",
        "begin ok",
        "as it left the factory: numbers of an owner before you are forgotten",
    )
    if not wish.new_password:
        return [begin]
    change = Step(
        f"password{wish.current_password} {wish.new_password}",
        "password ok",
        "a password of your own; all that follows needs it. Whoever loses it must reflash the box",
    )
    return [begin, change]


def _admin(wish: Wish) -> list[Step]:
    if not wish.admin:
        return []
    why = "only this number is obeyed from now on, and alarms go to it"
    return [Step(f"admin{wish.final_password} {wish.admin}", "admin ok", why)]


def _nothing(_: Wish) -> list[Step]:
    return []


# --- out of service -------------------------------------------------------------------------------

_FAREWELL = (
    "Take your SIM card out: with it goes the way to you and the bill.",
    "Remove the vehicle from the bridge: tk103b-bridge remove KEY --block; --purge forgets it.",
)


def _retire_coban(wish: Wish) -> list[Step]:
    word = wish.final_password
    return [
        Step(f"resume{word}", "Resume engine Succeed", "an engine must not be sold cut"),
        Step(f"nofix{word}", "nofix ok", "no more positions by the clock"),
        Step(f"noadminip{word}", "noadminip ok", "your server is forgotten", SEEN),
        Step(f"sms{word}", "sms ok", "no more connections; only an SMS brings them back"),
        *_handing_over(wish),
    ]


def _retire_xexun(wish: Wish) -> list[Step]:
    word = wish.final_password
    return [
        Step(
            f"powercar{word} 00",
            "",
            "an engine must not be sold cut; seen over the network only, not by SMS",
            TOLD,
        ),
        Step(f"notn{word}", "", "no more positions by the clock"),
        Step(f"noadminip{word}", "noadminip ok", "your server is forgotten", SEEN),
        *_handing_over(wish),
    ]


def _retire_kxtech(wish: Wish) -> list[Step]:
    return [Step(f"supplyelec{wish.final_password}", "", "an engine must not be sold cut", TOLD)]


def _handing_over(wish: Wish) -> list[Step]:
    """Give the box to whoever comes: the password of the factory, and numbers forgotten."""
    word, default = wish.final_password, DEFAULT_PASSWORDS[wish.family]
    steps = []
    if word != default:
        why = "the password of the factory, which begin does not bring back on every box"
        steps += [Step(f"password{word} {default}", "password ok", why)]
    if wish.admin:
        why = "your number is forgotten"
        steps += [Step(f"noadmin{default} {wish.admin}", "noadmin ok", why)]
    return [*steps, Step(f"begin{default}", "begin ok", "as it left the factory")]


# --- the families --------------------------------------------------------------------------------

_FAMILIES: dict[
    Family, tuple[Callable[[Wish], list[Step]], tuple[str, ...], Callable[[Wish], list[Step]]]
] = {
    "coban": (_coban, (), _retire_coban),
    "xexun": (
        _xexun,
        (
            "a host name instead of an address",
            "how to choose UDP: it is taken to use TCP",
            "the answers to apnuser, apnpasswd and notn",
        ),
        _retire_xexun,
    ),
    "kxtech": (
        _nothing,
        (
            (
                "the texts for password, APN, server, port and interval: boxes of this family have "
                "different ones. Look for them in its manual and give them what is asked for here"
            ),
            "the answers to supplyelec and stopelec",
        ),
        _retire_kxtech,
    ),
    "h02": (
        _h02,
        (
            (
                "the texts for APN, interval, time zone and the change of the password: those of "
                "CanTrack and SinoTrack differ by firmware. Look for them in its manual"
            ),
            "a host name instead of an address, and how to choose TCP or UDP",
            "which of 940 and 941 cuts the relay: so neither stands here, nor what undoes it",
        ),
        _nothing,
    ),
}
