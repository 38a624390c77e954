"""The archive: which members a backup may have, and whether they are what was written."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec

from bridge import registry
from bridge.errors import RequestError, StorageError
from bridge.schema import MIGRATIONS

FORMAT = 1

MANIFEST = "manifest.json"
REGISTRY = "registry.json"
JOURNAL = "journal.db"
CONFIGURATION = "tk103b-bridge.yaml"
SECRETS = "secrets.yaml"

NEEDED = (REGISTRY, JOURNAL)
OPTIONAL = (CONFIGURATION, SECRETS)

MOST_BYTES = {
    MANIFEST: 262_144,
    REGISTRY: 16_777_216,
    CONFIGURATION: 1_048_576,
    SECRETS: 1_048_576,
}
"""Far more than any of them needs; only the journal is bounded by the free disk alone."""

SPARE_BYTES = 33_554_432
"""What stays free on the disk that a backup is unpacked to, for the bridge that starts there."""

_PIECE = 1_048_576
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
)
"""What `zipfile` and `msgspec` raise at what is no ZIP file, or no manifest."""
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Member(msgspec.Struct, frozen=True):
    """What a member must be."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    format: int = FORMAT
    version: str
    """Of the program that wrote it."""
    created_at: datetime
    registry_schema: int
    journal_schema: int
    epoch: str
    last_seq: int
    vehicles: int
    with_secrets: bool
    storage_path: str = ""
    """The data folder as the configuration file names it; empty: it does not."""
    left_out: tuple[str, ...] = ()
    """What the bridge was configured with and the backup does not hold, in words."""
    members: dict[str, Member] = {}


class _Versioned(msgspec.Struct):
    format: int


def pack(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Write an archive of `files` by their member names; return its manifest, with `members`."""
    members = {name: _measured(path) for name, path in files.items()}
    manifest = msgspec.structs.replace(manifest, members=members)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            for name, path in files.items():
                archive.write(path, name)
        file.flush()
        os.fsync(file.fileno())
    return manifest


class Archive:
    """A backup that is read; to be entered. Nothing in it is believed before it was checked.

    Raises RequestError for what is no backup, or a damaged one, StorageError for one of a newer
    program.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise RequestError(f"cannot read {path}: {error.strerror}") from error
        except _UNREADABLE as error:
            raise self._refusal("it is no ZIP file") from error
        try:
            self._infos = self._checked_infos()
            self.manifest = self._checked_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def unpack(self, folder: Path) -> None:
        """Write every member but the manifest into an empty folder, on disk when this returns."""
        needed = sum(member.bytes for member in self.manifest.members.values()) + SPARE_BYTES
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise StorageError(
                f"{self._path} needs {needed >> 20} MB on the disk of {folder}, and {free >> 20} MB"
                " are free"
            )
        for name, member in self.manifest.members.items():
            digest = hashlib.sha256()
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                for piece in self._pieces(name):
                    digest.update(piece)
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            if digest.hexdigest() != member.sha256:
                raise self._refusal(f"{name} is damaged")

    def _pieces(self, name: str) -> Iterator[bytes]:
        """Yield what a member holds, never more than its stated size."""
        try:
            with self._zip.open(self._infos[name]) as source:
                while piece := source.read(_PIECE):
                    yield piece
        except (OSError, *_UNREADABLE) as error:
            raise self._refusal(f"{name} is damaged") from error

    def _checked_infos(self) -> dict[str, zipfile.ZipInfo]:
        """Return the members by name: exactly those of a backup, each once."""
        infos = {info.filename: info for info in self._zip.infolist()}
        known = {MANIFEST, *NEEDED, *OPTIONAL}
        if len(infos) < len(self._zip.infolist()) or not known >= set(infos):
            raise self._refusal("it holds other files than a backup does")
        for name in (MANIFEST, *NEEDED):
            if name not in infos:
                raise self._refusal(f"it lacks {name}")
        for name, info in infos.items():
            if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
                raise self._refusal(f"{name} is packed in another way than a backup's")
            if info.file_size > MOST_BYTES.get(name, info.file_size):
                raise self._refusal(f"{name} is too large")
        return infos

    def _checked_manifest(self) -> Manifest:
        data = b"".join(self._pieces(MANIFEST))
        try:
            if (made := msgspec.json.decode(data, type=_Versioned).format) > FORMAT:
                raise self._newer("format", made, FORMAT)
            manifest = msgspec.json.decode(data, type=Manifest)
        except _UNREADABLE as error:
            raise self._refusal(f"its {MANIFEST} cannot be read") from error
        for what, found, known in (
            ("journal schema", manifest.journal_schema, len(MIGRATIONS)),
            ("registry schema", manifest.registry_schema, registry.SCHEMA),
        ):
            if found > known:
                raise self._newer(what, found, known)
        sizes = {name: info.file_size for name, info in self._infos.items() if name != MANIFEST}
        if {name: member.bytes for name, member in manifest.members.items()} != sizes:
            raise self._refusal(f"its files are not those that its {MANIFEST} names")
        return manifest

    def _refusal(self, reason: str) -> RequestError:
        return RequestError(f"{self._path} cannot be restored: {reason}")

    def _newer(self, what: str, found: int, known: int) -> StorageError:
        return StorageError(
            f"{self._path} was written by a newer version of this program ({what} {found}, this one"
            f" knows {known}): install that version, then restore it"
        )


def _measured(path: Path) -> Member:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Member(bytes=path.stat().st_size, sha256=digest)
