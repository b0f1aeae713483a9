"""A repository in a folder, such as one on a USB disk: the same checks, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from update_agent.repository.errors import AbsentError
from update_agent.repository.fetcher import LONGEST, Fetcher
from update_agent.transport.errors import FileSourceError, TooMuchError
from update_agent.transport.file import FileSource
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from pathlib import Path


class FolderFetcher(Fetcher):
    """Reads ``file:`` URLs below a folder; what is not there answers as a server would, with status 404."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """See ``Fetcher``. Raises AbsentError, FileSourceError, TooMuchError."""
        source, largest = self.source(url), min(max_length, LONGEST)
        try:
            size = source.size()
            if size > largest:
                raise TooMuchError(url, f"it has more than the {largest} bytes that it may have")
            data = bytearray(size)
            with source.open(0, size) as reader:
                read_exactly(reader, memoryview(data))
        except FileSourceError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise AbsentError(url, error.problem) from error
            raise
        return bytes(data)

    def source(self, url: str) -> FileSource:
        """See ``Fetcher``. Raises FileSourceError for what leads out of the folder."""
        path = self._folder.joinpath(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(self._folder):
            raise FileSourceError(url, f"it is outside {self._folder}")
        return FileSource(path)
