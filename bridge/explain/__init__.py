"""Frames in plain words: what ``tk103b-bridge decode`` answers to a person and to a test bench.

`read_frames` takes a pasted frame, a file or standard input; `explain` says what became of each
frame, for `render_table` and `render_json`; `run_cases` answers JSON lines with JSON lines.
"""

from bridge.explain.cases import Transport, run_cases
from bridge.explain.frames import Explained, explain, read_frames, render_json
from bridge.explain.table import render_table

__all__ = [
    "Explained",
    "Transport",
    "explain",
    "read_frames",
    "render_json",
    "render_table",
    "run_cases",
]
