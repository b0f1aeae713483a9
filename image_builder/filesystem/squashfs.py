"""squashfs, written by mksquashfs. It keeps everything but access control lists, which it has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.staging import readable_tree

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.filesystem.source import Source
    from image_builder.run import Runner

_OPTIONS = {
    "zstd": ("-Xcompression-level", "3"),  # level 15 takes twenty times as long for a tenth of the size
    "lz4": (),
    "gzip": (),
    "xz": (),
    "none": ("-noD", "-noF"),
}
COMPRESSIONS = tuple(_OPTIONS)


def write_squashfs(
    runner: Runner,
    source: Source,
    output: Path,
    *,
    uuid: str,  # noqa: ARG001 - it has none
    compression: str,
    epoch: int,
    label: str = "",  # noqa: ARG001 - nor a label
    size: int | None = None,  # noqa: ARG001 - it is as large as its content
) -> None:
    """Write ``source`` to ``output``: same content, same bytes. ``epoch``: seconds, the time of everything in it.

    Raises what ``Runner.run`` raises, and OSError; ``output`` may then be half-written.
    """
    fixed = ["-noappend", "-no-recovery", "-no-progress", "-quiet", "-exit-on-error", "-b", "131072"]
    # Not the tables: 0.6 % larger, and we can read them back without a Python package for each compression.
    tables = ["-noI", "-noX"]
    times = ["-all-time", str(epoch), "-mkfs-time", str(epoch)]
    owners = ["-all-root"] if source.owners == "root" else []
    xattrs = ["-no-xattrs"] if isinstance(source, FolderSource) and not source.xattrs else ["-xattrs"]
    options = [
        *fixed,
        *tables,
        *times,
        "-comp",
        "gzip" if compression == "none" else compression,
        *_OPTIONS[compression],
        *owners,
        *xattrs,
    ]
    with readable_tree(runner, source, output.parent) as (inside, tree):
        inside.run(["mksquashfs", tree, output, *options])
