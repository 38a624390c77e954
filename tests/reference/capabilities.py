"""The table of docs/commands.md: which command the trackers of which protocol obey, and answer.

It is made out of the vocabularies and stands between two marks; all else of the page is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from bridge import command as c
from bridge.protocols.encoding import Vocabulary
from bridge.protocols.registry import VOCABULARIES

PAGE = Path(__file__).parents[2] / "docs/commands.md"
BEGIN, END = "<!-- made by make supported -->\n", "<!-- end -->\n"


def render(page: str) -> str:
    """Return the page with the table as it is to be."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{''.join(_table())}\n{END}{tail}"


def _table() -> Iterator[str]:
    kinds: Sequence[type[c.Command]] = get_args(c.AnyCommand)
    yield _row(["command", *(_code(name) for name in VOCABULARIES)])
    yield _row(["---"] * (1 + len(VOCABULARIES)))
    for kind in kinds:
        cells = [_cell(vocabulary, kind) for vocabulary in VOCABULARIES.values()]
        yield _row([_code(str(kind.__struct_config__.tag)), *cells])


def _cell(vocabulary: Vocabulary, kind: type[c.Command]) -> str:
    """Return how far a command can be followed, and in which dialects where not in all."""
    dialects = [name for name, table in vocabulary.dialects.items() if kind in table]
    if not dialects:
        return ""
    known = "answered" if kind in vocabulary.answers else "sent"
    if len(dialects) == len(vocabulary.dialects):
        return known
    return f"{known} ({', '.join(map(_code, dialects))})"


def _code(text: str) -> str:
    return f"`{text}`"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
