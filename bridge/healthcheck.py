"""Whether a bridge is alive, as its container's engine asks once a minute: it must cost little.

    python -m bridge.healthcheck [FOLDER]

So nothing is imported here but what opens a socket. The bridge answers on a socket in its data
folder, see `bridge.alive`, or on one without a file where the folder takes none; nothing is asked
of the broker, and the trackers' port is not touched: this must look neither like a tracker nor like
a stranger.

Only what a restart may mend is bad. A full disk or a broker that is away is none of it: what waits
in memory would be lost.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SOCKET_NAME = "alive"
ALIVE = b"alive\n"
PATIENCE_S = 5.0
DEFAULT_FOLDER = "/data"


@contextmanager
def short_path(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Give the socket's path, for the time of the body; an address holds a hundred bytes at most.

    A folder whose name is longer is reached by its descriptor, where the system has such a path.
    """
    path = os.path.join(folder, SOCKET_NAME)  # noqa: PTH118 - pathlib takes longer than the rest
    if len(os.fsencode(path)) < 100:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def without_file(folder: str | os.PathLike[str]) -> bytes:
    """Return the address for a folder that takes no socket, as some network shares: of the system.

    Linux alone has such addresses. Raises OSError where there is no such folder.
    """
    found = os.stat(folder)  # noqa: PTH116 - as above
    return b"\0tk103b-bridge-%x-%x" % (found.st_dev, found.st_ino)


def ask(folder: str | os.PathLike[str]) -> str:
    """Return why the bridge of this data folder is not well; empty: it is alive."""
    try:
        with short_path(folder) as path:
            answer = _answer_from(path)
    except TimeoutError:
        return f"the bridge has not answered within {PATIENCE_S:g} s"
    except OSError as error:
        fault = _in_words(error, os.fspath(folder))
        try:
            answer = _answer_from(without_file(folder))
        except TimeoutError:
            return f"the bridge has not answered within {PATIENCE_S:g} s"
        except OSError:
            return fault
    return "" if answer == ALIVE else "something else than a bridge answers"


def _answer_from(address: str | bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(PATIENCE_S)
        asked.connect(address)
        return asked.recv(len(ALIVE))


def _in_words(error: OSError, folder: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no bridge has begun to listen on the data folder {folder}"
    if isinstance(error, ConnectionRefusedError):
        return f"no bridge runs on the data folder {folder} any more"
    return f"the bridge cannot be asked: {error.strerror}"


def main() -> int:
    """Print what was found; 0: alive, 1: not."""
    folder = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FOLDER
    fault = ask(folder)
    sys.stdout.write(f"{fault or 'the bridge is alive'}\n")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
