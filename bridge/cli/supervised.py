"""What comes before a command where Home Assistant's Supervisor has started the container."""

from __future__ import annotations

import argparse
import os

from bridge import supervisor

CONSULTED = "SUPERVISOR_CONSULTED"
"""Set for who comes after us: a bridge that has restarted itself may not read the options again."""


def prepare(arguments: argparse.Namespace) -> None:
    """Take options and broker from the Supervisor, and give up root; elsewhere, do nothing.

    For commands that read the configuration. `expected` of the arguments is the first tracker.
    """
    arguments.expected = None
    if "config" not in arguments or not supervisor.supervised(os.environ, supervisor.DATA):
        return
    if CONSULTED not in os.environ:
        given = supervisor.consult(os.environ, supervisor.DATA, supervisor.ADDRESS)
        os.environ.update(given.environ)
        os.environ[CONSULTED] = "yes"
        arguments.expected = given.expected
    if arguments.config is None and supervisor.CONFIGURATION.exists():
        arguments.config = supervisor.CONFIGURATION
    supervisor.give_up_root(supervisor.DATA, supervisor.ACCOUNT)
