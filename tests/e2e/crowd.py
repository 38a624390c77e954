"""A crowd of strangers as a process of its own: `python -m tests.e2e.crowd PORT COUNT`.

They come from a hundred addresses of this machine and stay: every second one is silent, the others
log in with made-up ids and send heartbeats. It says ``ready`` once all have dialled; from then on
those who came first dial again, as many a second as it says in `AGAIN_PER_S`, until it is stopped.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import socket
import sys
import time
from collections import deque

ADDRESSES = 100
AGAIN_PER_S = 200


def main(port: int, count: int) -> None:
    """Dial and stay."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    numbers = itertools.count()
    crowd = deque(dialled(port, number) for number in itertools.islice(numbers, count))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        crowd.popleft()[1].close()
        crowd.append(dialled(port, next(numbers)))
        number, one = crowd[0]
        speak(number, one)
        crowd.rotate(-1)
        time.sleep(1 / AGAIN_PER_S)


def dialled(port: int, number: int) -> tuple[int, socket.socket]:
    """Connect as one of them."""
    one = socket.socket()
    one.settimeout(10)
    one.bind((f"127.0.1.{1 + number % ADDRESSES}", 0))
    one.connect(("127.0.0.1", port))
    speak(number, one)
    return number, one


def speak(number: int, one: socket.socket) -> None:
    """Say what a tracker says, or nothing."""
    if number % 2:
        device_id = f"86400004{number % 10_000_000:07d}"
        with contextlib.suppress(OSError):  # hung up on
            one.sendall(f"##,imei:{device_id},A;{device_id};".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
