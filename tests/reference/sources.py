"""What is said of fields and constants in the code: the texts that stand behind them."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType


def notes(module: ModuleType) -> dict[str, str]:
    """Return ``Class.field`` (a constant: its name) -> the text behind it, as one line."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    found = dict(_said("", tree.body))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= dict(_said(f"{node.name}.", node.body))
    return found


def words(text: str) -> str:
    """Return a docstring as one line of Markdown."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _said(prefix: str, body: list[ast.stmt]) -> list[tuple[str, str]]:
    said = []
    for node, after in pairwise(body):
        match node, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said.append((prefix + name, words(text)))
    return said
