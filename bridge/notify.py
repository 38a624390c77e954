"""Tells systemd how we are: the datagrams of ``sd_notify(3)``.

Without systemd there is no socket to send to, and nothing is sent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states such as ``READY=1`` to whoever has started us and wants to hear them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An @ stands for the null byte of an address that no file system has.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.pet_s = _watchdog_s(environ) / 2 if address else 0.0
        """How often the watchdog wants to hear of us; 0: there is none. Twice as often as asked."""

    def send(self, state: str) -> None:
        """Send a state, ``NAME=VALUE``; where nobody takes it, nobody waits for it either."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto(state.encode(), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """Return within how many seconds the watchdog wants a sign of life; 0: none, or not of us."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    with suppress(ValueError):
        return int(environ.get("WATCHDOG_USEC", "0")) / 1_000_000
    return 0.0
