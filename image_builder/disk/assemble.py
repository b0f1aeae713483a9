"""Puts a disk image together: contents first, the partition table last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.disk import Disk
from image_builder.cache import replacing
from image_builder.disk.sparse import copy_into
from image_builder.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from image_builder.disk.partitioning import Partitioning


def assemble(output: Path, partitioning: Partitioning, contents: Mapping[int, Path]) -> None:
    """Write the image; ``contents`` are files by the number of their partition. It appears whole or not at all.

    Raises TooLargeError, OutputError and OSError; a previous ``output`` is then as it was.
    """
    for place in partitioning.places:
        source = contents.get(place.partition.number)
        if source is not None:
            check_fits(source, place.size, place.partition.label)
    with replacing(output) as temporary:
        with temporary.open("wb") as file:
            file.truncate(partitioning.size)
        for place in partitioning.places:
            source = contents.get(place.partition.number)
            if source is not None:
                copy_into(source, temporary, place.start)
        with Disk.open(temporary, write=True) as disk:
            disk.create(partitioning.table)


def check_fits(source: Path, limit: int, label: str) -> None:
    """Raise TooLargeError unless a file fits into a partition of ``limit`` bytes."""
    size = source.stat().st_size
    if size > limit:
        raise TooLargeError(source, size, limit, f"partition {label}")
