"""The metadata blocks of a squashfs: 8 KiB each, compressed one by one or stored, read as one stream.

gzip and xz are in the standard library. zstd and lz4 need a module of their own, and only for images that others made: ours
store their tables uncompressed (mksquashfs -noI -noX).
"""

from __future__ import annotations

import importlib
import lzma
import zlib
from struct import Struct
from typing import TYPE_CHECKING

from image_builder.filesystem.reading.image import LONGEST_LINK

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from image_builder.filesystem.reading.image import Image

BLOCK_BYTES = 8192
ENOUGH = LONGEST_LINK + 64
"""Bytes of the largest inode but for the list of blocks of a file."""
_HEADER = Struct("<H")
_STORED, _LENGTH = 0x8000, 0x7FFF

_COMPRESSIONS = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_MODULES = {"lz4": ("lz4.block", "lz4"), "zstd": ("zstandard", "zstandard")}
"""Compression -> module to import, name to install."""


class MetadataBlocks:
    """Reads a table that begins at ``start``, in bytes; each block is decoded once."""

    def __init__(self, image: Image, compression: int, start: int) -> None:
        self._image, self._compression, self.start = image, compression, start
        self._decoded: dict[int, tuple[bytes, int]] = {}
        self._decode: Callable[[bytes], bytes] | None = None
        self.decoded_bytes = 0
        """Of all blocks that were read."""

    def read(self, block: int, offset: int, size: int) -> bytes:
        """``size`` bytes from byte ``offset`` of the block that is ``block`` bytes behind the start. Raises BadFileSystemError."""
        data, following = self._block(self.start + block)
        if offset + size <= len(data):
            return data[offset : offset + size]
        parts = [data[offset:]]
        missing = size - len(parts[0])
        while missing > 0:
            if len(data) != BLOCK_BYTES:
                raise self._image.damaged(f"a table that ends in the middle of an entry, before byte {following}")
            data, following = self._block(following)
            parts.append(data[:missing])
            missing -= len(parts[-1])
        return b"".join(parts)

    def moved(self, block: int, offset: int) -> tuple[int, int]:
        """The same place where ``offset`` may lie beyond the end of the block."""
        while offset > BLOCK_BYTES:
            block, offset = self._block(self.start + block)[1] - self.start, offset - BLOCK_BYTES
        return block, offset

    def tail(self, block: int, offset: int) -> bytes:
        """What follows in this block and, if that is less than ``ENOUGH``, in the next one."""
        data, following = self._block(self.start + block)
        if offset + ENOUGH <= len(data) or len(data) != BLOCK_BYTES:
            return data[offset:]
        return data[offset:] + self._block(following)[0]

    def _block(self, position: int) -> tuple[bytes, int]:
        """The content of a block, and where the next one begins."""
        found = self._decoded.get(position)
        if found is None:
            (header,) = self._image.unpack(_HEADER, position)
            position_of_data, size = position + _HEADER.size, header & _LENGTH
            data = self._image.read(position_of_data, size)
            if not header & _STORED:
                data = self._decompressed(data, position)
            if not 0 < len(data) <= BLOCK_BYTES:
                raise self._image.damaged(f"a metadata block of {len(data)} bytes at byte {position}")
            self.decoded_bytes += len(data)
            found = self._decoded[position] = data, position_of_data + size
        return found

    def _decompressed(self, data: bytes, position: int) -> bytes:
        if self._decode is None:
            self._decode = self._decoder()
        try:
            return self._decode(data)
        except Exception as error:
            raise self._image.damaged(f"a metadata block at byte {position} cannot be decompressed: {error}") from error

    def _decoder(self) -> Callable[[bytes], bytes]:
        name = _COMPRESSIONS.get(self._compression, str(self._compression))
        if name == "gzip":
            return lambda data: zlib.decompressobj().decompress(data, BLOCK_BYTES + 1)
        if name == "xz":
            return lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data, BLOCK_BYTES + 1)
        if name not in _MODULES:
            raise self._image.unknown(
                f"its metadata is compressed by {name}", "make it by mksquashfs -comp zstd or gzip"
            )
        module = self._module(name)
        if name == "lz4":
            return lambda data: bytes(module.decompress(data, uncompressed_size=BLOCK_BYTES))
        return lambda data: bytes(module.ZstdDecompressor().decompress(data, max_output_size=BLOCK_BYTES))

    def _module(self, compression: str) -> ModuleType:
        module, package = _MODULES[compression]
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise self._image.unknown(
                f"its metadata is compressed by {compression}",
                f"install the Python package {package} (Debian: python3-{package}), or make it by mksquashfs -noI -noX",
            ) from error
