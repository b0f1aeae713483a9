"""The bulk data of a repository: under ``blobs/``, each named by its own SHA-256, there whole or not at all, and never changed."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from update_agent.payload.index import DeltaIndex, Index
from update_agent.publish.errors import BlobError, NoRepositoryError, WriteError
from update_agent.repository.files import locked, settle
from update_agent.repository.repository import BLOBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from update_agent.payload.frames import Made, Writable
    from update_agent.repository.clock import Clock
    from update_agent.repository.files import Files

FRAMES, DELTA = "frames", "delta"
"""What blobs are called after their SHA-256: those of a whole image, and those of a difference."""
UNFINISHED: Final = ".unfinished"
"""The name of a blob that is written now, or was when its publisher was killed. No reader asks for it."""
_CHUNK = 1 << 20
AnyIndex = TypeVar("AnyIndex", Index, DeltaIndex)


class Blobs:
    """Those of the repository at ``folder``. Whoever adds or removes some holds ``locked``; ``wait`` in seconds, for another one."""

    def __init__(self, folder: Path, files: Files, clock: Clock, wait: float) -> None:
        self._path, self._files, self._clock, self._wait = folder / BLOBS, files, clock, wait

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds or removes a blob; releases can be published and signed meanwhile. Raises BusyError, NoRepositoryError."""
        if not self._path.is_dir():
            raise NoRepositoryError(self._path, "there is no such folder")
        with locked(self._path, self._wait, self._clock):
            yield

    def write(
        self, kind: str, fill: Callable[[Writable], Made[AnyIndex]], wanted: Callable[[Made[AnyIndex]], bool]
    ) -> str | None:
        """Have a blob of a kind filled; its name, or None and nothing left of it where it is not ``wanted``.

        On the disk afterwards, flushed: the whole blob. After an error or a kill at any moment nothing has that name, or all of it
        has. Raises WriteError, BlobError where another content has that name, and what ``fill`` raises.
        """
        beside = self._path / UNFINISHED
        try:
            made = self._filled(beside, fill)
            name = f"{made.blob_sha256}.{kind}"
            if not wanted(made):
                return None
            with self._told(self._path / name):
                if (self._path / name).exists():
                    self._require_whole(name)
                else:
                    self._files.replace(beside, self._path / name)
                settle(self._files, self._path)
            return name
        finally:
            # A full disk has more use for the bytes than we have.
            with suppress(OSError):
                self._files.remove(beside)

    def _filled(self, beside: Path, fill: Callable[[Writable], Made[AnyIndex]]) -> Made[AnyIndex]:
        with self._told(beside):
            descriptor = self._files.create(beside, 0o644)
        try:
            made = fill(_Sink(self, descriptor))
            with self._told(beside):
                self._files.fsync(descriptor)
        finally:
            os.close(descriptor)
        return made

    def append(self, descriptor: int, data: bytes) -> None:
        """Put bytes behind those before. Raises WriteError."""
        with self._told(self._path):
            self._files.write(descriptor, data)

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(path, error.strerror or str(error)) from error

    def _require_whole(self, name: str) -> None:
        digest, path = hashlib.sha256(), self._path / name
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                digest.update(data)
        if digest.hexdigest() != name.partition(".")[0]:
            raise BlobError(path, "it is damaged: its SHA-256 is not that of its name; move it away, and publish again")


class _Sink:
    """A blob that is written."""

    def __init__(self, blobs: Blobs, descriptor: int) -> None:
        self._blobs, self._descriptor = blobs, descriptor

    def write(self, data: bytes) -> int:
        self._blobs.append(self._descriptor, data)
        return len(data)
