"""Whether a real tracker works: what was heard of it becomes ticks. Pure.

    heard     messages of one vehicle, in order
    proofs    what would prove a point, as a value in words
    steps     the table: what to do, what it should bring about, what to look at if it does not
    unsaid    what a unit has never said, and what that means
    summary   what a run came to

Who waits for it and prints it is the command line.
"""

from __future__ import annotations

from bridge.verify.heard import Heard, topics_of
from bridge.verify.steps import BY_NAME, STEPS, Step, chosen
from bridge.verify.summary import Course, is_hopeless, summary

__all__ = [
    "BY_NAME",
    "STEPS",
    "Course",
    "Heard",
    "Step",
    "chosen",
    "is_hopeless",
    "summary",
    "topics_of",
]
