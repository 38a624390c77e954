"""The clock: reports are judged by it. Of what cannot be known, that is said."""

from __future__ import annotations

import ctypes
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge import journal, registry, schema
from bridge.doctor.finding import Result, bad, ok, warn
from bridge.doctor.patient import Patient

_TOLERANCE = timedelta(minutes=1)
_MARK = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES = 512
"""More than any system's ``struct timex``, all of it zero: to be read, nothing to be set."""
_TIME_ERROR = 5
"""What adjtimex(2) returns while nobody has set the clock from a better one."""


def time_of_day(patient: Patient) -> Result:
    """Whether the clock can be right: not before what has happened already."""
    now = datetime.now(UTC)
    words = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    newest, what = max(_moments(patient))
    if newest - now > _TOLERANCE:
        return bad(
            f"{words}: cannot be, for {what} is of {newest:%Y-%m-%d %H:%M:%S}",
            "set it, and let something keep it right; reports would be judged as of the future",
        )
    return ok(f"{words}, later than all that was kept; whether it is right to the second is not"
              " known from here")  # fmt: skip


def synchronised(_: Patient) -> Result:
    """Whether something keeps the clock right."""
    if _MARK.exists():
        return ok("systemd-timesyncd, which has heard from a time server")
    state = _kernel_state()
    if state is None:
        return ok("not known: this system does not say")
    if state == _TIME_ERROR:
        return warn(
            "nothing, says the kernel: it drifts by seconds a day, and starts wrong without a"
            " battery",
            "turn on systemd-timesyncd or chrony; in a virtual machine its host may do it unseen",
        )
    return ok("a time service, says the kernel")


def _moments(patient: Patient) -> list[tuple[datetime, str]]:
    """Return moments that have been, and what they are of.

    A computer without a battery for its clock starts long before this program was installed.
    """
    files = [patient.folder / name for name in (registry.FILE_NAME, journal.FILE_NAME)]
    found = [
        (datetime.fromtimestamp(path.stat().st_mtime, UTC), f"the file {path.name}")
        for path in (Path(__file__), *files)
        if path.exists()
    ]
    path = patient.folder / journal.FILE_NAME
    if path.exists():
        # A journal that ails is told of by itself.
        with suppress(sqlite3.Error), closing(schema.connect(path, mode="ro")) as connection:
            newest = connection.execute(
                "SELECT received_at FROM entry ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            if newest is not None:
                found.append((schema.moment(newest[0]), "the newest report in the journal"))
    return found


def _kernel_state() -> int | None:
    """Return what adjtimex(2) says of the clock, None where it cannot be asked."""
    try:
        ask = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return None
    state = int(ask(ctypes.create_string_buffer(_TIMEX_BYTES)))
    return state if state >= 0 else None
