"""A repository as the agent needs it, wherever it is, and what a release in it is for an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from update_agent.payload.errors import IndexError_
from update_agent.payload.index import DeltaIndex, Index
from update_agent.repository.errors import ReleaseError
from update_agent.slot.stream import Published

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.repository.release import Release, Target
    from update_agent.repository.repository import Trusted
    from update_agent.transport.source import Source

AnyIndex = TypeVar("AnyIndex", Index, DeltaIndex)


class Shelf(Protocol):
    """An open repository."""

    def refresh(self) -> Trusted:
        """See ``Repository.refresh``."""

    def read(self, target: Target) -> bytes:
        """See ``Repository.read``."""

    def open_blob(self, name: str) -> Source:
        """The bulk data below blobs/. Nothing is asked for yet."""


def published(shelf: Shelf, release: Release, running: str, tell: Callable[[str], None]) -> Published:
    """A release for ``install_published``, with the difference to the ``running`` version where there is one.

    Raises what ``Shelf.read`` raises, and ReleaseError for an index that is not that of its release. What is wrong with a difference
    is told: the whole update does without.
    """
    index = _index(Index.parse, shelf, release.index, release, release.compressed)
    delta = None
    for one in release.deltas:
        if one.from_version == running:
            try:
                difference = _index(DeltaIndex.parse, shelf, one.index, release, one.compressed)
                if difference.from_sha256 != one.from_sha256:
                    raise ReleaseError(one.index.name, "it is the difference to another image than the release says")
            except ReleaseError as error:
                tell(f"the whole update is fetched: {error}")
            else:
                delta = difference, shelf.open_blob(one.blob)
    return Published(
        release.version,
        f"{release.name} {release.version}",
        index,
        shelf.open_blob(release.blob),
        delta,
        release.kernel_releases,
        release.own_kernel,
    )


def _index(
    parse: Callable[[bytes], AnyIndex], shelf: Shelf, target: Target, release: Release, compressed: int
) -> AnyIndex:
    try:
        index = parse(shelf.read(target))
    except IndexError_ as error:
        raise ReleaseError(target.name, str(error)) from error
    told = (release.size, release.sha256, compressed)
    if (index.size, index.sha256, index.compressed) != told:
        raise ReleaseError(target.name, "it is the index of another image than the release says")
    return index
