"""Fetches the files of a repository: small ones whole, for ``tuf``, and bulk data in ranges.

>>> fetcher = HttpFetcher()
>>> fetcher.download_bytes("ftp://updates.example.com/timestamp.json", 1000)
Traceback (most recent call last):
update_agent.transport.errors.UrlError: ftp://updates.example.com/timestamp.json: it is no URL of http or https
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING

from tuf.ngclient import FetcherInterface

from update_agent.repository.errors import TUF_KNOWS
from update_agent.transport.errors import PortalError, TransportError
from update_agent.transport.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from update_agent.transport.source import Source

LONGEST = 8 << 20
"""Bytes of the longest small file, whatever the metadata say."""


class Fetcher(FetcherInterface):
    """Where the files of one repository come from. Use it as a context manager, or close it."""

    @abstractmethod
    def download_bytes(self, url: str, max_length: int) -> bytes:
        """A small file, of ``max_length`` bytes at most. Raises a TransportError, which says what the last try met."""

    @abstractmethod
    def source(self, url: str) -> Source:
        """Bulk data, to be read in ranges. Raises a TransportError, here or then."""

    def begin(self) -> None:
        """Something new begins that has a deadline of its own: a refresh, or an index."""

    def close(self) -> None:
        """Nothing more is fetched."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """As ``download_bytes``, as an open file."""
        yield BytesIO(self.download_bytes(url, max_length))

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, LONGEST)


class HttpFetcher(Fetcher):
    """Web servers, over one connection. All small files from one ``begin`` to the next share the deadline for metadata."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()
        self._client = self._network.client()

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """See ``Fetcher``. AbsentError and WithheldError are what ``tuf`` takes for the end of the chain of roots."""
        largest = min(max_length, LONGEST)
        attempts = self._network.attempts(url, self._client.deadline)
        try:
            data = attempts.insist(lambda: self._client.fetch(url, largest))
        except TransportError as error:
            known = TUF_KNOWS.get(error.status or 0)
            if known is None:
                raise
            raise known(error.shown, error.problem) from error
        # Asking again at once would not help: somebody has to log in first.
        if url.endswith(".json") and data.lstrip().startswith(b"<"):
            raise PortalError(url, "a web page came in place of metadata: is there a portal where one has to log in?")
        return data

    def source(self, url: str) -> Source:
        """See ``Fetcher``. Its deadline, that for payloads, begins now."""
        return self._network.source(self._client, url)

    def begin(self) -> None:
        """See ``Fetcher``."""
        self._client.deadline.begin()

    def close(self) -> None:
        """Close the connection that was kept."""
        self._client.close()
