"""What could not be imported, kept aside: its reason, and below it the line as it stood.

The reasons are comments of an import, so that such a file can be mended and imported itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Self

from bridge.errors import StorageError
from bridge.importing.items import COMMENT, Bad


class Aside:
    """A file for what is rejected; it is made, or made anew, when the first line comes.

    `path` None: nothing is kept. Leaving it raises StorageError, too.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._headed = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:  # a full disk shows only when it is written
                raise self._refused(error) from error

    def keep(self, source: Path, bad: Bad, heading: bytes) -> None:
        """Keep a line of a file, below the heading that its table needs. Raises StorageError."""
        if self.path is None:
            return
        try:
            if self._file is None:
                # Where a car has been is nobody else's business.
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                self._file = os.fdopen(os.open(self.path, flags, 0o600), "wb")
            if heading != self._headed:
                self._file.write(heading)
                self._headed = heading
            why = f"{source}:{bad.line}: {bad.reason}".encode("utf-8", "surrogateescape")
            end = b"" if bad.text.endswith(b"\n") else b"\n"
            self._file.write(COMMENT + why.replace(b"\n", b" ") + b"\n" + bad.text + end)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self.path}: {error.strerror}")
