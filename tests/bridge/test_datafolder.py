"""One process has the data folder, and whoever else wants it hears which."""

import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bridge import datafolder
from bridge.errors import StorageError
from bridge.registry import lock_folder

HOLDER = """
import sys
from pathlib import Path
from bridge.registry import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_one_process_own_and_the_other_is_named(tmp_path):
    folder = tmp_path / "new" / "data"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"locked\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(StorageError, match=f"in use by process {holder.pid}$"):
        lock_folder(folder)
    holder.kill()
    holder.communicate()
    with lock_folder(folder) as locked:
        assert locked.path == folder
        assert (folder / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(StorageError, match=f"in use by process {os.getpid()}$"):
            lock_folder(folder)
    locked.close()
    lock_folder(folder).close()


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match=r"cannot use the data folder .*: File exists"):
        lock_folder(tmp_path / "data")


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(_descriptor, _operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(datafolder, "fcntl", SimpleNamespace(flock=flock, LOCK_EX=2, LOCK_NB=4))
    with pytest.raises(StorageError, match=r"cannot lock .*: Function not implemented"):
        lock_folder(tmp_path)
