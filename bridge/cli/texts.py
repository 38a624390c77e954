"""How values are printed: JSON for programs, a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence


def json_text(value: object) -> str:
    """Return JSON that a person can read too."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with columns as wide as they need to be."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
