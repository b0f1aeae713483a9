"""The disk, byte by byte: what is built, for ``dd``, for QEMU, and for all that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.cache import replacing
from image_builder.disk.sparse import copy_into
from image_builder.output.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (no program, no time)
    if target.exists() and target.samefile(raw):
        return
    with replacing(target) as temporary:
        with temporary.open("wb") as file:
            file.truncate(raw.stat().st_size)
        copy_into(raw, temporary, 0)


RAW = Output("raw", ".raw", (), "the disk byte by byte, as a sparse file", _write)
