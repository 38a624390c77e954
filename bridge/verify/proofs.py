"""What would prove a point: each takes what was heard, and returns its value in words, or ""."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from bridge.vehicle import MOVING_KMH
from bridge.verify.heard import Body, Heard

Proof = Callable[[Heard], str]

GOOD = frozenset({"ok", "parked"})
"""Verdicts on a fix that is believed; a parked car is held in its place by the second."""
RIGHT_S = 120
"""A clock no further off is right; what is left is the delay of a network."""
LEAST_KM = 0.1
"""A shorter way may be the drift of a receiver at rest; the odometer does not show it."""


def life(heard: Heard) -> str:
    """Any word from it, in its protocol."""
    if heard.reports:
        sign = "a report"
    elif heard.logged_in:
        sign = "a login"
    elif heard.beats:
        sign = "a heartbeat"
    else:
        return ""
    spoken = " over ".join(filter(None, (heard.protocol, heard.transport.upper())))
    return f"{spoken}: {sign}"


def good_fixes(heard: Heard) -> list[Body]:
    """Return live reports whose fix is believed, the newest first."""
    return [body for body in heard.live if body.get("verdict") in GOOD]


def position(heard: Heard) -> str:
    """A fix that is believed."""
    for body in good_fixes(heard):
        fix, accuracy = body["fix"], heard.latest("accuracy_m")
        known = (
            f"{fix['satellites']} satellites" if "satellites" in fix else "",
            f"hdop {fix['hdop']:g}" if "hdop" in fix else "",
            f"good to about {accuracy} m" if accuracy else "",
        )
        return ", ".join(filter(None, known)) or "believed"
    return ""


def place(heard: Heard) -> str:
    """Return where that is, in degrees: for those who want to see it, and for nobody else."""
    for body in good_fixes(heard):
        return f"{body['fix']['latitude']:.5f}, {body['fix']['longitude']:.5f}"
    return ""


def right_time(heard: Heard) -> str:
    """A believed fix with a time that is right, or that the bridge has learnt to correct.

    A time that is off by minutes may be a delay; only what the bridge has learnt tells that.
    """
    learnt_s = heard.latest("clock_skew_s")
    for body in good_fixes(heard):
        skew_s = _skew_s(body)
        if skew_s is None:
            return "none is told, so the moment of receipt counts"
        if abs(skew_s) <= RIGHT_S:
            return f"right within {max(abs(round(skew_s)), 1)} s"
        if learnt_s is not None and abs(skew_s - learnt_s) <= RIGHT_S:
            return f"{offset_text(learnt_s)}, which the bridge corrects"
    return ""


def wrong_by_s(heard: Heard) -> float | None:
    """Return how far the newest report's clock is ahead, None where it shows none."""
    return _skew_s(heard.reports[0]) if heard.reports else None


def offset_text(seconds: float) -> str:
    """Return how far a clock is from ours, in its two largest units."""
    rest = abs(round(seconds))
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    side = "ahead" if seconds > 0 else "behind"
    return f"{' '.join(parts[:2]) or '0 s'} {side}"


def inputs(heard: Heard, name: str) -> set[bool]:
    """Return what an input of `Status` was said to be."""
    return {body["status"][name] for body in heard.live if name in body.get("status", {})}


def _said_so(heard: Heard, name: str, *, value: bool) -> str:
    for body in heard.live:
        if body.get("status", {}).get(name) is value:
            return _in_words(body)
    return ""


def input_is(name: str, *, value: bool) -> Proof:
    """Return the proof that an input of `Status` was said to be so."""
    return partial(_said_so, name=name, value=value)


def _rang(heard: Heard, kind: str) -> str:
    for body in heard.live:
        if kind in _alarms(body):
            return _in_words(body)
    for body in heard.bodies("alarm"):
        if body.get("event_type") == kind and not body.get("late"):
            return _in_words(body)
    return ""


def rings(kind: str) -> Proof:
    """Return the proof that an alarm rang; a repetition counts, though it makes no new event."""
    return partial(_rang, kind=kind)


def _any_of(heard: Heard, proofs: Iterable[Proof]) -> str:
    return next(filter(None, (proof(heard) for proof in proofs)), "")


def either(*proofs: Proof) -> Proof:
    """Return the proof that one of several things was so."""
    return partial(_any_of, proofs=proofs)


def speed(heard: Heard) -> str:
    """Faster than a receiver at rest ever reports."""
    speeds = [body["fix"].get("speed_kmh", 0.0) for body in good_fixes(heard)]
    fastest = max(speeds, default=0.0)
    return f"up to {fastest:.0f} km/h" if fastest >= MOVING_KMH else ""


def motion(heard: Heard) -> str:
    """The bridge takes it for moving, by a position of now."""
    moves = any(body.get("motion") for body in heard.bodies("state"))
    return "seen" if moves and good_fixes(heard) else ""


def trip(heard: Heard) -> str:
    """A trip that runs or has ended."""
    running = [body["trip"] for body in heard.bodies("state") if "trip" in body]
    ended = [body for body in heard.bodies("trip") if not body.get("late")]
    for found in (*running, *ended):
        if found.get("distance_km", 0.0) >= LEAST_KM:
            return f"{found['distance_km']:g} km, found by {found.get('by', 'motion')}"
    return ""


def odometer(heard: Heard) -> str:
    """It has gone up."""
    states = heard.bodies("state", kept=True)
    values = [body["odometer_km"] for body in states if "odometer_km" in body]
    if len(values) < 2 or values[0] - values[-1] < LEAST_KM / 2:
        return ""
    return f"{values[-1]:.1f} to {values[0]:.1f} km"


def _skew_s(body: Body) -> float | None:
    if "device_time" not in body:
        return None
    shown, received = (datetime.fromisoformat(body[x]) for x in ("device_time", "received_at"))
    return (shown - received).total_seconds()


def _alarms(body: Body) -> tuple[str, ...]:
    return (body.get("alarm", ""), *body.get("extra", {}).get("alarms", ()))


def _in_words(body: Body) -> str:
    """Return in which kind of report it came, in the tracker's own word."""
    return f"with {body['keyword']!r}" if body.get("keyword") else "with a plain report"
