"""The short form of `make fuzz`, with a fixed seed."""

from __future__ import annotations

from bridge.protocols.registry import PROTOCOLS
from tests.fuzz.run import fuzz


def test_fifty_thousand_mutated_inputs_break_no_promise(caplog):
    caplog.set_level("CRITICAL")
    tally = fuzz(50_000, seed=2026)
    assert tally.inputs == 50_000
    assert tally.through_listener == 5_000
    for protocol in PROTOCOLS:
        assert tally.outcomes[f"understood as {protocol.name}"] > 1000
