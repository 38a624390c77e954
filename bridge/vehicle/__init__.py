"""A vehicle as its journal has made it: VehicleState' = fold(VehicleState, row). Pure.

    report --judge--> Judgement      decided once, when it comes in: by clock and configuration
    report, Judgement --fold--> VehicleState', what rings, the trip that ended
    act --fold_act--> VehicleState'  what people and the bridge itself add to the journal

The judgement is journalled with the report, so that the state after the newest row equals a replay
of all of them, whatever the clock and the configuration say by then. What it never sees is the
session: who is connected, heartbeats, bytes.
"""

from bridge.vehicle.acts import Acknowledged, Act, AnyAct, Ordered, Recounted, Silence
from bridge.vehicle.folding import fold, fold_act
from bridge.vehicle.judging import Judgement, judge, verdict_on
from bridge.vehicle.state import EMPTY, MOVING_KMH, Folded, VehicleState

__all__ = [
    "EMPTY",
    "MOVING_KMH",
    "Acknowledged",
    "Act",
    "AnyAct",
    "Folded",
    "Judgement",
    "Ordered",
    "Recounted",
    "Silence",
    "VehicleState",
    "fold",
    "fold_act",
    "judge",
    "verdict_on",
]
