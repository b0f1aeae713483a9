"""File systems of the odd tree, made by our writers; as a program too, so that other users and environments can make them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.definition.model import SlotFile
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.listing import Entry
from image_builder.filesystem.reading import erofs, ext4, squashfs
from image_builder.filesystem.source import ArchiveSource, FolderSource
from image_builder.run import SystemRunner
from tests.image_builder.filesystem.trees import FILE, FOLDER, LINK, ODD, make, without_acls

if TYPE_CHECKING:
    from image_builder.filesystem.source import Source

KINDS = tuple(FILESYSTEMS)
READERS = {"erofs": erofs.read_listing, "squashfs": squashfs.read_listing, "ext4": ext4.read_listing}
UUID, EPOCH = "12345678-1234-4234-8234-123456789abc", 1704067200
_FEW = {path: entry for path, entry in ODD.items() if not path.startswith(b"many/file number") or path.endswith(b"00")}
TREE = _FEW | {
    b"way": Entry(LINK | 0o777, 0, 0, target=b"/links/../sticky"),
    b"words": Entry(FILE | 0o644, 0, 0, 6),
}
NEW = b"a new file\n"


def overlay(folder: Path) -> tuple[SlotFile, ...]:
    """A file in place of one of three names, of a capability, of a device; one through a link; one in folders that are not there."""
    plain, program = folder / "plain", folder / "program"
    for file, mode in ((plain, 0o600), (program, 0o711)):
        if not file.exists():
            file.write_bytes(NEW)
            file.chmod(mode | 0o044)
    return (
        SlotFile("/links/a", program),
        SlotFile("/ping", plain),
        SlotFile("/dev/null", plain),
        SlotFile("/way/through", plain),
        SlotFile("/not/there/yet", program),
    )


def expected(kind: str, *, overlaid: bool) -> dict[bytes, Entry]:
    """What must be in the file system, written down by hand."""
    tree = dict(TREE)
    if overlaid:
        plain, program = Entry(FILE | 0o644, 0, 0, len(NEW)), Entry(FILE | 0o755, 0, 0, len(NEW))
        linked = Entry(FILE | 0o600, 9, 9, 11, first=b"links/b")
        tree |= {b"links/a": program, b"links/b": linked, b"other/c": linked, b"ping": plain, b"dev/null": plain}
        tree |= {b"sticky/through": plain, b"not/there/yet": program}
        tree |= {b"not": Entry(FOLDER | 0o755, 0, 0), b"not/there": Entry(FOLDER | 0o755, 0, 0)}
    return without_acls(tree) if kind == "squashfs" else tree


def source_of(path: Path, *, overlaid: bool = False) -> Source:
    files = overlay(path.parent) if overlaid else ()
    return FolderSource(path, files=files) if path.is_dir() else ArchiveSource(path, files=files)


def write(kind: str, source: Source, output: Path, *, epoch: int = EPOCH) -> Path:
    # Our reader needs a package for zstd, the default of squashfs.
    compression = {"squashfs": "gzip"}.get(kind, FILESYSTEMS[kind].default_compression)
    FILESYSTEMS[kind].write(SystemRunner(), source, output, uuid=UUID, compression=compression, epoch=epoch)
    return output


if __name__ == "__main__":
    if sys.argv[1] == "tree":
        make(TREE, os.fsencode(sys.argv[2]))
    else:
        what, path, image, laid = sys.argv[1:]
        write(what, source_of(Path(path), overlaid=laid == "overlay"), Path(image))
