"""How fast the bridge is, as ratios measured in one run: `make bench-quick`.

Absolute numbers say more of a machine than of a program; a ratio to the least that any program
would have to do on the same machine, in the same minute, travels. `decoding` and `end_to_end`
say what is measured against what, and why that is fair. Measures about a minute. Exits with 1
where it cannot measure; falling short of an aim is for people to judge, on a quiet machine.
"""

from __future__ import annotations

import asyncio
import sys
from statistics import median
from typing import NamedTuple

import pytest

from tests.benchmarks import decoding, end_to_end
from tests.benchmarks.samples import Sample, samples
from tests.conftest import mosquitto_program

DECODING_AIM = 1 / 8
END_TO_END_AIM = 1 / 2


class Line(NamedTuple):
    """A line of the table: what a second brings, ours and the yardstick's."""

    what: str
    ours: float
    yardstick: float
    of: str
    aim: float

    @property
    def ratio(self) -> float:
        return self.ours / self.yardstick


def main() -> int:
    """Measure, print the table and what was reached."""
    try:
        mosquitto_program()
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    lines = [_decoding(sample) for sample in samples()]
    rounds = asyncio.run(end_to_end.measure())
    lines.append(_end_to_end(rounds))
    _say(f"{'per second':22}{'ours':>11}{'yardstick':>13}  {'of the yardstick':24}{'aim':>6}")
    for line in lines:
        _say(
            f"{line.what:22}{line.ours:>11,.0f}{line.yardstick:>13,.0f}"
            f"  {line.ratio:.3f}{f' ({line.of})':19}{line.aim:>6}"
        )
    paired = [one.reports_per_s / one.reports_per_s_alone for one in rounds]
    _say(
        f"end to end, {len(rounds)} rounds: "
        f"ratio {min(paired):.2f} / {median(paired):.2f} / {max(paired):.2f} "
        "(least, median, most), "
        f"{median(one.messages_per_report for one in rounds):.2f} messages a report"
    )
    reached = ", ".join(
        f"{line.what} {line.ratio:.3f} "
        f"({'reached' if line.ratio >= line.aim else 'aim'} {line.aim})"
        for line in lines
    )
    _say(f"reached: {reached}")
    return 0


def _decoding(sample: Sample) -> Line:
    found = decoding.measure(sample)
    return Line(f"decode {sample.name}", found.ours, found.yardstick, sample.of, DECODING_AIM)


def _end_to_end(rounds: list[end_to_end.Round]) -> Line:
    """Best against best: noise only ever makes slower."""
    best = max(rounds, key=lambda one: one.reports_per_s)
    alone = max(one.messages_per_s_alone for one in rounds)
    return Line(
        "reports end to end",
        best.reports_per_s,
        alone / best.messages_per_report,
        "paho alone",
        END_TO_END_AIM,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
