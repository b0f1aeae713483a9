"""Where the bulk data of a repository are read from: a folder, or a web server that is asked as machines ask it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from update_agent.repository.repository import BLOBS
from update_agent.transport.file import FileSource
from update_agent.transport.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.transport.source import Source

DEADLINE: Final = 24 * 3600.0
"""Seconds in which a blob has to come."""


@contextmanager
def sources(place: Path | str) -> Iterator[Callable[[str], Source]]:
    """What opens a blob by its name, of the repository in a folder or at a URL."""
    if isinstance(place, Path):
        folder = place / BLOBS
        yield lambda blob: FileSource(folder / blob)
        return
    network = Network(payload=DEADLINE)
    with network.client() as client:
        yield lambda blob: network.source(client, f"{place.rstrip('/')}/{BLOBS}/{blob}")
