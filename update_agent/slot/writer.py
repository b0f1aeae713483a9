"""Writes an image into a slot and reads it back from the disk."""

from __future__ import annotations

import hashlib
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.errors import ImageReadError, OutsideSlotError, SlotWriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, Self

    Buffer = bytes | bytearray | memoryview

    class Source(Protocol):
        """Where an image comes from; ``shown`` is what errors call it."""

        @property
        def shown(self) -> str:
            """For errors."""

        def readinto(self, buffer: memoryview, /) -> int | None:
            """Fill the start of ``buffer``; the number of bytes, 0 at the end."""


CHUNK = 1 << 20
"""Bytes a read or write; a multiple of every sector size, as O_DIRECT needs."""


@dataclass(frozen=True)
class SlotPlace:
    """The bytes of a slot: ``length`` from ``start`` on in what is open as ``path``. All are whole sectors."""

    path: str
    start: int
    length: int
    sector_size: int


class SlotWriter:
    """The bytes of one slot, open for writing; nothing else is ever written. Use it as a context manager.

    Made by ``update_agent.slot.open``, which sees to it that ``fd`` is the slot and nobody else's.
    """

    def __init__(self, fd: int, place: SlotPlace) -> None:
        self.place, self.path = place, place.path
        self._fd = fd
        # Anonymous memory is page-aligned, as O_DIRECT needs. It is unmapped with the last view of it.
        self._buffer = mmap.mmap(-1, 2 * CHUNK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def write(self, source: Source, size: int, progress: Callable[[int], None]) -> str:
        """Copy ``size`` bytes of ``source`` to the start of the slot and flush; the SHA-256 of what was read from it.

        A last partial sector is filled up with zeros; sectors behind it stay as they are. ``progress`` is given the number of
        bytes written. Raises ImageReadError when the source fails or ends early, SlotWriteError when the slot cannot be
        written, OutsideSlotError when the image is larger than the slot; the slot then holds part of the image.
        """
        digest, offset = hashlib.sha256(), 0
        view = memoryview(self._buffer)
        while offset < size:
            length = min(CHUNK, size - offset)
            _fill(source, view[:length], offset, size)
            digest.update(view[:length])
            padded = self._whole_sectors(length)
            view[length:padded] = bytes(padded - length)
            self._write_or_say(view[:padded], offset)
            offset += length
            progress(offset)
        self.flush()
        return digest.hexdigest()

    def write_at(self, data: Buffer, offset: int) -> None:
        """Write ``data`` at byte ``offset`` of the slot, a whole sector; a last partial sector is filled up with zeros.

        It is on the disk after ``flush`` only. Raises SlotWriteError and OutsideSlotError; part of it may then have been written.
        """
        # O_DIRECT wants memory that begins at a page, so everything goes through the buffer.
        source, view = memoryview(data), memoryview(self._buffer)
        for start in range(0, len(source), CHUNK):
            piece = source[start : start + CHUNK]
            padded = self._whole_sectors(len(piece))
            view[: len(piece)] = piece
            view[len(piece) : padded] = bytes(padded - len(piece))
            self._write_or_say(view[:padded], offset + start)

    def flush(self) -> None:
        """fsync: what was written is on the disk, and so is what the disk itself still kept. Raises SlotWriteError."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise SlotWriteError(self.path, 0, f"flushing: {error.strerror or error}") from error

    def _write_or_say(self, data: memoryview, offset: int) -> None:
        try:
            self._write_all(data, offset)
        except OSError as error:
            raise SlotWriteError(self.path, offset, error.strerror or str(error)) from error

    def _whole_sectors(self, length: int) -> int:
        size = self.place.sector_size
        return -(-length // size) * size

    def _write_all(self, data: memoryview, offset: int) -> None:
        """Every byte that reaches the disk passes here: whole sectors, and none that is not the slot's."""
        start, length, size = self.place.start, self.place.length, self.place.sector_size
        if not 0 <= offset <= offset + len(data) <= length or offset % size or len(data) % size:
            raise OutsideSlotError(self.path, offset, len(data), length)
        while data:
            done = os.pwrite(self._fd, data, start + offset)
            if not done:
                raise OSError("the device takes no more")
            offset, data = offset + done, data[done:]

    def read_back(self, size: int, progress: Callable[[int], None], start: int = 0) -> str:
        """SHA-256 of ``size`` bytes of the slot from byte ``start`` on, a whole sector, as they are on the disk.

        ``progress`` is given the number of bytes read. Raises SlotWriteError when they cannot be read.
        """
        digest, offset = hashlib.sha256(), 0
        halves = [memoryview(self._buffer)[:CHUNK], memoryview(self._buffer)[CHUNK:]]
        try:
            # From the disk and not from memory. For a block device O_DIRECT sees to that.
            os.posix_fadvise(self._fd, self.place.start + start, self._whole_sectors(size), os.POSIX_FADV_DONTNEED)
            with ThreadPoolExecutor(1, "hash") as thread:  # one half is hashed while the other is filled
                hashed: Future[None] | None = None
                while offset < size:
                    wanted = halves[0][: self._whole_sectors(min(CHUNK, size - offset))]
                    done = os.preadv(self._fd, [wanted], self.place.start + start + offset)
                    if not done:
                        raise SlotWriteError(self.path, start + offset, "reading back: the slot ends here")
                    if hashed is not None:
                        hashed.result()
                    hashed = thread.submit(digest.update, wanted[: min(done, size - offset)])
                    halves.reverse()
                    offset += done
                    progress(min(offset, size))
                if hashed is not None:
                    hashed.result()
        except OSError as error:
            raise SlotWriteError(self.path, start + offset, f"reading back: {error.strerror or error}") from error
        return digest.hexdigest()


def _fill(source: Source, view: memoryview, offset: int, size: int) -> None:
    """Read until the buffer is full. Raises ImageReadError when the source fails or ends before."""
    length = 0
    while length < len(view):
        try:
            done = source.readinto(view[length:])
        except OSError as error:
            raise ImageReadError(source.shown, offset + length, error.strerror or str(error)) from error
        if not done:
            raise ImageReadError(source.shown, offset + length, f"it ends here, but its description says {size} bytes")
        length += done
