"""Signs of life: a socket in the data folder that answers, and systemd told what it wants to know.

Both come out of the event loop that takes the trackers' reports, so both fall silent when it does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bridge.healthcheck import ALIVE, SOCKET_NAME, short_path, without_file
from bridge.notify import Notifier

_log = logging.getLogger(__name__)


@asynccontextmanager
async def alive(
    folder: Path, notifier: Notifier, *, stays: Callable[[], bool] = lambda: False
) -> AsyncIterator[None]:
    """Answer `bridge.healthcheck` and pet systemd's watchdog, for as long as the body lasts.

    `stays` says in the end whether the process begins anew: systemd, told that it stops, would
    kill it.

    The data folder must be locked by us. One that takes no sockets, as some network shares, is no
    reason not to run: the health check asks us without a file then.
    """
    path = folder / SOCKET_NAME
    bound = _bound(path) or _bound_without_file(folder)
    server = await asyncio.start_unix_server(_answer, sock=bound) if bound is not None else None
    petting = asyncio.get_running_loop().create_task(_pet(notifier)) if notifier.pet_s else None
    notifier.send("READY=1")
    try:
        yield
    finally:
        if not stays():
            notifier.send("STOPPING=1")
        if petting is not None:
            petting.cancel()
        if server is not None:
            server.close()
            with suppress(OSError):
                path.unlink()


def _bound(path: Path) -> socket.socket | None:
    """Return a socket in the folder. Whoever may enter that may ask: there is nothing to be seen.

    What a predecessor has left is in nobody's use, for we hold the folder's lock.
    """
    ours = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        with short_path(path.parent) as short:
            ours.bind(short)
        path.chmod(0o666)
    except OSError as error:
        ours.close()
        with suppress(OSError):
            path.unlink()  # a socket that only its owner could use would hide the other one
        _log.info("%s takes no socket for the health check: %s", path.parent, error.strerror)
        return None
    return ours


def _bound_without_file(folder: Path) -> socket.socket | None:
    ours = socket.socket(socket.AF_UNIX)
    try:
        ours.bind(without_file(folder))
    except OSError as error:
        ours.close()
        _log.error(
            "the health check will call this bridge dead, as it cannot be asked (%s): switch the "
            "check off, as with docker's --no-healthcheck, or let storage.path be a folder on a "
            "disk of this machine",
            error.strerror,
        )
        return None
    return ours


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ALIVE)
    with suppress(OSError):
        await writer.drain()
    writer.close()


async def _pet(notifier: Notifier) -> None:
    while True:
        notifier.send("WATCHDOG=1")
        await asyncio.sleep(notifier.pet_s)
