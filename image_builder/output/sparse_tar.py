"""A tar with one sparse file, as ``tar --format=oldgnu --sparse`` writes it.

Places are those of "struct oldgnu_header" and "struct sparse_header" in GNU tar's manual, "Basic Tar Format". Written here because
GNU tar takes for holes what the file system has made holes of, or else (``--hole-detection=raw``) reads the holes 512 bytes at a
time: 5 s for each GiB.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Protocol

from image_builder.output.blocks import used_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

_BLOCK = 4096
"""Bytes: pieces of zeros of this size and place are holes."""
_RECORD = 512
_ARCHIVE = 20 * _RECORD
"""Bytes: an archive is filled up to a multiple of it (tar's blocking factor)."""
_CHUNK = 1 << 20
_HEADER = Struct("<100s8s8s8s12s12s8sc100s8s32s32s16s41s96s?12s17x")
_CHECKSUM = slice(148, 156)
_MORE = Struct("<504s?7x")
_IN_HEADER, _IN_MORE = 4, 21
"""Pieces that the header, and each record behind it, has room for."""

Piece = tuple[int, int]
"""Offset and length of data in the file, in bytes."""


class Writable(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``."""
        ...


def write_sparse_tar(source: Path, name: str, output: Writable, *, epoch: int) -> None:
    """Write a tar of ``source`` under ``name`` (ASCII), owned by root, mode 0644, of ``epoch``. Raises OSError."""
    with source.open("rb") as file:
        size = source.stat().st_size
        pieces = _pieces(file, size)
        records = _records(name, size, pieces, epoch)
        output.write(records)
        written = len(records)
        for start, length in pieces:
            file.seek(start)
            left = length
            while left:
                chunk = file.read(min(left, _CHUNK))
                if not chunk:
                    raise OSError(f"{source}: became shorter while it was read")
                output.write(chunk)
                left -= len(chunk)
            written += length
    padding = -written % _RECORD + 2 * _RECORD
    output.write(bytes(padding + -(written + padding) % _ARCHIVE))


def _pieces(file: BinaryIO, size: int) -> list[Piece]:
    """The data of a file; a hole at its end is told by a piece without length there, as GNU tar does."""
    pieces: list[Piece] = []
    for number, block in used_blocks(file, _BLOCK):
        start = number * _BLOCK
        if pieces and sum(pieces[-1]) == start:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + len(block))
        else:
            pieces.append((start, len(block)))
    return pieces if pieces and sum(pieces[-1]) == size else [*pieces, (size, 0)]


def _records(name: str, size: int, pieces: Sequence[Piece], epoch: int) -> bytes:
    first, rest = pieces[:_IN_HEADER], pieces[_IN_HEADER:]
    stored = sum(length for _, length in pieces)
    owner = (_number(0o644, 8), _number(0, 8), _number(0, 8))
    magic = (b"", b"ustar  \0", b"root", b"root", b"", b"")
    head = (name.encode("ascii"), *owner, _number(stored, 12), _number(epoch, 12), b" " * 8, b"S", *magic)
    header = bytearray(_HEADER.pack(*head, _map(first), bool(rest), _number(size, 12)))
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    records = [bytes(header)]
    while rest:
        here, rest = rest[:_IN_MORE], rest[_IN_MORE:]
        records.append(_MORE.pack(_map(here), bool(rest)))
    return b"".join(records)


def _map(pieces: Sequence[Piece]) -> bytes:
    return b"".join(_number(number, 12) for piece in pieces for number in piece)


def _number(value: int, width: int) -> bytes:
    """Octal digits and a NUL; where they are too few, big-endian behind a byte of 0x80 (GNU's base-256)."""
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")
