"""The repository that the settings name, wherever it is."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from update_agent.repository.clock import Clock
from update_agent.repository.errors import NotConfiguredError
from update_agent.repository.fetcher import HttpFetcher
from update_agent.repository.folder import FolderFetcher
from update_agent.repository.repository import Repository
from update_agent.transport.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from update_agent.config.settings import Settings
    from update_agent.repository.fetcher import Fetcher
    from update_agent.repository.files import Files


@contextmanager
def open_repository(
    settings: Settings,
    bootstrap: bytes,
    state: Path,
    floor: datetime,
    *,
    clock: Clock | None = None,
    files: Files | None = None,
    wait: float = 300,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Repository]:
    """The repository of ``update.repository``: an address of http or https, a path, or a URL of a file.

    ``tell`` is given a line for each request that failed and is made again; the others are those of ``Repository``. Nothing is
    asked for yet, and nothing written. Raises NotConfiguredError.
    """
    clock = clock or Clock()
    url, fetcher = _place(settings, floor, clock, tell)
    with fetcher:
        yield Repository(url, state, bootstrap, fetcher, floor=floor, clock=clock, files=files, wait=wait)


def _place(settings: Settings, floor: datetime, clock: Clock, tell: Callable[[str], None]) -> tuple[str, Fetcher]:
    place = settings.repository
    if not place:
        raise NotConfiguredError
    if place.startswith("file:"):
        place = unquote(urlsplit(place).path)
    if place.startswith("/"):
        folder = Path(place).resolve()
        return folder.as_uri(), FolderFetcher(folder)
    network = Network.of(settings, floor=floor, now=clock.now, clock=clock.monotonic, sleep=clock.sleep, tell=tell)
    return place, HttpFetcher(network)
