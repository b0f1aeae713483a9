"""The folder of a repository: one publisher at a time, and files in an order that readers never see half of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from update_agent.publish.errors import BlobError, NoRepositoryError, WriteError
from update_agent.repository.files import Files, locked, settle, store
from update_agent.repository.repository import BLOBS, METADATA, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from update_agent.repository.clock import Clock


class Folder:
    """A repository's files at ``path``. ``wait``: seconds to wait for another publisher."""

    def __init__(self, path: Path, files: Files, clock: Clock, wait: float) -> None:
        self.path, self._files, self._clock, self._wait = path, files, clock, wait

    def make(self) -> None:
        """Make what is not there of the folders. Raises WriteError."""
        with self._explained():
            for name in (METADATA, TARGETS, BLOBS):
                self._files.make_folder(self.path / name)
            settle(self._files, self.path)

    def has_timestamp(self) -> bool:
        """Whether readers find a repository here."""
        return (self.path / METADATA / "timestamp.json").exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other publisher is at work. Raises NoRepositoryError, BusyError."""
        if not self.path.is_dir():
            raise NoRepositoryError(self.path, "there is no such folder")
        with locked(self.path, self._wait, self._clock):
            yield

    def require_blob(self, blob: str, size: int) -> None:
        """Raises BlobError unless the bulk data are there, ``size`` bytes of them."""
        path = self.path / BLOBS / blob
        try:
            found = path.stat().st_size
        except OSError as error:
            raise BlobError(path, f"{error.strerror}; put the bulk data there before they are published") from error
        if found != size:
            raise BlobError(path, f"it has {found} bytes, and the release says {size}")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files in their order. Before the timestamp or a root, on which readers act, all before it is on the disk.

        Raises WriteError.
        """
        with self._explained():
            waiting: set[Path] = set()
            for name, data in files.items():
                path = self.path / name
                acted_on = path.name == "timestamp.json" or path.name.endswith(".root.json")
                if acted_on:
                    self._settle(waiting)
                store(self._files, path, data)
                waiting.add(path.parent)
                if acted_on:
                    self._settle(waiting)

    def _settle(self, folders: set[Path]) -> None:
        for folder in sorted(folders):
            settle(self._files, folder)
        folders.clear()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(error.filename or self.path, error.strerror or str(error)) from error


def below(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files by their paths below the repository."""
    return {f"{folder}/{name}": data for name, data in files.items()}
