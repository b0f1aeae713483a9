"""Reads of a disk, with few system calls: both ends of the disk are fetched at once and served from memory."""

from __future__ import annotations

from gptlib.errors import ReadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gptlib.linux.device import Device

# Block 0, header and 128 entries of 128 bytes fit into six sectors of 4096 bytes, the backup into five.
_HEAD, _TAIL = 6 * 4096, 5 * 4096


class SectorCache:
    """A read cache over the two ends of a device; everything else is read when asked for."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.size = device.size - device.size % 512
        self._head = self._fetch(0, min(_HEAD, self.size))
        self._tail_at = max(len(self._head), self.size - _TAIL)
        self._tail = self._fetch(self._tail_at, self.size - self._tail_at)
        self._head_end, self._tail_end = len(self._head), self._tail_at + len(self._tail)

    def _fetch(self, offset: int, length: int) -> bytes:
        try:
            return self._device.read(offset, length) if length else b""
        except ReadError:
            # One bad sector must not hide the good ones beside it: they are read one range at a time instead.
            return b""

    def get(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``. Raises ReadError, also beyond the end of the device."""
        end = offset + length
        if end <= self._head_end:
            return self._head[offset:end]
        if offset >= self._tail_at and end <= self._tail_end:
            return self._tail[offset - self._tail_at : end - self._tail_at]
        if end > self.size:
            raise ReadError(self._device.path, offset, length, f"the disk ends at byte {self.size}")
        return self._device.read(offset, length)

    def sectors(self, size: int) -> Callable[[int, int], bytes]:
        """As ``peek``, for an LBA and a number of sectors of ``size`` bytes."""
        return lambda lba, count: self.peek(lba * size, count * size)

    def peek(self, offset: int, length: int) -> bytes:
        """As ``get``, but empty where nothing can be read."""
        try:
            return self.get(offset, length)
        except ReadError:
            return b""
