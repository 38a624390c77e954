"""The faults of `tests.e2e.faults` in their long form: `python -m tests.soak`."""
