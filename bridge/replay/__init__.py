"""The past once more through today's code and configuration, into a data folder of its own.

    journal    rows   --Fleet: judge, fold--> verdicts, state and trips anew; acts as they are
    capture    lines  --Connection, Intake--> decoded, judged and folded anew

The clock shows what it showed then. Nothing is published unless a base topic is named for it, and
no entities even then: Home Assistant is not to hear of a car that drives twice.
"""

from bridge.replay.outcome import Driven, Outcome
from bridge.replay.playing import replay

__all__ = ["Driven", "Outcome", "replay"]
