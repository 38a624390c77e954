"""What a person at the car is led through: one table of steps, each with what would prove it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.verify import proofs
from bridge.verify.heard import Heard
from bridge.verify.proofs import Proof


class Point(NamedTuple):
    """One thing to be ticked off."""

    what: str
    proof: Proof


class Step(NamedTuple):
    """Something to do, and what it should bring about.

    `advice` says what to look at while something is missing, "" where nothing is to be said.
    """

    name: str
    ask: str
    points: tuple[Point, ...]
    advice: Callable[[Heard], str]
    necessary: bool = False
    """Without it the tracker is of no use."""
    optional: bool = False
    """Only done when asked for by name."""
    saying: str = ""
    """What of `unsaid.SAYINGS` it takes."""


# --- advice ---------------------------------------------------------------------------------------

SILENCE = """\
Nothing has come from it. Look at these, in this order; PASSWORD is the tracker's (123456 if new).
1. It sleeps: some keep silent while parked. Turn the key.
2. APN: text it apnPASSWORD and the APN of its SIM card, then gprsPASSWORD.
3. Address: adminipPASSWORD ADDRESS PORT takes numbers only; a name wants dnsPASSWORD.
4. Port: is the bridge's port open from outside, TCP and UDP, and passed on by the router?
5. SIM card: no PIN, credit left, mobile data on? Try it in a phone.
6. Your provider: without an address of your own (CGNAT, DS-Lite) nobody can reach you.
How to go about each: docs/troubleshooting.md, "Nothing arrives"."""

NO_REPORTS = (
    "It is connected, but sends no reports: it may never have been told to. Text it "
    "fix030s***nPASSWORD, on older boxes t030s***nPASSWORD; a box that is not of Coban's kind "
    "wants the words of its manual."
)
NO_SKY = (
    "It reports, but without satellites. Take it out under open sky, away from metal, the side "
    "with the antenna up. A receiver that was off for long needs five minutes."
)
_AGREE = "Three reports in a row that agree tell which."
_DOUBTS = {
    "no_fix": NO_SKY,
    "zero": NO_SKY,
    "out_of_range": "Its position lies outside of the world. If that stays, send us a capture.",
    "future": "Its clock is ahead, so its positions are not believed yet. Wait: three reports in a "
    "row that agree teach the bridge how far.",
    "stale": "It repeats a position older than one that is known. Wait for a new one.",
    "duplicate": "It repeats its last position. Wait for a new one.",
    "jump": "It is far from where it was last. The next position that agrees is believed.",
    "historical": "What it sends is old: an upload of what it has kept, which ends by itself, or "
    f"its clock is behind. {_AGREE}",
}
NEXT_REPORT = "Some tell it with their next report only: leave it so until that has come."


def _about_life(heard: Heard) -> str:
    return "" if proofs.life(heard) else SILENCE


def _about_position(heard: Heard) -> str:
    if proofs.position(heard):
        return ""
    if not heard.reports:
        return NO_REPORTS if proofs.life(heard) else SILENCE
    return _DOUBTS.get(heard.reports[0].get("verdict", ""), NO_SKY)


def _about_time(heard: Heard) -> str:
    told = str(heard.row.get("advice", ""))
    if told or proofs.right_time(heard):
        return told
    skew_s = proofs.wrong_by_s(heard)
    if skew_s is None or abs(skew_s) <= proofs.RIGHT_S:
        return "A time counts once it comes with a position that is believed."
    return (
        f"Its clock, or what it sends, is {proofs.offset_text(skew_s)}. {_AGREE} A wrong clock is "
        "set to UTC with the text time zonePASSWORD 0."
    )


def _once_it_reports(text: str) -> Callable[[Heard], str]:
    """Return an advice that is of use to somebody whose tracker reports at all."""

    def advice(heard: Heard) -> str:
        return text if heard.live else _about_position(heard)

    return advice


def _about_input(name: str, off_on: tuple[str, str], unwired: str) -> Callable[[Heard], str]:
    """Return the advice on an input of `Status`; `unwired`: what it may mean that it is unsaid."""

    def advice(heard: Heard) -> str:
        if not heard.live:
            return _about_position(heard)
        values = proofs.inputs(heard, name)
        if not values:
            return f"{NEXT_REPORT} If it never comes, {unwired}, or the firmware does not tell."
        only = " and ".join(off_on[value] for value in sorted(values))
        return f"It has only said: {only}. {NEXT_REPORT} If that never changes, {unwired}."

    return advice


_about_key = _about_input(
    "ignition",
    ("off", "on"),
    "the ignition wire (ACC) is not connected, and trips are found by motion",
)
_about_door = _about_input("door_open", ("closed", "open"), "the door wire is not connected")
_about_sos = _once_it_reports(
    "Press for three seconds or more. If it only rings on a phone, it reports by SMS: text it "
    "gprsPASSWORD."
)
_about_power = _once_it_reports(
    "Some need a minute to notice. One without a battery of its own cannot tell."
)
_about_way = _once_it_reports(
    "Drive on, faster than 10 km/h and under open sky, until some reports have come."
)
TOWED = (
    "The ignition was last said to be off: a car that moves all the same is towed, and makes no "
    "trip. Turn the key, or look at the ignition wire."
)


def _about_drive(heard: Heard) -> str:
    towed = proofs.speed(heard) and not proofs.trip(heard) and heard.latest("ignition") is False
    return TOWED if towed else _about_way(heard)


# --- the table ------------------------------------------------------------------------------------

STEPS: tuple[Step, ...] = (
    Step(
        "reports",
        "Waiting for a sign of life.",
        (Point("it is heard", proofs.life),),
        _about_life,
        necessary=True,
    ),
    Step(
        "fix",
        "Waiting for a position. The car should stand under open sky.",
        (Point("it knows where it is", proofs.position),),
        _about_position,
        necessary=True,
    ),
    Step(
        "time",
        "Comparing its clock with ours.",
        (Point("its time is right", proofs.right_time),),
        _about_time,
        necessary=True,
    ),
    Step(
        "key",
        "Turn the key: on, and when that has come, off again.",
        (
            Point("ignition on", proofs.input_is("ignition", value=True)),
            Point("ignition off", proofs.input_is("ignition", value=False)),
        ),
        _about_key,
        saying="ignition",
    ),
    Step(
        "door",
        "Open a door, and when that has come, close it again.",
        (
            Point("door open", proofs.input_is("door_open", value=True)),
            Point("door closed", proofs.input_is("door_open", value=False)),
        ),
        _about_door,
        saying="door",
    ),
    Step(
        "sos",
        "Press the SOS button for three seconds. Warn whoever is told of it.",
        (Point("SOS", proofs.rings("sos")),),
        _about_sos,
        saying="SOS",
    ),
    Step(
        "power",
        "Cut the tracker off the vehicle's battery, and when that has come, connect it again.",
        (
            Point(
                "power cut",
                proofs.either(
                    proofs.rings("power_cut"), proofs.input_is("external_power", value=False)
                ),
            ),
        ),
        _about_power,
        optional=True,
        saying="external power",
    ),
    Step(
        "drive",
        "Drive a little: half a kilometre is enough.",
        (
            Point("speed", proofs.speed),
            Point("motion", proofs.motion),
            Point("trip", proofs.trip),
            Point("odometer", proofs.odometer),
        ),
        _about_drive,
    ),
)

BY_NAME: dict[str, Step] = {step.name: step for step in STEPS}


def chosen(only: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps of a run in the order of the table: those named, or all but the optional."""
    return tuple(step for step in STEPS if (step.name in only if only else not step.optional))
