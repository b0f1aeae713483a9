"""What is in a slot, read from the disk and not from memory, and hashed."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from update_agent.errors import SlotWriteError

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK: Final = 512 << 10
"""Bytes a read; a multiple of every sector size, as O_DIRECT needs."""
GLANCES: Final = 4 << 20
"""Bytes from one place that is looked at twice to the next one."""
_GLANCE: Final = 4096
"""Bytes of such a place, a whole sector."""


@dataclass(frozen=True)
class SlotPlace:
    """The bytes of a slot: ``length`` from ``start`` on in what is open as ``path``. All are whole sectors."""

    path: str
    start: int
    length: int
    sector_size: int

    def whole_sectors(self, length: int) -> int:
        """As many bytes as the sectors have that ``length`` bytes need."""
        return -(-length // self.sector_size) * self.sector_size


class ReadBack:
    """SHA-256 of a slot from byte ``begin`` on, a whole sector, as far as it was read. One thread at a time may call it.

    ``direct`` is the same file as ``fd``, opened with O_DIRECT, where there is such a thing: whole folios of the kernel's cache can be
    dropped only, which may be larger than what is read.
    """

    def __init__(self, fd: int, place: SlotPlace, begin: int = 0, direct: int | None = None) -> None:
        self._fd, self._direct, self._place, self.end = fd, direct, place, begin
        self._digest = hashlib.sha256()
        # Anonymous memory is page-aligned, as O_DIRECT needs. It is unmapped with the last view of it.
        buffer = memoryview(mmap.mmap(-1, 2 * CHUNK))
        self._halves = [buffer[:CHUNK], buffer[CHUNK:]]
        self._seen: list[tuple[int, int]] = []

    def read(self, end: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Go on to byte ``end``, a whole sector or the last of all. What is there was flushed.

        ``progress`` is given the byte that was come to. Raises SlotWriteError when it cannot be read: then nothing is known of it any more.
        """
        place, offset = self._place, self.end
        try:
            with ThreadPoolExecutor(1, "hash") as thread:  # one half is hashed while the other is filled
                hashed: Future[None] | None = None
                while offset < end:
                    wanted = self._halves[0][: place.whole_sectors(min(CHUNK, end - offset))]
                    done = self._from_disk(wanted, place.start + offset)
                    if not done:
                        raise SlotWriteError(place.path, offset, "reading back: the slot ends here")
                    if hashed is not None:
                        hashed.result()
                    self._notice(offset, wanted[:done])
                    hashed = thread.submit(self._digest.update, wanted[: min(done, end - offset)])
                    self._halves.reverse()
                    offset += done
                    progress(min(offset, end))
                if hashed is not None:
                    hashed.result()
        except OSError as error:
            raise SlotWriteError(place.path, offset, f"reading back: {error.strerror or error}") from error
        self.end = end

    def hexdigest(self) -> str:
        """Of what was read, in lower-case hexadecimal."""
        return self._digest.hexdigest()

    def _from_disk(self, wanted: memoryview, at: int) -> int:
        """Read, and not from memory. Raises OSError."""
        if self._direct is not None:
            try:
                return os.preadv(self._direct, [wanted], at)
            except OSError as error:
                if error.errno != errno.EINVAL:  # its sectors are larger than those of the table
                    raise
        os.posix_fadvise(self._fd, at, len(wanted), os.POSIX_FADV_DONTNEED)
        return os.preadv(self._fd, [wanted], at)

    def _notice(self, offset: int, data: memoryview) -> None:
        if offset % GLANCES == 0:
            self._seen.append((offset, zlib.crc32(data[:_GLANCE])))

    def changed_since(self) -> bool:
        """Whether what was read first is another by now: a disk that is smaller than it says puts new data over old.

        Looks at a few bytes of each ``GLANCES``. Raises SlotWriteError.
        """
        room = self._halves[0][:_GLANCE]
        for offset, crc in self._seen:
            length = min(_GLANCE, self._place.length - offset)
            try:
                done = self._from_disk(room[:length], self._place.start + offset)
            except OSError as error:
                raise SlotWriteError(self._place.path, offset, f"reading back: {error.strerror or error}") from error
            if zlib.crc32(room[:done]) != crc:
                return True
        return False
