"""The bytes of a disk image that are not zero: the same, whatever the file system made a hole of."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from image_builder.disk.sparse import data_extents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_DIGEST_BLOCK = 64 << 10
_CHUNK_BLOCKS = 64


def used_blocks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """(Number, content) of each block of ``size`` bytes that is not all zeros; the last one may be short. Raises OSError."""
    zeros = bytes(size)
    following = 0
    for start, end in data_extents(file.fileno()):
        number = max(following, start // size)
        file.seek(number * size)
        while number * size < end:
            chunk = file.read(min(_CHUNK_BLOCKS, -(-end // size) - number) * size)
            if not chunk:
                return
            for at in range(0, len(chunk), size):
                block = chunk[at : at + size]
                if block != zeros[: len(block)]:
                    yield number, block
                number += 1
        following = number


def content_digest(path: Path) -> str:
    """A SHA-256 of the size and content of a file, as hexadecimal, that reads no holes. Not that of sha256sum. Raises OSError."""
    digest = hashlib.sha256(path.stat().st_size.to_bytes(8, "little"))
    with path.open("rb") as file:
        for number, block in used_blocks(file, _DIGEST_BLOCK):
            digest.update(number.to_bytes(8, "little"))
            digest.update(block)
    return digest.hexdigest()
