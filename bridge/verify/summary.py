"""What a run came to: what was ticked off, and what this unit never says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.verify import proofs
from bridge.verify.heard import Heard
from bridge.verify.steps import Point, Step
from bridge.verify.unsaid import SAYINGS, is_possible, spoken

Ending = Literal["done", "skipped", "too long", "impossible", "not tried"]


@dataclass(slots=True)
class Course:
    """How a step went; `after_s`: how long its points took, by their names."""

    step: Step
    after_s: dict[str, float] = field(default_factory=dict)
    ending: Ending = "not tried"

    def tick(self, heard: Heard, after_s: float) -> list[tuple[Point, str]]:
        """Tick off what is proven by now; return those points that were not before."""
        fresh = [
            (point, value)
            for point in self.step.points
            if point.what not in self.after_s and (value := point.proof(heard))
        ]
        self.after_s |= {point.what: after_s for point, _ in fresh}
        return fresh

    @property
    def done(self) -> bool:
        """Whether every point is ticked off."""
        return len(self.after_s) == len(self.step.points)


def is_hopeless(step: Step, heard: Heard) -> bool:
    """Whether the tracker's protocol has no word for what a step waits for."""
    return bool(step.saying) and not is_possible(heard.protocol, step.saying)


def is_good(courses: Sequence[Course], heard: Heard, only: tuple[str, ...]) -> bool:
    """Whether everything necessary was there: what the table says, or what was asked for by name.

    Of a step that was skipped that counts which came all the same.
    """
    return all(
        all(point.proof(heard) for point in course.step.points)
        for course in courses
        if course.step.necessary or course.step.name in only
    )


def summary(
    courses: Sequence[Course], heard: Heard, only: tuple[str, ...] = (), *, where: bool = False
) -> dict[str, Any]:
    """Return what a run came to, as JSON has it; with coordinates only where they are wanted."""
    place = proofs.place(heard) if where else ""
    return {
        "vehicle": heard.key,
        "protocol": heard.protocol,
        "transport": heard.transport,
        **({"position": place} if place else {}),
        "good": is_good(courses, heard, only),
        "steps": [_described(course, heard) for course in courses],
        "says": [
            {"what": saying.what, "said": said} | _meaning(said, saying.means)
            for saying in SAYINGS
            for said in (spoken(heard, saying),)
        ],
    }


def _described(course: Course, heard: Heard) -> dict[str, Any]:
    values = {point.what: point.proof(heard) for point in course.step.points}
    ticks = [
        {"what": what, "value": value}
        | ({"after_s": round(course.after_s[what], 1)} if what in course.after_s else {})
        for what, value in values.items()
        if value
    ]
    missing = [what for what, value in values.items() if not value]
    described: dict[str, Any] = {
        "step": course.step.name,
        "ending": course.ending if missing else "done",
        "ticks": ticks,
        "missing": missing,
    }
    wanted = course.step.necessary and course.ending != "not tried"
    wanted |= course.ending == "too long" and bool(missing)
    advice = course.step.advice(heard) if wanted else ""
    return described | ({"advice": advice} if advice else {})


def _meaning(said: str, means: str) -> dict[str, str]:
    return {"means": means} if said in ("never", "impossible") else {}
