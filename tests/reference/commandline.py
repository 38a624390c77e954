"""docs/reference/command-line.md: every word of the command line, made out of its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from bridge.cli.words import parser
from tests.reference.markdown import code, page, sentence, table


def render() -> str:
    """Return the page."""
    return page("Command line", _blocks())


def _blocks() -> Iterator[str]:
    yield (
        "`tk103b-bridge COMMAND ...`. How the program is called where you have installed it stands"
        " on the [page of your install](../first-tracker.md). Exit codes:"
        " [troubleshooting](../troubleshooting.md#the-bridge-does-not-start)."
    )
    (commands,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    helped = {action.dest: action.help or "" for action in commands._choices_actions}
    for name, command in commands.choices.items():
        yield f"## {name}\n"
        text = (command.description or helped[name]).strip()
        yield sentence(text[:1].upper() + text[1:])
        rows = [_argument(action) for action in command._actions if action.dest != "help"]
        if rows:
            yield table(("", "", "default"), rows)


def _argument(action: argparse.Action) -> tuple[str, str, str]:
    value = action.metavar or (None if action.nargs == 0 else action.dest.upper())
    choices = [str(choice) for choice in action.choices or ()]
    named = "/".join(choices) if choices and len(choices) < 5 and not action.metavar else value
    words = [*action.option_strings[:1], *([str(named)] if named else [])]
    text = (action.help or "").replace("%%", "%")
    text, _, rest = text.partition(" (default: ")
    default = rest.removesuffix(")").replace("%(default)s", _text(action.default))
    default = default.replace("%(default)g", _text(action.default))
    if not default and action.option_strings and action.nargs != 0:
        default = _text(action.default)
    return code(" ".join(words)), text, default


def _text(value: object) -> str:
    if value in (None, "", (), []) or isinstance(value, bool):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
