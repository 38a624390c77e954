"""The texts that set a tracker up, for a person to send. Nothing is sent, and nothing is logged."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterable, Iterator

from bridge import smsplan
from bridge.cli.texts import json_text

_PROOFS: dict[smsplan.Proof, str] = {
    "written": "",
    "seen": "not in the manuals, but in use",
    "told": "unproven",
}
_WIDEST = 100


def sms_plan(arguments: argparse.Namespace) -> None:
    """Print the plan. Raises RequestError where something typed cannot be right."""
    typed = vars(arguments)
    names = (
        "family", "host", "port", "transport", "interval_s", "apn", "apn_user", "apn_password",
        "password", "new_password", "admin",
    )  # fmt: skip
    plan = smsplan.plan(smsplan.read({name: typed[name] for name in names}))
    if arguments.json:
        print(json_text(plan.payload()))
    else:
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        print("\n".join(told(plan, width)))


def told(plan: smsplan.Plan, width: int) -> Iterator[str]:
    """Yield the lines of a plan as a person reads it; the texts themselves are never wrapped."""
    yield f"To set up a tracker of the family {plan.family}, by SMS to the number of its SIM card:"
    yield from _steps(plan.steps, width)
    if not plan.steps:
        yield from ("", "  (no text is known)")
    yield from _list("Mind", plan.warnings, width)
    yield from _list("Not known for this family", plan.unknown, width)
    yield from ("", "Before you sell the car:")
    yield from _steps(plan.out_of_service, width)
    yield from _list("And then", plan.farewell, width)


def _steps(steps: Iterable[smsplan.Step], width: int) -> Iterator[str]:
    for count, step in enumerate(steps, 1):
        yield ""
        yield f"{count:3}. {step.text}"
        yield f"     answer: {step.answer or 'not known'}"
        proof = _PROOFS[step.proof]
        yield from _wrapped(f"why: {step.why}{f' [{proof}]' if proof else ''}", " " * 5, width)


def _list(heading: str, texts: Iterable[str], width: int) -> Iterator[str]:
    lines = [line for text in texts for line in _wrapped(text, "    ", width, first="  - ")]
    if lines:
        yield from ("", f"{heading}:", *lines)


def _wrapped(text: str, indent: str, width: int, first: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first or indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
