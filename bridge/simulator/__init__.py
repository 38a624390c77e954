"""A believable tracker for every protocol the bridge speaks: for the demo, tests and benchmarks.

`run(Options(...))` drives one along a route and returns a `Summary`. The client is the only part
that touches a socket or a clock; a new protocol is one file and a row in `languages`.
"""

from bridge.simulator.client import Simulator, run
from bridge.simulator.options import (
    BUILT_IN,
    AlarmAt,
    Event,
    Happened,
    Options,
    Span,
    Summary,
    alarm_at,
    span,
    utc_offset,
)
from bridge.simulator.tracker import Dialect, Obedience

__all__ = [
    "BUILT_IN",
    "AlarmAt",
    "Dialect",
    "Event",
    "Happened",
    "Obedience",
    "Options",
    "Simulator",
    "Span",
    "Summary",
    "alarm_at",
    "run",
    "span",
    "utc_offset",
]
