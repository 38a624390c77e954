"""Markdown of what is generated: tables, code, anchors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

MADE = "<!-- Made by `make reference`. Do not edit. -->\n"


def code(text: str) -> str:
    """Return it as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table without the columns in which nothing stands."""
    lines = [list(row) for row in rows]
    kept = [column for column in range(len(head)) if any(line[column] for line in lines)]
    body = [[line[column].replace("|", r"\|") for column in kept] for line in lines]
    whole = [[head[column] for column in kept], ["---"] * len(kept), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in whole)


def sentence(text: str) -> str:
    """Return it with a full stop at its end."""
    return text if not text or text.endswith((".", ":")) else f"{text}."


def page(title: str, blocks: Iterable[str]) -> str:
    """Return a page; a blank line stands between its blocks."""
    return "\n".join([f"# {title}\n", MADE, *_ended(blocks)])


def _ended(blocks: Iterable[str]) -> Iterator[str]:
    for block in blocks:
        yield block if block.endswith("\n") else f"{block}\n"
