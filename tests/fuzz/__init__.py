"""Mutated frames against the bridge: no exception, no growth, no slow input."""
