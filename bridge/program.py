"""How this program was called: so that what it suggests can be pasted, and to be called again."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from bridge.errors import BridgeError

NAME = "tk103b-bridge"


def called() -> str:
    """Return the word that runs this program in the person's terminal."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m bridge"
    if path.name != NAME or shutil.which(NAME):
        return NAME
    return str(path)


def start_again() -> NoReturn:
    """Become a new run of the same command, with the same process id: nobody has to start it.

    That is what works everywhere: in a terminal, under systemd, in a container. A SIGHUP waits
    until somebody hears it (`hear_again`). Raises BridgeError where the program is gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell
    except OSError as error:
        raise BridgeError(f"cannot start again: {sys.executable}: {error.strerror}") from error


def hear_again() -> None:
    """Let through the SIGHUP that has come during a restart."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def has_terminal() -> bool:
    """Whether we were started in a terminal that is still there, and die with it."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
