"""erofs, written by mkfs.erofs. It keeps everything; names of 255 bytes are refused by mkfs.erofs 1.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.staging import readable_tree

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.filesystem.source import Source
    from image_builder.run import Runner

COMPRESSIONS = ("none", "lz4", "lz4hc")


def write_erofs(
    runner: Runner,
    source: Source,
    output: Path,
    *,
    uuid: str,
    compression: str,
    epoch: int,
    label: str = "",  # noqa: ARG001 - mkfs.erofs 1.5 cannot set one
    size: int | None = None,  # noqa: ARG001 - it is as large as its content
) -> None:
    """Write ``source`` to ``output``: same content, same bytes. ``epoch``: seconds, the time of everything in it.

    Raises what ``Runner.run`` raises, and OSError; ``output`` may then be half-written.
    """
    argv: list[str | Path] = ["mkfs.erofs", "--quiet", f"-T{epoch}", f"-U{uuid}"]
    if compression != "none":
        argv.append(f"-z{compression}")
    if source.owners == "root":
        argv.append("--all-root")
    if isinstance(source, FolderSource) and not source.xattrs:
        argv.append("-x-1")
    with readable_tree(runner, source, output.parent) as (inside, tree):
        inside.run([*argv, output, tree])
