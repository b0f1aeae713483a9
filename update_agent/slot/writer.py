"""Writes an image into a slot and reads it back from the disk."""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import TYPE_CHECKING

from update_agent.errors import ImageReadError, OutsideSlotError, SlotWriteError
from update_agent.slot.read_back import CHUNK, ReadBack

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, Self

    from update_agent.slot.read_back import SlotPlace

    class Source(Protocol):
        """Where an image comes from; ``shown`` is what errors call it."""

        @property
        def shown(self) -> str:
            """For errors."""

        def readinto(self, buffer: memoryview, /) -> int | None:
            """Fill the start of ``buffer``; the number of bytes, 0 at the end."""


class SlotWriter:
    """The bytes of one slot, open for writing; nothing else is ever written. Use it as a context manager.

    Made by ``update_agent.slot.open``, which sees to it that ``fd`` is the slot and nobody else's.
    """

    def __init__(self, fd: int, place: SlotPlace, direct: int | None = None) -> None:
        """``direct`` is the same file, opened for reading with O_DIRECT; None where ``fd`` is that, or there is no such thing."""
        self.place, self.path = place, place.path
        self._fd, self._direct = fd, direct
        # Anonymous memory is page-aligned, as O_DIRECT needs. It is unmapped with the last view of it.
        self._buffer = mmap.mmap(-1, CHUNK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if self._direct is not None:
            os.close(self._direct)

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
            padded = self.place.whole_sectors(length)
            view[length:padded] = bytes(padded - length)
            self._write_or_say(view[:padded], offset)
            offset += length
            progress(offset)
        self.flush()
        return digest.hexdigest()

    def write_at(self, data: memoryview, offset: int) -> None:
        """Write ``data``, which begins at a page of memory, at byte ``offset`` of the slot, a whole sector.

        A last partial sector is filled up with zeros. It is on the disk after ``flush`` only. Raises SlotWriteError and OutsideSlotError; part
        of it may then have been written.
        """
        whole = len(data) // self.place.sector_size * self.place.sector_size
        if whole:
            self._write_or_say(data[:whole], offset)
        rest = data[whole:]
        if rest:
            view = memoryview(self._buffer)[: self.place.sector_size]
            view[: len(rest)] = rest
            view[len(rest) :] = bytes(len(view) - len(rest))
            self._write_or_say(view, offset + whole)

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

    def reading(self, begin: int = 0) -> ReadBack:
        """What reads the slot from byte ``begin`` on, a whole sector, from the disk."""
        return ReadBack(self._fd, self.place, begin, self._direct)

    def read_back(self, size: int, progress: Callable[[int], None], start: int = 0) -> str:
        """SHA-256 of ``size`` bytes of the slot from byte ``start`` on, a whole sector, as they are on the disk.

        ``progress`` is given the number of bytes read. Raises SlotWriteError when they cannot be read.
        """
        back = self.reading(start)
        back.read(start + size, lambda end: progress(end - start))
        return back.hexdigest()


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
