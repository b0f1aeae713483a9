"""What a file system is made of: a folder or an archive, and files laid over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from image_builder.definition.model import KEPT
from image_builder.filesystem.archive import list_archive, open_archive
from image_builder.filesystem.listing import list_folder
from image_builder.filesystem.overlay import Overlaid, lay_over

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import SlotFile
    from image_builder.filesystem.listing import Listing


@dataclass(frozen=True)
class FolderSource:
    """A folder of the building machine. ``owners``: KEPT or ROOT. Without ``xattrs`` its extended attributes stay behind, ACLs and capabilities too."""

    path: Path
    owners: str = KEPT
    xattrs: bool = True
    files: tuple[SlotFile, ...] = ()

    def listing(self) -> Listing:
        """All that the file system must hold in the end. Read once. Raises UnreadableError, SlotFileError and OSError."""
        return self.overlaid.listing

    @cached_property
    def overlaid(self) -> Overlaid:
        """The listing, and what is laid over."""
        found = list_folder(self.path)
        if not self.xattrs:
            found = {path: replace(entry, xattrs=()) for path, entry in found.items()}
        return lay_over(_owned(found, self.owners), self.files)


@dataclass(frozen=True)
class ArchiveSource:
    """A tar, plain or compressed. ``owners``: KEPT or ROOT."""

    path: Path
    owners: str = KEPT
    files: tuple[SlotFile, ...] = ()

    def listing(self) -> Listing:
        """All that the file system must hold in the end. Read once. Raises ArchiveError, SlotFileError and OSError."""
        return self.overlaid.listing

    @cached_property
    def overlaid(self) -> Overlaid:
        """The listing, and what is laid over."""
        with open_archive(self.path) as stream:
            found = list_archive(stream)
        return lay_over(_owned(found, self.owners), self.files)


@dataclass(frozen=True)
class ImageSource:
    """A finished file system."""

    path: Path


Source: TypeAlias = FolderSource | ArchiveSource
"""What a file system can be made of."""


def _owned(listing: Listing, owners: str) -> Listing:
    if owners == KEPT:
        return listing
    return {path: replace(entry, uid=0, gid=0) for path, entry in listing.items()}
