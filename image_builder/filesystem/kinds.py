"""The file systems that a slot can have, and how they are told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from image_builder.filesystem import erofs, ext4, squashfs
from image_builder.filesystem.reading import erofs as erofs_reader
from image_builder.filesystem.reading import ext4 as ext4_reader
from image_builder.filesystem.reading import squashfs as squashfs_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from image_builder.filesystem.listing import Listing
    from image_builder.filesystem.source import Source
    from image_builder.run import Runner


class Write(Protocol):
    """Writes ``source`` to ``output``: same content, same bytes, whoever builds it where and when."""

    def __call__(
        self,
        runner: Runner,
        source: Source,
        output: Path,
        *,
        uuid: str,
        compression: str,
        epoch: int,
        label: str = "",
        size: int | None = None,
    ) -> None:
        """``epoch`` in seconds is the time of everything in it; ``size`` in bytes, where the file system has one of its own.

        Raises what ``Runner.run`` raises, what ``source.listing`` raises, and OSError; ``output`` may then be half-written.
        """


@dataclass(frozen=True)
class FileSystem:
    """A kind of file system. ``modules``: what the kernel needs for it, where that is not built in."""

    name: str
    """What ``mount -t`` takes."""
    modules: tuple[str, ...]
    compressions: tuple[str, ...]
    default_compression: str
    programs: tuple[str, ...]
    write: Write
    read_listing: Callable[[Path], Listing]
    """What is in a finished one. Raises BadFileSystemError, UnreadableFeatureError and OSError."""
    no_place_for: tuple[bytes, ...] = ()
    """Beginnings of the names of extended attributes that it cannot hold."""

    def without_place(self, listing: Listing) -> tuple[Listing, int]:
        """A listing without what the file system cannot hold, and how many entries that changes."""
        if not self.no_place_for:
            return listing, 0
        changed = {}
        for path, entry in listing.items():
            kept = tuple(xattr for xattr in entry.xattrs if not xattr[0].startswith(self.no_place_for))
            if kept != entry.xattrs:
                changed[path] = replace(entry, xattrs=kept)
        return {**listing, **changed}, len(changed)


FILESYSTEMS = {
    kind.name: kind
    for kind in (
        FileSystem(
            "erofs",
            ("erofs",),
            erofs.COMPRESSIONS,
            "lz4",
            ("mkfs.erofs",),
            erofs.write_erofs,
            erofs_reader.read_listing,
        ),
        FileSystem(
            "squashfs",
            ("squashfs",),
            squashfs.COMPRESSIONS,
            "zstd",
            ("mksquashfs",),
            squashfs.write_squashfs,
            squashfs_reader.read_listing,
            (b"system.posix_acl_",),
        ),
        FileSystem(
            "ext4",
            ("ext4",),
            ext4.COMPRESSIONS,
            "none",
            ("mkfs.ext4", "debugfs"),
            ext4.write_ext4,
            ext4_reader.read_listing,
        ),
    )
}
