"""The texts that set a tracker up by SMS, in order, with what it answers and why each is sent.

    read(body) -> Wish --plan--> Plan(steps, warnings, unknown, out_of_service)

Pure. What a person typed, passwords too, stands in the texts: that is what they are for. So a plan
goes to whoever asked and nowhere else; neither a wish nor a step shows them by `repr`.
"""

from bridge.smsplan.planning import Plan, Proof, Step, plan
from bridge.smsplan.wish import ALIASES, FAMILIES, Family, Transport, Wish, read

__all__ = [
    "ALIASES",
    "FAMILIES",
    "Family",
    "Plan",
    "Proof",
    "Step",
    "Transport",
    "Wish",
    "plan",
    "read",
]
