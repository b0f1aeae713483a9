"""erofs file systems: slots and update media."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.epoch import EPOCH

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner


def make_erofs(runner: Runner, tree: Path, output: Path, *, uuid: str, compression: str) -> None:
    """Write the file system of a folder to ``output``; same tree, same bytes. ``compression``: none, lz4 or lz4hc.

    Raises what ``Runner.run`` raises.
    """
    compressed = [] if compression == "none" else [f"-z{compression}"]
    # Without -x-1 the security labels of the building machine would get in.
    fixed = ["-x-1", f"-T{EPOCH}", f"-U{uuid}", "--all-root"]
    runner.run(["mkfs.erofs", "--quiet", *compressed, *fixed, output, tree])
