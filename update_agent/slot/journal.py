"""What of an update is in the slot already: a file that outlives a reboot, and is a hint and no more.

Text, one record a line, each with a CRC-32 over itself and all before it, so that a torn end, a damaged line, or one of another
journal ends what is believed:

    slotboot-journal 1 SHA256-of-the-image GUID-of-the-partition GUID-of-the-disk CRC
    START SIZE CRC

A record is added only when its bytes of the image were verified, written to the slot and flushed there. Whoever reads it hashes
the slot again before a byte is believed: a slot can be written by others.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.slot.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

LARGEST = 16 << 20
"""Bytes of the longest journal that is read. One of 136 GiB has half of that."""
_FORMAT = "slotboot-journal 1"


@dataclass(frozen=True)
class Binding:
    """What a journal is about: SHA-256 of the slot image, GUID of the partition, GUID of the disk. Nothing of a boot."""

    update: str
    partition: str
    disk: str

    def header(self) -> str:
        """The first line, without its CRC."""
        return f"{_FORMAT} {self.update} {self.partition.lower()} {self.disk.lower()}"


@dataclass(frozen=True, order=True)
class Piece:
    """``size`` bytes of the image from ``start`` on."""

    start: int
    size: int


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same bytes as few pieces, in order."""
    found: list[Piece] = []
    for piece in sorted(pieces):
        if found and piece.start <= found[-1].start + found[-1].size:
            end = max(found[-1].start + found[-1].size, piece.start + piece.size)
            found[-1] = Piece(found[-1].start, end - found[-1].start)
        else:
            found.append(piece)
    return found


def read_journal(path: Path, binding: Binding) -> list[Piece]:
    """What it says of this update in this slot; nothing where it is of another, or there is none. Raises JournalError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(path, "reading", error) from error
    crc, pieces = 0, []
    for number, line in enumerate(data.split(b"\n")[:-1]):
        text, _, told = line.rpartition(b" ")
        crc = zlib.crc32(text, crc)
        if told != b"%08x" % crc or (number == 0 and text != binding.header().encode()):
            break
        if number:
            start, size = text.split(b" ")
            pieces.append(Piece(int(start), int(size)))
    return merged(pieces)


class Journal:
    """An open journal; what is appended is on the disk when that returns. Use it as a context manager."""

    def __init__(self, path: Path, fd: int, crc: int) -> None:
        self.path, self._fd, self._crc = path, fd, crc

    @classmethod
    def begin(cls, path: Path, binding: Binding, pieces: Sequence[Piece]) -> Self:
        """Put a new one, which says this, in the place of whatever is there. Raises JournalError.

        It appears whole or not at all: after an error or a power cut the old one is there, or none where there was none.
        """
        text, crc = _records([binding.header(), *(f"{piece.start} {piece.size}" for piece in pieces)], 0)
        new = path.with_name(f"{path.name}.new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _write(fd, text)
                os.replace(new, path)  # noqa: PTH105
                _flush_folder(path)
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise JournalError(path, "writing", error) from error
        return cls(path, fd, crc)

    def append(self, pieces: Iterable[Piece]) -> None:
        """Add records, and flush. Raises JournalError: then it may end in part of one, and is to be closed."""
        text, crc = _records([f"{piece.start} {piece.size}" for piece in pieces], self._crc)
        try:
            _write(self._fd, text)
        except OSError as error:
            raise JournalError(self.path, "writing", error) from error
        self._crc = crc

    def close(self) -> None:
        """Nothing is appended any more."""
        os.close(self._fd)


def remove_journal(path: Path) -> None:
    """It has no more to say. Raises JournalError."""
    try:
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.new").unlink(missing_ok=True)
    except OSError as error:
        raise JournalError(path, "removing", error) from error


def _records(texts: Iterable[str], crc: int) -> tuple[bytes, int]:
    lines = []
    for text in texts:
        crc = zlib.crc32(text.encode(), crc)
        lines.append(f"{text} {crc:08x}\n")
    return "".join(lines).encode(), crc


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
    os.fsync(fd)


def _flush_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
