"""The command line: what can be typed, and what is printed.

Exit codes: 0 done, 1 refused or not found, 2 a mistake in the configuration or the command,
3 another bridge serves the base topic, 4 the data folder cannot be used, 5 the broker refuses us.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bridge.cli.supervised import prepare
from bridge.cli.words import parser
from bridge.errors import BridgeError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        prepare(arguments)
        code: int | None = arguments.command(arguments)
        sys.stdout.flush()
    except BridgeError as error:
        for line in (f"tk103b-bridge: {error}", *getattr(error, "__notes__", ())):
            print(line, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code or 0
